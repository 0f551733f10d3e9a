//! Characters that are not seen, or look like others.

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::alike::{squared, strong, weak};
use super::map::{How, Map, Rewrite};
use super::{Signal, Signals};

/// How a step answers: the new text with its map, or `None` where there was nothing to do.
pub(super) type Step = Option<(String, Map)>;

/// From how many variation selectors in a row they carry bytes instead of choosing a glyph.
const SELECTORS: usize = 4;

/// Removes what cannot be seen; what was written with invisible letters (tags, variation selectors) is shown.
pub(super) fn strip(text: &str, signals: &mut Signals) -> Step {
    let mut rewrite = Rewrite::new(text);
    let mut chars = text.char_indices().peekable();
    let mut last = '\0';
    while let Some((start, c)) = chars.next() {
        let Some(signal) = unseen(c) else {
            last = c;
            continue;
        };
        let mut run = vec![c];
        let mut end = start + c.len_utf8();
        while let Some((at, next)) = chars.next_if(|(_, next)| unseen(*next) == Some(signal)) {
            run.push(next);
            end = at + next.len_utf8();
        }
        let shown = match signal {
            Signal::Tags if last == '\u{1f3f4}' && run.len() <= 8 => {
                rewrite.replace(start..end, "", How::Whole);
                continue;
            }
            Signal::Tags => run.iter().filter_map(|c| tag(*c)).collect(),
            Signal::Selectors if run.len() >= SELECTORS => selected(&run),
            _ => String::new(),
        };
        let is_ordinary = match signal {
            Signal::Selectors => run.len() < SELECTORS,
            Signal::ZeroWidth => joins(last) && run.len() < SELECTORS,
            _ => false,
        };
        if !is_ordinary {
            signals.add(signal, start..end);
        }
        rewrite.replace(start..end, &shown, How::Whole);
    }
    rewrite.finish()
}

/// The kind of a character that is not seen.
fn unseen(c: char) -> Option<Signal> {
    match c {
        '\u{e0000}'..='\u{e007f}' => Some(Signal::Tags),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            Some(if matches!(c, '\u{202d}' | '\u{202e}') { Signal::Bidi } else { Signal::ZeroWidth })
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Some(Signal::Selectors),
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}' => {
            Some(Signal::PrivateUse)
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' => Some(Signal::ZeroWidth),
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' => {
            Some(Signal::ZeroWidth)
        }
        _ => None,
    }
}

/// Whether joiners and marks of direction are ordinary behind `c`: scripts that need them, and emoji.
fn joins(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{fb1d}'..='\u{fdff}')
        || matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\0')
}

/// The letter that a tag stands for.
fn tag(c: char) -> Option<char> {
    char::from_u32((c as u32).checked_sub(0xe_0000)?).filter(|c| matches!(c, ' '..='~'))
}

/// The text that a run of variation selectors spells, one byte each.
fn selected(run: &[char]) -> String {
    let byte = |c: &char| match *c as u32 {
        code @ 0xfe00..=0xfe0f => u8::try_from(code - 0xfe00).ok(),
        code => u8::try_from(code.checked_sub(0xe_0100)? + 16).ok(),
    };
    let bytes: Vec<u8> = run.iter().filter_map(byte).collect();
    String::from_utf8(bytes).ok().filter(|text| text.chars().all(is_shown)).unwrap_or_default()
}

/// Whether a character may stand in a decoded text.
pub(super) fn is_shown(c: char) -> bool {
    (!c.is_control() || matches!(c, '\n' | '\t' | '\r')) && c != '\u{fffd}'
}

/// NFKC (UAX #15), a character with its marks at a time, so that every other byte keeps its place.
pub(super) fn compose(text: &str) -> Step {
    let mut rewrite = Rewrite::new(text);
    let mut chars = text.char_indices().peekable();
    let mut composed = String::new();
    while let Some((start, c)) = chars.next() {
        if c.is_ascii() && chars.peek().is_none_or(|(_, next)| next.is_ascii()) {
            continue;
        }
        let mut end = start + c.len_utf8();
        while let Some((at, next)) = chars.next_if(|(_, next)| is_attached(*next)) {
            end = at + next.len_utf8();
        }
        let Some(cluster) = text.get(start..end) else { continue };
        if is_nfkc_quick(cluster.chars()) == IsNormalized::Yes && !is_loose(cluster) {
            continue;
        }
        composed.clear();
        composed.extend(cluster.nfkc());
        if is_loose(&composed) {
            composed.retain(|c| canonical_combining_class(c) == 0);
        }
        if composed != cluster {
            rewrite.replace(start..end, &composed, How::Whole);
        }
    }
    rewrite.finish()
}

