//! Runs of the operator's words in a text.

use std::collections::VecDeque;
use std::sync::Arc;

use super::words::{Reading, Word};
use super::{Heard, LEAK, Leak, PLACEHOLDER};
use portcullis_core::record::Action;

/// First words of a run that leave unheld: so few say nothing, and ordinary answers have them by chance.
const FREE: usize = 3;
/// Most bytes that are held, with all that stands between the words; a longer run is given up.
const HELD: usize = 4096;

/// Looks for an operator's words in one text.
#[derive(Debug)]
pub(super) struct Overlap {
    leak: Arc<Leak>,
    reading: Reading,
    /// The state of the run that the text ends with.
    state: u32,
    /// Where its words begin.
    starts: VecDeque<usize>,
    /// A leak was found and goes on.
    is_leaking: bool,
    held: String,
    /// Where in the text `held` begins.
    base: usize,
    pub(super) heard: Heard,
}

impl Overlap {
    pub(super) fn new(leak: Arc<Leak>) -> Self {
        Self {
            leak,
            reading: Reading::default(),
            state: 0,
            starts: VecDeque::new(),
            is_leaking: false,
            held: String::new(),
            base: 0,
            heard: Heard::default(),
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes a piece and appends to `out` what is no leak.
    pub(super) fn push(&mut self, piece: &str, is_last: bool, out: &mut String) {
        let start = self.base + self.held.len();
        self.held.push_str(piece);
        for (at, c) in piece.char_indices() {
            let at = start + at;
            for word in self.reading.read(c, at).into_iter().flatten() {
                self.word(word, out);
                if self.heard.is_blocked {
                    return;
                }
            }
            if self.kept().is_some_and(|kept| at + c.len_utf8() - kept > HELD) {
                self.forget();
            }
        }
        if is_last {
            if let Some(word) = self.reading.finish() {
                self.word(word, out);
            }
            self.forget();
        }
        if !self.heard.is_blocked {
            self.release(self.kept().unwrap_or(self.base + self.held.len()), out);
        }
    }

    fn forget(&mut self) {
        self.state = 0;
        self.starts.clear();
        self.is_leaking = false;
    }

    /// From where on the text may still be part of a leak.
    fn kept(&self) -> Option<usize> {
        if self.is_leaking {
            return Some(self.base);
        }
        self.starts.get(FREE).copied().or_else(|| self.reading.open().filter(|_| self.starts.len() == FREE))
    }

    fn word(&mut self, word: Word, out: &mut String) {
        let leak = Arc::clone(&self.leak);
        if self.is_leaking {
            if let Some(next) = leak.text.goes_on(self.state, word.hash) {
                self.state = next;
                self.drop(word.end, out);
                return;
            }
            self.forget();
        }
        let len = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        let (state, len) = leak.text.step(self.state, len, word.hash);
        self.state = state;
        self.starts.push_back(word.start);
        while self.starts.len() > len as usize {
            self.starts.pop_front();
        }
        if !leak.text.is_leak(state, len) {
            return;
        }
        self.heard.note(LEAK, leak.action, || format!("{len} words of the operator's in a row"));
        self.release(self.starts.get(FREE).copied().unwrap_or(word.start), out);
        if leak.action == Action::Redact {
            out.push_str(PLACEHOLDER);
        }
        if leak.action != Action::Block {
            self.drop(word.end, out);
        }
        self.is_leaking = true;
        self.starts.clear();
    }

    /// Drops what stands before `to`, or lets it go where nothing is to be done about it.
    fn drop(&mut self, to: usize, out: &mut String) {
        if self.leak.action == Action::Observe {
            return self.release(to, out);
        }
        let len = to.saturating_sub(self.base).min(self.held.len());
        self.held.drain(..len);
        self.base += len;
    }

    /// Lets go what stands before `to`.
    fn release(&mut self, to: usize, out: &mut String) {
        let len = to.saturating_sub(self.base).min(self.held.len());
        out.push_str(self.held.get(..len).unwrap_or_default());
        self.held.drain(..len);
        self.base += len;
    }
}
