//! The upstream request, built from what was judged and nothing else.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::request::{Head, Peer};
use uuid::Uuid;

use super::upstream::{OutBody, Upstream};

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

/// How many headers of our own an upstream request has at most.
const OURS: usize = 12;

/// What the pipeline decides about a request besides its head and body.
#[derive(Debug, Clone, Copy)]
pub struct Outbound<'a> {
    /// Length in bytes of the route's base path, which is taken off the front of the decoded path.
    pub base_path_len: usize,
    /// The client's own credential goes on to the upstream. Only where the route says so in writing.
    pub forwards_credential: bool,
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
/// `None` if the path or the authority has no form on the wire, or `base_path_len` is not within the path; the
/// caller faults with `Internal`.
pub fn outbound(
    mut head: Head,
    body: Bytes,
    upstream: &Upstream,
    with: Outbound<'_>,
) -> Option<Request<OutBody>> {
    let rest = head.path.as_str().get(with.base_path_len..)?;
    let uri = target(&upstream.base, rest, head.query.as_deref())?;
    let headers = &mut head.headers;
    headers.reserve(OURS);
    // INVARIANT: `receive` dropped what is for one hop alone, `Expect` and the lengths among it.
    if !with.forwards_credential {
        headers.remove(header::AUTHORIZATION);
    }
    let client_host = set_origin(headers, head.peer, &head.authority)?;
    let trace = headers.get(TRACEPARENT).and_then(|value| continued(value.as_bytes(), with.id));
    if trace.is_none() {
        // A state that belongs to no valid trace is dropped (W3C Trace Context section 3.3).
        headers.remove(TRACESTATE);
    }
    headers.insert(TRACEPARENT, trace.unwrap_or_else(|| started(with.id)));
    headers.insert(X_REQUEST_ID, with.request_id.clone());
    headers.insert(header::HOST, if upstream.preserve_host { client_host } else { upstream.host.clone() });
    set_length(headers, &head.method, body.len());
    if with.screens_answer {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if headers.contains_key(header::TE) && !upstream.http2 {
        // What is said to the next hop alone is named as such (RFC 9110 section 10.1.4).
        headers.insert(header::CONNECTION, HeaderValue::from_static("TE"));
    }
    if head.is_upgrade {
        headers.remove(header::TE);
        // Extensions would make frames unreadable; without an offer the upstream may use none (RFC 6455 section 9).
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    if let Some((name, value)) = &upstream.credential {
        headers.insert(name, value.value().clone());
    }
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = head.headers;
    Some(request)
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

/// Writes who asked, over whatever the client claimed (RFC 7239). Returns the client's authority as a value.
///
/// # Errors
/// `None` when the authority cannot stand in quotes. A canonical one can.
fn set_origin(headers: &mut HeaderMap, peer: Peer, authority: &str) -> Option<HeaderValue> {
    let proto = if peer.is_tls { "https" } else { "http" };
    // PERF: address and host are parts of one text, and their values share its bytes.
    let mut text = Vec::with_capacity(64 + authority.len());
    text.extend_from_slice(if peer.address.is_ipv6() { b"for=\"[".as_slice() } else { b"for=" });
    let address = text.len();
    write_address(&mut text, peer.address);
    let address = address..text.len();
    text.extend_from_slice(if peer.address.is_ipv6() { b"]\";proto=".as_slice() } else { b";proto=" });
    text.extend_from_slice(proto.as_bytes());
    text.extend_from_slice(b";host=\"");
    let host = text.len()..text.len() + authority.len();
    text.extend_from_slice(authority.as_bytes());
    text.push(b'"');
    if authority.contains(['"', '\\']) {
        return None;
    }
    let text = Bytes::from(text);
    let value = |bytes: Bytes| HeaderValue::from_maybe_shared(bytes).ok();
    let host = value(text.slice(host))?;
    headers.insert(X_FORWARDED_FOR, value(text.slice(address))?);
    headers.insert(FORWARDED, value(text)?);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    headers.insert(X_FORWARDED_HOST, host.clone());
    Some(host)
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
fn set_length(headers: &mut HeaderMap, method: &Method, length: usize) {
    if length > 0 || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Length of `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context section 3.2).
const TRACE_LEN: usize = 55;

/// The client's trace with our span as the parent, or `None` if it is not valid.
fn continued(parent: &[u8], id: Uuid) -> Option<HeaderValue> {
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
fn started(id: Uuid) -> HeaderValue {
    let mut hex = [0; uuid::fmt::Simple::LENGTH];
    let trace = id.simple().encode_lower(&mut hex).as_bytes();
    trace_header(trace, id, b"00").unwrap_or_else(|| HeaderValue::from_static(""))
}

fn trace_header(trace: &[u8], id: Uuid, flags: &[u8]) -> Option<HeaderValue> {
    let mut hex = [0; uuid::fmt::Simple::LENGTH];
    // The span is the random half of the record's id, so that a record and its span find each other.
    let span = id.simple().encode_lower(&mut hex).as_bytes().get(16..)?;
    let mut text = Vec::with_capacity(TRACE_LEN);
    for part in [b"00-".as_slice(), trace, b"-", span, b"-", flags] {
        text.extend_from_slice(part);
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

#[cfg(test)]
mod tests;
