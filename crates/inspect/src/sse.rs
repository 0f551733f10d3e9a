//! Server-sent events, read incrementally (WHATWG HTML section 9.2): bytes in any split, events out, each with
//! its raw bytes.

use std::borrow::Cow;

use memchr::memchr2;

/// How large a stream's parts may grow before it is refused. In bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest line without its line end.
    pub line: usize,
    /// Longest event with all its line ends.
    pub event: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 1 << 20, event: 2 << 20 }
    }
}

/// Why a stream of events cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line is longer than [`Limits::line`].
    #[error("a line of the event stream is too long")]
    LineTooLong,
    /// An event is longer than [`Limits::event`].
    #[error("an event of the stream is too long")]
    EventTooLong,
    /// The stream ended inside an event that carries data.
    #[error("the stream ended inside an event")]
    Truncated,
}

/// One event, or a block without data (comments, a lone blank line).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// Every byte of the event, from after the last event to its blank line, that line's end included.
    pub raw: &'a [u8],
    /// The `data` fields joined by `\n`; `None` where there is none, so that nothing is dispatched.
    pub data: Option<Cow<'a, [u8]>>,
    /// Whether the event is one `data` line and nothing else: no comment, no other field, no byte order mark.
    pub is_plain: bool,
    /// Where the value of the only `data` line begins in `raw`; `None` where there is none or more than one, or where
    /// the stream's byte order mark stands before it.
    pub data_at: Option<usize>,
    /// Whether the stream's byte order mark stands before it.
    has_bom: bool,
}

impl<'a> Event<'a> {
    /// The lines other than `data` lines and the final blank one, without line ends and byte order mark.
    pub fn other_lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = if self.has_bom { self.raw.strip_prefix(BOM).unwrap_or(self.raw) } else { self.raw };
        lines(bytes).filter(|line| !line.is_empty() && field(line).is_none())
    }
}

/// Reads a stream. Where a whole event lies in one chunk it is borrowed from there; only the rest is copied.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// The bytes of an event that spans chunks, after `emitted` bytes that were already given out.
    carry: Vec<u8>,
    emitted: usize,
    progress: Progress,
    is_started: bool,
}

impl Decoder {
    /// Starts a stream.
    pub fn new(limits: Limits) -> Self {
        Self { limits, carry: Vec::new(), emitted: 0, progress: Progress::default(), is_started: false }
    }

    /// Takes the next event from the front of `chunk`, or all of `chunk` and `None` when no event ends in it.
    ///
    /// A blank line that ends in CR is complete only with the byte after it, which may be its LF.
    ///
    /// # Errors
    /// A line or an event over its limit; how the stream was cut into chunks makes no difference.
    pub fn next<'d, 'c: 'd>(&'d mut self, chunk: &mut &'c [u8]) -> Result<Option<Event<'d>>, SseError> {
        if self.emitted > 0 {
            self.carry.drain(..self.emitted);
            self.emitted = 0;
        }
        if !self.carry.is_empty() {
            return self.next_carried(chunk);
        }
        let whole: &'c [u8] = chunk;
        if whole.is_empty() {
            return Ok(None);
        }
        match self.progress.advance(whole, self.limits, !self.is_started)? {
            Some(end) => {
                let (raw, rest) = whole.split_at(end);
                *chunk = rest;
                Ok(Some(self.complete(raw)))
            }
            None => {
                self.carry.extend_from_slice(whole);
                *chunk = &[];
                Ok(None)
            }
        }
    }

    fn next_carried<'d, 'c: 'd>(&'d mut self, chunk: &mut &'c [u8]) -> Result<Option<Event<'d>>, SseError> {
        loop {
            if let Some(end) = self.progress.advance(&self.carry, self.limits, !self.is_started)? {
                self.emitted = end;
                let progress = std::mem::take(&mut self.progress);
                self.is_started = true;
                let raw = self.carry.get(..end).unwrap_or_default();
                return Ok(Some(progress.event(raw)));
            }
            if chunk.is_empty() {
                return Ok(None);
            }
            let bytes: &'c [u8] = chunk;
            let taken = memchr2(b'\n', b'\r', bytes).map_or(bytes.len(), |at| at + 1);
            let (piece, rest) = bytes.split_at(taken);
            self.carry.extend_from_slice(piece);
            *chunk = rest;
        }
    }

