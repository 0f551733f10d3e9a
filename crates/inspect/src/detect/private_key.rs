//! Private keys in text form: PEM (RFC 7468, OpenSSH's and the older OpenSSL forms) and PGP armour (RFC 9580).

use memchr::memchr;

use super::cursor::{Cursor, More};
use super::{Bytes, Match, Probe, Start, Tail};

pub(super) const STARTS: &[Start] = &[Start { left: |b| b != b'-', bytes: Bytes::Prefixes(&[b"---"]) }];

/// Most signs of a label before `PRIVATE KEY`: `OPENSSH `, `ENCRYPTED `, `PGP `.
const LONGEST_LABEL: usize = 32;

/// Whether a key starts here: the `BEGIN` line and the first signs of a body. A line that is only talked about has none.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if !eat_marker(&mut cursor, b"BEGIN ")? {
        return Ok(None);
    }
    let len = cursor.at();
    // Line ends may be escaped, spaced or missing, where a key was carried inside JSON or a variable.
    while cursor.at() - len < 16 {
        if !cursor.eat(|b| b.is_ascii_whitespace())? {
            if cursor.peek()? != Some(b'\\')
                || !cursor.peek_second()?.is_some_and(|b| matches!(b, b'n' | b'r'))
            {
                break;
            }
            cursor.next()?;
            cursor.next()?;
        }
    }
    let first = cursor.at();
    // Base64 of sixteen signs, or an armour header (`Proc-Type: 4,ENCRYPTED`, `Version: …`).
    let signs =
        cursor.eat_while(16, |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-'))?;
    let is_header = signs > 3 && cursor.at() > first && cursor.peek()? == Some(b':');
    Ok((signs == 16 || is_header).then_some(Match {
        len,
        skip: 0,
        tail: Tail::Key,
        label: "private key block",
    }))
}

/// Skips the body of a key: how many of `bytes` belong to it, and whether its `END` line is among them.
///
/// What is skipped may be dropped at once; what is left over may be the beginning of the `END` line.
pub(crate) fn skip_body(bytes: &[u8], is_whole: bool) -> (usize, bool) {
    let mut at = 0;
    while let Some(dash) = bytes.get(at..).and_then(|rest| memchr(b'-', rest)) {
        at += dash;
        let mut cursor = Cursor::new(bytes.get(at..).unwrap_or_default(), b'\n', is_whole);
        match eat_marker(&mut cursor, b"END ") {
            Ok(true) => return (at + cursor.at(), true),
            Err(More) => return (at, false),
            Ok(false) => at += 1,
        }
    }
    (bytes.len(), false)
}

/// Takes `-----BEGIN RSA PRIVATE KEY-----` or the like.
fn eat_marker(cursor: &mut Cursor<'_>, word: &[u8]) -> Result<bool, More> {
    if cursor.eat_while(8, |b| b == b'-')? < 5 || !cursor.eat_literal(word)? {
        return Ok(false);
    }
    let label = cursor.at();
    cursor.eat_while(LONGEST_LABEL, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ')?;
    let label = cursor.seen().get(label..).unwrap_or_default();
    let is_private = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    Ok(is_private && cursor.eat_literal(b"-----")?)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    fn key(label: &str, line_end: &str) -> String {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7".to_owned() + line_end;
        format!("-----BEGIN {label}-----{line_end}{}-----END {label}-----", body.repeat(20))
    }

    #[test]
    fn finds_keys_whole() {
        for label in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        ] {
            for line_end in ["\n", "\r\n", "\\n", " ", ""] {
                let text = format!("a {} b", key(label, line_end));
                assert_eq!(
                    redacted(Detector::PrivateKey, &text),
                    "a [private-key] b",
                    "{label} {line_end:?}"
                );
            }
        }
    }

    #[test]
    fn a_key_that_never_ends_is_dropped_to_the_end() {
        let text = key("PRIVATE KEY", "\n").replace("-----END", "----- END");
        assert_eq!(redacted(Detector::PrivateKey, &text), "[private-key]");
    }

    #[test]
    fn headers_of_old_keys_belong_to_them() {
        let text =
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabc\n-----END RSA PRIVATE KEY-----!";
        assert_eq!(redacted(Detector::PrivateKey, text), "[private-key]!");
    }

    #[test]
    fn leaves_other_blocks_and_talk_of_keys() {
        for text in [
            "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PUBLIC KEY-----",
            "it starts with -----BEGIN PRIVATE KEY----- and goes on",
            "----------------------------------",
            "--- title ---",
        ] {
            assert_eq!(redacted(Detector::PrivateKey, text), text);
        }
    }
}
