//! Numbers of passports, driving licences and identity cards. They have no check digits that many countries share, so a
//! number counts only behind a word that names the document.

use super::cursor::Cursor;
use super::number::{eat_words, go_to_value};
use super::{Bytes, Match, Probe, Start, is_no_word};

/// Words that a number follows.
const WORDS: &[(&str, &str)] = &[
    ("passport", "passport"),
    ("reisepass", "passport"),
    ("reisepassnummer", "passport"),
    ("passeport", "passport"),
    ("pasaporte", "passport"),
    ("passaporto", "passport"),
    ("driver", "driving licence"),
    ("drivers", "driving licence"),
    ("driving", "driving licence"),
    ("identity card", "identity card"),
    ("personalausweis", "identity card"),
    ("ausweisnummer", "identity card"),
];

pub(super) const STARTS: &[Start] = &[
    Start { left: is_no_word, bytes: Bytes::Words(&[b"pas", b"per", b"aus"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"dri", b"rei", b"ide"]) },
];

/// Whether a word starts here that the number of a document follows.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    let Some((word, label)) = eat_words(&cursor, WORDS)? else { return Ok(None) };
    cursor.eat_while(word, |_| true)?;
    if !go_to_value(&mut cursor, 6, |_| false)? {
        return Ok(None);
    }
    let skip = cursor.at();
    let named = cursor.seen().get(word..skip).unwrap_or_default();
    // A driver is a person or a program; what is numbered is the licence.
    let is_named =
        *label != "driving licence" || memchr::memmem::find(&named.to_ascii_lowercase(), b"licen").is_some();
    let length = cursor.eat_while(17, |b| b.is_ascii_alphanumeric() || b == b'-')?;
    let number = cursor.seen().get(skip..).unwrap_or_default();
    let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
    let lower = number.iter().filter(|b| b.is_ascii_lowercase()).count();
    let is_number = (6..=16).contains(&length) && digits >= 4 && digits * 2 >= length && lower <= 2;
    let is_over = cursor.is_border(|b| super::is_word(b) || b == b'/')?;
    Ok((is_named && is_number && is_over).then(|| Match::behind(skip, skip + length, label)))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_numbers_of_documents() {
        for (text, expected) in [
            ("My passport number is C01X00T47.", "My passport number is [id-document]."),
            ("driver's license number is 755600751", "driver's license number is [id-document]"),
            ("driving licence: MORGA657054SM9IJ", "driving licence: MORGA657054SM9IJ"),
            ("Driver License A125325867", "Driver License [id-document]"),
            ("Reisepass Nr. C01X00T47", "Reisepass Nr. [id-document]"),
        ] {
            assert_eq!(redacted(Detector::IdentityDocument, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_talk_of_documents() {
        for text in [
            "a passport of 32 pages",
            "driver version 535.104.05",
            "passport valid until 2030",
            "the driver drove 1200 km",
        ] {
            assert_eq!(redacted(Detector::IdentityDocument, text), text);
        }
    }
}
