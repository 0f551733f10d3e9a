//! HTTP/2 connections to an upstream: few, shared, replaced when the upstream says goodbye.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::asked::OutStream;
use super::error::ForwardError;

use super::stream::Stream;

/// Streams on one connection before another is opened.
const STREAMS_EACH: usize = 100;
/// Connections of one upstream; beyond, streams queue for the upstream's own limit.
const MAX_CONNECTIONS: usize = 8;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The open HTTP/2 connections of one upstream.
#[derive(Default)]
pub(super) struct Multiplexed {
    open: Mutex<Vec<Open>>,
    /// Held while one is opened, so that a burst opens one and not hundreds.
    pub(super) opening: tokio::sync::Mutex<()>,
}

struct Open {
    sender: SendRequest<OutStream>,
    streams: Arc<AtomicUsize>,
    used_at: Instant,
}

/// A stream's place on a connection; gives it back when dropped.
pub(super) struct Place {
    sender: SendRequest<OutStream>,
    guard: StreamGuard,
}

/// Counts one stream for as long as it lives.
pub(super) struct StreamGuard(Arc<AtomicUsize>);

impl StreamGuard {
    fn new(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Multiplexed {
    /// A place on the least busy open connection; `None` if another connection should be opened.
    pub(super) fn place(&self) -> Option<Place> {
        let mut open = self.open.lock();
        // A connection that got GOAWAY refuses new streams; those it has go on without this handle.
        open.retain(|one| one.sender.is_ready() && !one.sender.is_closed());
        let is_full = open.len() >= MAX_CONNECTIONS;
        let least = open.iter_mut().min_by_key(|one| one.streams.load(Ordering::Relaxed))?;
        if least.streams.load(Ordering::Relaxed) >= STREAMS_EACH && !is_full {
            return None;
        }
        least.used_at = Instant::now();
        Some(Place { sender: least.sender.clone(), guard: StreamGuard::new(&least.streams) })
    }

    /// Speaks HTTP/2 over a fresh connection and keeps it.
    pub(super) async fn add(&self, stream: Stream) -> Result<Place, ForwardError> {
        let (sender, driver) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ForwardError::Broken(error.into()))?;
        // The driver ends when the upstream closes, or when the last handle and stream are gone.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "upstream HTTP/2 connection ended");
            }
        });
        let streams = Arc::new(AtomicUsize::new(0));
        let place = Place { sender: sender.clone(), guard: StreamGuard::new(&streams) };
        self.open.lock().push(Open { sender, streams, used_at: Instant::now() });
        Ok(place)
    }

    pub(super) fn close_old(&self, is_old: impl Fn(Instant) -> bool) {
        let is_idle = |one: &Open| one.streams.load(Ordering::Relaxed) == 0 && is_old(one.used_at);
        self.open.lock().retain(|one| !is_idle(one));
    }
}

/// An exchange that gave no answer.
pub(super) struct Unanswered {
    pub(super) error: ForwardError,
    /// The request, where nothing of it was sent.
    pub(super) unsent: Option<Box<Request<OutStream>>>,
}

impl Place {
    /// Sends one request and waits for the head of the answer, until `deadline`.
    pub(super) async fn exchange(
        mut self,
        request: Box<Request<OutStream>>,
        deadline: Instant,
    ) -> Result<(Response<Incoming>, StreamGuard), Unanswered> {
        match timeout_at(deadline, self.sender.try_send_request(*request)).await {
            Ok(Ok(response)) => Ok((response, self.guard)),
            Ok(Err(mut error)) => {
                let unsent = error.take_message().map(Box::new);
                Err(Unanswered { error: ForwardError::Broken(error.into_error().into()), unsent })
            }
            Err(_) => Err(Unanswered { error: ForwardError::FirstByteTimeout, unsent: None }),
        }
    }
}
