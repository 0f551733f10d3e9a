//! Reads policies and checks them against the schema; everything that is wrong, at once.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use cedar_policy::{
    Effect, Expression, Policy as CedarPolicy, PolicyId, PolicySet, PrincipalConstraint, Schema,
    ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;
use rustc_hash::FxHashMap;
use smol_str::{SmolStr, format_smolstr};

use super::engine;
use super::schema::{ActionSpec, schema_json};
use crate::roles::{CompiledRoles, Mark, PREFIX};

/// A text with policies.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name for diagnostics, and for the ids of policies without an `@id`: usually the file's.
    pub name: String,
    /// Cedar policies.
    pub text: String,
}

/// What is wrong, or odd, with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// Name of the source; `schema` when it is about the actions themselves, `roles` when about the roles file.
    pub source: String,
    /// Where in the source's text, in bytes.
    pub offset: Option<Range<usize>>,
    /// Where in the roles file, when it is about that.
    pub mark: Option<Mark>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Number of policies.
    pub policies: usize,
    /// The most policies that one call can touch: it bounds the time of a decision.
    pub largest: usize,
    /// What is odd but allowed, such as a policy that can never apply.
    pub warnings: Vec<PolicyProblem>,
}

impl PolicyProblem {
    pub(super) fn of_schema(message: String) -> Self {
        Self { source: "schema".to_owned(), offset: None, mark: None, message, help: None }
    }

    fn of_mark(mark: Mark, message: String) -> Self {
        Self { source: "roles".to_owned(), offset: None, mark: Some(mark), message, help: None }
    }

    /// The validator begins with the policy's id and, where it can, the place in a text that nobody wrote.
    fn of_role(mark: Mark, id: &PolicyId, diagnostic: &dyn Diagnostic) -> Self {
        let message = diagnostic.to_string().replace(&format!("for policy `{id}`, "), "");
        Self {
            help: diagnostic.help().map(|help| help.to_string()),
            ..Self::of_mark(mark, format!("the grant `{id}` cannot hold: {message}"))
        }
    }

    fn of(source: &str, diagnostic: &dyn Diagnostic) -> Self {
        let span = diagnostic.labels().and_then(|mut labels| labels.next());
        Self {
            source: source.to_owned(),
            offset: span.map(|span| span.offset()..span.offset() + span.len()),
            mark: None,
            message: diagnostic.to_string(),
            help: diagnostic.help().map(|help| help.to_string()),
        }
    }
}

/// Parses, names and validates; the second of the pair are the warnings.
pub(super) fn check(
    sources: &[Source],
    actions: &[ActionSpec],
    roles: &CompiledRoles,
) -> Result<(PolicySet, Vec<PolicyProblem>), Vec<PolicyProblem>> {
    let mut problems = clashes(actions);
    let mut all = Collected::default();
    for source in sources {
        all.read(source, &mut problems);
    }
    all.add_roles(roles, &mut problems);
    let mut warnings = Vec::new();
    match Schema::from_json_value(schema_json(actions)) {
        Ok(schema) => all.validate(schema, &mut problems, &mut warnings),
        // Names that clash explain it better than Cedar can.
        Err(error) if problems.is_empty() => problems.push(PolicyProblem::of_schema(error.to_string())),
        Err(_) => {}
    }
    if problems.is_empty() { Ok((all.set, warnings)) } else { Err(problems) }
}

/// Actions that are called like another, or like a group.
fn clashes(actions: &[ActionSpec]) -> Vec<PolicyProblem> {
    let groups: HashSet<SmolStr> = actions
        .iter()
        .flat_map(|action| {
            [
                action.api.clone(),
                format_smolstr!("{}.read", action.api),
                format_smolstr!("{}.write", action.api),
            ]
        })
        .collect();
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    for action in actions {
        let name = action.name();
        let message = if groups.contains(&name) {
            format!(
                "operation `{}` of `{}` is called like the action group `{name}`",
                action.operation, action.api
            )
        } else if seen.contains(&name) {
            format!("two operations are called `{name}`")
        } else {
            seen.insert(name);
            continue;
        };
        let help = Some("give the operation another `operationId`, or the api another name".to_owned());
        problems.push(PolicyProblem { help, ..PolicyProblem::of_schema(message) });
    }
    problems
}

