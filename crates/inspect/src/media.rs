//! What a body is, and what its texts are, where it is not JSON.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::coverage::Site;
use crate::unread::Unread;

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// JSON, or lines of it.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Other text.
    Text,
    /// `multipart/form-data` and its kin. Read as far as it is text, and never rewritten.
    Parts,
    /// Anything else. Read as far as it is text, and never rewritten.
    Other,
    /// Compressed, drawn or spoken: nothing in it can be read as text.
    Opaque,
}

impl Media {
    /// By the `Content-Type`; [`Media::Other`] without one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::of_essence(essence(headers))
    }

    /// By a media type without parameters.
    pub(crate) fn of_essence(essence: &str) -> Self {
        let (kind, name) = essence.split_once('/').unwrap_or((essence, ""));
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let ends = |suffix: &str| {
            let tail = name.len().checked_sub(suffix.len()).and_then(|at| name.get(at..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
        };
        if is("json") || ends("+json") || is("x-ndjson") || is("ndjson") || is("jsonl") {
            Self::Json
        } else if is("x-www-form-urlencoded") {
            Self::Form
        } else if kind.eq_ignore_ascii_case("text")
            || ends("xml")
            || ends("yaml")
            || is("graphql")
            || is("javascript")
        {
            Self::Text
        } else if kind.eq_ignore_ascii_case("multipart") {
            Self::Parts
        } else if is_opaque(essence) {
            Self::Opaque
        } else {
            Self::Other
        }
    }

    /// Where such a body is in coverage.
    pub(crate) const fn site(self) -> Site {
        match self {
            Self::Json => Site::Json,
            Self::Form => Site::Form,
            Self::Text => Site::Text,
            Self::Parts => Site::Parts,
            Self::Other => Site::Bytes,
            Self::Opaque => Site::Opaque,
        }
    }
}

/// The media type as it is written, without parameters; empty without one.
pub(crate) fn essence(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Whether the text of such a body, if it has any, is compressed, drawn or spoken. Other bytes are read as far as they
/// are text.
pub fn is_opaque(media: &str) -> bool {
    const WHOLE: [&str; 17] = [
        "application/epub+zip",
        "application/gzip",
        "application/java-archive",
        "application/msword",
        "application/ogg",
        "application/pdf",
        "application/vnd.android.package-archive",
        "application/vnd.rar",
        "application/wasm",
        "application/x-7z-compressed",
        "application/x-bzip",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-rar-compressed",
        "application/x-xz",
        "application/x-zip-compressed",
        "application/zip",
    ];
    const STARTS: [&str; 8] = [
        "image/",
        "audio/",
        "video/",
        "font/",
        "application/vnd.ms-",
        "application/vnd.openxmlformats-",
        "application/vnd.oasis.opendocument.",
        "application/font",
    ];
    const ENDS: [&str; 3] = ["+zip", "+gzip", "/zstd"];
    let media = media.to_ascii_lowercase();
    !media.ends_with("xml")
        && (WHOLE.contains(&&*media)
            || STARTS.iter().any(|start| media.starts_with(start))
            || ENDS.iter().any(|end| media.ends_with(end)))
}

/// The first opaque media type that a part of a multipart body says it has, where `unread` does not let it pass. A line
/// that reads like such a head counts wherever it stands.
pub(crate) fn opaque_part(body: &[u8], unread: &Unread) -> Option<String> {
    body.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(CONTENT_TYPE.as_str().len())?;
        let value = value.trim_ascii_start().strip_prefix(b":")?;
        let value = std::str::from_utf8(value).ok().filter(|_| name.eq_ignore_ascii_case(b"content-type"))?;
        let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        (is_opaque(&media) && !unread.allows(&media)).then_some(media)
    })
}

/// Names and values of a query or form, as written.
pub(crate) fn pairs(encoded: &str) -> impl Iterator<Item = (&str, &str)> {
    encoded.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A name or value with `+` and escapes decoded (WHATWG URL, section 5.1). What is no escape stays.
pub(crate) fn decode(encoded: &str) -> Cow<'_, str> {
    if !encoded.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(encoded);
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = tail;
                hex(*high) << 4 | hex(*low)
            }
            _ => *byte,
        });
    }
    Cow::Owned(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Writes a name or value so that [`decode`] gives it back.
pub(crate) fn encode(value: &str, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or('0');
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).saturating_sub(b'a') + 10,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn content_types_are_told_apart() {
        for (value, expected) in [
            ("application/json", Media::Json),
            ("application/problem+JSON; charset=utf-8", Media::Json),
            ("application/x-ndjson", Media::Json),
            ("application/x-www-form-urlencoded", Media::Form),
            ("text/plain", Media::Text),
            ("image/svg+xml", Media::Text),
            ("application/octet-stream", Media::Other),
            ("json", Media::Other),
            ("image/png", Media::Opaque),
            ("Application/ZIP", Media::Opaque),
            ("multipart/form-data; boundary=x", Media::Parts),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(Media::of(&headers), expected, "{value}");
        }
        assert_eq!(Media::of(&HeaderMap::new()), Media::Other);
    }

    #[test]
    fn parts_that_cannot_be_read_are_told_apart() {
        let body = b"--x\r\nContent-Disposition: form-data; name=a\r\ncontent-TYPE : image/PNG; q=1\r\n\r\n..\r\n--x--";
        let check = |unread: &[&str], expected: Option<&str>| {
            assert_eq!(opaque_part(body, &Unread::only(unread.iter().copied())).as_deref(), expected);
        };
        check(&[], Some("image/png"));
        check(&["image/*"], None);
        assert_eq!(opaque_part(b"content-type: text/plain", &Unread::only([""; 0])), None);
    }

    #[test]
    fn forms_are_decoded_and_encoded() {
        for (encoded, decoded) in [
            ("a", "a"),
            ("a+b", "a b"),
            ("%40%C3%A9", "@é"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%ff", "\u{FFFD}"),
        ] {
            assert_eq!(decode(encoded), decoded, "{encoded}");
            let mut again = String::new();
            encode(decoded, &mut again);
            assert_eq!(decode(&again), decoded, "{encoded}");
        }
        assert_eq!(pairs("a=1&&b&c=d=e").collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "d=e")]);
    }
}
