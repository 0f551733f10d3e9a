//! Everything that is wrong with a roles file, at once: names that do not exist, and rules that do nothing.

use std::collections::BTreeSet;

use smol_str::{SmolStr, format_smolstr};

use super::compile::anonymous;
use super::{Book, EVERYTHING, Grant, Mark, Role, Sign};
use crate::policy::{ActionSpec, is_condition, reads_address};

/// What a roles file may speak of.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// All operations.
    pub actions: &'k [ActionSpec],
    /// Names of the issuers.
    pub issuers: &'k [SmolStr],
    /// Roles that the operator's own Cedar policies speak of.
    pub spoken_of: &'k BTreeSet<SmolStr>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleProblem {
    /// A stable slug.
    pub code: &'static str,
    /// Where.
    pub mark: Mark,
    /// What: one sentence, lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// A name that does not exist, and those that do.
    pub unknown: Option<(SmolStr, Vec<SmolStr>)>,
}

impl RoleProblem {
    fn new(code: &'static str, mark: Mark, message: impl Into<String>) -> Self {
        Self { code, mark, message: message.into(), help: None, unknown: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn unknown(self, wrong: &SmolStr, names: Vec<SmolStr>) -> Self {
        Self { unknown: Some((wrong.clone(), names)), ..self }
    }
}

/// Says everything that is wrong with `book`; empty when it can be compiled.
pub fn check(book: &Book, known: Known<'_>) -> Vec<RoleProblem> {
    let mut found = Vec::new();
    let reachable = book.reachable();
    for role in &book.roles {
        includes(book, role, &mut found);
        holders(role, known, &mut found);
        if !reachable.contains(role.name.as_str()) {
            let problem = RoleProblem::new(
                "unreachable-role",
                role.mark,
                format!("nobody can have the role `{}`", role.name),
            );
            found
                .push(problem.help("say in `held_by` who has it, or include it in a role that somebody has"));
        }
        if role.grants.is_empty() && role.includes.is_empty() && !known.spoken_of.contains(&role.name) {
            let message = format!("the role `{}` allows nothing", role.name);
            let problem = RoleProblem::new("useless-role", role.mark, message);
            found.push(problem.help("say in `may` what it allows"));
        }
        grants(book, role, known, &mut found);
        if let Some(problem) = everything(book, role, known.actions) {
            found.push(problem);
        }
    }
    found
}

fn includes(book: &Book, role: &Role, found: &mut Vec<RoleProblem>) {
    let names = || book.roles.iter().map(|role| role.name.clone()).collect();
    for (index, (name, mark)) in role.includes.iter().enumerate() {
        let Some(included) = book.role(name) else {
            let problem = RoleProblem::new("unknown-role", *mark, format!("there is no role `{name}`"));
            found.push(problem.unknown(name, names()));
            continue;
        };
        let back = book.closure(included);
        if back.iter().any(|one| one.name == role.name) {
            let message = format!("the role `{}` includes itself by way of `{name}`", role.name);
            found.push(RoleProblem::new("role-cycle", *mark, message));
            continue;
        }
        let others = role.includes.iter().enumerate().filter(|(other, _)| *other != index);
        let mut others = others.filter_map(|(other, (by, _))| Some((other, by, book.role(by)?)));
        let way = others.find(|(other, by, through)| {
            (*by == name && *other < index)
                || (*by != name && book.closure(through).iter().any(|one| one.name == *name))
        });
        if let Some((_, by, _)) = way {
            let message = format!("the role `{name}` is already included by way of `{by}`");
            found.push(RoleProblem::new("unreachable-rule", *mark, message));
        }
    }
}

fn holders(role: &Role, known: Known<'_>, found: &mut Vec<RoleProblem>) {
    for (index, holder) in role.holders.iter().enumerate() {
        let before = role.holders.iter().take(index);
        let is_same = |other: &super::Holder| {
            other.sign == holder.sign && (other.issuer.is_none() || other.issuer == holder.issuer)
        };
        if before.into_iter().any(is_same) {
            found.push(RoleProblem::new("unreachable-rule", holder.mark, "this is already said before"));
        }
        match &holder.issuer {
            Some(name) if !known.issuers.contains(name) => {
                let message = format!("there is no issuer `{name}`");
                let problem = RoleProblem::new("unknown-issuer", holder.mark, message);
                found.push(problem.unknown(name, known.issuers.to_vec()));
            }
            None if known.issuers.len() > 1 && holder.sign != Sign::Anonymous => {
                let message = "it is not said whose word counts";
                let problem = RoleProblem::new("missing-issuer", holder.mark, message);
                let names: Vec<String> = known.issuers.iter().map(|name| format!("`{name}`")).collect();
                found.push(problem.help(format!("add `issuer:` with one of {}", names.join(", "))));
            }
            None if known.issuers.is_empty() && holder.sign != Sign::Anonymous => {
                let message = "there is no issuer whose tokens could show it";
                found.push(RoleProblem::new("unreachable-rule", holder.mark, message));
            }
            _ => {}
        }
    }
}

fn grants(book: &Book, role: &Role, known: Known<'_>, found: &mut Vec<RoleProblem>) {
    let closure = book.closure(role);
    let is_anonymous = anonymous(book).contains(role.name.as_str());
    for (index, grant) in role.grants.iter().enumerate() {
        if let Some((text, mark)) = &grant.when
            && let Err(message) = is_condition(text)
        {
            found.push(RoleProblem::new("bad-condition", *mark, message));
        }
        // Zero trust: where nobody must show who they are, a network must not stand in for it.
        let reads_address = grant.when.as_ref().is_some_and(|(text, _)| reads_address(text));
        if is_anonymous && (!grant.from.is_empty() || reads_address) {
            let message = "without credentials, the network alone would grant this";
            let problem = RoleProblem::new("network-grants", grant.mark, message);
            found.push(problem.help("ask for a credential, or grant it to everybody"));
        }
        let covered: Vec<&ActionSpec> = known.actions.iter().filter(|one| grant.covers(one)).collect();
        if covered.is_empty() {
            found.push(unknown_action(grant, known.actions));
            continue;
        }
        let wider = closure.iter().find_map(|other| {
            let all = other.grants.iter().enumerate();
            let mut all = all.filter(|(number, _)| other.name != role.name || *number != index);
            let wide = all.find(|(number, wide)| {
                let is_own = other.name == role.name;
                let is_wide = covered.iter().all(|action| wide.covers(action));
                let is_equal = is_wide && known.actions.iter().all(|a| wide.covers(a) == grant.covers(a));
                let holds = wide.is_plain() || wide.is_narrowed_as(grant);
                // Of two that say the same, the later one is too much.
                let is_twin = is_equal && wide.is_narrowed_as(grant) && is_own && *number > index;
                is_wide && holds && !is_twin
            });
            wide.map(|(_, wide)| (other, wide))
        });
        if let Some((other, wide)) = wider {
            let message = format!(
                "`{}` is already granted by `{}` of the role `{}`",
                grant.action, wide.action, other.name
            );
            let problem = RoleProblem::new("unreachable-rule", grant.mark, message);
            found.push(problem.help("leave one of the two out"));
        }
    }
}

fn unknown_action(grant: &Grant, actions: &[ActionSpec]) -> RoleProblem {
    let name = &grant.action;
    let is_empty_group = actions.iter().any(|action| {
        ["read", "write"].iter().any(|group| format_smolstr!("{}.{group}", action.api) == *name)
    });
    let message = if is_empty_group {
        format!("the group `{name}` has no operation")
    } else {
        format!("there is no operation or group `{name}`")
    };
    let mut names: BTreeSet<SmolStr> = actions.iter().map(ActionSpec::name).collect();
    names.extend(actions.iter().flat_map(|action| [action.group(), action.api.clone()]));
    let in_other = names.iter().find(|known| known.split_once('.').is_some_and(|(_, last)| last == *name));
    let help = in_other.map(|known| format!("did you mean `{known}`?"));
    let problem = RoleProblem::new("unknown-operation", grant.mark, message);
    let names = names.into_iter().collect();
    RoleProblem { help, ..problem }.unknown(name, names)
}

/// A role that allows every operation.
#[derive(Debug, Clone, Copy)]
pub struct Unlimited<'b> {
    /// The role.
    pub role: &'b Role,
    /// Why, and who answers for it, where that is written.
    pub said: Option<(&'b str, Option<&'b str>)>,
    /// From when on it no longer allows all of them, in seconds since the epoch.
    pub until: Option<i64>,
}

/// The roles that allow every operation, in the book's order.
pub fn unlimited<'b>(book: &'b Book, actions: &[ActionSpec]) -> Vec<Unlimited<'b>> {
    book.roles.iter().filter_map(|role| unlimited_role(book, role, actions)).collect()
}

