//! What a machine remembers of a text between its pieces, and the walk over one piece.

use portcullis_core::record::{Action, Finding};

use super::lanes::Candidates;
use super::{Form, Rule, Rules};
use crate::detect::cursor::Cursor;
use crate::detect::{Detector, Fence, Match, Tail, is_of, is_token, mask, skip_body};
use crate::dialect::escape::meant;
use crate::judge::{Verdict, judge};
use crate::tokens::Tokens;

/// Most findings that one text reports; more of the same only fill the record.
const MOST_FINDINGS: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    /// The byte before the text at hand; a line feed at the start.
    prev: u8,
    /// Detectors that have nothing more to say before a place of the text at hand; mostly none.
    busy: Vec<(Detector, usize)>,
    /// Matches that begin behind the words that gave them away, each with its place in the text at hand.
    due: Vec<(usize, Detector, Match)>,
    /// Line ends before the text at hand.
    lines: usize,
    /// The block of code around the text before `fenced`, a place of the text at hand.
    fence: Fence,
    fenced: usize,
    /// What is being dropped.
    tail: Tail,
    pub(super) is_blocked: bool,
    pub(super) findings: Vec<Finding>,
    reported: usize,
    worst: Verdict,
    tokens: Option<Tokens>,
    form: Form,
}

/// What to do at a candidate.
enum Step {
    /// Nothing starts here, or nothing that stops the text.
    Pass,
    /// More text is needed.
    Hold,
    /// Replace so much by what the rule says, and drop the tail.
    Replace(Rule, Match),
    /// End the text.
    Block,
}

impl State {
    /// Of a text that begins.
    pub(super) fn new(tokens: Option<Tokens>, form: Form) -> Self {
        Self {
            prev: b'\n',
            busy: Vec::new(),
            due: Vec::new(),
            lines: 0,
            fence: Fence::default(),
            fenced: 0,
            tail: Tail::None,
            is_blocked: false,
            findings: Vec::new(),
            reported: 0,
            worst: Verdict::Pass,
            tokens,
            form,
        }
    }

    /// Walks over `text`, all that is not settled yet: appends to `out` what may leave and returns from where on the
    /// text must be kept for the next walk. `is_whole` says that nothing follows.
    pub(super) fn walk(&mut self, rules: &Rules, text: &str, is_whole: bool, out: &mut String) -> usize {
        let bytes = text.as_bytes();
        let mut candidates = Candidates::new(&rules.lanes, rules.has_mail, bytes, is_whole, self.prev);
        // Everything before `sent` has left or was dropped; candidates before `at` were asked.
        let mut sent = match self.drop_tail(bytes, 0, is_whole) {
            Ok(end) => end,
            Err(kept) => return self.keep(rules, bytes, kept),
        };
        let mut at = sent;
        loop {
            let due = self.due_from(at);
            let Some((start, set)) = candidates.next(at, self.busy_until(Detector::Email), due) else {
                out.push_str(text.get(sent..).unwrap_or_default());
                return self.keep(rules, bytes, bytes.len());
            };
            match self.ask(rules, text, start, set, is_whole) {
                Step::Pass => at = start + 1,
                Step::Hold => {
                    out.push_str(text.get(sent..start).unwrap_or_default());
                    return self.keep(rules, bytes, start);
                }
                Step::Replace(rule, found) => {
                    out.push_str(text.get(sent..start).unwrap_or_default());
                    self.replace(rule, text.get(start..start + found.len).unwrap_or_default(), out);
                    self.tail = found.tail;
                    sent = match self.drop_tail(bytes, start + found.len, is_whole) {
                        Ok(end) => end,
                        Err(kept) => return self.keep(rules, bytes, kept),
                    };
                    at = sent;
                }
                Step::Block => {
                    out.push_str(text.get(sent..start).unwrap_or_default());
                    self.is_blocked = true;
                    return bytes.len();
                }
            }
        }
    }

    /// Asks the detectors in `set` about the candidate at `start`, in the order of the rules.
    fn ask(&mut self, rules: &Rules, text: &str, start: usize, set: u64, is_whole: bool) -> Step {
        let bytes = text.as_bytes();
        let before = self.before(bytes, start);
        let rest = bytes.get(start..).unwrap_or_default();
        for rule in &rules.rules {
            let detector = rule.detector;
            let due = self.take_due(start, detector);
            if due.is_none() && (set & detector.bit() == 0 || self.busy_until(detector) > start) {
                continue;
            }
            let Ok(answer) = due
                .map_or_else(|| detector.probe(Cursor::new(rest, before, is_whole)), |found| Ok(Some(found)))
            else {
                return Step::Hold;
            };
            let answer = answer.filter(|found| due.is_some() || rules.hosts.counts(found, rest));
            let answer = answer.filter(|found| {
                detector != Detector::InsecureCode || self.is_spoken(bytes, start, found.label)
            });
            let answer = answer.filter(|found| {
                !self.is_token(text, start + found.skip)
                    && (found.skip > 0 || !rules.admits(detector, text, start, found))
            });
            let Some(found) = answer else {
                if detector == Detector::Email {
                    // The parts of a local part make no address either: go on behind its `@`.
                    let sign = memchr::memchr(b'@', rest).map_or(rest.len(), |index| index + 1);
                    self.set_busy(detector, start + sign);
                }
                continue;
            };
            if found.skip > 0 {
                // What gave the match away may leave, and others may find something in it first.
                let (place, len) = (start + found.skip, found.len - found.skip);
                self.due.push((place, detector, Match { skip: 0, len, ..found }));
                self.set_busy(detector, place + len);
                continue;
            }
            let mut evidence =
                detector.evidence(text.get(start..start + found.len).unwrap_or_default(), found.label);
            if detector == Detector::InsecureCode {
                evidence.push_str(", line ");
                evidence.push_str(&(self.lines + line_ends(bytes.get(..start)) + 1).to_string());
            }
            let finding = Finding {
                detector: detector.id(),
                at: String::new(),
                severity: detector.severity(),
                action: rule.action,
                evidence,
            };
            let verdict = judge(std::slice::from_ref(&finding));
            self.report(finding, verdict);
            match verdict {
                // Other detectors see text that passes as if nothing had been found in it.
                Verdict::Pass => self.set_busy(detector, start + found.len),
                Verdict::Redact => return Step::Replace(*rule, found),
                Verdict::Block => return Step::Block,
            }
        }
        Step::Pass
    }

