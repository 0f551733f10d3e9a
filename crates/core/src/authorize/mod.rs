//! authorize: may they do this.

mod envelope;
mod expose;
mod mcp;
mod objects;
mod places;
mod scan;
mod who;

use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method};
use smol_str::SmolStr;

pub use envelope::Envelope;
pub use expose::{Exposure, Properties};
pub use mcp::{Caller, McpCall, shows};
pub use objects::{
    Agreement, Bound, CreatedId, Creation, ListRule, ObjectError, ObjectRules, Obligations, OperationRules,
    Owed, Owner, Probe, Rewritten, Segment, Waived, owner_in,
};
pub use places::Place;
pub use scan::{Pointer, PointerError, ScanError};
pub use who::Who;

use crate::admit::Admitted;
use crate::contract::OperationIndex;
use crate::graph::{Asked, Fault, Given, Graph, Judged, Stop};
use crate::halt::{Halt, Reason};
use crate::identify::Principal;
use crate::mcp::Mcp;
use crate::policy::{ActionIndex, ActionKind, Call, Facts, Policy, Verdict};
use crate::request::{Peer, Request};
use crate::route::Surface;
pub(crate) use places::Sent;

/// What authorization a route has. The default denies every call.
#[derive(Debug, Clone)]
pub struct AuthorizeRules {
    /// Whether policy is asked; false only where `authorize: none` is written. Object rules hold either way.
    pub enforced: bool,
    /// Whether what is not allowed is said not to exist (404 in place of 403).
    pub hides: bool,
    /// Whose the objects must be that requests name and answers show.
    pub objects: ObjectRules,
    /// The action of each operation, by [`OperationIndex`], of the policy of the same snapshot.
    pub actions: Vec<Option<ActionIndex>>,
    /// The actions of a graph, by their index in [`Graph::fields`], or of a tool server, by that in [`Mcp::actions`].
    pub fields: Vec<Option<ActionIndex>>,
}

impl Default for AuthorizeRules {
    fn default() -> Self {
        Self {
            enforced: true,
            hides: false,
            objects: ObjectRules::default(),
            actions: Vec::new(),
            fields: Vec::new(),
        }
    }
}

/// What allowed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// What was allowed; `None` where policy is not asked and has no such action.
    pub action: Option<ActionIndex>,
    /// Ids of the policies that allowed it; empty where policy is not asked.
    pub policies: Vec<SmolStr>,
}

/// Proof that policy said Allow to this very request.
#[derive(Debug)]
pub struct Authorized {
    admitted: Admitted,
    permit: Permit,
    envelope: Option<Envelope>,
    obligations: Option<Box<Obligations>>,
    graph: Option<Box<GraphCall>>,
    mcp: Option<Box<McpCall>>,
}

/// Operations of GraphQL that may be called.
#[derive(Debug)]
pub struct GraphCall {
    /// The root fields that they ask for: `query.orders`, each once.
    pub fields: Vec<SmolStr>,
    /// What is to be sent, or why nothing may be.
    judged: Result<Judged, Fault>,
}

impl GraphCall {
    /// What is to be sent.
    ///
    /// # Errors
    /// In what it breaks the schema or a limit: `validate` refuses it.
    pub fn judged(&self) -> Result<&Judged, &Fault> {
        self.judged.as_ref()
    }
}

impl Authorized {
    /// The operations of a graph that are called; `None` for any other call.
    pub fn graph(&self) -> Option<&GraphCall> {
        self.graph.as_deref()
    }

    /// What of a tool server is called; `None` for any other call.
    pub fn mcp(&self) -> Option<&McpCall> {
        self.mcp.as_deref()
    }

    /// What must still be proven of the objects that the request names, before anything leaves.
    pub fn obligations(&self) -> Option<&Obligations> {
        self.obligations.as_deref()
    }

    /// What allowed the call.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// What a model call asks for; `None` for any other.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }
}

impl Deref for Authorized {
    type Target = Admitted;
    fn deref(&self) -> &Admitted {
        &self.admitted
    }
}

