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

mod allow;
mod fields;
mod lanes;
mod state;

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_core::guard::{Guard, GuardSet};
use portcullis_core::record::{Action, Finding};

pub use self::allow::{Allow, NotAllowable};
use self::fields::Fields;
use self::lanes::{Candidates, Lanes};
use self::state::State;
use crate::content::{self, Content};
use crate::coverage;
use crate::detect::cursor::Cursor;
use crate::detect::{DATA, Detector, ELSEWHERE, Groups, Match, host};
use crate::tokens::{Stage, Tokens, Way};
use crate::told::{Fence, Leak, Listening, Told};
use crate::vault::Vault;

/// A compiled set of detectors, each with what is done about its findings; for answers of a model also what it was
/// told and may not say. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    rules: Option<Arc<Rules>>,
    /// What a model was told and may not say.
    told: Told,
    /// Of one request.
    tokens: Option<Tokens>,
}

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is read.
    Plain,
    /// The same, and a message by itself: rules about whole texts count.
    Prose,
    /// JSON inside a string: a detector must see the characters that its escapes stand for.
    Json,
}

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
    /// The guards that they are.
    guards: GuardSet,
    /// What is no finding.
    allow: Allow,
    /// What the operator says of content.
    content: Content,
    /// Where something else is looked for.
    fields: Fields,
}

/// All that a screen is compiled from.
#[derive(Debug, Default)]
pub struct Parts {
    /// Detectors, each with what is done about its findings. Of two rules for one detector the stricter counts.
    pub rules: Vec<(Detector, Action)>,
    /// Hosts that links may lead to.
    pub hosts: Hosts,
    /// Values that are no finding.
    pub allow: Allow,
    /// Rules about content.
    pub content: Content,
    /// Fields with a screen of their own: JSON pointers with `*` for any element.
    pub fields: Vec<(Box<str>, Screen)>,
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
    rules: Option<Arc<Rules>>,
    state: State,
    held: String,
    /// What was told is listened for first, so that no detector is cut off by it.
    listening: Option<Box<Listening>>,
    /// What the detectors let go on passes through here, and what that lets go on through the next.
    content: Option<content::Stage>,
    read: String,
    tokens: Option<Stage>,
    passed: String,
}

impl Screen {
    /// A screen with these rules. Of two rules for one detector the stricter counts.
    pub fn new(rules: &[(Detector, Action)]) -> Self {
        Self::with_hosts(rules, Hosts::default())
    }

    /// A screen with these rules, and hosts that links may lead to.
    pub fn with_hosts(rules: &[(Detector, Action)], hosts: Hosts) -> Self {
        Self::compile(Parts { rules: rules.to_vec(), hosts, ..Parts::default() })
    }

    /// A screen of these parts.
    pub fn compile(parts: Parts) -> Self {
        let Parts { rules, hosts, allow, content, fields } = parts;
        let mut rules: Vec<Rule> =
            rules.into_iter().map(|(detector, action)| Rule { detector, action }).collect();
        rules.sort_by_key(|rule| (std::cmp::Reverse(rule.action), rule.detector));
        let mut known = 0_u64;
        rules.retain(|rule| {
            let is_new = known & rule.detector.bit() == 0;
            known |= rule.detector.bit();
            is_new
        });
        if rules.is_empty() && content.is_empty() && fields.is_empty() {
            return Self::off();
        }
        rules.iter().for_each(|rule| rule.detector.prepare());
        let lanes = Lanes::new(rules.iter().map(|rule| rule.detector));
        let has_mail = known & Detector::Email.bit() != 0;
        let has_lines = known & Detector::InsecureCode.bit() != 0;
        let own: GuardSet = rules.iter().map(|rule| coverage::guard(rule.detector.group())).collect();
        let of_fields = fields.iter().map(|(_, screen)| screen.guards());
        let guards = of_fields.fold(own, GuardSet::and).with_if(Guard::Rules, !content.is_empty());
        let (rules, fields) = (rules.into(), Fields::new(fields));
        let rules = Rules { rules, lanes, hosts, has_mail, has_lines, allow, content, fields, guards };
        Self { rules: Some(Arc::new(rules)), ..Self::off() }
    }

    /// The screen that lets everything pass unread.
    pub const fn off() -> Self {
        Self { rules: None, told: Told::NOTHING, tokens: None }
    }

    /// The same for what a model says that was told a text it may not repeat.
    #[must_use]
    pub fn with_leak(mut self, leak: Arc<Leak>) -> Self {
        self.told.leak = Some(leak);
        self
    }

