//! The one place where an answer is written: from a screened answer, or from a halt by its table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use portcullis_core::grpc::Status;
use portcullis_core::halt::{Halt, Refusal, Violation};
use portcullis_core::record::Phase;
use portcullis_core::route::{Dialect, Surface};
use portcullis_inspect::dialect;
use serde::Serialize;

use crate::record::{RecordId, Recording};
use crate::screen::{Answer, Screened, ScreenedBody};
use crate::tracked::Tracked;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROVIDER_ID: HeaderName = HeaderName::from_static("request-id");
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Writes an answer that passed every phase. The record goes along with the body and ends with it.
pub(crate) fn answer(answer: Answer<Screened>, mut record: Recording) -> Response<Tracked> {
    let (mut parts, body, switched) = answer.into_wire();
    add_request_id(&mut parts.headers, record.id());
    record.answered(parts.status);
    let body = match switched {
        None => Tracked::new(body, record),
        Some(switched) => {
            switched.start(record);
            Tracked::untracked(body)
        }
    };
    Response::from_parts(parts, body)
}

/// Writes a refusal, a reply or a fault, in the dialect of the route that the request had reached.
pub(crate) fn halt(halt: Halt, mut record: Recording) -> Response<Tracked> {
    record.halted(&halt);
    // SMUGGLING: what follows a request without one reading has none either.
    let is_ambiguous = halt
        .reason()
        .is_some_and(|reason| reason.phase() == Phase::Receive && reason.status() == StatusCode::BAD_REQUEST);
    let (status, headers, body) = match halt {
        Halt::Reply(reply) => (reply.status, reply.headers, Bytes::new()),
        Halt::Refusal(mut refusal) | Halt::Fault(mut refusal) if record.surface() == Surface::Grpc => {
            let mut headers = std::mem::take(&mut refusal.headers);
            headers.extend(status(&refusal));
            (StatusCode::OK, headers, Bytes::new())
        }
        Halt::Refusal(refusal) | Halt::Fault(refusal) => {
            let body = body(&refusal, record.surface(), record.id());
            (refusal.reason.status(), refusal.headers, body)
        }
    };
    let mut map = HeaderMap::with_capacity(8);
    if !body.is_empty() || record.surface() == Surface::Grpc {
        map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(record.surface())));
    }
    map.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        map.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if is_ambiguous {
        map.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    map.extend(headers);
    add_request_id(&mut map, record.id());
    if record.surface() == Surface::Model(Dialect::Anthropic) {
        // By this name its SDKs show the id of what went wrong.
        map.insert(PROVIDER_ID, record.id().header().clone());
    }
    record.answered(status);
    let mut response = Response::new(Tracked::new(ScreenedBody::whole(body), record));
    *response.status_mut() = status;
    *response.headers_mut() = map;
    response
}

/// A refusal of gRPC is an answer of trailers alone: its status stands in the head, and there is no message.
fn status(refusal: &Refusal) -> Vec<(HeaderName, HeaderValue)> {
    let status = Status::of(refusal);
    let mut headers = vec![
        (GRPC_STATUS, HeaderValue::from_static(status.as_str())),
        (GRPC_MESSAGE, HeaderValue::from_static(refusal.reason.title())),
    ];
    if status == Status::Unimplemented {
        // What may be sent in place of what was compressed.
        headers.push((GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    if !refusal.violations.is_empty() {
        let details = grpc_details(status, refusal.reason.title(), &refusal.violations);
        headers.extend(
            HeaderValue::from_maybe_shared(details).ok().map(|details| (GRPC_STATUS_DETAILS, details)),
        );
    }
    headers
}

/// `google.rpc.Status` with one `google.rpc.BadRequest`, in base64 without padding as gRPC sends binary metadata.
fn grpc_details(status: Status, title: &str, violations: &[Violation]) -> Bytes {
    let mut bad_request = Vec::new();
    for one in violations {
        let mut violation = Vec::new();
        put_text(&mut violation, 1, one.at.as_bytes());
        put_text(&mut violation, 2, one.message.as_bytes());
        put_text(&mut bad_request, 1, &violation);
    }
    let mut any = Vec::new();
    put_text(&mut any, 1, b"type.googleapis.com/google.rpc.BadRequest");
    put_text(&mut any, 2, &bad_request);
    let mut details = vec![8, status as u8];
    put_text(&mut details, 2, title.as_bytes());
    put_text(&mut details, 3, &any);
    STANDARD_NO_PAD.encode(details).into()
}

/// Writes a field of bytes: its number, at most 15, their length, then they.
fn put_text(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// RFC 9457 problem details, with the two members that design.md adds.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    instance: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: &'a [Violation],
}

fn body(refusal: &Refusal, surface: Surface, id: &RecordId) -> Bytes {
    let reason = refusal.reason;
    match surface {
        Surface::Model(dialect) => dialect::error_body(dialect, reason, id.as_str()).into(),
        Surface::GraphQl => graph_body(refusal, id).into(),
        Surface::Grpc => Bytes::new(),
        Surface::Rest => serde_json::to_vec(&Problem {
            r#type: format!("urn:portcullis:problem:{}", reason.code()),
            title: reason.title(),
            status: reason.status().as_u16(),
            code: reason.code(),
            instance: format!("urn:uuid:{id}"),
            violations: &refusal.violations,
        })
        .unwrap_or_default()
        .into(),
    }
}

/// An execution result without data (GraphQL section 7.1.2).
#[derive(Serialize)]
struct GraphErrors<'a> {
    errors: Vec<GraphError<'a>>,
}

#[derive(Serialize)]
struct GraphError<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<[GraphPlace; 1]>,
    extensions: GraphDetail<'a>,
}

#[derive(Serialize)]
struct GraphPlace {
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct GraphDetail<'a> {
    code: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a str>,
}

/// One error for what is wrong, or one for each place.
fn graph_body(refusal: &Refusal, id: &RecordId) -> Vec<u8> {
    let detail = |at| GraphDetail { code: refusal.reason.code(), id: id.as_str(), at };
    let title = || GraphError { message: refusal.reason.title(), locations: None, extensions: detail(None) };
    let mut errors: Vec<GraphError<'_>> = Vec::with_capacity(refusal.violations.len().max(1));
    for one in &refusal.violations {
        let locations = place(&one.at).map(|place| [place]);
        let at = (locations.is_none() && !one.at.is_empty()).then_some(one.at.as_str());
        errors.push(GraphError { message: &one.message, locations, extensions: detail(at) });
    }
    if errors.is_empty() {
        errors.push(title());
    }
    serde_json::to_vec(&GraphErrors { errors }).unwrap_or_default()
}

/// Line and column of `query:3:14`.
fn place(at: &str) -> Option<GraphPlace> {
    let (line, column) = at.strip_prefix("query:")?.split_once(':')?;
    Some(GraphPlace { line: line.parse().ok()?, column: column.parse().ok()? })
}

fn content_type(surface: Surface) -> &'static str {
    match surface {
        Surface::Rest => "application/problem+json",
        Surface::Model(_) | Surface::GraphQl => "application/json",
        Surface::Grpc => "application/grpc",
    }
}

fn add_request_id(headers: &mut HeaderMap, id: &RecordId) {
    headers.insert(REQUEST_ID, id.header().clone());
}