/// Takes an admitted request with its whole body; proves that the object rules hold and that policy allows the
/// call. `policy` must be of the same snapshot as the route, else every call is refused.
///
/// # Errors
/// 403, or 404 where the route hides, when an object is not the caller's, when no policy allows the call or one
/// forbids it, and when policy cannot say. 400 when the envelope of a model call cannot be read.
pub fn authorize(
    policy: &Policy,
    request: Request<Admitted>,
    now: SystemTime,
) -> Result<Request<Authorized>, Halt> {
    let (head, stage) = (request.head(), request.stage());
    let route = stage.route();
    let fields = match &route.grpc {
        None => None,
        Some(grpc) => {
            let fields = grpc.fields(stage.operation(), head, request.body());
            Some(fields.map_err(|halt| hidden(&route.authorize, halt))?)
        }
    };
    let question = Question {
        rules: &route.authorize,
        surface: route.surface,
        graph: route.graph.as_deref(),
        mcp: route.mcp.as_deref(),
        operation: stage.operation(),
        principal: stage.principal(),
        path: fields.as_deref().unwrap_or(&stage.path_parameters().0),
        query: head.query.as_deref(),
        headers: &head.headers,
        method: &head.method,
        authority: &head.authority,
        peer: head.peer,
        body: request.body(),
        is_stream: route.grpc.as_ref().is_some_and(|grpc| grpc.is_stream(stage.operation())),
    };
    let Allowed { permit, envelope, obligations, graph, mcp } =
        question.judge(policy, now).map_err(|halt| hidden(&route.authorize, halt))?;
    Ok(request.advance(|admitted| Authorized { admitted, permit, envelope, obligations, graph, mcp }))
}

/// The halt for an object that is not the caller's: a refusal that names the rule in the record, and reads as if
/// there were nothing where the route hides.
pub fn object_forbidden(rules: &AuthorizeRules, error: &ObjectError) -> Halt {
    let halt = Halt::new(Reason::ObjectForbidden, error.to_string());
    hidden(rules, halt.with_denied(error.denied()))
}

/// What the phase comes to.
#[derive(Debug)]
struct Allowed {
    permit: Permit,
    envelope: Option<Envelope>,
    obligations: Option<Box<Obligations>>,
    graph: Option<Box<GraphCall>>,
    mcp: Option<Box<McpCall>>,
}

/// What of a request decides whether it is allowed.
#[derive(Debug, Clone, Copy)]
struct Question<'r> {
    rules: &'r AuthorizeRules,
    surface: Surface,
    graph: Option<&'r Graph>,
    mcp: Option<&'r Mcp>,
    operation: OperationIndex,
    principal: &'r Principal,
    path: &'r [(Box<str>, Box<str>)],
    query: Option<&'r str>,
    headers: &'r HeaderMap,
    method: &'r Method,
    authority: &'r str,
    peer: Peer,
    body: &'r [u8],
    /// The request is a stream of messages, each of which is held to the object rules when it comes.
    is_stream: bool,
}

