//! `multipart/form-data` bodies (RFC 7578), read whole and strictly.
//!
//! SMUGGLING: readers of this format differ in what they forgive: a preamble, bare line feeds, folded headers, two
//! names, `filename*`, transfer encodings, a boundary that goes on. A body that needs forgiving is refused here, so
//! that the parts which were judged are the parts that the upstream sees.

use memchr::memmem;
use serde_json::Value;

use super::decode::{Raw, scalar};
use super::media::{self, Media, is_token};
use super::parameters::part_headers;
use super::read::{Unread, octets, parsed};
use super::{Unknown, ValidateRules, violation};
use crate::contract::shape::{Shape, Types};
use crate::contract::{Contract, FieldEncoding, MediaType, closeness, names};
use crate::halt::Violation;

/// Most parts of a body.
const MOST_PARTS: usize = 1_000;
/// Most headers of a part.
const MOST_HEADERS: usize = 16;
/// Longest head of a part, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// Why a body is no form with one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PartFault {
    #[error("the boundary is missing or not well-formed")]
    Boundary,
    #[error("the body does not begin with its boundary")]
    Start,
    #[error("the boundary stands where no part ends")]
    Stray,
    #[error("the body does not end with its closing boundary")]
    End,
    #[error("a part has no head")]
    NoHead,
    #[error("the head of a part is not well-formed")]
    Head,
    #[error("the head of a part is too long")]
    LongHead,
    #[error("a part has no name, or more than one")]
    Name,
    #[error("a part is encoded for transfer")]
    Encoded,
    #[error("too many parts")]
    TooMany,
}

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'b> {
    pub(super) name: &'b str,
    /// Names in lower case, and values; without the disposition.
    pub(super) headers: Vec<(String, &'b str)>,
    pub(super) content: &'b [u8],
}

impl<'b> Part<'b> {
    fn header(&self, name: &str) -> Option<&'b str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// The parts of a body whose boundary is known.
pub(super) fn parts<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<Part<'b>>, PartFault> {
    let is_mark = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    if boundary.is_empty() || boundary.len() > 70 || boundary.ends_with(' ') || !boundary.bytes().all(is_mark)
    {
        return Err(PartFault::Boundary);
    }
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut rest = body.strip_prefix(delimiter.as_bytes()).ok_or(PartFault::Start)?;
    let mut parts = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return if end.is_empty() || end == b"\r\n" { Ok(parts) } else { Err(PartFault::End) };
        }
        let part = rest.strip_prefix(b"\r\n").ok_or(PartFault::Stray)?;
        let at = finder.find(part).ok_or(PartFault::End)?;
        let (whole, after) = part.split_at_checked(at).ok_or(PartFault::End)?;
        let whole = whole.strip_suffix(b"\r\n").ok_or(PartFault::Stray)?;
        if parts.len() == MOST_PARTS {
            return Err(PartFault::TooMany);
        }
        parts.push(self::part(whole)?);
        rest = after.get(delimiter.len()..).ok_or(PartFault::End)?;
    }
}

fn part(whole: &[u8]) -> Result<Part<'_>, PartFault> {
    let at = memmem::find(whole, b"\r\n\r\n").ok_or(PartFault::NoHead)?;
    let (head, content) = whole.split_at_checked(at).ok_or(PartFault::NoHead)?;
    let content = content.get(4..).unwrap_or_default();
    if head.len() > LONGEST_HEAD {
        return Err(PartFault::LongHead);
    }
    let head = std::str::from_utf8(head).map_err(|_| PartFault::Head)?;
    let (mut name, mut headers) = (None, Vec::new());
    for line in head.split("\r\n") {
        let (key, value) = line.split_once(':').ok_or(PartFault::Head)?;
        let value = value.trim_matches([' ', '\t']);
        // A folded line begins with white space, which is no token.
        if !is_token(key) || value.chars().any(|one| one.is_control() && one != '\t') {
            return Err(PartFault::Head);
        }
        let key = key.to_ascii_lowercase();
        if headers.len() == MOST_HEADERS || headers.iter().any(|(known, _)| *known == key) {
            return Err(PartFault::Head);
        }
        match key.as_str() {
            "content-disposition" if name.is_some() => return Err(PartFault::Name),
            "content-disposition" => name = Some(disposition(value)?),
            "content-transfer-encoding" if !is_identity(value) => return Err(PartFault::Encoded),
            _ => headers.push((key, value)),
        }
    }
    Ok(Part { name: name.ok_or(PartFault::Name)?, headers, content })
}

fn is_identity(encoding: &str) -> bool {
    ["7bit", "8bit", "binary"].iter().any(|one| encoding.eq_ignore_ascii_case(one))
}

