//! Keys: where the issuers' keys come from, and how they are kept fresh.
//!
//! Each source (a file or a URL) has one [`KeyCell`] and one task that fetches for it. So there is never more than
//! one fetch of a source under way, and a request that goes away cancels none. The cell belongs to the source, not
//! to a configuration: a reload that names the same source again finds its keys.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;
use parking_lot::Mutex;
use portcullis_core::identify::{Issuer, KeyCell, KeySet, KeySetError};
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Duration, Instant, sleep_until, timeout};

/// Largest key set document, in bytes.
pub const DOCUMENT_LIMIT: usize = 256 * 1024;

/// Gets a document over HTTP. Redirects, proxies and certificates are the implementor's affair.
pub trait Fetch: Send + Sync {
    /// The body of a successful answer of at most `limit` bytes.
    fn get<'a>(
        &'a self,
        url: &'a str,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + 'a>>;
}

/// Why a document could not be had.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No connection, or none that is trusted.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// Another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// More than the limit.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// Not in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer broke off or is not HTTP.
    #[error("the answer is broken: {0}")]
    Broken(String),
}

/// Where an issuer's key set is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// `https://…`, or `http://…` on loopback.
    Url(Box<str>),
}

/// A source of keys that would not be safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySourceError {
    /// Whoever sits on the path could put their own keys in.
    #[error("keys must come over https, or over http from loopback")]
    PlainText,
    /// A secret in the configuration.
    #[error("the URL must not hold a user name or password")]
    UserInfo,
}

impl FromStr for KeySource {
    type Err = KeySourceError;

    /// A URL where it starts like one, otherwise the path of a file.
    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(KeySourceError::UserInfo);
        }
        let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
        });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        match scheme.to_ascii_lowercase().as_str() {
            "https" => Ok(Self::Url(text.into())),
            "http" if is_loopback => Ok(Self::Url(text.into())),
            _ => Err(KeySourceError::PlainText),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Url(url) => formatter.write_str(url),
        }
    }
}

/// When keys are fetched, and how long they last.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Time between fetches when all is well; drawn from 90 to 110 % of it.
    pub refresh: Duration,
    /// Shortest time between a fetch and the next one because of an unknown key.
    pub cooldown: Duration,
    /// First pause after a failure; doubles with each until it reaches `refresh`.
    pub retry: Duration,
    /// How long the last good set is used when no fetch succeeds any more.
    pub stale_for: Duration,
    /// How long a request waits for a fetch.
    pub wait: Duration,
    /// How long one fetch may take.
    pub attempt: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(5 * 60),
            cooldown: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            stale_for: Duration::from_secs(60 * 60),
            wait: Duration::from_secs(2),
            attempt: Duration::from_secs(10),
        }
    }
}

/// All sources of keys in use. Lives as long as the process.
pub struct Keyring {
    fetch: Arc<dyn Fetch>,
    timing: Timing,
    held: Mutex<Vec<Held>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("timing", &self.timing).finish_non_exhaustive()
    }
}

/// A source, and the task that fetches for it once it is kept.
struct Held {
    entry: Arc<Entry>,
    task: Option<Task>,
}

struct Entry {
    source: KeySource,
    cell: Arc<KeyCell>,
    state: watch::Sender<State>,
    wake: Notify,
}

/// What the task tells those who wait for it.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    attempts: u64,
    is_fetching: bool,
    /// Until then no unknown key causes a fetch.
    cool_until: Option<Instant>,
}

