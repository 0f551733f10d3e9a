//! Escape sequences of terminals (ECMA-48): in text that a terminal shows they hide, overwrite, link and paste.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start};

pub(super) const STARTS: &[Start] =
    &[Start { left: |_| true, bytes: Bytes::Classes([|b| b == 0x1b, |_| true, |_| true]) }];

/// Longest sequence that is read; what is left of a longer one is not a sequence any more.
const LONGEST: usize = 256;

/// Whether a sequence starts here.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    cursor.next()?;
    match cursor.next()? {
        // A control sequence: parameters, and a byte that says what it is.
        Some(b'[') => {
            cursor.eat_while(64, |b| matches!(b, 0x20..=0x3f))?;
            cursor.eat(|b| matches!(b, 0x40..=0x7e))?;
        }
        // A string for the system or the device, up to BEL or ST.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            cursor.eat_while(LONGEST, |b| b != 0x07 && b != 0x1b && b < 0x80)?;
            if !cursor.eat(|b| b == 0x07)?
                && cursor.peek()? == Some(0x1b)
                && cursor.peek_second()? == Some(b'\\')
            {
                cursor.next()?;
                cursor.next()?;
            }
        }
        Some(b'(' | b')' | b'#' | b'%') => {
            cursor.eat(|b| b.is_ascii_graphic())?;
        }
        Some(byte) if byte < 0x80 => {}
        _ => return Ok(Some(Match::exact(1, "escape"))),
    }
    Ok(Some(Match::exact(cursor.at(), "escape sequence")))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_sequences() {
        for (text, expected) in [
            ("a\x1b[31mred\x1b[0m", "a[escape]red[escape]"),
            ("\x1b]8;;http://x.example\x07link\x1b]8;;\x07", "[escape]link[escape]"),
            ("\x1b]0;title\x1b\\x", "[escape]x"),
            ("\x1bc", "[escape]"),
            ("\x1bé", "[escape]é"),
            ("\x1b", "[escape]"),
            ("\\x1b[31m", "\\x1b[31m"),
        ] {
            assert_eq!(redacted(Detector::AnsiEscape, text), expected, "{text:?}");
        }
    }
}
