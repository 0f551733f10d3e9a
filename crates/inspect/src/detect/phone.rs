//! Telephone numbers: international ones (E.164, with the separators of E.123), national ones by the way they are written,
//! and any number of digits where words beside it say that it is one.

use super::cursor::{Cursor, More};
use super::number::{Number, eat_words, go_to_value};
use super::{Bytes, Match, Probe, Start, is_no_word};

/// Words that a number follows.
const WORDS: &[(&str, ())] = &[
    ("phone", ()),
    ("phones", ()),
    ("telephone", ()),
    ("telefon", ()),
    ("telefono", ()),
    ("telefone", ()),
    ("tel", ()),
    ("mobile", ()),
    ("mobil", ()),
    ("cellphone", ()),
    ("cellular", ()),
    ("celular", ()),
    ("cell", ()),
    ("call", ()),
    ("fax", ()),
    ("dial", ()),
    ("whatsapp", ()),
    ("handynummer", ()),
    ("handy", ()),
    ("answering", ()),
    ("movil", ()),
    ("portable", ()),
    ("rufnummer", ()),
];

/// Words that follow a number, as on letterheads.
const AFTER: &[(&str, ())] =
    &[("office", ()), ("fax", ()), ("mobile", ()), ("cell", ()), ("home", ()), ("phone", ())];

fn left(byte: u8) -> bool {
    is_no_word(byte) && !matches!(byte, b'-' | b'.' | b'/' | b'$' | b'=' | b'#')
}

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

pub(super) const STARTS: &[Start] = &[
    Start {
        left: is_no_word,
        bytes: Bytes::Classes([
            |b| b == b'+',
            |b| matches!(b, b'1'..=b'9' | b'('),
            |b| digit(b) || is_separator(b),
        ]),
    },
    Start { left: is_no_word, bytes: Bytes::Classes([|b| b == b'(', |b| digit(b) || b == b'+', digit]) },
    Start { left, bytes: Bytes::Classes([digit, digit, |b| digit(b) || is_separator(b)]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[b"1-2", b"1-3", b"1-4", b"1-5", b"1-6", b"1-7", b"1-8", b"1-9", b"1 8"]),
    },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"pho", b"por", b"fax", b"dia"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"tel", b"cel", b"cal"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"mob", b"mov", b"han", b"wha", b"ans", b"ruf"]) },
];

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/')
}

/// Whether a number starts here, or a word that one follows.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if !cursor.peek()?.is_some_and(|b| b.is_ascii_alphabetic()) {
        return Ok(written(cursor, false)?.map(|len| Match::exact(len, "phone")));
    }
    let Some((word, ())) = eat_words(&cursor, WORDS)? else { return Ok(None) };
    cursor.eat_while(word, |_| true)?;
    if !go_to_value(&mut cursor, 4, |_| false)? {
        return Ok(None);
    }
    let skip = cursor.at();
    let found = written(cursor.rewound(skip), true)?;
    Ok(found.map(|len| Match::behind(skip, skip + len, "phone")))
}

/// The length of the number here, if it is written like one.
fn written(mut cursor: Cursor<'_>, is_named: bool) -> Result<Option<usize>, More> {
    let is_open = cursor.eat(|b| b == b'(')?;
    let is_plus = cursor.eat(|b| b == b'+')?;
    let has_area = is_open || cursor.peek()? == Some(b'(');
    if has_area && !is_open {
        cursor.next()?;
    }
    // The area in brackets, then the rest.
    let Some(first) = Number::read(&mut cursor, is_separator)? else { return Ok(None) };
    let mut rest = None;
    if cursor.peek()? == Some(b')') {
        if !has_area || first.digits().len() > 5 {
            return Ok(None);
        }
        cursor.next()?;
        cursor.eat(|b| matches!(b, b' ' | b'-'))?;
        let Some(number) = Number::read(&mut cursor, is_separator)? else { return Ok(None) };
        rest = Some(number);
    } else if cursor.peek()? == Some(b' ') && cursor.peek_second()? == Some(b'(') && is_plus {
        // `+44 (0)20 7946 0958`
        cursor.eat_while(2, |_| true)?;
        cursor.eat_while(4, digit)?;
        if !cursor.eat(|b| b == b')')? {
            return Ok(None);
        }
        cursor.eat(|b| b == b' ')?;
        let Some(number) = Number::read(&mut cursor, is_separator)? else { return Ok(None) };
        rest = Some(number);
    } else if has_area {
        return Ok(None);
    }
    let extension = extension(&mut cursor)?;
    let len = cursor.at();
    if !cursor.is_border(super::is_word)? {
        return Ok(None);
    }
    let total = first.digits().len() + rest.as_ref().map_or(0, |number| number.digits().len());
    if !(6..=15).contains(&total) || is_other(&first, rest.is_some()) {
        return Ok(None);
    }
    let is_phone = is_named
        || is_plus && total >= 8
        || extension && total >= 9
        || rest.as_ref().is_some_and(|rest| total >= 8 && rest.digits().len() >= 6)
        || (rest.is_none() && is_national(&first))
        || is_labelled(cursor)?;
    Ok(is_phone.then_some(len))
}

