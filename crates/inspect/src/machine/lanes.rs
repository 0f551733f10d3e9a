//! The first sieve: where may any detector start at all.

use memchr::memchr;

use crate::detect::{Bytes, Detector, Start, is_local, is_word, local_start};

/// How many independent conditions fit the table. There are fewer starts, so that none shares one with another.
const BUCKETS: usize = 128;
/// Places that are looked at together.
const WIDTH: usize = 32;
/// Most signs that a detector may start with anywhere.
const SIGNS: usize = 8;

/// For every byte, the buckets that admit it to the left of a candidate, and as its first, second and third byte.
///
/// PERF: most bytes of a text neither begin a word nor are a sign that some detector starts with; [`Edges`] passes
/// over them, many at a time. What is left costs four loads and three ands, and for each bucket that survives one more
/// test; what passes that are the detectors worth asking.
#[derive(Debug)]
pub(super) struct Lanes {
    edges: Edges,
    left: Box<[u128; 256]>,
    first: Box<[u128; 256]>,
    second: Box<[u128; 256]>,
    third: Box<[u128; 256]>,
    /// For each bucket, the detectors that start so.
    owners: [u64; BUCKETS],
    /// For each bucket, the marks of its prefixes: classes byte by byte admit many mixtures of them.
    marks: [u64; BUCKETS],
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

    /// One byte for each place, which is 1 at an edge. `before` is the text one byte earlier than `block`.
    fn marks(&self, before: &[u8; WIDTH], block: &[u8; WIDTH]) -> [u8; WIDTH] {
        let mut marks = [u8::from(self.is_everywhere); WIDTH];
        for ((mark, byte), before) in marks.iter_mut().zip(block).zip(before) {
            let is_inner = u8::from(*before == b'_')
                | (u8::from(byte.is_ascii_uppercase()) & u8::from(!before.is_ascii_uppercase()));
            *mark |= u8::from(is_word(*byte)) & (u8::from(!is_word(*before)) | is_inner);
        }
        for sign in self.signs {
            for (mark, byte) in marks.iter_mut().zip(block) {
                *mark |= u8::from(*byte == sign);
            }
        }
        marks
    }
}

impl Lanes {
    /// The sieve for these detectors.
    pub(super) fn new(detectors: impl Iterator<Item = Detector> + Clone) -> Self {
        let [mut left, mut first, mut second, mut third] = std::array::from_fn(|_| Box::new([0_u128; 256]));
        let mut owners = [0_u64; BUCKETS];
        let mut marks = [0_u64; BUCKETS];
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
            if let Some(known) = marks.get_mut(bucket) {
                *known |= match &start.bytes {
                    Bytes::Classes(_) => u64::MAX,
                    Bytes::Prefixes(all) | Bytes::Words(all) => {
                        all.iter().fold(0, |sum, prefix| sum | (1 << mark_of(prefix)))
                    }
                };
            }
        }
        Self { edges: Edges::new(starts.map(|(_, start)| start)), left, first, second, third, owners, marks }
    }

    /// The first place in `from..to` where a detector may start, and which ones. `prev` is the byte before `from`.
    fn find(&self, bytes: &[u8], from: usize, to: usize, prev: u8) -> Option<(usize, u64)> {
        let end = to.min(bytes.len());
        if from < end
            && let Some(set) = self.at(bytes, from, prev)
        {
            return Some((from, set));
        }
        let mut place = from + 1;
        while place < end
            && let Some(window) = bytes.get(place - 1..place + WIDTH)
            && let (Some(before), Some(block)) = (window.first_chunk(), window.last_chunk())
        {
            let marks = self.edges.marks(before, block);
            for (word, eight) in (0..).zip(marks.as_chunks().0) {
                let mut left = u64::from_le_bytes(*eight);
                while left != 0 {
                    let here = place + word * 8 + left.trailing_zeros() as usize / 8;
                    if here >= end {
                        return None;
                    }
                    if let Some(set) = self.after(bytes, here) {
                        return Some((here, set));
                    }
                    left &= left - 1;
                }
            }
            place += WIDTH;
        }
        (place..end).find_map(|here| Some((here, self.after(bytes, here)?)))
    }

    /// The detectors that may start at `place`, which is not the first of `bytes`.
    fn after(&self, bytes: &[u8], place: usize) -> Option<u64> {
        self.at(bytes, place, *bytes.get(place.checked_sub(1)?)?)
    }

    /// The detectors that may start at `place`, behind the byte `left`. What has not arrived may be anything.
    fn at(&self, bytes: &[u8], place: usize, left: u8) -> Option<u64> {
        let rest = bytes.get(place..)?;
        let of = |lane, index| rest.get(index).map_or(u128::MAX, |byte| entry(lane, *byte));
        let buckets = entry(&self.left, left) & of(&self.first, 0) & of(&self.second, 1) & of(&self.third, 2);
        if buckets == 0 {
            return None;
        }
        let set = self.detectors(buckets, rest.first_chunk().map(mark_of));
        (set != 0).then_some(set)
    }

    /// The detectors of these buckets, as far as they have a prefix of this mark. Without one they all count.
    fn detectors(&self, mut buckets: u128, mark: Option<u32>) -> u64 {
        let mut set = 0;
        while buckets != 0 {
            let bucket = buckets.trailing_zeros() as usize;
            let known = self.marks.get(bucket).copied().unwrap_or(u64::MAX);
            if mark.is_none_or(|mark| (known >> mark) & 1 == 1) {
                set |= self.owners.get(bucket).copied().unwrap_or(u64::MAX);
            }
            buckets &= buckets - 1;
        }
        set
    }
}

