//! Tool servers: whose a session is, and what of a list its caller may see.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, Method, response};
use parking_lot::Mutex;
use portcullis_core::authorize::{Caller, shows};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::identify::Principal;
use portcullis_core::mcp::Kind;
use portcullis_core::request::{Peer, Request};
use portcullis_core::route::Route;
use portcullis_inspect::dialect::mcp::Shows;
use portcullis_inspect::inspect::Inspected;
use rustc_hash::FxHashMap;

use crate::gate::Gate;
use crate::owners::Owned;

/// Most sessions that are remembered; the oldest is forgotten first, and its client begins a new one.
const SESSIONS: usize = 100_000;
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// A hash of a route and an identifier.
type Hash = [u8; 32];

/// Whose the sessions with tool servers are: an identifier that somebody learnt is no proof that it is his.
///
/// Hashes only: what is remembered lets nobody into a session.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    owners: FxHashMap<Hash, Hash>,
    /// In the order in which they began.
    order: VecDeque<Hash>,
}

impl Sessions {
    /// A session began. One that is known stays whose it is.
    fn open(&self, session: Hash, owner: Hash) {
        let mut known = self.0.lock();
        if known.owners.contains_key(&session) {
            return;
        }
        while known.owners.len() >= SESSIONS {
            let Some(oldest) = known.order.pop_front() else { break };
            known.owners.remove(&oldest);
        }
        known.owners.insert(session, owner);
        known.order.push_back(session);
        if known.order.len() > 2 * SESSIONS {
            // Sessions that ended left their place in the order.
            let Known { owners, order } = &mut *known;
            order.retain(|one| owners.contains_key(one));
        }
    }

    fn end(&self, session: &Hash) {
        self.0.lock().owners.remove(session);
    }

    fn is_of(&self, session: &Hash, owner: &Hash) -> bool {
        self.0.lock().owners.get(session) == Some(owner)
    }
}

fn hash(route: &Route, kind: u8, parts: &[&[u8]]) -> Hash {
    let mut text = vec![kind];
    for part in [route.name.as_bytes()].iter().chain(parts) {
        // Lengths first: no two lists of parts are one text.
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &text).as_ref());
    hash
}

fn owner(route: &Route, principal: &Principal) -> Hash {
    match principal {
        Principal::Anonymous => hash(route, 0, &[]),
        Principal::Identity(one) => hash(route, 1, &[one.issuer.as_bytes(), one.subject.as_bytes()]),
    }
}

/// The session that headers name.
fn session(route: &Route, headers: &HeaderMap) -> Option<Hash> {
    headers.get(SESSION_ID).map(|id| hash(route, 2, &[id.as_bytes()]))
}

/// Takes an inspected request to a tool server; proves that the session that it names is its caller's.
///
/// # Errors
/// 404 for any other, as for one that there is not: its client begins a new one.
pub(crate) fn own_session(sessions: &Sessions, request: &Request<Inspected>) -> Result<(), Halt> {
    let (route, headers) = (request.stage().route(), &request.head().headers);
    let unknown = |detail| Halt::new(Reason::SessionUnknown, detail);
    if headers.get_all(SESSION_ID).iter().count() > 1 {
        return Err(unknown("two sessions are named"));
    }
    match session(route, headers) {
        None => Ok(()),
        Some(one) if sessions.is_of(&one, &owner(route, request.stage().principal())) => Ok(()),
        Some(_) => Err(unknown("the session is not the caller's, or is over")),
    }
}

/// What an exchange with a tool server is about, for those who judge its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    visible: Arc<Visible>,
    owner: Hash,
    /// The request's id, as JSON; `None` for what is not answered.
    open: Option<Box<str>>,
    /// Whether a session may begin with it.
    begins: bool,
    /// Whether its answer has no end of its own.
    is_endless: bool,
    /// The session that ends with it.
    ends: Option<Hash>,
}

impl Exchange {
    /// `None` for requests to anything else.
    pub(crate) fn of(gate: &Arc<Gate>, request: &Request<Owned>) -> Option<Self> {
        let (head, stage) = (request.head(), request.stage());
        let call = stage.mcp()?;
        let (route, principal) = (Arc::clone(stage.route()), stage.principal().clone());
        let message = call.message.as_ref();
        let ends = head.method == Method::DELETE;
        Some(Self {
            owner: owner(&route, &principal),
            open: message.and_then(|message| message.id()).map(Into::into),
            is_endless: message.is_none_or(|message| message.method() == "subscriptions/listen"),
            begins: message.is_some_and(|message| message.method() == "initialize"),
            ends: if ends { session(&route, &head.headers) } else { None },
            visible: Arc::new(Visible { gate: Arc::clone(gate), route, principal, peer: head.peer }),
        })
    }

    /// Remembers whose the session is that an answer begins, and forgets one that it ends.
    pub(crate) fn settle(&self, sessions: &Sessions, parts: &response::Parts) {
        if !parts.status.is_success() {
            return;
        }
        if let Some(begun) = session(&self.visible.route, &parts.headers).filter(|_| self.begins) {
            sessions.open(begun, self.owner);
        }
        if let Some(ended) = &self.ends {
            sessions.end(ended);
        }
    }

    /// What the caller may see.
    pub(crate) fn shows(&self) -> Arc<dyn Shows> {
        Arc::clone(&self.visible) as Arc<dyn Shows>
    }

    /// Whether a stream in answer to it only ends with the gate.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// The id of the request that is answered, as JSON.
    pub(crate) fn open(&self) -> Option<&str> {
        self.open.as_deref()
    }
}

/// What a caller may see: what it may call, by the policy of the snapshot that its request came under.
struct Visible {
    gate: Arc<Gate>,
    route: Arc<Route>,
    principal: Principal,
    peer: Peer,
}

impl std::fmt::Debug for Visible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visible").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl Shows for Visible {
    fn shows(&self, kind: Kind, name: &str) -> bool {
        // A stream may outlast a grant.
        let caller = Caller { principal: &self.principal, peer: self.peer, now: SystemTime::now() };
        shows(&self.gate.policy, &self.route, caller, kind, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        hash
    }

    #[test]
    fn a_session_is_of_who_began_it() {
        let sessions = Sessions::default();
        let (alice, bob) = ([1; 32], [2; 32]);
        sessions.open(key(1), alice);
        assert!(sessions.is_of(&key(1), &alice));
        assert!(!sessions.is_of(&key(1), &bob) && !sessions.is_of(&key(2), &alice));
        // A server that gives one identifier twice gives nobody what is another's.
        sessions.open(key(1), bob);
        assert!(sessions.is_of(&key(1), &alice) && !sessions.is_of(&key(1), &bob));
        sessions.end(&key(1));
        assert!(!sessions.is_of(&key(1), &alice));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let sessions = Sessions::default();
        for number in 0..3 * SESSIONS {
            sessions.open(key(number), [1; 32]);
            if number % 2 == 0 {
                sessions.end(&key(number));
            }
        }
        let known = sessions.0.lock();
        assert!(known.owners.len() <= SESSIONS && known.order.len() <= 2 * SESSIONS);
        assert!(known.owners.contains_key(&key(3 * SESSIONS - 1)));
    }
}
