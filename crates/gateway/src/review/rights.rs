//! What roles and Cedar files allow, in a form that outlives both; and what grew since an older form of it.

use std::path::Path;

use ipnet::IpNet;
use jiff::Timestamp;
use portcullis_core::policy::{ActionSpec, Policy, Written};
use portcullis_core::roles::{Book, Grant, PREFIX, Role};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Grown;
use super::waivers::WaiverReview;
use crate::config::settings::Roles;
use crate::config::{Diagnostics, Files, roles};

/// In the place of a role, where it is about the operator's own policies. Names of roles are
/// of lower-case letters.
pub(super) const CEDAR: &str = "Cedar";

/// All that somebody may do: what a later review is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// What each role may call, those included.
    pub roles: Vec<Right>,
    /// Who has each role.
    pub holders: Vec<Holders>,
    /// The grants as they are written: role and what they name.
    pub grants: Vec<(SmolStr, SmolStr)>,
    /// The operator's own policies.
    pub cedar: Vec<CedarPolicy>,
}

/// Who has a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// The role.
    pub role: SmolStr,
    /// What shows it, in words.
    pub signs: Vec<String>,
    /// Whether somebody wrote why there is such a role.
    pub has_reason: bool,
}

/// What a role may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// The role.
    pub role: SmolStr,
    /// The operation.
    pub action: SmolStr,
    /// Under which terms; one of them is enough.
    pub terms: Vec<Term>,
}

/// What narrows a grant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The networks; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<IpNet>,
    /// The condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether somebody wrote why.
    #[serde(default)]
    pub has_reason: bool,
}

/// A policy of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CedarPolicy {
    /// Its id.
    pub id: SmolStr,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// Its text.
    pub text: String,
    /// Its `@reason`.
    pub reason: Option<String>,
}

/// What a review is compared with.
#[derive(Debug, Clone)]
pub enum Former {
    /// An older roles file.
    File(Box<Roles>),
    /// An older review: it knows Cedar policies and waivers as well.
    Review(Box<FormerReview>),
}

/// What counts of an older review.
#[derive(Debug, Clone, Deserialize)]
pub struct FormerReview {
    /// What it found that somebody may do.
    pub rights: Rights,
    /// What was waived then.
    #[serde(default)]
    pub waivers: Vec<WaiverReview>,
}

impl Former {
    /// Reads an older roles file, or the JSON of an older review.
    ///
    /// # Errors
    /// Everything that is wrong with it, also that it cannot be read.
    pub fn read(path: &Path, files: &dyn Files) -> Result<Self, Diagnostics> {
        let bytes = files.read(path).unwrap_or_default();
        match serde_json::from_slice::<FormerReview>(&bytes) {
            Ok(review) => Ok(Self::Review(Box::new(review))),
            // Whatever is no review is a roles file, and what is wrong with it is said of one.
            Err(_) => roles::read_from(path, files).map(|roles| Self::File(Box::new(roles))),
        }
    }

    pub(super) fn rights(&self, actions: &[ActionSpec]) -> Rights {
        match self {
            Self::File(roles) => Rights::of(&roles.book, actions),
            Self::Review(review) => review.rights.clone(),
        }
    }
}

impl Rights {
    /// What a roles file allows.
    pub(super) fn of(book: &Book, actions: &[ActionSpec]) -> Self {
        let mut rights = Self::default();
        for role in &book.roles {
            let signs = role.holders.iter().map(|one| one.describe()).collect();
            let has_reason = role.reason.is_some();
            rights.holders.push(Holders { role: role.name.clone(), signs, has_reason });
            rights.grants.extend(role.grants.iter().map(|grant| (role.name.clone(), grant.action.clone())));
            for action in actions {
                let terms = terms(book, role, action);
                if !terms.is_empty() {
                    rights.roles.push(Right { role: role.name.clone(), action: action.name(), terms });
                }
            }
        }
        rights
    }

    /// The same with the policies of the operator's own files.
    pub(super) fn with_cedar(self, policy: &Policy) -> Self {
        let own = policy.written().into_iter().filter(|one| !one.id.starts_with(PREFIX));
        let cedar =
            own.map(|Written { id, forbids, text, reason, .. }| CedarPolicy { id, forbids, text, reason });
        Self { cedar: cedar.collect(), ..self }
    }

