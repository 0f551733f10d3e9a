//! An operator's text as its words, and every run of them.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

/// Most words that are known; what follows them is not looked for.
const WORDS: usize = 16 << 10;
/// Words in a row that are a leak. Weights are half words.
const RUN: u32 = 12 * WORD;
/// Words that a sentence must have so that most of it is a leak.
const SENTENCE: u32 = 6 * WORD;
/// What a word weighs, and what a letter of a script without spaces does.
const WORD: u32 = 2;
const LETTER: u32 = 1;
/// Longest word in signs; a longer one is none.
const LONGEST: u32 = 64;
/// Longest quotation, in words, that an operator means to be said.
const QUOTED: usize = 16;

/// What a sign is to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of a word.
    Of,
    /// A word by itself: scripts without spaces.
    Alone,
    /// Nothing: apostrophes, signs without width.
    Nothing,
    Between,
}

fn kind(c: char) -> Kind {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Kind::Of,
        '\'' | '\u{2019}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => Kind::Nothing,
        '\0'..='\u{7f}' => Kind::Between,
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}'
            if c.is_alphanumeric() =>
        {
            Kind::Alone
        }
        c if c.is_alphanumeric() => Kind::Of,
        _ => Kind::Between,
    }
}

/// A word: its hash, what it weighs, where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) hash: u64,
    weight: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The word that is being read. Case, apostrophes and what has no width make no difference.
#[derive(Debug, Default)]
pub(super) struct Reading {
    hash: u64,
    signs: u32,
    start: usize,
    end: usize,
}

impl Reading {
    /// Reads the sign at `at`; the words that are whole by that.
    pub(super) fn read(&mut self, c: char, at: usize) -> [Option<Word>; 2] {
        match kind(c) {
            Kind::Of => {
                if self.signs == 0 {
                    (self.hash, self.start) = (0, at);
                }
                self.signs += 1;
                self.end = at + c.len_utf8();
                self.hash = folded(c).fold(self.hash, mixed);
                [None, None]
            }
            Kind::Alone => {
                let word = Word { hash: mixed(0, c), weight: LETTER, start: at, end: at + c.len_utf8() };
                [self.finish(), Some(word)]
            }
            Kind::Nothing => [None, None],
            Kind::Between => [self.finish(), None],
        }
    }

    /// The word that ends here.
    pub(super) fn finish(&mut self) -> Option<Word> {
        let signs = std::mem::take(&mut self.signs);
        let hash = if signs > LONGEST { NONE } else { self.hash };
        (signs > 0).then_some(Word { hash, weight: WORD, start: self.start, end: self.end })
    }

    /// Where the open word begins.
    pub(super) fn open(&self) -> Option<usize> {
        (self.signs > 0).then_some(self.start)
    }
}

/// The hash of what is no word.
const NONE: u64 = u64::MAX;

