//! The path of a request. The only one.
//!
//! Each line's argument type is the proof of the line before; [`Recording::passed`] writes down what the phase
//! learnt and how long it took. Any `?` leaves with a [`Halt`], and `respond` is the one place that writes it.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use portcullis_core::admit::{Admitted, admit};
use portcullis_core::authorize::{Authorized, authorize};
use portcullis_core::guard::{Guard, GuardSet, Skip, Way};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::identify::{Identified, identify};
use portcullis_core::receive::{Received, receive};
use portcullis_core::record::{Outcome, Phase};
use portcullis_core::request::{Request, Wire};
use portcullis_core::validate::{Validated, validate};
use portcullis_inspect::inspect::{Inspected, inspect};

use crate::forward::phase::{Follows, forward};
use crate::gate::Gate;
use crate::hearing::hear;
use crate::listen::body;
use crate::owners::own;
use crate::record::{Draft, Noted, Recording};
use crate::respond;
use crate::screen::{Answer, Screened, screen};
use crate::tracked::Tracked;

/// What follows the head on the connection: the body, and the connection itself if it may change its protocol.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) body: Incoming,
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// Takes one request through all phases and writes the answer, or the halt that stopped it.
// PERF: what is large is boxed or lent: the future of a request is copied once, and room is kept for each argument.
pub(crate) async fn run(
    gate: Arc<Gate>,
    wire: Box<Wire>,
    rest: Rest,
    mut record: Recording,
) -> Response<Tracked> {
    match pass(&gate, wire, rest, &mut record).await {
        Ok(answer) => respond::answer(answer, record),
        Err(halt) => respond::halt(halt, record),
    }
}

async fn pass(
    gate: &Arc<Gate>,
    wire: Box<Wire>,
    rest: Rest,
    record: &mut Recording,
) -> Result<Answer<Screened>, Halt> {
    record.ready()?;
    let now = record.unix_seconds();
    let request = record.passed(receive(&gate.routes, &gate.receive, *wire)?);
    gate.fetch_unknown_key(&request).await;
    let request = record.passed(identify(&gate.issuers, request, now)?);
    record.draft.roles = gate.policy.roles_of(request.stage().principal());
    let request = record.passed(admit(&gate.buckets, request, gate.nanos(record.started()))?);
    let Rest { body, upgrade } = rest;
    let (body, stream) = match is_stream(&request) {
        // Its messages are judged on their way to the upstream.
        true => (Bytes::new(), Some(Box::new(body))),
        false => (read_body(gate, &request, body, record).await?, None),
    };
    if request.stage().route().mcp.is_some() {
        // A refusal from here on repeats the id of what was asked.
        record.draft.message = body.clone();
    }
    let request = authorize(&gate.policy, request.with_body(body), record.time());
    let request = record.passed(request.inspect_err(|_| record.alarm(gate.policy.take_differences()))?);
    let request = record.passed(validate(request)?);
    let guards = gate.guards(request.stage().route().id).for_request();
    let mut hearing = hear(gate, &guards, &request, &mut record.draft).await?;
    let findings = &mut record.draft.findings;
    let request = inspect(&guards.screens, guards.model.as_ref(), request, &mut hearing, findings)?;
    let request = record.passed(request);
    record.draft.guards.due(Way::Request, guards.due_of_request(request.stage().route()));
    let request = own(gate, request, record).await?;
    let answer = forward(gate, request, Follows { upgrade, stream }, record).await?;
    screen(gate, &guards, answer, record).await
}

/// Whether the request is a stream of messages, by its method's descriptor.
fn is_stream(request: &Request<Admitted>) -> bool {
    let (route, operation) = (request.stage().route(), request.stage().operation());
    route.grpc.as_ref().is_some_and(|grpc| grpc.is_stream(operation))
}

/// Reads the body that `admit` granted, up to the operation's limit.
async fn read_body(
    gate: &Gate,
    request: &Request<Admitted>,
    incoming: Incoming,
    record: &mut Recording,
) -> Result<Bytes, Halt> {
    let limit = request.stage().route().body_limit(request.stage().operation());
    let times = &gate.body_times;
    let bytes = body::read(incoming, limit, times.progress, times.total)
        .await
        .map_err(|reason: Reason| Halt::new(reason, format!("body limit {limit} bytes")))?;
    record.draft.bytes_in = bytes.len() as u64;
    Ok(bytes)
}

impl Noted for Request<Received> {
    const PHASE: Phase = Phase::Receive;
    fn note(&self, draft: &mut Draft) -> Outcome {
        draft.route = Some(Arc::clone(self.stage().route()));
        draft.operation = Some(self.stage().operation());
        draft.peer = self.head().peer.address;
        Outcome::Passed
    }
}

impl Noted for Request<Identified> {
    const PHASE: Phase = Phase::Identify;
    fn note(&self, draft: &mut Draft) -> Outcome {
        draft.principal = Some(self.stage().principal().clone());
        Outcome::Passed
    }
}

impl Noted for Request<Admitted> {
    const PHASE: Phase = Phase::Admit;
    fn note(&self, _: &mut Draft) -> Outcome {
        if self.stage().route().budgets.is_empty() { Outcome::None } else { Outcome::Passed }
    }
}

impl Noted for Request<Authorized> {
    const PHASE: Phase = Phase::Authorize;
    fn note(&self, draft: &mut Draft) -> Outcome {
        let (route, operation) = (self.stage().route(), self.stage().operation());
        if let Some(objects) = route.authorize.objects.of(operation) {
            let own = GuardSet::NONE.with_if(Guard::Expose, objects.exposes());
            draft.guards.applied(Way::Request, own.with_if(Guard::Objects, objects.binds()));
        }
        draft.policies.clone_from(&self.stage().permit().policies);
        if let Some(call) = self.stage().graph() {
            draft.called = Some(call.fields.join("+").into());
        }
        if let Some(call) = self.stage().mcp() {
            draft.called = Some(call.called.clone());
            draft.rpc = call.message.as_ref().map(|message| message.method().into());
        }
        if self.stage().route().authorize.enforced { Outcome::Passed } else { Outcome::None }
    }
}

impl Noted for Request<Validated> {
    const PHASE: Phase = Phase::Validate;
    fn note(&self, draft: &mut Draft) -> Outcome {
        if !self.stage().route().validate.request {
            return Outcome::None;
        }
        draft.guards.applied(Way::Request, GuardSet::NONE.with(Guard::Contract));
        Outcome::Passed
    }
}

impl Noted for Request<Inspected> {
    const PHASE: Phase = Phase::Inspect;
    fn note(&self, draft: &mut Draft) -> Outcome {
        let stage = self.stage();
        draft.guards.applied(Way::Request, stage.applied());
        draft.guards.skipped(Way::Request, stage.unread(), Skip::Unread);
        draft.added_bytes = stage.added_bytes() as u64;
        if stage.is_inspected() { Outcome::Passed } else { Outcome::None }
    }
}