    fn terms(&self, role: &str, action: &str) -> &[Term] {
        let found = self.roles.iter().find(|right| right.role == role && right.action == action);
        found.map_or(&[], |right| &right.terms)
    }
}

/// The terms under which a role may call an operation, by its own grants and those of the roles that it includes.
fn terms(book: &Book, role: &Role, action: &ActionSpec) -> Vec<Term> {
    let term = |role: &Role, grant: &Grant| Term {
        from: grant.from.clone(),
        when: grant.when.as_ref().map(|(text, _)| text.trim().to_owned()),
        until: grant.until.and_then(|until| Timestamp::from_second(until).ok()),
        has_reason: grant.reason.is_some() || role.reason.is_some(),
    };
    let closure = book.closure(role).into_iter();
    let grants = closure.flat_map(|one| one.grants.iter().map(move |grant| (one, grant)));
    grants.filter(|(_, grant)| grant.covers(action)).map(|(role, grant)| term(role, grant)).collect()
}

impl Term {
    fn is_plain(&self) -> bool {
        self.from.is_empty() && self.when.is_none() && self.until.is_none()
    }

    /// Whether this held wherever `other` holds, as far as can be seen without asking a solver.
    fn implies(&self, other: &Self) -> bool {
        let is_from = self.from.is_empty()
            || !other.from.is_empty()
                && other.from.iter().all(|new| self.from.iter().any(|old| old.contains(new)));
        let is_when = self.when.is_none() || self.when == other.when;
        let is_until = self.until.is_none_or(|old| other.until.is_some_and(|new| new <= old));
        is_from && is_when && is_until
    }
}

/// What may be done now and could not be done `before`.
pub(super) fn grown(before: &Rights, after: &Rights, knows_cedar: bool, now: i64) -> Vec<Grown> {
    let mut grown: Vec<Grown> = Vec::new();
    for Holders { role, signs, has_reason } in &after.holders {
        let rights = after.roles.iter().filter(|right| right.role == *role);
        for right in rights {
            let old = before.terms(role, &right.action);
            let fresh =
                right.terms.iter().filter(|new| new.until.is_none_or(|until| until.as_second() > now));
            for new in fresh.filter(|new| !old.iter().any(|old| old.implies(new))) {
                let what = format!("may call `{}`{}", right.action, how(old, new));
                match grown.iter_mut().find(|one| one.role == *role && one.what == what) {
                    Some(known) => known.has_reason |= new.has_reason,
                    None => grown.push(Grown { role: role.clone(), what, has_reason: new.has_reason }),
                }
            }
        }
        let Some(known) = before.holders.iter().find(|old| old.role == *role) else { continue };
        for sign in signs.iter().filter(|sign| !known.signs.contains(sign)) {
            let what = format!("is had by {sign}");
            grown.push(Grown { role: role.clone(), what, has_reason: *has_reason });
        }
    }
    if knows_cedar {
        grown.extend(grown_cedar(&before.cedar, &after.cedar));
    }
    grown
}

fn how(old: &[Term], new: &Term) -> String {
    let same = |term: &&Term| term.from == new.from && term.when == new.when;
    if old.is_empty() {
        return if new.is_plain() { String::new() } else { " under a condition".to_owned() };
    }
    match (new.until, old.iter().any(|term| same(&term))) {
        (Some(until), true) => format!(" for longer, until {until}"),
        (None, true) => " without an end".to_owned(),
        _ if new.is_plain() => " without a condition".to_owned(),
        _ => " under another condition".to_owned(),
    }
}

/// Permits that are new or say something else, and forbids that are gone or do.
fn grown_cedar(before: &[CedarPolicy], after: &[CedarPolicy]) -> Vec<Grown> {
    let cedar = |what: String, has_reason| Grown { role: SmolStr::new_static(CEDAR), what, has_reason };
    let mut grown = Vec::new();
    for new in after {
        let has_reason = new.reason.is_some();
        match before.iter().find(|old| old.id == new.id) {
            None if !new.forbids => grown.push(cedar(format!("has the permit `{}`", new.id), has_reason)),
            Some(old) if old.text != new.text => {
                grown.push(cedar(format!("says something else in `{}`", new.id), has_reason));
            }
            _ => {}
        }
    }
    let is_gone = |old: &&CedarPolicy| old.forbids && !after.iter().any(|new| new.id == old.id);
    grown.extend(
        before.iter().filter(is_gone).map(|old| cedar(format!("lacks the forbid `{}`", old.id), false)),
    );
    grown
}
