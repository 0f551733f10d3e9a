//! One text of a streamed answer: the deltas that a client joins, through one machine.

use portcullis_core::record::Finding;

use super::super::escape::{Unescape, escape};
use super::super::text::keep;
use super::super::{Machine, Screen};

/// One step from a choice down to a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    /// An element: its place, or what its own `index` says, in which case that is to be repeated.
    Element(u64, bool),
}

/// The texts that only grow by deltas, each under its own machine.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) choice: u32,
    /// `delta.tool_calls.0.function.arguments`.
    pub(super) path: String,
    machine: Machine,
    /// Only for JSON that travels as text.
    unescape: Option<Unescape>,
    /// A choice that carries a text of this channel: what stands before and after it.
    open: String,
    close: String,
    is_over: bool,
}

/// What became of one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    /// What may leave is what came.
    pub(super) is_same: bool,
    /// And nothing was or is held back.
    pub(super) is_quiet: bool,
    pub(super) is_blocked: bool,
}

impl Channel {
    pub(super) fn new(screen: &Screen, choice: u32, path: String, steps: &[Step]) -> Self {
        let is_json = matches!(steps.last(), Some(Step::Member(name)) if name == "arguments");
        let (open, close) = wrapper(choice, steps);
        let unescape = is_json.then(Unescape::default);
        Self { choice, path, machine: screen.machine(), unescape, open, close, is_over: false }
    }

    /// Takes a piece and appends to `released` what may leave.
    pub(super) fn push(&mut self, piece: &str, released: &mut String, findings: &mut Vec<Finding>) -> Passed {
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
    pub(super) fn finish(&mut self, released: &mut String, findings: &mut Vec<Finding>) -> bool {
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

    /// A choice, as JSON, whose only text is `text` in this channel.
    pub(super) fn choice_with(&self, text: &str) -> String {
        let text = serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into());
        [self.open.as_str(), &text, &self.close].concat()
    }

    fn held(&self) -> usize {
        self.machine.held() + self.unescape.as_ref().map_or(0, Unescape::held)
    }

    fn note(&mut self, findings: &mut Vec<Finding>) -> bool {
        keep(self.machine.take_findings(), findings, || self.place());
        self.machine.is_blocked()
    }

    fn place(&self) -> String {
        let path = self.path.strip_prefix("delta.").unwrap_or(&self.path);
        format!("choice {} {}", self.choice, path.replace('.', " "))
    }
}

fn wrapper(choice: u32, steps: &[Step]) -> (String, String) {
    let mut open = String::new();
    let mut close = Vec::new();
    let mut index = format!("\"index\":{choice},");
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Member(name) => {
                open.push('{');
                open.push_str(&std::mem::take(&mut index));
                open.push_str(&serde_json::to_string(name).unwrap_or_default());
                open.push(':');
                close.push(if nth == 0 { ",\"finish_reason\":null}" } else { "}" });
            }
            Step::Element(at, is_named) => {
                open.push('[');
                close.push("]");
                index = if *is_named { format!("\"index\":{at},") } else { String::new() };
            }
        }
    }
    close.reverse();
    (open, close.concat())
}