    /// The stream is over. Gives out an event that only waited for the LF of its last line end.
    ///
    /// # Errors
    /// [`SseError::Truncated`] where data was under way; comments and blank lines may be cut.
    pub fn finish(&mut self) -> Result<Option<Event<'_>>, SseError> {
        let progress = std::mem::take(&mut self.progress);
        let left = self.carry.get(self.emitted..).unwrap_or_default();
        self.emitted = self.carry.len();
        if progress.is_blank_cr(left) {
            return Ok(Some(progress.event(left)));
        }
        let tail = left.get(progress.line..).unwrap_or_default();
        if progress.data_lines > 0 || tail.starts_with(b"data") {
            return Err(SseError::Truncated);
        }
        Ok(None)
    }

    fn complete<'a>(&mut self, raw: &'a [u8]) -> Event<'a> {
        self.is_started = true;
        std::mem::take(&mut self.progress).event(raw)
    }
}

/// How far an event has been read; all offsets count from its first byte.
#[derive(Debug, Default)]
struct Progress {
    /// Start of the line under way.
    line: usize,
    /// Everything before was searched for a line end.
    searched: usize,
    /// The value of the first `data` field.
    data: (usize, usize),
    data_lines: u32,
    other_lines: u32,
    has_bom: bool,
}

impl Progress {
    /// Reads on in `bytes`, which start with the event. Returns where it ends, if it does.
    #[inline]
    fn advance(&mut self, bytes: &[u8], limits: Limits, is_first: bool) -> Result<Option<usize>, SseError> {
        loop {
            let Some(rest) = bytes.get(self.searched..) else { return Ok(None) };
            let Some(found) = memchr2(b'\n', b'\r', rest) else {
                self.searched = bytes.len();
                return self.check(bytes.len(), bytes.len(), limits).map(|()| None);
            };
            let end = self.searched + found;
            let next = match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => end + 2,
                // The LF that may belong to this CR has not come yet.
                (Some(b'\r'), None) => {
                    self.searched = end;
                    return self.check(end, bytes.len(), limits).map(|()| None);
                }
                _ => end + 1,
            };
            self.check(end, next, limits)?;
            let line = bytes.get(self.line..end).unwrap_or_default();
            let line_at = self.line;
            self.line = next;
            self.searched = next;
            if line.is_empty() {
                return Ok(Some(next));
            }
            self.note(line, line_at, is_first);
        }
    }

    /// Checks the limits of what has come: a line up to `end`, an event up to `all`.
    #[inline]
    fn check(&self, end: usize, all: usize, limits: Limits) -> Result<(), SseError> {
        let is_line_over = end - self.line > limits.line;
        if all <= limits.event {
            return if is_line_over { Err(SseError::LineTooLong) } else { Ok(()) };
        }
        // Of two limits the one that was passed first is named, however many bytes came at once.
        let is_line_first = self.line.saturating_add(limits.line) <= limits.event;
        Err(if is_line_over && is_line_first { SseError::LineTooLong } else { SseError::EventTooLong })
    }

    /// Remembers what kind of line this is.
    #[inline]
    fn note(&mut self, line: &[u8], at: usize, is_first: bool) {
        let length = line.len();
        self.has_bom |= is_first && at == 0 && line.starts_with(BOM);
        let line = if self.has_bom && at == 0 { line.get(BOM.len()..).unwrap_or_default() } else { line };
        let end = at + length;
        match field(line) {
            None => self.other_lines += 1,
            Some(value) => {
                if self.data_lines == 0 {
                    self.data = (end - value.len(), end);
                }
                self.data_lines += 1;
            }
        }
    }

    /// Whether `left` is an event whose blank line ended in a CR at the very end of the stream.
    fn is_blank_cr(&self, left: &[u8]) -> bool {
        self.line < left.len() && left.get(self.line..) == Some(b"\r")
    }

    #[inline]
    fn event(self, raw: &[u8]) -> Event<'_> {
        let data = match self.data_lines {
            0 => None,
            1 => raw.get(self.data.0..self.data.1).map(Cow::Borrowed),
            _ => Some(Cow::Owned(joined(raw, self.data.0))),
        };
        Event {
            raw,
            data,
            is_plain: self.data_lines == 1 && self.other_lines == 0 && !self.has_bom,
            data_at: (self.data_lines == 1 && !self.has_bom).then_some(self.data.0),
            has_bom: self.has_bom,
        }
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The value of a `data` line; `None` for every other line.
#[inline]
fn field(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Splits at CR, LF and CRLF.
fn lines(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(end);
        bytes = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
        Some(line)
    })
}

