//! Tokens that were verified, remembered by their SHA-256 until they expire. No token is kept.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use super::Identity;

/// SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

/// What is remembered of a verified token.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) identity: Arc<Identity>,
    /// The generation of the issuer's keys that verified it.
    pub(super) generation: u64,
}

/// The cache, and beside it a table of token ends that answers "seen before?" without hashing.
pub(super) struct VerifiedTokens {
    cache: Cache<TokenHash, Verified>,
    ends: Box<[AtomicU64]>,
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifiedTokens").field("len", &self.cache.len()).finish_non_exhaustive()
    }
}

impl VerifiedTokens {
    pub(super) fn new(capacity: usize) -> Self {
        const ENDS: usize = 8192;
        Self { cache: Cache::new(capacity), ends: (0..ENDS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn find(&self, hash: &TokenHash) -> Option<Verified> {
        self.cache.get(hash)
    }

    /// Remembers a token that was verified just now, under `generation` of all issuers together.
    pub(super) fn insert(&self, token: &[u8], hash: TokenHash, verified: Verified, generation: u64) {
        self.cache.insert(hash, verified);
        if let Some((slot, mark)) = self.slot(token, generation) {
            slot.store(mark, Ordering::Relaxed);
        }
    }

    /// Whether a token with this end was verified since a key last went away. Good enough to skip a look for
    /// unknown keys, and for nothing else: who forges an end only keeps the gate from refetching keys for them.
    pub(super) fn has_end(&self, token: &[u8], generation: u64) -> bool {
        self.slot(token, generation).is_some_and(|(slot, mark)| slot.load(Ordering::Relaxed) == mark)
    }

    /// PERF: the end of a signature is as good as random, so eight of its characters are the hash.
    fn slot(&self, token: &[u8], generation: u64) -> Option<(&AtomicU64, u64)> {
        let end = u64::from_le_bytes(*token.last_chunk::<8>()?);
        let mark = (end ^ generation).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let index = usize::try_from(mark >> 48).ok()? % self.ends.len();
        self.ends.get(index).map(|slot| (slot, mark))
    }
}

pub(super) fn hash(token: &[u8]) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    hash
}
