//! Calls of a tool server: what a message needs, all of it, and what of a list its caller may see.

use std::time::SystemTime;

use http::Method;
use smol_str::SmolStr;

use super::{Allowed, AuthorizeRules, Permit, Question, allowing, named, seconds};
use crate::halt::{Halt, Reason};
use crate::identify::Principal;
use crate::mcp::{Kind, Message, Wanted};
use crate::policy::{Call, Facts, Policy};
use crate::request::Peer;
use crate::route::Route;

/// A call of a tool server that is allowed.
#[derive(Debug)]
pub struct McpCall {
    /// The actions that it is, with `+` between: `tools.call.search_orders`.
    pub called: SmolStr,
    /// The message; `None` where there is none: a stream, the end of a session.
    pub message: Option<Message>,
}

/// Whose call it is, as far as policy asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'c> {
    /// Who calls.
    pub principal: &'c Principal,
    /// From where.
    pub peer: Peer,
    /// When.
    pub now: SystemTime,
}

/// Whether a caller may call this tool, get this prompt or read this resource: the very question that a call of it is
/// decided by, so that a list shows what may be called and nothing else. `policy` must be of the route's snapshot.
pub fn shows(policy: &Policy, route: &Route, caller: Caller<'_>, kind: Kind, name: &str) -> bool {
    let Some(mcp) = &route.mcp else { return false };
    permit_one(policy, &route.authorize, caller, &mcp.of(kind, name)).is_ok()
}

impl Question<'_> {
    /// Everything that a message needs must be allowed.
    pub(super) fn judge_mcp(&self, policy: &Policy, now: SystemTime) -> Result<Allowed, Halt> {
        let mcp = self.mcp.ok_or_else(|| Halt::new(Reason::Internal, "a tool server without its rules"))?;
        mcp.check_origin(self.headers, self.authority)?;
        let message = match *self.method {
            Method::POST => Some(mcp.read(self.headers, self.query, self.body)?),
            _ => None,
        };
        let wanted = message.as_ref().map_or_else(|| vec![mcp.of_session()], |message| mcp.wants(message));
        let mut ids: Vec<&str> = wanted.iter().map(|one| one.id.as_str()).collect();
        ids.dedup();
        let called = SmolStr::new(ids.join("+"));
        let permit = self.permit_mcp(policy, now, &wanted);
        let permit = permit.map_err(|halt| halt.with_called(|| called.as_str().into()))?;
        let mcp = Some(Box::new(McpCall { called, message }));
        Ok(Allowed { permit, envelope: None, obligations: None, graph: None, mcp })
    }

    fn permit_mcp(&self, policy: &Policy, now: SystemTime, wanted: &[Wanted]) -> Result<Permit, Halt> {
        let caller = Caller { principal: self.principal, peer: self.peer, now };
        let mut permit = Permit { action: None, policies: Vec::new() };
        for one in wanted {
            let own = permit_one(policy, self.rules, caller, one)?;
            permit.action = permit.action.or(own.action);
            for id in own.policies {
                if !permit.policies.contains(&id) {
                    permit.policies.push(id);
                }
            }
        }
        Ok(permit)
    }
}

fn permit_one(
    policy: &Policy,
    rules: &AuthorizeRules,
    caller: Caller<'_>,
    wanted: &Wanted,
) -> Result<Permit, Halt> {
    let action = wanted.action.and_then(|index| *rules.fields.get(index)?);
    let Some(action) = action.filter(|action| policy.spec(*action).is_some()) else {
        let detail = format!("`{}` is no action of the policy", wanted.id);
        return Err(Halt::new(Reason::Forbidden, detail));
    };
    if !rules.enforced {
        return Ok(Permit { action: Some(action), policies: Vec::new() });
    }
    let verdict = policy.decide(&Call {
        principal: caller.principal,
        action,
        address: caller.peer.address,
        is_tls: caller.peer.is_tls,
        now: seconds(caller.now),
        facts: Facts::Rest { path: &wanted.path, query: None },
    });
    let policies = allowing(verdict).map_err(|halt| named(halt, &wanted.id))?;
    Ok(Permit { action: Some(action), policies })
}
