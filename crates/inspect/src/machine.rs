//! The screening machine: the same for whole texts and for streams, and blind to how a text was split.
//!
//! A text is walked from left to right. Where a detector may start (`lanes`) it is asked; it answers no, yes, or
//! that more text must come first, and it answers the same however the text arrived. On "more" the text is held from
//! that place on, which is the only text that is ever held: each detector gives up after a fixed length, and text
//! that is known to belong to a match (the rest of a token, the body of a key) is dropped as it comes.
//!
//! The first match from the left counts; from the same place on, blocking rules come before redacting ones and these
//! before observing ones, then the order of [`Detector`]. Text that is only observed is seen by the other detectors
//! as if nothing had been found in it.

mod lanes;
mod state;

use std::sync::Arc;

use portcullis_core::record::{Action, Finding};

use self::lanes::{Candidates, Lanes};
use self::state::State;
use crate::detect::cursor::Cursor;
use crate::detect::{DATA, Detector, ELSEWHERE, Groups, Match, host};
use crate::told::{Fence, Leak, Listening, Told};

/// A compiled set of detectors, each with what is done about its findings; for answers of a model also what it was
/// told and may not say. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Screen(Option<Arc<Rules>>, Told);

/// What [`Screen`] shares.
#[derive(Debug)]
struct Rules {
    /// In the order in which they are asked.
    rules: Box<[Rule]>,
    lanes: Lanes,
    /// Hosts that links may lead to.
    hosts: Hosts,
    /// Whether e-mail, whose candidates are found otherwise, is among them.
    has_mail: bool,
    /// Whether lines are counted.
    has_lines: bool,
}

/// Hosts that links and images may lead to: `example.com`, `*.example.com`. In lower case.
///
/// Without any, addresses that carry data count; with some, whatever leads elsewhere does too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Box<[Box<str>]>);

/// What is done about a detector's findings.
#[derive(Debug, Clone, Copy)]
struct Rule {
    detector: Detector,
    action: Action,
}

/// One text under the screen. `push` what arrives; what may leave is appended to `out`.
#[derive(Debug)]
pub struct Machine {
    screen: Screen,
    state: State,
    held: String,
    /// What was told is listened for first, so that no detector is cut off by it.
    listening: Option<Box<Listening>>,
}

impl Screen {
    /// A screen with these rules. Of two rules for one detector the stricter counts.
    pub fn new(rules: &[(Detector, Action)]) -> Self {
        Self::with_hosts(rules, Hosts::default())
    }

    /// A screen with these rules, and hosts that links may lead to.
    pub fn with_hosts(rules: &[(Detector, Action)], hosts: Hosts) -> Self {
        let mut rules: Vec<Rule> =
            rules.iter().map(|(detector, action)| Rule { detector: *detector, action: *action }).collect();
        rules.sort_by_key(|rule| (std::cmp::Reverse(rule.action), rule.detector));
        let mut known = 0_u64;
        rules.retain(|rule| {
            let is_new = known & rule.detector.bit() == 0;
            known |= rule.detector.bit();
            is_new
        });
        if rules.is_empty() {
            return Self::off();
        }
        rules.iter().for_each(|rule| rule.detector.prepare());
        let lanes = Lanes::new(rules.iter().map(|rule| rule.detector));
        let has_mail = known & Detector::Email.bit() != 0;
        let has_lines = known & Detector::InsecureCode.bit() != 0;
        Self(Some(Arc::new(Rules { rules: rules.into(), lanes, hosts, has_mail, has_lines })), Told::NOTHING)
    }

    /// The screen that lets everything pass unread.
    pub const fn off() -> Self {
        Self(None, Told::NOTHING)
    }

    /// The same for what a model says that was told a text it may not repeat.
    #[must_use]
    pub fn with_leak(mut self, leak: Arc<Leak>) -> Self {
        self.1.leak = Some(leak);
        self
    }

    /// The same for what a model says that was shown text behind this fence.
    #[must_use]
    pub fn with_fence(mut self, fence: Fence) -> Self {
        self.1.fence = Some(fence);
        self
    }

    /// A screen with all detectors of the groups that are on.
    pub fn from_groups(groups: &Groups) -> Self {
        Self::from_parts(groups, &[], Hosts::default())
    }

    /// A screen with all detectors of the groups that are on but for these, and hosts that links may lead to.
    pub fn from_parts(groups: &Groups, except: &[Detector], hosts: Hosts) -> Self {
        let rules: Vec<(Detector, Action)> = Detector::ALL
            .into_iter()
            .filter(|detector| !except.contains(detector))
            .filter_map(|detector| Some((detector, groups.action(detector.group())?)))
            .collect();
        Self::with_hosts(&rules, hosts)
    }

    /// Whether no detector is on and nothing was told: the text need not be read at all.
    pub fn is_off(&self) -> bool {
        self.0.is_none() && self.1.is_nothing()
    }

