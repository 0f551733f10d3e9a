//! Words whose letters were drawn apart or replaced by digits.

use std::ops::Range;

use super::letters::Letters;
use super::map::{How, Rewrite};
use super::scan::{LEET_WORDS, SPACED_LETTERS};
use super::unicode::Step;
use super::{Signal, Signals};

/// From how many letters that were drawn apart on nobody doubts it.
const SURE_LETTERS: usize = 12;

/// Joins letters that stand alone, with the same sign between all of them: `i g n o r e`, `i-g-n-o-r-e`, `i.g.n`.
///
/// Where the sign differs, or comes more than once, a word ends.
pub(super) fn join(text: &str, signals: &mut Signals) -> Step {
    let mut rewrite = Rewrite::new(text);
    let mut chars = text.char_indices().peekable();
    let (mut before, mut is_sure) = (' ', false);
    while let Some((start, c)) = chars.next() {
        let is_first = c.is_alphanumeric() && !before.is_alphanumeric();
        before = c;
        if !is_first {
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        let Some(run) = spaced(rest, is_sure) else { continue };
        is_sure |= run.is_sure;
        signals.add(Signal::Spaced, start..start + run.len);
        let gaps = run.gaps.into_iter().map(|gap| (gap, ""));
        let mut cuts: Vec<_> = gaps.chain(run.borders.into_iter().map(|border| (border, " "))).collect();
        cuts.sort_by_key(|(cut, _)| cut.start);
        for (cut, left) in cuts {
            rewrite.replace(start + cut.start..start + cut.end, left, How::Whole);
        }
        while let Some((_, last)) = chars.next_if(|(at, _)| *at < start + run.len) {
            before = last;
        }
    }
    rewrite.finish()
}

/// Letters that are drawn apart.
struct Run {
    len: usize,
    /// What stands between letters of the same word.
    gaps: Vec<Range<usize>>,
    /// What stands between words.
    borders: Vec<Range<usize>>,
    is_sure: bool,
}

/// `was_sure`: text before this was drawn apart without doubt. Then figures are too.
fn spaced(text: &str, was_sure: bool) -> Option<Run> {
    let mut chars = text.char_indices().peekable();
    let (_, first) = chars.next()?;
    let (_, sign) = *chars.peek()?;
    if sign.is_alphanumeric() || sign == '\n' {
        return None;
    }
    let mut run = Run { len: first.len_utf8(), gaps: Vec::new(), borders: Vec::new(), is_sure: was_sure };
    let mut borders = 0_usize;
    let (mut joined, mut letters) = (1_usize, usize::from(first.is_alphabetic()));
    loop {
        let start = run.len;
        let mut width = 0_usize;
        let (mut is_same, mut is_blank) = (true, true);
        while let Some((_, gap)) = chars.next_if(|(_, c)| !c.is_alphanumeric() && *c != '\n') {
            is_same &= gap == sign;
            is_blank &= gap == ' ';
            width += 1;
            if width > 4 {
                break;
            }
        }
        let Some((at, letter)) = chars.next_if(|(_, c)| c.is_alphanumeric()) else { break };
        let is_alone = chars.peek().is_none_or(|(_, next)| !next.is_alphanumeric());
        if width == 0 || width > 4 || !is_alone {
            break;
        }
        // One sign of another kind, or the same sign again, is the border of a word.
        if width == 1 && is_same {
            run.gaps.push(start..at);
            joined += 1;
            borders = 0;
        } else {
            if is_blank {
                run.borders.push(start..at);
            }
            borders += 1;
        }
        letters += usize::from(letter.is_alphabetic());
        run.is_sure |= joined >= SURE_LETTERS && letters * 3 > joined * 2;
        // Letters that stand alone, or are figures, are followed no further: they are looked at again from the next.
        if borders > 3 || (!run.is_sure && joined > 8 && letters * 2 <= joined) {
            break;
        }
        run.len = at + letter.len_utf8();
    }
    (joined >= SPACED_LETTERS && (run.is_sure || letters * 2 > joined)).then_some(run)
}

/// Writes letters for the digits and signs that stand for them, if enough words of the text are written so.
pub(super) fn unleet(text: &str, signals: &mut Signals) -> Step {
    let letters = Letters::new();
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    let (mut sure, mut plain) = (0_usize, 0_usize);
    for range in tokens(text) {
        let word = text.get(range.clone()).unwrap_or_default();
        if let Some(spelled) = spelled(letters, word) {
            let usual = letters.word(spelled.bytes());
            let pairs = i32::try_from(word.len()).unwrap_or(i32::MAX - 1) + 1;
            let has_letters = word.bytes().any(|b| b.is_ascii_alphabetic());
            sure += usize::from(usual > pairs && is_inside(word));
            if has_letters || (usual > 0 && word.len() < 5) {
                words.push((range, spelled));
            }
        } else {
            plain += usize::from(word.len() > 3);
        }
    }
    if sure < LEET_WORDS || sure * 3 < plain {
        return None;
    }
    let mut rewrite = Rewrite::new(text);
    for (range, spelled) in words {
        signals.add(Signal::Leet, range.clone());
        rewrite.replace(range, &spelled, How::Same);
    }
    rewrite.finish()
}

/// Whether a sign stands before a letter, where names with a number or a `$` have none.
fn is_inside(word: &str) -> bool {
    let bytes = word.trim_start_matches(['$', '@', '!', '|', '+']).as_bytes();
    let is_inside =
        |pair: &[u8]| matches!(pair, [a, b] if !a.is_ascii_alphabetic() && b.is_ascii_alphabetic());
    bytes.len() > 2 && bytes.windows(2).any(is_inside)
}

/// Runs of ASCII letters, digits and the signs that stand for letters.
fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'$' | b'!' | b'|' | b'+');
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let start = at + rest.iter().position(|b| is_part(*b))?;
        let rest = bytes.get(start..)?;
        let mut end = start + rest.iter().position(|b| !is_part(*b)).unwrap_or(rest.len());
        at = end;
        while end > start + 1 && bytes.get(end - 1).is_some_and(|b| matches!(b, b'!' | b'+')) {
            end -= 1;
        }
        Some(start..end)
    })
}

/// What a word reads as, if it has signs and all of them stand for letters.
fn spelled(letters: Letters, word: &str) -> Option<String> {
    let signs = word.bytes().filter(|b| !b.is_ascii_alphabetic()).count();
    if word.len() > 24 || signs == 0 {
        return None;
    }
    let mut out = String::with_capacity(word.len());
    let bytes = word.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let left = out.as_bytes().last().map_or(0, |b| letters.sign(*b));
        let right = bytes.get(index + 1).map_or(0, |b| letters.sign(stands_for(*b).0));
        let (one, other) = stands_for(*byte);
        let fits = |b: u8| Letters::pair(left, letters.sign(b)) + Letters::pair(letters.sign(b), right);
        out.push(char::from(if fits(other) > fits(one) { other } else { one }));
    }
    out.bytes().all(|b| b.is_ascii_alphabetic()).then_some(out)
}

/// The letters that a sign may stand for.
fn stands_for(byte: u8) -> (u8, u8) {
    match byte {
        b'0' => (b'o', b'o'),
        b'1' | b'!' | b'|' => (b'i', b'l'),
        b'2' => (b'z', b'z'),
        b'3' => (b'e', b'e'),
        b'4' | b'@' => (b'a', b'a'),
        b'5' | b'$' => (b's', b's'),
        b'6' | b'9' => (b'g', b'g'),
        b'7' | b'+' => (b't', b't'),
        b'8' => (b'b', b'b'),
        _ => (byte, byte),
    }
}
