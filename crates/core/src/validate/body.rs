//! The body of a request.

use http::HeaderMap;
use serde_json::Value;

use super::decode::{DecodeFault, Raw, bracketed, pairs};
use super::{Unknown, ValidateRules, media, violation};
use crate::contract::shape::{Shape, Types};
use crate::contract::{Contract, MediaType, Operation, names};
use crate::halt::{Halt, Reason, Violation};
use crate::json;

/// A body longer than this is told of its first violation only: the engine gathers all before it tells one.
pub(super) const LARGE: usize = 64 << 10;

/// Proves that the body is what `operation` takes; returns it as a value, where it can be read as one.
pub(super) fn check(
    contract: &Contract,
    rules: &ValidateRules,
    operation: &Operation,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Value>, Halt> {
    let Some(declared) = &operation.body else {
        return if body.is_empty() {
            Ok(None)
        } else {
            Err(Halt::new(Reason::UnexpectedBody, "no body declared"))
        };
    };
    if body.is_empty() {
        if !declared.required {
            return Ok(None);
        }
        return Err(Halt::new(Reason::BodyInvalid, "the body is missing")
            .with_violations(vec![violation("", "a body is required")]));
    }
    let unsupported = |detail: String| Halt::new(Reason::MediaTypeUnsupported, detail);
    let media = media::media_type(headers).map_err(|fault| unsupported(fault.to_string()))?;
    let Some(entry) = media::declared(&declared.content, &media) else {
        return Err(unsupported("the media type is not in the contract".to_owned()));
    };
    let value = if names::is_json(&media) {
        parsed(body, rules)?
    } else if *media == *names::FORM {
        form(body, entry).map_err(malformed_form)?
    } else if takes_text(entry) {
        return Ok(None);
    } else {
        return Err(unsupported("the contract asks for fields, which this media type has not".to_owned()));
    };
    if let Some(units) = &entry.unit {
        let unit = match rules.unknown_fields {
            Unknown::Refuse => &units.closed,
            Unknown::Allow => &units.open,
        };
        if !contract.shelf().accepts(unit, &value) {
            let violations = contract.shelf().violations(unit, &value, "", body.len() > LARGE);
            return Err(
                Halt::new(Reason::BodyInvalid, "the body breaks its schema").with_violations(violations)
            );
        }
    }
    Ok(Some(value))
}

fn parsed(body: &[u8], rules: &ValidateRules) -> Result<Value, Halt> {
    let malformed = |detail: String| Halt::new(Reason::BodyMalformed, detail);
    json::check(body, &rules.json).map_err(|error| malformed(error.to_string()))?;
    // INVARIANT: what the guard passes the parser takes; should they ever differ, the request is refused.
    serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))
}

/// Whether a body that is neither JSON nor a form may stand for the schema: under a range such as `*/*` an object
/// must not slip in as text.
fn takes_text(entry: &MediaType) -> bool {
    !entry.range.contains('*') || entry.shape.as_ref().is_none_or(|shape| shape.types.has(Types::STRING))
}

fn malformed_form(violations: Vec<Violation>) -> Halt {
    Halt::new(Reason::BodyMalformed, "the form cannot be read").with_violations(violations)
}

/// Reads a form: `name=value`, repeated for a list, and `name[key]=value` where the document says `deepObject`.
fn form(body: &[u8], entry: &MediaType) -> Result<Value, Vec<Violation>> {
    let text = std::str::from_utf8(body).map_err(|_| vec![violation("", "must be utf-8")])?;
    let pairs = pairs(text).map_err(|fault: DecodeFault| vec![violation("", &fault.to_string())])?;
    let any = Shape::any();
    let shape = entry.shape.as_ref().unwrap_or(&any);
    let mut whole = Raw::Members(Vec::new());
    let mut violations = Vec::new();
    for (name, value) in pairs {
        let (base, keys) = match bracketed(&name) {
            Some((base, keys)) if entry.deep.iter().any(|deep| **deep == *base) => (base, keys),
            _ => (&*name, Vec::new()),
        };
        let is_list = shape.member(base).is_some_and(|member| member.types.is_only(Types::ARRAY));
        let mut path = vec![base];
        if is_list && keys.is_empty() {
            path.push("")
        } else {
            path.extend(keys)
        }
        if !whole.insert(&path, value.into_owned()) {
            violations.push(violation(format!("/{base}"), "is sent twice"));
        }
    }
    if violations.is_empty() { Ok(whole.typed(shape)) } else { Err(violations) }
}
