//! The one record of a request: what each phase said, how long it took, what was found.
//!
//! A record is plain data here. The gateway fills it phase by phase and emits it exactly once, also when the
//! client goes away; see `portcullis_gateway::recorder`.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};
use smallvec::SmallVec;

/// The phases, in their order. There is no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Unambiguous framing, one canonical path, limits kept, an operation matched.
    Receive,
    /// A credential verified, or anonymous in writing.
    Identify,
    /// Budget taken.
    Admit,
    /// Policy said Allow.
    Authorize,
    /// The contract is met.
    Validate,
    /// Detectors ran and `judge` did not deny.
    Inspect,
    /// Sent to the upstream and answered.
    Forward,
    /// The answer may leave.
    Screen,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 8] = [
        Self::Receive,
        Self::Identify,
        Self::Admit,
        Self::Authorize,
        Self::Validate,
        Self::Inspect,
        Self::Forward,
        Self::Screen,
    ];

    /// The lower-case name, as in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Identify => "identify",
            Self::Admit => "admit",
            Self::Authorize => "authorize",
            Self::Validate => "validate",
            Self::Inspect => "inspect",
            Self::Forward => "forward",
            Self::Screen => "screen",
        }
    }
}

/// How one phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The request reached the next stage.
    Passed,
    /// Configured to do nothing here; written so that nobody takes silence for a pass.
    None,
    /// The phase said no.
    Refused,
    /// Something broke.
    Fault,
    /// The client went away while the phase ran.
    Abandoned,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Likely unwanted.
    Medium,
    /// Certainly unwanted.
    High,
}

/// What was done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Noted only.
    Observe,
    /// Replaced by a part of itself: `**** 4242`.
    Mask,
    /// Replaced by a token on the way to a model, and given back in its answer.
    Tokenise,
    /// Replaced by a placeholder.
    Redact,
    /// The request or answer was stopped.
    Block,
}

impl Action {
    /// Whether the text goes on with something else in the place of what was found.
    pub const fn rewrites(self) -> bool {
        matches!(self, Self::Mask | Self::Tokenise | Self::Redact)
    }

    /// The lower-case name, as in records, metrics and the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Mask => "mask",
            Self::Tokenise => "tokenise",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

/// What a detector reported, fit for the record: the evidence is redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which detector (`email`, `card`, `prompt-override`).
    pub detector: &'static str,
    /// Where: a JSON pointer, `query:name`, `choice 0 content`.
    pub at: String,
    /// How bad.
    pub severity: Severity,
    /// What was done.
    pub action: Action,
    /// The shape of what was found, never the text itself: `a***@e***.com`, `**** 4242`.
    pub evidence: String,
}

/// Tokens counted by the model's provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// As the provider adds them up.
    pub total_tokens: u64,
}

/// One phase in the record.
#[derive(Debug, Clone, Copy)]
pub struct PhaseOutcome {
    /// Which phase.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Phase outcomes, written as `{"receive":{"outcome":"passed","us":12}, …}`.
#[derive(Debug, Clone, Default)]
pub struct Phases(pub SmallVec<[PhaseOutcome; 8]>);

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry {
            outcome: Outcome,
            us: u64,
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for one in &self.0 {
            let us = u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX);
            map.serialize_entry(one.phase.as_str(), &Entry { outcome: one.outcome, us })?;
        }
        map.end()
    }
}
