//! Phrases: an operator's regular expression, run in time that is linear in the text, whatever it says.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::meta;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::topic::Found;

/// Longest match of a phrase that is found as it passes, in bytes.
pub const LONGEST: usize = 256;
/// Largest automaton in bytes.
const LARGEST: usize = 2 << 20;

/// A pattern, compiled. It is in the syntax of the crate `regex`, without Unicode's word borders.
pub struct Phrase {
    /// From a place on.
    here: dense::DFA<Vec<u32>>,
    here_start: StateID,
    /// From the beginning on, anywhere.
    anywhere: dense::DFA<Vec<u32>>,
    anywhere_start: StateID,
    /// In a whole text.
    whole: meta::Regex,
    /// Longest match, if there is a longest one.
    longest: Option<usize>,
}

/// Why a pattern cannot be a phrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Not a regular expression, or not one that an automaton can run.
    #[error("{0}")]
    Syntax(String),
    /// It matches nothing at all, which is everywhere.
    #[error("the pattern matches an empty text")]
    Empty,
}

impl Phrase {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PhraseError`].
    pub fn new(pattern: &str) -> Result<Self, PhraseError> {
        let syntax = syntax::Config::new();
        let hir =
            syntax::parse_with(pattern, &syntax).map_err(|error| PhraseError::Syntax(error.to_string()))?;
        if hir.properties().minimum_len().is_none_or(|least| least == 0) {
            return Err(PhraseError::Empty);
        }
        let longest = hir.properties().maximum_len();
        let failed = |error: &dyn std::fmt::Display| PhraseError::Syntax(error.to_string());
        let build = |kind: StartKind| {
            dense::Builder::new()
                .configure(
                    dense::Config::new()
                        .match_kind(MatchKind::All)
                        .start_kind(kind)
                        .unicode_word_boundary(false)
                        .dfa_size_limit(Some(LARGEST))
                        .determinize_size_limit(Some(4 * LARGEST)),
                )
                .syntax(syntax)
                .build(pattern)
                .map_err(|error| failed(&error))
        };
        let here = build(StartKind::Anchored)?;
        let anywhere = build(StartKind::Unanchored)?;
        let start =
            |dfa: &dense::DFA<Vec<u32>>, anchored| dfa.start_state(&start::Config::new().anchored(anchored));
        let here_start = start(&here, Anchored::Yes).map_err(|error| failed(&error))?;
        let anywhere_start = start(&anywhere, Anchored::No).map_err(|error| failed(&error))?;
        let whole = meta::Regex::new(pattern).map_err(|error| failed(&error))?;
        Ok(Self { here, here_start, anywhere, anywhere_start, whole, longest })
    }

    /// Longest match in bytes; `None` where there is no end to it.
    pub fn longest(&self) -> Option<usize> {
        self.longest
    }

    /// The longest match that starts at `text`.
    pub(super) fn probe(&self, text: &str, is_whole: bool) -> Found {
        let (mut state, mut found) = (self.here_start, None);
        for (place, byte) in text.bytes().enumerate() {
            if place > LONGEST {
                return found.map_or(Found::No, Found::Yes);
            }
            state = self.here.next_state(state, byte);
            if self.here.is_special_state(state) {
                // A match is reported one byte late, so that what follows has been seen.
                if self.here.is_match_state(state) {
                    found = Some(place);
                } else if self.here.is_dead_state(state) || self.here.is_quit_state(state) {
                    return found.map_or(Found::No, Found::Yes);
                }
            }
        }
        if !is_whole {
            return Found::More;
        }
        match self.here.is_match_state(self.here.next_eoi_state(state)) {
            true => Found::Yes(text.len()),
            false => found.map_or(Found::No, Found::Yes),
        }
    }

    /// The state before a text.
    pub(super) fn begin(&self) -> StateID {
        self.anywhere_start
    }

    /// Goes on over `text`; whether a match is complete.
    pub(super) fn follow(&self, state: &mut StateID, text: &str) -> bool {
        text.bytes().any(|byte| {
            *state = self.anywhere.next_state(*state, byte);
            self.anywhere.is_match_state(*state) || self.anywhere.is_quit_state(*state)
        })
    }

    /// Whether the end of the text completes a match.
    pub(super) fn ends(&self, state: StateID) -> bool {
        self.anywhere.is_match_state(self.anywhere.next_eoi_state(state))
    }

    /// The matches in a whole text.
    pub(super) fn all<'p, 't>(
        &'p self,
        text: &'t str,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + use<'p, 't> {
        self.whole.find_iter(text).map(|found| found.range())
    }
}

impl std::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phrase").field("longest", &self.longest).finish_non_exhaustive()
    }
}
