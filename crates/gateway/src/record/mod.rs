//! The record of a request while it is made: filled phase by phase, emitted exactly once.
//!
//! [`Recording`] is a drop guard. Whatever ends a request (an answer, a refusal, a client that goes away and drops
//! the future, a panic that unwinds), its one line is written when the guard goes.

mod line;
mod sink;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, StatusCode};
use portcullis_core::guard::Met;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::identify::Principal;
use portcullis_core::record::{Finding, Outcome, Phase, PhaseOutcome, Phases, Usage};
use portcullis_core::request::Request;
use portcullis_core::route::{Route, Surface};
use smol_str::SmolStr;

pub use self::line::RecordId;
pub use self::sink::Sink;
use crate::forward::Upstream;
use crate::telemetry::Metrics;

/// What the recordings of a gate share.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// Where lines go; `None` where the configuration says `record: none`.
    pub sink: Option<Arc<Sink>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Recorder {
    /// Whether a new request may begin.
    pub fn is_ready(&self) -> bool {
        self.sink.as_ref().is_none_or(|sink| sink.is_ready())
    }
}

/// The one record of one request, not yet emitted.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    started: Instant,
    last: Instant,
    // PERF: boxed, because a recording moves with every stage of its request.
    pub(crate) draft: Box<Draft>,
}

/// What has been learnt so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: RecordId,
    pub(crate) time: SystemTime,
    pub(crate) peer: IpAddr,
    pub(crate) is_tls: bool,
    pub(crate) method: Method,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) operation: Option<portcullis_core::contract::OperationIndex>,
    /// What is called where the path does not say it: the root fields of a graph's operations, with `+` between.
    pub(crate) called: Option<SmolStr>,
    pub(crate) principal: Option<Principal>,
    /// The method of a message to a tool server.
    pub(crate) rpc: Option<SmolStr>,
    /// What a client sent to a tool server, as long as it may be refused.
    pub(crate) message: Bytes,
    /// The roles that the caller has directly; `None` without a roles file.
    pub(crate) roles: Option<Arc<[SmolStr]>>,
    pub(crate) policies: Vec<SmolStr>,
    pub(crate) phases: Phases,
    pub(crate) findings: Vec<Finding>,
    /// What read it, and what did not that should have.
    pub(crate) guards: Met,
    pub(crate) denied: Option<Denied>,
    /// What was asked for and no contract has, without identifiers.
    pub(crate) path: Option<Box<str>>,
    pub(crate) notes: Vec<String>,
    pub(crate) halt: Option<(Reason, String)>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) upstream: Option<Arc<Upstream>>,
    pub(crate) usage: Option<Usage>,
    /// Bytes that the gate added to a prompt.
    pub(crate) added_bytes: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) is_complete: bool,
    pub(crate) is_stream: bool,
    /// The client speaks gRPC, by the head of its request.
    pub(crate) is_grpc: bool,
}

/// Objects that the caller named, or would have been shown, and that are somebody else's.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Denied {
    /// The parameter that named it, or `list`.
    pub(crate) parameter: Box<str>,
    /// How many.
    pub(crate) objects: u32,
}

impl Draft {
    /// Tokens that the gate added to a prompt: an estimate of four bytes each, rounded up.
    pub(crate) fn added_tokens(&self) -> u64 {
        self.added_bytes.div_ceil(4)
    }
}

/// A stage that has something to say in the record.
pub(crate) trait Noted {
    /// The phase that ends with this stage.
    const PHASE: Phase;
    /// Writes down what the phase learnt, and says whether it did anything.
    fn note(&self, draft: &mut Draft) -> Outcome;
}

impl Recording {
    /// Begins the record of a request from `peer`.
    pub fn begin(recorder: Recorder, method: Method, peer: IpAddr, is_tls: bool) -> Self {
        let started = Instant::now();
        let time = SystemTime::now();
        let draft = Box::new(Draft {
            id: RecordId::new(time),
            time,
            peer,
            is_tls,
            method,
            route: None,
            operation: None,
            called: None,
            principal: None,
            rpc: None,
            message: Bytes::new(),
            roles: None,
            policies: Vec::new(),
            phases: Phases::default(),
            findings: Vec::new(),
            guards: Met::default(),
            denied: None,
            path: None,
            notes: Vec::new(),
            halt: None,
            status: None,
            upstream: None,
            usage: None,
            added_bytes: 0,
            bytes_in: 0,
            bytes_out: 0,
            is_complete: false,
            is_stream: false,
            is_grpc: false,
        });
        recorder.metrics.in_flight.inc();
        Self { recorder, started, last: started, draft }
    }

    /// The record's identifier, also the request's.
    pub fn id(&self) -> &RecordId {
        &self.draft.id
    }