/// The name in `form-data; name="n"; filename="f"`. RFC 7578 section 4.2 forbids `filename*`.
fn disposition(value: &str) -> Result<&str, PartFault> {
    let (kind, mut rest) = value.split_once(';').ok_or(PartFault::Name)?;
    if !kind.trim_end_matches([' ', '\t']).eq_ignore_ascii_case("form-data") {
        return Err(PartFault::Name);
    }
    let (mut name, mut filename) = (None, None);
    loop {
        let (key, after) = rest.trim_start_matches([' ', '\t']).split_once('=').ok_or(PartFault::Name)?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(PartFault::Name)?,
            None => after.split_at(after.find([';', ' ', '\t']).unwrap_or(after.len())),
        };
        let slot = match key {
            _ if key.eq_ignore_ascii_case("name") => &mut name,
            _ if key.eq_ignore_ascii_case("filename") => &mut filename,
            _ => return Err(PartFault::Name),
        };
        // Readers differ in whether a backslash escapes the quote after it.
        if value.contains('\\') || slot.replace(value).is_some() {
            return Err(PartFault::Name);
        }
        match after.trim_matches([' ', '\t']).strip_prefix(';') {
            Some(next) => rest = next,
            None if after.trim_matches([' ', '\t']).is_empty() => break,
            None => return Err(PartFault::Name),
        }
    }
    name.filter(|name| !name.is_empty()).ok_or(PartFault::Name)
}

/// Reads a form into one value: each part is a field, parts of one name are a list where the schema has one.
pub(super) fn read(
    contract: &Contract,
    rules: &ValidateRules,
    entry: &MediaType,
    media: &Media<'_>,
    body: &[u8],
) -> Result<Value, Unread> {
    let boundary = media.boundary.unwrap_or_default();
    let parts = parts(body, boundary).map_err(|fault| Unread::malformed(fault.to_string()))?;
    let any = Shape::any();
    let shape = entry.shape.as_ref().unwrap_or(&any);
    let mut whole = Raw::Members(Vec::new());
    let mut violations: Vec<Violation> = Vec::new();
    for part in &parts {
        let at = || format!("/{}", crate::contract::problem::escaped(part.name));
        let member = shape.member(part.name);
        let is_unknown = member.is_none() && !shape.takes_any_member() && entry.unit.is_some();
        if is_unknown && rules.unknown_fields == Unknown::Refuse {
            violations.push(violation(at(), "is not in the contract"));
            continue;
        }
        let encoding = entry.encoding(part.name);
        if let Some(encoding) = encoding {
            part_headers(contract, rules, &encoding.headers, &part.headers, &at(), &mut violations);
        }
        let is_list = member.is_some_and(Shape::is_list);
        let one = if is_list { member.and_then(|member| member.items.as_deref()) } else { member };
        let value = match value(rules, part, encoding, one) {
            Ok(value) => value,
            Err(message) => {
                violations.push(violation(at(), message));
                continue;
            }
        };
        // A list may also come as one part of JSON.
        let path = match &value {
            Value::Array(_) => vec![part.name],
            _ if is_list => vec![part.name, ""],
            _ => vec![part.name],
        };
        if !whole.insert(&path, Raw::Value(value)) {
            violations.push(violation(at(), "is sent twice"));
        }
    }
    violations.truncate(crate::contract::shelf::MOST_VIOLATIONS);
    if violations.is_empty() { Ok(whole.typed(shape)) } else { Err(Unread::Invalid(violations)) }
}

/// What a part says, in the type that the schema asks for.
fn value(
    rules: &ValidateRules,
    part: &Part<'_>,
    encoding: Option<&FieldEncoding>,
    shape: Option<&Shape>,
) -> Result<Value, &'static str> {
    let written = part.header("content-type");
    let media =
        media::parse(written.unwrap_or("text/plain")).map_err(|_| "has no media type that can be read")?;
    let ranges = encoding.map(|encoding| &*encoding.ranges).unwrap_or_default();
    if !ranges.is_empty() && !ranges.iter().any(|range| closeness(range, &media.essence) > 0) {
        return Err("has a media type that is not in the contract");
    }
    let any = Shape::any();
    let shape = shape.unwrap_or(&any);
    // Where only an object fits and nothing else is said, the part is JSON (OpenAPI 3.1 section 4.8.14.4).
    let is_implied = written.is_none() && shape.types.is_only(Types::OBJECT);
    if names::is_json(&media.essence) && !shape.is_binary || is_implied {
        return parsed(part.content, &rules.json).map_err(|_| "must be well-formed JSON");
    }
    if shape.is_binary {
        return Ok(octets(part.content));
    }
    match std::str::from_utf8(part.content) {
        Ok(text) => Ok(scalar(shape.types, text.to_owned())),
        Err(_) if shape.types.is_all() => Ok(octets(part.content)),
        Err(_) => Err("must be utf-8"),
    }
}
