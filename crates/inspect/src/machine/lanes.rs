//! The first sieve: where may any detector start at all.

use memchr::memchr;

use crate::detect::{Detector, is_local, local_start};

/// How many independent conditions fit the table. Two starts that share one stay correct and only sieve less.
const BUCKETS: usize = 32;

/// For every byte, the buckets that admit it to the left of a candidate, and as its first, second and third byte.
///
/// PERF: a position of the text costs four loads and three ands; the buckets that survive are the detectors worth
/// asking. 2 KiB take about 1.5 µs.
#[derive(Debug)]
pub(super) struct Lanes {
    left: Box<[u32; 256]>,
    first: Box<[u32; 256]>,
    second: Box<[u32; 256]>,
    third: Box<[u32; 256]>,
    /// For each bucket, the detectors that start so.
    owners: [u16; BUCKETS],
}

impl Lanes {
    /// The sieve for these detectors.
    pub(super) fn new(detectors: impl Iterator<Item = Detector>) -> Self {
        let [mut left, mut first, mut second, mut third] = std::array::from_fn(|_| Box::new([0_u32; 256]));
        let mut owners = [0_u16; BUCKETS];
        let starts =
            detectors.flat_map(|detector| detector.starts().iter().map(move |start| (detector, start)));
        for (index, (detector, start)) in starts.enumerate() {
            let bucket = index % BUCKETS;
            let mark = |lane: &mut [u32; 256], admits: &dyn Fn(u8) -> bool| {
                for (byte, entry) in (0_u8..=255).zip(lane.iter_mut()) {
                    *entry |= u32::from(admits(byte)) << bucket;
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
        }
        Self { left, first, second, third, owners }
    }

    /// The first place in `from..to` where a detector may start, and which ones. `prev` is the byte before `from`.
    fn find(&self, bytes: &[u8], from: usize, to: usize, prev: u8) -> Option<(usize, u16)> {
        let window = bytes.get(from..)?;
        let length = to.saturating_sub(from);
        let mut left = prev;
        let mut place = from;
        for signs in window.windows(3).take(length) {
            if let [a, b, c] = *signs {
                let buckets = entry(&self.left, left)
                    & entry(&self.first, a)
                    & entry(&self.second, b)
                    & entry(&self.third, c);
                if buckets != 0 {
                    return Some((place, self.detectors(buckets)));
                }
                left = a;
                place += 1;
            }
        }
        // The last two places: what has not arrived may be anything.
        let end = to.min(bytes.len());
        while place < end {
            let [a, b] = [place, place + 1].map(|index| bytes.get(index).copied());
            let a = a.unwrap_or_default();
            let second = b.map_or(u32::MAX, |b| entry(&self.second, b));
            let buckets = entry(&self.left, left) & entry(&self.first, a) & second;
            if buckets != 0 {
                return Some((place, self.detectors(buckets)));
            }
            left = a;
            place += 1;
        }
        None
    }

    fn detectors(&self, mut buckets: u32) -> u16 {
        let mut set = 0;
        while buckets != 0 {
            set |= self.owners.get(buckets.trailing_zeros() as usize).copied().unwrap_or(u16::MAX);
            buckets &= buckets - 1;
        }
        set
    }
}

fn entry(lane: &[u32; 256], byte: u8) -> u32 {
    lane.get(usize::from(byte)).copied().unwrap_or(u32::MAX)
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
    /// before `mail_from` no address starts.
    pub(super) fn next(&mut self, from: usize, prev: u8, mail_from: usize) -> Option<(usize, u16)> {
        let earliest = from.max(mail_from);
        if self.has_mail && (!self.mail_known || self.mail < earliest) {
            self.mail = self.next_mail(earliest);
            self.mail_known = true;
        }
        let end = self.mail.min(self.bytes.len());
        if let Some(found) = self.lanes.find(self.bytes, from, end, prev) {
            return Some(found);
        }
        if end == self.bytes.len() {
            return None;
        }
        let before =
            end.checked_sub(1).filter(|index| *index >= from).and_then(|index| self.bytes.get(index));
        let others = self.lanes.find(self.bytes, end, end + 1, before.copied().unwrap_or(prev));
        Some((end, Detector::Email.bit() | others.map_or(0, |(_, set)| set)))
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
