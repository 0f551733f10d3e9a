//! The upstream request, built from what was judged and nothing else.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::request::{Head, Peer};
use uuid::Uuid;

use super::upstream::{Outgoing, Upstream};

/// What may not stand in a path as itself: all but `pchar` and `/` (RFC 3986 section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What the pipeline decides about a request besides its head and body.
#[derive(Debug, Clone, Copy)]
pub struct Outbound<'a> {
    /// Length in bytes of the route's base path, which is taken off the front of the decoded path.
    pub base_path_len: usize,
    /// The client's own credential goes on to the upstream. Only where the route says so in writing.
    pub forwards_credential: bool,
    /// Another header that carries the client's credential.
    pub key_header: Option<&'a HeaderName>,
    /// The answer will be screened, so it must come unencoded.
    pub screens_answer: bool,
    /// The record's id; also the id of a trace or request that has none.
    pub id: Uuid,
    /// The record's id as text, for `x-request-id`.
    pub request_id: &'a HeaderValue,
}

/// Builds the upstream request: base path exchanged, path re-encoded, our own headers in the place of any of theirs.
///
/// # Errors
/// `None` if the path, the authority or a header of ours has no form on the wire, or `base_path_len` is not within the
/// path; the caller faults with `Internal`.
pub fn outbound(mut head: Head, body: Bytes, upstream: &Upstream, with: Outbound<'_>) -> Option<Outgoing> {
    let rest = head.path.as_str().get(with.base_path_len..)?;
    let uri = target(&upstream.base, rest, head.query.as_deref())?;
    let headers = &mut head.headers;
    // INVARIANT: `receive` dropped what is for one hop alone, `Expect` and the lengths among it.
    if !with.forwards_credential {
        headers.remove(header::AUTHORIZATION);
        if let Some(name) = with.key_header {
            headers.remove(name);
        }
    }
    let parent = headers.remove(TRACEPARENT);
    let trace = parent.and_then(|value| continued(value.as_bytes(), with.id));
    if trace.is_none() {
        // A state that belongs to no valid trace is dropped (W3C Trace Context section 3.3).
        headers.remove(TRACESTATE);
    }
    headers.remove(X_REQUEST_ID);
    if with.screens_answer {
        headers.remove(header::ACCEPT_ENCODING);
    }
    if let Some((name, _)) = &upstream.credential {
        headers.remove(name);
    }
    if head.is_upgrade {
        headers.remove(header::TE);
        // Extensions would make frames unreadable; without an offer the upstream may use none (RFC 6455 section 9).
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    }
    let has_te = headers.contains_key(header::TE);

    let mut lines = Vec::new();
    let mut own = match upstream.http2 || head.is_upgrade {
        true => Own::Fields(headers),
        false => Own::lines(&mut lines),
    };
    let authority = head.authority.as_bytes();
    own.put(header::HOST, if upstream.preserve_host { authority } else { upstream.host.as_bytes() })?;
    put_origin(&mut own, head.peer, &head.authority)?;
    own.put(TRACEPARENT, &trace.unwrap_or_else(|| started(with.id)))?;
    own.put(X_REQUEST_ID, with.request_id.as_bytes())?;
    put_length(&mut own, &head.method, body.len())?;
    if with.screens_answer {
        own.put(header::ACCEPT_ENCODING, b"identity")?;
    }
    if head.is_upgrade {
        own.put(header::CONNECTION, b"Upgrade")?;
        own.put(header::UPGRADE, b"websocket")?;
    } else if has_te && !upstream.http2 {
        // What is said to the next hop alone is named as such (RFC 9110 section 10.1.4).
        own.put(header::CONNECTION, b"TE")?;
    }
    if let Some((name, value)) = &upstream.credential {
        own.put(name.clone(), value.value().as_bytes())?;
    }

    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = head.headers;
    Some(Outgoing { request, lines })
}

/// Where the headers go that we say ourselves.
enum Own<'o> {
    /// PERF: to be written as they are, beside the client's.
    Lines(&'o mut Vec<u8>),
    /// Among the client's.
    Fields(&'o mut HeaderMap),
}

impl<'o> Own<'o> {
    fn lines(lines: &'o mut Vec<u8>) -> Self {
        lines.reserve(512);
        Self::Lines(lines)
    }

    /// `None` where the value has no form on the wire.
    fn put(&mut self, name: HeaderName, value: &[u8]) -> Option<()> {
        match self {
            Self::Lines(lines) => {
                // SMUGGLING: a line end in a value would begin a header of somebody else's.
                if value.iter().fold(false, |bad, byte| bad | (*byte < 0x20) | (*byte == 0x7f)) {
                    return None;
                }
                lines.extend_from_slice(name.as_str().as_bytes());
                lines.extend_from_slice(b": ");
                lines.extend_from_slice(value);
                lines.extend_from_slice(b"\r\n");
            }
            Self::Fields(fields) => {
                fields.insert(name, HeaderValue::from_bytes(value).ok()?);
            }
        }
        Some(())
    }
}

/// Joins the upstream's base path, the canonical path and the query as it was received.
fn target(base: &str, rest: &str, query: Option<&str>) -> Option<Uri> {
    let mut target = String::with_capacity(base.len() + rest.len() + query.map_or(0, |q| q.len() + 1) + 16);
    target.push_str(base);
    for piece in utf8_percent_encode(rest, PATH) {
        target.push_str(piece);
    }
    if target.is_empty() {
        target.push('/');
    }
    if !target.starts_with('/') {
        return None;
    }
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(target)).ok().map(Uri::from)
}

