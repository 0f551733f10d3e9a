//! Bodies into values, by media type: what a schema is held against.

use serde_json::Value;

use super::decode::scalar;
use super::media::Media;
use super::{ValidateRules, form, multipart};
use crate::contract::shape::{Shape, Types};
use crate::contract::{Contract, MediaType, names};
use crate::halt::Violation;
use crate::json::{self, JsonLimits};

/// Most JSON texts in a body of lines.
const MOST_LINES: usize = 10_000;

/// A body, as far as a schema can speak of it.
#[derive(Debug)]
pub(super) enum Content {
    /// Bytes of which the contract says nothing more.
    Opaque,
    /// One value.
    Value(Value),
    /// A text: as the type that the schema asks for, and as itself.
    Text(Value, Value),
    /// One value a line.
    Lines(Vec<Value>),
}

impl Content {
    /// The body as one value, where it has fields; lines are a list.
    pub(super) fn into_value(self) -> Option<Value> {
        match self {
            Self::Opaque | Self::Text(..) => None,
            Self::Value(value) => Some(value),
            Self::Lines(lines) => Some(Value::Array(lines)),
        }
    }
}

/// Why a body cannot be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It has no reading, or more than one.
    Malformed(String, Vec<Violation>),
    /// Part of it is read, and is not what the contract says.
    Invalid(Vec<Violation>),
    /// The contract asks for what this media type cannot say.
    Unsupported(&'static str),
}

impl Unread {
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::Malformed(detail.into(), Vec::new())
    }
}

/// Reads a body as what its media type says.
pub(super) fn read(
    contract: &Contract,
    rules: &ValidateRules,
    entry: &MediaType,
    media: &Media<'_>,
    body: &[u8],
) -> Result<Content, Unread> {
    let essence = &*media.essence;
    if names::is_json(essence) {
        return parsed(body, &rules.json).map(Content::Value);
    }
    if essence == names::FORM {
        return form::read(body, entry, &rules.json).map(Content::Value);
    }
    if essence == names::MULTIPART {
        return multipart::read(contract, rules, entry, media, body).map(Content::Value);
    }
    if names::is_json_lines(essence) {
        return lines(body, &rules.json).map(Content::Lines);
    }
    let is_text = essence.starts_with("text/");
    let text = std::str::from_utf8(body).ok();
    if is_text && text.is_none() {
        return Err(Unread::malformed("the text is not utf-8"));
    }
    let Some(shape) = &entry.shape else { return Ok(Content::Opaque) };
    let takes_text = shape.types.has(Types::STRING) || is_text && takes_scalar(shape);
    if !takes_text {
        // Under a range such as `*/*` an object must not slip in as text.
        return if entry.range.contains('*') {
            Err(Unread::Unsupported("the contract asks for fields, which this media type has not"))
        } else {
            Ok(Content::Opaque)
        };
    }
    if !entry.is_bounded {
        return Ok(Content::Opaque);
    }
    Ok(match text.filter(|_| !shape.is_binary) {
        Some(text) => Content::Text(scalar(shape.types, text.to_owned()), Value::String(text.to_owned())),
        None => Content::Value(octets(body)),
    })
}

fn takes_scalar(shape: &Shape) -> bool {
    [Types::INTEGER, Types::BOOLEAN].into_iter().any(|types| shape.types.has(types))
}

/// Bytes as a string of as many characters: `maxLength` of binary content counts octets (OpenAPI 3.1 section 4.8.14).
pub(super) fn octets(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().copied().map(char::from).collect())
}

/// A JSON text that passed the guard, as a value.
pub(super) fn parsed(body: &[u8], limits: &JsonLimits) -> Result<Value, Unread> {
    json::parse(body, limits).map_err(|error| Unread::malformed(error.to_string()))
}

/// JSON texts, one a line. The last line may end in a line feed; no line is empty.
fn lines(body: &[u8], limits: &JsonLimits) -> Result<Vec<Value>, Unread> {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let mut lines = Vec::new();
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if number == MOST_LINES {
            return Err(Unread::malformed("too many lines"));
        }
        let value = json::parse(line, limits);
        lines.push(value.map_err(|error| Unread::malformed(format!("line {number}: {error}")))?);
    }
    Ok(lines)
}
