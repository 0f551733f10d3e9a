//! JSON as a tape: every value and key with its place in the text, so that single strings can be replaced and all
//! other bytes stay as they came.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

/// How deep containers may nest.
const DEPTH: u32 = 64;

/// Why a text is not JSON that can be read one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TapeError {
    /// Not RFC 8259 JSON, or followed by something else.
    #[error("not well-formed json")]
    Malformed,
    /// A string that stands for no text (half of a surrogate pair).
    #[error("a json string has no text")]
    NoText,
    /// An object names the same member twice.
    #[error("a json object repeats a member")]
    RepeatedKey,
    /// Containers nest deeper than 64.
    #[error("json nests too deep")]
    TooDeep,
    /// Larger than a tape can number.
    #[error("json is too large")]
    TooLarge,
}

/// A range of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The same range of a text that begins so many bytes earlier.
    pub(crate) fn moved(self, by: usize) -> Option<Self> {
        let by = u32::try_from(by).ok()?;
        Some(Self { start: self.start.checked_add(by)?, end: self.end.checked_add(by)? })
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    /// The span includes the quotes.
    String,
    Number,
    /// `true` or `false`.
    Bool,
    Null,
}

/// One value. Nodes lie in document order, so a subtree is a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// The member's name with its quotes; `None` outside objects.
    pub(crate) key: Option<Span>,
    /// The node that follows the subtree.
    pub(crate) after: u32,
}

/// A document's nodes; node 0 is the root.
#[derive(Debug)]
pub(crate) struct Tape<'t> {
    pub(crate) text: &'t str,
    pub(crate) nodes: Vec<Node>,
}

impl<'t> Tape<'t> {
    /// Reads all of `text` as one value.
    ///
    /// # Errors
    /// Whatever two readers could read differently.
    pub(crate) fn parse(text: &'t str) -> Result<Self, TapeError> {
        if u32::try_from(text.len()).is_err() {
            return Err(TapeError::TooLarge);
        }
        let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, nodes: Vec::with_capacity(32) };
        parser.space();
        parser.value(None, 0)?;
        parser.space();
        if parser.at != text.len() {
            return Err(TapeError::Malformed);
        }
        Ok(Self { text, nodes: parser.nodes })
    }

    pub(crate) fn node(&self, id: u32) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    /// The elements or members of `id`, as numbers of nodes.
    pub(crate) fn children(&self, id: u32) -> impl Iterator<Item = u32> {
        let end = self.node(id).map_or(0, |node| node.after);
        let mut next = id + 1;
        std::iter::from_fn(move || {
            let node = if next < end { self.node(next)? } else { return None };
            let this = next;
            next = node.after;
            Some(this)
        })
    }

    /// The member `name` of the object `id`.
    pub(crate) fn member(&self, id: u32, name: &str) -> Option<u32> {
        if self.node(id)?.kind != Kind::Object {
            return None;
        }
        self.children(id).find(|child| self.key(*child).is_some_and(|key| key == name))
    }

    /// The name of a member, decoded.
    pub(crate) fn key(&self, id: u32) -> Option<Cow<'t, str>> {
        decode(self.node(id)?.key?.of(self.text)).ok()
    }

    /// The text of a string, decoded.
    pub(crate) fn string(&self, id: u32) -> Option<Cow<'t, str>> {
        let node = self.node(id)?;
        if node.kind == Kind::String { decode(node.span.of(self.text)).ok() } else { None }
    }

    /// A number that counts something.
    pub(crate) fn count(&self, id: u32) -> Option<u64> {
        let node = self.node(id)?;
        if node.kind == Kind::Number { node.span.of(self.text).parse().ok() } else { None }
    }
}