fn are_all(actions: &[ActionSpec], grants: &[&Grant]) -> bool {
    !actions.is_empty() && actions.iter().all(|action| grants.iter().any(|grant| grant.covers(action)))
}

/// The word of a role that it includes is enough.
fn unlimited_role<'b>(book: &'b Book, role: &'b Role, actions: &[ActionSpec]) -> Option<Unlimited<'b>> {
    let of = |role: &'b Role| book.closure(role).into_iter().flat_map(|one| &one.grants).collect::<Vec<_>>();
    let grants = of(role);
    if !are_all(actions, &grants) {
        return None;
    }
    let said = book.closure(role).into_iter().find_map(|one| {
        if let Some(reason) = one.reason.as_deref().filter(|_| are_all(actions, &of(one))) {
            return Some((reason, one.by.as_deref()));
        }
        let mut whole = one.grants.iter().filter(|grant| are_all(actions, &[grant]));
        whole.find_map(|grant| Some((grant.reason.as_deref()?, grant.by.as_deref().or(one.by.as_deref()))))
    });
    let mut ends: Vec<i64> = grants.iter().filter_map(|grant| grant.until).collect();
    ends.sort_unstable();
    let is_left = |end: i64| -> Vec<&Grant> {
        grants.iter().copied().filter(|grant| grant.until.is_none_or(|until| until > end)).collect()
    };
    let until = ends.into_iter().find(|end| !are_all(actions, &is_left(*end)));
    Some(Unlimited { role, said, until })
}

/// A role that allows everything must say why.
fn everything(book: &Book, role: &Role, actions: &[ActionSpec]) -> Option<RoleProblem> {
    if unlimited_role(book, role, actions)?.said.is_some() {
        return None;
    }
    let message = format!("the role `{}` allows every operation, and does not say why", role.name);
    let problem = RoleProblem::new("missing-reason", role.mark, message);
    Some(problem.help(format!("write a `reason:`, or name what it needs in place of `{EVERYTHING}`")))
}
