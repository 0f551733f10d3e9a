//! `application/x-www-form-urlencoded` bodies, in the encodings of the contract.

use serde_json::Value;

use super::decode::{DecodeFault, Raw, bracketed, extended, pairs};
use super::parameters::delimited_as;
use super::read::{Unread, parsed};
use super::violation;
use crate::contract::shape::{Shape, Types};
use crate::contract::{FieldEncoding, MediaType, Style, names};
use crate::halt::Violation;
use crate::json::JsonLimits;

/// Reads a form: `name=value`, repeated for a list, JSON for an object, and what the document's `encoding` says.
pub(super) fn read(body: &[u8], entry: &MediaType, limits: &JsonLimits) -> Result<Value, Unread> {
    let unread = |violations| Unread::Malformed("the form cannot be read".to_owned(), violations);
    let text = std::str::from_utf8(body).map_err(|_| unread(vec![violation("", "must be utf-8")]))?;
    let pairs = pairs(text).map_err(|fault: DecodeFault| unread(vec![violation("", &fault.to_string())]))?;
    let any = Shape::any();
    let shape = entry.shape.as_ref().unwrap_or(&any);
    let mut whole = Raw::Members(Vec::new());
    let mut violations: Vec<Violation> = Vec::new();
    for (name, value) in pairs {
        let is_deep = |one: &FieldEncoding| one.style == Some(Style::DeepObject);
        let (base, keys) = match bracketed(&name) {
            Some((base, keys)) if entry.encoding(base).is_some_and(is_deep) => (base, keys),
            _ => (&*name, Vec::new()),
        };
        let encoding = entry.encoding(base);
        let member = shape.member(base);
        let (value, is_whole) = match field(&value, encoding, member, limits) {
            Ok(read) => read,
            Err(message) => {
                violations.push(violation(format!("/{base}"), message));
                continue;
            }
        };
        let mut path = vec![base];
        path.extend(keys);
        if !is_whole {
            path = extended(shape, path);
        }
        if !whole.insert(&path, value) {
            violations.push(violation(format!("/{base}"), "is sent twice"));
        }
    }
    if violations.is_empty() { Ok(whole.typed(shape)) } else { Err(unread(violations)) }
}

/// One field, and whether it is the whole of it: a list in one piece.
fn field(
    value: &str,
    encoding: Option<&FieldEncoding>,
    member: Option<&Shape>,
    limits: &JsonLimits,
) -> Result<(Raw, bool), &'static str> {
    let text = || (Raw::Text(value.to_owned()), false);
    let Some(member) = member else { return Ok(text()) };
    let json = || parsed(value.as_bytes(), limits).map_err(|_| "must be JSON");
    let style = encoding.and_then(|encoding| Some((encoding, encoding.style?)));
    match style {
        Some((_, Style::DeepObject)) => Ok(text()),
        Some((encoding, style)) if !encoding.explode => {
            Ok((delimited_as(member, style, false, value)?, true))
        }
        Some(_) => Ok(text()),
        None if encoding.is_some_and(|one| one.ranges.iter().any(|range| names::is_json(range))) => {
            Ok((Raw::Value(json()?), !member.is_list() || value.trim_start().starts_with('[')))
        }
        // Without a word on it, a field with fields of its own is JSON (OpenAPI 3.1 section 4.8.14.5).
        None if member.types.is_only(Types::OBJECT) => Ok((Raw::Value(json()?), true)),
        None => Ok(text()),
    }
}