/// Decodes a JSON string with its quotes.
///
/// # Errors
/// Where it stands for no text.
pub(crate) fn decode(quoted: &str) -> Result<Cow<'_, str>, TapeError> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if inner.as_bytes().contains(&b'\\') {
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| TapeError::NoText)
    } else {
        Ok(Cow::Borrowed(inner))
    }
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), TapeError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(TapeError::Malformed)
        }
    }

    fn value(&mut self, key: Option<Span>, depth: u32) -> Result<(), TapeError> {
        let id = self.nodes.len();
        let start = self.at;
        let span = Span { start: number(start), end: 0 };
        self.nodes.push(Node { kind: Kind::Null, span, key, after: 0 });
        let kind = match self.peek() {
            Some(b'{') => self.object(id, depth).map(|()| Kind::Object),
            Some(b'[') => self.array(depth).map(|()| Kind::Array),
            Some(b'"') => self.string().map(|_| Kind::String),
            Some(b't') => self.word("true").map(|()| Kind::Bool),
            Some(b'f') => self.word("false").map(|()| Kind::Bool),
            Some(b'n') => self.word("null").map(|()| Kind::Null),
            _ => self.number().map(|()| Kind::Number),
        }?;
        let (end, after) = (number(self.at), number(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(id) {
            node.kind = kind;
            node.span.end = end;
            node.after = after;
        }
        Ok(())
    }

    fn object(&mut self, id: usize, depth: u32) -> Result<(), TapeError> {
        if depth == DEPTH {
            return Err(TapeError::TooDeep);
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            self.value(Some(key), depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(TapeError::Malformed),
            }
            self.space();
        }
        self.at += 1;
        self.check_keys(id)
    }

    fn array(&mut self, depth: u32) -> Result<(), TapeError> {
        if depth == DEPTH {
            return Err(TapeError::TooDeep);
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(None, depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(TapeError::Malformed),
            }
            self.space();
        }
        self.at += 1;
        Ok(())
    }

    /// A string with its quotes; its text is checked to exist.
    fn string(&mut self) -> Result<Span, TapeError> {
        let start = self.at;
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (length, is_escaped) = string_body(rest).ok_or(TapeError::Malformed)?;
        self.at += length + 1;
        let span = Span { start: number(start), end: number(self.at) };
        if is_escaped {
            decode(span.of(self.text))?;
        }
        Ok(span)
    }

    fn word(&mut self, word: &str) -> Result<(), TapeError> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            Ok(())
        } else {
            Err(TapeError::Malformed)
        }
    }

    fn number(&mut self) -> Result<(), TapeError> {
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
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), TapeError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(TapeError::Malformed) } else { Ok(()) }
    }

    /// Refuses an object that names a member twice, however the names are escaped.
    fn check_keys(&self, id: usize) -> Result<(), TapeError> {
        let mut seen: [&str; 8] = [""; 8];
        let mut many: FxHashSet<Cow<'_, str>> = FxHashSet::default();
        let mut next = id + 1;
        let mut count = 0;
        while let Some(node) = self.nodes.get(next) {
            let key = node.key.map(|key| key.of(self.text)).unwrap_or_default();
            // PERF: short objects without escapes, nearly all of them, are compared without hashing.
            let is_simple = many.is_empty() && !key.as_bytes().contains(&b'\\');
            match seen.get_mut(count) {
                Some(free) if is_simple => {
                    *free = key;
                    count += 1;
                    if seen.iter().take(count - 1).any(|other| *other == key) {
                        return Err(TapeError::RepeatedKey);
                    }
                }
                _ => {
                    if many.is_empty() {
                        many.extend(seen.iter().take(count).filter_map(|key| decode(key).ok()));
                    }
                    if !many.insert(decode(key)?) {
                        return Err(TapeError::RepeatedKey);
                    }
                }
            }
            next = node.after as usize;
        }
        Ok(())
    }
}

/// The length of a string's body up to its closing quote, and whether it has escapes; `None` where a control
/// character stands in it or it does not close. Escapes are not judged here.
#[inline]
pub(crate) fn string_body(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut is_escaped = false;
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((at, is_escaped)),
            b'\\' => {
                is_escaped = true;
                at += 2;
            }
            0..=0x1F => return None,
            _ => at += 1,
        }
    }
}

/// INVARIANT: `parse` refused texts that `u32` cannot number.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<usize, TapeError>) {
        assert_eq!(Tape::parse(text).map(|tape| tape.nodes.len()), expected, "{text}");
    }

    #[test]
    fn only_unambiguous_json_is_read() {
        check(r#" {"a": [1, -0.5e+3, "x", null, true, false, {}]} "#, Ok(9));
        check(r#""a""#, Ok(1));
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "01",
            "1.",
            "-",
            "1 2",
            "\"\n\"",
            "\"\\x\"",
            "nul",
            "{,}",
            "\"a",
            "'a'",
            "+1",
            "\u{feff}1",
        ] {
            assert!(Tape::parse(bad).is_err(), "{bad}");
        }
        check(r#"{"a":1,"a":2}"#, Err(TapeError::RepeatedKey));
        check(r#"{"a":1,"\u0061":2}"#, Err(TapeError::RepeatedKey));
        check(r#"{"\u0061":1,"a":2}"#, Err(TapeError::RepeatedKey));
        check(
            r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"2":1}"#,
            Err(TapeError::RepeatedKey),
        );
        check(
            r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"9":1}"#,
            Err(TapeError::RepeatedKey),
        );
        check(r#"["\ud83d"]"#, Err(TapeError::NoText));
        check(&"[".repeat(65), Err(TapeError::TooDeep));
    }

    #[test]
    fn members_are_found_by_their_decoded_name() {
        let tape = Tape::parse(r#"{"x":[1,{"y":2}],"\u0061b":"c\n","n":7}"#).unwrap();
        assert_eq!(tape.string(tape.member(0, "ab").unwrap()).unwrap(), "c\n");
        assert_eq!(tape.count(tape.member(0, "n").unwrap()), Some(7));
        assert_eq!(tape.children(0).count(), 3);
        assert!(tape.member(0, "y").is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_is_json(text in r#"[\[\]{}",:\\0-9a-zA-Z .eE+-]{0,24}|\[?"(\\[ux"nq/]?[0-9a-f]{0,4}){0,3}"\]?|-?[0-9]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?"#) {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let ours = Tape::parse(&text);
            match ours {
                Ok(_) => prop_assert!(theirs),
                Err(TapeError::Malformed) => prop_assert!(!theirs),
                Err(_) => {}
            }
        }
    }
}