/// Ends the task when its source is no longer held.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keyring {
    /// A keyring without sources.
    pub fn new(fetch: Arc<dyn Fetch>, timing: Timing) -> Self {
        Self { fetch, timing, held: Mutex::default() }
    }

    /// The cell for the keys of `source`: always the same one while the source is held. Nothing is fetched before
    /// [`keep`](Self::keep), so a configuration may be compiled with it and thrown away.
    pub fn cell(&self, source: &KeySource) -> Arc<KeyCell> {
        let mut held = self.held.lock();
        if let Some(known) = held.iter().find(|known| known.entry.source == *source) {
            return Arc::clone(&known.entry.cell);
        }
        let cell = Arc::new(KeyCell::default());
        let entry = Entry {
            source: source.clone(),
            cell: Arc::clone(&cell),
            state: watch::Sender::default(),
            wake: Notify::new(),
        };
        held.push(Held { entry: Arc::new(entry), task: None });
        cell
    }

    /// Holds exactly these sources from now on: starts to fetch for the new ones, lets go of the others. To be
    /// called on a tokio runtime, when a configuration comes into force.
    pub fn keep(&self, sources: &[KeySource]) {
        for source in sources {
            self.cell(source);
        }
        let mut held = self.held.lock();
        held.retain(|one| sources.contains(&one.entry.source));
        for one in held.iter_mut().filter(|one| one.task.is_none()) {
            let task = tokio::spawn(tend(Arc::clone(&one.entry), Arc::clone(&self.fetch), self.timing));
            one.task = Some(Task(task.abort_handle()));
        }
    }

    /// Waits until every source was tried once, for as long as a request would wait.
    pub async fn load(&self) {
        let entries: Vec<_> = self.held.lock().iter().map(|one| Arc::clone(&one.entry)).collect();
        let all = async {
            for entry in entries {
                // The sender lives in the entry, so it cannot be gone.
                let _ = entry.state.subscribe().wait_for(|state| state.attempts > 0).await;
            }
        };
        let _ = timeout(self.timing.wait, all).await;
    }

    /// Whether there are keys of every source.
    pub fn is_ready(&self) -> bool {
        self.held.lock().iter().all(|one| one.entry.cell.has_keys())
    }

    /// Has the issuer's keys fetched because a token names one that is not there; returns when that is done, when
    /// it took too long, or at once when it was done a moment ago. The caller goes on in every case: whether the
    /// key has come is for `identify` to see.
    pub async fn ensure(&self, issuer: &Issuer) {
        let entry = {
            let held = self.held.lock();
            held.iter()
                .find(|one| Arc::ptr_eq(&one.entry.cell, issuer.cell()))
                .map(|one| Arc::clone(&one.entry))
        };
        let Some(entry) = entry else { return };
        let mut state = entry.state.subscribe();
        let seen = *state.borrow();
        if !seen.is_fetching {
            if seen.cool_until.is_some_and(|until| Instant::now() < until) {
                return;
            }
            entry.wake.notify_one();
        }
        let _ = timeout(self.timing.wait, state.wait_for(|state| state.attempts > seen.attempts)).await;
    }
}

/// Fetches for one source, for ever.
async fn tend(entry: Arc<Entry>, fetch: Arc<dyn Fetch>, timing: Timing) {
    let mut last_good = None;
    let mut failures = 0u32;
    loop {
        entry.state.send_modify(|state| state.is_fetching = true);
        match load(&entry.source, &*fetch, timing.attempt).await {
            Ok(keys) => {
                entry.cell.replace(keys);
                last_good = Some(Instant::now());
                failures = 0;
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(source = %entry.source, %error, failures, "keys not fetched");
            }
        }
        let now = Instant::now();
        let mut pause = timing.pause(failures);
        if let (true, Some(good)) = (failures > 0, last_good) {
            let left = (good + timing.stale_for).saturating_duration_since(now);
            if left.is_zero() {
                tracing::error!(source = %entry.source, "keys too old, nothing verifies until they are fetched");
                entry.cell.forget();
                last_good = None;
            } else {
                pause = pause.min(left);
            }
        }
        let cool_until = now + timing.cooldown.max(if failures > 0 { pause } else { Duration::ZERO });
        entry.state.send_modify(|state| {
            *state = State { attempts: state.attempts + 1, is_fetching: false, cool_until: Some(cool_until) };
        });
        rest(&entry, now + pause, cool_until).await;
    }
}

/// Sleeps until the next fetch is due, or an unknown key asks for one that is allowed.
async fn rest(entry: &Entry, due: Instant, cool_until: Instant) {
    loop {
        tokio::select! {
            () = sleep_until(due) => return,
            () = entry.wake.notified() => if Instant::now() >= cool_until { return },
        }
    }
}

impl Timing {
    /// The pause after so many failures in a row, spread so that many gates do not ask at the same moment.
    fn pause(&self, failures: u32) -> Duration {
        let pause = match failures.checked_sub(1) {
            None => self.refresh,
            Some(doublings) => self.retry.saturating_mul(1 << doublings.min(20)).min(self.refresh),
        };
        let percent = 90 + u32::try_from(RandomState::new().hash_one(()) % 21).unwrap_or_default();
        pause.saturating_mul(percent) / 100
    }
}

/// Why no keys came from a source.
#[derive(Debug, Error)]
enum LoadError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("cannot read the file: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

async fn load(source: &KeySource, fetch: &dyn Fetch, limit: Duration) -> Result<KeySet, LoadError> {
    let document = timeout(limit, read(source, fetch)).await.map_err(|_| FetchError::TimedOut)??;
    if document.len() > DOCUMENT_LIMIT {
        return Err(FetchError::TooLarge(DOCUMENT_LIMIT).into());
    }
    let (keys, skipped) = KeySet::from_jwks(&document)?;
    for one in skipped {
        tracing::warn!(%source, index = one.index, kid = one.kid.as_deref(), reason = %one.reason, "key not used");
    }
    Ok(keys)
}

async fn read(source: &KeySource, fetch: &dyn Fetch) -> Result<Bytes, LoadError> {
    match source {
        KeySource::Url(url) => Ok(fetch.get(url, DOCUMENT_LIMIT).await?),
        KeySource::File(path) => {
            let file = tokio::fs::File::open(path).await?;
            let mut document = Vec::new();
            file.take(DOCUMENT_LIMIT as u64 + 1).read_to_end(&mut document).await?;
            Ok(document.into())
        }
    }
}

#[cfg(test)]
mod tests;