/// `x4208`, ` ext. 12`.
fn extension(cursor: &mut Cursor<'_>) -> Result<bool, More> {
    let mut ahead = cursor.clone();
    ahead.eat(|b| b == b' ')?;
    if ahead.eat(|b| b == b'x')? || ahead.eat_literal(b"ext")? {
        ahead.eat_while(2, |b| matches!(b, b'.' | b' '))?;
        if (1..=6).contains(&ahead.eat_while(7, digit)?) {
            *cursor = ahead;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a word of a letterhead follows.
fn is_labelled(mut cursor: Cursor<'_>) -> Result<bool, More> {
    if !cursor.eat(|b| matches!(b, b' ' | b'-'))? {
        return Ok(false);
    }
    cursor.eat(|b| b == b'(')?;
    Ok(eat_words(&cursor, AFTER)?.is_some())
}

/// Dates, years, amounts and addresses of machines are written in groups too.
fn is_other(number: &Number, has_rest: bool) -> bool {
    let is_year = |from| (1800..2200).contains(&number.value(from, from + 4));
    let seps = number.seps();
    let is_date = match number.sizes() {
        [4, 1 | 2, 1 | 2] | [4, 4] => is_year(0),
        [a @ (1 | 2), b @ (1 | 2), 4] => is_year(a + b),
        [a @ (1 | 2), b @ (1 | 2), 2] => {
            seps.iter().all(|sep| matches!(sep, b'/' | b'.' | b'-'))
                && a + b <= 4
                && number.value(*a, a + b) <= 31
        }
        _ => false,
    };
    let is_address =
        number.sizes().len() == 4 && seps == b"..." && number.sizes().iter().all(|size| *size <= 3);
    !has_rest && (is_date || is_address)
        || seps.windows(2).any(|pair| pair.contains(&b'/')) && seps.len() > 2
        || (!has_rest && number.digits().iter().all(|digit| Some(digit) == number.digits().first()))
}

/// Ways to write that little else has: North America's, and those of countries whose numbers begin with zero.
fn is_national(number: &Number) -> bool {
    let seps = number.seps();
    let is_same = seps.windows(2).all(|pair| pair.first() == pair.last());
    let first = number.digits().first().copied().unwrap_or_default();
    let starts_so = |sizes: &[usize]| number.sizes() == sizes;
    if starts_so(&[3, 3, 4]) && is_same && seps.first().is_some_and(|sep| matches!(sep, b'-' | b'.')) {
        return true;
    }
    if starts_so(&[1, 3, 3, 4]) || starts_so(&[3, 3, 3, 4]) {
        return is_same
            && (number.sizes().len() == 4
                && number.value(0, number.sizes().first().copied().unwrap_or(1)) == 1);
    }
    let total = number.digits().len();
    let is_grouped = number.sizes().iter().all(|size| (2..=8).contains(size)) && number.sizes().len() >= 3;
    let is_dashed = number.sizes().len() == 2 && seps.first().is_some_and(|sep| matches!(sep, b'-' | b'/'));
    first == 0
        && number.digits().get(1).is_some_and(|digit| *digit != 0)
        && (9..=12).contains(&total)
        && number.sizes().first().is_some_and(|size| (2..=5).contains(size))
        && !seps.contains(&b'.')
        && (is_grouped || is_dashed)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_numbers() {
        for (text, expected) in [
            ("+49 30 901820", "[phone]"),
            ("call +1 (415) 555-2671 now", "call [phone] now"),
            ("+44 (0)20 7946 0958.", "[phone]."),
            ("(415) 555-2671", "[phone]"),
            ("415-555-2671", "[phone]"),
            ("415.555.2671x42", "[phone]"),
            ("1-800-555-2671", "[phone]"),
            ("001-415-555-2671", "[phone]"),
            ("06 12 34 56 78", "[phone]"),
            ("0431 35 06 90", "[phone]"),
            ("0171-1234567", "[phone]"),
            ("Phone: 449 4898", "Phone: [phone]"),
            ("They are not answering at 5676 6953", "They are not answering at [phone]"),
            ("97 111421 office", "[phone] office"),
            ("Telefon (privat) 030 901820", "Telefon (privat) [phone]"),
            ("tel:+14155552671", "tel:[phone]"),
        ] {
            assert_eq!(redacted(Detector::Phone, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_numbers() {
        for text in [
            "2024-05-16 11:28:01",
            "12/05/2024",
            "call 911",
            "call me at 10",
            "10 000 000 people",
            "192.168.100.1",
            "1 + 2 = 3",
            "order 12345678",
            "ISBN 978-3-16-148410-0",
            "version 3.11.12",
            "$415-555-2671",
            "from 2001-2005 to 2010 2015",
            "a phone with 8 GB and 12 megapixels",
            "x = (12) + 3",
            "000-000-0000",
            "x-415-555-26711",
        ] {
            assert_eq!(redacted(Detector::Phone, text), text);
        }
    }
}
