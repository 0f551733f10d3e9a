//! A text that a client joins from deltas, through one machine.

use portcullis_core::record::Finding;

use super::escape::{Unescape, escape};
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
        Self { at, machine: screen.machine_for(form), unescape, is_over: false, found: 0 }
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
                escape(&left, released);
                seen == left
            }
        };
        let is_silent = was_held == 0 && self.held() == 0;
        let is_same = (is_untouched && is_silent) || released.get(start..) == Some(piece);
        let is_blocked = self.note(findings);
        Passed { is_same: is_same && !is_blocked, is_quiet: is_same && is_silent && !is_blocked, is_blocked }
    }

    /// The text is over: appends what was held back, once. Returns whether that was blocked.
    pub(crate) fn finish(&mut self, released: &mut String, findings: &mut Vec<Finding>) -> bool {
        if std::mem::replace(&mut self.is_over, true) {
            return false;
        }
        match &mut self.unescape {
            None => self.machine.finish(released),
            Some(unescape) => {
                let (mut seen, mut left) = (String::new(), String::new());
                unescape.finish(&mut seen);
                self.machine.push(&seen, &mut left);
                if !self.machine.is_blocked() {
                    self.machine.finish(&mut left);
                }
                escape(&left, released);
            }
        }
        self.note(findings)
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
