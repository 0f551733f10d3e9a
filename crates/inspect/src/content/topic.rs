//! Topics: words and phrases of any language, told by their letters alone.

use rustc_hash::FxHashMap;
use unicode_normalization::UnicodeNormalization;

/// Most bytes that one occurrence takes for each byte of the longest phrase: marks and blanks between its letters count.
const SLACK: usize = 4;

/// Words and phrases. Case, width and what nothing shows do not matter, any white space is one blank, and where a script
/// has spaces a word must stand by itself.
#[derive(Debug, Default)]
pub struct Topic {
    next: FxHashMap<(u32, char), u32>,
    ends: Vec<bool>,
    longest: usize,
}

/// What stands at a place.
pub(super) enum Found {
    No,
    /// So many bytes.
    Yes(usize),
    /// More text decides.
    More,
}

impl Topic {
    /// These words and phrases; `None` if one of them has no letter or digit.
    pub fn new<'t>(phrases: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        let mut topic = Self { ends: vec![false], ..Self::default() };
        for phrase in phrases {
            let phrase = phrase.trim();
            if !phrase.chars().any(char::is_alphanumeric) {
                return None;
            }
            let mut state = 0_u32;
            let mut was_blank = false;
            for sign in phrase.chars().flat_map(folded) {
                let is_blank = sign == ' ';
                if !(is_blank && was_blank) {
                    state = topic.step_or_grow(state, sign);
                }
                was_blank = is_blank;
            }
            if let Some(end) = topic.ends.get_mut(state as usize) {
                *end = true;
            }
            topic.longest = topic.longest.max(phrase.len() * SLACK + 16);
        }
        Some(topic)
    }

    fn step_or_grow(&mut self, state: u32, sign: char) -> u32 {
        let new = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let next = *self.next.entry((state, sign)).or_insert(new);
        if next == new {
            self.ends.push(false);
        }
        next
    }

    /// Whether a phrase can start at `text`, which stands behind `before`: the longest one counts.
    pub(super) fn probe(&self, before: Option<char>, text: &str, is_whole: bool) -> Found {
        let Some(first) = text.chars().next().filter(|first| !is_unseen(*first)) else { return Found::No };
        if before.is_some_and(|before| joins(before, first)) {
            return Found::No;
        }
        let (mut state, mut was_blank, mut found) = (0_u32, false, None);
        let mut last = first;
        for (place, sign) in text.char_indices() {
            // The sign behind a phrase says whether it stands by itself.
            if self.is_end(state) && !is_unseen(sign) && !joins(last, sign) {
                found = Some(place);
            }
            if place > self.longest {
                return found.map_or(Found::No, Found::Yes);
            }
            let blank = folded(sign).eq([' ']);
            if is_unseen(sign) || (blank && was_blank) {
                continue;
            }
            for part in folded(sign) {
                let Some(next) = self.next.get(&(state, part)) else {
                    return found.map_or(Found::No, Found::Yes);
                };
                state = *next;
            }
            (was_blank, last) = (blank, sign);
        }
        if !is_whole {
            return Found::More;
        }
        match self.is_end(state) {
            true => Found::Yes(text.len()),
            false => found.map_or(Found::No, Found::Yes),
        }
    }

    fn is_end(&self, state: u32) -> bool {
        self.ends.get(state as usize).copied().unwrap_or(false)
    }
}

/// A sign without case and width; white space is a blank.
fn folded(sign: char) -> impl Iterator<Item = char> {
    let sign = if sign.is_whitespace() { ' ' } else { sign };
    std::iter::once(sign).nfkc().flat_map(char::to_lowercase).filter(|sign| !is_unseen(*sign))
}

/// Signs that nothing shows.
fn is_unseen(sign: char) -> bool {
    matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Whether two signs beside each other are of one word.
fn joins(left: char, right: char) -> bool {
    left.is_alphanumeric() && right.is_alphanumeric() && !(is_unspaced(left) || is_unspaced(right))
}

/// Signs of scripts that write words without spaces between them.
fn is_unspaced(sign: char) -> bool {
    matches!(sign, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}
