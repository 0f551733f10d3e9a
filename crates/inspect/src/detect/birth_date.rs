//! Dates of birth: a date behind a word that says whose day it is.

use super::cursor::{Cursor, More};
use super::number::{Number, eat_words, go_to_value};
use super::{Bytes, Match, Probe, Start, is_no_word};

/// Words that a date of birth follows.
const WORDS: &[(&str, ())] = &[
    ("born", ()),
    ("birth", ()),
    ("birthdate", ()),
    ("birthday", ()),
    ("dob", ()),
    ("geboren", ()),
    ("geburtsdatum", ()),
    ("naissance", ()),
    ("nacimiento", ()),
    ("nacido", ()),
    ("nacida", ()),
    ("nascita", ()),
    ("nascimento", ()),
    ("geboortedatum", ()),
];

/// The first three letters of the months, in English, German, French, Spanish and Italian.
const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mai", "okt", "dez",
    "fev", "avr", "jui", "aou", "ene", "abr", "ago", "dic", "gen", "mag", "giu", "lug", "set", "ott",
];

pub(super) const STARTS: &[Start] = &[
    Start { left: |b| is_no_word(b) || b == b'_', bytes: Bytes::Words(&[b"bor", b"bir", b"dob"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"geb", b"nai", b"nac", b"nas"]) },
];

/// Whether a word starts here that a date follows.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    let Some((word, ())) = eat_words(&cursor, WORDS)? else { return Ok(None) };
    cursor.eat_while(word, |_| true)?;
    let from = cursor.at();
    // The end of a sentence does not end the talk of a birthday: `your date of birth. It's 7/5/1970`.
    if !go_to_value(&mut cursor, 5, is_month)? {
        return Ok(None);
    }
    let skip = cursor.at();
    debug_assert!(skip >= from);
    Ok(date(cursor.rewound(skip))?.map(|len| Match::behind(skip, skip + len, "birth date")))
}

fn is_month(word: &[u8]) -> bool {
    let head: Vec<u8> = word.iter().take(3).map(u8::to_ascii_lowercase).collect();
    word.len() <= 10 && MONTHS.iter().any(|month| month.as_bytes() == head)
}

/// The length of the date that stands here.
fn date(mut cursor: Cursor<'_>) -> Result<Option<usize>, More> {
    if cursor.peek()?.is_some_and(|b| b.is_ascii_digit()) {
        let Some(number) = Number::read(&mut cursor, |b| matches!(b, b'/' | b'-' | b'.'))? else {
            return Ok(None);
        };
        let years = |from: usize| (1880..2100).contains(&number.value(from, from + 4));
        let is_date = match number.sizes() {
            [a @ (1 | 2), b @ (1 | 2), 4] => {
                years(a + b) && number.value(0, *a) <= 31 && number.value(*a, a + b) <= 31
            }
            [a @ (1 | 2), b @ (1 | 2), 2] => number.value(0, *a) <= 31 && number.value(*a, a + b) <= 31,
            [4, a @ (1 | 2), b @ (1 | 2)] => {
                years(0) && number.value(4, 4 + a) <= 12 && number.value(4 + a, 4 + a + b) <= 31
            }
            [8] => years(0) || years(4),
            // `12 March 1980`, `12. Mai 1980`, `12th of March 1980`
            [1 | 2] => return written(cursor, number.value(0, 2)),
            _ => false,
        };
        return Ok((is_date && cursor.is_border(super::is_word)?).then_some(number.end));
    }
    cursor.eat_while(10, |b| b.is_ascii_alphabetic() || b >= 0x80)?;
    cursor.eat_while(2, |b| matches!(b, b'.' | b' '))?;
    let Some(day) = Number::read(&mut cursor, |_| false)? else { return Ok(None) };
    if day.digits().len() == 4 {
        return Ok(Some(day.end));
    }
    cursor.eat_while(2, |b| b.is_ascii_alphabetic())?;
    cursor.eat_while(2, |b| matches!(b, b',' | b' '))?;
    year(cursor)
}

/// A month in letters and a year.
fn written(mut cursor: Cursor<'_>, day: u64) -> Result<Option<usize>, More> {
    cursor.eat_while(2, |b| b.is_ascii_lowercase())?;
    cursor.eat_while(2, |b| matches!(b, b'.' | b' ' | b'-'))?;
    if cursor.eat_literal(b"of ")? || cursor.eat_literal(b"de ")? {
        // Only a link between day and month.
    }
    let from = cursor.at();
    cursor.eat_while(10, |b| b.is_ascii_alphabetic() || b >= 0x80)?;
    let month = cursor.seen().get(from.saturating_sub(1)..).unwrap_or_default();
    let starts = cursor.seen().get(from..).unwrap_or_default();
    if day > 31 || !(is_month(starts) || is_month(month)) {
        return Ok(None);
    }
    cursor.eat_while(3, |b| matches!(b, b',' | b' ' | b'.' | b'-'))?;
    if cursor.peek()? == Some(b'd') && cursor.eat_literal(b"de ")? {
        return year(cursor);
    }
    year(cursor)
}

fn year(mut cursor: Cursor<'_>) -> Result<Option<usize>, More> {
    let Some(number) = Number::read(&mut cursor, |_| false)? else { return Ok(None) };
    let is_year = number.digits().len() == 4 && (1880..2100).contains(&number.value(0, 4));
    Ok(is_year.then_some(number.end))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_dates_of_birth() {
        for (text, expected) in [
            ("She was born on 2/16/1962.", "She was born on [birth-date]."),
            ("confirm your date of birth. It's 7/5/1970", "confirm your date of birth. It's [birth-date]"),
            ("DOB: 1980-02-29", "DOB: [birth-date]"),
            ("\"birth_date\": \"1980-02-29\"", "\"birth_date\": \"[birth-date]\""),
            ("born 12 March 1980 in", "born [birth-date] in"),
            ("birthday: March 12, 1980", "birthday: [birth-date]"),
            ("geboren am 12.03.1980", "geboren am [birth-date]"),
            ("date de naissance : 12/03/1980", "date de naissance : [birth-date]"),
        ] {
            assert_eq!(redacted(Detector::BirthDate, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_dates() {
        for text in [
            "on 2/16/1962",
            "born in 1962",
            "a newborn of 3 kg",
            "birth rate 1.7",
            "birthday in 12 days",
            "reborn 2/16/1962",
        ] {
            assert_eq!(redacted(Detector::BirthDate, text), text);
        }
    }
}
