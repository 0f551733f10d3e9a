//! JSON Web Tokens in compact form (RFC 7515): a header and a payload that are base64url of JSON objects.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start, is_no_word};

/// Longest header that is waited for: names and a thumbprint, not a certificate chain.
const LONGEST_HEADER: usize = 1024;

pub(super) const STARTS: &[Start] =
    &[Start { left: |b| is_no_word(b) && !matches!(b, b'-' | b'.'), bytes: Bytes::Prefixes(&[b"eyJ"]) }];

/// Whether a token starts here. `eyJ` is `{"`; the payload must begin so too, the rest of the token is its tail.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    let header = cursor.eat_while(LONGEST_HEADER, is_base64url)?;
    if header < 12 || !cursor.eat_literal(b".eyJ")? || cursor.eat_while(8, is_base64url)? < 8 {
        return Ok(None);
    }
    Ok(Some(Match::exact(cursor.at(), "eyJ***").with_token()))
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_tokens_whole() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
        for (text, expected) in [
            (token.to_owned(), "[token]"),
            (format!("Bearer {token}."), "Bearer [token]"),
            (format!("\"{token}\",1"), "\"[token]\",1"),
            (format!("{token}{} end", "x".repeat(5000)), "[token] end"),
        ] {
            assert_eq!(redacted(Detector::Jwt, &text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_base64() {
        for text in [
            "eyJhbGciOiJFUzI1NiJ9",
            "eyJ.eyJ",
            "eyJhbGciOiJFUzI1NiJ9.abc.def",
            "keyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.x",
        ] {
            assert_eq!(redacted(Detector::Jwt, text), text);
        }
    }
}
