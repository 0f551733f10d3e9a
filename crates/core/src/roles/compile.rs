//! A roles file as Cedar policies, with ids that a person can read in a record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};

use super::{Book, EVERYTHING, Grant, Mark, PREFIX, Role, Sign};
use crate::policy::{ActionSpec, Roles, quoted};

/// What a roles file comes to.
#[derive(Debug, Clone, Default)]
pub struct CompiledRoles {
    /// Which roles there are, who has them, and which they include.
    pub roles: Roles,
    /// Their policies.
    pub policies: Vec<RolePolicy>,
}

/// One policy of a roles file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePolicy {
    /// `role:<role>/<action>`; a second one of the same name has `#2` after it, and what holds for callers without
    /// credentials `@anonymous`.
    pub id: SmolStr,
    /// Where the grant is written.
    pub mark: Mark,
    /// Name of the role.
    pub role: SmolStr,
    /// Which of the role's grants it is, from 0.
    pub grant: usize,
    /// The policy as Cedar text.
    pub text: String,
}

/// Compiles a book in which [`check`](super::check) found nothing wrong. What it did find wrong grants nothing here.
pub fn compile(book: &Book, actions: &[ActionSpec]) -> CompiledRoles {
    let direct = book.roles.iter().map(|role| {
        let included = role.includes.iter().map(|(name, _)| name.as_str());
        (role.name.as_str(), included.filter(|name| book.role(name).is_some()).collect())
    });
    let Ok(roles) = Roles::new(direct.collect::<Vec<_>>()) else { return CompiledRoles::default() };
    let anonymous = anonymous(book);
    let mut numbers: BTreeMap<SmolStr, usize> = BTreeMap::new();
    let mut policies = Vec::new();
    for role in &book.roles {
        for (index, grant) in role.grants.iter().enumerate() {
            let base = format_smolstr!("{PREFIX}{}/{}", role.name, grant.action);
            let number = numbers.entry(base.clone()).or_insert(0);
            *number = number.saturating_add(1);
            let id = if *number == 1 { base } else { format_smolstr!("{base}#{number}") };
            let mut add = |id: SmolStr, principal: &str| {
                let text = policy(&id, principal, grant, actions);
                let (role, mark) = (role.name.clone(), grant.mark);
                policies.push(RolePolicy { id, mark, role, grant: index, text });
            };
            if anonymous.contains(role.name.as_str()) {
                add(format_smolstr!("{id}@anonymous"), "principal is Anonymous");
            }
            add(id, &format!("principal in Role::{}", quoted(&role.name)));
        }
    }
    CompiledRoles { roles: roles.held_as(Arc::new(book.clone())), policies }
}

/// Roles that callers without credentials have, with what those include.
pub(super) fn anonymous(book: &Book) -> BTreeSet<&str> {
    let is_anonymous = |role: &&Role| role.holders.iter().any(|holder| holder.sign == Sign::Anonymous);
    let held = book.roles.iter().filter(is_anonymous);
    held.flat_map(|role| book.closure(role)).map(|role| role.name.as_str()).collect()
}

fn policy(id: &str, principal: &str, grant: &Grant, actions: &[ActionSpec]) -> String {
    let action = quoted(&grant.action);
    let action = if grant.action == EVERYTHING {
        "action".to_owned()
    } else if actions.iter().any(|one| one.name() == grant.action) {
        format!("action == Action::{action}")
    } else {
        format!("action in Action::{action}")
    };
    let mut text = format!("@id({})\npermit ({principal}, {action}, resource)", quoted(id));
    // A String takes whatever is written to it: there is no error to look at, here and below.
    if !grant.from.is_empty() {
        let networks =
            grant.from.iter().map(|network| format!("context.address.isInRange(ip(\"{network}\"))"));
        let networks: Vec<String> = networks.collect();
        let _ = write!(text, "\nwhen {{ {} }}", networks.join(" || "));
    }
    if let Some(until) = grant.until {
        let _ = write!(text, "\nwhen {{ context.time < {until} }}");
    }
    if let Some((condition, _)) = &grant.when {
        // It is an expression when read alone, so it can neither end the policy nor begin another one; the line
        // break ends a comment in it.
        let _ = write!(text, "\nwhen {{ (\n{condition}\n) }}");
    }
    text.push_str(";\n");
    text
}
