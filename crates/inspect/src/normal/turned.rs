//! Text rotated by 13 letters, or written backwards, told by its pairs of letters.

use std::ops::Range;

use super::letters::Letters;
use super::map::{How, Rewrite};
use super::scan::ORDINARY;
use super::unicode::Step;
use super::{Signal, Signals};

/// What a span must gain by being turned, in eighths of a nat.
const GAIN: i32 = 64;
/// How many words it must have.
const WORDS: usize = 3;

/// Turns the spans that read like text only then.
pub(super) fn turn(text: &str, signals: &mut Signals) -> Step {
    let words: Vec<Word> = words(text);
    if seems_mirrored(text.as_bytes()) {
        let gain: i32 = words.iter().map(|word| word.reversed - word.plain).sum();
        if gain > 0 && words.len() >= WORDS {
            signals.add(Signal::Reversed, 0..text.len());
            let mut rewrite = Rewrite::new(text);
            rewrite.replace(0..text.len(), &text.chars().rev().collect::<String>(), How::Mirror);
            return rewrite.finish();
        }
    }
    let forward = best(text, &words, |word| word.rotated);
    let backward = best(text, &words, |word| word.reversed);
    let mut found: Vec<(i32, Range<usize>, Signal)> = Vec::new();
    found.extend(forward.into_iter().map(|(gain, range)| (gain, range, Signal::Rot13)));
    found.extend(backward.into_iter().map(|(gain, range)| (gain, range, Signal::Reversed)));
    // Where both would gain, the one that gains more.
    found.sort_by_key(|(gain, range, _)| (std::cmp::Reverse(*gain), range.start));
    let mut spans: Vec<(Range<usize>, Signal)> = Vec::new();
    for (_, range, signal) in found {
        // Text that is backwards for the most part is backwards as a whole, its signs too.
        let is_most = signal == Signal::Reversed && range.len() * 5 >= text.len() * 4;
        let range = if is_most { 0..text.len() } else { range };
        if spans.iter().all(|(known, _)| known.end <= range.start || range.end <= known.start) {
            spans.push((range, signal));
        }
    }
    spans.sort_by_key(|(range, _)| range.start);
    let mut rewrite = Rewrite::new(text);
    for (range, signal) in spans {
        let span = text.get(range.clone()).unwrap_or_default();
        signals.add(signal, range.clone());
        match signal {
            Signal::Rot13 => {
                let rotated: String = span.chars().map(rotated).collect();
                rewrite.replace(range, &rotated, How::Same);
            }
            _ => {
                let reversed: String = span.chars().rev().collect();
                rewrite.replace(range, &reversed, How::Mirror);
            }
        }
    }
    rewrite.finish()
}

/// Whether a text begins as others end, or ends as others begin: a full stop or a closing bracket before the first
/// letter, a capital as the last letter of a word. In languages whose letters read well both ways little else tells.
pub(super) fn seems_mirrored(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    let begins = match bytes {
        [b'.' | b'!' | b'?' | b')' | b']' | b'}' | b'>' | b'"', next, ..] => {
            next.is_ascii_alphanumeric() || matches!(next, b'|' | b'.' | b'"' | b'\'' | b')')
        }
        _ => false,
    };
    let ends = matches!(bytes, [.., a, b, c] if a.is_ascii_lowercase() && b.is_ascii_lowercase() && c.is_ascii_uppercase());
    begins || ends
}

/// A run of ASCII letters and how usual it is, each way.
struct Word {
    range: Range<usize>,
    plain: i32,
    rotated: i32,
    reversed: i32,
}

fn words(text: &str) -> Vec<Word> {
    let letters = Letters::new();
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_alphabetic)) {
        let start = at + start;
        let rest = bytes.get(start..).unwrap_or_default();
        let len = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        at = start + len;
        let (mut left, mut turned) = (0, 0);
        for byte in word.iter().copied().chain([b' ']) {
            let right = Letters::rotated(letters.sign(byte));
            turned += Letters::pair(left, right);
            left = right;
        }
        words.push(Word {
            range: start..at,
            plain: letters.word(word.iter().copied()),
            rotated: turned,
            reversed: letters.word(word.iter().rev().copied()),
        });
    }
    words
}

/// The spans whose words gain most together, from the left, with what they gain.
fn best(text: &str, words: &[Word], turned: impl Fn(&Word) -> i32) -> Vec<(i32, Range<usize>)> {
    let mut spans = Vec::new();
    let mut open = Open::default();
    for (index, word) in words.iter().enumerate() {
        let step = turned(word) - word.plain;
        if open.sum + step <= 0 || open.top - open.sum > GAIN {
            spans.extend(open.close(text, words, &turned));
            open = Open::default();
            if step <= 0 {
                continue;
            }
        }
        if open.sum == 0 {
            open.first = index;
        }
        open.sum += step;
        if open.sum > open.top {
            open.top = open.sum;
            open.last = index;
        }
    }
    spans.extend(open.close(text, words, &turned));
    spans
}

/// A span that is being added up.
#[derive(Default)]
struct Open {
    first: usize,
    last: usize,
    sum: i32,
    top: i32,
}

impl Open {
    /// The span, if it gained enough, with the last words of its line on either side.
    fn close(
        &self,
        text: &str,
        words: &[Word],
        turned: impl Fn(&Word) -> i32,
    ) -> Option<(i32, Range<usize>)> {
        let count = self.last + 1 - self.first;
        // What is turned as a whole is short sometimes.
        let least = if count + 1 >= words.len() { GAIN / 2 } else { GAIN };
        if self.top < least || count < WORDS {
            return None;
        }
        let (mut pairs, mut before, mut after) = (0, 0, 0);
        for word in words.iter().skip(self.first).take(count) {
            pairs += i32::try_from(word.range.len()).unwrap_or(i32::MAX / 64) + 1;
            before += word.plain;
            after += turned(word);
        }
        if before > ORDINARY * pairs || after < ORDINARY * pairs {
            return None;
        }
        let gain = |word: &Word| turned(word) - word.plain;
        let mut span = words.get(self.first)?.range.start..words.get(self.last)?.range.end;
        let is_line = |range: Range<usize>| !text.get(range).unwrap_or_default().contains('\n');
        let before =
            words.iter().take(self.first).rev().take_while(|word| is_line(word.range.start..span.start));
        if let Some(edge) = edge(before, gain) {
            span.start = edge.start;
        }
        let after = words.iter().skip(self.last + 1).take_while(|word| is_line(span.end..word.range.end));
        if let Some(edge) = edge(after, gain) {
            span.end = edge.end;
        }
        Some((self.top, span))
    }
}

/// The last of a few words that lose little by being turned too.
fn edge<'w>(words: impl Iterator<Item = &'w Word>, gain: impl Fn(&Word) -> i32) -> Option<Range<usize>> {
    let (mut sum, mut count, mut last) = (0, 0, None);
    for word in words {
        sum += gain(word);
        count += 1;
        if count > WORDS || sum < -GAIN / 2 {
            return None;
        }
        last = Some(word.range.clone());
    }
    last
}

fn rotated(c: char) -> char {
    let base = match c {
        'a'..='z' => b'a',
        'A'..='Z' => b'A',
        _ => return c,
    };
    u8::try_from(c as u32).map_or(c, |byte| char::from(base + (byte - base + 13) % 26))
}
