//! The indexed engine: which policies can match is looked up; conditions are evaluated by a small tree of our own, or
//! by Cedar's own code where they have a form that the tree does not know.
//!
//! This module and its children are the only place that touches `cedar_policy_core`; that crate is pinned to an
//! exact version because it promises no stability. Leaving out a policy whose scope does not match changes
//! neither decision, reasons nor errors: the scope comes first in Cedar's `&&` chain and cannot itself fail on a
//! well-formed request (Cedar proves it in Lean, `isAuthorized_eq_for_sound_policy_slice`).

#[cfg(test)]
mod conformance;
mod consider;
mod context;
#[cfg(test)]
mod faults;
mod index;
mod principal;
mod tree;

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy_core::ast::{
    ActionConstraint, Context, Effect, Eid, Entity, EntityType, EntityUID, EntityUIDEntry, Expr, ExprKind,
    Literal, Policy, PolicySet, PrincipalOrResourceConstraint as Constraint, Request, SlotEnv, ValueKind,
    Var,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

pub(super) use context::Incomplete;
#[cfg(test)]
pub(super) use faults::Fault;
pub(super) use principal::Prepared;

use super::roles::Roles;
use super::schema::{ActionKind, ActionSpec};
use super::{Call, Response};
use context::Reads;
use index::{Buckets, Names};
use tree::{Slots, Tree};

/// All policies, indexed for all actions.
#[derive(Debug)]
pub(super) struct Engine {
    rules: Vec<Rule>,
    plans: Vec<Plan>,
    names: Names,
    types: Types,
    roles: Roles,
    anonymous: Arc<Prepared>,
    #[cfg(test)]
    fault: Option<Fault>,
}

/// The entity types of the schema, parsed once.
#[derive(Debug)]
struct Types {
    user: EntityType,
    anonymous: EntityType,
    role: EntityType,
}

/// One policy.
#[derive(Debug)]
struct Rule {
    id: SmolStr,
    forbids: bool,
    /// The `T` of `principal is T in E`, which its bucket does not test.
    principal_type: Option<EntityType>,
    /// Its principal scope as Cedar writes it.
    whom: String,
    /// The role that its principal scope names.
    role: Option<SmolStr>,
    condition: Option<Condition>,
}

/// What a policy has after its scope.
#[derive(Debug)]
struct Condition {
    expression: Arc<Expr>,
    /// Which attributes of the context it can read.
    reads: Reads,
    /// Whether it mentions the variable `action`, whose entity must then be at hand.
    reads_action: bool,
    /// Entities with parents that it names literally.
    statics: Vec<Arc<Entity>>,
    /// Its compiled form, where it has one.
    tree: Option<Tree>,
}

/// A policy whose scope admits a call, and whose condition is to be evaluated.
#[derive(Debug)]
struct Conditional<'e> {
    index: u32,
    forbids: bool,
    condition: &'e Condition,
}

/// One action: the policies whose scope admits it, and what never changes between its requests.
#[derive(Debug)]
struct Plan {
    action: EntityUIDEntry,
    resource: EntityUIDEntry,
    entity: Arc<Entity>,
    buckets: Buckets,
    path: Vec<SmolStr>,
    query: Vec<SmolStr>,
    is_model: bool,
}

/// Whether a condition, which must be one, can read the client's address.
pub(crate) fn reads_address(condition: &str) -> bool {
    condition.parse::<Expr>().is_ok_and(|condition| Reads::of(&condition).has(Reads::ADDRESS))
}

/// Whether the condition of a policy can read the client's address, and does not ask for a token itself.
pub(super) fn is_network_enough(policy: &cedar_policy::Policy) -> bool {
    let policy: &Policy = policy.as_ref();
    let Some(condition) = policy.non_scope_constraints_arc() else { return false };
    let asks_for_user = |part: &Expr| match part.expr_kind() {
        ExprKind::Is { expr, .. } => matches!(expr.expr_kind(), ExprKind::Var(Var::Principal)),
        _ => false,
    };
    Reads::of(condition).has(Reads::ADDRESS) && !condition.subexpressions().any(asks_for_user)
}

/// The name of a type of the schema that this crate writes itself.
fn entity_type(name: &str) -> EntityType {
    #[expect(clippy::expect_used, reason = "only called with literals that are Cedar identifiers")]
    name.parse().expect("a Cedar identifier")
}

fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

fn known(uid: EntityUID) -> EntityUIDEntry {
    EntityUIDEntry::Known { euid: Arc::new(uid), loc: None }
}

impl Engine {
    /// Indexes validated, static policies with their final ids.
    pub(super) fn new(set: &cedar_policy::PolicySet, actions: &[ActionSpec], roles: &Roles) -> Self {
        let set: &PolicySet = set.as_ref();
        let policies: Vec<&Policy> = set.policies().collect();
        let types = Types {
            user: entity_type("User"),
            anonymous: entity_type("Anonymous"),
            role: entity_type("Role"),
        };
        let statics = statics(actions, roles, &types.role);
        let mut names = Names::default();
        let rules = policies.iter().map(|policy| Rule::new(policy, &statics, &types.role)).collect();
        for policy in &policies {
            names.intern_scope(policy.template().principal_constraint().as_inner());
        }
        let plans = actions.iter().map(|spec| Plan::new(spec, &policies, &names)).collect();
        let anonymous = Arc::new(Prepared::anonymous(&types, &names));
        Self {
            rules,
            plans,
            names,
            types,
            roles: roles.clone(),
            anonymous,
            #[cfg(test)]
            fault: None,
        }
    }

    /// How roles are had, and what they include.
    pub(super) fn roles(&self) -> &Roles {
        &self.roles
    }

    fn rule(&self, index: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(index).ok()?)
    }

    /// Whether a roles file says who has which role.
    pub(super) fn has_book(&self) -> bool {
        self.roles.book().is_some()
    }

    /// How many policies there are.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The policies' ids by index.
    pub(super) fn ids(&self) -> impl Iterator<Item = &SmolStr> {
        self.rules.iter().map(|rule| &rule.id)
    }

    /// The permits' ids.
    pub(super) fn permits(&self) -> impl Iterator<Item = &SmolStr> {
        self.rules.iter().filter(|rule| !rule.forbids).map(|rule| &rule.id)
    }

    /// The most policies that one request can touch.
    pub(super) fn largest(&self) -> usize {
        self.plans.iter().map(|plan| plan.buckets.len()).max().unwrap_or(0)
    }

    /// The id of a policy by its index in a [`Response`].
    pub(super) fn id(&self, index: u32) -> Option<&SmolStr> {
        self.rule(index).map(|rule| &rule.id)
    }

    /// Decides, with the whole response: every determining and every erroring policy.
    pub(super) fn respond(
        &self,
        action: usize,
        principal: &Prepared,
        call: &Call<'_>,
    ) -> Result<Response, Incomplete> {
        let plan = self.plans.get(action).ok_or(Incomplete::Action)?;
        let mut tally = Tally::default();
        let conditional = self.admitted(&plan.buckets, principal, &mut tally);
        if conditional.is_empty() {
            return Ok(tally.response());
        }
        // What any condition can read must be there, also where it is not looked at in the end.
        let reads = reads_of(&conditional);
        let slots = Slots::new(plan, principal, call, reads)?;
        let others = self.settle_compiled(&slots, conditional, &mut tally);
        if others.is_empty() {
            return Ok(tally.response());
        }
        let context = context::build(plan, call, reads_of(&others))?;
        let request = Request::new_unchecked(
            principal.entry().clone(),
            plan.action.clone(),
            plan.resource.clone(),
            Some(Context::Value(Arc::new(context))),
        );
        let more = needed(plan, &others);
        let enlarged;
        // PERF: the principal's store is shared by all its requests; few conditions need more than that.
        let entities = if more.is_empty() {
            principal.store()
        } else {
            enlarged = enlarge(principal.store(), more)?;
            &enlarged
        };
        let evaluator = Evaluator::new(request, entities, Extensions::all_available());
        self.settle(&evaluator, &others, &mut tally);
        Ok(tally.response())
    }

    /// Looks up the policies whose scope admits the call: counts those without condition, returns the others.
    fn admitted(&self, buckets: &Buckets, principal: &Prepared, tally: &mut Tally) -> Vec<Conditional<'_>> {
        let mut conditional = Vec::with_capacity(buckets.len().min(64));
        buckets.each(principal, |index| {
            let Some(rule) = self.rule(index) else { return };
            if !rule.admits(principal.kind()) {
                return;
            }
            match &rule.condition {
                None => tally.satisfied(index, rule.forbids),
                Some(condition) => conditional.push(Conditional { index, forbids: rule.forbids, condition }),
            }
        });
        conditional
    }

    /// Evaluates the conditions that are compiled, and returns the others.
    fn settle_compiled<'e>(
        &self,
        slots: &Slots<'_>,
        conditional: Vec<Conditional<'e>>,
        tally: &mut Tally,
    ) -> Vec<Conditional<'e>> {
        let mut others = Vec::new();
        for one in conditional {
            match one.condition.tree.as_ref().map(|tree| tree.holds(slots)) {
                Some(Some(true)) => tally.satisfied(one.index, one.forbids),
                Some(Some(false)) => {}
                Some(None) => self.failed(&one, tally),
                None => others.push(one),
            }
        }
        others
    }

    /// Evaluates conditions by Cedar's own code.
    fn settle(&self, evaluator: &Evaluator<'_>, conditional: &[Conditional<'_>], tally: &mut Tally) {
        let slots = SlotEnv::new();
        for one in conditional {
            match verdict(evaluator, one.condition, &slots) {
                Some(true) => tally.satisfied(one.index, one.forbids),
                Some(false) => {}
                None => self.failed(one, tally),
            }
        }
    }

    /// No short cut on an error: that policy errors, the others are still asked, as in Cedar.
    fn failed(&self, one: &Conditional<'_>, tally: &mut Tally) {
        #[cfg(test)]
        match self.fault {
            Some(Fault::ErrorAsFalse) => return,
            Some(Fault::ErrorAsTrue) => return tally.satisfied(one.index, one.forbids),
            _ => {}
        }
        tally.errors.push(one.index);
    }
}

