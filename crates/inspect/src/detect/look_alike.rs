//! Hosts that look like others: labels that mix Latin letters with Cyrillic or Greek ones, or that consist of letters
//! that all have a Latin double (Unicode UTS 39), written out or in Punycode (RFC 3492).

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start};

pub(super) const STARTS: &[Start] =
    &[Start { left: |b| b.is_ascii_alphanumeric(), bytes: Bytes::Prefixes(&[b"://"]) }];

/// Longest host (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;

/// Letters of Cyrillic and Greek that look like Latin ones.
const DOUBLES: &str = "аеорсухіјѕһԁԛԝӏкмтвнɡοανικρτυχγω";

/// Whether such a host stands here, behind the `://`.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if !cursor.eat_literal(b"://")? {
        return Ok(None);
    }
    let skip = cursor.at();
    cursor
        .eat_while(LONGEST, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') || b >= 0x80)?;
    let host = cursor.seen().get(skip..).unwrap_or_default();
    if !host.iter().any(|b| *b >= 0x80) && memchr::memmem::find(host, b"xn--").is_none() {
        return Ok(None);
    }
    let Ok(host) = std::str::from_utf8(host) else { return Ok(None) };
    let is_one = host.split('.').any(|label| match label.strip_prefix("xn--") {
        Some(encoded) => decode(encoded).is_some_and(|label| is_look_alike(&label)),
        None => is_look_alike(&label.to_lowercase().chars().collect::<Vec<_>>()),
    });
    Ok(is_one.then(|| Match::behind(skip, cursor.at(), "look-alike host")))
}

fn is_look_alike(label: &[char]) -> bool {
    let is_latin = |c: &char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}');
    let is_other = |c: &char| matches!(c, '\u{370}'..='\u{52f}');
    let has_other = label.iter().any(is_other);
    let letters = || label.iter().filter(|c| c.is_alphabetic());
    has_other && (label.iter().any(is_latin) || letters().all(|c| DOUBLES.contains(*c)))
}

/// Decodes a label of Punycode.
fn decode(encoded: &str) -> Option<Vec<char>> {
    let (basic, extended) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    let mut label: Vec<char> = basic.chars().collect();
    let (mut code, mut place, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = extended.bytes().peekable();
    while digits.peek().is_some() {
        let (before, mut weight, mut base) = (place, 1_u32, 36_u32);
        loop {
            let digit = match digits.next()? {
                byte @ b'a'..=b'z' => byte - b'a',
                byte @ b'A'..=b'Z' => byte - b'A',
                byte @ b'0'..=b'9' => byte - b'0' + 26,
                _ => return None,
            };
            place = place.checked_add(u32::from(digit).checked_mul(weight)?)?;
            let threshold = base.saturating_sub(bias).clamp(1, 26);
            if u32::from(digit) < threshold {
                break;
            }
            weight = weight.checked_mul(36 - threshold)?;
            base += 36;
        }
        let count = u32::try_from(label.len()).ok()? + 1;
        bias = adapt(place - before, count, before == 0);
        code = code.checked_add(place / count)?;
        place %= count;
        label.insert(usize::try_from(place).ok()?, char::from_u32(code)?);
        place += 1;
    }
    Some(label)
}

/// RFC 3492, section 6.1.
fn adapt(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut steps = 0;
    while delta > 455 {
        delta /= 35;
        steps += 36;
    }
    steps + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::detect::{Detector, redacted};

    #[test]
    fn punycode_is_decoded() {
        assert_eq!(decode("mnchen-3ya").map(String::from_iter).as_deref(), Some("münchen"));
        assert_eq!(decode("80ak6aa92e").map(String::from_iter).as_deref(), Some("аррӏе"));
        assert_eq!(decode("!"), None);
    }

    #[test]
    fn finds_look_alikes_and_leaves_other_names() {
        for (text, expected) in [
            ("https://xn--80ak6aa92e.com/login", "https://[host]/login"),
            ("https://pаypal.com/", "https://[host]/"),
            ("https://münchen.de/", "https://münchen.de/"),
            ("https://почта.рф/", "https://почта.рф/"),
            ("https://xn--mnchen-3ya.de", "https://xn--mnchen-3ya.de"),
            ("https://例え.jp", "https://例え.jp"),
        ] {
            assert_eq!(redacted(Detector::LookAlikeHost, text), expected, "{text}");
        }
    }
}
