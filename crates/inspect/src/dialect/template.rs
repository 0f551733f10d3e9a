//! Events of one stream differ in little but their texts. What an event looked like is remembered as the bytes around
//! its texts; a later event with the same bytes around other texts is known to mean the same without being parsed.

use std::borrow::Cow;

use bytes::BytesMut;

use super::tape::{Span, decode, string_body};

/// Most holes of one event that is remembered.
pub(crate) const HOLES: usize = 4;
/// Longest event that is remembered, in bytes.
const LENGTH: usize = 4096;
/// Most digits of a number in a hole: those of all that `u64` holds for sure.
const DIGITS: usize = 19;

/// What a hole is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The body of a JSON string.
    Text,
    /// A whole number that is not negative.
    Number,
}

/// An event without its texts; `H` says what becomes of each.
// INVARIANT: the event was valid JSON (with bytes of its own around it), every literal before a text ends with the
// quote that opens a string, and every literal after one begins with the quote that closes it; a number stands between
// bytes that are no digits. So any bytes that match are valid JSON of the same structure, if what lies in the holes is
// the body of a string, or a number. Neither may hold the end of a line.
#[derive(Debug)]
pub(crate) struct Template<H> {
    bytes: Box<str>,
    /// Ends of the literals in `bytes`; one more than there are holes.
    ends: Vec<usize>,
    holes: Vec<(Filling, H)>,
}

impl<H: Copy> Template<H> {
    /// Remembers `text`, of which the values at `spans` (those of strings with their quotes, in order) may vary.
    pub(crate) fn new(text: &str, spans: &[(Span, Filling, H)]) -> Option<Self> {
        if text.len() > LENGTH || spans.is_empty() || spans.len() > HOLES {
            return None;
        }
        let (mut bytes, mut ends, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
        for (span, filling, _) in spans {
            let quote = usize::from(*filling == Filling::Text);
            bytes.push_str(text.get(at..span.start as usize + quote)?);
            ends.push(bytes.len());
            at = (span.end as usize).checked_sub(quote)?;
        }
        bytes.push_str(text.get(at..)?);
        ends.push(bytes.len());
        let holes = spans.iter().map(|(_, filling, hole)| (*filling, *hole)).collect();
        Some(Self { bytes: bytes.into(), ends, holes })
    }

    /// What becomes of each text, in order.
    pub(crate) fn holes(&self) -> impl Iterator<Item = H> {
        self.holes.iter().map(|(_, hole)| *hole)
    }

    /// The decoded texts of `data`, if all around them is as remembered.
    #[inline]
    pub(crate) fn read<'d>(&self, data: &'d [u8]) -> Option<[Cow<'d, str>; HOLES]> {
        let mut texts: [Cow<'d, str>; HOLES] = Default::default();
        let mut rest = data;
        let mut start = 0;
        let (last, firsts) = self.ends.split_last()?;
        for ((end, (filling, _)), text) in firsts.iter().zip(&self.holes).zip(&mut texts) {
            let literal = self.bytes.as_bytes().get(start..*end)?;
            let after = rest.strip_prefix(literal)?;
            let (length, is_escaped) = match filling {
                Filling::Text => string_body(after)?,
                Filling::Number => (number_body(after)?, false),
            };
            let (body, next) = after.split_at_checked(length)?;
            *text = if is_escaped {
                // The quotes on both sides belong to the string; both were just seen.
                let from = data.len() - after.len();
                let quoted = data.get(from - 1..from + length + 1)?;
                Cow::Owned(decode(std::str::from_utf8(quoted).ok()?).ok()?.into_owned())
            } else {
                Cow::Borrowed(std::str::from_utf8(body).ok()?)
            };
            rest = next;
            start = *end;
        }
        (rest == self.bytes.as_bytes().get(start..*last)?).then_some(texts)
    }

    /// Writes the event with other texts: they lie in `texts` one after the other and end at `ends`.
    pub(crate) fn write(&self, texts: &str, ends: &[usize], out: &mut BytesMut) {
        let (mut literal, mut start) = (0, 0);
        for (nth, end) in self.ends.iter().enumerate() {
            out.extend_from_slice(self.bytes.get(literal..*end).unwrap_or_default().as_bytes());
            literal = *end;
            if nth < self.holes.len() {
                let end = ends.get(nth).copied().unwrap_or(start);
                write_escaped(texts.get(start..end).unwrap_or_default(), out);
                start = end;
            }
        }
    }
}

/// The length of a number as JSON writes whole ones.
fn number_body(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let is_padded = length > 1 && bytes.first() == Some(&b'0');
    (length > 0 && length <= DIGITS && !is_padded).then_some(length)
}

/// Writes the body of a JSON string.
fn write_escaped(text: &str, out: &mut BytesMut) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let quoted = serde_json::to_string(text).unwrap_or_default();
    out.extend_from_slice(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_may_vary_and_nothing_else() {
        let text = r#"{"n":7,"t":"a","end":true}"#;
        let span = |start, end| Span { start, end };
        let spans = [(span(5, 6), Filling::Number, 'n'), (span(11, 14), Filling::Text, 't')];
        let template = Template::new(text, &spans).unwrap();
        assert_eq!(template.holes().collect::<String>(), "nt");
        let read = |data: &str| {
            template.read(data.as_bytes()).map(|[number, text, ..]| (number.into_owned(), text.into_owned()))
        };
        let some = |number: &str, text: &str| Some((number.to_owned(), text.to_owned()));
        assert_eq!(read(text), some("7", "a"));
        assert_eq!(
            read(r#"{"n":1234567890123456789,"t":"\u0041\n","end":true}"#),
            some("1234567890123456789", "A\n")
        );
        for other in [
            r#"{"n":12345678901234567890,"t":"a","end":true}"#,
            r#"{"n":07,"t":"a","end":true}"#,
            r#"{"n":,"t":"a","end":true}"#,
            r#"{"n":-7,"t":"a","end":true}"#,
            r#"{"n":7.0,"t":"a","end":true}"#,
            r#"{"n":7,"t":"a","end":true} "#,
            r#"{"n":7,"t":"a","end":false}"#,
            "{\"n\":7,\"t\":\"\n\",\"end\":true}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        let mut out = BytesMut::new();
        template.write("81\"b", &[1, 4], &mut out);
        assert_eq!(out, r#"{"n":8,"t":"1\"b","end":true}"#);
    }
}