/// `None` when the condition fails, or is no boolean.
fn verdict(evaluator: &Evaluator<'_>, condition: &Condition, slots: &SlotEnv) -> Option<bool> {
    match evaluator.interpret(&condition.expression, slots).ok()?.value_kind() {
        ValueKind::Lit(Literal::Bool(value)) => Some(*value),
        _ => None,
    }
}

fn reads_of(conditional: &[Conditional<'_>]) -> Reads {
    conditional.iter().fold(Reads::default(), |all, one| all.and(one.condition.reads))
}

fn needed(plan: &Plan, conditional: &[Conditional<'_>]) -> Vec<Arc<Entity>> {
    let mut needed = Vec::new();
    for one in conditional {
        if one.condition.reads_action {
            needed.push(Arc::clone(&plan.entity));
        }
        needed.extend(one.condition.statics.iter().map(Arc::clone));
    }
    needed
}

fn enlarge(store: &Entities, more: Vec<Arc<Entity>>) -> Result<Entities, Incomplete> {
    // INVARIANT: ancestor sets are closed: the principal's by `principal`, the statics' by `statics`.
    store
        .clone()
        .add_entities(
            more,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(|_| Incomplete::Entities)
}

impl Rule {
    fn new(policy: &Policy, statics: &FxHashMap<EntityUID, Arc<Entity>>, role: &EntityType) -> Self {
        let constraint = policy.template().principal_constraint().as_inner();
        let principal_type = match constraint {
            Constraint::IsIn(kind, _) => Some((**kind).clone()),
            Constraint::Any | Constraint::In(_) | Constraint::Eq(_) | Constraint::Is(_) => None,
        };
        Self {
            id: policy.id().clone().into_smolstr(),
            forbids: policy.effect() == Effect::Forbid,
            principal_type,
            whom: policy.template().principal_constraint().to_string(),
            role: constraint.get_euid().filter(|uid| uid.entity_type() == role).map(|uid| {
                let name: &str = uid.eid().as_ref();
                SmolStr::new(name)
            }),
            condition: policy
                .non_scope_constraints_arc()
                .map(|expression| Condition::new(expression, statics)),
        }
    }
}

impl Condition {
    fn new(expression: &Arc<Expr>, statics: &FxHashMap<EntityUID, Arc<Entity>>) -> Self {
        let mut found: Vec<Arc<Entity>> = Vec::new();
        let mut reads_action = false;
        for part in expression.subexpressions() {
            match part.expr_kind() {
                ExprKind::Var(Var::Action) => reads_action = true,
                ExprKind::Lit(Literal::EntityUID(uid)) => {
                    found.extend(statics.get(uid.as_ref()).map(Arc::clone))
                }
                _ => {}
            }
        }
        Self {
            expression: Arc::clone(expression),
            reads: Reads::of(expression),
            reads_action,
            statics: found,
            tree: Tree::of(expression),
        }
    }
}

impl Plan {
    fn new(spec: &ActionSpec, policies: &[&Policy], names: &Names) -> Self {
        let action = entity_type("Action");
        let entity = Arc::new(action_entity(&action, &spec.name(), spec));
        let (resource, path, query) = match &spec.kind {
            ActionKind::Rest { path, query } => ("Api", path.clone(), query.clone()),
            ActionKind::Model => ("Model", Vec::new(), Vec::new()),
        };
        let resource = Entity::with_uid(uid(&entity_type(resource), &spec.api));
        let admitted = policies.iter().copied().enumerate().filter(|(_, policy)| {
            admits_action(policy.template().action_constraint(), &entity)
                && admits_resource(policy.template().resource_constraint().as_inner(), &resource)
        });
        Self {
            buckets: Buckets::new(admitted, names),
            action: known(entity.uid().clone()),
            resource: known(resource.uid().clone()),
            entity,
            path,
            query,
            is_model: spec.kind == ActionKind::Model,
        }
    }
}

fn action_entity(kind: &EntityType, name: &str, spec: &ActionSpec) -> Entity {
    let parents = HashSet::from([uid(kind, &spec.group()), uid(kind, &spec.api)]);
    Entity::new_with_attr_partial_value(uid(kind, name), [], HashSet::new(), parents, [])
}

/// `in` is reflexive.
fn is_in(entity: &Entity, ancestor: &EntityUID) -> bool {
    entity.uid() == ancestor || entity.is_descendant_of(ancestor)
}

fn admits_action(constraint: &ActionConstraint, action: &Entity) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::In(groups) => groups.iter().any(|group| is_in(action, group)),
        ActionConstraint::Eq(wanted) => action.uid() == wanted.as_ref(),
    }
}

fn admits_resource(constraint: &Constraint, resource: &Entity) -> bool {
    let kind = resource.uid().entity_type();
    match constraint {
        Constraint::Any => true,
        Constraint::Is(wanted) => wanted.as_ref() == kind,
        Constraint::Eq(_) => constraint.get_euid().is_some_and(|wanted| wanted.as_ref() == resource.uid()),
        Constraint::In(_) => constraint.get_euid().is_some_and(|wanted| is_in(resource, wanted)),
        Constraint::IsIn(wanted, _) => {
            wanted.as_ref() == kind && constraint.get_euid().is_some_and(|wanted| is_in(resource, wanted))
        }
    }
}

/// Entities with parents that a condition can name literally: actions, their groups, and roles that inherit.
fn statics(actions: &[ActionSpec], roles: &Roles, role: &EntityType) -> FxHashMap<EntityUID, Arc<Entity>> {
    let kind = entity_type("Action");
    let mut all = FxHashMap::default();
    let mut add = |entity: Entity| {
        all.insert(entity.uid().clone(), Arc::new(entity));
    };
    let with_parents = |own: EntityUID, parents: HashSet<EntityUID>| {
        Entity::new_with_attr_partial_value(own, [], HashSet::new(), parents, [])
    };
    for spec in actions {
        add(action_entity(&kind, &spec.name(), spec));
        let group = spec.group();
        add(with_parents(uid(&kind, &group), HashSet::from([uid(&kind, &spec.api)])));
    }
    for name in roles.names() {
        let parents = roles.inherited(name).iter().map(|parent| uid(role, parent)).collect();
        add(with_parents(uid(role, name), parents));
    }
    all
}

/// Collects what the policies said.
#[derive(Debug, Default)]
struct Tally {
    permits: Vec<u32>,
    forbids: Vec<u32>,
    errors: Vec<u32>,
}

impl Tally {
    fn satisfied(&mut self, index: u32, forbids: bool) {
        if forbids { self.forbids.push(index) } else { self.permits.push(index) }
    }

    /// Any satisfied forbid denies, else any satisfied permit allows, else it is denied by default.
    fn response(self) -> Response {
        let is_allowed = self.forbids.is_empty() && !self.permits.is_empty();
        let reasons = if self.forbids.is_empty() { self.permits } else { self.forbids };
        Response::new(is_allowed, reasons, self.errors)
    }
}
