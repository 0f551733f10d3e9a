//! Payment card numbers: 13 to 19 digits in one run or in the groups that cards are printed in, a known brand's
//! range and length (ISO/IEC 7812), and the Luhn check digit.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start, is_no_word};

/// Most digits of a card number.
const MOST: usize = 19;

pub(super) const STARTS: &[Start] = &[Start {
    left: is_no_word,
    bytes: Bytes::Classes([|b| matches!(b, b'2'..=b'6'), |b| b.is_ascii_digit(), |b| b.is_ascii_digit()]),
}];

/// Whether a card number starts here.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    // `1.4111…` and `+4111…` are parts of other numbers; `-4111…` may be a list item.
    if matches!(cursor.before(), b'.' | b'+') {
        return Ok(None);
    }
    let mut digits = [0_u8; MOST];
    let mut groups = Groups::default();
    let mut separator = None;
    loop {
        let room = MOST - groups.total;
        let before = cursor.at();
        let count = cursor.eat_while(room, |b| b.is_ascii_digit())?;
        if count == 0 {
            break;
        }
        let taken = cursor.seen().get(before..).unwrap_or_default();
        for (slot, digit) in digits.iter_mut().skip(groups.total).zip(taken) {
            *slot = digit - b'0';
        }
        groups.total += count;
        if !is_plausible(&digits, groups.total) || !cursor.is_border(super::is_word)? {
            // Either no brand starts so, or the run of digits goes on: this is something else.
            break;
        }
        groups.push(count, cursor.at());
        let Some(next @ (b' ' | b'-')) = cursor.peek()? else { break };
        if groups.total == MOST || *separator.get_or_insert(next) != next {
            break;
        }
        if !cursor.peek_second()?.is_some_and(|b| b.is_ascii_digit()) {
            break;
        }
        cursor.next()?;
    }
    Ok(groups.longest(&digits).map(|len| Match::exact(len, "card")))
}

/// The groups read so far: after each, how many digits and how many bytes.
#[derive(Default)]
struct Groups {
    sizes: [usize; 6],
    ends: [usize; 6],
    count: usize,
    total: usize,
}

impl Groups {
    fn push(&mut self, size: usize, end: usize) {
        if let (Some(s), Some(e)) = (self.sizes.get_mut(self.count), self.ends.get_mut(self.count)) {
            (*s, *e) = (size, end);
            self.count += 1;
        }
    }

    /// Bytes of the longest number that the groups make.
    fn longest(&self, digits: &[u8; MOST]) -> Option<usize> {
        (1..=self.count).rev().find_map(|count| {
            let sizes = self.sizes.get(..count)?;
            let number = digits.get(..sizes.iter().sum())?;
            (is_printed_so(sizes) && is_brand(number) && is_luhn(number))
                .then(|| self.ends.get(count - 1).copied())?
        })
    }
}

/// One run, or the groups that are printed on cards.
fn is_printed_so(sizes: &[usize]) -> bool {
    matches!(
        sizes,
        [_] | [4, 4, 4, 1..=4] | [4, 4, 4, 4, 1..=3] | [4, 6, 5] | [4, 6, 4] | [6, 13] | [4, 4, 5]
    )
}

/// Whether digits that begin so can still become a card number. Ends most probes after one group.
fn is_plausible(digits: &[u8; MOST], total: usize) -> bool {
    total < 4 || brand_lengths(prefix(digits)).is_some()
}

fn is_brand(number: &[u8]) -> bool {
    brand_lengths(prefix(number)).is_some_and(|lengths| lengths.contains(&number.len()))
}

fn prefix(digits: &[u8]) -> u16 {
    digits.iter().take(4).fold(0, |sum, digit| sum * 10 + u16::from(*digit))
}

/// Lengths in use for the brand with these first four digits.
fn brand_lengths(prefix: u16) -> Option<&'static [usize]> {
    Some(match prefix {
        4000..=4999 => &[13, 16, 19],
        5100..=5599 | 2221..=2720 => &[16],
        3400..=3499 | 3700..=3799 => &[15],
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => &[14, 16, 19],
        6011 | 6440..=6599 => &[16, 19],
        3528..=3589 => &[16, 17, 18, 19],
        6200..=6299 => &[16, 17, 18, 19],
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => &[13, 14, 15, 16, 17, 18, 19],
        _ => return None,
    })
}

fn is_luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            if place % 2 == 0 { digit } else { digit * 2 - if digit > 4 { 9 } else { 0 } }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, finds, redacted};

    #[test]
    fn finds_numbers_of_every_brand() {
        for (text, expected) in [
            ("4242424242424242", "[card]"),
            ("4242 4242 4242 4242", "[card]"),
            ("4242-4242-4242-4242.", "[card]."),
            ("card: 4222222222222 x", "card: [card] x"),
            ("378282246310005", "[card]"),
            ("3782 822463 10005", "[card]"),
            ("5555555555554444", "[card]"),
            ("2223003122003222", "[card]"),
            ("6011111111111117", "[card]"),
            ("3530111333300000", "[card]"),
            ("30569309025904", "[card]"),
            ("3056 930902 5904", "[card]"),
            ("order 12 4242 4242 4242 4242 12/27", "order 12 [card] 12/27"),
            ("4242 4242 4242 4242 123", "[card] 123"),
            ("卡号4242424242424242", "卡号[card]"),
            ("4242424242424242,5555555555554444", "[card],[card]"),
            ("4242424242424242 5555555555554444", "[card] [card]"),
        ] {
            assert_eq!(redacted(Detector::Card, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_numbers() {
        for text in [
            "4242424242424241",
            "424242424242424",
            "42424242424242420",
            "1700000000000",
            "x4242424242424242",
            "4242424242424242x",
            "42424242424242424242424242",
            "1234567812345670",
            "42 42 42 42 42 42 42 42",
            "4242 42424242 4242",
            "4242-4242 4242-4242",
            "0.4242424242424242",
            "+4242424242424242",
            "_4242424242424242",
            "2024 2025 2026 2027",
            "4242  4242  4242  4242",
        ] {
            assert_eq!(redacted(Detector::Card, text), text);
        }
    }

    #[test]
    fn evidence_shows_the_last_four() {
        assert_eq!(finds(Detector::Card, "4242 4242 4242 4242"), ["**** 4242"]);
    }
}
