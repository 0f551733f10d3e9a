//! One canonical path out of many spellings, or a refusal.
//!
//! A path that two readers could take for two different resources is refused, not repaired: what the gate judged
//! must be what the upstream serves.

use thiserror::Error;

/// A decoded path with one reading: starts with `/`, no `.`, `..` or empty segment.
///
/// One final slash is kept: `/a` and `/a/` are two paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath {
    text: Box<str>,
    /// Whether each `;` in it stood there unencoded, and is sent on so.
    has_matrix: bool,
}

/// Why a path has more than one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// Not the origin form (RFC 9112 section 3.2.1).
    #[error("path does not start with a slash")]
    NotAbsolute,
    /// `//`: some servers fold it, some do not.
    #[error("path has an empty segment")]
    EmptySegment,
    /// `.` or `..`: some servers walk, some do not.
    #[error("path has a dot segment")]
    DotSegment,
    /// `%2F`, `%5C`, `%2E`: decoded before or after the path is split?
    #[error("path encodes a slash, a backslash or a dot")]
    EncodedSeparator,
    /// `\`: a slash to some servers.
    #[error("path has a backslash")]
    Backslash,
    /// `;`: some servers cut `;x=y` off a segment before they match it, so `/admin;x` may be `/admin`.
    #[error("path has a matrix parameter")]
    MatrixParameter,
    /// `%` without two hexadecimal digits.
    #[error("path has a broken escape")]
    BrokenEscape,
    /// Decoding once leaves something that can be decoded again.
    #[error("path is encoded twice")]
    EncodedTwice,
    /// A control character, written or encoded.
    #[error("path has a control character")]
    Control,
    /// A character that RFC 3986 wants encoded.
    #[error("path has a character that must be encoded")]
    Unencoded,
    /// Decoded bytes that are not UTF-8, overlong forms among them.
    #[error("path is not UTF-8")]
    NotUtf8,
}

impl CanonicalPath {
    /// Takes the raw path of a request target, without query; decodes it exactly once.
    ///
    /// # Errors
    /// [`PathError`] where a second reader could see another path.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        Self::read(raw, false)
    }

    /// The same for a path in which `;` may stand: for contracts that write parameters as `;name=value` (RFC 6570
    /// section 3.2.7). The caller must prove that each `;` belongs to such a parameter.
    ///
    /// # Errors
    /// As [`CanonicalPath::parse`]; and where a `;` is encoded too, because one of the two would be sent wrongly.
    pub(super) fn parse_with_matrix(raw: &str) -> Result<Self, PathError> {
        let path = Self::read(raw, true)?;
        let semicolons = |text: &str| text.bytes().filter(|byte| *byte == b';').count();
        if semicolons(raw) == semicolons(&path.text) { Ok(path) } else { Err(PathError::MatrixParameter) }
    }

    fn read(raw: &str, has_matrix: bool) -> Result<Self, PathError> {
        let Some(rest) = raw.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
        check_segments(rest)?;
        // PERF: most paths have no escape and are copied once.
        let check = |byte| if byte == b';' && has_matrix { Ok(()) } else { check_raw(byte) };
        if !raw.bytes().try_fold(false, |escaped, byte| check(byte).map(|()| escaped | (byte == b'%')))? {
            return Ok(Self { text: raw.into(), has_matrix });
        }
        let decoded = decode(raw.as_bytes())?;
        check_decoded(&decoded)?;
        Ok(Self { text: decoded.into_boxed_str(), has_matrix })
    }

    /// The decoded path.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `;` may stand in it.
    pub(super) fn has_matrix(&self) -> bool {
        self.has_matrix
    }

    /// The one spelling that is sent on: everything but unreserved characters, `/` and harmless delimiters is
    /// percent-encoded, in capitals. Parsing it gives this path again.
    pub fn to_wire(&self) -> String {
        let mut wire = String::with_capacity(self.text.len());
        for byte in self.text.bytes() {
            if byte == b'/' || is_plain(byte) || byte == b';' && self.has_matrix {
                wire.push(char::from(byte));
            } else {
                wire.push('%');
                wire.push(hex_digit(byte >> 4));
                wire.push(hex_digit(byte & 15));
            }
        }
        wire
    }
}

/// Whether `query`, without `?`, has one reading: every escape is whole and none is NUL.
pub fn is_well_formed_query(query: &str) -> bool {
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match (bytes.next().and_then(hex_value), bytes.next().and_then(hex_value)) {
                (Some(0), Some(0)) | (None, _) | (_, None) => return false,
                _ => {}
            },
            0..=0x20 | 0x7f | b'#' => return false,
            _ => {}
        }
    }
    true
}

