//! forward: to the upstream that the permit's route names, within the deadline.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use portcullis_core::graph::Judged;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Outcome, Phase};
use portcullis_core::request::{Head, Request};
use portcullis_core::route::Surface;
use tokio::time::timeout;

use super::asked::{Asked, By, Shown};
use super::outbound::{Outbound, outbound};
use super::{ForwardError, Upgrade, grpc};
use crate::gate::Gate;
use crate::owners::{self, Due, Owned};
use crate::record::Recording;
use crate::screen::{Answer, Content, Forwarded};
use crate::switched::Switched;

/// What follows a request that was not read: the connection itself, or a stream of messages.
#[derive(Debug)]
pub(crate) struct Follows {
    pub(crate) upgrade: Option<OnUpgrade>,
    pub(crate) stream: Option<Box<Incoming>>,
}

/// Takes a request whose objects are the caller's, builds the upstream request from what was judged, and sends it.
///
/// # Errors
/// 502 when the upstream cannot be reached or breaks the protocol, 504 when it is too slow.
pub(crate) async fn forward(
    gate: &Gate,
    request: Request<Owned>,
    follows: Follows,
    record: &mut Recording,
) -> Result<Answer<Forwarded>, Halt> {
    let internal = || Halt::new(Reason::Internal, "the upstream request has no form on the wire");
    let route = Arc::clone(request.stage().route());
    let operation = request.stage().operation();
    let upstream = gate.upstream(route.id)?;
    record.draft.upstream = Some(Arc::clone(upstream));
    let method = request.head().method.clone();
    let hides_usage = request.stage().hides_usage();
    let vault = request.stage().vault().cloned();
    let body = request.stage().outbound_body().clone();
    let due = Due::of(&request);
    let judged = request.stage().graph().and_then(|call| call.judged().ok());
    let expected = judged.map(Judged::expected);
    let Follows { upgrade, stream } = follows;
    let asked = match stream {
        None => None,
        Some(incoming) => Some(Box::pin(messages(gate, *incoming, &request, record)).await?),
    };
    let mut head = request.into_head();
    if due.is_some() && matches!(method, Method::GET | Method::HEAD) {
        owners::whole(&mut head.headers);
    }
    if route.surface == Surface::GraphQl {
        as_operations(&mut head);
    }
    if route.grpc.is_some() {
        let reads_answers = gate.guards(route.id).reads_answers(&route);
        grpc::prepare(&mut head.headers, upstream.total_timeout(), reads_answers);
    }
    let deadline = route.grpc.as_ref().and_then(|_| grpc::timeout(&head.headers));
    let is_upgrade = head.is_upgrade;
    let with = Outbound {
        base_path_len: route.base_path.len(),
        forwards_credential: route.identify.forwards_credential,
        key_header: route.identify.key_header.as_ref(),
        screens_answer: gate.guards(route.id).reads_answers(&route) || due.is_some(),
        id: record.id().uuid(),
        request_id: record.id().header(),
    };
    let shown = asked.as_ref().map(|asked| asked.shown());
    let outbound = Box::new(outbound(head, body, upstream, with).ok_or_else(internal)?);
    let halt = |error: ForwardError| {
        // What stopped the request is why there is no answer.
        let stopped = shown.as_ref().and_then(|shown| shown.lock().fault.take());
        stopped.unwrap_or_else(|| Halt::new(error.reason(), error.to_string()))
    };
    let (parts, content) = match upgrade.filter(|_| is_upgrade) {
        None => {
            let answer = match (asked, deadline) {
                (None, None) => upstream.send(outbound).await,
                // PERF: boxed, because a deadline of the client's is the rarer case.
                (asked, deadline) => Box::pin(grpc::send(upstream, outbound, asked, deadline)).await,
            };
            if let (Err(_), Some(shown)) = (&answer, &shown) {
                note(shown, record);
            }
            let (parts, body) = answer.map_err(halt)?.into_parts();
            (parts, Content::Body(body))
        }
        Some(client) => match Box::pin(upstream.upgrade(outbound)).await.map_err(halt)? {
            Upgrade::Declined(response) => {
                let (parts, body) = response.into_parts();
                (parts, Content::Body(body))
            }
            Upgrade::Switched(response, stream, already_read) => {
                let (rules, lifetime) = (gate.websocket.clone(), gate.lifetime.clone());
                let switched = Switched { client, upstream: stream, already_read, rules, lifetime };
                (response.into_parts().0, Content::Switched(Box::new(switched)))
            }
        },
    };
    record.close(Phase::Forward, Outcome::Passed);
    Ok(Answer::new(
        parts,
        Forwarded { content, route, operation, method, hides_usage, vault, due, expected, shown },
    ))
}

/// The messages of a request that is still coming. Where its operation binds objects, the first are judged by now.
async fn messages(
    gate: &Gate,
    incoming: Incoming,
    request: &Request<Owned>,
    record: &mut Recording,
) -> Result<Box<Asked>, Halt> {
    let stage = request.stage();
    let screen = &gate.guards(stage.route().id).screens.request;
    let (route, operation, principal) = (stage.route(), stage.operation(), stage.principal());
    let mut asked = Box::new(Asked::new(incoming, By { route, operation, principal, screen }));
    if asked.is_bound() {
        let first = timeout(gate.body_times.progress, asked.first()).await;
        let first = first.unwrap_or_else(|_| Err(Halt::new(Reason::BodyTimeout, "no message came")));
        if first.is_err() {
            note(&asked.shown(), record);
        }
        first?;
    }
    Ok(asked)
}

/// Writes down what a request showed that gets no answer of the upstream's.
fn note(shown: &Mutex<Shown>, record: &mut Recording) {
    let mut shown = shown.lock();
    record.draft.findings.append(&mut shown.findings);
    record.draft.bytes_in = shown.bytes;
}

/// The one form in which operations of GraphQL are sent on, whatever form they came in.
fn as_operations(head: &mut Head) {
    const RESULT: &str = "application/graphql-response+json";
    head.method = Method::POST;
    head.query = None;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A stream of results could not be screened.
    let takes_result = head
        .headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains(RESULT)));
    let accept = if takes_result {
        HeaderValue::from_static("application/graphql-response+json, application/json;q=0.9")
    } else {
        HeaderValue::from_static("application/json")
    };
    head.headers.insert(ACCEPT, accept);
}