    /// What is on, in the order in which it is asked.
    pub fn rules(&self) -> impl Iterator<Item = (Detector, Action)> {
        self.0.iter().flat_map(|rules| rules.rules.iter().map(|rule| (rule.detector, rule.action)))
    }

    /// Whether any detector finds anything in `text`, taken as a whole. The same answer as a [`Machine`] would give,
    /// without copying anything.
    pub fn finds(&self, text: &str) -> bool {
        self.hears(text) || self.detects(text)
    }

    /// Whether `text` says what was told.
    fn hears(&self, text: &str) -> bool {
        let Some(mut listening) = Listening::new(&self.1) else { return false };
        let mut left = String::with_capacity(text.len());
        listening.push(text, &mut left);
        listening.finish(&mut left);
        left != text || !listening.take_findings().is_empty()
    }

    /// Whether a detector finds anything.
    fn detects(&self, text: &str) -> bool {
        let Some(rules) = &self.0 else { return false };
        let bytes = text.as_bytes();
        let mut candidates = Candidates::new(&rules.lanes, rules.has_mail, bytes, true, b'\n');
        let mut at = 0_usize;
        let mut mail_from = 0;
        loop {
            let Some((start, set)) = candidates.next(at, mail_from, None) else { return false };
            let before = start.checked_sub(1).and_then(|index| bytes.get(index)).copied().unwrap_or(b'\n');
            let cursor = Cursor::new(bytes.get(start..).unwrap_or_default(), before, true);
            for detector in Detector::of_set(set) {
                if let Ok(Some(found)) = detector.probe(cursor.clone())
                    && rules.hosts.counts(&found, bytes.get(start..).unwrap_or_default())
                {
                    return true;
                }
            }
            if set & Detector::Email.bit() != 0 {
                mail_from = bytes
                    .get(start..)
                    .and_then(|rest| memchr::memchr(b'@', rest))
                    .map_or(bytes.len(), |index| start + index + 1);
            }
            at = start + 1;
        }
    }

    /// Starts a text.
    pub fn machine(&self) -> Machine {
        let listening = Listening::new(&self.1).map(Box::new);
        Machine { screen: self.clone(), state: State::default(), held: String::new(), listening }
    }
}

impl Hosts {
    /// These hosts.
    pub fn new(hosts: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self(hosts.into_iter().map(Into::into).collect())
    }

    /// Whether `found`, which starts with `text`, counts: other matches than of addresses always do.
    fn counts(&self, found: &Match, text: &[u8]) -> bool {
        let is_elsewhere = found.label == ELSEWHERE;
        if self.0.is_empty() || !(is_elsewhere || found.label == DATA) {
            return !is_elsewhere;
        }
        let name = host(text.get(..found.len).unwrap_or_default()).to_ascii_lowercase();
        !self.0.iter().any(|listed| match listed.strip_prefix('*') {
            Some(end) => name.ends_with(end.as_bytes()),
            None => name == listed.as_bytes(),
        })
    }
}

impl Machine {
    /// Takes the next piece of the text and appends to `out` what can no longer be part of a match, redactions
    /// applied. After a block nothing leaves any more.
    pub fn push(&mut self, text: &str, out: &mut String) {
        if self.is_blocked() {
            return;
        }
        let Some(listening) = &mut self.listening else { return self.walk(text, out) };
        let mut heard = String::with_capacity(text.len());
        listening.push(text, &mut heard);
        self.walk(&heard, out);
    }

    fn walk(&mut self, text: &str, out: &mut String) {
        let Some(rules) = &self.screen.0 else {
            out.push_str(text);
            return;
        };
        if self.held.is_empty() {
            let kept = self.state.walk(rules, text, false, out);
            self.held.push_str(text.get(kept..).unwrap_or_default());
        } else {
            self.held.push_str(text);
            let kept = self.state.walk(rules, &self.held, false, out);
            self.held.drain(..kept);
        }
    }

    /// The text is over: appends what was held back, redactions applied.
    pub fn finish(&mut self, out: &mut String) {
        if let Some(listening) = &mut self.listening
            && !listening.is_blocked()
        {
            let mut heard = String::new();
            listening.finish(&mut heard);
            if !self.state.is_blocked {
                self.walk(&heard, out);
            }
        }
        if let Some(rules) = &self.screen.0
            && !self.held.is_empty()
            && !self.is_blocked()
        {
            self.state.walk(rules, &self.held, true, out);
        }
        self.held.clear();
    }

    /// Bytes of text held back at the moment.
    pub fn held(&self) -> usize {
        self.held.len() + self.listening.as_ref().map_or(0, |listening| listening.held())
    }

    /// Whether a finding with [`Action::Block`] ended the text.
    pub fn is_blocked(&self) -> bool {
        self.state.is_blocked || self.listening.as_ref().is_some_and(|listening| listening.is_blocked())
    }

    /// Findings since the last call; `at` is left empty for the caller to fill.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.state.findings);
        if let Some(listening) = &mut self.listening {
            findings.extend(listening.take_findings());
        }
        findings
    }
}

#[cfg(test)]
pub(crate) mod tests;
