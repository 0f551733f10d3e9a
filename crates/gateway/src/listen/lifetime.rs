//! What a connection's stream, service and driver know of each other, and how they learn that the end has come.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::receive::strict::Violation;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// One connection, shared by the parts that serve it.
#[derive(Debug)]
pub(super) struct Lifetime {
    started: Instant,
    /// Requests in flight, up to the last byte of their answers.
    busy: AtomicUsize,
    /// Milliseconds after `started` when the last of them ended.
    idle_since: AtomicU64,
    /// Requests seen by the service.
    seen: AtomicU64,
    /// Which request, counted from 0, is a stand-in, and for what.
    refused: OnceLock<(u64, Violation)>,
    upgraded: AtomicBool,
}

impl Lifetime {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            refused: OnceLock::new(),
            upgraded: AtomicBool::new(false),
        }
    }

    /// The stream put a stand-in where request `index` would be. Only the first call counts.
    pub(super) fn refuse(&self, index: u64, violation: Violation) {
        let _ = self.refused.set((index, violation));
    }

    /// Counts the next request; says why, if it is a stand-in.
    pub(super) fn next_request(&self) -> Option<Violation> {
        let index = self.seen.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: a pipelined request before the refused one has a smaller index and is served.
        self.refused.get().filter(|(refused, _)| *refused == index).map(|(_, violation)| *violation)
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// The connection is busy until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// How long the connection may still idle; `None` when it has for `limit`.
    pub(super) fn idle_left(&self, limit: Duration) -> Option<Duration> {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Some(limit);
        }
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        let idle = self.started.elapsed().saturating_sub(since);
        limit.checked_sub(idle).filter(|left| !left.is_zero())
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Busy(Arc<Lifetime>);

impl Busy {
    /// From here on the stream carries no HTTP.
    pub(super) fn upgrade(&self) {
        self.0.upgraded.store(true, Ordering::Release);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let since = self.0.started.elapsed();
        let since = since.as_secs() * 1000 + u64::from(since.subsec_millis());
        self.0.idle_since.store(since, Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells all connections of a listener to come to an end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stage: AtomicU8,
    pub(super) told: Notify,
}

/// How urgent the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Serve.
    Run,
    /// Finish what is in flight.
    Drain,
    /// Go.
    Cut,
}

impl Stop {
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Run,
            1 => Stage::Drain,
            _ => Stage::Cut,
        }
    }

    pub(super) fn tell(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
        self.told.notify_waiters();
    }
}

/// Counts connections by client.
#[derive(Debug, Default)]
pub(super) struct PerAddress(Mutex<FxHashMap<IpAddr, usize>>);

impl PerAddress {
    /// Takes a place, unless all `limit` places of this client are taken.
    pub(super) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        limit: usize,
        token: TaskTrackerToken,
    ) -> Option<Permit> {
        let client = client(address);
        let mut counts = self.0.lock();
        let count = counts.entry(client).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Permit { client, counts: Arc::clone(self), _token: token })
    }
}

/// A connection's place among the counted ones; free again when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    client: IpAddr,
    counts: Arc<PerAddress>,
    _token: TaskTrackerToken,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// An IPv6 host has a whole /64 to itself.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_gets_them_back() {
        let (counts, tracker) = (Arc::new(PerAddress::default()), TaskTracker::new());
        let enter = |address: &str| counts.enter(address.parse().unwrap(), 2, tracker.token());
        let first = enter("192.0.2.1");
        let second = enter("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        drop(second);
        assert!(counts.0.lock().is_empty());
        assert!(tracker.is_empty());
        let _held = [enter("2001:db8::1"), enter("2001:db8::ffff:1")];
        assert!(enter("2001:db8::2").is_none());
        assert!(enter("2001:db8:0:1::2").is_some());
    }

    #[test]
    fn only_the_stand_in_is_refused() {
        let lifetime = Lifetime::new();
        lifetime.refuse(1, Violation::BareLf);
        assert_eq!(lifetime.next_request(), None);
        assert_eq!(lifetime.next_request(), Some(Violation::BareLf));
        assert_eq!(lifetime.next_request(), None);
    }

    #[test]
    fn a_busy_connection_is_never_idle() {
        let lifetime = Arc::new(Lifetime::new());
        assert!(lifetime.idle_left(Duration::from_secs(60)).is_some());
        assert_eq!(lifetime.idle_left(Duration::ZERO), None);
        let busy = lifetime.begin();
        assert_eq!(lifetime.idle_left(Duration::ZERO), Some(Duration::ZERO));
        drop(busy);
        assert_eq!(lifetime.idle_left(Duration::ZERO), None);
    }
}