    /// When the request began, in whole seconds since the epoch: the `now` of every decision.
    pub fn unix_seconds(&self) -> u64 {
        self.draft.time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// When the request began.
    pub fn time(&self) -> SystemTime {
        self.draft.time
    }

    /// The monotonic beginning.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The surface whose dialect a refusal is written in.
    pub fn surface(&self) -> Surface {
        match self.draft.route.as_ref().map(|route| route.surface) {
            None if self.draft.is_grpc => Surface::Grpc,
            // Who asks otherwise would not understand the answer.
            Some(Surface::Grpc) if !self.draft.is_grpc => Surface::Rest,
            other => other.unwrap_or(Surface::Rest),
        }
    }

    /// A phase let the request pass: notes what it learnt and how long it took, and hands it on.
    pub(crate) fn passed<S>(&mut self, request: Request<S>) -> Request<S>
    where
        Request<S>: Noted,
    {
        let outcome = request.note(&mut self.draft);
        self.close(<Request<S> as Noted>::PHASE, outcome);
        request
    }

    /// Closes `phase` with `outcome`; its time is what passed since a phase was closed last.
    ///
    /// The clock is not asked for a phase that was configured to do nothing, nor where no record is kept.
    pub(crate) fn close(&mut self, phase: Phase, outcome: Outcome) {
        let took = if outcome == Outcome::None || self.recorder.sink.is_none() {
            Duration::ZERO
        } else {
            let now = Instant::now();
            now.duration_since(std::mem::replace(&mut self.last, now))
        };
        // A phase may turn out otherwise after it let the request pass: a body that is too large, an upstream that
        // breaks off. It stays one entry, or the record would name it twice.
        match self.draft.phases.0.iter_mut().find(|one| one.phase == phase) {
            Some(one) => (one.outcome, one.took) = (outcome, one.took + took),
            None => self.draft.phases.0.push(PhaseOutcome { phase, outcome, took }),
        }
    }

    /// Nothing is served that could not be recorded.
    ///
    /// # Errors
    /// `RecordUnavailable` while records cannot be written.
    pub(crate) fn ready(&self) -> Result<(), Halt> {
        match self.recorder.is_ready() {
            true => Ok(()),
            false => Err(Halt::new(Reason::RecordUnavailable, "records cannot be written")),
        }
    }

    /// A phase stopped the request.
    pub(crate) fn halted(&mut self, halt: &Halt) {
        let (Halt::Refusal(refusal) | Halt::Fault(refusal)) = halt else { return };
        let outcome = if matches!(halt, Halt::Refusal(_)) { Outcome::Refused } else { Outcome::Fault };
        self.close(refusal.reason.phase(), outcome);
        if let Some(parameter) = refusal.denied() {
            self.draft.denied = Some(Denied { parameter: parameter.into(), objects: 1 });
        }
        if let Some(called) = refusal.called() {
            self.draft.called = Some(SmolStr::new(called));
        }
        self.draft.path = refusal.path().map(Into::into);
        self.draft.halt = Some((refusal.reason, refusal.detail.clone().into_owned()));
    }

    /// Policy's two engines differed this often: that is counted and said aloud, for one of them is wrong.
    pub(crate) fn alarm(&self, differences: u64) {
        if differences > 0 {
            self.recorder.metrics.policy_disagreements.inc_by(differences);
            tracing::error!(
                id = %self.draft.id,
                differences,
                "the policy index and plain Cedar differ; every call is decided by both until the next reload"
            );
        }
    }

    /// The answer's status is decided.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.draft.status = Some(status);
    }

    /// `bytes` of the answer's body left.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.draft.bytes_out += bytes as u64;
    }

    /// The answer left whole. Without this call the record says that the client went away.
    pub(crate) fn complete(&mut self) {
        self.draft.is_complete = true;
    }

    fn next_phase(&self) -> Option<Phase> {
        let last = self.draft.phases.0.last().map(|one| one.phase);
        Phase::ALL.into_iter().find(|phase| last.is_none_or(|last| *phase > last))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.draft.is_complete && self.draft.halt.is_none() {
            // After the last phase the answer itself was on its way.
            self.close(self.next_phase().unwrap_or(Phase::Screen), Outcome::Abandoned);
        }
        let took: Duration = self.started.elapsed();
        self.recorder.metrics.in_flight.dec();
        self.recorder.metrics.request(&self.draft, took);
        if let Some(sink) = &self.recorder.sink {
            line::write(&self.draft, took, |line| sink.push(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_between_the_engines_is_counted() {
        let recorder = Recorder { sink: None, metrics: Arc::new(Metrics::default()) };
        let record = || Recording::begin(recorder.clone(), Method::GET, [127, 0, 0, 1].into(), true);
        record().alarm(0);
        assert!(recorder.metrics.text().contains("portcullis_policy_disagreements_total 0\n"));
        record().alarm(2);
        record().alarm(1);
        assert!(recorder.metrics.text().contains("portcullis_policy_disagreements_total 3\n"));
    }
}