/// Whether a text is one Cedar expression, on its own; if not, what is wrong with it.
pub(crate) fn is_condition(text: &str) -> Result<(), String> {
    text.parse::<Expression>().map(|_| ()).map_err(|errors| format!("this is no cedar condition: {errors}"))
}

/// The roles that the policies of these texts speak of. Texts that cannot be read speak of none.
pub fn spoken_roles(sources: &[Source]) -> BTreeSet<SmolStr> {
    let parsed = sources.iter().filter_map(|source| source.text.parse::<PolicySet>().ok());
    parsed.flat_map(|set| set.policies().flat_map(roles_in).collect::<Vec<_>>()).collect()
}

/// Whether a permit holds for callers without credentials, and its condition reads their address.
fn grants_by_network(policy: &CedarPolicy) -> bool {
    let is_user = |kind: &str| kind == "User" || kind == "Role";
    let is_for_anybody = match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) => !is_user(&uid.type_name().to_string()),
        PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => !is_user(&kind.to_string()),
    };
    policy.effect() == Effect::Permit && is_for_anybody && engine::is_network_enough(policy)
}

fn roles_in(policy: &CedarPolicy) -> Vec<SmolStr> {
    let all = policy.entity_literals().into_iter();
    let roles = all.filter(|uid| uid.type_name().to_string() == "Role");
    roles.map(|uid| SmolStr::new(AsRef::<str>::as_ref(uid.id()))).collect()
}

/// Policies with their final ids, and where each comes from.
#[derive(Default)]
struct Collected {
    set: PolicySet,
    origins: FxHashMap<PolicyId, String>,
    marks: FxHashMap<PolicyId, Mark>,
}

