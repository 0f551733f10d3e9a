//! How a detector reads: forward only, and never past what has arrived.

/// The text seen so far does not decide; more must arrive first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct More;

/// A reader over the text from a candidate's first byte on.
///
/// INVARIANT: a detector learns of the text through this reader alone. Whatever it decides after reading a prefix it
/// would decide again for every longer text with that prefix; where the end of an unfinished text would matter it
/// gets [`More`]. This makes verdicts independent of how a text was split.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'t> {
    bytes: &'t [u8],
    at: usize,
    is_whole: bool,
    before: u8,
}

impl<'t> Cursor<'t> {
    /// Reads `bytes`, which start at the candidate. `before` is the byte left of it; `is_whole` says that nothing follows.
    pub(crate) fn new(bytes: &'t [u8], before: u8, is_whole: bool) -> Self {
        Self { bytes, at: 0, is_whole, before }
    }

    /// The byte left of the candidate; a line feed at the start of the text.
    pub(crate) fn before(&self) -> u8 {
        self.before
    }

    /// The same text from the byte `at` on, as if that were the candidate.
    pub(crate) fn rewound(&self, at: usize) -> Self {
        let before =
            at.checked_sub(1).and_then(|index| self.bytes.get(index)).copied().unwrap_or(self.before);
        let bytes = self.bytes.get(at..).unwrap_or_default();
        Self { bytes, at: 0, is_whole: self.is_whole, before }
    }

    /// How many bytes were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What was read.
    pub(crate) fn seen(&self) -> &'t [u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }

    /// The next byte without taking it; `None` at the end of the text.
    pub(crate) fn peek(&self) -> Result<Option<u8>, More> {
        match self.bytes.get(self.at) {
            Some(byte) => Ok(Some(*byte)),
            None if self.is_whole => Ok(None),
            None => Err(More),
        }
    }

    /// The byte after `peek`'s; `None` at the end of the text.
    pub(crate) fn peek_second(&self) -> Result<Option<u8>, More> {
        match self.bytes.get(self.at.saturating_add(1)) {
            Some(byte) => Ok(Some(*byte)),
            None if self.is_whole => Ok(None),
            None => Err(More),
        }
    }

    /// Takes the next byte; `None` at the end of the text.
    pub(crate) fn next(&mut self) -> Result<Option<u8>, More> {
        let byte = self.peek()?;
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    /// Takes the next byte if it is one of `class`.
    pub(crate) fn eat(&mut self, class: impl FnOnce(u8) -> bool) -> Result<bool, More> {
        let is_eaten = self.peek()?.is_some_and(class);
        self.at += usize::from(is_eaten);
        Ok(is_eaten)
    }

    /// Takes bytes of `class`, at most `most`; returns how many.
    pub(crate) fn eat_while(&mut self, most: usize, class: impl Fn(u8) -> bool) -> Result<usize, More> {
        let mut count = 0;
        while count < most && self.eat(&class)? {
            count += 1;
        }
        Ok(count)
    }

    /// Takes `literal` byte by byte; `false`, having taken a part of it, where the text differs.
    pub(crate) fn eat_literal(&mut self, literal: &[u8]) -> Result<bool, More> {
        for expected in literal {
            if !self.eat(|byte| byte == *expected)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the next byte is none of `class`, or the text ends.
    pub(crate) fn is_border(&self, class: impl FnOnce(u8) -> bool) -> Result<bool, More> {
        Ok(!self.peek()?.is_some_and(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_unfinished_text_decides_nothing() {
        let mut open = Cursor::new(b"ab", b'\n', false);
        assert_eq!(open.eat_literal(b"abc"), Err(More));
        let mut whole = Cursor::new(b"ab", b'\n', true);
        assert_eq!(whole.eat_literal(b"abc"), Ok(false));
        let mut early = Cursor::new(b"ax", b'\n', false);
        assert_eq!(early.eat_literal(b"abc"), Ok(false));
    }

    #[test]
    fn a_bounded_run_needs_no_byte_after_it() {
        let mut open = Cursor::new(b"111", b'\n', false);
        assert_eq!(open.eat_while(3, |b| b.is_ascii_digit()), Ok(3));
        assert_eq!(open.is_border(|b| b.is_ascii_digit()), Err(More));
    }
}
