//! Which headers go on: those from end to end, each with one meaning.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Version};

use smallvec::SmallVec;

use crate::halt::{Halt, Reason};

/// What the client wants the connection to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upgrade {
    None,
    WebSocket,
}

/// What becomes of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Goes on.
    EndToEnd,
    /// Goes on, and may occur once.
    Single,
    /// Ends here: it speaks of this connection, or the gate writes it itself.
    Dropped,
    /// Ends here, and may occur once.
    SingleDropped,
    /// Would make an upstream see another method or path than the gate did.
    Override,
}

/// Takes out what may not go on, and refuses what has two meanings.
///
/// # Errors
/// `AmbiguousHeader`, `ExpectationFailed`, `UpgradeRefused`, `MalformedRequest`.
pub(super) fn clean(parts: &mut Parts) -> Result<Upgrade, Halt> {
    let (mut has_own_trailers, mut upgrade) = (false, Upgrade::None);
    if parts.headers.keys().any(|name| is_for_this_hop(name.as_str())) {
        has_own_trailers = check_connection(&parts.headers, parts.version == Version::HTTP_2)?;
        upgrade = asked_upgrade(parts)?;
        check_expect(&parts.headers)?;
    }
    let repeats = parts.headers.len() > parts.headers.keys_len();
    let mut dropped: SmallVec<[HeaderName; 4]> = SmallVec::new();
    for name in parts.headers.keys() {
        let class = classify(name.as_str());
        if repeats && matches!(class, Class::Single | Class::SingleDropped) {
            let mut values = parts.headers.get_all(name).iter();
            if values.next().is_some() && values.next().is_some() {
                return Err(refuse("a header that occurs once is repeated"));
            }
        }
        match class {
            Class::Override => return Err(refuse("a header overrides the method or the target")),
            Class::Dropped | Class::SingleDropped => dropped.push(name.clone()),
            Class::EndToEnd | Class::Single => {}
        }
    }
    for name in &dropped {
        parts.headers.remove(name);
    }
    if has_own_trailers {
        parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(upgrade)
}

/// Whether a header says something to us alone, and must be read before it is dropped.
fn is_for_this_hop(name: &str) -> bool {
    matches!(name, "connection" | "te" | "transfer-encoding" | "upgrade" | "expect")
}

/// Checks `Connection` and its like; returns whether the client takes trailers.
fn check_connection(headers: &HeaderMap, is_http_2: bool) -> Result<bool, Halt> {
    if is_http_2 && [CONNECTION, TRANSFER_ENCODING, UPGRADE].iter().any(|name| headers.contains_key(name)) {
        // RFC 9113 section 8.2.2.
        return Err(Halt::new(Reason::MalformedRequest, "connection header in HTTP/2"));
    }
    for value in headers.get_all(CONNECTION) {
        for name in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            // SMUGGLING: a client that names `Authorization` or an identity header here makes a hop drop it.
            if !is_connection_option(name) {
                return Err(refuse("connection names an end-to-end header"));
            }
        }
    }
    Ok(headers
        .get_all(TE)
        .iter()
        .any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"trailers")))
}

fn is_connection_option(name: &[u8]) -> bool {
    const OPTIONS: &[&[u8]] = &[
        b"close",
        b"keep-alive",
        b"upgrade",
        b"te",
        b"http2-settings",
        b"trailer",
        b"transfer-encoding",
        b"proxy-connection",
    ];
    name.is_empty() || OPTIONS.iter().any(|option| name.eq_ignore_ascii_case(option))
}

