//! Buckets: what is left of every budget for everybody who used it lately, by GCRA.
//!
//! A bucket is one number, the theoretical arrival time: the moment at which it would be full again. A request
//! moves it on by one interval, and has room when that does not lead further ahead than the burst allows.
//! Buckets are found by a 128-bit keyed hash of budget and subject; nothing else is stored. Two subjects share a
//! bucket with a probability of about n² · 2⁻¹²⁹, 10⁻²⁷ for a million, and the key of the hash is drawn at random
//! per process, so that nobody can aim at a collision.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use parking_lot::{Mutex, MutexGuard};

/// How many buckets are kept, unless [`Buckets::new`] is told otherwise.
pub const BUCKETS: usize = 1_000_000;

const SHARDS: usize = 64;

/// A full shard is searched for replenished buckets at most this often, in nanoseconds: the search costs more
/// than a request, and a flood of new subjects must not buy one each.
const SWEEP_INTERVAL: u64 = 100_000_000;

/// All buckets of a process. Outlives configurations: a budget that a reload leaves as it was finds its buckets
/// again, because they are keyed by its name, route and limit.
#[derive(Debug)]
pub struct Buckets {
    shards: Box<[Mutex<Shard>]>,
    seeds: [RandomState; 2],
    shard_limit: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// Theoretical arrival times, in nanoseconds.
    arrivals: HashMap<Key, u64, BuildHasherDefault<Prehashed>>,
    swept: Option<u64>,
}

/// The hash of a budget and its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64, u64);

/// One budget that a request needs room in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) key: Key,
    /// Which budget of the route.
    pub(super) budget: u16,
    /// Nanoseconds that one request takes.
    pub(super) interval: u64,
    /// Nanoseconds that a full bucket holds.
    pub(super) capacity: u64,
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// This budget has no room for `wait` more nanoseconds, longer than any other.
    Exhausted { budget: u16, wait: u64 },
    /// No room for a new bucket.
    Full,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::new(BUCKETS)
    }
}

impl Buckets {
    /// Keeps up to about `limit` buckets. One takes some 50 bytes, from its first request until it is full again.
    ///
    /// When all are in use, subjects without one are refused until some are full again (fail closed): to let them
    /// pass, or to drop what somebody used up, would hand the budget to whoever can come under many names.
    pub fn new(limit: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            seeds: [RandomState::new(), RandomState::new()],
            shard_limit: limit.div_ceil(SHARDS).max(1),
        }
    }

    /// How many buckets are in use.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().arrivals.len()).sum()
    }

    /// Whether none is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops buckets that are full again and gives their memory back; for a task that runs every half minute or
    /// so, on a blocking thread: half a million buckets take about 20 ms, though no shard is held for longer than
    /// 0.3 ms of it. `now` is in nanoseconds, on the clock of [`admit`](super::admit()).
    pub fn sweep(&self, now: u64) {
        for shard in &self.shards {
            shard.lock().sweep(now);
        }
    }

    /// The key of whatever `feed` hashes.
    pub(super) fn key(&self, feed: impl Fn(&mut dyn Hasher)) -> Key {
        let [first, second] = self.seeds.each_ref().map(|seed| {
            let mut hasher = seed.build_hasher();
            feed(&mut hasher);
            hasher.finish()
        });
        Key(first, second)
    }

    /// Takes one from every claim, or nothing from any. `claims` come back in another order.
    pub(super) fn take(&self, claims: &mut Vec<Claim>, now: u64) -> Result<(), Refused> {
        // INVARIANT: shards are locked in rising order, so two requests cannot wait for each other; and all of
        // them are held from the first check to the last taking, so nobody takes in between.
        claims.sort_unstable_by_key(|claim| (claim.shard(), claim.key));
        claims.dedup_by_key(|claim| claim.key);
        let mut locked: Vec<(usize, MutexGuard<'_, Shard>)> = Vec::with_capacity(claims.len());
        let mut longest = None;
        for claim in claims.iter() {
            let index = claim.shard();
            if locked.last().is_none_or(|(last, _)| *last != index) {
                let shard = self.shards.get(index).ok_or(Refused::Full)?;
                locked.push((index, shard.lock()));
            }
            let (_, shard) = locked.last_mut().ok_or(Refused::Full)?;
            let wait = shard.wait(claim, now, self.shard_limit)?;
            if wait > longest.map_or(0, |(_, wait)| wait) {
                longest = Some((claim.budget, wait));
            }
        }
        if let Some((budget, wait)) = longest {
            return Err(Refused::Exhausted { budget, wait });
        }
        for claim in claims.iter() {
            if let Some((_, shard)) = locked.iter_mut().find(|(index, _)| *index == claim.shard()) {
                let arrival = shard.arrivals.entry(claim.key).or_insert(now);
                *arrival = (*arrival).max(now).saturating_add(claim.interval);
            }
        }
        Ok(())
    }
}

impl Claim {
    fn shard(&self) -> usize {
        usize::try_from(self.key.0 % SHARDS as u64).unwrap_or_default()
    }
}

impl Shard {
    /// Nanoseconds until the claim has room; zero when it has.
    fn wait(&mut self, claim: &Claim, now: u64, limit: usize) -> Result<u64, Refused> {
        let arrival = match self.arrivals.get(&claim.key) {
            Some(arrival) => (*arrival).max(now),
            None => {
                self.make_room(now, limit)?;
                now
            }
        };
        Ok(arrival.saturating_add(claim.interval).saturating_sub(now.saturating_add(claim.capacity)))
    }

    fn make_room(&mut self, now: u64, limit: usize) -> Result<(), Refused> {
        if self.arrivals.len() < limit {
            return Ok(());
        }
        if self.swept.is_none_or(|swept| now.saturating_sub(swept) >= SWEEP_INTERVAL) {
            self.sweep(now);
        }
        if self.arrivals.len() < limit { Ok(()) } else { Err(Refused::Full) }
    }

    /// A bucket whose arrival time has come is full, and a full one is the same as none.
    fn sweep(&mut self, now: u64) {
        self.arrivals.retain(|_, arrival| *arrival > now);
        if self.arrivals.len() < self.arrivals.capacity() / 4 {
            self.arrivals.shrink_to(self.arrivals.len() * 2);
        }
        self.swept = Some(now);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1);
    }
}

/// Passes on half of a [`Key`], which is a hash already; the other half has chosen the shard.
#[derive(Debug, Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
