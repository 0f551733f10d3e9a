//! A text that a client joins from deltas, through one machine.

use portcullis_core::record::Finding;

use super::escape::{Inside, Unescape};
use super::text::{Form, keep};
use super::{Machine, Screen};

/// A text that only grows by deltas.
#[derive(Debug)]
pub(crate) struct Deltas {
    /// Where findings are said to be.
    at: String,
    machine: Machine,
    /// Only for JSON that travels as text.
    unescape: Option<Unescape>,
    inside: Inside,
    /// What came and has not left yet, as long as what left is what came.
    ahead: String,
    is_changed: bool,
    is_over: bool,
    /// Findings so far.
    found: usize,
}

/// What became of one piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// What may leave is what came.
    pub(crate) is_same: bool,
    /// And nothing was or is held back.
    pub(crate) is_quiet: bool,
    pub(crate) is_blocked: bool,
}

impl Deltas {
    /// Starts a text; `at` is where findings are said to be.
    pub(crate) fn new(screen: &Screen, form: Form, at: String) -> Self {
        let unescape = (form == Form::Json).then(Unescape::default);
        let machine = screen.machine_for(form);
        let (inside, ahead) = (Inside::default(), String::new());
        Self { at, machine, unescape, inside, ahead, is_changed: false, is_over: false, found: 0 }
    }

    /// Takes a piece and appends to `released` what may leave.
    pub(crate) fn push(&mut self, piece: &str, released: &mut String, findings: &mut Vec<Finding>) -> Passed {
        let start = released.len();
        let was_held = self.held();
        let is_untouched = match &mut self.unescape {
            None => {
                self.machine.push(piece, released);
                false
            }
            Some(unescape) => {
                let (mut seen, mut left) = (String::with_capacity(piece.len()), String::new());
                unescape.push(piece, &mut seen);
                self.machine.push(&seen, &mut left);
                let is_quoted = self.inside.write(&left, released);
                seen == left && !is_quoted
            }
        };
        let is_silent = was_held == 0 && self.held() == 0;
        let is_same = (is_untouched && is_silent) || released.get(start..) == Some(piece);
        if !(self.is_changed || is_same && self.ahead.is_empty()) {
            self.ahead.push_str(piece);
            self.compare(released.get(start..).unwrap_or_default());
        }
        let is_blocked = self.note(findings);
        Passed { is_same: is_same && !is_blocked, is_quiet: is_same && is_silent && !is_blocked, is_blocked }
    }

    /// The text is over: appends what was held back, once. Returns whether that was blocked.
    pub(crate) fn finish(&mut self, released: &mut String, findings: &mut Vec<Finding>) -> bool {
        if std::mem::replace(&mut self.is_over, true) {
            return false;
        }
        let start = released.len();
        match &mut self.unescape {
            None => self.machine.finish(released),
            Some(unescape) => {
                let (mut seen, mut left) = (String::new(), String::new());
                unescape.finish(&mut seen);
                self.machine.push(&seen, &mut left);
                if !self.machine.is_blocked() {
                    self.machine.finish(&mut left);
                }
                self.inside.write(&left, released);
            }
        }
        self.compare(released.get(start..).unwrap_or_default());
        self.is_changed |= !self.ahead.is_empty();
        self.note(findings)
    }

    /// Takes what leaves next: is it what came?
    fn compare(&mut self, left: &str) {
        match self.ahead.strip_prefix(left) {
            _ if self.is_changed => {}
            Some(ahead) => self.ahead = ahead.to_owned(),
            None => self.is_changed = true,
        }
    }

    /// Whether what left so far is something else than what came; escapes of JSON may be written otherwise.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// How much was found so far.
    pub(crate) fn found(&self) -> usize {
        self.found
    }

    fn held(&self) -> usize {
        self.machine.held() + self.unescape.as_ref().map_or(0, Unescape::held)
    }

    fn note(&mut self, findings: &mut Vec<Finding>) -> bool {
        let found = self.machine.take_findings();
        self.found += found.len();
        keep(found, findings, || self.at.clone());
        self.machine.is_blocked()
    }
}
