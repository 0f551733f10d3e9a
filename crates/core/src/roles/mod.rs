//! Roles: who has which, and what each may call; the least that is written, and nothing else.
//!
//! A [`Book`] is a roles file in plain data. [`check`] says everything that is wrong with it, [`compile`] turns it
//! into Cedar policies that the engine takes beside the operator's own. A role can only be had by a [`Sign`] that
//! the book names: what an issuer writes into a token is never itself a role where there is a book.

mod check;
mod compile;

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;
use smol_str::SmolStr;

pub use check::{Known, RoleProblem, Unlimited, check, unlimited};
pub use compile::{CompiledRoles, RolePolicy, compile};

use crate::identify::Identity;
use crate::policy::ActionSpec;

/// What every id of a policy that comes from a roles file begins with.
pub const PREFIX: &str = "role:";

/// The action of a grant that means all of them.
pub const EVERYTHING: &str = "*";

/// By which whoever read the text finds the place of something in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Mark(pub u32);

/// A roles file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// The roles, in the file's order.
    pub roles: Vec<Role>,
}

/// One role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub name: SmolStr,
    /// Where the name is written.
    pub mark: Mark,
    /// Why there is such a role.
    pub reason: Option<String>,
    /// Who answers for it.
    pub by: Option<String>,
    /// Who has it.
    pub holders: Vec<Holder>,
    /// Roles whose grants it has as well.
    pub includes: Vec<(SmolStr, Mark)>,
    /// What it may call.
    pub grants: Vec<Grant>,
}

/// Somebody who has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Where it is written.
    pub mark: Mark,
    /// The issuer whose word counts; `None` for the only one there is.
    pub issuer: Option<SmolStr>,
    /// What shows it.
    pub sign: Sign,
}

/// What shows that a caller has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// A call without credentials.
    Anonymous,
    /// One of `roles` and `groups` of the token.
    Group(SmolStr),
    /// A scope of the token.
    Scope(SmolStr),
    /// The token's `sub`.
    Subject(SmolStr),
    /// A claim, by its path, that is this text, number or truth value, or a list that has it.
    Claim(SmolStr, SmolStr),
}

/// What a role may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Where it is written.
    pub mark: Mark,
    /// An operation (`orders.get`), a group of them (`orders.read`, `orders.write`, `orders`), or [`EVERYTHING`].
    pub action: SmolStr,
    /// Networks from which alone it holds; empty for all.
    pub from: Vec<IpNet>,
    /// A Cedar condition without which it does not hold.
    pub when: Option<(String, Mark)>,
    /// From when on it no longer holds, in seconds since the epoch.
    pub until: Option<i64>,
    /// Why it was given.
    pub reason: Option<String>,
    /// Who answers for it.
    pub by: Option<String>,
}

impl Grant {
    /// Whether nothing but the role and the action decides.
    pub fn is_plain(&self) -> bool {
        self.from.is_empty() && self.when.is_none() && self.until.is_none()
    }

    /// Whether both hold under the very same conditions.
    fn is_narrowed_as(&self, other: &Self) -> bool {
        let text = |grant: &Self| grant.when.as_ref().map(|(text, _)| text.trim().to_owned());
        self.from == other.from && self.until == other.until && text(self) == text(other)
    }

    /// Whether the grant names this action, or a group that it is in.
    pub fn covers(&self, action: &ActionSpec) -> bool {
        let name = &self.action;
        *name == EVERYTHING || *name == action.name() || *name == action.group() || *name == action.api
    }
}

impl Holder {
    /// Whether this verified identity shows the sign.
    fn is_shown_by(&self, identity: &Identity) -> bool {
        if self.issuer.as_ref().is_some_and(|issuer| **issuer != *identity.issuer) {
            return false;
        }
        let has = |list: &[Box<str>], wanted: &SmolStr| list.iter().any(|one| **one == **wanted);
        match &self.sign {
            Sign::Anonymous => false,
            Sign::Group(name) => has(&identity.roles, name),
            Sign::Scope(name) => has(&identity.scopes, name),
            Sign::Subject(name) => *identity.subject == **name,
            Sign::Claim(path, wanted) => identity.claim(path).is_some_and(|claim| is_value(claim, wanted)),
        }
    }

    /// In words, for people.
    pub fn describe(&self) -> String {
        let what = match &self.sign {
            Sign::Anonymous => return "no credential".to_owned(),
            Sign::Group(name) => format!("group `{name}`"),
            Sign::Scope(name) => format!("scope `{name}`"),
            Sign::Subject(name) => format!("subject `{name}`"),
            Sign::Claim(path, value) => format!("claim `{path}` with `{value}`"),
        };
        match &self.issuer {
            Some(issuer) => format!("{what} of issuer `{issuer}`"),
            None => what,
        }
    }
}

fn is_value(claim: &Value, wanted: &str) -> bool {
    match claim {
        Value::String(text) => text == wanted,
        Value::Bool(value) => wanted == if *value { "true" } else { "false" },
        Value::Number(number) => number.to_string() == wanted,
        // One level: a list of lists names nothing that an operator could have meant.
        Value::Array(items) => items.iter().any(|item| !item.is_array() && is_value(item, wanted)),
        Value::Null | Value::Object(_) => false,
    }
}

impl Role {
    /// Whether a verified identity has the role of its own, not by way of another role.
    pub fn is_held_by(&self, identity: &Identity) -> bool {
        self.holders.iter().any(|holder| holder.is_shown_by(identity))
    }
}

impl Book {
    /// A role by its name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// A role and all that it includes, itself first. Ends also where roles include each other in a circle.
    pub fn closure<'b>(&'b self, role: &'b Role) -> Vec<&'b Role> {
        let mut found: Vec<&Role> = vec![role];
        let mut next = 0;
        while let Some(role) = found.get(next) {
            let included = role.includes.iter().filter_map(|(name, _)| self.role(name));
            let fresh: Vec<&Role> =
                included.filter(|role| !found.iter().any(|one| one.name == role.name)).collect();
            found.extend(fresh);
            next = next.saturating_add(1);
        }
        found
    }

    /// The names of the roles that somebody can have: of their own, or by way of another.
    fn reachable(&self) -> BTreeSet<&str> {
        let held = self.roles.iter().filter(|role| !role.holders.is_empty());
        held.flat_map(|role| self.closure(role)).map(|role| role.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests;
