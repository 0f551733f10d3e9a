//! One line of an HTTP/1 message: request line, field, chunk size (RFC 9112 sections 3, 5 and 7.1).

use super::{HeadLimits, Violation};

/// What a request line may hold beside its target: method, two spaces, version, line end.
pub(super) const REQUEST_LINE_REST: usize = METHOD + 2 + 8 + 2;

/// Longest chunk-size line: 16 digits and the line end.
pub(super) const CHUNK_SIZE_LINE: usize = 18;

/// Longest method; the longest registered one has 17 letters.
const METHOD: usize = 24;

/// Fields that may not come after the body: they frame, route, authenticate or describe it (RFC 9110 section 6.5.1).
const NOT_IN_TRAILER: &[&[u8]] = &[
    b"content-length",
    b"transfer-encoding",
    b"host",
    b"connection",
    b"upgrade",
    b"trailer",
    b"te",
    b"expect",
    b"authorization",
    b"cookie",
    b"content-type",
    b"content-encoding",
    b"content-range",
];

/// How the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// What the head said so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    is_http_10: bool,
    /// An empty line came before the request line.
    pub(super) is_blank_seen: bool,
    /// The violation was found in this head, not in a body.
    pub(super) is_open: bool,
    pub(super) count: usize,
    pub(super) bytes: usize,
    length: Option<u64>,
    is_chunked: bool,
}

impl Head {
    /// Starts a head with its request line, without its end.
    pub(super) fn of(line: &[u8], target_limit: usize) -> Result<Self, Violation> {
        Ok(Self { is_http_10: request(line, target_limit)?, ..Self::default() })
    }

    /// Takes one field line, without its end.
    pub(super) fn field(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Violation> {
        let (name, value) = self.split(line, limits)?;
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::LengthRepeated);
                }
                self.length = Some(length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked {
                    return Err(Violation::EncodingRepeated);
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::EncodingUnknown);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes one trailer line, without its end.
    pub(super) fn trailer(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Violation> {
        let (name, _) = self.split(line, limits)?;
        if NOT_IN_TRAILER.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
            return Err(Violation::Trailer);
        }
        Ok(())
    }

    /// SMUGGLING: RFC 9112 section 6.3 lets a recipient choose where both framings are given; this one does not.
    pub(super) fn framing(&self) -> Result<Framing, Violation> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Violation::LengthAndEncoding),
            (None, true) if self.is_http_10 => Err(Violation::EncodingTooOld),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::None),
        }
    }

    fn split<'l>(&mut self, line: &'l [u8], limits: &HeadLimits) -> Result<(&'l [u8], &'l [u8]), Violation> {
        self.bytes += line.len() + 2;
        self.count += 1;
        if self.count > limits.headers {
            return Err(Violation::TooManyHeaders);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Violation::Folded);
        }
        let colon = line.iter().position(|&byte| !is_token(byte)).ok_or(Violation::FieldName)?;
        let (name, value) = line.split_at_checked(colon).ok_or(Violation::FieldName)?;
        let Some(value) = value.strip_prefix(b":") else { return Err(Violation::FieldName) };
        if name.is_empty() {
            return Err(Violation::FieldName);
        }
        // PERF: no early exit, so that the compiler checks many bytes at once.
        if value.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f)) {
            return Err(Violation::Control);
        }
        Ok((name, value.trim_ascii()))
    }
}

/// Checks a request line without its end; returns whether it is HTTP/1.0.
fn request(line: &[u8], target_limit: usize) -> Result<bool, Violation> {
    let space = line.iter().position(|&byte| !is_token(byte)).ok_or(Violation::RequestLine)?;
    let (method, rest) = line.split_at_checked(space).ok_or(Violation::RequestLine)?;
    let rest = rest.strip_prefix(b" ").ok_or(Violation::RequestLine)?;
    if method.is_empty() || method.len() > METHOD {
        return Err(Violation::RequestLine);
    }
    let space = rest.iter().position(|&byte| byte == b' ').ok_or(Violation::RequestLine)?;
    let (target, version) = rest.split_at_checked(space).ok_or(Violation::RequestLine)?;
    if target.len() > target_limit {
        return Err(Violation::TargetTooLong);
    }
    if target.is_empty() {
        return Err(Violation::RequestLine);
    }
    if !is_form(method, target) || !target.iter().all(|&byte| is_target(byte)) {
        return Err(Violation::Target);
    }
    match version {
        b" HTTP/1.1" => Ok(false),
        b" HTTP/1.0" => Ok(true),
        _ if version.get(1..).is_some_and(|version| version.contains(&b' ')) => Err(Violation::RequestLine),
        _ => Err(Violation::Version),
    }
}

/// Origin, absolute or asterisk form; authority form only with `CONNECT` (RFC 9112 section 3.2).
fn is_form(method: &[u8], target: &[u8]) -> bool {
    let has_scheme = |scheme: &[u8]| {
        target.split_at_checked(scheme.len()).is_some_and(|(start, _)| start.eq_ignore_ascii_case(scheme))
    };
    target.first() == Some(&b'/')
        || target == b"*"
        || has_scheme(b"http://")
        || has_scheme(b"https://")
        || method == b"CONNECT"
}

/// The size that a chunk-size line names. Extensions are refused: nothing uses them but attacks.
pub(super) fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    if line.is_empty() || line.len() > 16 {
        return Err(Violation::ChunkSize);
    }
    line.iter().try_fold(0, |size: u64, &byte| {
        let digit = char::from(byte).to_digit(16).ok_or(Violation::ChunkSize)?;
        Ok(size << 4 | u64::from(digit))
    })
}

/// One number without sign, list or leading zero. 18 digits keep it far below overflow.
fn length(value: &[u8]) -> Result<u64, Violation> {
    let is_padded = value.len() > 1 && value.first() == Some(&b'0');
    if value.is_empty() || value.len() > 18 || is_padded {
        return Err(Violation::LengthInvalid);
    }
    value.iter().try_fold(0, |length: u64, &byte| match byte {
        b'0'..=b'9' => Ok(length * 10 + u64::from(byte - b'0')),
        _ => Err(Violation::LengthInvalid),
    })
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)) == Some(&true)
}

/// Visible ASCII without `#`, and without what no URI may hold and browsers always encode.
fn is_target(byte: u8) -> bool {
    TARGET.get(usize::from(byte)) == Some(&true)
}

const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
const TARGET: [bool; 256] = table(b"!$&'()*+,-./:;=?@[\\]^_{|}~%");

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time: an index out of range does not build"
)]
const fn table(also: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < also.len() {
        table[also[at] as usize] = true;
        at += 1;
    }
    table
}
