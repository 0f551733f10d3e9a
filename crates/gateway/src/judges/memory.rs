//! What a judge said before: of texts by their hashes, so that a conversation which a client sends again is not asked about
//! again. Bounded, and gone with the process.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::opinion::Opinion;

/// How long an opinion is remembered: a judge may learn.
const TTL: Duration = Duration::from_secs(3600);

/// Opinions by the hash of their text.
#[derive(Debug)]
pub(super) struct Memory {
    entries: usize,
    known: Mutex<FxHashMap<[u8; 32], (Opinion, Instant)>>,
}

impl Memory {
    /// Remembers at most `entries` opinions; 0 remembers nothing.
    pub(super) fn new(entries: usize) -> Self {
        Self { entries, known: Mutex::default() }
    }

    pub(super) fn get(&self, key: &[u8; 32]) -> Option<Opinion> {
        let known = self.known.lock();
        known.get(key).filter(|(_, until)| *until > Instant::now()).map(|(opinion, _)| opinion.clone())
    }

    pub(super) fn keep(&self, key: [u8; 32], opinion: &Opinion) {
        let mut known = self.known.lock();
        if self.entries == 0 {
            return;
        }
        if known.len() >= self.entries
            && !known.contains_key(&key)
            // Which one goes is nobody's choice: whoever sends ever new texts pushes out any of them.
            && let Some(one) = known.keys().next().copied()
        {
            known.remove(&one);
        }
        known.insert(key, (opinion.clone(), Instant::now() + TTL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_are_remembered_for_so_long() {
        let flagged = Opinion { is_flagged: true, ..Opinion::default() };
        let memory = Memory::new(2);
        for key in 0..5 {
            memory.keep([key; 32], &flagged);
            assert_eq!(memory.get(&[key; 32]), Some(flagged.clone()));
            assert!(memory.known.lock().len() <= 2);
        }
        tokio::time::advance(TTL).await;
        assert_eq!(memory.get(&[4; 32]), None);
        let none = Memory::new(0);
        none.keep([0; 32], &flagged);
        assert_eq!(none.get(&[0; 32]), None);
    }
}
