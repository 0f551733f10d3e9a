//! One pass over a text that says which of the other passes have anything to do. Most texts need none.

use super::letters::Letters;
use super::turned::seems_mirrored;

/// What a text may contain. Each is a necessary condition for one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hints(u8);

impl Hints {
    /// Any byte beyond ASCII.
    pub(super) const WIDE: u8 = 1;
    /// Letters that stand alone, several in a row.
    pub(super) const SPACED: u8 = 1 << 1;
    /// Words with digits or signs between their letters.
    pub(super) const LEET: u8 = 1 << 2;
    /// A run of letters and digits too long for a word, or many pairs of hexadecimal digits.
    pub(super) const ENCODED: u8 = 1 << 3;
    /// An escape: `%41`, `\u0041`, `&#65;`.
    pub(super) const ESCAPED: u8 = 1 << 4;
    /// Tags, comments, or Markdown that has a text which is not shown.
    pub(super) const MARKUP: u8 = 1 << 5;
    /// Words that are made of unusual pairs of letters.
    pub(super) const STRANGE: u8 = 1 << 6;

    /// Whether any of `bits` is set.
    pub(super) const fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    const fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }
}

/// From how many letters that stand alone on a text is taken for spaced.
pub(super) const SPACED_LETTERS: usize = 4;
/// The shortest run that is looked at as base64 or hexadecimal.
pub(super) const ENCODED_BYTES: usize = 16;
/// How many words with signs in them make a text leet.
pub(super) const LEET_WORDS: usize = 3;
/// How strange (eighths of a nat, summed over neighbouring words) a text must get before rotation is tried.
pub(super) const STRANGE_SUM: i32 = 32;
/// What an ordinary word is worth at least per pair, in eighths of a nat.
pub(super) const ORDINARY: i32 = 3;

/// What the text asks for.
pub(super) fn scan(text: &str) -> Hints {
    let mut scan = Scan::default();
    let letters = Letters::new();
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let sign = letters.sign(byte);
        if sign != 0 {
            scan.letter(sign, byte);
        } else if byte.is_ascii_digit() || byte >= 0x80 {
            scan.inner(byte);
        } else {
            scan.border(byte, bytes.get(index + 1).copied().unwrap_or(b' '));
        }
    }
    scan.border(b' ', b' ');
    if seems_mirrored(bytes) {
        scan.hints.set(Hints::STRANGE);
    }
    scan.hints
}

/// What the pass remembers.
#[derive(Debug, Default)]
struct Scan {
    hints: Hints,
    /// Characters of the word so far, letters among them, hexadecimal digits among them.
    len: usize,
    letters: usize,
    hex: usize,
    /// Bytes of the run so far: words joined by the signs of base64.
    run: usize,
    /// Single letters, and pairs of hexadecimal digits, in a row.
    singles: usize,
    pairs: usize,
    leet: usize,
    /// The last letter's sign, how usual the word is, how strange the words before it were.
    last: u8,
    usual: i32,
    strange: i32,
    /// The last sign was one that stands for a letter.
    is_sign: bool,
    is_mixed: bool,
}

impl Scan {
    fn letter(&mut self, sign: u8, byte: u8) {
        self.is_mixed |= self.is_sign && self.len > 0;
        self.is_sign = false;
        self.usual += Letters::pair(self.last, sign);
        self.last = sign;
        self.len += 1;
        self.letters += 1;
        self.hex += usize::from(byte.is_ascii_hexdigit());
    }

    /// A digit, or part of a character beyond ASCII.
    fn inner(&mut self, byte: u8) {
        self.last = 0;
        if byte >= 0x80 {
            self.hints.set(Hints::WIDE);
            if byte < 0xc0 {
                return;
            }
        } else {
            self.is_sign = true;
            self.hex += 1;
        }
        self.len += 1;
    }

    fn border(&mut self, byte: u8, next: u8) {
        if matches!(byte, b'@' | b'$' | b'!' | b'|') && next.is_ascii_alphanumeric() {
            self.is_sign = true;
            self.is_mixed |= self.len > 0 && next.is_ascii_alphabetic();
            self.len += 1;
            self.last = 0;
            return;
        }
        match byte {
            b'%' if next.is_ascii_hexdigit() => self.hints.set(Hints::ESCAPED),
            b'\\' if matches!(next, b'u' | b'U' | b'x') => self.hints.set(Hints::ESCAPED),
            b'&' if next == b'#' || next.is_ascii_alphabetic() => self.hints.set(Hints::ESCAPED),
            b'<' if next.is_ascii_alphabetic() || matches!(next, b'!' | b'/') => {
                self.hints.set(Hints::MARKUP);
            }
            b'!' if next == b'[' => self.hints.set(Hints::MARKUP),
            b']' if matches!(next, b'(' | b':') => self.hints.set(Hints::MARKUP),
            _ => {}
        }
        if self.len > 0 {
            self.word();
        }
        if matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=') {
            self.run += 1;
        } else {
            self.run = 0;
        }
    }

    /// A word ends.
    fn word(&mut self) {
        self.run += self.len;
        if self.run >= ENCODED_BYTES {
            self.hints.set(Hints::ENCODED);
        }
        self.singles = if self.len == 1 { self.singles + 1 } else { 0 };
        if self.singles >= SPACED_LETTERS {
            self.hints.set(Hints::SPACED);
        }
        let is_pair = self.hex == self.len && self.len == 2 || self.hex + 1 == self.len && self.len == 4;
        self.pairs = if is_pair { self.pairs + 1 } else { 0 };
        if self.pairs >= ENCODED_BYTES / 2 {
            self.hints.set(Hints::ENCODED);
        }
        if self.letters > 0 && (self.is_mixed || self.letters < self.len) {
            self.leet += 1;
            if self.leet >= LEET_WORDS {
                self.hints.set(Hints::LEET);
            }
        } else if self.letters == self.len && self.len > 1 {
            self.usual += Letters::pair(self.last, 0);
            let pairs = i32::try_from(self.len).unwrap_or(i32::MAX / 8) + 1;
            self.strange = (self.strange + ORDINARY * pairs - self.usual).max(0);
            if self.strange >= STRANGE_SUM {
                self.hints.set(Hints::STRANGE);
            }
        }
        (self.len, self.letters, self.hex) = (0, 0, 0);
        (self.last, self.usual) = (0, 0);
        (self.is_sign, self.is_mixed) = (false, false);
    }
}
