//! A screen for tests: redacts `SECRET`, blocks `FORBIDDEN`, notes `CURIOUS`; holds back what may become one.

use std::borrow::Cow;
use std::sync::Arc;

use crate::machine::Form;
use crate::vault::Vault;
use portcullis_core::record::{Action, Finding, Severity};

const WORDS: [(&str, Action); 3] =
    [("SECRET", Action::Redact), ("FORBIDDEN", Action::Block), ("CURIOUS", Action::Observe)];

#[derive(Debug, Clone, Default)]
pub struct Screen {
    is_on: bool,
}

#[derive(Debug)]
pub(crate) struct Machine {
    is_on: bool,
    held: String,
    is_blocked: bool,
    findings: Vec<Finding>,
}

impl Screen {
    pub(crate) fn on() -> Self {
        Self { is_on: true }
    }

    pub(crate) fn guards(&self) -> portcullis_core::guard::GuardSet {
        portcullis_core::guard::GuardSet::NONE
    }

    /// What was told is listened for by the machine itself.
    pub(crate) fn with_leak(self, _: Arc<crate::told::Leak>) -> Self {
        self
    }

    pub(crate) fn with_fence(self, _: crate::told::Fence) -> Self {
        self
    }

    pub(crate) fn is_off(&self) -> bool {
        !self.is_on
    }

    pub(crate) fn placeholder(text: &str) -> Option<usize> {
        text.starts_with("[word]").then_some("[word]".len())
    }

    pub(crate) fn finds(&self, text: &str) -> bool {
        self.is_on && WORDS.iter().any(|(word, _)| text.contains(word))
    }

    pub(crate) fn tokenising(&self, _: &Arc<Vault>) -> Self {
        self.clone()
    }

    pub(crate) fn restoring(&self, _: &Arc<Vault>) -> Self {
        self.clone()
    }

    pub(crate) fn at<P: AsRef<str>>(&self, _: impl FnOnce() -> P) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    pub(crate) fn machine_for(&self, _: Form) -> Machine {
        self.machine()
    }

    pub(crate) fn machine(&self) -> Machine {
        Machine { is_on: self.is_on, held: String::new(), is_blocked: false, findings: Vec::new() }
    }
}

impl Machine {
    pub(crate) fn push(&mut self, text: &str, out: &mut String) {
        if self.is_blocked {
            return;
        }
        if !self.is_on {
            out.push_str(text);
            return;
        }
        self.held.push_str(text);
        while let Some((at, word, action)) = WORDS
            .iter()
            .filter_map(|(word, action)| Some((self.held.find(word)?, *word, *action)))
            .min_by_key(|found| found.0)
        {
            out.extend(self.held.drain(..at));
            self.held.drain(..word.len());
            self.findings.push(Finding {
                detector: "word",
                at: String::new(),
                severity: Severity::High,
                action,
                evidence: "*".into(),
            });
            match action {
                Action::Block => {
                    self.is_blocked = true;
                    self.held.clear();
                    return;
                }
                Action::Mask | Action::Tokenise | Action::Redact => out.push_str("[word]"),
                Action::Observe => out.push_str(word),
            }
        }
        let keep = (0..=self.held.len())
            .find(|at| {
                self.held.is_char_boundary(*at)
                    && WORDS.iter().any(|(word, _)| word.starts_with(self.held.get(*at..).unwrap()))
            })
            .unwrap();
        out.extend(self.held.drain(..keep));
    }

    pub(crate) fn finish(&mut self, out: &mut String) {
        out.push_str(&std::mem::take(&mut self.held));
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }
}
