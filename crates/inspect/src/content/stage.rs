//! One text under an operator's rules.

use portcullis_core::record::{Action, Finding, Severity};
use regex_automata::util::primitives::StateID;

use super::topic::Found;
use super::watch::Heard;
use super::{AWAITED, Content, Kind, Rule};
use crate::judge::{Verdict, judge};
use crate::machine::Form;

/// What stands in the place of what a rule takes out.
const REMOVED: &str = "[removed]";
/// Most findings that one text reports.
const MOST: usize = 64;

/// One text on its way.
#[derive(Debug)]
pub(crate) struct Stage {
    content: Content,
    form: Form,
    /// Text from the first place on where more text decides.
    held: String,
    /// The sign before it.
    before: Option<char>,
    /// Observed occurrences that are still passing: nothing more is said of a rule before its place, in `held`.
    busy: Vec<(usize, usize)>,
    watches: Vec<(usize, Watch)>,
    /// All of the text, where a rule awaits its end.
    awaited: Option<String>,
    is_blocked: bool,
    findings: Vec<Finding>,
}

/// What one rule about the whole knows so far.
#[derive(Debug)]
enum Watch {
    Ending(StateID, bool),
    Languages(Heard, bool),
    /// Characters that may still pass.
    Length(usize, bool),
    Schema(String),
}

enum Step {
    Pass,
    Hold,
    Remove(usize),
    Block,
}

impl Stage {
    pub(crate) fn new(content: &Content, form: Form) -> Self {
        let is_prose = form == Form::Prose;
        let applies = |rule: &Rule| is_prose || !rule.kind.is_of_prose();
        let watches =
            content.rules().iter().enumerate().filter(|(_, rule)| applies(rule)).filter_map(|(nth, rule)| {
                let watch = match &rule.kind {
                    Kind::Ending(phrase) => Watch::Ending(phrase.begin(), false),
                    Kind::Languages(_) => Watch::Languages(Heard::default(), false),
                    Kind::Length(most) => Watch::Length(*most, false),
                    Kind::Schema { awaits: false, .. } => Watch::Schema(String::new()),
                    Kind::Topic(_) | Kind::Phrase(_) | Kind::Awaited(_) | Kind::Schema { .. } => return None,
                };
                Some((nth, watch))
            });
        let watches = watches.collect();
        let awaits = |rule: &Rule| {
            matches!(rule.kind, Kind::Awaited(_))
                || (is_prose && matches!(rule.kind, Kind::Schema { awaits: true, .. }))
        };
        let awaited = content.rules().iter().any(awaits).then(String::new);
        Self {
            content: content.clone(),
            form,
            held: String::new(),
            before: None,
            busy: Vec::new(),
            watches,
            awaited,
            is_blocked: false,
            findings: Vec::new(),
        }
    }

