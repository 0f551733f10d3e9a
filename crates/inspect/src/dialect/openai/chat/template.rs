//! Chunks of one stream differ in little but their text. What a chunk looked like is remembered as the bytes around
//! its texts; a later chunk with the same bytes around other texts is known to mean the same without being parsed.

use std::borrow::Cow;

use crate::dialect::tape::{Span, decode, string_body};

/// Most texts in one chunk that is remembered.
pub(super) const HOLES: usize = 4;
/// Longest chunk that is remembered, in bytes.
const LENGTH: usize = 4096;

/// Where a text of the chunk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hole {
    /// To the channel of this number.
    Channel(usize),
    /// It is screened for itself.
    Aside,
}

/// A chunk without its texts.
// INVARIANT: the chunk was valid JSON, every literal but the last ends with the quote that opens a string, and every
// literal but the first begins with the quote that closes it. So any bytes that match are valid JSON of the same
// structure, if what lies in the holes is the body of a string.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Box<str>,
    /// Ends of the literals in `bytes`; one more than there are holes.
    ends: Vec<usize>,
    pub(super) holes: Vec<Hole>,
}

impl Template {
    /// Remembers `text`, whose strings at `spans` (quotes included, in order) are the texts.
    pub(super) fn new(text: &str, spans: &[(Span, Hole)]) -> Option<Self> {
        if text.len() > LENGTH || spans.is_empty() || spans.len() > HOLES {
            return None;
        }
        let (mut bytes, mut ends, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
        for (span, _) in spans {
            bytes.push_str(text.get(at..span.start as usize + 1)?);
            ends.push(bytes.len());
            at = (span.end as usize).checked_sub(1)?;
        }
        bytes.push_str(text.get(at..)?);
        ends.push(bytes.len());
        let holes = spans.iter().map(|(_, hole)| *hole).collect();
        Some(Self { bytes: bytes.into(), ends, holes })
    }

    /// The decoded texts of `data`, if all around them is as remembered.
    #[inline]
    pub(super) fn read<'d>(&self, data: &'d [u8]) -> Option<[Cow<'d, str>; HOLES]> {
        let mut texts: [Cow<'d, str>; HOLES] = Default::default();
        let mut rest = data;
        let mut start = 0;
        let (last, firsts) = self.ends.split_last()?;
        for (end, text) in firsts.iter().zip(&mut texts) {
            let literal = self.bytes.as_bytes().get(start..*end)?;
            let after = rest.strip_prefix(literal)?;
            let (length, is_escaped) = string_body(after)?;
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

    /// The literals in order; one more than there are holes.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let literal = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            literal
        })
    }
}