/// Joins the `data` lines of an event of which the first has its value at `first`.
fn joined(raw: &[u8], first: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(raw.len());
    let rest = raw.get(first..).unwrap_or_default();
    for (nth, line) in lines(rest).enumerate() {
        if nth == 0 {
            all.extend_from_slice(line);
        } else if let Some(value) = field(line) {
            all.push(b'\n');
            all.extend_from_slice(value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (Vec<u8>, Option<Vec<u8>>, bool);

    fn read(pieces: &[&[u8]], limits: Limits) -> (Vec<Owned>, Option<SseError>) {
        let mut decoder = Decoder::new(limits);
        let mut all = Vec::new();
        let own = |event: Event<'_>| (event.raw.to_vec(), event.data.map(Cow::into_owned), event.is_plain);
        for piece in pieces {
            let mut rest = *piece;
            loop {
                match decoder.next(&mut rest) {
                    Ok(Some(event)) => all.push(own(event)),
                    Ok(None) => break,
                    Err(error) => return (all, Some(error)),
                }
            }
            assert!(rest.is_empty(), "all of a chunk is taken");
        }
        match decoder.finish() {
            Ok(Some(event)) => all.push(own(event)),
            Ok(None) => {}
            Err(error) => return (all, Some(error)),
        }
        (all, None)
    }

    fn check(input: &str, expected: &[Option<&str>]) {
        let (events, error) = read(&[input.as_bytes()], Limits::default());
        let data: Vec<_> = events.iter().map(|(_, data, _)| data.clone()).collect();
        let expected: Vec<_> =
            expected.iter().map(|data| data.map(|data| data.as_bytes().to_vec())).collect();
        assert_eq!(data, expected, "{input:?}");
        assert_eq!(error, None, "{input:?}");
    }

    #[test]
    fn data_is_what_the_standard_says() {
        check("data: a\n\n", &[Some("a")]);
        check("data:a\n\n", &[Some("a")]);
        check("data:  a\r\n\r\n", &[Some(" a")]);
        check("data: a\r\r", &[Some("a")]);
        check("data: a\r\rdata: b\r\r", &[Some("a"), Some("b")]);
        check("data: a\ndata: b\n\n", &[Some("a\nb")]);
        check("data\n\n", &[Some("")]);
        check("data\ndata\n\n", &[Some("\n")]);
        check("data:\n\n", &[Some("")]);
        check("\u{feff}data: a\n\n", &[Some("a")]);
        check("\u{feff}data: a\ndata: b\n\n", &[Some("a\nb")]);
        check("data: a\n\n\u{feff}data: b\n\n", &[Some("a"), None]);
        check(": ping\n\n", &[None]);
        check(": ping\nevent: x\ndata: a\nid: 1\n\n", &[Some("a")]);
        check("event: x\ndata: a\ndata: b\nretry: 1\ndata: c\n\n", &[Some("a\nb\nc")]);
        check("datax: a\n\n", &[None]);
        check(" data: a\n\n", &[None]);
        check("\n\n", &[None, None]);
        check("", &[]);
    }

    #[test]
    fn the_other_lines_are_those_without_data() {
        let raw = b": note\r\ndata: a\nevent: x\rdata: b\n\n";
        let (mut decoder, mut rest) = (Decoder::new(Limits::default()), &raw[..]);
        let event = decoder.next(&mut rest).unwrap().unwrap();
        assert_eq!(event.other_lines().collect::<Vec<_>>(), [&b": note"[..], b"event: x"]);
        assert!(!event.is_plain);
    }

    #[test]
    fn what_is_cut_or_too_long_fails() {
        let small = Limits { line: 10, event: 16 };
        let fails = |input: &str| read(&[input.as_bytes()], small).1;
        assert_eq!(fails("data: abcd\n\n"), None);
        assert_eq!(fails("data: abcde\n\n"), Some(SseError::LineTooLong));
        assert_eq!(fails("data: abcde"), Some(SseError::LineTooLong));
        assert_eq!(fails("data: abcd\n:ab\n\n"), None);
        assert_eq!(fails("data: abcd\n:abc\n\n"), Some(SseError::EventTooLong));
        assert_eq!(fails("data: abcd\n:abcde"), Some(SseError::EventTooLong));
        assert_eq!(fails("data: a"), Some(SseError::Truncated));
        assert_eq!(fails("data: a\n"), Some(SseError::Truncated));
        assert_eq!(fails(": a\n: b"), None);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "data: a", "data:", "data", ": c", "event: e", "x", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\u{feff}",
                ]), 0..24),
            cuts in proptest::collection::vec(0usize..120, 0..12),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts { pieces.push(&bytes[from..cut]); from = cut; }
            pieces.push(&bytes[from..]);
            let limits = Limits { line: 20, event: 40 };
            let whole = read(&[bytes], limits);
            prop_assert_eq!(&whole, &read(&pieces, limits));
            if whole.1.is_none() {
                let raw: Vec<u8> = whole.0.iter().flat_map(|(raw, ..)| raw.clone()).collect();
                prop_assert!(bytes.starts_with(&raw));
            }
        }
    }
}