/// Writes who asked, in the place of whatever the client claimed (RFC 7239).
fn put_origin(own: &mut Own<'_>, peer: Peer, authority: &str) -> Option<()> {
    if authority.contains(['"', '\\']) {
        return None;
    }
    let proto = if peer.is_tls { "https" } else { "http" };
    let mut text = Vec::with_capacity(64 + authority.len());
    text.extend_from_slice(if peer.address.is_ipv6() { b"for=\"[".as_slice() } else { b"for=" });
    let address = text.len();
    write_address(&mut text, peer.address);
    own.put(X_FORWARDED_FOR, text.get(address..)?)?;
    text.extend_from_slice(if peer.address.is_ipv6() { b"]\";proto=".as_slice() } else { b";proto=" });
    text.extend_from_slice(proto.as_bytes());
    text.extend_from_slice(b";host=\"");
    text.extend_from_slice(authority.as_bytes());
    text.push(b'"');
    own.put(FORWARDED, &text)?;
    own.put(X_FORWARDED_PROTO, proto.as_bytes())?;
    own.put(X_FORWARDED_HOST, authority.as_bytes())
}

fn write_address(text: &mut Vec<u8>, address: IpAddr) {
    use std::io::Write as _;
    match address {
        // PERF: four numbers of up to three digits need no formatter.
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    text.push(b'.');
                }
                if octet >= 100 {
                    text.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    text.push(b'0' + octet / 10 % 10);
                }
                text.push(b'0' + octet % 10);
            }
        }
        // Writing to a vector does not fail.
        IpAddr::V6(address) => drop(write!(text, "{address}")),
    }
}

/// Writes the exact length; nothing for a method without a body that has none (RFC 9110 section 8.6).
fn put_length(own: &mut Own<'_>, method: &Method, length: usize) -> Option<()> {
    if length > 0 || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        own.put(header::CONTENT_LENGTH, HeaderValue::from(length).as_bytes())?;
    }
    Some(())
}

/// Length of `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context section 3.2).
const TRACE_LEN: usize = 55;

/// The client's trace with our span as the parent, or `None` if it is not valid.
fn continued(parent: &[u8], id: Uuid) -> Option<[u8; TRACE_LEN]> {
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
    let version = parent.get(..2)?;
    let trace = parent.get(3..35)?;
    let span = parent.get(36..52)?;
    let flags = parent.get(53..TRACE_LEN)?;
    let is_framed = [2, 35, 52].iter().all(|at| parent.get(*at) == Some(&b'-'));
    let ends_well = parent.len() == TRACE_LEN || (version != b"00" && parent.get(TRACE_LEN) == Some(&b'-'));
    let is_valid = is_framed
        && ends_well
        && version != b"ff"
        && [version, trace, span, flags].into_iter().all(is_hex)
        && !is_zero(trace)
        && !is_zero(span);
    is_valid.then(|| trace_header(trace, id, flags))?
}

/// A trace of our own, not sampled.
fn started(id: Uuid) -> [u8; TRACE_LEN] {
    let mut hex = [0; uuid::fmt::Simple::LENGTH];
    let trace = id.simple().encode_lower(&mut hex).as_bytes();
    trace_header(trace, id, b"00").unwrap_or(NO_TRACE)
}

/// The only identifiers that mean none (W3C Trace Context section 3.2.2).
const NO_TRACE: [u8; TRACE_LEN] = *b"00-00000000000000000000000000000000-0000000000000000-00";

fn trace_header(trace: &[u8], id: Uuid, flags: &[u8]) -> Option<[u8; TRACE_LEN]> {
    let mut hex = [0; uuid::fmt::Simple::LENGTH];
    // The span is the random half of the record's id, so that a record and its span find each other.
    let span = id.simple().encode_lower(&mut hex).as_bytes().get(16..)?;
    let mut text = NO_TRACE;
    text.get_mut(3..35)?.copy_from_slice(trace);
    text.get_mut(36..52)?.copy_from_slice(span);
    text.get_mut(53..)?.copy_from_slice(flags);
    Some(text)
}

#[cfg(test)]
mod tests;