/// Recognises the one upgrade there is: a whole WebSocket handshake (RFC 6455 section 4.2.1).
fn asked_upgrade(parts: &Parts) -> Result<Upgrade, Halt> {
    let mut values = parts.headers.get_all(UPGRADE).iter();
    let Some(value) = values.next() else { return Ok(Upgrade::None) };
    if values.next().is_some() {
        return Err(refuse("upgrade is repeated"));
    }
    // RFC 9113 section 3.1: the upgrade to h2c is gone; RFC 9110 section 7.8: an upgrade may be ignored.
    if value.as_bytes().eq_ignore_ascii_case(b"h2c") {
        return Ok(Upgrade::None);
    }
    if is_handshake(parts, value) {
        Ok(Upgrade::WebSocket)
    } else {
        Err(Halt::new(Reason::UpgradeRefused, "not a whole WebSocket handshake"))
    }
}

fn is_handshake(parts: &Parts, protocol: &HeaderValue) -> bool {
    let single = |name: HeaderName| {
        let mut values = parts.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
    };
    let asks = |value: &HeaderValue| {
        value.as_bytes().split(|&b| b == b',').any(|o| o.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    // 16 bytes in base64: 21 free digits, one of four, two of padding.
    let is_key = |key: &[u8]| {
        key.len() == 24
            && key.strip_suffix(b"==").is_some_and(|digits| {
                digits.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
                    && matches!(digits.last(), Some(b'A' | b'Q' | b'g' | b'w'))
            })
    };
    parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
        && parts.headers.get_all(CONNECTION).iter().any(asks)
        && single(SEC_WEBSOCKET_KEY).is_some_and(is_key)
        && single(SEC_WEBSOCKET_VERSION) == Some(b"13")
        && !parts.headers.contains_key(CONTENT_LENGTH)
        && !parts.headers.contains_key(TRANSFER_ENCODING)
}

fn check_expect(headers: &HeaderMap) -> Result<(), Halt> {
    let is_met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(EXPECT).iter().all(is_met) {
        Ok(())
    } else {
        Err(Halt::new(Reason::ExpectationFailed, "expectation other than 100-continue"))
    }
}

/// `name` is lower case, as [`HeaderName`] keeps it.
fn classify(name: &str) -> Class {
    let class = classify_exact(name);
    // SMUGGLING: gateways to CGI and WSGI read `x_forwarded_for` as `x-forwarded-for`.
    if class == Class::EndToEnd
        && name.contains('_')
        && classify_exact(&name.replace('_', "-")) != Class::EndToEnd
    {
        return Class::Override;
    }
    class
}

fn classify_exact(name: &str) -> Class {
    match name {
        "host" | "content-length" | "expect" | "upgrade" => Class::SingleDropped,
        // RFC 9110 section 7.6.1, and what older hops took for it.
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "proxy-authorization"
        | "proxy-authenticate"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "http2-settings" => Class::Dropped,
        "content-type"
        | "content-encoding"
        | "content-language"
        | "content-location"
        | "content-range"
        | "content-md5"
        | "user-agent"
        | "referer"
        | "origin"
        | "from"
        | "date"
        | "range"
        | "if-range"
        | "if-modified-since"
        | "if-unmodified-since"
        | "max-forwards"
        | "traceparent"
        | "idempotency-key"
        | "x-request-id"
        | "sec-websocket-key"
        | "sec-websocket-version" => Class::Single,
        "forwarded"
        | "x-real-ip"
        | "x-client-ip"
        | "x-cluster-client-ip"
        | "x-original-forwarded-for"
        | "true-client-ip"
        | "client-ip"
        | "cf-connecting-ip"
        | "fastly-client-ip" => Class::Dropped,
        "x-http-method-override"
        | "x-http-method"
        | "x-method-override"
        | "x-original-method"
        | "x-original-url"
        | "x-original-uri"
        | "x-original-host"
        | "x-rewrite-url"
        | "x-host" => Class::Override,
        _ if name.starts_with("x-forwarded-") || name.starts_with("x-portcullis-") => Class::Dropped,
        _ => Class::EndToEnd,
    }
}

fn refuse(detail: &'static str) -> Halt {
    Halt::new(Reason::AmbiguousHeader, detail)
}
