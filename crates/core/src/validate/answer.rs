//! Whether an upstream's answer is what the contract says.

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::body::LARGE;
use super::{Answers, ValidateRules, media, violation};
use crate::contract::{Contract, DeclaredAnswer, Operation, OperationIndex, names};
use crate::halt::Violation;
use crate::json;

pub(super) fn needs_body(
    contract: &Contract,
    rules: &ValidateRules,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
) -> bool {
    if rules.answers == Answers::Off {
        return false;
    }
    let Some(operation) = contract.operation(operation) else { return false };
    let declared = operation.answer(status).map(|answer| answer.content.as_slice()).unwrap_or_default();
    if declared.is_empty() {
        return !has_no_body(&operation.method, status);
    }
    media::media_type(headers).is_ok_and(|media| {
        names::is_json(&media) && media::declared(declared, &media).is_some_and(|entry| entry.has_schema())
    })
}

pub(super) fn check(
    contract: &Contract,
    rules: &ValidateRules,
    operation: OperationIndex,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Value>, Vec<Violation>> {
    if rules.answers == Answers::Off {
        return Ok(None);
    }
    let fault = |at: &str, message: &str| Err(vec![violation(at, message)]);
    let Some(operation) = contract.operation(operation) else {
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
    content(contract, rules, declared, headers, body)
}

fn content(
    contract: &Contract,
    rules: &ValidateRules,
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
    if json::check(body, &rules.json).is_err() {
        return fault("", "must be well-formed JSON");
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return fault("", "must be well-formed JSON");
    };
    let shelf = contract.shelf();
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
