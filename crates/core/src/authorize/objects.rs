//! Object rules: a parameter that must name what is the caller's own.

use std::borrow::Cow;

use serde_json::{Map, Value};
use smol_str::{SmolStr, ToSmolStr};

use crate::identify::Principal;
use crate::policy::query::{pair, raw_pairs};
use crate::policy::{ActionKind, ActionSpec};

/// A parameter that must equal a claim of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRule {
    /// Name of a path or query parameter.
    pub parameter: Box<str>,
    /// The claim: its name, or a path of names with dots between. `sub` is the subject.
    pub owner_claim: Box<str>,
}

/// Why an object is not the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ObjectError {
    #[error("object rule `{0}`: the caller is anonymous")]
    Anonymous(Box<str>),
    #[error("object rule `{0}`: the caller has no usable claim `{1}`")]
    NoClaim(Box<str>, Box<str>),
    #[error("object rule `{0}`: the operation declares the parameter and the request lacks it")]
    Missing(Box<str>),
    #[error("object rule `{0}`: the query has more than one reading")]
    Ambiguous(Box<str>),
    #[error("object rule `{0}`: the parameter is not the caller's claim `{1}`")]
    Differs(Box<str>, Box<str>),
}

/// The places where a request can name an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'r> {
    /// Path parameters, decoded.
    pub(super) path: &'r [(Box<str>, Box<str>)],
    /// The raw query.
    pub(super) query: Option<&'r str>,
    /// What the operation declares, where that is known.
    pub(super) spec: Option<&'r ActionSpec>,
}

impl ObjectRule {
    /// Holds when every value of the parameter, wherever it occurs, is the caller's claim. A parameter that the
    /// operation declares must occur: leaving an optional one out must not mean everybody's objects.
    pub(super) fn check(&self, principal: &Principal, named: Named<'_>) -> Result<(), ObjectError> {
        let found = self.values(named)?;
        if found.is_empty() && !named.spec.is_some_and(|spec| declares(spec, &self.parameter)) {
            return Ok(());
        }
        // SMUGGLING: to some upstreams `;` ends a pair, and another value of the parameter could stand behind it.
        if named.query.is_some_and(|query| query.contains(';')) {
            return Err(ObjectError::Ambiguous(self.parameter.clone()));
        }
        let Principal::Identity(identity) = principal else {
            return Err(ObjectError::Anonymous(self.parameter.clone()));
        };
        if found.is_empty() {
            return Err(ObjectError::Missing(self.parameter.clone()));
        }
        let Some(owner) = claim(&identity.claims, &identity.subject, &self.owner_claim) else {
            return Err(ObjectError::NoClaim(self.parameter.clone(), self.owner_claim.clone()));
        };
        if found.iter().all(|value| **value == *owner) {
            Ok(())
        } else {
            Err(ObjectError::Differs(self.parameter.clone(), self.owner_claim.clone()))
        }
    }

    fn values<'r>(&self, named: Named<'r>) -> Result<Vec<Cow<'r, str>>, ObjectError> {
        let in_path = named.path.iter().filter(|(name, _)| **name == *self.parameter);
        let mut values: Vec<Cow<'r, str>> = in_path.map(|(_, value)| Cow::Borrowed(&**value)).collect();
        let Some(query) = named.query else { return Ok(values) };
        for raw in raw_pairs(query) {
            let ambiguous = || ObjectError::Ambiguous(self.parameter.clone());
            let (name, value) = pair(raw).ok_or_else(ambiguous)?;
            // SMUGGLING: some upstreams ignore the case of names, and some read `name[]` as `name`.
            if base(&name).eq_ignore_ascii_case(&self.parameter) {
                // SMUGGLING: `+` is a space to some upstreams and itself to others.
                if raw.contains('+') {
                    return Err(ambiguous());
                }
                values.push(value);
            }
        }
        Ok(values)
    }
}

fn base(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

fn declares(spec: &ActionSpec, parameter: &str) -> bool {
    match &spec.kind {
        ActionKind::Rest { path, query } => path.iter().chain(query).any(|name| name == parameter),
        ActionKind::Model => false,
    }
}

/// A claim as text: a string, or a whole number as it is written. Nothing else can name an object.
fn claim(claims: &Map<String, Value>, subject: &str, path: &str) -> Option<SmolStr> {
    if path == "sub" {
        return (!subject.is_empty()).then(|| SmolStr::new(subject));
    }
    // A name may itself have dots in it, as in `https://example.com/tenant`.
    let value = claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })?;
    match value {
        Value::String(text) if !text.is_empty() => Some(SmolStr::new(text)),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_smolstr()),
        _ => None,
    }
}
