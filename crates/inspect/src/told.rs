//! What the gate told a model and a client may not hear back: the operator's text, the canary in it, the fences
//! around what others wrote.
//!
//! An answer passes through three readers before any detector sees it: one takes quoted fences out, one finds the
//! canary however it was spelt, one finds runs of the operator's words. Like the screening machine they answer the
//! same however a text was split, and hold back only what may still become a match.

mod fence;
mod overlap;
mod spelling;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use portcullis_core::record::{Action, Finding, Severity};

use self::overlap::Overlap;
use self::spelling::{Forms, Spelling};
use self::words::OwnText;

use self::fence::Unfence;
pub use self::fence::{Code, Fence, canary};

/// The detectors' names in findings.
const LEAK: &str = "system-leak";
const CANARY: &str = "canary";
/// What stands in the place of what may not be heard.
const PLACEHOLDER: &str = "[system-text]";
/// Most findings that one text reports.
const MOST_FINDINGS: usize = 16;

/// What may not come back of an operator's text, compiled.
#[derive(Debug)]
pub struct Leak {
    text: OwnText,
    canary: Option<Forms>,
    action: Action,
}

impl Leak {
    /// Compiles the operator's text, as it was written, and the canary that is sent with it.
    pub fn new(text: &str, canary: Option<&str>, action: Action) -> Self {
        Self { text: OwnText::new(text), canary: canary.map(Forms::new), action }
    }

    /// What is done where it is heard.
    pub(crate) const fn action(&self) -> Action {
        self.action
    }
}

/// All that was told with one request. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) leak: Option<Arc<Leak>>,
    pub(crate) fence: Option<Fence>,
}

impl Told {
    /// Nothing was told.
    pub(crate) const NOTHING: Self = Self { leak: None, fence: None };

    pub(crate) fn is_nothing(&self) -> bool {
        self.leak.is_none() && self.fence.is_none()
    }
}

/// One text of an answer, read for what was told.
#[derive(Debug)]
pub(crate) struct Listening {
    fence: Option<Unfence>,
    canary: Option<Spelling>,
    words: Option<Overlap>,
    /// Between two readers.
    between: [String; 2],
}

/// What a reader has to say besides what it lets go.
#[derive(Debug, Default)]
struct Heard {
    findings: Vec<Finding>,
    is_blocked: bool,
}

impl Heard {
    /// Notes a finding.
    fn note(&mut self, detector: &'static str, action: Action, evidence: impl FnOnce() -> String) {
        self.is_blocked |= action == Action::Block;
        if self.findings.len() < MOST_FINDINGS || action == Action::Block {
            let (at, severity) = (String::new(), Severity::High);
            self.findings.push(Finding { detector, at, severity, action, evidence: evidence() });
        }
    }
}

impl Listening {
    /// Starts a text; `None` where nothing was told.
    pub(crate) fn new(told: &Told) -> Option<Self> {
        let leak = told.leak.as_ref();
        let has_canary = leak.is_some_and(|leak| leak.canary.is_some());
        let words = leak.filter(|leak| !leak.text.is_empty()).map(|leak| Overlap::new(Arc::clone(leak)));
        let canary = leak.filter(|_| has_canary).map(|leak| Spelling::new(Arc::clone(leak)));
        let fence = told.fence.map(Unfence::new);
        let is_any = fence.is_some() || canary.is_some() || words.is_some();
        is_any.then_some(Self { fence, canary, words, between: Default::default() })
    }

    /// Takes a piece and appends to `out` what may be heard.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        self.pass(piece, false, out);
    }

    /// The text is over: appends what was held back.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.pass("", true, out);
    }

    fn pass(&mut self, piece: &str, is_last: bool, out: &mut String) {
        if self.is_blocked() {
            return;
        }
        let [first, second] = &mut self.between;
        first.clear();
        second.clear();
        let piece = match &mut self.fence {
            None => piece,
            Some(fence) => {
                fence.push(piece, is_last, first);
                first
            }
        };
        let piece = match &mut self.canary {
            None => piece,
            Some(canary) => {
                canary.push(piece, is_last, second);
                if canary.heard.is_blocked {
                    // What came before the canary was read by nobody else yet.
                    let found = &mut canary.heard.findings;
                    let_go(self.words.as_mut(), second, found, out);
                    return;
                }
                second
            }
        };
        match &mut self.words {
            None => out.push_str(piece),
            Some(words) => words.push(piece, is_last, out),
        }
    }

    /// Bytes held back at the moment.
    pub(crate) fn held(&self) -> usize {
        self.fence.as_ref().map_or(0, Unfence::held)
            + self.canary.as_ref().map_or(0, Spelling::held)
            + self.words.as_ref().map_or(0, Overlap::held)
    }

    /// Whether a finding ended the text.
    pub(crate) fn is_blocked(&self) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.heard.is_blocked)
            || self.words.as_ref().is_some_and(|words| words.heard.is_blocked)
    }

    /// Findings since the last call.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        let canary = self.canary.as_mut().map(|canary| std::mem::take(&mut canary.heard.findings));
        let words = self.words.as_mut().map(|words| std::mem::take(&mut words.heard.findings));
        canary.into_iter().chain(words).flatten().collect()
    }
}

/// Lets go what stood before a blocked canary, as far as the reader of words lets it: what that one blocks came first.
fn let_go(words: Option<&mut Overlap>, before: &str, found: &mut Vec<Finding>, out: &mut String) {
    match words {
        None => out.push_str(before),
        Some(words) => {
            words.push(before, false, out);
            if words.heard.is_blocked {
                found.retain(|finding| finding.action != Action::Block);
            }
        }
    }
}
