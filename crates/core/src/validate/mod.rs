//! validate: is it what the contract says.
//!
//! Path, query, header and cookie parameters, then the body: its media type, its encoding, its reading (see
//! [`json`](crate::json)) and its schema. Everything that is wrong is reported at once, and by place only: what
//! was sent is never quoted. Bodies that are neither JSON nor a form pass with their size limited and their
//! media type checked, and nothing else.

mod answer;
mod body;
mod decode;
mod media;
mod parameters;

use std::ops::Deref;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::authorize::Authorized;
use crate::contract::{Contract, OperationIndex, PathParameters};
use crate::halt::{Halt, Reason, Violation};
use crate::json::JsonLimits;
use crate::request::Request;

use crate::route::Route;

/// How strictly a route takes its contract. The default is strict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateRules {
    /// Whether requests are checked. When not, the phase passes everything.
    pub request: bool,
    /// Fields of a body that the document does not name.
    pub unknown_fields: Unknown,
    /// Query parameters that the document does not name.
    pub unknown_parameters: Unknown,
    /// Whether answers are checked, and what follows.
    pub answers: Answers,
    /// What a JSON text may be.
    pub json: JsonLimits,
}

impl Default for ValidateRules {
    fn default() -> Self {
        Self {
            request: true,
            unknown_fields: Unknown::Refuse,
            unknown_parameters: Unknown::Refuse,
            answers: Answers::Enforce,
            json: JsonLimits::default(),
        }
    }
}

/// What happens to what the document does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes unchecked.
    Allow,
}

/// What happens to an answer that breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answers {
    /// Nobody looks.
    Off,
    /// It passes and is recorded.
    Observe,
    /// It does not leave.
    #[default]
    Enforce,
}

/// Proof that path, query, headers and body meet the contract.
#[derive(Debug)]
pub struct Validated {
    authorized: Authorized,
    document: Option<Value>,
}

impl Validated {
    /// The body as a value, where it is JSON or a form. It says what the bytes say: they have one reading.
    pub fn document(&self) -> Option<&Value> {
        self.document.as_ref()
    }
}

impl Deref for Validated {
    type Target = Authorized;
    fn deref(&self) -> &Authorized {
        &self.authorized
    }
}

/// Takes an allowed request; proves that its parameters and body meet the contract.
///
/// # Errors
/// 400 for parameters and for a body that has no reading or should not be there, 415 for a media type or encoding
/// that is not in the contract, 422 for a body that breaks its schema; 500 if the operation is gone.
pub fn validate(request: Request<Authorized>) -> Result<Request<Validated>, Halt> {
    let document = {
        let stage = request.stage();
        let (route, operation) = (stage.route(), stage.operation());
        let head = request.head();
        let subject = Subject {
            query: head.query.as_deref().unwrap_or_default(),
            headers: &head.headers,
            path: stage.path_parameters(),
            body: request.body(),
        };
        if route.validate.request {
            check(&route.contract, &route.validate, operation, &subject)?
        } else {
            None
        }
    };
    Ok(request.advance(|authorized| Validated { authorized, document }))
}

/// Whether [`validate_answer`] needs the whole body: JSON with a schema is looked into, and an answer that must
/// have no body is looked at.
pub fn answer_needs_body(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
) -> bool {
    answer::needs_body(&route.contract, &route.validate, operation, status, headers)
}

/// Takes an answer with its whole body, or an empty one where [`answer_needs_body`] said no; returns its document.
///
/// Checks status, media type and JSON schema, in which `writeOnly` fields may not appear. Headers are not checked.
/// Says what is wrong unless [`Answers`] is off: the caller observes or enforces.
///
/// # Errors
/// All that is wrong, at most 32.
pub fn validate_answer(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Value>, Vec<Violation>> {
    answer::check(&route.contract, &route.validate, operation, status, headers, body)
}

/// What of a request is checked.
struct Subject<'r> {
    query: &'r str,
    headers: &'r HeaderMap,
    path: &'r PathParameters,
    body: &'r [u8],
}

fn check(
    contract: &Contract,
    rules: &ValidateRules,
    operation: OperationIndex,
    subject: &Subject<'_>,
) -> Result<Option<Value>, Halt> {
    let Some(operation) = contract.operation(operation) else {
        return Err(Halt::new(Reason::Internal, "the operation is not in the contract"));
    };
    parameters::check(contract, rules, operation, subject)?;
    body::check(contract, rules, operation, subject.headers, subject.body)
}

/// A violation without allocation of what is constant.
fn violation(at: impl Into<String>, message: &str) -> Violation {
    Violation { at: at.into(), message: message.to_owned() }
}

#[cfg(test)]
mod tests;
