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
    known: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    owners: FxHashMap<SmolStr, Entry>,
    /// What ended is not looked for before.
    sweep: Instant,
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
        let known = Entries { owners: FxHashMap::default(), sweep: Instant::now() };
        Self { ttl, entries, known: Mutex::new(known) }
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
        if let Some(entry) = known.owners.get(identifier).filter(|entry| entry.until > now) {
            return Arc::clone(&entry.owner);
        }
        if known.owners.len() >= self.entries && known.sweep <= now {
            // PERF: whoever asks for ever new objects does not make each question walk over all of them.
            known.owners.retain(|_, entry| entry.until > now);
            known.sweep = now + self.ttl / 4;
        }
        if known.owners.len() >= self.entries
            && let Some(one) = known.owners.keys().next().cloned()
        {
            known.owners.remove(&one);
        }
        let owner = Arc::new(OnceCell::new());
        // An answer that is long in coming is remembered for as much shorter: what is old is never taken for new.
        let entry = Entry { owner: Arc::clone(&owner), until: now + self.ttl };
        known.owners.insert(identifier.into(), entry);
        owner
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    /// Asks for `id`, whose owner is `owner`; whether it had to be asked for.
    async fn is_asked(known: &Known, id: &str, owner: &str) -> bool {
        let asked = AtomicUsize::new(0);
        let ask = async {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok::<_, ()>(Some(owner.into()))
        };
        assert_eq!(known.or_ask(id, ask).await.unwrap().as_deref(), Some(owner));
        asked.into_inner() == 1
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_is_remembered_for_a_while() {
        let known = Known::new(TTL, 2);
        assert!(is_asked(&known, "1", "alice").await);
        tokio::time::advance(TTL - Duration::from_millis(1)).await;
        assert!(!is_asked(&known, "1", "alice").await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(is_asked(&known, "1", "bob").await);
        // What could not be said is asked again; that there is none is remembered.
        assert_eq!(known.or_ask("2", async { Err::<Option<SmolStr>, _>("lost") }).await, Err("lost"));
        assert_eq!(known.or_ask("2", async { Ok::<Option<SmolStr>, ()>(None) }).await, Ok(None));
        assert_eq!(known.or_ask("2", async { Err::<Option<SmolStr>, _>("lost") }).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_remembered_than_are_written() {
        let known = Known::new(TTL, 3);
        for number in 0..50 {
            assert!(is_asked(&known, &number.to_string(), "alice").await);
            assert!(!is_asked(&known, &number.to_string(), "alice").await);
            assert!(known.known.lock().owners.len() <= 3);
            tokio::time::advance(TTL / 20).await;
        }
        tokio::time::advance(TTL).await;
        assert!(is_asked(&known, "new", "alice").await);
        assert_eq!(known.known.lock().owners.len(), 1, "what ended is gone");
    }

    #[tokio::test]
    async fn many_who_ask_wait_for_one() {
        let known = Known::new(TTL, 3);
        let go = Semaphore::new(0);
        let asked = AtomicUsize::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            go.acquire().await.unwrap().forget();
            Ok::<Option<SmolStr>, ()>(Some("alice".into()))
        };
        let others = async {
            let (b, c) = tokio::join!(known.or_ask("1", ask()), async {
                go.add_permits(1);
                known.or_ask("1", ask()).await
            });
            [b, c]
        };
        let (a, others) = tokio::join!(known.or_ask("1", ask()), others);
        assert!([a].into_iter().chain(others).all(|owner| owner.unwrap().as_deref() == Some("alice")));
        assert_eq!(asked.into_inner(), 1);
    }
}