impl Collected {
    fn read(&mut self, source: &Source, problems: &mut Vec<PolicyProblem>) {
        let parsed: PolicySet = match source.text.parse() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let errors: &cedar_policy::ParseErrors = &errors;
                problems.extend(errors.iter().map(|error| PolicyProblem::of(&source.name, error)));
                return;
            }
        };
        for template in parsed.templates() {
            problems.push(PolicyProblem {
                source: source.name.clone(),
                offset: template.as_ref().loc().map(|at| at.start()..at.end()),
                mark: None,
                message: "templates are not taken".to_owned(),
                help: Some("write the entity in place of the slot".to_owned()),
            });
        }
        for (policy, number) in parsed.policies().zip(1_usize..) {
            if let Err(message) = self.add(policy, source, number) {
                problems.push(PolicyProblem {
                    source: source.name.clone(),
                    offset: policy.as_ref().loc().map(|at| at.start()..at.end()),
                    mark: None,
                    message,
                    help: None,
                });
            }
        }
    }

    /// Policies of the roles file, and whether the operator's own speak of roles that it does not have.
    fn add_roles(&mut self, roles: &CompiledRoles, problems: &mut Vec<PolicyProblem>) {
        if let Some(book) = roles.roles.book() {
            let names: HashSet<&str> = book.roles.iter().map(|role| role.name.as_str()).collect();
            for policy in self.set.policies() {
                for role in roles_in(policy).iter().filter(|role| !names.contains(role.as_str())) {
                    problems.push(PolicyProblem {
                        source: self.origins.get(policy.id()).cloned().unwrap_or_default(),
                        offset: policy.as_ref().loc().map(|at| at.start()..at.end()),
                        mark: None,
                        message: format!("the role `{role}` is not in the roles file, so nobody can have it"),
                        help: Some("what an issuer calls a role is in `principal.roles`".to_owned()),
                    });
                }
            }
        }
        for one in &roles.policies {
            let id = PolicyId::new(&one.id);
            let added = match CedarPolicy::parse(Some(id.clone()), &one.text) {
                Ok(policy) => self.set.add(policy).map_err(|error| error.to_string()),
                Err(errors) => Err(errors.to_string()),
            };
            match added {
                Ok(()) => {
                    self.marks.insert(id, one.mark);
                }
                Err(message) => problems.push(PolicyProblem::of_mark(one.mark, message)),
            }
        }
    }

    fn add(&mut self, policy: &CedarPolicy, source: &Source, number: usize) -> Result<(), String> {
        let id = match policy.annotation("id") {
            Some("") => return Err("the id is empty".to_owned()),
            Some(id) if id.starts_with(PREFIX) => {
                return Err(format!("ids that begin with `{PREFIX}` are those of the roles file"));
            }
            Some(id) => PolicyId::new(id),
            None => PolicyId::new(format!("{}#{number}", source.name)),
        };
        if let Some(other) = self.origins.get(&id) {
            return Err(format!("the id `{id}` is already used in `{other}`"));
        }
        self.set.add(policy.new_id(id.clone())).map_err(|error| error.to_string())?;
        self.origins.insert(id, source.name.clone());
        Ok(())
    }

    fn validate(&self, schema: Schema, problems: &mut Vec<PolicyProblem>, warnings: &mut Vec<PolicyProblem>) {
        let result = Validator::new(schema).validate(&self.set, ValidationMode::Strict);
        let problem = |id: &PolicyId, diagnostic: &dyn Diagnostic| match self.marks.get(id) {
            Some(mark) => PolicyProblem { offset: None, ..PolicyProblem::of_role(*mark, id, diagnostic) },
            None => PolicyProblem::of(self.origins.get(id).map_or("", String::as_str), diagnostic),
        };
        // The validator repeats itself, in no fixed order, for every action and principal that a policy speaks of:
        // the first of them by its text stands for all.
        let add = |list: &mut Vec<PolicyProblem>, problem: PolicyProblem| {
            let same = |known: &&mut PolicyProblem| {
                known.source == problem.source
                    && (known.offset == problem.offset && known.offset.is_some()
                        || known.mark == problem.mark && known.mark.is_some())
            };
            match list.iter_mut().find(same) {
                Some(known) if known.message > problem.message => *known = problem,
                Some(_) => {}
                None => list.push(problem),
            }
        };
        for error in result.validation_errors() {
            add(problems, problem(error.policy_id(), error));
        }
        for policy in self.set.policies().filter(|policy| grants_by_network(policy)) {
            let origin = self.origins.get(policy.id()).filter(|_| !self.marks.contains_key(policy.id()));
            warnings.extend(origin.map(|source| PolicyProblem {
                source: source.clone(),
                offset: policy.as_ref().loc().map(|at| at.start()..at.end()),
                mark: None,
                message: "without credentials, the network alone grants this".to_owned(),
                help: Some(
                    "a network may narrow what somebody was granted: ask for `principal is User`".to_owned(),
                ),
            }));
        }
        let erring: HashSet<&PolicyId> = result.validation_errors().map(|error| error.policy_id()).collect();
        for warning in result.validation_warnings() {
            let found = problem(warning.policy_id(), warning);
            match warning {
                // What can never match was meant to: a permit that never allows, a forbid that never forbids.
                // A name that does not exist explains it better.
                ValidationWarning::ImpossiblePolicy(_) if erring.contains(warning.policy_id()) => {}
                ValidationWarning::ImpossiblePolicy(_) => {
                    let help = "for every request that there can be, its scope or its condition is false";
                    add(problems, PolicyProblem { help: Some(help.to_owned()), ..found });
                }
                _ => add(warnings, found),
            }
        }
    }
}
