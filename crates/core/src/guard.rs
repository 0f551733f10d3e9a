//! Guards: what an operator switches and what then reads or holds what passes. Closed, so that whoever adds one is
//! asked by the compiler where it runs.
//!
//! Which guards a request met is two small sets in its record, so that nobody takes silence for a pass.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Everything that can be switched on and then must run. The phases before (`identify`, `admit`, `authorize`) are no
/// guards: no request gets past them without a proof of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Guard {
    /// Requests and answers meet their contract.
    Contract,
    /// Objects are the caller's.
    Objects,
    /// Properties are for the caller.
    Expose,
    /// Clients do not speak for the operator.
    Roles,
    /// Detectors of personal data.
    Pii,
    /// Detectors of keys, tokens and passwords.
    Secrets,
    /// Detectors of phrases that override instructions.
    Injection,
    /// Detectors of scripts in text.
    ActiveContent,
    /// Detectors of links that carry data out.
    Links,
    /// Detectors of dangerous code.
    Code,
    /// Detectors of signs of a role that the writer does not have.
    ForgedRoles,
    /// Rules of the operator's own about content.
    Rules,
    /// The linear classifier of orders.
    Classifier,
    /// The transformer that is asked after it.
    Encoder,
    /// A judge outside.
    Judge,
    /// What documents and tools wrote is fenced.
    Fence,
    /// The operator's text is not heard in answers.
    Leak,
}

impl Guard {
    /// All guards, in the order in which they are shown.
    pub const ALL: [Self; 17] = [
        Self::Contract,
        Self::Objects,
        Self::Expose,
        Self::Roles,
        Self::Pii,
        Self::Secrets,
        Self::Injection,
        Self::ActiveContent,
        Self::Links,
        Self::Code,
        Self::ForgedRoles,
        Self::Rules,
        Self::Classifier,
        Self::Encoder,
        Self::Judge,
        Self::Fence,
        Self::Leak,
    ];

    /// The stable name, as in records, metrics and `portcullis coverage`; where it is a key of the configuration, that.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Objects => "objects",
            Self::Expose => "expose",
            Self::Roles => "client_system",
            Self::Pii => "pii",
            Self::Secrets => "secrets",
            Self::Injection => "injection",
            Self::ActiveContent => "active_content",
            Self::Links => "links",
            Self::Code => "code",
            Self::ForgedRoles => "roles",
            Self::Rules => "rules",
            Self::Classifier => "classifier",
            Self::Encoder => "encoder",
            Self::Judge => "judge",
            Self::Fence => "fence",
            Self::Leak => "leak",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Why a guard did not run where it was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// Nobody knows: a defect of the gate.
    NotRun,
    /// The operator wrote in `unread` that it may pass.
    Unread,
    /// Whoever reads it did not answer, and the operator wrote that it passes then.
    Unanswered,
}

impl Skip {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::NotRun, Self::Unread, Self::Unanswered];

    /// As in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "not_run",
            Self::Unread => "unread",
            Self::Unanswered => "unanswered",
        }
    }

    /// Whether it counts in `portcullis_guard_skipped_total`: what the operator took out of a guard's way does not.
    pub const fn is_counted(self) -> bool {
        !matches!(self, Self::Unread)
    }
}

/// A set of guards: one word.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardSet(u32);

impl GuardSet {
    /// No guard.
    pub const NONE: Self = Self(0);

    /// With one guard more.
    #[must_use]
    pub const fn with(self, guard: Guard) -> Self {
        Self(self.0 | guard.bit())
    }

    /// With one guard more, if `is_on`.
    #[must_use]
    pub const fn with_if(self, guard: Guard, is_on: bool) -> Self {
        if is_on { self.with(guard) } else { self }
    }

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `guard` is in it.
    pub const fn has(self, guard: Guard) -> bool {
        self.0 & guard.bit() != 0
    }

    /// Whether none is.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Guard> {
        Guard::ALL.into_iter().filter(move |guard| self.has(*guard))
    }
}

impl FromIterator<Guard> for GuardSet {
    fn from_iter<I: IntoIterator<Item = Guard>>(guards: I) -> Self {
        guards.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for GuardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Guard::id)).finish()
    }
}

impl Serialize for GuardSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.iter().try_for_each(|guard| list.serialize_element(guard.id()))?;
        list.end()
    }
}

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Way {
    /// From the client to the upstream.
    Request,
    /// Back.
    Answer,
}