    /// The same for what a model says that was shown text behind this fence.
    #[must_use]
    pub fn with_fence(mut self, fence: Fence) -> Self {
        self.told.fence = Some(fence);
        self
    }

    /// A screen with all detectors of the groups that are on.
    pub fn from_groups(groups: &Groups) -> Self {
        Self::from_parts(groups, &[], Hosts::default())
    }

    /// A screen with all detectors of the groups that are on but for these, and hosts that links may lead to.
    pub fn from_parts(groups: &Groups, except: &[Detector], hosts: Hosts) -> Self {
        Self::compile(Parts { rules: groups.rules(except), hosts, ..Parts::default() })
    }

    /// The length of the placeholder that `text` begins with, if it does.
    pub(crate) fn placeholder(text: &str) -> Option<usize> {
        let name = text.strip_prefix('[')?;
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        let mut placeholders = Detector::ALL.iter().map(|detector| detector.placeholder());
        placeholders.find(|placeholder| text.starts_with(placeholder)).map(str::len)
    }

    /// Whether no detector is on and nothing was told: the text need not be read at all.
    pub fn is_off(&self) -> bool {
        self.rules.is_none() && self.told.is_nothing() && self.tokens.is_none()
    }

    /// The same for a text on its way to a model: what is to be tokenised is, and `vault` knows what for.
    pub fn tokenising(&self, vault: &Arc<Vault>) -> Self {
        Self { tokens: Some(Tokens { vault: Arc::clone(vault), way: Way::Out }), ..self.clone() }
    }

    /// The same for what the model answers: tokens that `vault` knows become what they stand for.
    pub fn restoring(&self, vault: &Arc<Vault>) -> Self {
        let tokens = Tokens { vault: Arc::clone(vault), way: Way::Home };
        Self { tokens: (!vault.is_empty()).then_some(tokens), ..self.clone() }
    }

    /// The guards that its detectors are.
    pub fn guards(&self) -> GuardSet {
        let own = self.rules.as_ref().map_or(GuardSet::NONE, |rules| rules.guards);
        own.with_if(Guard::Leak, self.told.leak.is_some())
    }

    /// What is done where the operator's text is heard; `None` where nobody listens for it.
    pub fn leak(&self) -> Option<Action> {
        self.told.leak.as_ref().map(|leak| leak.action())
    }

    /// What is on, in the order in which it is asked.
    pub fn rules(&self) -> impl Iterator<Item = (Detector, Action)> {
        self.rules.iter().flat_map(|rules| rules.rules.iter().map(|rule| (rule.detector, rule.action)))
    }

    /// Whether some fields have a screen of their own.
    pub(crate) fn has_fields(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| !rules.fields.is_empty())
    }

    /// The screen for what stands at a place, a JSON pointer, which may have `*` for elements.
    pub(crate) fn at<P: AsRef<str>>(&self, pointer: impl FnOnce() -> P) -> Cow<'_, Self> {
        let Some(rules) = self.rules.as_ref().filter(|rules| !rules.fields.is_empty()) else {
            return Cow::Borrowed(self);
        };
        match rules.fields.at(pointer().as_ref()) {
            Some(own) => Cow::Owned(Self { rules: own.rules.clone(), ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }

    /// Whether any detector finds anything in `text`, taken as a whole. The same answer as a [`Machine`] would give,
    /// without copying anything.
    pub fn finds(&self, text: &str) -> bool {
        if self.tokens.as_ref().is_some_and(|tokens| tokens.changes(text)) {
            return true;
        }
        self.hears(text) || self.detects(text)
    }

    /// Whether `text` says what was told.
    fn hears(&self, text: &str) -> bool {
        let Some(mut listening) = Listening::new(&self.told) else { return false };
        let mut left = String::with_capacity(text.len());
        listening.push(text, &mut left);
        listening.finish(&mut left);
        left != text || !listening.take_findings().is_empty()
    }

    /// Whether a detector finds anything, or a rule about content may.
    fn detects(&self, text: &str) -> bool {
        let Some(rules) = &self.rules else { return false };
        if !rules.content.is_empty() {
            // What is to be found there only a machine says.
            return true;
        }
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
                    && !self.is_token(text, start + found.skip)
                    && !rules.admits(detector, text, start, &found)
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
        self.machine_for(Form::Plain)
    }

    /// Starts a text that is written so.
    pub(crate) fn machine_for(&self, form: Form) -> Machine {
        Machine {
            rules: self.rules.clone(),
            state: State::new(self.tokens.clone(), form),
            held: String::new(),
            listening: Listening::new(&self.told).map(Box::new),
            content: self.content().map(|content| content::Stage::new(content, form)),
            read: String::new(),
            tokens: self.tokens.as_ref().map(|tokens| tokens.stage(form)),
            passed: String::new(),
        }
    }

    fn content(&self) -> Option<&Content> {
        self.rules.as_ref().map(|rules| &rules.content).filter(|content| !content.is_empty())
    }

    /// Whether a token of this request stands at `place`: the gate's own are not personal data.
    fn is_token(&self, text: &str, place: usize) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| text.get(place..).is_some_and(|text| tokens.starts(text)))
    }
}

