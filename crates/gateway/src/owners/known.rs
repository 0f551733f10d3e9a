//! Owners that were asked for lately: bounded, for a while, and asked for once by however many want them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Owners by identifier.
#[derive(Debug)]
pub(super) struct Known {
    ttl: Duration,
    entries: usize,
    known: Mutex<FxHashMap<SmolStr, Entry>>,
}

/// One answer, perhaps still awaited: whoever comes meanwhile waits for the same one.
#[derive(Debug, Clone)]
struct Entry {
    owner: Arc<OnceCell<Option<SmolStr>>>,
    until: Instant,
}

impl Known {
    /// Remembers at most `entries` owners, each for `ttl`.
    pub(super) fn new(ttl: Duration, entries: usize) -> Self {
        Self { ttl, entries, known: Mutex::default() }
    }

    /// The owner that is remembered, or what `ask` says; errors are not remembered.
    pub(super) async fn or_ask<E>(
        &self,
        identifier: &str,
        ask: impl Future<Output = Result<Option<SmolStr>, E>>,
    ) -> Result<Option<SmolStr>, E> {
        self.entry(identifier).get_or_try_init(|| ask).await.cloned()
    }

    fn entry(&self, identifier: &str) -> Arc<OnceCell<Option<SmolStr>>> {
        let now = Instant::now();
        let mut known = self.known.lock();
        if let Some(entry) = known.get(identifier).filter(|entry| entry.until > now) {
            return Arc::clone(&entry.owner);
        }
        if known.len() >= self.entries {
            known.retain(|_, entry| entry.until > now);
        }
        if known.len() >= self.entries
            && let Some(one) = known.keys().next().cloned()
        {
            known.remove(&one);
        }
        let owner = Arc::new(OnceCell::new());
        // An answer that is long in coming is remembered for as much shorter: what is old is never taken for new.
        let entry = Entry { owner: Arc::clone(&owner), until: now + self.ttl };
        known.insert(identifier.into(), entry);
        owner
    }
}
