//! What the model counts in a text: words, characters and concepts, one to five in a row, as hashes.

use super::concepts::Lexicon;
use super::fold::{SPACE, fold};

/// Bits of a feature's index.
pub(super) const BITS: u32 = 19;
/// How many features there are, for each head.
pub const FEATURES: usize = 1 << BITS;
/// Where the features of concepts begin; they share no index with others, for they are few and matter most.
pub const CONCEPTS: usize = FEATURES - (1 << 16);
/// How much a feature of words, and one of concepts, counts against one of characters.
const WORD: i32 = 2;
const CONCEPT: i32 = 8;

/// Takes one feature: the byte it starts at, its index below [`FEATURES`], how much it counts.
pub(super) trait Sink {
    /// Takes it. `is_concept` does not count for the length of the text.
    fn take(&mut self, at: usize, index: usize, count: i32, is_concept: bool);
}

/// Gives every feature of `text` to `sink`.
pub(super) fn features(text: &str, sink: &mut impl Sink) {
    let folded = fold(text);
    let chars: &[u32] = &folded.chars;
    let at = |index: usize| folded.at.get(index).map_or(0, |at| *at as usize);
    let mut words = Words::default();
    let mut seen = Seen::default();
    let lexicon = Lexicon::shared();
    let mut before = SPACE;
    let mut skip = 0;
    for (index, sign) in chars.iter().copied().enumerate() {
        let place = at(index);
        let rest = chars.get(index..).unwrap_or_default();
        grams(rest, place, sink);
        let kind = Kind::of(sign);
        if kind == Kind::None {
            words.end(place, sink);
        } else if kind == Kind::Sign {
            words.end(place, sink);
            words.letter(sign);
            words.end(place, sink);
        } else {
            words.letter(sign);
        }
        // Words of Arabic and Hebrew carry particles in front; Thai, Chinese and Japanese have no spaces.
        let is_start = match kind {
            Kind::None => false,
            Kind::Letter => !is_letter(before),
            Kind::Particle | Kind::Sign | Kind::Thai => true,
        };
        before = if kind == Kind::Particle && is_particle(sign) && !is_letter(before) { SPACE } else { sign };
        if is_start
            && index >= skip
            && let Some(hit) = lexicon.longest(rest)
        {
            seen.concept(hit.concept, words.count, place, sink);
            skip = index + hit.len;
        }
    }
    words.end(text.len(), sink);
}

/// How a character takes part in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Not at all.
    None,
    /// A letter of a word.
    Letter,
    /// A letter of a word before which a particle may stand.
    Particle,
    /// A word by itself.
    Sign,
    /// A letter of a script without spaces.
    Thai,
}

impl Kind {
    fn of(sign: u32) -> Self {
        match sign {
            0x61..=0x7a | 0x30..=0x39 => Self::Letter,
            0..=0xbf => Self::None,
            0x590..=0x6ff => Self::Particle,
            0xe00..=0xe7f => Self::Thai,
            0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff => Self::Sign,
            0x2000..=0x303f | 0xfe00..=0xffff => Self::None,
            _ => Self::Letter,
        }
    }
}

/// Whether a character belongs to a word.
pub(super) fn is_letter(sign: u32) -> bool {
    Kind::of(sign) != Kind::None
}

fn is_particle(sign: u32) -> bool {
    char::from_u32(sign).is_some_and(|c| {
        matches!(c, 'و' | 'ف' | 'ب' | 'ل' | 'ك' | 'ا' | 'ו' | 'ה' | 'ב' | 'ל' | 'מ' | 'ש' | 'כ')
    })
}

/// Three to five characters.
fn grams(rest: &[u32], place: usize, sink: &mut impl Sink) {
    let mut hash = 0x2f0b_4a27;
    for (len, sign) in rest.iter().take(5).enumerate() {
        hash = step(hash, *sign);
        if len >= 2 {
            sink.take(place, plain(hash), 1, false);
        }
    }
}

/// The word being read, and the two before it.
#[derive(Default)]
struct Words {
    hash: u32,
    last: [u32; 2],
    count: usize,
}

impl Words {
    fn letter(&mut self, sign: u32) {
        self.hash = step(if self.hash == 0 { 0x7b1d_c0a1 } else { self.hash }, sign);
    }

    /// One, two and three words.
    fn end(&mut self, place: usize, sink: &mut impl Sink) {
        if self.hash == 0 {
            return;
        }
        let [second, first] = self.last;
        let place = place.saturating_sub(1);
        sink.take(place, plain(self.hash), WORD, false);
        if second != 0 {
            let two = step(second, self.hash);
            sink.take(place, plain(two), WORD, false);
            if first != 0 {
                sink.take(place, plain(step(first.rotate_left(7), two)), WORD, false);
            }
        }
        self.last = [self.hash, second];
        self.hash = 0;
        self.count += 1;
    }
}

/// The concepts read so far.
#[derive(Default)]
struct Seen {
    last: [(u32, usize); 3],
}

impl Seen {
    /// A concept alone, behind another (near or far), behind the one before that, and behind two.
    fn concept(&mut self, concept: u32, word: usize, place: usize, sink: &mut impl Sink) {
        let [one, two, three] = self.last;
        let alone = step(0x3c6e_f372, concept);
        let mut take = |hash: u32| sink.take(place, CONCEPTS + (index(hash) >> 3), CONCEPT, true);
        take(alone);
        let gap = |from: usize| match word.saturating_sub(from) {
            0..=2 => 1,
            3..=6 => 2,
            7..=16 => 3,
            _ => 0,
        };
        let near = gap(one.1);
        if one.0 != 0 && near != 0 {
            take(step(step(alone, one.0), 101));
            take(step(step(alone, one.0), 101 + near));
            if two.0 != 0 && gap(two.1) != 0 {
                take(step(step(alone, two.0), 107));
                let triple = step(step(alone, one.0), two.0);
                take(step(triple, 109));
                if three.0 != 0 && gap(three.1) != 0 {
                    take(step(step(alone, three.0), 107));
                    take(step(step(triple, three.0), 113));
                }
            }
        }
        self.last = [(concept, word), one, two];
    }
}

/// One more sign in a hash.
pub(super) const fn step(hash: u32, sign: u32) -> u32 {
    (hash.rotate_left(5) ^ sign).wrapping_mul(0x9e37_79b1)
}

/// The feature of a hash of characters or words.
const fn plain(hash: u32) -> usize {
    let index = index(hash);
    if index < CONCEPTS { index } else { index - (FEATURES >> 1) }
}

/// A hash in the range of features.
const fn index(hash: u32) -> usize {
    ((hash ^ hash >> 15).wrapping_mul(0x85eb_ca6b) >> (32 - BITS)) as usize
}
