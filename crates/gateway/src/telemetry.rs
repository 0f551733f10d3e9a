//! What is counted, in the OpenMetrics text format, under names that start with `portcullis_`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::guard::{Guard, Skip};
use portcullis_core::halt::Reason;
use portcullis_core::record::{Outcome, Phase};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::record::Draft;

/// Bounds of the time histograms, in seconds: 50 µs to 30 s.
const BOUNDS: [f64; 14] = [50e-6, 1e-4, 25e-5, 5e-4, 1e-3, 25e-4, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HaltLabels {
    phase: &'static str,
    reason: &'static str,
    source: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    detector: &'static str,
    action: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SkippedLabels {
    guard: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    route: String,
    kind: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeniedLabels {
    route: String,
    parameter: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OperationLabels {
    route: String,
    operation: String,
}

/// All counters of one process. They outlive reloads.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    answered: [Counter; 6],
    halts: Family<HaltLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    added_tokens: Family<RouteLabels, Counter>,
    objects_denied: Family<DeniedLabels, Counter>,
    deprecated: Family<OperationLabels, Counter>,
    abandoned: Counter,
    duration: Histogram,
    /// Open connections of clients.
    pub connections: Gauge,
    /// Requests that have begun and whose record is not yet written.
    pub in_flight: Gauge,
    /// 1 when the last reload was taken, 0 when it was refused and the old configuration stays.
    pub reload_ok: Gauge,
    /// Reloads tried.
    pub reloads: Counter,
    /// Guards that were configured and did not run. Must stay 0.
    guard_skipped: Family<SkippedLabels, Counter>,
    /// Decisions of the policy index that plain Cedar did not share. Must stay 0.
    pub policy_disagreements: Counter,
    /// When the configuration in force was loaded, in seconds since the epoch.
    pub loaded_at: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let metrics = Self {
            registry: Mutex::default(),
            answered: Default::default(),
            halts: Family::default(),
            findings: Family::default(),
            tokens: Family::default(),
            added_tokens: Family::default(),
            objects_denied: Family::default(),
            deprecated: Family::default(),
            abandoned: Counter::default(),
            duration: Histogram::new(BOUNDS),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            reload_ok: Gauge::default(),
            reloads: Counter::default(),
            guard_skipped: Family::default(),
            policy_disagreements: Counter::default(),
            loaded_at: Gauge::default(),
        };
        let answered = registry.sub_registry_with_prefix("answers");
        for (class, counter) in metrics.answered.iter().enumerate().skip(1) {
            let label = (std::borrow::Cow::Borrowed("class"), format!("{class}xx").into());
            answered.sub_registry_with_labels(std::iter::once(label)).register(
                "sent",
                "Answers sent, by class of status",
                counter.clone(),
            );
        }
        registry.register("halts", "Requests stopped, by phase, reason and source", metrics.halts.clone());
        registry.register("findings", "Findings of detectors, by action", metrics.findings.clone());
        registry.register("model_tokens", "Tokens that model providers counted", metrics.tokens.clone());
        let help = "Tokens that the gate added to prompts, by an estimate of four bytes each";
        registry.register("prompt_tokens_added", help, metrics.added_tokens.clone());
        let help = "Objects of others that callers named, or that were left out of lists";
        registry.register("objects_denied", help, metrics.objects_denied.clone());
        let help = "Calls of operations that their contract says are deprecated";
        registry.register("deprecated_calls", help, metrics.deprecated.clone());
        registry.register("abandoned", "Requests whose client went away", metrics.abandoned.clone());
        let help = "Time from the request's head to the end of the answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, metrics.duration.clone());
        registry.register("connections", "Open client connections", metrics.connections.clone());
        registry.register("in_flight", "Requests under way", metrics.in_flight.clone());
        registry.register(
            "reload_successful",
            "Whether the last reload was taken",
            metrics.reload_ok.clone(),
        );
        registry.register("reloads", "Reloads tried", metrics.reloads.clone());
        registry.register(
            "guard_skipped",
            "Configured guards that did not run",
            metrics.guard_skipped.clone(),
        );
        let help = "Decisions where the policy index and plain Cedar differed";
        registry.register("policy_disagreements", help, metrics.policy_disagreements.clone());
        let help = "When the configuration in force was loaded";
        registry.register_with_unit("config_loaded", help, Unit::Seconds, metrics.loaded_at.clone());
        // What must stay 0 is there to be seen from the beginning.
        for (guard, why) in Guard::ALL.iter().flat_map(|guard| Skip::ALL.map(|why| (guard, why))) {
            if why.is_counted() {
                let labels = SkippedLabels { guard: guard.id(), reason: why.as_str() };
                drop(metrics.guard_skipped.get_or_create(&labels));
            }
        }
        *metrics.registry.lock() = registry;
        metrics
    }
}

impl Metrics {
    /// Counts a finished request.
    pub(crate) fn request(&self, draft: &Draft, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        if let Some(counter) =
            draft.status.and_then(|status| self.answered.get(usize::from(status.as_u16() / 100)))
        {
            counter.inc();
        }
        if let Some((reason, _)) = &draft.halt {
            self.halt(*reason);
        } else if draft.phases.0.iter().any(|one| one.outcome == Outcome::Abandoned) {
            self.abandoned.inc();
        }
        if let Some((operation, route)) = draft.operation.zip(draft.route.as_ref())
            && let Some(called) = route.contract.operation(operation).filter(|called| called.deprecated)
        {
            let labels = OperationLabels { route: route.name.to_string(), operation: called.id.to_string() };
            self.deprecated.get_or_create(&labels).inc();
        }
        if let (Some(denied), Some(route)) = (&draft.denied, &draft.route) {
            let labels =
                DeniedLabels { route: route.name.to_string(), parameter: denied.parameter.to_string() };
            self.objects_denied.get_or_create(&labels).inc_by(u64::from(denied.objects));
        }
        for finding in &draft.findings {
            let action = finding.action.as_str();
            self.findings.get_or_create(&FindingLabels { detector: finding.detector, action }).inc();
        }
        for (_, guard, why) in draft.guards.all().filter(|(_, _, why)| why.is_counted()) {
            let labels = SkippedLabels { guard: guard.id(), reason: why.as_str() };
            self.guard_skipped.get_or_create(&labels).inc();
        }
        if let (1.., Some(route)) = (draft.added_bytes, &draft.route) {
            let labels = RouteLabels { route: route.name.to_string() };
            self.added_tokens.get_or_create(&labels).inc_by(draft.added_tokens());
        }
        if let (Some(usage), Some(route)) = (draft.usage, &draft.route) {
            for (kind, count) in [("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens)] {
                let labels = TokenLabels { route: route.name.to_string(), kind };
                self.tokens.get_or_create(&labels).inc_by(count);
            }
        }
    }

    /// Counts a request that was stopped.
    pub fn halt(&self, reason: Reason) {
        let phase: Phase = reason.phase();
        let source = reason.source().as_str();
        self.halts.get_or_create(&HaltLabels { phase: phase.as_str(), reason: reason.code(), source }).inc();
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Err(error) = text::encode(&mut out, &self.registry.lock()) {
            tracing::error!(%error, "metrics could not be written");
        }
        out
    }
}