impl Question<'_> {
    fn judge(&self, policy: &Policy, now: SystemTime) -> Result<Allowed, Halt> {
        let action = self.action();
        let spec = action.and_then(|action| policy.spec(action));
        let envelope = match self.surface {
            Surface::Model(_) if *self.method == Method::POST => Some(Envelope::read(self.body)?),
            Surface::GraphQl => return self.judge_graph(policy, now),
            Surface::Mcp => return self.judge_mcp(policy, now),
            Surface::Model(_) | Surface::Rest | Surface::Grpc => None,
        };
        let sent = Sent { path: self.path, query: self.query, headers: self.headers, body: self.body };
        let obligations = match self.rules.objects.of(self.operation) {
            None => None,
            Some(_) if self.is_stream => None,
            Some(rules) => rules.judge(self.principal, &sent, seconds(now)).map_err(|error| {
                Halt::new(Reason::ObjectForbidden, error.to_string()).with_denied(error.denied())
            })?,
        };
        if !self.rules.enforced {
            let permit = Permit { action, policies: Vec::new() };
            return Ok(Allowed { permit, envelope, obligations, graph: None, mcp: None });
        }
        let (Some(action), Some(spec)) = (action, spec) else {
            return Err(Halt::new(Reason::Forbidden, "the operation is no action of the policy"));
        };
        let facts = match (&spec.kind, &envelope) {
            (ActionKind::Rest { .. }, _) => Facts::Rest { path: self.path, query: self.query },
            (ActionKind::Model, Some(envelope)) => {
                Facts::Model { model: &envelope.model, stream: envelope.stream, tools: envelope.tools }
            }
            (ActionKind::Model, None) => {
                return Err(Halt::new(Reason::PolicyIndeterminate, "a model call without an envelope"));
            }
        };
        let verdict = policy.decide(&Call {
            principal: self.principal,
            action,
            address: self.peer.address,
            is_tls: self.peer.is_tls,
            now: seconds(now),
            facts,
        });
        let permit = Permit { action: Some(action), policies: allowing(verdict)? };
        Ok(Allowed { permit, envelope, obligations, graph: None, mcp: None })
    }

    /// Every root field of every operation is an action of its own, and all of them must be allowed.
    fn judge_graph(&self, policy: &Policy, now: SystemTime) -> Result<Allowed, Halt> {
        let graph = self.graph.ok_or_else(|| Halt::new(Reason::Internal, "a graph without its schema"))?;
        let given = Given { method: self.method, query: self.query, headers: self.headers, body: self.body };
        let asked = graph.read(&given)?;
        let fields = asked.fields();
        let called = || fields.join("+").into();
        let permit = self.permit_graph(policy, now, &asked).map_err(|halt| halt.with_called(called))?;
        // What is asked for may be called: from here on its caller may know what the schema says of it.
        let judged = match graph.judge(&asked, self.principal, self.headers, seconds(now)) {
            Ok(judged) => Ok(judged),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Foreign(error)) => {
                let halt = Halt::new(Reason::ObjectForbidden, error.to_string());
                return Err(halt.with_denied(error.denied()).with_called(called));
            }
        };
        let graph = Some(Box::new(GraphCall { fields, judged }));
        Ok(Allowed { permit, envelope: None, obligations: None, graph, mcp: None })
    }

    fn permit_graph(&self, policy: &Policy, now: SystemTime, asked: &Asked) -> Result<Permit, Halt> {
        let mut permit = Permit { action: None, policies: Vec::new() };
        for call in &asked.calls {
            if call.roots.is_empty() {
                return Err(Halt::new(Reason::Forbidden, "an operation without a root field is no action"));
            }
            for root in &call.roots {
                let action = root.field.and_then(|index| *self.rules.fields.get(index)?);
                let spec = action.and_then(|action| policy.spec(action));
                let (Some(action), Some(_)) = (action, spec) else {
                    let detail = format!("`{}` is no action of the policy", root.id);
                    return Err(Halt::new(Reason::Forbidden, detail));
                };
                permit.action.get_or_insert(action);
                if !self.rules.enforced {
                    continue;
                }
                let verdict = policy.decide(&Call {
                    principal: self.principal,
                    action,
                    address: self.peer.address,
                    is_tls: self.peer.is_tls,
                    now: seconds(now),
                    facts: Facts::Rest { path: &[], query: Some(&root.facts) },
                });
                for id in allowing(verdict).map_err(|halt| named(halt, &root.id))? {
                    if !permit.policies.contains(&id) {
                        permit.policies.push(id);
                    }
                }
            }
        }
        Ok(permit)
    }

    fn action(&self) -> Option<ActionIndex> {
        let index = usize::try_from(self.operation.0).ok()?;
        *self.rules.actions.get(index)?
    }
}

/// Only `Allow` makes a permit.
fn allowing(verdict: Verdict) -> Result<Vec<SmolStr>, Halt> {
    match verdict {
        Verdict::Allow { policies } => Ok(policies),
        Verdict::Deny { policies } if policies.is_empty() => {
            Err(Halt::new(Reason::Forbidden, "no policy allows the call"))
        }
        Verdict::Deny { policies } => {
            Err(Halt::new(Reason::Forbidden, format!("forbidden by {}", policies.join(", "))))
        }
        Verdict::Indeterminate { cause, policies } => {
            Err(Halt::new(Reason::PolicyIndeterminate, format!("{cause}: {}", policies.join(", "))))
        }
    }
}

/// Says which of several actions it was.
fn named(mut halt: Halt, id: &str) -> Halt {
    if let Halt::Refusal(refusal) | Halt::Fault(refusal) = &mut halt {
        refusal.detail = format!("`{id}`: {}", refusal.detail).into();
    }
    halt
}

/// Where a route hides, every refusal of this phase reads as if there were nothing.
fn hidden(rules: &AuthorizeRules, halt: Halt) -> Halt {
    match halt {
        Halt::Refusal(refusal) if rules.hides => {
            let detail = format!("{:?}: {}", refusal.reason, refusal.detail);
            let halt = Halt::new(Reason::Hidden, detail).with_denied(refusal.denied());
            match refusal.called() {
                Some(called) => halt.with_called(|| called.into()),
                None => halt,
            }
        }
        other => other,
    }
}

/// Seconds since the epoch; a clock before it reads as the epoch.
fn seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
