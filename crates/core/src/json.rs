//! JSON guard: what may not even be parsed into values.
//!
//! Two readers of the same bytes must never see two documents. RFC 8259 leaves duplicate names, lone
//! surrogates and huge numbers to each parser; here they are refused before any parser runs. What passes
//! [`check`] is parsed by `serde_json` without loss of a key, and what `serde_json` refuses, [`check`] refuses.
//! [`parse`] checks and builds the value in one pass, and a property test holds it to `serde_json`.

use std::borrow::Cow;
use std::collections::HashSet;

mod build;

use serde_json::Value;

use build::{Build, Ignore, Sink};

/// Nesting that `serde_json` itself refuses to exceed.
const DEEPEST: usize = 127;
/// Bytes of a string that are looked at together.
const BLOCK: usize = 16;
/// Up to so many keys an object's keys are compared one by one; beyond, they are hashed.
const COMPARED_KEYS: usize = 16;
/// PERF: a number shorter than this without an exponent cannot overflow a double, and is not parsed.
const SAFE_DIGITS: usize = 300;
/// Keys that `serde_json` gives a meaning of its own: it would parse the value as another document.
const RESERVED_PREFIX: &str = "$serde_json::private::";

/// What a JSON text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Deepest nesting of arrays and objects; more than 127 means 127.
    pub depth: usize,
    /// Longest number, in characters.
    pub number: usize,
    /// Longest text, in bytes.
    pub size: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { depth: 64, number: 64, size: 16 << 20 }
    }
}

/// Why a text is no JSON with one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{cause} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub cause: JsonFault,
    /// Where, in bytes from the start.
    pub offset: usize,
}

/// The ways in which a text can have no reading, or more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// More bytes than the limit.
    #[error("the text is too long")]
    TooLong,
    /// Not UTF-8 (RFC 8259 section 8.1).
    #[error("invalid utf-8")]
    Utf8,
    /// The text ends within a value, or there is none.
    #[error("unexpected end")]
    End,
    /// A byte that cannot stand there.
    #[error("unexpected character")]
    Unexpected,
    /// Something follows the value.
    #[error("trailing characters")]
    Trailing,
    /// The same name twice in one object, escapes taken away (RFC 8259 section 4).
    #[error("duplicate key")]
    DuplicateKey,
    /// A name that the parser would give a meaning of its own.
    #[error("reserved key")]
    ReservedKey,
    /// Nested deeper than the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// More characters in a number than the limit.
    #[error("the number is too long")]
    LongNumber,
    /// A number that no double holds.
    #[error("the number is out of range")]
    NumberRange,
    /// Half of a surrogate pair (RFC 8259 section 8.2).
    #[error("lone surrogate")]
    LoneSurrogate,
    /// An escape that JSON does not have.
    #[error("invalid escape")]
    Escape,
    /// A bare control character in a string.
    #[error("control character in a string")]
    Control,
}

/// Takes the bytes of a JSON text; proves that they have one reading within `limits`.
///
/// One pass; the only allocations are one small set of keys and, for an object with many keys, a hash set.
///
/// # Errors
/// The first fault and its offset.
pub fn check(bytes: &[u8], limits: &JsonLimits) -> Result<(), JsonError> {
    scan(bytes, limits, Ignore).map(drop)
}

/// Takes the bytes of a JSON text; proves what [`check`] proves, and returns the one value that they have.
///
/// PERF: the guard has seen every token, so that a parser after it would only see them again.
///
/// # Errors
/// The first fault and its offset.
pub fn parse(bytes: &[u8], limits: &JsonLimits) -> Result<Value, JsonError> {
    let built = scan(bytes, limits, Build::default())?;
    // INVARIANT: a document that was scanned to its end has one value at its root.
    built.into_root().ok_or(JsonError { cause: JsonFault::End, offset: bytes.len() })
}

fn scan<'a, S: Sink<'a>>(bytes: &'a [u8], limits: &JsonLimits, sink: S) -> Result<S, JsonError> {
    if bytes.len() > limits.size {
        return Err(JsonError { cause: JsonFault::TooLong, offset: limits.size });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError { cause: JsonFault::Utf8, offset: error.valid_up_to() })?;
    let mut scan = Scan {
        text,
        bytes,
        at: 0,
        number_limit: limits.number,
        depth_limit: limits.depth.min(DEEPEST),
        frames: Vec::with_capacity(8),
        keys: Vec::with_capacity(COMPARED_KEYS),
        sink,
    };
    scan.document()?;
    Ok(scan.sink)
}