impl Rules {
    /// Whether the operator says that what was found is none.
    fn admits(&self, detector: Detector, text: &str, start: usize, found: &Match) -> bool {
        self.allow.admits(detector, text.get(start + found.skip..start + found.len).unwrap_or_default())
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
        let Some(mut tokens) = self.tokens.take() else { return self.hear(text, out) };
        let mut passed = std::mem::take(&mut self.passed);
        self.hear(text, &mut passed);
        tokens.push(&passed, out);
        passed.clear();
        (self.tokens, self.passed) = (Some(tokens), passed);
    }

    /// The text is over: appends what was held back, redactions applied.
    pub fn finish(&mut self, out: &mut String) {
        let Some(mut tokens) = self.tokens.take() else { return self.hear_rest(out) };
        let mut passed = std::mem::take(&mut self.passed);
        self.hear_rest(&mut passed);
        tokens.push(&passed, out);
        if !self.is_blocked() {
            tokens.finish(out);
        }
        passed.clear();
        (self.tokens, self.passed) = (Some(tokens), passed);
    }

    /// What was told, then all that is looked for.
    fn hear(&mut self, text: &str, out: &mut String) {
        if self.is_blocked() {
            return;
        }
        let Some(listening) = &mut self.listening else { return self.read(text, out) };
        let mut heard = String::with_capacity(text.len());
        listening.push(text, &mut heard);
        self.read(&heard, out);
    }

    fn hear_rest(&mut self, out: &mut String) {
        let mut heard = String::new();
        if let Some(listening) = self.listening.as_mut().filter(|listening| !listening.is_blocked()) {
            listening.finish(&mut heard);
        }
        if !heard.is_empty() {
            self.read(&heard, out);
        }
        if !self.listening.as_ref().is_some_and(|listening| listening.is_blocked()) {
            self.read_rest(out);
        }
    }

    /// Detectors, then rules about content.
    fn read(&mut self, text: &str, out: &mut String) {
        let Some(mut content) = self.content.take() else { return self.detect(text, out) };
        let mut read = std::mem::take(&mut self.read);
        if !content.is_blocked() {
            self.detect(text, &mut read);
            content.push(&read, out);
        }
        read.clear();
        (self.content, self.read) = (Some(content), read);
    }

    fn read_rest(&mut self, out: &mut String) {
        let Some(mut content) = self.content.take() else { return self.detect_rest(out) };
        let mut read = std::mem::take(&mut self.read);
        if !content.is_blocked() {
            self.detect_rest(&mut read);
            content.push(&read, out);
            if !self.state.is_blocked {
                content.finish(out);
            }
        }
        read.clear();
        (self.content, self.read) = (Some(content), read);
    }

    fn detect(&mut self, text: &str, out: &mut String) {
        if self.state.is_blocked {
            return;
        }
        let Some(rules) = &self.rules else {
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

    fn detect_rest(&mut self, out: &mut String) {
        if let Some(rules) = &self.rules
            && !self.held.is_empty()
            && !self.is_blocked()
        {
            self.state.walk(rules, &self.held, true, out);
        }
        self.held.clear();
    }

    /// Bytes of text held back at the moment.
    pub fn held(&self) -> usize {
        let of_told = self.listening.as_ref().map_or(0, |listening| listening.held());
        let of_content = self.content.as_ref().map_or(0, content::Stage::held);
        self.held.len() + of_told + of_content + self.tokens.as_ref().map_or(0, Stage::held)
    }

    /// Whether a finding with [`Action::Block`] ended the text.
    pub fn is_blocked(&self) -> bool {
        self.state.is_blocked
            || self.listening.as_ref().is_some_and(|listening| listening.is_blocked())
            || self.content.as_ref().is_some_and(content::Stage::is_blocked)
    }

    /// Findings since the last call; `at` is left empty for the caller to fill.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.state.findings);
        if let Some(listening) = &mut self.listening {
            findings.extend(listening.take_findings());
        }
        findings.extend(self.content.iter_mut().flat_map(content::Stage::take_findings));
        findings
    }
}

#[cfg(test)]
pub(crate) mod tests;
