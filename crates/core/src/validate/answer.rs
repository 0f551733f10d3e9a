//! Whether an upstream's answer is what the contract says, and what is left of it when it says too much.

use std::collections::BTreeSet;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::body::{LARGE, violations};
use super::excise::excise;
use super::read::{Content, Unread, parsed, read};
use super::{Answers, HeldAnswer, Unknown, ValidateRules, media, parameters, violation};
use crate::contract::shape::{Shape, Types};
use crate::contract::shelf::Unit;
use crate::contract::{Contract, DeclaredAnswer, MediaType, Operation, OperationIndex, names};
use crate::halt::Violation;

/// Headers that say how a message is carried, kept, found or shown, and nothing of what the operation answers. They
/// stay where undeclared ones are dropped; a name that ends in `-` stands for all that begin so.
const CARRIED: [&str; 29] = [
    "accept-ranges",
    "access-control-",
    "age",
    "allow",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-",
    "cross-origin-",
    "date",
    "deprecation",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "permissions-policy",
    "pragma",
    "ratelimit",
    "ratelimit-",
    "referrer-policy",
    "retry-after",
    "strict-transport-security",
    "sunset",
    "trailer",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
];

/// Most passes over an answer that says too much: what hides below an alternative shows when the alternative fits.
const MOST_ROUNDS: usize = 16;

