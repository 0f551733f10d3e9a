//! The screening machine: the same for whole texts and for streams, and blind to how a text was split.

use std::sync::Arc;

use portcullis_core::record::{Action, Finding};

/// A compiled set of detectors, each with what is done about its findings. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Screen(Arc<Rules>);

/// What [`Screen`] shares.
#[derive(Debug, Default)]
struct Rules {}

/// One text under the screen. `push` what arrives; what may leave is appended to `out`.
#[derive(Debug)]
pub struct Machine {
    screen: Screen,
}

impl Screen {
    /// Whether no detector is on: the text need not be read at all.
    pub fn is_off(&self) -> bool {
        let _ = &self.0;
        true
    }

    /// Starts a text.
    pub fn machine(&self) -> Machine {
        Machine { screen: self.clone() }
    }
}

impl Machine {
    /// Takes the next piece of the text and appends to `out` what can no longer be part of a match, redactions
    /// applied. After a block nothing leaves any more.
    pub fn push(&mut self, text: &str, out: &mut String) {
        let _ = &self.screen;
        out.push_str(text);
    }

    /// The text is over: appends what was held back, redactions applied.
    pub fn finish(&mut self, out: &mut String) {
        let _ = out;
    }

    /// Bytes of text held back at the moment.
    pub fn held(&self) -> usize {
        0
    }

    /// Whether a finding with [`Action::Block`] ended the text.
    pub fn is_blocked(&self) -> bool {
        let _ = Action::Block;
        false
    }

    /// Findings since the last call; `at` is left empty for the caller to fill.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        Vec::new()
    }
}
