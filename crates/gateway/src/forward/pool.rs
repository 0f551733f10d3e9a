//! Idle connections of one upstream, the latest used first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::h1::H1;
use super::h2::Multiplexed;

/// Idle connections of one upstream.
pub(super) struct Pool {
    // PERF: last in, first out keeps few connections warm and lets the rest grow old. The lock covers a push or
    // a pop; nothing is dropped or awaited under it.
    #[expect(clippy::vec_box, reason = "a connection is large and moves between pool, request and body")]
    idle: Mutex<Vec<Box<H1>>>,
    pub(super) multiplexed: Multiplexed,
    max_idle: usize,
    keep_alive: Duration,
    is_swept: AtomicBool,
}

impl Pool {
    pub(super) fn new(max_idle: usize, keep_alive: Duration) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::new(Vec::new()),
            multiplexed: Multiplexed::default(),
            max_idle,
            keep_alive,
            is_swept: AtomicBool::new(false),
        })
    }

    /// The connection used last, if any is idle.
    pub(super) fn take(&self) -> Option<Box<H1>> {
        self.idle.lock().pop()
    }

    /// Takes back a connection whose answer was read to the end; one that cannot serve again is closed.
    pub(super) fn put(&self, mut connection: Box<H1>) {
        if !connection.rests() {
            return;
        }
        connection.rested_at = Instant::now();
        let mut idle = self.idle.lock();
        if idle.len() < self.max_idle {
            idle.push(connection);
            return;
        }
        drop(idle);
    }

    /// Starts closing what is idle too long, once; must run within the runtime.
    pub(super) fn keep_swept(self: &Arc<Self>) {
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self), self.keep_alive));
        }
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub(super) fn idle_count(&self) -> usize {
        self.idle.lock().len()
    }

    fn close_old(&self, now: Instant) {
        let is_old = |rested_at: Instant| now.saturating_duration_since(rested_at) >= self.keep_alive;
        let mut old = Vec::new();
        {
            let mut idle = self.idle.lock();
            // The oldest are in front, because the latest is taken and put back at the end.
            let count = idle.iter().take_while(|connection| is_old(connection.rested_at)).count();
            old.extend(idle.drain(..count));
        }
        // Closing a socket is a system call; it happens here, outside of the lock.
        drop(old);
        self.multiplexed.close_old(is_old);
    }
}

async fn sweep(pool: Weak<Pool>, keep_alive: Duration) {
    loop {
        sleep(keep_alive / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.close_old(Instant::now());
    }
}
