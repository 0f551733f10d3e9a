//! The gate: one immutable snapshot of all configuration, behind one `ArcSwap`.
//!
//! A request takes one `Arc<Gate>` at its beginning and keeps it to its end: a reload never mixes old and new rules.
//! What must outlive a reload (budgets, keys, upstream connections, the record) is shared between snapshots.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::Response;
use hyper::body::Incoming;
use portcullis_core::admit::Buckets;
use portcullis_core::grpc::is_grpc;
use portcullis_core::guard::{Guard, GuardSet};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::identify::{Issuers, unknown_key};
use portcullis_core::policy::Policy;
use portcullis_core::receive::{ReceiveRules, Received};
use portcullis_core::request::{Peer, Request, Wire};
use portcullis_core::route::{Route, RouteId, Routes};
use portcullis_core::validate::Answers;
use portcullis_inspect::dialect::ModelRules;
use portcullis_inspect::inspect::Screens;
use portcullis_inspect::told::Code;

use crate::forward::Upstream;
use crate::judges::Judge;
use crate::keys::Keyring;
use crate::listen::Handler;
use crate::owners::{Lookup, Owners};
use crate::pipeline::{self, Rest};
use crate::random::random;
use crate::record::{Recorder, Recording};
use crate::respond;
use crate::switched::Lifetime;
use crate::tools::Sessions;
use crate::tracked::Tracked;
use crate::websocket::WebsocketRules;

#[cfg(feature = "ml")]
pub use crate::encoder::Pool;

/// What reads prompts in a program that was built without the feature `ml`: nothing.
#[cfg(not(feature = "ml"))]
#[derive(Debug)]
pub enum Pool {}

/// Everything a request is judged by.
#[derive(Debug)]
pub struct Gate {
    /// What is reachable.
    pub routes: Routes,
    /// How strict the wire is.
    pub receive: ReceiveRules,
    /// Whose tokens count.
    pub issuers: Arc<Issuers>,
    /// Where their keys come from.
    pub keyring: Arc<Keyring>,
    /// Who may do what.
    pub policy: Policy,
    /// What has been spent. Outlives the snapshot.
    pub buckets: Arc<Buckets>,
    /// Detectors, by route.
    pub guards: Vec<Guards>,
    /// Upstreams, by route.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What remembers who created what, where something does. Outlives the snapshot.
    pub owners: Option<Owners>,
    /// Threads that read prompts, where a route asks for it.
    pub encoder: Option<Arc<Pool>>,
    /// Servers that know whose objects are, by the index in the rules.
    pub lookups: Vec<Arc<Lookup>>,
    /// How long a request body may take.
    pub body_times: BodyTimes,
    /// Limits of WebSockets.
    pub websocket: WebsocketRules,
    /// What long-lived connections share. Outlives the snapshot.
    pub lifetime: Lifetime,
    /// Whose the sessions with tool servers are. Outlives the snapshot.
    pub sessions: Arc<Sessions>,
    /// The instant that budgets count from.
    pub origin: Instant,
}

/// The detectors of one route.
#[derive(Debug, Default, Clone)]
pub struct Guards {
    /// What requests and answers are read for.
    pub screens: Screens,
    /// The rules of a model route.
    pub model: Option<ModelRules>,
    /// Who is asked about prompts, last of all.
    pub prompt_judge: Option<Arc<Judge>>,
    /// Who is asked about answers.
    pub answer_judge: Option<Arc<Judge>>,
}

/// How long a request body may take.
#[derive(Debug, Clone, Copy)]
pub struct BodyTimes {
    /// Between two pieces.
    pub progress: Duration,
    /// In all.
    pub total: Duration,
}

impl Guards {
    /// The guards that every request of this route must meet.
    pub(crate) fn due_of_request(&self, route: &Route) -> GuardSet {
        let own = match &self.model {
            Some(rules) => rules.guards(),
            None => self.screens.request.guards(),
        };
        own.with_if(Guard::Contract, route.validate.request)
    }