fn mixed(hash: u64, c: char) -> u64 {
    (hash.rotate_left(5) ^ (u64::from(u32::from(c)) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn folded(c: char) -> impl Iterator<Item = char> {
    let ascii = c.is_ascii().then(|| c.to_ascii_lowercase());
    ascii.into_iter().chain((!c.is_ascii()).then(|| c.to_lowercase()).into_iter().flatten())
}

/// A run of words: every text that ends with the same runs is in the same state.
#[derive(Debug, Default)]
struct State {
    next: FxHashMap<u64, u32>,
    /// The state of the longest run that is shorter and goes on otherwise.
    link: Option<u32>,
    /// Words in the longest run of this state.
    len: u32,
    /// How many words end with one such run.
    end: u32,
}

/// Every run of an operator's words: a suffix automaton (Blumer and others, 1985), so that the longest run that a
/// text ends with is known by one step for each of its words.
#[derive(Debug)]
pub(super) struct OwnText {
    states: Vec<State>,
    /// Weights of all words before a place.
    weights: Vec<u32>,
    /// For each word, where its sentence begins and what the sentence weighs.
    sentences: Vec<(u32, u32)>,
}

impl OwnText {
    /// Reads a text. What it quotes shortly is meant to be said, and belongs to no run.
    pub(super) fn new(text: &str) -> Self {
        let mut own = Self { states: vec![State::default()], weights: vec![0], sentences: Vec::new() };
        let mut reading = Reading::default();
        let quoted = quotations(text);
        let (mut last, mut first) = (0, 0);
        for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
            for word in reading.read(c, at).into_iter().flatten() {
                let is_quoted = quoted.iter().any(|range| range.contains(&word.start));
                let hash = if is_quoted { NONE } else { word.hash };
                last = own.append(last, hash, word.weight);
            }
            if matches!(c, '.' | '!' | '?' | '\n' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{964}') {
                first = own.close(first);
            }
            if own.weights.len() > WORDS {
                break;
            }
        }
        own.close(first);
        own
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.len() == 1
    }

    /// Ends the sentence that began with the word `first`; where the next begins.
    fn close(&mut self, first: usize) -> usize {
        let end = self.weights.len() - 1;
        let weight = |place: usize| self.weights.get(place).copied().unwrap_or(0);
        let whole = weight(end) - weight(first);
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        self.sentences.resize(end, (first, whole));
        end
    }

    /// Adds a word behind the state `last`; the state of the text so far.
    fn append(&mut self, last: u32, hash: u64, weight: u32) -> u32 {
        let before = self.weights.last().copied().unwrap_or(0);
        self.weights.push(before + weight);
        let end = u32::try_from(self.weights.len() - 1).unwrap_or(u32::MAX);
        // What is no word, or quoted, ends every run: the next one begins anew.
        if hash == NONE {
            return 0;
        }
        if let Some(known) = self.next(last, hash)
            && self.len(known) == self.len(last) + 1
        {
            return known;
        }
        let new = self.add(State { len: self.len(last) + 1, end, ..State::default() });
        let mut at = Some(last);
        while let Some(state) = at.filter(|state| self.next(*state, hash).is_none()) {
            self.set_next(state, hash, new);
            at = self.states.get(state as usize).and_then(|state| state.link);
        }
        let link = match at.and_then(|state| Some((state, self.next(state, hash)?))) {
            None => 0,
            Some((state, next)) if self.len(state) + 1 == self.len(next) => next,
            Some((state, next)) => self.split(state, next, hash),
        };
        if let Some(state) = self.states.get_mut(new as usize) {
            state.link = Some(link);
        }
        new
    }

    /// Divides the state `next`: runs no longer than those of `state` with one word more go on for themselves.
    fn split(&mut self, state: u32, next: u32, hash: u64) -> u32 {
        let Some(old) = self.states.get(next as usize) else { return 0 };
        let copy = State { next: old.next.clone(), link: old.link, len: self.len(state) + 1, end: old.end };
        let copy = self.add(copy);
        if let Some(old) = self.states.get_mut(next as usize) {
            old.link = Some(copy);
        }
        let mut at = Some(state);
        while let Some(state) = at.filter(|state| self.next(*state, hash) == Some(next)) {
            self.set_next(state, hash, copy);
            at = self.states.get(state as usize).and_then(|state| state.link);
        }
        copy
    }

    fn add(&mut self, state: State) -> u32 {
        self.states.push(state);
        u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX)
    }

    fn next(&self, state: u32, hash: u64) -> Option<u32> {
        self.states.get(state as usize)?.next.get(&hash).copied()
    }

    fn set_next(&mut self, state: u32, hash: u64, to: u32) {
        if let Some(state) = self.states.get_mut(state as usize) {
            match state.next.entry(hash) {
                Entry::Occupied(mut known) => *known.get_mut() = to,
                Entry::Vacant(new) => _ = new.insert(to),
            }
        }
    }

    fn len(&self, state: u32) -> u32 {
        self.states.get(state as usize).map_or(0, |state| state.len)
    }

    /// The state behind one more word if the run goes on with it as it is.
    pub(super) fn goes_on(&self, state: u32, hash: u64) -> Option<u32> {
        self.next(state, hash)
    }

    /// One more word behind a run of `len` words: the longest run that the text ends with now.
    pub(super) fn step(&self, mut state: u32, mut len: u32, hash: u64) -> (u32, u32) {
        loop {
            if let Some(next) = self.next(state, hash) {
                return (next, len + 1);
            }
            let Some(link) = self.states.get(state as usize).and_then(|state| state.link) else {
                return (0, 0);
            };
            (state, len) = (link, self.len(link));
        }
    }

    /// Whether a run of `len` words that ends in `state` is a leak: [`RUN`], or most of a sentence.
    pub(super) fn is_leak(&self, state: u32, len: u32) -> bool {
        let Some(end) = self.states.get(state as usize).map(|state| state.end) else { return false };
        let weight = |from: u32| {
            let of = |place: u32| self.weights.get(place as usize).copied().unwrap_or(0);
            of(end).saturating_sub(of(from))
        };
        let start = end.saturating_sub(len);
        if weight(start) >= RUN {
            return true;
        }
        let sentence = end.checked_sub(1).and_then(|last| self.sentences.get(last as usize));
        sentence.is_some_and(|(first, whole)| {
            let inside = weight(start.max(*first));
            *whole >= SENTENCE && inside * 5 >= whole * 3
        })
    }
}

/// Short quotations: what an operator means to be said.
fn quotations(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let offset = line.as_ptr() as usize - text.as_ptr() as usize;
        let mut open: Option<(usize, char)> = None;
        for (at, c) in line.char_indices() {
            match (open, c) {
                (Some((start, close)), c) if c == close => {
                    let inner = line.get(start..at).unwrap_or_default();
                    if inner.split_whitespace().count() <= QUOTED {
                        found.push(offset + start..offset + at);
                    }
                    open = None;
                }
                (None, '"') => open = Some((at + 1, '"')),
                (None, '\u{201c}') => open = Some((at + c.len_utf8(), '\u{201d}')),
                (None, '\u{ab}') => open = Some((at + c.len_utf8(), '\u{bb}')),
                (None, '\u{201e}') => open = Some((at + c.len_utf8(), '\u{201c}')),
                (None, '\u{300c}') => open = Some((at + c.len_utf8(), '\u{300d}')),
                _ => {}
            }
        }
    }
    found
}
