//! E-mail addresses: the dot-atom form of RFC 5321 with a top-level domain, and letters of European scripts.

use super::cursor::Cursor;
use super::{Match, Probe};

/// Longest local part (RFC 5321 section 4.5.3.1.1). In a longer run the last bytes before the `@` count.
const LONGEST_LOCAL: usize = 64;

/// Longest domain (RFC 5321 section 4.5.3.1.2).
const LONGEST_DOMAIN: usize = 255;

/// Whether `byte` may be in a local part.
pub(crate) fn is_local(byte: u8) -> bool {
    is_letter(byte)
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'!' | b'#' | b'$' | b'*' | b'~')
}

/// Where the local part that ends at `end` starts, not before `from`; `end` if there is none.
pub(crate) fn local_start(bytes: &[u8], from: usize, end: usize) -> usize {
    let from = from.max(end.saturating_sub(LONGEST_LOCAL));
    let run = bytes.get(from..end).unwrap_or_default();
    let length = run.iter().rev().take_while(|byte| is_local(**byte)).count();
    let start = end - length;
    // A quote or a dash before an address is not a part of it, and a character is not cut in two.
    let skip = bytes.get(start..end).unwrap_or_default().iter().take_while(|byte| !is_first(**byte)).count();
    start + skip
}

/// Whether an address starts here; the caller found the `@` and went back from it.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    let local = cursor.eat_while(LONGEST_LOCAL, is_local)?;
    // `a***@example.com` is masked already.
    // The `@` is asked for first: how the local part ends is known only when it has come.
    if local == 0
        || !cursor.eat(|byte| byte == b'@')?
        || cursor.seen().ends_with(b".@")
        || cursor.seen().ends_with(b"***@")
    {
        return Ok(None);
    }
    let mut found = None;
    let mut labels = 0;
    let first = cursor.at();
    loop {
        let label = cursor.at();
        let mut is_alphabetic = true;
        let mut last = b'-';
        while cursor.at() - first < LONGEST_DOMAIN && cursor.eat(is_domain)? {
            last = cursor.seen().last().copied().unwrap_or(b'-');
            is_alphabetic &= !last.is_ascii_digit() && last != b'-';
        }
        let length = cursor.at() - label;
        if length == 0 || last == b'-' {
            break;
        }
        labels += 1;
        if labels > 1 && length > 1 && (is_alphabetic || is_idna(cursor.seen(), label)) {
            found = Some(cursor.at());
        }
        if !(cursor.peek()? == Some(b'.') && cursor.peek_second()?.is_some_and(is_domain)) {
            break;
        }
        cursor.next()?;
    }
    Ok(found.map(|len| Match::exact(len, "email")))
}

/// `a***@e***.com`.
pub(super) fn evidence(found: &str) -> String {
    let (local, domain) = found.split_once('@').unwrap_or((found, ""));
    let (name, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
    let mut evidence = String::with_capacity(16 + top.len());
    evidence.extend(local.chars().take(1));
    evidence.push_str("***@");
    evidence.extend(name.chars().take(1));
    evidence.push_str("***.");
    evidence.push_str(top);
    evidence
}

/// A letter or digit of ASCII, or a byte of a letter of two bytes (Latin, Greek, Cyrillic, Armenian).
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, 0x80..=0xBF | 0xC3..=0xD4)
}

/// A byte that an address may start with.
fn is_first(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || matches!(byte, 0xC3..=0xD4)
}

fn is_domain(byte: u8) -> bool {
    is_letter(byte) || byte == b'-'
}

fn is_idna(seen: &[u8], label: usize) -> bool {
    seen.get(label..).is_some_and(|label| label.starts_with(b"xn--"))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_addresses_and_nothing_around_them() {
        for (text, expected) in [
            ("ann@example.com", "[email]"),
            ("mail ann.lee+x@mail.example.co.uk.", "mail [email]."),
            ("<ann@example.com>, 'bob@example.org'", "<[email]>, '[email]'"),
            ("to:ann@example.com;cc=bob_1@a-b.io", "to:[email];cc=[email]"),
            ("josé@exámple.com", "[email]"),
            ("иван@почта.рф", "[email]"),
            ("请联系ann@example.com谢谢", "请联系[email]谢谢"),
            ("a@b.co", "[email]"),
            ("...ann@example.com...", "...[email]..."),
            ("ann@example.com.", "[email]."),
            ("ann@example.c0m.net", "[email]"),
            ("ann@xn--bcher-kva.xn--p1ai", "[email]"),
            ("ann@@bob@example.com", "ann@@[email]"),
            ("mailto:ann@example.com?subject=x", "mailto:[email]?subject=x"),
        ] {
            assert_eq!(redacted(Detector::Email, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_what_is_no_address() {
        for text in [
            "@ann",
            "ann@",
            "ann@localhost",
            "a @ b.com",
            "x@y.",
            "ann@example.c",
            "ann@.com",
            "@media (x)",
            "ann.@example.com",
            "npm i @scope/name@1.2.3",
            "user@10.0.0.1",
            "请@example.com",
            "a@-.com",
            "price 3@4.50",
        ] {
            assert_eq!(redacted(Detector::Email, text), text);
        }
    }

    #[test]
    fn an_endless_run_hides_no_address() {
        let text = format!("{}ann@example.com", "x".repeat(500));
        assert_eq!(redacted(Detector::Email, &text), format!("{}[email]", "x".repeat(500 + 3 - 64)));
    }

    #[test]
    fn evidence_shows_the_shape() {
        assert_eq!(crate::detect::finds(Detector::Email, "ann@mail.example.com"), ["a***@m***.com"]);
    }
}
