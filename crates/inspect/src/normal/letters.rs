//! Which pairs of letters are usual: what tells text from the same text rotated or written backwards.

use std::sync::LazyLock;

/// For each pair of letters (27 signs: a border of a word, a to z): how much more usual it is in languages of Latin
/// letters than any pair, in eighths of a nat. Written by `tools/train`, half of it English.
const PAIRS: &[u8; 27 * 27] = include_bytes!("../../models/letters.bin");

/// The sign of each byte: 1 to 26 for a letter, 0 for anything else.
static SIGN: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let mut sign = [0; 256];
    for (letter, index) in (b'a'..=b'z').zip(1_u8..) {
        for byte in [letter, letter.to_ascii_uppercase()] {
            if let Some(slot) = sign.get_mut(usize::from(byte)) {
                *slot = index;
            }
        }
    }
    sign
});

/// Reads letters as they come. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters(&'static [u8; 256]);

impl Letters {
    /// With the tables at hand.
    pub(super) fn new() -> Self {
        Self(&SIGN)
    }

    /// The sign of a byte.
    pub(super) fn sign(self, byte: u8) -> u8 {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// The sign of the letter 13 places on.
    pub(super) const fn rotated(sign: u8) -> u8 {
        match sign {
            0 => 0,
            1..=13 => sign + 13,
            _ => sign - 13,
        }
    }

    /// How usual `right` is behind `left`, in eighths of a nat.
    pub(super) fn pair(left: u8, right: u8) -> i32 {
        let index = usize::from(left) * 27 + usize::from(right);
        PAIRS.get(index).map_or(0, |byte| i32::from(i8::from_le_bytes([*byte])))
    }

    /// How usual a word is, borders included: the sum over its pairs.
    pub(super) fn word(self, word: impl Iterator<Item = u8>) -> i32 {
        let mut left = 0;
        let mut sum = 0;
        for byte in word {
            let right = self.sign(byte);
            sum += Self::pair(left, right);
            left = right;
        }
        sum + Self::pair(left, 0)
    }
}
