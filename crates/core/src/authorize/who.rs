//! Whom a line of the configuration names.

use std::fmt;

use serde_json::{Map, Value};
use smol_str::{SmolStr, ToSmolStr};

use crate::identify::{Identity, Principal};

/// Some of all callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody, also who is not identified.
    Anyone,
    /// Who has the role.
    Role(Box<str>),
    /// Whose token has the scope.
    Scope(Box<str>),
    /// Whose claim says exactly this.
    Claim {
        /// Its name, or a path of names with dots between.
        claim: Box<str>,
        /// What it says.
        value: Box<str>,
    },
}

impl Who {
    /// Reads `anyone`, `role:NAME`, `scope:NAME` or `claim:PATH=VALUE`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |rest: &str| (!rest.is_empty()).then(|| rest.into());
        if text == "anyone" {
            Some(Self::Anyone)
        } else if let Some(role) = text.strip_prefix("role:") {
            named(role).map(Self::Role)
        } else if let Some(scope) = text.strip_prefix("scope:") {
            named(scope).map(Self::Scope)
        } else {
            let (claim, value) = text.strip_prefix("claim:")?.split_once('=')?;
            Some(Self::Claim { claim: named(claim)?, value: named(value)? })
        }
    }

    /// Whether it names this caller.
    pub fn names(&self, principal: &Principal) -> bool {
        let Principal::Identity(identity) = principal else { return *self == Self::Anyone };
        match self {
            Self::Anyone => true,
            Self::Role(role) => identity.roles.contains(role),
            Self::Scope(scope) => identity.scopes.contains(scope),
            Self::Claim { claim, value } => self::claim(identity, claim).is_some_and(|said| *said == **value),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Scope(scope) => write!(f, "scope:{scope}"),
            Self::Claim { claim, value } => write!(f, "claim:{claim}={value}"),
        }
    }
}

/// A claim as text: a string, or a whole number as it is written. Nothing else can name somebody.
pub(super) fn claim(identity: &Identity, path: &str) -> Option<SmolStr> {
    if path == "sub" {
        return (!identity.subject.is_empty()).then(|| SmolStr::new(&identity.subject));
    }
    match value(&identity.claims, path)? {
        Value::String(text) if !text.is_empty() => Some(SmolStr::new(text)),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_smolstr()),
        _ => None,
    }
}

fn value<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    // A name may itself have dots in it, as in `https://example.com/tenant`.
    claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}