/// What is checked of one answer.
#[derive(Clone, Copy)]
pub(super) struct Answered<'a> {
    pub(super) contract: &'a Contract,
    pub(super) rules: &'a ValidateRules,
    pub(super) operation: OperationIndex,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Answered<'a> {
    fn operation(self) -> Option<&'a Operation> {
        self.contract.operation(self.operation)
    }

    fn declared(self) -> Option<&'a DeclaredAnswer> {
        self.operation()?.answer(self.status)
    }

    fn has_no_body(self) -> bool {
        self.operation().is_some_and(|operation| has_no_body(&operation.method, self.status))
    }

    pub(super) fn needs_body(self) -> bool {
        if self.rules.answers == Answers::Off {
            return false;
        }
        let declared = self.declared().map(|answer| answer.content.as_slice()).unwrap_or_default();
        if declared.is_empty() {
            return !self.has_no_body();
        }
        let Ok(media) = media::media_type(self.headers) else { return false };
        media::declared(declared, &media.essence).is_some_and(|entry| is_read(entry, &media.essence))
    }

    /// What is wrong with status, media type and headers.
    pub(super) fn head(self) -> Vec<Violation> {
        if self.rules.answers == Answers::Off {
            return Vec::new();
        }
        let Some(operation) = self.operation() else {
            return vec![violation("", "the operation is not in the contract")];
        };
        let Some(declared) = self.declared() else {
            let is_declared = is_not_modified(operation, self.status);
            return if is_declared {
                Vec::new()
            } else {
                vec![violation("status", "is not in the contract")]
            };
        };
        let mut found =
            parameters::answer_headers(self.contract, self.rules, &declared.headers, self.headers);
        if !self.has_no_body()
            && !declared.content.is_empty()
            && let Err(one) = self.entry(declared)
        {
            found.push(one);
        }
        found
    }

    fn entry(self, declared: &'a DeclaredAnswer) -> Result<(&'a MediaType, media::Media<'a>), Violation> {
        let media = match media::media_type(self.headers) {
            Ok(media) => media,
            Err(media::MediaFault::Encoded) => {
                return Err(violation("header:content-encoding", "must not be encoded"));
            }
            Err(_) => return Err(violation("header:content-type", "must be one media type, in utf-8")),
        };
        match media::declared(&declared.content, &media.essence) {
            Some(entry) => Ok((entry, media)),
            None => Err(violation("header:content-type", "is not in the contract")),
        }
    }

    /// Status, headers and body together; what may leave.
    pub(super) fn check(self, body: &[u8]) -> Result<HeldAnswer, Vec<Violation>> {
        if self.rules.answers == Answers::Off {
            return Ok(HeldAnswer::default());
        }
        let mut found = self.head();
        match self.body(body) {
            Ok(held) if found.is_empty() => return Ok(held),
            Ok(_) => {}
            Err(more) => found.extend(more),
        }
        Err(found)
    }

    fn body(self, body: &[u8]) -> Result<HeldAnswer, Vec<Violation>> {
        let fault = |message: &str| Err(vec![violation("", message)]);
        let declared = self.declared().map(|declared| (declared, declared.content.is_empty()));
        let (declared, is_empty) = match declared {
            Some((declared, is_empty)) => (declared, is_empty || self.has_no_body()),
            // What is wrong with the status was said of the head.
            None => return Ok(HeldAnswer::default()),
        };
        if is_empty {
            return if body.is_empty() { Ok(HeldAnswer::default()) } else { fault("must have no body") };
        }
        let Ok((entry, media)) = self.entry(declared) else { return Ok(HeldAnswer::default()) };
        if !is_read(entry, &media.essence) {
            return Ok(HeldAnswer::default());
        }
        let content = match read(self.contract, self.rules, entry, &media, body) {
            Ok(content) => content,
            Err(Unread::Invalid(found)) => return Err(found),
            Err(_) if names::is_json(&media.essence) => return fault("must be well-formed JSON"),
            Err(_) => return fault("must be well-formed"),
        };
        let Some(units) = &entry.unit else { return Ok(HeldAnswer::of(content.into_value())) };
        if self.rules.answers == Answers::Strip {
            return self.stripped(&units.closed, content, body);
        }
        let unknown = self.rules.unknown_answers;
        let found = violations(self.contract, units, unknown, &content, entry, body.len() > LARGE);
        if found.is_empty() { Ok(HeldAnswer::of(content.into_value())) } else { Err(found) }
    }

    fn stripped(self, unit: &Unit, content: Content, body: &[u8]) -> Result<HeldAnswer, Vec<Violation>> {
        let shelf = self.contract.shelf();
        let is_large = body.len() > LARGE;
        match content {
            Content::Opaque => Ok(HeldAnswer::default()),
            Content::Text(value, text) if shelf.accepts(unit, &value) || shelf.accepts(unit, &text) => {
                Ok(HeldAnswer::default())
            }
            Content::Text(value, _) => Err(shelf.violations(unit, &value, "", is_large)),
            Content::Value(value) if shelf.accepts(unit, &value) => Ok(HeldAnswer::of(Some(value))),
            Content::Value(value) => {
                let (value, text) = self.strip(unit, value, body, "")?;
                Ok(HeldAnswer { document: Some(value), body: Some(text.into_bytes()) })
            }
            Content::Lines(lines) => {
                let mut out = Vec::with_capacity(body.len());
                let mut kept = Vec::with_capacity(lines.len());
                let texts = body.split_inclusive(|byte| *byte == b'\n');
                for (number, (value, text)) in lines.into_iter().zip(texts).enumerate() {
                    if shelf.accepts(unit, &value) {
                        out.extend_from_slice(text);
                        kept.push(value);
                        continue;
                    }
                    let (value, text) = self.strip(unit, value, text, &format!("/{number}"))?;
                    out.extend_from_slice(text.as_bytes());
                    kept.push(value);
                }
                Ok(HeldAnswer { document: Some(Value::Array(kept)), body: Some(out) })
            }
        }
    }

    /// `value` and its text without what the contract does not name. What is left must meet the contract.
    fn strip(
        self,
        unit: &Unit,
        mut value: Value,
        text: &[u8],
        at: &str,
    ) -> Result<(Value, String), Vec<Violation>> {
        let shelf = self.contract.shelf();
        let mut gone = BTreeSet::new();
        for _ in 0..MOST_ROUNDS {
            let found = shelf.excess(unit, &value);
            if found.is_empty() {
                break;
            }
            for pointer in found {
                if remove(&mut value, &pointer) {
                    gone.insert(pointer);
                }
            }
            if shelf.accepts(unit, &value) {
                let gone: Vec<String> = gone.into_iter().collect();
                let text = std::str::from_utf8(text).ok().and_then(|text| excise(text, &gone));
                return text
                    .map(|text| (value, text))
                    .ok_or_else(|| vec![violation(at, "cannot be stripped of what is not in the contract")]);
            }
        }
        Err(shelf.violations(unit, &value, at, text.len() > LARGE))
    }
}

