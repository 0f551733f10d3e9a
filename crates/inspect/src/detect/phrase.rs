//! Phrases: patterns with free choice of words, as one automaton that is run from a candidate's first byte.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, dense},
    nfa::thompson,
    util::{primitives::StateID, start, syntax},
};

use super::cursor::Cursor;
use super::{Match, Probe};

/// Longest phrase in bytes. What is longer is not a match, so nothing can be held for ever.
const LONGEST: usize = 320;

/// Largest automaton in bytes. Patterns that need more have too much free choice in them.
const LARGEST: usize = 8 << 20;

/// A set of phrases, compiled.
pub(super) struct Phrases {
    automaton: dense::DFA<Vec<u32>>,
    start: StateID,
    labels: Vec<&'static str>,
}

impl Phrases {
    /// Compiles `(label, pattern)` pairs: ASCII, in any case unless the pattern says otherwise.
    pub(super) fn new(patterns: &[(&'static str, String)]) -> Result<Self, Box<dyn std::error::Error>> {
        let sources: Vec<&str> = patterns.iter().map(|(_, pattern)| pattern.as_str()).collect();
        let automaton = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(regex_automata::dfa::StartKind::Anchored)
                    .dfa_size_limit(Some(LARGEST))
                    .determinize_size_limit(Some(4 * LARGEST)),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false).case_insensitive(true))
            .thompson(thompson::Config::new().utf8(false))
            .build_many(&sources)?;
        let start = automaton.start_state(&start::Config::new().anchored(Anchored::Yes))?;
        Ok(Self { automaton, start, labels: patterns.iter().map(|(label, _)| *label).collect() })
    }

    /// The longest phrase that starts where `cursor` stands.
    pub(super) fn probe(&self, mut cursor: Cursor<'_>) -> Probe {
        let mut state = self.start;
        let mut found = None;
        while cursor.at() < LONGEST {
            let len = cursor.at();
            let byte = cursor.next()?;
            state = match byte {
                Some(byte) => self.automaton.next_state(state, byte),
                None => self.automaton.next_eoi_state(state),
            };
            if self.automaton.is_special_state(state) {
                // The automaton reports a match one byte late, so that it has seen what follows.
                if self.automaton.is_match_state(state) {
                    found = Some((len, self.automaton.match_pattern(state, 0)));
                } else if self.automaton.is_dead_state(state) || self.automaton.is_quit_state(state) {
                    break;
                }
            }
            if byte.is_none() {
                break;
            }
        }
        Ok(found.map(|(len, pattern)| {
            Match::exact(len, self.labels.get(pattern.as_usize()).copied().unwrap_or("phrase"))
        }))
    }

    /// Bytes that the automaton takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.automaton.memory_usage()
    }
}

impl std::fmt::Debug for Phrases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phrases").field("labels", &self.labels).finish_non_exhaustive()
    }
}