/// Whether a character is composed with the one before it.
fn is_attached(c: char) -> bool {
    !c.is_ascii()
        && (canonical_combining_class(c) != 0 || is_nfkc_quick(std::iter::once(c)) == IsNormalized::Maybe)
}

/// A Latin letter under marks that no language composes with it.
fn is_loose(cluster: &str) -> bool {
    let mut chars = cluster.chars();
    chars.next().is_some_and(is_latin) && chars.next().is_some_and(|c| canonical_combining_class(c) != 0)
}

/// A letter of the Latin script.
pub(super) fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic()
        || (matches!(c, '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') && c.is_alphabetic())
}

/// Writes letters that look Latin as Latin where the word or the text is Latin.
pub(super) fn fold(text: &str, signals: &mut Signals) -> Step {
    let mut latin = 0_usize;
    let mut other = 0_usize;
    for word in words(text) {
        match kind(word.1) {
            Kind::Latin | Kind::Mixed => latin += word.1.chars().count(),
            Kind::Other => other += word.1.chars().count(),
            Kind::Alike => {}
        }
    }
    let mut rewrite = Rewrite::new(text);
    let mut at = 0;
    for (start, word) in words(text) {
        marks(text, at, start, &mut rewrite);
        at = start + word.len();
        let is_folded = match kind(word) {
            Kind::Mixed => true,
            Kind::Alike => latin > other,
            Kind::Latin | Kind::Other => false,
        };
        if is_folded {
            signals.add(Signal::Homoglyphs, start..at);
            fold_word(start, word, &mut rewrite);
        }
    }
    marks(text, at, text.len(), &mut rewrite);
    rewrite.finish()
}

fn fold_word(start: usize, word: &str, rewrite: &mut Rewrite<'_>) {
    let mut buffer = [0; 4];
    let mut chars = word.char_indices().peekable();
    while let Some((index, c)) = chars.next() {
        let Some(letter) = weak(c) else { continue };
        let mut end = index + c.len_utf8();
        while let Some((at, mark)) = chars.next_if(|(_, next)| canonical_combining_class(*next) != 0) {
            end = at + mark.len_utf8();
        }
        rewrite.replace(start + index..start + end, letter.encode_utf8(&mut buffer), How::Whole);
    }
}

/// Quotation marks and dashes between words, as ASCII has them.
fn marks(text: &str, from: usize, to: usize, rewrite: &mut Rewrite<'_>) {
    let between = text.get(from..to).unwrap_or_default();
    if between.is_ascii() {
        return;
    }
    for (index, c) in between.char_indices() {
        let ascii = match c {
            '\u{2018}'..='\u{201b}' | '\u{2bc}' | '\u{2032}' => "'",
            '\u{201c}'..='\u{201f}' | '\u{2033}' => "\"",
            '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
            '\u{2028}' | '\u{2029}' | '\u{85}' => "\n",
            _ => continue,
        };
        rewrite.replace(from + index..from + index + c.len_utf8(), ascii, How::Whole);
    }
}

/// What a word's letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Latin,
    /// Latin letters and letters that look like them.
    Mixed,
    /// Only letters that look Latin.
    Alike,
    Other,
}

fn kind(word: &str) -> Kind {
    if word.is_ascii() {
        return Kind::Latin;
    }
    let mut has_latin = false;
    let (mut all_strong, mut all_weak, mut any) = (true, true, false);
    for c in word.chars().filter(|c| canonical_combining_class(*c) == 0) {
        if is_latin(c) {
            has_latin = true;
        } else {
            any = true;
            all_strong &= strong(c).is_some();
            all_weak &= weak(c).is_some();
        }
    }
    match (has_latin, any) {
        (true, false) => Kind::Latin,
        (true, true) if all_weak => Kind::Mixed,
        (false, true) if all_strong => Kind::Alike,
        _ => Kind::Other,
    }
}

/// Runs of letters and their marks, with where they start.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = text;
    let mut base = 0;
    std::iter::from_fn(move || {
        let is_part =
            |c: char| c.is_alphabetic() || canonical_combining_class(c) != 0 || squared(c).is_some();
        let start = rest.find(is_part)?;
        let tail = rest.get(start..)?;
        let len = tail.find(|c| !is_part(c)).unwrap_or(tail.len());
        let word = (base + start, tail.get(..len)?);
        base += start + len;
        rest = tail.get(len..)?;
        Some(word)
    })
}
