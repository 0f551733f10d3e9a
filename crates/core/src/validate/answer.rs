//! Whether an upstream's answer is what the contract says.

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::body::LARGE;
use super::{Answers, media, violation};
use crate::contract::{DeclaredAnswer, Operation, OperationIndex, names};
use crate::halt::Violation;
use crate::json;
use crate::route::Route;

/// Whether [`validate_answer`] needs the whole body: only JSON with a schema is looked into.
pub fn answer_needs_body(
    route: &Route,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
) -> bool {
    if route.validate.answers == Answers::Off {
        return false;
    }
    let Some(operation) = route.contract.operation(operation) else { return false };
    let declared = operation.answer(status).map(|answer| answer.content.as_slice()).unwrap_or_default();
    media::media_type(headers).is_ok_and(|media| {
        names::is_json(&media) && media::declared(declared, &media).is_some_and(|entry| entry.has_schema())
    })
}

/// Takes an answer with its whole body, or an empty one where [`answer_needs_body`] said no; returns its document.
///
/// Checks status, media type and JSON schema, in which `writeOnly` fields may not appear. Headers are not checked.
/// Says what is wrong whatever [`Answers`] is: the caller observes or enforces.
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
    if route.validate.answers == Answers::Off {
        return Ok(None);
    }
    let fault = |at: &str, message: &str| Err(vec![violation(at, message)]);
    let Some(operation) = route.contract.operation(operation) else {
        return fault("", "the operation is not in the contract");
    };
    let Some(declared) = operation.answer(status) else {
        return if is_not_modified(operation, status) && body.is_empty() {
            Ok(None)
        } else {
            fault("status", "is not in the contract")
        };
    };
    if has_no_body(&operation.method, status) {
        return if body.is_empty() { Ok(None) } else { fault("", "must have no body") };
    }
    content(route, declared, headers, body)
}

fn content(
    route: &Route,
    declared: &DeclaredAnswer,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Value>, Vec<Violation>> {
    let fault = |at: &str, message: &str| Err(vec![violation(at, message)]);
    if declared.content.is_empty() {
        return if body.is_empty() { Ok(None) } else { fault("", "must have no body") };
    }
    let media = match media::media_type(headers) {
        Ok(media) => media,
        Err(media::MediaFault::Encoded) => return fault("header:content-encoding", "must not be encoded"),
        Err(_) => return fault("header:content-type", "must be one media type, in utf-8"),
    };
    let Some(entry) = media::declared(&declared.content, &media) else {
        return fault("header:content-type", "is not in the contract");
    };
    let Some(units) = entry.unit.as_ref().filter(|_| names::is_json(&media)) else { return Ok(None) };
    if json::check(body, &route.validate.json).is_err() {
        return fault("", "must be well-formed JSON");
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return fault("", "must be well-formed JSON");
    };
    let shelf = route.contract.shelf();
    if shelf.accepts(&units.open, &value) {
        return Ok(Some(value));
    }
    Err(shelf.violations(&units.open, &value, "", body.len() > LARGE))
}

fn has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 205 | 304)
}

/// RFC 9110 section 15.4.5: 304 stands for the 200 that a condition made unnecessary.
fn is_not_modified(operation: &Operation, status: StatusCode) -> bool {
    status == StatusCode::NOT_MODIFIED
        && matches!(operation.method, Method::GET | Method::HEAD)
        && operation.answer(StatusCode::OK).is_some()
}
