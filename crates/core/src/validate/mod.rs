//! validate: is it what the contract says.
//!
//! Path, query, header and cookie parameters, then the body: its media type, its encoding, its reading (see
//! [`json`](crate::json)) and its schema. Everything that is wrong is reported at once, and by place only: what
//! was sent is never quoted. JSON, lines of JSON, forms of both kinds and texts are read; other bodies pass with their
//! size limited and their media type checked, and with the bounds that a schema of text sets them.

mod answer;
mod body;
mod decode;
mod excise;
mod form;
mod media;
mod multipart;
mod parameters;
mod read;

use std::ops::Deref;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::authorize::Authorized;
use crate::contract::shelf::MOST_VIOLATIONS;
use crate::contract::{Contract, OperationIndex, PathParameters};
use crate::halt::{Halt, Reason, Violation};
use crate::identify::Principal;
use crate::json::JsonLimits;
use crate::mcp::Message;
use crate::request::{Head, Request};

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
    /// Fields of an answer that the document does not name, where nothing is stripped.
    pub unknown_answers: Unknown,
    /// Who is told what is wrong with a request.
    pub violations: Told,
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
            unknown_answers: Unknown::Allow,
            violations: Told::All,
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
    /// Fields and headers that the document does not name are taken out; with anything else it does not leave.
    Strip,
    /// It does not leave.
    #[default]
    Enforce,
}

/// Who is told where a request breaks the contract. All have passed `authorize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Told {
    /// Everybody who may call the operation.
    #[default]
    All,
    /// Those among them who were identified.
    Identified,
    /// Nobody: the record alone says it.
    Nobody,
}

/// An answer that meets its contract.
#[derive(Debug, Default, PartialEq)]
pub struct HeldAnswer {
    /// Its body as a value, where it was read.
    pub document: Option<Value>,
    /// Its body without what the contract does not name; `None` when it stays as it came.
    pub body: Option<Vec<u8>>,
}

impl HeldAnswer {
    fn of(document: Option<Value>) -> Self {
        Self { document, body: None }
    }
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
        if let Some(call) = stage.graph() {
            // Its schema was asked when it was known that the caller may know it; here it is told.
            let is_told = told(route.validate.violations, stage.principal());
            call.judged().map_err(|fault| fault.halt(is_told))?;
            None
        } else if let Some(call) = stage.mcp() {
            let violations = call.message.as_ref().map(Message::violations).unwrap_or_default();
            if !violations.is_empty() {
                let halt = Halt::new(Reason::BodyInvalid, "the message breaks the protocol");
                let halt = halt.with_violations(violations.to_vec());
                let is_told = told(route.validate.violations, stage.principal());
                return Err(if is_told { halt } else { untold(halt) });
            }
            None
        } else if route.validate.request {
            let is_told = told(route.validate.violations, stage.principal());
            let checked = match &route.grpc {
                Some(grpc) => grpc
                    .check_request(operation, head, request.body(), route.validate.unknown_fields)
                    .map(|()| None),
                None => check(&route.contract, &route.validate, operation, &subject),
            };
            checked.map_err(|halt| if is_told { halt } else { untold(halt) })?
        } else {
            None
        }
    };
    Ok(request.advance(|authorized| Validated { authorized, document }))
}

/// Holds a request of an HTTP API that nobody sent to its contract, as [`validate`] would: for explanations. It proves
/// nothing, and tells everything that is wrong.
///
/// # Errors
/// As [`validate`].
pub fn suppose(
    route: &Route,
    operation: OperationIndex,
    path: &PathParameters,
    head: &Head,
    body: &[u8],
) -> Result<(), Halt> {
    let query = head.query.as_deref().unwrap_or_default();
    let subject = Subject { query, headers: &head.headers, path, body };
    check(&route.contract, &route.validate, operation, &subject).map(drop)
}

/// Whether [`validate_answer`] needs the whole body: what has a schema is looked into, and an answer that must have
/// no body is looked at.
pub fn answer_needs_body(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
) -> bool {
    answered(route, operation, status, headers).needs_body()
}

