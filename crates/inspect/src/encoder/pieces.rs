//! Cuts text into the likeliest pieces of a vocabulary: a unigram model, as SentencePiece has it.
//!
//! Characters are first written as the vocabulary has them, runs of spaces become one, and a space is the beginning of
//! the word after it. No piece crosses a space, so every word is cut for itself.

use std::ops::Range;

use rustc_hash::FxHashMap;

/// What stands for a space.
const SPACE: char = '\u{2581}';

/// A vocabulary.
#[derive(Debug)]
pub(super) struct Pieces {
    known: FxHashMap<Box<str>, (u32, f64)>,
    /// The longest piece, in characters.
    longest: usize,
    /// What a character costs that is in no piece.
    penalty: f64,
    unknown: u32,
    alike: FxHashMap<char, Box<str>>,
}

/// A piece of a text: its number, and its bytes in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) number: u32,
    pub(super) range: Range<usize>,
}

/// A character as the vocabulary has it, and the bytes of the text that it stands for.
#[derive(Debug, Clone, Copy)]
struct Letter {
    is: char,
    start: usize,
    end: usize,
}

impl Pieces {
    /// Pieces with their numbers and how likely they are; what single characters become first.
    pub(super) fn new(
        pieces: impl Iterator<Item = (u32, Box<str>, f32)>,
        alike: FxHashMap<char, Box<str>>,
        unknown: u32,
        penalty: f32,
    ) -> Self {
        let known: FxHashMap<Box<str>, (u32, f64)> =
            pieces.map(|(number, piece, score)| (piece, (number, f64::from(score)))).collect();
        let longest = known.keys().map(|piece| piece.chars().count()).max().unwrap_or(1);
        Self { known, longest, penalty: f64::from(penalty), unknown, alike }
    }

    /// The pieces of a text, in order.
    pub(super) fn cut(&self, text: &str) -> Vec<Piece> {
        let letters = self.letters(text);
        let mut out = Vec::with_capacity(text.len() / 3);
        let mut rest = letters.as_slice();
        while let Some((_, after)) = rest.split_first() {
            let end = after.iter().position(|letter| letter.is == SPACE).map_or(rest.len(), |at| at + 1);
            let (word, next) = rest.split_at(end);
            self.word(word, &mut out);
            rest = next;
        }
        out
    }

    fn letters(&self, text: &str) -> Vec<Letter> {
        let mut letters: Vec<Letter> = Vec::with_capacity(text.len() + 1);
        let mut after_space = false;
        for (start, is) in text.char_indices() {
            let end = start + is.len_utf8();
            let mut push = |is: char| {
                if letters.is_empty() && is != ' ' {
                    letters.push(Letter { is: SPACE, start, end: start });
                }
                if !(is == ' ' && after_space) {
                    letters.push(Letter { is: if is == ' ' { SPACE } else { is }, start, end });
                }
                after_space = is == ' ';
            };
            match self.alike.get(&is) {
                Some(other) => other.chars().for_each(push),
                None => push(is),
            }
        }
        letters
    }

    /// The likeliest way to cut one word (Viterbi).
    fn word(&self, word: &[Letter], out: &mut Vec<Piece>) {
        let mut text = String::with_capacity(word.len() * 2);
        let mut ends = Vec::with_capacity(word.len() + 1);
        ends.push(0);
        for letter in word {
            text.push(letter.is);
            ends.push(text.len());
        }
        // How well the word can be cut up to a letter; the last piece of that cut, and where it begins.
        let mut best = vec![(f64::NEG_INFINITY, self.unknown, 0_usize); word.len() + 1];
        best.first_mut().into_iter().for_each(|first| first.0 = 0.0);
        for start in 0..word.len() {
            let value = best.get(start).map_or(f64::NEG_INFINITY, |one| one.0);
            let from = ends.get(start).copied().unwrap_or_default();
            let mut reach = |end: usize, number: u32, value: f64| {
                if let Some(slot) = best.get_mut(end).filter(|slot| value > slot.0) {
                    *slot = (value, number, start);
                }
            };
            for (end, to) in ends.iter().enumerate().skip(start + 1).take(self.longest) {
                if let Some((number, score)) = text.get(from..*to).and_then(|piece| self.known.get(piece)) {
                    reach(end, *number, value + score);
                }
            }
            reach(start + 1, self.unknown, value + self.penalty);
        }
        let (first, mut at) = (out.len(), word.len());
        while at > 0 {
            let Some((_, number, start)) = best.get(at).copied().filter(|(_, _, start)| *start < at) else {
                break;
            };
            let range = match (word.get(start), word.get(at - 1)) {
                (Some(a), Some(b)) => a.start..b.end,
                _ => 0..0,
            };
            out.push(Piece { number, range });
            at = start;
        }
        if let Some(own) = out.get_mut(first..) {
            own.reverse();
        }
    }
}
