//! forward: to the upstream that the permit's route names, within the deadline.

use std::sync::Arc;

use http::Method;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Outcome, Phase};
use portcullis_core::request::Request;
use tokio::time::timeout;

use super::asked::{Asked, By};
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
    let body = request.stage().outbound_body().clone();
    let due = Due::of(&request);
    let Follows { upgrade, stream } = follows;
    let principal = request.stage().principal();
    let screen = &gate.guards(route.id).screens.request;
    let by = By { route: &route, operation, principal, screen };
    let mut asked = stream.map(|incoming| Box::new(Asked::new(*incoming, by)));
    if let Some(asked) = asked.as_mut().filter(|asked| asked.is_bound()) {
        let first = Box::pin(timeout(gate.body_times.progress, asked.first())).await;
        first.unwrap_or_else(|_| Err(Halt::new(Reason::BodyTimeout, "no message came")))?;
    }
    let mut head = request.into_head();
    if due.is_some() && matches!(method, Method::GET | Method::HEAD) {
        owners::whole(&mut head.headers);
    }
    if route.grpc.is_some() {
        grpc::prepare(
            &mut head.headers,
            upstream.total_timeout(),
            gate.guards(route.id).reads_answers(&route),
        );
    }
    let deadline = route.grpc.as_ref().and_then(|_| grpc::timeout(&head.headers));
    let is_upgrade = head.is_upgrade;
    let with = Outbound {
        base_path_len: route.base_path.len(),
        forwards_credential: route.identify.forwards_credential,
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
            let answer = match asked {
                None => grpc::within(deadline, upstream.send(outbound)).await,
                Some(asked) => Box::pin(grpc::within(deadline, upstream.send_asked(outbound, asked))).await,
            };
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
    Ok(Answer::new(parts, Forwarded { content, route, operation, method, hides_usage, due, shown }))
}