/// An open array or object.
struct Frame<'a> {
    is_object: bool,
    /// Where this object's keys start in [`Scan::keys`].
    keys_from: usize,
    /// All keys of this object, once there are many.
    many: Option<HashSet<Cow<'a, str>>>,
}

struct Scan<'a, S> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    number_limit: usize,
    depth_limit: usize,
    frames: Vec<Frame<'a>>,
    keys: Vec<Cow<'a, str>>,
    sink: S,
}

impl<'a, S: Sink<'a>> Scan<'a, S> {
    fn fail<T>(&self, cause: JsonFault) -> Result<T, JsonError> {
        Err(JsonError { cause, offset: self.at })
    }

    fn fail_at<T>(&self, cause: JsonFault, offset: usize) -> Result<T, JsonError> {
        Err(JsonError { cause, offset })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no white space, not taken.
    fn next(&mut self) -> Result<u8, JsonError> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
        self.fail(JsonFault::End)
    }

    fn document(&mut self) -> Result<(), JsonError> {
        // INVARIANT: each turn takes one value or opens one frame; nesting lives in `frames`, not on the stack.
        loop {
            let opened = self.value()?;
            if !opened && self.close()? {
                break;
            }
        }
        match self.next() {
            Err(_) => Ok(()),
            Ok(_) => self.fail(JsonFault::Trailing),
        }
    }

    /// Takes a scalar or an empty container and returns `false`, or opens a container and returns `true`.
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.next()? {
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'"' => {
                let text = self.string()?;
                self.sink.text(text);
                Ok(false)
            }
            b't' => self.word(b"true", Some(true)),
            b'f' => self.word(b"false", Some(false)),
            b'n' => self.word(b"null", None),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.fail(JsonFault::Unexpected),
        }
    }

    fn open(&mut self, is_object: bool) -> Result<bool, JsonError> {
        if self.frames.len() >= self.depth_limit {
            return self.fail(JsonFault::TooDeep);
        }
        self.at += 1;
        self.sink.open(is_object);
        let end = if is_object { b'}' } else { b']' };
        if self.next()? == end {
            self.at += 1;
            self.sink.close();
            return Ok(false);
        }
        self.frames.push(Frame { is_object, keys_from: self.keys.len(), many: None });
        if is_object {
            self.key()?;
        }
        Ok(true)
    }

    /// After a value: goes to the next one, or closes what ends here. `true` when nothing is open any more.
    fn close(&mut self) -> Result<bool, JsonError> {
        loop {
            let Some(frame) = self.frames.last() else { return Ok(true) };
            let (is_object, keys_from) = (frame.is_object, frame.keys_from);
            match (self.next()?, is_object) {
                (b',', true) => {
                    self.at += 1;
                    self.key()?;
                    return Ok(false);
                }
                (b',', false) => {
                    self.at += 1;
                    return Ok(false);
                }
                (b'}', true) | (b']', false) => {
                    self.at += 1;
                    self.keys.truncate(keys_from);
                    self.frames.pop();
                    self.sink.close();
                }
                _ => return self.fail(JsonFault::Unexpected),
            }
        }
    }

    fn key(&mut self) -> Result<(), JsonError> {
        if self.next()? != b'"' {
            return self.fail(JsonFault::Unexpected);
        }
        let start = self.at;
        let key = self.string()?;
        if key.starts_with(RESERVED_PREFIX) {
            return self.fail_at(JsonFault::ReservedKey, start);
        }
        self.sink.key(&key);
        if !self.remember(key) {
            return self.fail_at(JsonFault::DuplicateKey, start);
        }
        if self.next()? != b':' {
            return self.fail(JsonFault::Unexpected);
        }
        self.at += 1;
        Ok(())
    }

    /// Whether `key` is new to the innermost object.
    fn remember(&mut self, key: Cow<'a, str>) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        if let Some(many) = &mut frame.many {
            return many.insert(key);
        }
        let known = self.keys.get(frame.keys_from..).unwrap_or_default();
        if known.contains(&key) {
            return false;
        }
        if known.len() < COMPARED_KEYS {
            self.keys.push(key);
            return true;
        }
        // PERF: comparing pairwise is quadratic; an object of many keys must not cost more than its bytes.
        let mut many: HashSet<Cow<'a, str>> = self.keys.drain(frame.keys_from..).collect();
        let is_new = many.insert(key);
        frame.many = Some(many);
        is_new
    }

    fn word(&mut self, word: &[u8], value: Option<bool>) -> Result<bool, JsonError> {
        for expected in word {
            match self.peek() {
                Some(byte) if byte == *expected => self.at += 1,
                Some(_) => return self.fail(JsonFault::Unexpected),
                None => return self.fail(JsonFault::End),
            }
        }
        self.sink.word(value);
        Ok(false)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'0'..=b'9') => {}
            Some(_) => return self.fail(JsonFault::Unexpected),
            None => return self.fail(JsonFault::End),
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<bool, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let has_exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if has_exponent {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let length = self.at - start;
        if length > self.number_limit {
            return self.fail_at(JsonFault::LongNumber, start);
        }
        if (has_exponent || length > SAFE_DIGITS) && !self.is_finite(start) {
            return self.fail_at(JsonFault::NumberRange, start);
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if !self.sink.number(text) {
            return self.fail_at(JsonFault::NumberRange, start);
        }
        Ok(false)
    }

    fn is_finite(&self, start: usize) -> bool {
        let number = self.text.get(start..self.at).and_then(|text| text.parse::<f64>().ok());
        number.is_some_and(f64::is_finite)
    }

    /// Takes a string; returns it without its escapes, borrowed where there are none.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let stop = self.plain()?;
        let text = self.text.get(start..self.at).unwrap_or_default();
        if stop == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut owned = String::from(text);
        loop {
            owned.push(self.escape()?);
            let from = self.at;
            let stop = self.plain()?;
            owned.push_str(self.text.get(from..self.at).unwrap_or_default());
            if stop == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(owned));
            }
        }
    }

    /// Goes to the next quote or backslash, which is returned and not taken.
    fn plain(&mut self) -> Result<u8, JsonError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        // PERF: a block is asked as a whole, without a branch for each byte, which the compiler does side by side.
        let is_stop = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
        let is_plain = |block: &&[u8; BLOCK]| !block.iter().fold(false, |any, byte| any | is_stop(*byte));
        let skipped = rest.as_chunks().0.iter().take_while(is_plain).count() * BLOCK;
        let behind = rest.get(skipped..).unwrap_or_default();
        let Some(length) = behind.iter().position(|byte| is_stop(*byte)).map(|length| skipped + length)
        else {
            self.at = self.bytes.len();
            return self.fail(JsonFault::End);
        };
        self.at += length;
        match self.peek() {
            Some(byte @ (b'"' | b'\\')) => Ok(byte),
            _ => self.fail(JsonFault::Control),
        }
    }

    /// Takes an escape, its backslash first.
    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let Some(byte) = self.peek() else { return self.fail(JsonFault::End) };
        self.at += 1;
        match byte {
            b'"' => Ok('"'),
            b'\\' => Ok('\\'),
            b'/' => Ok('/'),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'n' => Ok('\n'),
            b'r' => Ok('\r'),
            b't' => Ok('\t'),
            b'u' => self.unicode(start),
            _ => self.fail_at(JsonFault::Escape, start),
        }
    }

    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hex()?;
        if let Some(one) = char::from_u32(first) {
            return Ok(one);
        }
        let is_pair = first < 0xdc00 && self.bytes.get(self.at..self.at + 2) == Some(b"\\u");
        if !is_pair {
            return self.fail_at(JsonFault::LoneSurrogate, start);
        }
        self.at += 2;
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return self.fail_at(JsonFault::LoneSurrogate, start);
        }
        let both = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        match char::from_u32(both) {
            Some(one) => Ok(one),
            None => self.fail_at(JsonFault::LoneSurrogate, start),
        }
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = match self.peek() {
                Some(byte @ b'0'..=b'9') => byte - b'0',
                Some(byte @ b'a'..=b'f') => byte - b'a' + 10,
                Some(byte @ b'A'..=b'F') => byte - b'A' + 10,
                Some(_) => return self.fail(JsonFault::Escape),
                None => return self.fail(JsonFault::End),
            };
            value = value * 16 + u32::from(digit);
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
