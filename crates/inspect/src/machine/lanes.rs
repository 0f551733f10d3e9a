//! The first sieve: where may any detector start at all.

use memchr::memchr;

use crate::detect::{Bytes, Detector, Start, is_local, is_word, local_start};

/// How many independent conditions fit the table. There are fewer starts, so that none shares one with another.
const BUCKETS: usize = 128;
/// How many marks there are: see [`mark_of`].
const MARKS: usize = 64;
/// Places that are looked at together.
const WIDTH: usize = 32;
/// Most signs that a detector may start with anywhere.
const SIGNS: usize = 12;

/// For every byte, the buckets that admit it to the left of a candidate, and as its first, second and third byte.
///
/// PERF: most bytes of a text neither begin a word nor are a sign that some detector starts with; [`Edges`] passes
/// over them, many at a time. What is left costs five loads and four ands; the buckets that survive are the detectors
/// worth asking.
#[derive(Debug)]
pub(super) struct Lanes {
    edges: Edges,
    left: Box<[u128; 256]>,
    first: Box<[u128; 256]>,
    second: Box<[u128; 256]>,
    third: Box<[u128; 256]>,
    /// For each bucket, the detectors that start so.
    owners: [u64; BUCKETS],
    /// For each mark, the buckets with a prefix of it: classes byte by byte admit many mixtures of them.
    marked: Box<[u128; MARKS]>,
}

/// Where a detector may start by one byte and the byte before: at the first byte of a word or of a part of one
/// (`client_secret`, `clientSecret`), and at certain signs.
#[derive(Debug)]
struct Edges {
    /// The signs; what is not needed repeats another.
    signs: [u8; SIGNS],
    /// More signs than fit: every place counts.
    is_everywhere: bool,
}

impl Edges {
    /// The edges at which each of these can start.
    fn new<'d>(starts: impl Iterator<Item = &'d Start>) -> Self {
        let mut signs: Vec<u8> = starts
            .flat_map(|start| {
                let lefts: Vec<u8> =
                    (0..=u8::MAX).filter(|left| is_word(*left) && (start.left)(*left)).collect();
                (0..=u8::MAX).filter(move |first| {
                    start.admits(0, *first)
                        && !(is_word(*first) && lefts.iter().all(|left| is_part(*left, *first)))
                })
            })
            .collect();
        signs.sort_unstable();
        signs.dedup();
        let filler = signs.first().copied().unwrap_or_default();
        let mut places = signs.iter().copied();
        let signs_that_fit = std::array::from_fn(|_| places.next().unwrap_or(filler));
        Self { signs: signs_that_fit, is_everywhere: places.next().is_some() }
    }

    /// One bit for each place of `block`, the first lowest: whether it is an edge. `before` is the text one byte
    /// earlier.
    fn mask(&self, before: &[u8; WIDTH], block: &[u8; WIDTH]) -> u32 {
        // PERF: one flat expression for each byte, or the compiler turns the loops inside out.
        let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11] = self.signs;
        let mut marks = [u8::from(self.is_everywhere); WIDTH];
        for ((mark, byte), before) in marks.iter_mut().zip(block).zip(before) {
            let b = *byte;
            let is_sign = (b == s0)
                | (b == s1)
                | (b == s2)
                | (b == s3)
                | (b == s4)
                | (b == s5)
                | (b == s6)
                | (b == s7)
                | (b == s8)
                | (b == s9)
                | (b == s10)
                | (b == s11);
            let is_inner = (*before == b'_') | (is_upper(b) & !is_upper(*before));
            *mark |= u8::from(is_sign | (is_of_word(b) & (!is_of_word(*before) | is_inner)));
        }
        // The product gathers the lowest bits of eight bytes in its highest byte.
        let bits = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        let gathered = marks.as_chunks().0.iter().rev().fold(0, |mask, eight| mask << 8 | bits(eight));
        u32::try_from(gathered).unwrap_or(u32::MAX)
    }
}

impl Lanes {
    /// The sieve for these detectors.
    pub(super) fn new(detectors: impl Iterator<Item = Detector> + Clone) -> Self {
        let [mut left, mut first, mut second, mut third] = std::array::from_fn(|_| Box::new([0_u128; 256]));
        let mut owners = [0_u64; BUCKETS];
        let mut marked = Box::new([0_u128; MARKS]);
        let starts =
            detectors.flat_map(|detector| detector.starts().iter().map(move |start| (detector, start)));
        for (index, (detector, start)) in starts.clone().enumerate() {
            let bucket = index % BUCKETS;
            let mark = |lane: &mut [u128; 256], admits: &dyn Fn(u8) -> bool| {
                for (byte, entry) in (0_u8..=255).zip(lane.iter_mut()) {
                    *entry |= u128::from(admits(byte)) << bucket;
                }
            };
            // INVARIANT: a quote is as good as the start of a text, so that a JSON document may be sieved as it is.
            mark(&mut left, &|byte| (start.left)(byte) || (byte == b'"' && (start.left)(b'\n')));
            mark(&mut first, &|byte| start.admits(0, byte));
            mark(&mut second, &|byte| start.admits(1, byte));
            mark(&mut third, &|byte| start.admits(2, byte));
            if let Some(owner) = owners.get_mut(bucket) {
                *owner |= detector.bit();
            }
            for (mark, buckets) in marked.iter_mut().enumerate() {
                let has_it = match &start.bytes {
                    Bytes::Classes(_) => true,
                    Bytes::Prefixes(all) | Bytes::Words(all) => {
                        all.iter().any(|prefix| mark_of(prefix) == mark)
                    }
                };
                *buckets |= u128::from(has_it) << bucket;
            }
        }
        Self { edges: Edges::new(starts.map(|(_, start)| start)), left, first, second, third, owners, marked }
    }

