//! International bank account numbers: a country of the registry, its length, and the remainder 97 (ISO 13616).

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start, is_no_word};

pub(super) const STARTS: &[Start] = &[Start {
    left: is_no_word,
    bytes: Bytes::Classes([|b| b.is_ascii_alphabetic(), |b| b.is_ascii_alphabetic(), |b| b.is_ascii_digit()]),
}];

/// Length of an account number for each country of the registry.
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Whether an account number starts here, in any case, with or without single spaces or dashes.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    let (Some(first), Some(second)) = (cursor.next()?, cursor.next()?) else { return Ok(None) };
    let country = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let Ok(index) = LENGTHS.binary_search_by_key(&&country, |(country, _)| country) else { return Ok(None) };
    let Some((_, length)) = LENGTHS.get(index) else { return Ok(None) };
    if cursor.eat_while(2, |b| b.is_ascii_digit())? != 2 {
        return Ok(None);
    }
    let mut remainder = Remainder::default();
    let head = cursor.seen();
    for _ in 4..*length {
        cursor.eat(|b| matches!(b, b' ' | b'-'))?;
        match cursor.next()? {
            Some(byte) if byte.is_ascii_alphanumeric() => remainder.push(byte),
            _ => return Ok(None),
        }
    }
    head.iter().for_each(|byte| remainder.push(*byte));
    if remainder.0 != 1 || !cursor.is_border(|b| b.is_ascii_alphanumeric())? {
        return Ok(None);
    }
    Ok(Some(Match::exact(cursor.at(), "iban")))
}

/// `DE** 3000`: the country and the last four.
pub(super) fn evidence(found: &str) -> String {
    let signs: Vec<char> = found.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut evidence: String = signs.iter().take(2).map(char::to_ascii_uppercase).collect();
    evidence.push_str("** ");
    evidence.extend(signs.iter().skip(signs.len().saturating_sub(4)));
    evidence
}

/// The number read as digits, `A` as 10 to `Z` as 35, modulo 97.
#[derive(Default)]
struct Remainder(u32);

impl Remainder {
    fn push(&mut self, byte: u8) {
        self.0 = match byte {
            b'0'..=b'9' => self.0 * 10 + u32::from(byte - b'0'),
            _ => self.0 * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10,
        } % 97;
    }
}

#[cfg(test)]
mod tests {
    use super::LENGTHS;
    use crate::detect::{Detector, finds, redacted};

    #[test]
    fn the_registry_is_sorted() {
        assert!(LENGTHS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn finds_account_numbers() {
        for (text, expected) in [
            ("DE89370400440532013000", "[iban]"),
            ("DE89 3704 0044 0532 0130 00", "[iban]"),
            ("pay to gb82 west 1234 5698 7654 32, please", "pay to [iban], please"),
            ("FR14 2004 1010 0505 0001 3M02 606", "[iban]"),
            ("NO9386011117947", "[iban]"),
            ("iban:CH93-0076-2011-6238-5295-7", "iban:[iban]"),
            ("MT84MALT011000012345MTLCAST001S next", "[iban] next"),
        ] {
            assert_eq!(redacted(Detector::Iban, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_what_does_not_add_up() {
        for text in [
            "DE89370400440532013001",
            "DE8937040044053201300",
            "DE893704004405320130000",
            "XX89370400440532013000",
            "xDE89370400440532013000",
            "DE89  3704 0044 0532 0130 00",
            "no12 is a number",
            "be42 it so, or be it not",
            "DE",
        ] {
            assert_eq!(redacted(Detector::Iban, text), text);
        }
    }

    #[test]
    fn evidence_shows_country_and_last_four() {
        assert_eq!(finds(Detector::Iban, "DE89 3704 0044 0532 0130 00"), ["DE** 3000"]);
    }
}