    /// Takes the next piece and appends what may leave.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        self.held.push_str(piece);
        self.pass(false, out);
    }

    /// The text is over.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.pass(true, out);
        if self.is_blocked {
            return;
        }
        self.end_watches();
        if let Some(text) = self.awaited.take().filter(|_| !self.is_blocked) {
            self.judge_whole(text, out);
        }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len() + self.awaited.as_ref().map_or(0, String::len)
    }

    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Rules about single places, over what is held.
    fn pass(&mut self, is_whole: bool, out: &mut String) {
        if self.is_blocked {
            return;
        }
        let text = std::mem::take(&mut self.held);
        let (mut sent, mut at, mut before) = (0, 0, self.before);
        let kept = loop {
            let rest = text.get(at..).unwrap_or_default();
            let Some(sign) = rest.chars().next() else { break text.len() };
            match self.ask(before, rest, at, is_whole) {
                Step::Pass => {
                    at += sign.len_utf8();
                    before = Some(sign);
                }
                Step::Hold => break at,
                Step::Remove(length) => {
                    self.leave(text.get(sent..at).unwrap_or_default(), out);
                    self.leave(REMOVED, out);
                    before = text.get(..at + length).and_then(|text| text.chars().next_back()).or(before);
                    at += length;
                    sent = at;
                }
                Step::Block => {
                    self.leave(text.get(sent..at).unwrap_or_default(), out);
                    self.is_blocked = true;
                    self.awaited = None;
                    return;
                }
            }
        };
        self.leave(text.get(sent..kept).unwrap_or_default(), out);
        text.get(kept..).unwrap_or_default().clone_into(&mut self.held);
        self.before = before;
        self.busy.retain_mut(|(_, until)| {
            *until = until.saturating_sub(kept);
            *until > 0
        });
    }

    fn ask(&mut self, before: Option<char>, rest: &str, at: usize, is_whole: bool) -> Step {
        let content = self.content.clone();
        for (nth, rule) in content.rules().iter().enumerate() {
            if self.busy.iter().any(|(busy, until)| *busy == nth && *until > at) {
                continue;
            }
            let found = match &rule.kind {
                Kind::Topic(topic) => topic.probe(before, rest, is_whole),
                Kind::Phrase(phrase) => phrase.probe(rest, is_whole),
                _ => continue,
            };
            let length = match found {
                Found::No => continue,
                Found::More => return Step::Hold,
                Found::Yes(length) => length,
            };
            match self.report(rule, "") {
                Verdict::Pass => {
                    self.busy.retain(|(busy, _)| *busy != nth);
                    self.busy.push((nth, at + length));
                }
                Verdict::Redact => return Step::Remove(length),
                Verdict::Block => return Step::Block,
            }
        }
        Step::Pass
    }

    /// Text that no rule about a place holds: those about the whole see it.
    fn leave(&mut self, text: &str, out: &mut String) {
        if text.is_empty() || self.is_blocked {
            return;
        }
        let content = self.content.clone();
        let mut watches = std::mem::take(&mut self.watches);
        let mut end = text.len();
        for (nth, watch) in &mut watches {
            let Some(rule) = content.rules().get(*nth) else { continue };
            let text = text.get(..end).unwrap_or_default();
            end = end.min(self.watch(rule, watch, text));
        }
        self.watches = watches;
        let text = text.get(..end).unwrap_or_default();
        match &mut self.awaited {
            None => out.push_str(text),
            Some(awaited) if awaited.len() + text.len() <= AWAITED => awaited.push_str(text),
            // Nobody can say what is in a text that is not read to its end.
            Some(_) => {
                self.is_blocked = true;
                self.awaited = None;
            }
        }
    }

    /// Shows `text` to a rule about the whole; how much of it may leave.
    fn watch(&mut self, rule: &Rule, watch: &mut Watch, text: &str) -> usize {
        let verdict = match (watch, &rule.kind) {
            (Watch::Ending(state, is_found @ false), Kind::Ending(phrase)) => {
                if !phrase.follow(state, text) {
                    return text.len();
                }
                *is_found = true;
                self.report(rule, "")
            }
            (Watch::Languages(heard, is_found @ false), Kind::Languages(languages)) => {
                let Some(other) = languages.hear(heard, text) else { return text.len() };
                *is_found = true;
                self.report(rule, other)
            }
            (Watch::Length(left, is_found), Kind::Length(_)) => {
                let Some((end, _)) = text.char_indices().nth(*left) else {
                    *left -= text.chars().count();
                    return text.len();
                };
                *left = 0;
                if *is_found && rule.action == Action::Observe {
                    return text.len();
                }
                let verdict = if *is_found { Verdict::Redact } else { self.report(rule, "") };
                *is_found = true;
                self.is_blocked |= verdict == Verdict::Block;
                return if verdict == Verdict::Pass { text.len() } else { end };
            }
            (Watch::Schema(seen), _) => {
                if seen.len() <= AWAITED {
                    seen.push_str(text);
                }
                return text.len();
            }
            _ => return text.len(),
        };
        // Where it stood is not known: nothing of this piece leaves.
        self.is_blocked |= verdict != Verdict::Pass;
        if verdict == Verdict::Pass { text.len() } else { 0 }
    }

    fn end_watches(&mut self) {
        let content = self.content.clone();
        for (nth, watch) in std::mem::take(&mut self.watches) {
            let Some(rule) = content.rules().get(nth) else { continue };
            let (is_found, what) = match (&watch, &rule.kind) {
                (Watch::Ending(state, false), Kind::Ending(phrase)) => (phrase.ends(*state), ""),
                (Watch::Languages(heard, false), Kind::Languages(languages)) => {
                    languages.end(heard).map_or((false, ""), |other| (true, other))
                }
                (Watch::Schema(seen), Kind::Schema { shape, .. }) => {
                    (!seen.is_empty() && !shape.fits(seen), "")
                }
                _ => (false, ""),
            };
            if is_found {
                self.is_blocked |= self.report(rule, what) != Verdict::Pass;
            }
        }
    }

    /// Rules that awaited the whole text.
    fn judge_whole(&mut self, mut text: String, out: &mut String) {
        let content = self.content.clone();
        for rule in content.rules() {
            match &rule.kind {
                Kind::Awaited(phrase) => {
                    let places: Vec<_> = phrase.all(&text).collect();
                    let mut verdict = Verdict::Pass;
                    for _ in &places {
                        verdict = verdict.max(self.report(rule, ""));
                    }
                    match verdict {
                        Verdict::Pass => {}
                        Verdict::Redact => {
                            places.into_iter().rev().for_each(|place| text.replace_range(place, REMOVED));
                        }
                        Verdict::Block => self.is_blocked = true,
                    }
                }
                Kind::Schema { shape, awaits: true }
                    if self.form == Form::Prose && !text.is_empty() && !shape.fits(&text) =>
                {
                    self.is_blocked |= self.report(rule, "") != Verdict::Pass;
                }
                _ => {}
            }
            if self.is_blocked {
                return;
            }
        }
        out.push_str(&text);
    }

    fn report(&mut self, rule: &Rule, what: &str) -> Verdict {
        let between = if what.is_empty() { "" } else { ": " };
        let finding = Finding {
            detector: rule.kind.id(),
            at: String::new(),
            severity: Severity::Medium,
            action: rule.action,
            evidence: [&*rule.name, between, what].concat(),
        };
        let verdict = judge(std::slice::from_ref(&finding));
        if self.findings.len() < MOST || verdict == Verdict::Block {
            self.findings.push(finding);
        }
        verdict
    }
}