    /// Appends what stands in the place of `found`.
    fn replace(&self, rule: Rule, found: &str, out: &mut String) {
        let token = |tokens: &Tokens| match self.form {
            Form::Plain | Form::Prose => tokens.vault.found(rule.detector, found),
            Form::Json => tokens.vault.found(rule.detector, &meant(found)),
        };
        match rule.action {
            Action::Mask => mask(rule.detector, found, out),
            Action::Tokenise => {
                let token = self.tokens.as_ref().and_then(token);
                out.push_str(token.as_deref().unwrap_or(rule.detector.placeholder()));
            }
            Action::Observe | Action::Redact | Action::Block => out.push_str(rule.detector.placeholder()),
        }
    }

    /// Whether a token of this request stands at `place`: the gate's own are not personal data.
    fn is_token(&self, text: &str, place: usize) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| text.get(place..).is_some_and(|text| tokens.starts(text)))
    }

    /// Whether a line of code is of the language that its block is fenced as, if the block says so.
    fn is_spoken(&mut self, bytes: &[u8], start: usize, label: &str) -> bool {
        self.read_fence(bytes, start);
        self.fence.language().is_none_or(|language| is_of(language, label))
    }

    fn read_fence(&mut self, bytes: &[u8], to: usize) {
        self.fence.read(bytes.get(self.fenced..to).unwrap_or_default());
        self.fenced = self.fenced.max(to);
    }

    /// The next place at or after `at` where a match is due; those that others took the text of are forgotten.
    fn due_from(&mut self, at: usize) -> Option<usize> {
        if self.due.is_empty() {
            return None;
        }
        self.due.retain(|(place, ..)| *place >= at);
        self.due.iter().map(|(place, ..)| *place).min()
    }

    /// The match of `detector` that is due at `start`.
    fn take_due(&mut self, start: usize, detector: Detector) -> Option<Match> {
        let index = self.due.iter().position(|(place, whose, _)| (*place, *whose) == (start, detector))?;
        Some(self.due.swap_remove(index).2)
    }

    /// Drops the tail that starts at `from`. `Ok`: it ends there. `Err`: it goes on, keep what is from there on.
    fn drop_tail(&mut self, bytes: &[u8], from: usize, is_whole: bool) -> Result<usize, usize> {
        let rest = bytes.get(from..).unwrap_or_default();
        let (length, is_over) = match self.tail {
            Tail::None => (0, true),
            Tail::Token => {
                let length = rest.iter().take_while(|byte| is_token(**byte)).count();
                (length, length < rest.len())
            }
            Tail::Key => skip_body(rest, is_whole),
        };
        if is_over {
            self.tail = Tail::None;
            return Ok(from + length);
        }
        Err(from + length)
    }

    /// Remembers what the next walk needs to know of the text before `kept`.
    fn keep(&mut self, rules: &Rules, bytes: &[u8], kept: usize) -> usize {
        if rules.has_lines {
            self.lines += line_ends(bytes.get(..kept));
            self.read_fence(bytes, kept);
            self.fenced -= kept;
        }
        self.prev = self.before(bytes, kept);
        self.busy.retain_mut(|(_, until)| {
            *until = until.saturating_sub(kept);
            *until > 0
        });
        self.due.retain_mut(|(place, ..)| {
            let is_ahead = *place >= kept;
            *place = place.saturating_sub(kept);
            is_ahead
        });
        kept
    }

    fn report(&mut self, finding: Finding, verdict: Verdict) {
        // What decides the verdict on the whole is never left out.
        if self.reported < MOST_FINDINGS || verdict > self.worst {
            self.reported += 1;
            self.findings.push(finding);
        }
        self.worst = self.worst.max(verdict);
    }

    fn before(&self, bytes: &[u8], at: usize) -> u8 {
        at.checked_sub(1).and_then(|index| bytes.get(index)).copied().unwrap_or(self.prev)
    }

    fn busy_until(&self, detector: Detector) -> usize {
        self.busy.iter().find(|(busy, _)| *busy == detector).map_or(0, |(_, until)| *until)
    }

    fn set_busy(&mut self, detector: Detector, place: usize) {
        match self.busy.iter_mut().find(|(busy, _)| *busy == detector) {
            Some((_, until)) => *until = place,
            None => self.busy.push((detector, place)),
        }
    }
}

fn line_ends(bytes: Option<&[u8]>) -> usize {
    memchr::memchr_iter(b'\n', bytes.unwrap_or_default()).count()
}