impl Way {
    /// As in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }
}

/// The guards that one request and its answer met, and those that they should have met.
// PERF: words and no lists: every request has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    applied: [GuardSet; 2],
    skipped: [[GuardSet; 3]; 2],
}

impl Met {
    /// These ran.
    pub fn applied(&mut self, way: Way, guards: GuardSet) {
        let [request, answer] = &mut self.applied;
        let known = if way == Way::Request { request } else { answer };
        *known = known.and(guards);
    }

    /// These did not run on all that they were configured for.
    pub fn skipped(&mut self, way: Way, guards: GuardSet, why: Skip) {
        let [request, answer] = &mut self.skipped;
        let known = if way == Way::Request { request } else { answer };
        let [not_run, unread, unanswered] = known;
        let known = match why {
            Skip::NotRun => not_run,
            Skip::Unread => unread,
            Skip::Unanswered => unanswered,
        };
        *known = known.and(guards);
    }

    /// These must have run by now. Whatever of them did not, and has no other reason, is a defect and is said to be.
    pub fn due(&mut self, way: Way, guards: GuardSet) {
        let [request, answer] = self.applied;
        let done = if way == Way::Request { request } else { answer };
        let said = self.all().filter(|(of, _, _)| *of == way).map(|(_, guard, _)| guard).collect();
        self.skipped(way, guards.without(done).without(said), Skip::NotRun);
    }

    /// Everything that was skipped.
    pub fn all(&self) -> impl Iterator<Item = (Way, Guard, Skip)> + use<> {
        let ways = [Way::Request, Way::Answer].into_iter().zip(self.skipped);
        ways.flat_map(|(way, sets)| {
            let whys = Skip::ALL.into_iter().zip(sets);
            whys.flat_map(move |(why, set)| set.iter().map(move |guard| (way, guard, why)))
        })
    }

    /// Whether no guard was met nor missed: nothing was configured, or nothing came so far.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `{"request":["pii"],"answer":[],"skipped":[{"guard":"pii","on":"answer","why":"unread"}]}`, the empty left out.
impl Serialize for Met {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Skipped(Met);
        impl Serialize for Skipped {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.all().map(|(way, guard, why)| One(way, guard, why)))
            }
        }
        struct One(Way, Guard, Skip);
        impl Serialize for One {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("guard", self.1.id())?;
                map.serialize_entry("on", self.0.as_str())?;
                map.serialize_entry("why", self.2.as_str())?;
                map.end()
            }
        }
        struct Applied([GuardSet; 2]);
        impl Serialize for Applied {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                for (way, set) in [Way::Request, Way::Answer].into_iter().zip(self.0) {
                    if !set.is_empty() {
                        map.serialize_entry(way.as_str(), &set)?;
                    }
                }
                map.end()
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("applied", &Applied(self.applied))?;
        if self.all().next().is_some() {
            map.serialize_entry("skipped", &Skipped(*self))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_has_a_bit_and_a_name_of_its_own() {
        let all: GuardSet = Guard::ALL.into_iter().collect();
        assert_eq!(all.iter().count(), Guard::ALL.len());
        let names: std::collections::BTreeSet<_> = Guard::ALL.into_iter().map(Guard::id).collect();
        assert_eq!(names.len(), Guard::ALL.len());
        // A guard that is not in the list would have no bit below the highest.
        assert_eq!(all.0, (1 << Guard::ALL.len()) - 1);
    }

    #[test]
    fn what_is_due_and_did_not_run_is_skipped() {
        let set = |guards: &[Guard]| guards.iter().copied().collect::<GuardSet>();
        let mut met = Met::default();
        assert!(met.is_empty());
        met.applied(Way::Request, set(&[Guard::Pii]));
        met.due(Way::Request, set(&[Guard::Pii]));
        assert_eq!(met.all().count(), 0);
        met.skipped(Way::Answer, set(&[Guard::Links]), Skip::Unread);
        met.due(Way::Answer, set(&[Guard::Links, Guard::Code]));
        assert_eq!(
            serde_json::to_string(&met).unwrap(),
            r#"{"applied":{"request":["pii"]},"skipped":[{"guard":"code","on":"answer","why":"not_run"},{"guard":"links","on":"answer","why":"unread"}]}"#
        );
        assert_eq!(met.all().filter(|(_, _, why)| why.is_counted()).count(), 1);
    }
}