/// Takes the head of an answer; returns what is wrong with its status, media type and declared headers.
///
/// For answers whose body is not read; [`validate_answer`] says the same and more.
pub fn validate_answer_head(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
) -> Vec<Violation> {
    answered(route, operation, status, headers).head()
}

/// Takes an answer with its whole body; returns its document, and its body where something was stripped from it.
///
/// Checks status, declared headers, media type and schema, in which `writeOnly` fields may not appear. Says what is
/// wrong unless [`Answers`] is off: the caller observes or enforces.
///
/// # Errors
/// All that is wrong, at most 32.
pub fn validate_answer(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<HeldAnswer, Vec<Violation>> {
    answered(route, operation, status, headers).check(body)
}

/// An answer of JSON lines, held to its contract as it comes.
#[derive(Debug)]
pub struct AnswerLines {
    route: Arc<Route>,
    operation: OperationIndex,
    status: StatusCode,
    headers: HeaderMap,
    lines: answer::Lines,
}

impl AnswerLines {
    /// `None` where the answer is no list of JSON lines, or no schema speaks of single ones: see [`validate_answer`].
    pub fn new(
        route: &Arc<Route>,
        operation: OperationIndex,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let lines = answer::Lines::of(answered(route, operation, status, headers))?;
        Some(Self { route: Arc::clone(route), operation, status, headers: HeaderMap::new(), lines })
    }

    /// Takes the next line, with or without its end; returns what leaves in its place where something was stripped.
    ///
    /// # Errors
    /// All that is wrong with it, each place below the line's number, counted from 0.
    pub fn next(&mut self, line: &[u8]) -> Result<Option<Vec<u8>>, Vec<Violation>> {
        self.lines.next(answered(&self.route, self.operation, self.status, &self.headers), line)
    }
}

/// Drops the headers of an answer that the contract does not declare and HTTP does not need, where the route strips.
pub fn strip_answer_headers(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &mut HeaderMap,
) {
    if route.validate.answers == Answers::Strip {
        // RFC 9110 section 15.4.5: 304 says the headers that 200 would have said.
        let status = if status == StatusCode::NOT_MODIFIED { StatusCode::OK } else { status };
        let declared = route.contract.operation(operation).and_then(|operation| operation.answer(status));
        answer::strip_headers(declared, headers);
    }
}

fn answered<'a>(
    route: &'a Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &'a HeaderMap,
) -> answer::Answered<'a> {
    answer::Answered { contract: &route.contract, rules: &route.validate, operation, status, headers }
}

fn told(told: Told, principal: &Principal) -> bool {
    match told {
        Told::All => true,
        Told::Identified => !matches!(principal, Principal::Anonymous),
        Told::Nobody => false,
    }
}

/// Moves what the contract found wrong from what the client is told to what the record says.
fn untold(mut halt: Halt) -> Halt {
    if let Halt::Refusal(refusal) | Halt::Fault(refusal) = &mut halt {
        let mut detail = std::mem::take(&mut refusal.detail).into_owned();
        for one in std::mem::take(&mut refusal.violations) {
            detail.push_str("; ");
            detail.push_str(&one.at);
            detail.push(' ');
            detail.push_str(&one.message);
        }
        refusal.detail = detail.into();
    }
    halt
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
    let parameters = parameters::check(contract, rules, operation, subject);
    let body = body::check(contract, rules, operation, subject.headers, subject.body);
    match (parameters, body) {
        (Ok(()), body) => body,
        // Whoever mends a request wants to know all that is wrong with it.
        (Err(parameters), Err(Halt::Refusal(body))) => Err(joined(parameters, body.violations)),
        (Err(parameters), _) => Err(parameters),
    }
}

fn joined(mut halt: Halt, more: Vec<Violation>) -> Halt {
    if let Halt::Refusal(refusal) = &mut halt {
        refusal.violations.extend(more);
        refusal.violations.truncate(MOST_VIOLATIONS);
    }
    halt
}

/// A violation without allocation of what is constant.
fn violation(at: impl Into<String>, message: &str) -> Violation {
    Violation { at: at.into(), message: message.to_owned() }
}

#[cfg(test)]
mod tests;
