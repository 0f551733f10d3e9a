//! WebSockets: the handshake's proof, and the splice of both sides (RFC 6455).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{self, HeaderMap, HeaderValue};

/// Appended to the key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether the headers of a 101 answer the handshake with this `Sec-WebSocket-Key` (RFC 6455 section 4.1): both
/// upgrade fields, the right `Sec-WebSocket-Accept`, and no extension, because none was offered.
pub fn proves_handshake(key: &HeaderValue, answer: &HeaderMap) -> bool {
    let mut salted = key.as_bytes().to_vec();
    salted.extend_from_slice(GUID);
    let expected = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted));
    let mut accepts = answer.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    let is_accepted = accepts.next().is_some_and(|accept| accept.as_bytes() == expected.as_bytes());
    is_accepted
        && accepts.next().is_none()
        && has_token(answer, &header::UPGRADE, b"websocket")
        && has_token(answer, &header::CONNECTION, b"upgrade")
        && !answer.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &[u8]) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
    })
}