/// The path without its first slash: only the last segment may be empty.
fn check_segments(rest: &str) -> Result<(), PathError> {
    let mut segments = rest.split('/');
    let mut segment = segments.next();
    while let Some(one) = segment {
        segment = segments.next();
        match one {
            "" if segment.is_some() => return Err(PathError::EmptySegment),
            "." | ".." => return Err(PathError::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

fn check_raw(byte: u8) -> Result<(), PathError> {
    match byte {
        b'/' | b'%' | b'|' | b'[' | b']' => Ok(()),
        b';' => Err(PathError::MatrixParameter),
        b'\\' => Err(PathError::Backslash),
        0..=0x1f | 0x7f => Err(PathError::Control),
        _ if is_plain(byte) => Ok(()),
        _ => Err(PathError::Unencoded),
    }
}

/// Unreserved characters and the sub-delimiters that no server gives a meaning in a path (RFC 3986 section 3.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

fn decode(raw: &[u8]) -> Result<String, PathError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = bytes.next().and_then(hex_value).ok_or(PathError::BrokenEscape)?;
        let low = bytes.next().and_then(hex_value).ok_or(PathError::BrokenEscape)?;
        match high << 4 | low {
            b'/' | b'\\' | b'.' => return Err(PathError::EncodedSeparator),
            0..=0x1f | 0x7f => return Err(PathError::Control),
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map_err(|_| PathError::NotUtf8)
}

/// What decoding may have uncovered: a second layer of escapes (also one put together from `%25%34%31`), and the
/// control characters that lie outside ASCII.
fn check_decoded(decoded: &str) -> Result<(), PathError> {
    if decoded.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    let is_escape =
        |three: &[u8]| matches!(three, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if decoded.as_bytes().windows(3).any(is_escape) {
        return Err(PathError::EncodedTwice);
    }
    Ok(())
}

fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_has_one_reading_or_none() {
        let check = |raw: &str, expected: Result<&str, PathError>| {
            let path = CanonicalPath::parse(raw);
            assert_eq!(path.as_ref().map(CanonicalPath::as_str), expected.as_ref().copied(), "{raw}");
        };
        use PathError::*;
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a/b/", Ok("/a/b/"));
        check("/%61bc", Ok("/abc"));
        check("/a%20b", Ok("/a b"));
        check("/100%25", Ok("/100%"));
        check("/100%25/x", Ok("/100%/x"));
        check("/caf%C3%A9", Ok("/café"));
        check("/a.b/..c/d..", Ok("/a.b/..c/d.."));
        check("/a%3Fb%23c", Ok("/a?b#c"));
        check("/a[0]|b", Ok("/a[0]|b"));
        check("", Err(NotAbsolute));
        check("*", Err(NotAbsolute));
        check("a/b", Err(NotAbsolute));
        check("//", Err(EmptySegment));
        check("//a", Err(EmptySegment));
        check("/a//b", Err(EmptySegment));
        check("/a//", Err(EmptySegment));
        check("/.", Err(DotSegment));
        check("/a/../b", Err(DotSegment));
        check("/a/..", Err(DotSegment));
        check("/a/./b", Err(DotSegment));
        check("/a/%2e%2e/b", Err(EncodedSeparator));
        check("/a/.%2E/b", Err(EncodedSeparator));
        check("/a%2fb", Err(EncodedSeparator));
        check("/a%2Fb", Err(EncodedSeparator));
        check("/a%5cb", Err(EncodedSeparator));
        check("/a\\b", Err(Backslash));
        check("/admin;x=1", Err(MatrixParameter));
        check("/a/..;/b", Err(MatrixParameter));
        check("/a%", Err(BrokenEscape));
        check("/a%2", Err(BrokenEscape));
        check("/a%zz", Err(BrokenEscape));
        check("/a%2561", Err(EncodedTwice));
        check("/a%252e%252e/b", Err(EncodedTwice));
        check("/a%25%36%31", Err(EncodedTwice));
        check("/a%00", Err(Control));
        check("/a%0d%0ab", Err(Control));
        check("/a%7f", Err(Control));
        check("/a%C2%85", Err(Control));
        check("/a\u{1}", Err(Control));
        check("/a b", Err(Unencoded));
        check("/a#b", Err(Unencoded));
        check("/a\"b", Err(Unencoded));
        check("/é", Err(Unencoded));
        check("/%ff", Err(NotUtf8));
        check("/%c0%af", Err(NotUtf8));
    }

    #[test]
    fn a_query_has_whole_escapes_and_no_nul() {
        let check =
            |query: &str, expected: bool| assert_eq!(is_well_formed_query(query), expected, "{query}");
        check("", true);
        check("a=b&c[]=d|e&f=%0a", true);
        check("a=%25%32%35", true);
        check("a=%", false);
        check("a=%4", false);
        check("a=%4g", false);
        check("a=%00", false);
        check("a=b#c", false);
        check("a=b c", false);
        check("a=\u{7f}", false);
    }

    proptest! {
        #[test]
        fn the_spelling_sent_on_means_the_same_path(raw in "(/[a-c.%;:é ]{0,4}|/%[0-9a-fA-F]{2}|%25){0,6}") {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                let wire = path.to_wire();
                prop_assert_eq!(CanonicalPath::parse(&wire), Ok(path));
            }
        }

        #[test]
        fn what_is_accepted_has_no_dangerous_segment(raw in "/[a./%2eEfF5cC0-9\\\\;]{0,24}") {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                let inner = path.as_str().trim_end_matches('/').split('/').skip(1);
                for segment in inner {
                    prop_assert!(!matches!(segment, "" | "." | ".."), "{}", path.as_str());
                }
                prop_assert!(!path.as_str().contains('\\'));
            }
        }
    }
}