    /// The detectors that may start at `place`, behind the byte `left`. What has not arrived may be anything.
    fn at(&self, bytes: &[u8], place: usize, left: u8) -> u64 {
        let rest = bytes.get(place..).unwrap_or_default();
        let of = |lane, index| rest.get(index).map_or(u128::MAX, |byte| entry(lane, *byte));
        let buckets = entry(&self.left, left) & of(&self.first, 0) & of(&self.second, 1) & of(&self.third, 2);
        self.detectors(buckets & rest.first_chunk().map_or(u128::MAX, |prefix| self.marked(prefix)))
    }

    /// The same, in the midst of a text.
    fn within(&self, [left, first, second, third]: [u8; 4]) -> u64 {
        let begun = entry(&self.left, left) & entry(&self.first, first) & entry(&self.second, second);
        // PERF: three of four words are none of ours by their second byte.
        if begun == 0 {
            return 0;
        }
        let buckets = begun & entry(&self.third, third);
        if buckets == 0 { 0 } else { self.detectors(buckets & self.marked(&[first, second, third])) }
    }

    /// The buckets with a prefix of the same mark.
    fn marked(&self, prefix: &[u8; 3]) -> u128 {
        self.marked.get(mark_of(prefix)).copied().unwrap_or(u128::MAX)
    }

    fn detectors(&self, mut buckets: u128) -> u64 {
        let mut set = 0;
        while buckets != 0 {
            set |= self.owners.get(buckets.trailing_zeros() as usize).copied().unwrap_or(u64::MAX);
            buckets &= buckets - 1;
        }
        set
    }
}

/// Whether a byte is of a word, without a branch.
const fn is_of_word(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10) | (byte == b'_')
}

const fn is_upper(byte: u8) -> bool {
    byte.wrapping_sub(b'A') < 26
}

/// One of the marks for three bytes, the same for both cases.
fn mark_of(prefix: &[u8; 3]) -> usize {
    let [a, b, c] = prefix.map(|byte| usize::from(byte | 0x20));
    ((a * 7) ^ (b * 29) ^ (c * 11)) % MARKS
}

/// Whether the byte `first` begins a part of a word behind `left`, a byte of the same word.
fn is_part(left: u8, first: u8) -> bool {
    left == b'_' || (first.is_ascii_uppercase() && !left.is_ascii_uppercase())
}

fn entry(lane: &[u128; 256], byte: u8) -> u128 {
    lane.get(usize::from(byte)).copied().unwrap_or(u128::MAX)
}

/// The candidates of one piece of text, in order.
pub(super) struct Candidates<'s, 't> {
    lanes: &'s Lanes,
    bytes: &'t [u8],
    /// The byte before them.
    prev: u8,
    /// Whether addresses are looked for.
    has_mail: bool,
    is_whole: bool,
    /// Start of the next local part, as far as it is known; past the end if there is none.
    mail: usize,
    /// From where that is true.
    mail_known: bool,
    block: Block,
}

/// The edges of a piece of the text that are still ahead.
#[derive(Default)]
struct Block {
    from: usize,
    to: usize,
    mask: u32,
}

impl<'s, 't> Candidates<'s, 't> {
    /// Of `bytes`, behind the byte `prev`.
    pub(super) fn new(lanes: &'s Lanes, has_mail: bool, bytes: &'t [u8], is_whole: bool, prev: u8) -> Self {
        let (mail, mail_known, block) = (usize::MAX, !has_mail, Block::default());
        Self { lanes, bytes, prev, has_mail, is_whole, mail, mail_known, block }
    }

    /// The first candidate at or after `from` and the detectors to ask there; before `mail_from` no address starts.
    /// `due` is a place that must be looked at whatever stands there. `from` never goes back.
    pub(super) fn next(&mut self, from: usize, mail_from: usize, due: Option<usize>) -> Option<(usize, u64)> {
        let earliest = from.max(mail_from);
        if self.has_mail && (!self.mail_known || self.mail < earliest) {
            self.mail = self.next_mail(earliest);
            self.mail_known = true;
        }
        let stop = self.mail.min(due.unwrap_or(usize::MAX));
        self.pass_over(from);
        while let Some(place) = self.edge().filter(|place| *place <= stop) {
            let mail = if place == self.mail { Detector::Email.bit() } else { 0 };
            let around = place.checked_sub(1).and_then(|before| self.bytes.get(before..)?.first_chunk());
            let set = match around {
                Some(around) => self.lanes.within(*around),
                None => self.lanes.at(self.bytes, place, self.before(place)),
            };
            let set = set | mail;
            if set != 0 || place == stop {
                return Some((place, set));
            }
            self.block.mask &= self.block.mask - 1;
        }
        let mail = if stop == self.mail { Detector::Email.bit() } else { 0 };
        (stop < self.bytes.len()).then_some((stop, mail))
    }

