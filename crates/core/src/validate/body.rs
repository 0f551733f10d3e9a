//! The body of a request.

use http::HeaderMap;
use serde_json::Value;

use super::read::{Content, Unread, read};
use super::{Unknown, ValidateRules, media, violation};
use crate::contract::shelf::MOST_VIOLATIONS;
use crate::contract::{Contract, MediaType, Operation, SchemaUnits};
use crate::halt::{Halt, Reason, Violation};

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
        return Err(invalid("the body is missing", vec![violation("", "a body is required")]));
    }
    let unsupported = |detail: String| Halt::new(Reason::MediaTypeUnsupported, detail);
    let media = media::media_type(headers).map_err(|fault| unsupported(fault.to_string()))?;
    let Some(entry) = media::declared(&declared.content, &media.essence) else {
        return Err(unsupported("the media type is not in the contract".to_owned()));
    };
    let content = read(contract, rules, entry, &media, body).map_err(|unread| match unread {
        Unread::Malformed(detail, violations) => {
            Halt::new(Reason::BodyMalformed, detail).with_violations(violations)
        }
        Unread::Invalid(violations) => invalid("a part of the body breaks the contract", violations),
        Unread::Unsupported(detail) => unsupported(detail.to_owned()),
    })?;
    let Some(units) = &entry.unit else { return Ok(content.into_value()) };
    let violations = violations(contract, units, rules.unknown_fields, &content, entry, body.len() > LARGE);
    if !violations.is_empty() {
        return Err(invalid("the body breaks its schema", violations));
    }
    Ok(content.into_value())
}

fn invalid(detail: &'static str, violations: Vec<Violation>) -> Halt {
    Halt::new(Reason::BodyInvalid, detail).with_violations(violations)
}

/// What the schema finds wrong with what was read.
pub(super) fn violations(
    contract: &Contract,
    units: &SchemaUnits,
    unknown: Unknown,
    content: &Content,
    entry: &MediaType,
    is_large: bool,
) -> Vec<Violation> {
    let unit = match unknown {
        Unknown::Refuse => &units.closed,
        Unknown::Allow => &units.open,
    };
    let shelf = contract.shelf();
    match content {
        Content::Opaque => Vec::new(),
        Content::Value(value) if shelf.accepts(unit, value) => Vec::new(),
        Content::Value(value) => shelf.violations(unit, value, "", is_large),
        Content::Text(value, text) => {
            // Text that looks like a number may be meant as text where the schema takes both.
            let fits = shelf.accepts(unit, value) || value != text && shelf.accepts(unit, text);
            if fits { Vec::new() } else { shelf.violations(unit, value, "", is_large) }
        }
        Content::Lines(lines) if entry.shape.as_ref().is_some_and(crate::contract::shape::Shape::is_list) => {
            let whole = Value::Array(lines.clone());
            if shelf.accepts(unit, &whole) {
                Vec::new()
            } else {
                shelf.violations(unit, &whole, "", is_large)
            }
        }
        Content::Lines(lines) => {
            let mut found = Vec::new();
            for (number, line) in lines.iter().enumerate().filter(|(_, line)| !shelf.accepts(unit, line)) {
                if found.len() >= MOST_VIOLATIONS {
                    break;
                }
                found.extend(shelf.violations(unit, line, &format!("/{number}"), is_large));
            }
            found.truncate(MOST_VIOLATIONS);
            found
        }
    }
}
