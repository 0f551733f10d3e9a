//! Numbers as people write them: groups of digits with single separators, and what words before them say.

use super::cursor::{Cursor, More};

/// Most digits that are read.
pub(super) const MOST: usize = 20;

/// Most groups.
pub(super) const GROUPS: usize = 8;

/// Most bytes between a word and the value that it names.
const LONGEST_GAP: usize = 40;

/// Digits in groups.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Number {
    digits: [u8; MOST],
    sizes: [usize; GROUPS],
    seps: [u8; GROUPS],
    groups: usize,
    total: usize,
    /// Where it ends, in bytes from the candidate.
    pub(super) end: usize,
}

impl Number {
    /// Reads groups of digits that stand apart by one of `separators` each. `None` where they go on too long.
    pub(super) fn read(cursor: &mut Cursor<'_>, separators: fn(u8) -> bool) -> Result<Option<Self>, More> {
        let mut number = Self::default();
        loop {
            let from = cursor.at();
            let count = cursor.eat_while(MOST - number.total + 1, |b| b.is_ascii_digit())?;
            if count == 0 || number.total + count > MOST || number.groups == GROUPS {
                return Ok(None);
            }
            let taken = cursor.seen().get(from..).unwrap_or_default();
            for (slot, digit) in number.digits.iter_mut().skip(number.total).zip(taken) {
                *slot = digit - b'0';
            }
            if let Some(size) = number.sizes.get_mut(number.groups) {
                *size = count;
            }
            number.total += count;
            number.groups += 1;
            number.end = cursor.at();
            let Some(next) = cursor.peek()? else { break };
            if !separators(next) || !cursor.peek_second()?.is_some_and(|b| b.is_ascii_digit()) {
                break;
            }
            if let Some(sep) = number.seps.get_mut(number.groups - 1) {
                *sep = next;
            }
            cursor.next()?;
        }
        Ok(Some(number))
    }

    /// The digits, as numbers.
    pub(super) fn digits(&self) -> &[u8] {
        self.digits.get(..self.total).unwrap_or_default()
    }

    /// How many digits each group has.
    pub(super) fn sizes(&self) -> &[usize] {
        self.sizes.get(..self.groups).unwrap_or_default()
    }

    /// What stands between the groups.
    pub(super) fn seps(&self) -> &[u8] {
        self.seps.get(..self.groups.saturating_sub(1)).unwrap_or_default()
    }

    /// The digits from `from` to `to` as one number.
    pub(super) fn value(&self, from: usize, to: usize) -> u64 {
        value(self.digits().get(from..to).unwrap_or_default())
    }
}

/// Digits as one number.
pub(super) fn value(digits: &[u8]) -> u64 {
    digits.iter().take(19).fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}

/// The sum of `digits`, each times its weight.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// The check of Luhn (ISO/IEC 7812-1, annex B).
pub(super) fn is_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u32| digit * 2 - if digit > 4 { 9 } else { 0 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { u32::from(*digit) } else { doubled(u32::from(*digit)) })
        .sum();
    sum.is_multiple_of(10)
}

/// Takes `word` in any case, and says whether it ends there.
pub(super) fn eat_word(cursor: &mut Cursor<'_>, word: &str) -> Result<bool, More> {
    for letter in word.bytes() {
        if !cursor.eat(|byte| byte.to_ascii_lowercase() == letter)? {
            return Ok(false);
        }
    }
    cursor.is_border(|byte| byte.is_ascii_lowercase())
}

/// Takes the first of `words` that stands here; they are in lower case, the longer ones first.
pub(super) fn eat_words<'w, T>(
    cursor: &Cursor<'_>,
    words: &'w [(&'static str, T)],
) -> Result<Option<(usize, &'w T)>, More> {
    let first = cursor.peek()?.map(|byte| byte.to_ascii_lowercase());
    for (word, what) in words.iter().filter(|(word, _)| word.as_bytes().first() == first.as_ref()) {
        let mut cursor = cursor.clone();
        if eat_word(&mut cursor, word)? {
            return Ok(Some((cursor.at(), what)));
        }
    }
    Ok(None)
}

/// Goes on from a word to the value that it names: over a few words without digits, on one line, up to a word that
/// has a digit or that `is_value` knows by its first bytes. Says whether there is one.
pub(super) fn go_to_value(
    cursor: &mut Cursor<'_>,
    words: usize,
    is_value: fn(&[u8]) -> bool,
) -> Result<bool, More> {
    let from = cursor.at();
    for _ in 0..=words {
        cursor.eat_while(8, |b| {
            matches!(
                b,
                b' ' | b'\t'
                    | b':'
                    | b'='
                    | b'#'
                    | b','
                    | b'"'
                    | b'\''
                    | b'?'
                    | b')'
                    | b'*'
                    | b'_'
                    | b'-'
                    | b'.'
                    | b'/'
                    | b'|'
                    | b'>'
            )
        })?;
        let next = cursor.peek()?;
        if next.is_some_and(|b| b.is_ascii_digit())
            || (matches!(next, Some(b'+' | b'('))
                && cursor.peek_second()?.is_some_and(|b| b.is_ascii_digit()))
        {
            return Ok(true);
        }
        cursor.eat(|b| b == b'(')?;
        let mut ahead = cursor.clone();
        let length = ahead.eat_while(24, |b| b.is_ascii_alphanumeric() || matches!(b, b'\'' | 0x80..))?;
        let word = ahead.seen().get(cursor.at()..).unwrap_or_default();
        if word.iter().any(u8::is_ascii_digit) || is_value(word) {
            return Ok(true);
        }
        if length == 0 || ahead.at() - from > LONGEST_GAP {
            return Ok(false);
        }
        *cursor = ahead;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_groups() {
        let mut cursor = Cursor::new(b"12-345 67x", b' ', true);
        let number = Number::read(&mut cursor, |b| matches!(b, b'-' | b' ')).unwrap().unwrap();
        assert_eq!((number.sizes(), number.seps(), number.end), (&[2, 3, 2][..], &b"- "[..], 9));
        assert_eq!(number.value(0, 7), 1_234_567);
        let mut long = Cursor::new(b"123456789012345678901", b' ', true);
        assert!(Number::read(&mut long, |_| false).unwrap().is_none());
    }

    #[test]
    fn checks() {
        assert!(is_luhn(&[4, 2, 4, 2]) != is_luhn(&[4, 2, 4, 3]));
        assert_eq!(weighted(&[1, 2, 3], &[1, 10, 100]), 321);
    }
}
