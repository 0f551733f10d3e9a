//! What a body is, and what its texts are, where it is not JSON.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// JSON, or lines of it.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Other text.
    Text,
    /// Anything else. Read as far as it is text, and never rewritten.
    Other,
}

impl Media {
    /// By the `Content-Type`; [`Media::Other`] without one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
            return Self::Other;
        };
        let essence = value.split(';').next().unwrap_or_default().trim();
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
        } else {
            Self::Other
        }
    }
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
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(Media::of(&headers), expected, "{value}");
        }
        assert_eq!(Media::of(&HeaderMap::new()), Media::Other);
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
