//! One record as one line of JSON: no secret, no token, no raw personal data.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use portcullis_core::guard::Met;
use portcullis_core::identify::Principal;
use portcullis_core::record::{Finding, Phases, Usage};
use serde::Serialize;
use uuid::{Builder, Uuid};

use super::{Denied, Draft};
use crate::random::random;

/// Identifier of a record: a UUID of version 7 (RFC 9562), so that records sort by time.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordId {
    uuid: Uuid,
    header: HeaderValue,
}

impl RecordId {
    /// A new identifier for a request that began at `time`.
    pub fn new(time: SystemTime) -> Self {
        let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        let uuid = Builder::from_unix_timestamp_millis(millis, &random()).into_uuid();
        let mut text = [0; 36];
        uuid.hyphenated().encode_lower(&mut text);
        // Digits and hyphens are a value of a header.
        let header = HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""));
        Self { uuid, header }
    }

    /// As a value.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The hyphenated, lower-case form.
    pub fn as_str(&self) -> &str {
        self.header.to_str().unwrap_or_default()
    }

    /// The same, as the value of `X-Request-Id`. A clone of it shares its bytes.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    time: String,
    method: &'a str,
    /// Only of a path that no contract has, and without what may be an identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    /// What a message to a tool server was: its method, or empty where it answers the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// The network, not the address: /24 or /48.
    client: Network,
    tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Who<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    roles: &'a [smol_str::SmolStr],
    #[serde(skip_serializing_if = "is_empty")]
    policies: &'a [smol_str::SmolStr],
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    phases: &'a Phases,
    #[serde(skip_serializing_if = "is_empty")]
    findings: &'a [Finding],
    /// The guards that ran, and those that did not although they were configured.
    #[serde(skip_serializing_if = "Met::is_empty")]
    guards: &'a Met,
    /// Identifiers denied: many of them from one principal are an enumeration.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<&'a Denied>,
    #[serde(skip_serializing_if = "is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
    stream: bool,
    complete: bool,
    bytes_in: u64,
    bytes_out: u64,
    us: u64,
}

/// What the gate added to a prompt.
#[derive(Serialize)]
struct Added {
    bytes: u64,
    /// An estimate: four bytes each.
    tokens: u64,
}

#[derive(Serialize)]
struct Who<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
}

fn is_empty<T>(items: &&[T]) -> bool {
    items.is_empty()
}

/// The network a client is in: enough to see a pattern, too little to name a person.
struct Network(IpAddr);

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                serializer.collect_str(&format_args!("{a}.{b}.{c}.0/24"))
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                serializer.collect_str(&format_args!("{a:x}:{b:x}:{c:x}::/48"))
            }
        }
    }
}

/// Writes the line into a buffer that the thread keeps, and hands it to `push`.
pub(super) fn write(draft: &Draft, took: Duration, push: impl FnOnce(&[u8])) {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        match serde_json::to_writer(&mut *buffer, &line(draft, took)) {
            Ok(()) => push(buffer),
            Err(error) => tracing::error!(%error, id = %draft.id, "a record could not be written as JSON"),
        }
        buffer.shrink_to(1 << 16);
    });
}

fn line(draft: &Draft, took: Duration) -> Line<'_> {
    let operation = draft.operation.zip(draft.route.as_ref());
    let operation = operation.and_then(|(index, route)| Some(&*route.contract.operation(index)?.id));
    Line {
        id: draft.id.as_str(),
        time: jiff::Timestamp::try_from(draft.time).unwrap_or_default().to_string(),
        method: draft.method.as_str(),
        path: draft.path.as_deref(),
        route: draft.route.as_ref().map(|route| &*route.name),
        operation: draft.called.as_deref().or(operation),
        message: draft.rpc.as_deref(),
        client: Network(draft.peer),
        tls: draft.is_tls,
        principal: draft.principal.as_ref().map(|principal| match principal {
            Principal::Anonymous => Who { kind: "anonymous", issuer: None, subject: None },
            Principal::Identity(identity) => {
                Who { kind: "token", issuer: Some(&identity.issuer), subject: Some(&identity.subject) }
            }
        }),
        roles: draft.roles.as_deref().unwrap_or_default(),
        policies: &draft.policies,
        status: draft.status.map(|status| status.as_u16()),
        reason: draft.halt.as_ref().map(|(reason, _)| reason.code()),
        detail: draft.halt.as_ref().map(|(_, detail)| detail.as_str()),
        phases: &draft.phases,
        findings: &draft.findings,
        guards: &draft.guards,
        denied: draft.denied.as_ref(),
        notes: &draft.notes,
        upstream: draft.upstream.as_ref().map(|upstream| upstream.name()),
        usage: draft.usage,
        added: (draft.added_bytes > 0)
            .then(|| Added { bytes: draft.added_bytes, tokens: draft.added_tokens() }),
        stream: draft.is_stream,
        complete: draft.is_complete,
        bytes_in: draft.bytes_in,
        bytes_out: draft.bytes_out,
        us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    }
}
