//! Ownership that the request alone does not prove: asked of the upstream, a store or another server before the
//! request is forwarded, or read from the answer before it leaves.
//!
//! What must be proven is decided in `core::authorize`; this module only gets what is needed, within bounds.

mod bind;
mod known;
mod lookup;
mod postgres;
mod store;
mod table;

use std::ops::Deref;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http::{HeaderValue, Method, StatusCode, response};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::authorize::{
    ObjectError, Obligations, OperationRules, Owed, Owner, Probe, Segment, object_forbidden,
};
use portcullis_core::contract::{Found, OperationIndex};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::receive::path::CanonicalPath;
use portcullis_core::request::{Head, Request};
use portcullis_core::route::Route;
use portcullis_inspect::inspect::Inspected;

pub(crate) use self::bind::{Sources, bind};
pub use self::lookup::{Lookup, LookupError};
pub use self::postgres::{Pools, PostgresError, UnfitError};
pub use self::store::{FileOwners, Owners, OwnersError};
pub use self::table::TableOwners;
use crate::forward::outbound::{Outbound, outbound};
use crate::gate::Gate;
use crate::record::{Denied, Recording};

/// How long a probe may take in all.
const PROBE_TIME: Duration = Duration::from_secs(10);
/// Largest answer to a probe.
const PROBE_SIZE: usize = 1 << 20;
/// What stands for itself in a path segment (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Proof that every object which the request names is the caller's, or will be proven so by the answer.
#[derive(Debug)]
pub(crate) struct Owned {
    inspected: Inspected,
}

impl Deref for Owned {
    type Target = Inspected;
    fn deref(&self) -> &Inspected {
        &self.inspected
    }
}

/// Takes an inspected request; proves that what it names is the caller's, as far as that can be known before it is
/// forwarded.
///
/// # Errors
/// 403, or 404 where the route hides, for an object of somebody else and one whose owner is not said; 503 when a
/// store or a lookup cannot say; 502 and 504 when a probe fails.
pub(crate) async fn own(
    gate: &Gate,
    request: Request<Inspected>,
    record: &mut Recording,
) -> Result<Request<Owned>, Halt> {
    if let Some((rules, obligations)) = obligations(request.stage()) {
        // PERF: what few requests need does not widen the future of all.
        Box::pin(prove(gate, &request, rules, obligations, record)).await?;
    }
    Ok(request.advance(|inspected| Owned { inspected }))
}

/// The rules of a request's operation and what remains of them to be proven.
fn obligations(stage: &Inspected) -> Option<(&OperationRules, &Obligations)> {
    let obligations = stage.obligations()?;
    Some((stage.route().authorize.objects.of(stage.operation())?, obligations))
}

async fn prove(
    gate: &Gate,
    request: &Request<Inspected>,
    rules: &OperationRules,
    obligations: &Obligations,
    record: &mut Recording,
) -> Result<(), Halt> {
    let route = request.stage().route();
    let unavailable = |detail: String| Halt::new(Reason::OwnerUnavailable, detail);
    let foreign = |error: &ObjectError| object_forbidden(&route.authorize, error);
    if rules.creates.is_some() {
        let owners = gate.owners.as_ref().ok_or_else(|| unavailable(NO_MEMORY.into()))?;
        owners.expect_ready().await.map_err(|error| unavailable(error.to_string()))?;
    }
    if request.head().is_upgrade && obligations.needs_answer(rules) {
        return Err(foreign(&ObjectError::Unlisted("a WebSocket has no answer to be judged".into())));
    }
    let mut probed: Vec<(CanonicalPath, StatusCode, Bytes)> = Vec::new();
    for owed in &obligations.owed {
        let Some(bound) = rules.bound.get(owed.bound) else { continue };
        let known = match &bound.owner {
            Owner::Answer { probe: Some(probe), .. } => {
                let path = probe_path(route, request, probe, owed)
                    .ok_or_else(|| foreign(&ObjectError::Unowned(bound.parameter.clone(), NO_PATH.into())))?;
                if !probed.iter().any(|(known, ..)| *known == path) {
                    let (status, body) = self::probe(gate, request, path.clone(), record).await?;
                    probed.push((path.clone(), status, body));
                }
                let Some((_, status, body)) = probed.iter().find(|(known, ..)| *known == path) else {
                    continue;
                };
                rules.judge_probe(owed, *status, body).map_err(|error| foreign(&error))?;
                continue;
            }
            Owner::Created(kind) => match &gate.owners {
                None => return Err(unavailable(NO_MEMORY.into())),
                Some(owners) => {
                    owners.owner(kind, &owed.identifier).await.map_err(|e| unavailable(e.to_string()))?
                }
            },
            Owner::Lookup(index) => match gate.lookups.get(usize::from(*index)) {
                None => return Err(unavailable("there is no such lookup".into())),
                Some(lookup) => {
                    lookup.owner(&owed.identifier).await.map_err(|e| unavailable(e.to_string()))?
                }
            },
            Owner::Named | Owner::Body(_) | Owner::Answer { probe: None, .. } => continue,
        };
        match known {
            Some(owner) if owner == owed.owner => {}
            Some(_) => return Err(foreign(&ObjectError::Foreign(bound.parameter.clone()))),
            None => {
                let why = "nobody knows of such an object".to_owned();
                return Err(foreign(&ObjectError::Unowned(bound.parameter.clone(), why)));
            }
        }
    }
    Ok(())
}

