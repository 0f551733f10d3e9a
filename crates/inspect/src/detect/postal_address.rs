//! Postal addresses: a house number and a street whose name ends as streets' names do, and postal codes behind a word
//! that names them. Streets that are written otherwise are not found.

use super::cursor::Cursor;
use super::number::{eat_words, go_to_value};
use super::{Bytes, Match, Probe, Start, is_no_word};

/// How names of streets end.
const STREETS: &[&str] = &[
    "street",
    "st",
    "road",
    "rd",
    "avenue",
    "ave",
    "lane",
    "ln",
    "drive",
    "dr",
    "boulevard",
    "blvd",
    "court",
    "ct",
    "square",
    "place",
    "way",
    "terrace",
    "parkway",
    "pkwy",
    "highway",
    "hwy",
    "close",
    "crescent",
    "circle",
    "trail",
];

/// Words that a postal code follows.
const WORDS: &[(&str, ())] =
    &[("zip", ()), ("zipcode", ()), ("postcode", ()), ("postal code", ()), ("postleitzahl", ()), ("plz", ())];

pub(super) const STARTS: &[Start] = &[
    Start {
        left: |b| is_no_word(b) && !matches!(b, b'.' | b'-' | b'$' | b'/' | b'='),
        bytes: Bytes::Classes([
            |b| b.is_ascii_digit(),
            |b| b.is_ascii_digit() || b == b' ',
            |b| b.is_ascii_digit() || b == b' ' || b.is_ascii_uppercase(),
        ]),
    },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"zip", b"pos", b"plz"]) },
];

/// Whether an address starts here.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if cursor.peek()?.is_some_and(|b| b.is_ascii_digit()) {
        return street(cursor);
    }
    let Some((word, ())) = eat_words(&cursor, WORDS)? else { return Ok(None) };
    cursor.eat_while(word, |_| true)?;
    if !go_to_value(&mut cursor, 2, |_| false)? {
        return Ok(None);
    }
    let skip = cursor.at();
    let length = cursor.eat_while(9, |b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-')?;
    let digits = cursor.seen().get(skip..).unwrap_or_default().iter().filter(|b| b.is_ascii_digit()).count();
    let is_code = matches!(length, 4..=7) && digits >= 2 && cursor.is_border(super::is_word)?;
    Ok(is_code.then(|| Match::behind(skip, skip + length, "postal code")))
}

/// `12 Abbey Road`: a number, one to four words that begin with a capital, and the last of them a kind of street.
fn street(mut cursor: Cursor<'_>) -> Probe {
    let digits = cursor.eat_while(6, |b| b.is_ascii_digit())?;
    cursor.eat(|b| matches!(b, b'a'..=b'd' | b'A'..=b'D'))?;
    if digits > 5 || !cursor.eat(|b| b == b' ')? {
        return Ok(None);
    }
    let mut end = None;
    for place in 0..5 {
        let from = cursor.at();
        if !cursor.eat(|b| b.is_ascii_uppercase() || b >= 0xC3 || (place < 3 && b.is_ascii_digit()))? {
            break;
        }
        cursor.eat_while(24, |b| b.is_ascii_alphanumeric() || matches!(b, b'\'' | 0x80..))?;
        let word = cursor.seen().get(from..).unwrap_or_default();
        if word == b"The" {
            break;
        }
        if place > 0 && STREETS.iter().any(|street| word.eq_ignore_ascii_case(street.as_bytes())) {
            end = Some(cursor.at());
        }
        if !cursor.eat(|b| b == b' ')? {
            break;
        }
    }
    Ok(end.map(|len| Match::exact(len, "street")))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_streets_and_codes() {
        for (text, expected) in [
            ("lives at 12 Abbey Road, London", "lives at [address], London"),
            ("1600 Pennsylvania Avenue", "[address]"),
            ("221B Baker Street.", "[address]."),
            ("My zip code is 29687", "My zip code is [address]"),
        ] {
            assert_eq!(redacted(Detector::PostalAddress, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_numbers() {
        for text in [
            "12 Monkeys",
            "3 Ways to win",
            "in 2024 The Road ended",
            "zip file of 12 MB",
            "a zip of 120 files",
            "90 Street",
        ] {
            assert_eq!(redacted(Detector::PostalAddress, text), text);
        }
    }
}