    /// The guards that every answer must meet that has something to read.
    pub(crate) fn due_of_answer(&self, route: &Route) -> GuardSet {
        let holds = route.validate.answers != Answers::Off;
        let judged = self.answer_judge.is_some();
        let own = self.model.as_ref().map_or(&self.screens.answer, |rules| &rules.answer);
        let orders = self.screens.tools.as_ref().is_some_and(|rules| rules.orders.is_some());
        own.guards()
            .with_if(Guard::Contract, holds)
            .with_if(Guard::Judge, judged)
            .with_if(Guard::Classifier, orders)
    }

    /// The same guards for one request: fences have a code that is drawn for it.
    pub(crate) fn for_request(&self) -> Cow<'_, Self> {
        match self.model.as_ref().map(|rules| rules.for_request(|| Code::new(random()))) {
            None | Some(Cow::Borrowed(_)) => Cow::Borrowed(self),
            Some(Cow::Owned(rules)) => Cow::Owned(Self { model: Some(rules), ..self.clone() }),
        }
    }

    /// Whether anything reads the answers of this route, so that they must come unencoded.
    pub(crate) fn reads_answers(&self, route: &Route) -> bool {
        route.graph.is_some()
            || route.validate.answers != Answers::Off
            || !self.screens.answer.is_off()
            || self.model.is_some()
            || route.mcp.is_some()
    }
}

impl Gate {
    /// The guards of a route.
    pub(crate) fn guards(&self, route: RouteId) -> &Guards {
        static NONE: std::sync::LazyLock<Guards> = std::sync::LazyLock::new(Guards::default);
        debug_assert!(usize::from(route.0) < self.guards.len(), "every route has its guards");
        self.guards.get(usize::from(route.0)).unwrap_or(&NONE)
    }

    /// Whether a database says whose objects are.
    pub(crate) fn asks_databases(&self) -> bool {
        matches!(self.owners, Some(Owners::Table(_))) || self.lookups.iter().any(|one| one.is_sql())
    }

    /// The upstream of a route.
    pub(crate) fn upstream(&self, route: RouteId) -> Result<&Arc<Upstream>, Halt> {
        let found = self.upstreams.get(usize::from(route.0));
        found.ok_or_else(|| Halt::new(Reason::Internal, "a route without an upstream"))
    }

    /// Nanoseconds since the gate's origin.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Gives the keyring a chance to learn a key that a token names and no key set has.
    pub(crate) async fn fetch_unknown_key(&self, request: &Request<Received>) {
        if let Some(issuer) = unknown_key(&self.issuers, request) {
            self.keyring.ensure(issuer).await;
        }
    }
}

/// The gate in force, as the listeners see it.
#[derive(Debug, Clone)]
pub struct Front {
    /// The snapshot in force.
    pub gate: Arc<ArcSwap<Gate>>,
    /// Where records go.
    pub recorder: Recorder,
}

impl Handler for Front {
    type Body = Tracked;

    // PERF: not an async function, whose future would keep room for the request twice.
    fn handle(
        self,
        peer: Peer,
        mut request: http::Request<Incoming>,
    ) -> impl Future<Output = Response<Tracked>> + Send {
        let mut record = Recording::begin(self.recorder, request.method().clone(), peer.address, peer.is_tls);
        record.draft.is_grpc = request.version() == http::Version::HTTP_2 && is_grpc(request.headers());
        let upgrade =
            request.headers().contains_key(http::header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let has_body = !hyper::body::Body::is_end_stream(&body);
        let wire = Wire { parts, peer, has_body };
        pipeline::run(self.gate.load_full(), Box::new(wire), Rest { body, upgrade }, record)
    }

    fn refused(&self, peer: Peer, reason: Reason, detail: &'static str) -> Response<Tracked> {
        // The head could not be read, so the record has no method.
        let method = http::Method::from_bytes(b"-").unwrap_or_default();
        let record = Recording::begin(self.recorder.clone(), method, peer.address, peer.is_tls);
        respond::halt(Halt::new(reason, detail), record)
    }
}