/// Asks databases what shows before any request does whether they can be asked, and logs where they cannot. The
/// requests that need them are refused, each with its reason.
pub(crate) async fn rehearse(gate: &Gate) {
    for lookup in &gate.lookups {
        if let Err(error) = lookup.rehearse().await {
            tracing::warn!(%error, "a lookup cannot be asked; calls that need it are refused");
        }
    }
    if let Some(owners @ Owners::Table(_)) = &gate.owners
        && let Err(error) = owners.expect_ready().await
    {
        tracing::warn!(%error, "who creates what cannot be remembered; calls that need it are refused");
    }
}

const NO_MEMORY: &str = "nothing remembers who created what";
const NO_PATH: &str = "the object has no path to be probed";

/// The path at which the object is read: the very operation that the rule names, and no other.
fn probe_path(
    route: &Route,
    request: &Request<Inspected>,
    probe: &Probe,
    owed: &Owed,
) -> Option<CanonicalPath> {
    let parameters = request.stage().path_parameters();
    let mut raw: String = utf8_percent_encode(&route.base_path, PATH).collect();
    for segment in &probe.path {
        match segment {
            Segment::Text(text) => raw.extend(utf8_percent_encode(text, PATH)),
            Segment::Parameter(name) => {
                let value = parameters.get(name).unwrap_or(&owed.identifier);
                raw.extend(utf8_percent_encode(value, SEGMENT));
            }
        }
    }
    // SMUGGLING: an identifier from a body is no path: it goes through the same door as any other.
    let path = CanonicalPath::parse(&raw).ok()?;
    let rest = path.as_str().get(route.base_path.len()..)?;
    match route.contract.find(&Method::GET, rest) {
        Found::Operation(found, _) if found == probe.operation => Some(path),
        _ => None,
    }
}

const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Reads the object with the caller's own identity.
async fn probe(
    gate: &Gate,
    request: &Request<Inspected>,
    path: CanonicalPath,
    record: &mut Recording,
) -> Result<(StatusCode, Bytes), Halt> {
    let internal = || Halt::new(Reason::Internal, "the probe has no form on the wire");
    let route = request.stage().route();
    let head = request.head();
    let mut headers = head.headers.clone();
    whole(&mut headers);
    for name in OF_A_WRITE {
        headers.remove(name);
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let head = Head {
        method: Method::GET,
        path,
        query: None,
        version: head.version,
        headers,
        authority: head.authority.clone(),
        peer: head.peer,
        is_upgrade: false,
    };
    let upstream = gate.upstream(route.id)?;
    let with = Outbound {
        base_path_len: route.base_path.len(),
        forwards_credential: route.identify.forwards_credential,
        key_header: route.identify.key_header.as_ref(),
        screens_answer: true,
        id: record.id().uuid(),
        request_id: record.id().header(),
    };
    let outbound = Box::new(outbound(head, Bytes::new(), upstream, with).ok_or_else(internal)?);
    let ask = async {
        let answer =
            upstream.send(outbound).await.map_err(|e| Halt::new(e.reason(), format!("probe: {e}")))?;
        let (parts, mut body) = answer.into_parts();
        if is_encoded(&parts.headers) {
            return Err(Halt::new(Reason::AnswerUnreadable, "probe: the answer is encoded"));
        }
        let mut text = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Halt::new(e.reason(), format!("probe: {e}")))?;
            if let Ok(data) = frame.into_data() {
                if text.len() + data.len() > PROBE_SIZE {
                    return Err(Halt::new(Reason::AnswerTooLarge, format!("probe: over {PROBE_SIZE} bytes")));
                }
                text.extend_from_slice(&data);
            }
        }
        Ok((parts.status, text.freeze()))
    };
    let late = |_| Halt::new(Reason::UpstreamTimeout, "probe: no answer in time");
    let answered = tokio::time::timeout(PROBE_TIME, ask).await.map_err(late)?;
    if let Ok((status, _)) = &answered {
        record.draft.notes.push(format!("probe: {}", status.as_u16()));
    }
    answered
}