    /// Forgets the edges before `from`.
    fn pass_over(&mut self, from: usize) {
        if from >= self.block.to {
            self.block = Block { from, to: from, mask: 0 };
        } else {
            // What is between `from` and the block, if anything, was looked at: an address may start before an edge.
            self.block.mask &= u32::MAX << from.saturating_sub(self.block.from);
        }
    }

    /// The first edge ahead, which stays ahead.
    fn edge(&mut self) -> Option<usize> {
        while self.block.mask == 0 {
            let from = self.block.to;
            if from >= self.bytes.len() {
                return None;
            }
            self.block = Block { from, to: from + WIDTH, mask: self.mask(from) };
        }
        let place = self.block.from + self.block.mask.trailing_zeros() as usize;
        (place < self.bytes.len()).then_some(place)
    }

    /// The edges of the block that starts at `from`.
    fn mask(&self, from: usize) -> u32 {
        let window = from.checked_sub(1).and_then(|before| self.bytes.get(before..from + WIDTH));
        if let Some((before, block)) = window.and_then(|text| Some((text.first_chunk()?, text.last_chunk()?)))
        {
            return self.lanes.edges.mask(before, block);
        }
        // Less than a block, or the beginning: what is missing is no edge.
        let mut text = [0; WIDTH + 1];
        text[0] = self.before(from);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let length = rest.len().min(WIDTH);
        if let (Some(to), Some(rest)) = (text.get_mut(1..=length), rest.get(..length)) {
            to.copy_from_slice(rest);
        }
        let (Some(before), Some(block)) = (text.first_chunk(), text.last_chunk()) else { return u32::MAX };
        self.lanes.edges.mask(before, block)
    }

    fn before(&self, place: usize) -> u8 {
        place.checked_sub(1).and_then(|index| self.bytes.get(index)).copied().unwrap_or(self.prev)
    }

    /// Where the local part before the next `@` starts; in an unfinished text, also the one that may still get its `@`.
    fn next_mail(&self, mut from: usize) -> usize {
        loop {
            let at = self.bytes.get(from..).and_then(|rest| memchr(b'@', rest)).map(|index| from + index);
            match at {
                Some(at) => {
                    let start = local_start(self.bytes, from, at);
                    if start < at {
                        return start;
                    }
                    from = at + 1;
                }
                None if self.is_whole || !self.bytes.last().is_some_and(|byte| is_local(*byte)) => {
                    return usize::MAX;
                }
                None => {
                    let start = local_start(self.bytes, from.min(self.bytes.len()), self.bytes.len());
                    return if start < self.bytes.len() { start } else { usize::MAX };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_place_is_passed_over(
            text in "([a-zA-Z0-9_ .,:;+<>\\[\\]|/\"-]|ignore|sk-|_tok|clientSec|<\\|im|4111|\u{e9}){0,120}",
            steps in proptest::collection::vec(1_usize..40, 1..20),
            prev: u8,
            chosen in 1_u64..(1 << Detector::COUNT),
        ) {
            let chosen = chosen & !Detector::Email.bit();
            let lanes = Lanes::new(Detector::ALL.into_iter().filter(|one| chosen & one.bit() != 0));
            let bytes = text.as_bytes();
            let mut candidates = Candidates::new(&lanes, false, bytes, true, prev);
            let (mut from, mut steps) = (0, steps.into_iter().cycle());
            while from < bytes.len() {
                let naive = (from..bytes.len()).find_map(|place| {
                    let left = if place == 0 { prev } else { bytes[place - 1] };
                    Some((place, lanes.at(bytes, place, left))).filter(|(_, set)| *set != 0)
                });
                prop_assert_eq!(candidates.next(from, 0, None), naive);
                from += steps.next().unwrap_or(1);
            }
        }
    }

    #[test]
    fn every_start_has_a_bucket_of_its_own() {
        let starts: usize = Detector::ALL.into_iter().map(|detector| detector.starts().len()).sum();
        assert!(starts <= BUCKETS, "{starts}");
    }

    #[test]
    fn what_starts_anywhere_is_few_signs() {
        let lanes = Lanes::new(Detector::ALL.into_iter());
        assert!(!lanes.edges.is_everywhere);
    }

    #[test]
    fn too_many_signs_make_every_place_an_edge() {
        let start = Start { left: |_| true, bytes: Bytes::Classes([|b| b < 0x80, |_| true, |_| true]) };
        let edges = Edges::new(std::iter::once(&start));
        assert_eq!(edges.mask(&[b'a'; WIDTH], &[b'a'; WIDTH]), u32::MAX);
    }
}