/// One of 64 marks for three bytes, the same for both cases.
fn mark_of(prefix: &[u8; 3]) -> u32 {
    let [a, b, c] = prefix.map(|byte| u32::from(byte | 0x20));
    (a.wrapping_mul(7) ^ b.wrapping_mul(29) ^ c.wrapping_mul(11)) & 63
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
    /// Whether addresses are looked for.
    has_mail: bool,
    is_whole: bool,
    /// Start of the next local part, as far as it is known; past the end if there is none.
    mail: usize,
    /// From where that is true.
    mail_known: bool,
}

impl<'s, 't> Candidates<'s, 't> {
    pub(super) fn new(lanes: &'s Lanes, has_mail: bool, bytes: &'t [u8], is_whole: bool) -> Self {
        Self { lanes, bytes, has_mail, is_whole, mail: usize::MAX, mail_known: !has_mail }
    }

    /// The first candidate at or after `from` and the detectors to ask there. `prev` is the byte before `from`;
    /// before `mail_from` no address starts. `due` is a place that must be looked at whatever stands there.
    pub(super) fn next(
        &mut self,
        from: usize,
        prev: u8,
        mail_from: usize,
        due: Option<usize>,
    ) -> Option<(usize, u64)> {
        let earliest = from.max(mail_from);
        if self.has_mail && (!self.mail_known || self.mail < earliest) {
            self.mail = self.next_mail(earliest);
            self.mail_known = true;
        }
        let mail = self.mail.min(self.bytes.len());
        let end = mail.min(due.unwrap_or(usize::MAX));
        if let Some(found) = self.lanes.find(self.bytes, from, end, prev) {
            return Some(found);
        }
        if end == self.bytes.len() {
            return None;
        }
        let is_mail = if end == mail { Detector::Email.bit() } else { 0 };
        let before =
            end.checked_sub(1).filter(|index| *index >= from).and_then(|index| self.bytes.get(index));
        let others = self.lanes.find(self.bytes, end, end + 1, before.copied().unwrap_or(prev));
        Some((end, is_mail | others.map_or(0, |(_, set)| set)))
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

    /// Every place, asked one by one.
    fn naive(lanes: &Lanes, bytes: &[u8], from: usize, to: usize, prev: u8) -> Option<(usize, u64)> {
        let mut left = prev;
        for place in from..to.min(bytes.len()) {
            if let Some(set) = lanes.at(bytes, place, left) {
                return Some((place, set));
            }
            left = bytes[place];
        }
        None
    }

    proptest! {
        #[test]
        fn no_place_is_passed_over(
            text in "([a-zA-Z0-9_ .,:;+<>\\[\\]|/\"-]|ignore|sk-|_tok|clientSec|<\\|im|4111|\u{e9}){0,120}",
            from in 0_usize..200,
            to in 0_usize..300,
            prev: u8,
            chosen in 1_u64..(1 << Detector::COUNT),
        ) {
            let lanes = Lanes::new(Detector::ALL.into_iter().filter(|one| chosen & one.bit() != 0));
            let bytes = text.as_bytes();
            prop_assert_eq!(lanes.find(bytes, from, to, prev), naive(&lanes, bytes, from, to, prev));
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
        assert_eq!(edges.marks(&[b'a'; WIDTH], &[b'a'; WIDTH]), [1; WIDTH]);
    }
}