/// What belongs to the write alone.
const OF_A_WRITE: [header::HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::UPGRADE,
];

/// Takes away what would make the answer to a reading a part of it, or none.
pub(crate) fn whole(headers: &mut HeaderMap) {
    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE, header::RANGE] {
        headers.remove(name);
    }
}

/// Takes from the head of an answer that is one caller's what would show it, or its size, to another.
pub(crate) fn keep_private(headers: &mut HeaderMap, is_empty: bool) {
    let is_shared = |value: &HeaderValue| {
        let text = value.as_bytes().to_ascii_lowercase();
        text.windows(6).any(|part| part == b"public") || text.windows(8).any(|part| part == b"s-maxage")
    };
    if headers.get_all(header::CACHE_CONTROL).iter().any(is_shared) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    if is_empty {
        // An answer to HEAD speaks of all that a GET would have been filtered of.
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ETAG);
    }
}

/// What is still owed when an answer comes.
#[derive(Debug)]
pub(crate) struct Due(Box<Obligations>);

impl Due {
    /// What the answer to this request must prove; `None` where nothing. The request is made such that its answer
    /// can prove it.
    pub(crate) fn of(request: &Request<Owned>) -> Option<Self> {
        let (rules, obligations) = obligations(request.stage())?;
        obligations.needs_answer(rules).then(|| Self(Box::new(obligations.clone())))
    }

    /// Judges the owner that the whole answer names, before anything else is done with it.
    ///
    /// # Errors
    /// An object of somebody else, or whose owner is not said.
    pub(crate) fn judge(
        &self,
        route: &Route,
        operation: OperationIndex,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), Halt> {
        let Some(rules) = route.authorize.objects.of(operation) else { return Err(gone()) };
        rules.judge_answer(&self.0, status, body).map_err(|e| object_forbidden(&route.authorize, &e))?;
        let is_gone = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        if is_gone && route.authorize.hides && !self.0.owed.is_empty() {
            // What is not there and what is somebody else's must look the same.
            return Err(Halt::new(Reason::Hidden, format!("the upstream answered {status}")));
        }
        Ok(())
    }

    /// Leaves of the answer what the caller may have, and remembers what was created.
    ///
    /// # Errors
    /// What may not leave in part, and what cannot be judged or remembered.
    pub(crate) async fn settle(
        &self,
        gate: &Gate,
        (route, operation): (&Route, OperationIndex),
        parts: &response::Parts,
        body: Bytes,
        record: &mut Recording,
    ) -> Result<Bytes, Halt> {
        let Some(rules) = route.authorize.objects.of(operation) else { return Err(gone()) };
        if let (Some(creation), Some(creator), true) =
            (&rules.creates, &self.0.creator, parts.status.is_success())
        {
            let id = creation.identifier(&parts.headers, &body).ok_or_else(|| {
                Halt::new(Reason::AnswerInvalid, "the answer does not say what was created")
            })?;
            remember(gate, route, creation.kind.clone(), id, creator.clone()).await?;
        }
        let rewritten = rules.rewrite(&self.0, parts.status, &body).map_err(|error| match error {
            ObjectError::Unlisted(_) | ObjectError::Unfiltered(_) => {
                Halt::new(Reason::AnswerUnreadable, error.to_string())
            }
            other => object_forbidden(&route.authorize, &other),
        })?;
        if rewritten.foreign > 0 {
            record.draft.denied = Some(Denied { parameter: "list".into(), objects: rewritten.foreign });
        }
        if rewritten.dropped > 0 {
            record.draft.notes.push(format!("answer: {} properties not for the caller", rewritten.dropped));
        }
        Ok(rewritten.body.map_or(body, Bytes::from))
    }
}

async fn remember(
    gate: &Gate,
    route: &Route,
    kind: Box<str>,
    id: smol_str::SmolStr,
    owner: smol_str::SmolStr,
) -> Result<(), Halt> {
    let unavailable = |detail: String| Halt::new(Reason::OwnerUnavailable, detail);
    let owners = gate.owners.as_ref().ok_or_else(|| unavailable(NO_MEMORY.into()))?;
    let parameter = kind.clone();
    match owners.remember(kind, id, owner).await {
        Ok(()) => Ok(()),
        // SMUGGLING: "creating" what somebody else has would make it the caller's.
        Err(OwnersError::Taken) => Err(object_forbidden(&route.authorize, &ObjectError::Foreign(parameter))),
        Err(error) => Err(unavailable(error.to_string())),
    }
}

fn gone() -> Halt {
    Halt::new(Reason::Internal, "the rules of the operation are gone")
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::CONTENT_ENCODING);
    all.iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
