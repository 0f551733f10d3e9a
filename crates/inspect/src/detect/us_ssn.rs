//! US social security numbers in their separated form. Nine digits in a row are anything, so they are left alone.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start, is_no_word};

pub(super) const STARTS: &[Start] = &[Start {
    left: |b| is_no_word(b) && !matches!(b, b'-' | b'.' | b'+'),
    bytes: Bytes::Classes([|b| matches!(b, b'0'..=b'8'), |b| b.is_ascii_digit(), |b| b.is_ascii_digit()]),
}];

/// Whether a number starts here: `AAA-GG-SSSS` with areas, groups and serials that are issued (20 CFR 422.103).
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if cursor.eat_while(3, |b| b.is_ascii_digit())? != 3
        || matches!(cursor.seen(), b"000" | b"666" | [b'9', ..])
    {
        return Ok(None);
    }
    let Some(separator @ (b'-' | b' ')) = cursor.next()? else { return Ok(None) };
    if cursor.eat_while(2, |b| b.is_ascii_digit())? != 2 || cursor.seen().ends_with(b"00") {
        return Ok(None);
    }
    if cursor.next()? != Some(separator) {
        return Ok(None);
    }
    if cursor.eat_while(4, |b| b.is_ascii_digit())? != 4 || cursor.seen().ends_with(b"0000") {
        return Ok(None);
    }
    let len = cursor.at();
    if !cursor.is_border(super::is_word)? {
        return Ok(None);
    }
    // `123-45-6789-0` and `123 45 6789 1` are longer numbers.
    if cursor.peek()? == Some(separator) && cursor.peek_second()?.is_some_and(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    Ok(Some(Match::exact(len, "us-ssn")))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, finds, redacted};

    #[test]
    fn finds_separated_numbers() {
        for (text, expected) in [
            ("123-45-6789", "[ssn]"),
            ("SSN 123 45 6789.", "SSN [ssn]."),
            ("\"ssn\":\"899-12-3456\"", "\"ssn\":\"[ssn]\""),
            ("(078-05-1120)", "([ssn])"),
        ] {
            assert_eq!(redacted(Detector::UsSsn, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_what_was_never_issued_or_is_longer() {
        for text in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-4567",
            "123-45-0000",
            "123456789",
            "123-456-789",
            "123-45-67890",
            "1123-45-6789",
            "123-45-6789-0",
            "1-123-45-6789",
            "123-45 6789",
            "123--45-6789",
            "123-45-678",
            "x123-45-6789",
        ] {
            assert_eq!(redacted(Detector::UsSsn, text), text);
        }
    }

    #[test]
    fn evidence_shows_the_last_four() {
        assert_eq!(finds(Detector::UsSsn, "123-45-6789"), ["**** 6789"]);
    }
}