/// An answer of JSON lines that is held to its contract line by line, as it comes.
#[derive(Debug)]
pub(super) struct Lines {
    /// Which of the declared media types it is.
    entry: usize,
    number: usize,
}

impl Lines {
    /// `None` where the answer is no list of lines, or no schema speaks of single ones.
    pub(super) fn of(answered: Answered<'_>) -> Option<Self> {
        let declared = answered.declared().filter(|_| answered.rules.answers != Answers::Off)?;
        let (found, media) = answered.entry(declared).ok()?;
        let is_lines = names::is_json_lines(&media.essence) && found.has_schema();
        let is_whole = found.shape.as_ref().is_some_and(Shape::is_list) || answered.has_no_body();
        let entry = declared.content.iter().position(|one| std::ptr::eq(one, found))?;
        (is_lines && !is_whole).then_some(Self { entry, number: 0 })
    }

    /// Checks the next line; returns what may leave in its place, if anything was stripped.
    pub(super) fn next(
        &mut self,
        answered: Answered<'_>,
        line: &[u8],
    ) -> Result<Option<Vec<u8>>, Vec<Violation>> {
        let at = format!("/{}", self.number);
        self.number += 1;
        let entry = answered.declared().and_then(|declared| declared.content.get(self.entry));
        let Some(units) = entry.and_then(|entry| entry.unit.as_ref()) else {
            return Err(vec![violation(at, "is not in the contract")]);
        };
        let Ok(value) = parsed(line, &answered.rules.json) else {
            return Err(vec![violation(at, "must be well-formed JSON")]);
        };
        let is_stripped = answered.rules.answers == Answers::Strip;
        let unit = match answered.rules.unknown_answers {
            Unknown::Allow if !is_stripped => &units.open,
            _ => &units.closed,
        };
        let shelf = answered.contract.shelf();
        if shelf.accepts(unit, &value) {
            return Ok(None);
        }
        if is_stripped {
            return answered.strip(unit, value, line, &at).map(|(_, text)| Some(text.into_bytes()));
        }
        Err(shelf.violations(unit, &value, &at, line.len() > LARGE))
    }
}

/// Drops the headers that neither the contract declares nor HTTP needs.
pub(super) fn strip_headers(declared: Option<&DeclaredAnswer>, headers: &mut HeaderMap) {
    let declared = declared.map(|answer| answer.headers.as_slice()).unwrap_or_default();
    let is_kept = |name: &str| {
        let is_carried = |known: &&str| match known.strip_suffix('-') {
            Some(_) => name.starts_with(known),
            None => name == *known,
        };
        CARRIED.iter().any(is_carried) || declared.iter().any(|header| *header.name == *name)
    };
    let dropped: Vec<_> = headers.keys().filter(|name| !is_kept(name.as_str())).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Removes the member of an object that `pointer` names. Whether there was one.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some((above, name)) = pointer.rsplit_once('/') else { return false };
    let name = name.replace("~1", "/").replace("~0", "~");
    let object = value.pointer_mut(above).and_then(Value::as_object_mut);
    object.is_some_and(|object| object.remove(&name).is_some())
}

/// Whether a schema has something to say of such a body.
fn is_read(entry: &MediaType, essence: &str) -> bool {
    let is_structured = names::is_json(essence)
        || names::is_json_lines(essence)
        || matches!(essence, names::FORM | names::MULTIPART);
    let is_text = || {
        let types = entry.shape.as_ref().map(|shape| shape.types);
        entry.is_bounded
            && (essence.starts_with("text/") || types.is_some_and(|types| types.has(Types::STRING)))
    };
    entry.has_schema() && (is_structured || is_text())
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
