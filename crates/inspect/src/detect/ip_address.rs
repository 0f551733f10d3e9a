//! Addresses of machines: IPv4 (RFC 791), IPv6 (RFC 4291), and hardware addresses (IEEE 802).
//!
//! Loopback, unspecified and broadcast addresses name nobody and are left.

use super::cursor::{Cursor, More};
use super::{Bytes, Match, Probe, Start, is_no_word};

fn left(byte: u8) -> bool {
    is_no_word(byte) && !matches!(byte, b'.' | b'-' | b':')
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

pub(super) const STARTS: &[Start] = &[
    Start {
        left: |b| left(b) || b == b':',
        bytes: Bytes::Classes([
            |b| b.is_ascii_digit(),
            |b| b.is_ascii_digit() || b == b'.',
            |b| b.is_ascii_digit() || b == b'.',
        ]),
    },
    Start { left, bytes: Bytes::Classes([hex, |b| hex(b) || b == b':', |b| hex(b) || b == b':']) },
];

pub(super) const MAC_STARTS: &[Start] =
    &[Start { left, bytes: Bytes::Classes([hex, hex, |b| matches!(b, b':' | b'-')]) }];

/// Whether an address of the internet starts here.
pub(super) fn probe(cursor: Cursor<'_>) -> Probe {
    if let Some(found) = v4(cursor.clone())? {
        return Ok(Some(found));
    }
    if cursor.before() == b':' {
        return Ok(None);
    }
    v6(cursor)
}

/// Whether a hardware address starts here: six pairs with one separator.
pub(super) fn probe_mac(mut cursor: Cursor<'_>) -> Probe {
    let mut separator = None;
    for pair in 0..6 {
        if pair > 0 && !cursor.eat(|b| *separator.get_or_insert(b) == b && matches!(b, b':' | b'-'))? {
            return Ok(None);
        }
        if cursor.eat_while(2, hex)? != 2 {
            return Ok(None);
        }
    }
    let len = cursor.at();
    let is_flat = cursor.seen().iter().all(|b| matches!(b, b'0' | b':' | b'-'))
        || cursor.seen().iter().all(|b| matches!(b, b'f' | b'F' | b':' | b'-'));
    let is_over = cursor.is_border(|b| super::is_word(b) || Some(b) == separator)?;
    Ok((is_over && !is_flat).then_some(Match::exact(len, "mac")))
}

fn v4(mut cursor: Cursor<'_>) -> Probe {
    let mut octets = [0_u16; 4];
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 && !cursor.eat(|b| b == b'.')? {
            return Ok(None);
        }
        let from = cursor.at();
        let count = cursor.eat_while(3, |b| b.is_ascii_digit())?;
        let digits = cursor.seen().get(from..).unwrap_or_default();
        *octet = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        if count == 0 || *octet > 255 || (count > 1 && digits.first() == Some(&b'0')) {
            return Ok(None);
        }
    }
    let is_nobody = matches!(octets, [0 | 127, ..] | [255, 255, ..]);
    let len = cursor.at();
    if is_nobody || !cursor.is_border(|b| super::is_word(b) || b == b'-')? {
        return Ok(None);
    }
    let goes_on =
        cursor.peek()? == Some(b'.') && cursor.peek_second()?.is_some_and(|b| b.is_ascii_alphanumeric());
    Ok((!goes_on).then_some(Match::exact(len, "ipv4")))
}

fn v6(mut cursor: Cursor<'_>) -> Probe {
    let (mut groups, mut gap, mut end) = (0, false, 0);
    loop {
        let count = cursor.eat_while(5, hex)?;
        if count == 5 {
            return Ok(None);
        }
        if count == 0 {
            break;
        }
        groups += 1;
        end = cursor.at();
        if !cursor.eat(|b| b == b':')? {
            break;
        }
        if cursor.peek()? == Some(b':') {
            if gap {
                return Ok(None);
            }
            cursor.next()?;
            gap = true;
            end = cursor.at();
        }
        if groups == 8 {
            break;
        }
    }
    is_v6(&cursor, groups, gap, end)
}

/// Whether what was read up to `end` is an address: eight groups, or fewer with a gap.
fn is_v6(cursor: &Cursor<'_>, groups: u32, gap: bool, end: usize) -> Result<Option<Match>, More> {
    let seen = cursor.seen().get(..end).unwrap_or_default();
    let is_whole = if gap { (2..8).contains(&groups) } else { groups == 8 };
    if !is_whole || !seen.iter().any(u8::is_ascii_digit) {
        return Ok(None);
    }
    let is_after_colon = cursor.at() > end;
    let is_over = cursor
        .is_border(|b| if is_after_colon { hex(b) || b == b':' } else { super::is_word(b) || b == b':' })?;
    Ok(is_over.then_some(Match::exact(end, "ipv6")))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_addresses() {
        for (text, expected) in [
            ("109.38.226.13", "[ip]"),
            ("from 10.1.2.3, port 80", "from [ip], port 80"),
            ("10.1.2.3.", "[ip]."),
            ("http://203.0.113.9:8080/", "http://[ip]:8080/"),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "[ip]"),
            ("d80:e4b5:79da:6cf6:71f3:51f7:9161:c319 blocked", "[ip] blocked"),
            ("[2001:db8::1]:443", "[[ip]]:443"),
            ("fe80::1ff:fe23:4567:890a%eth0", "[ip]%eth0"),
        ] {
            assert_eq!(redacted(Detector::IpAddress, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_other_groups() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.0",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "10.01.2.3",
            "v1.2.3.4",
            "12:34:56",
            "std::fs",
            "dead::beef",
            "a:b:c",
            "face: it",
            "add::x",
            "1:2:3:4:5:6:7:8:9",
        ] {
            assert_eq!(redacted(Detector::IpAddress, text), text);
        }
    }

    #[test]
    fn hardware_addresses() {
        for (text, expected) in [
            ("00:1a:2b:3c:4d:5e", "[mac]"),
            ("00-1A-2B-3C-4D-5E up", "[mac] up"),
            ("00:1a:2b:3c:4d:5e:6f", "00:1a:2b:3c:4d:5e:6f"),
            ("00:00:00:00:00:00", "00:00:00:00:00:00"),
            ("12:34:56", "12:34:56"),
            ("00:1a-2b:3c:4d:5e", "00:1a-2b:3c:4d:5e"),
        ] {
            assert_eq!(redacted(Detector::MacAddress, text), expected, "{text}");
        }
    }
}
