//! An upstream's answer body: what is ready leaves together, and what is whole gives its connection back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_core::halt::Reason;
use tokio::time::Instant;

use super::h1::H1;
use super::h2::StreamGuard;
use super::pool::Pool;
use super::watchdog::Watchdog;

/// Joined frames are no longer than this, one frame more or less.
const JOIN_LIMIT: usize = 64 * 1024;
/// A frame of this length is worth a write of its own and is never copied.
const ALONE: usize = 16 * 1024;

/// Why a body broke off. The client's answer must break off too, not end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke HTTP or the connection.
    #[error("upstream broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("upstream was silent for too long")]
    Idle,
    /// The whole exchange took too long.
    #[error("upstream took too long")]
    Total,
}

impl BodyError {
    /// The row of the table of halts.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Broken(_) => Reason::UpstreamBroken,
            Self::Idle | Self::Total => Reason::UpstreamTimeout,
        }
    }
}

/// An upstream's answer body.
///
/// Each frame holds all data that was ready: one chunk alone passes at once and without a copy, a burst of small
/// ones leaves as few frames. Trailers pass. Dropping it before its end closes the connection (HTTP/1.1) or resets
/// the stream (HTTP/2).
// PERF: boxed, because a body moves with the answer from stage to stage.
pub struct UpstreamBody(Box<Flow>);

struct Flow {
    incoming: Incoming,
    link: Link,
    /// What came while data was joined and must follow it.
    held: Option<Result<Frame<Bytes>, BodyError>>,
    joined: BytesMut,
    limits: Limits,
    /// Something came since the watchdog was armed.
    has_moved: bool,
}

/// What carries the body.
enum Link {
    H1 { connection: Box<H1>, pool: Arc<Pool> },
    H2 { watchdog: Watchdog, _stream: StreamGuard },
    Ended,
}

impl UpstreamBody {
    pub(super) fn h1(incoming: Incoming, connection: Box<H1>, pool: Arc<Pool>, limits: Limits) -> Self {
        Self::new(incoming, Link::H1 { connection, pool }, limits)
    }

    pub(super) fn h2(incoming: Incoming, stream: StreamGuard, limits: Limits) -> Self {
        let watchdog = Watchdog::new(limits.next_deadline());
        Self::new(incoming, Link::H2 { watchdog, _stream: stream }, limits)
    }

    fn new(incoming: Incoming, link: Link, limits: Limits) -> Self {
        let mut flow = Flow { incoming, link, held: None, joined: BytesMut::new(), limits, has_moved: true };
        if flow.incoming.is_end_stream() {
            flow.finish();
        }
        Self(Box::new(flow))
    }
}

impl Flow {
    /// The body was read to its end: its connection may serve again.
    fn finish(&mut self) {
        if let Link::H1 { connection, pool } = std::mem::replace(&mut self.link, Link::Ended) {
            pool.put(connection);
        }
    }

    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let incoming = Pin::new(&mut self.incoming);
        let polled = match &mut self.link {
            Link::Ended => Poll::Ready(None),
            Link::H2 { .. } => incoming.poll_frame(cx),
            Link::H1 { connection, .. } => {
                // INVARIANT: a chunk arrives only inside `drive`, so waking for one is never needed.
                let quiet = &mut Context::from_waker(Waker::noop());
                match incoming.poll_frame(quiet) {
                    Poll::Pending => {
                        connection.drive(cx);
                        Pin::new(&mut self.incoming).poll_frame(quiet)
                    }
                    ready @ Poll::Ready(_) => ready,
                }
            }
        };
        polled.map_err(BodyError::Broken)
    }

    /// Gathers what is ready into `joined` or one frame; what may not be joined is put in `held`.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        let mut first: Option<Bytes> = None;
        while self.joined.len() < JOIN_LIMIT {
            match self.poll_one(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => {
                    self.finish();
                    break;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.link = Link::Ended;
                    self.held = Some(Err(error));
                    break;
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let data = match frame.into_data() {
                        Ok(data) => data,
                        Err(trailers) => {
                            self.held = Some(Ok(trailers));
                            continue;
                        }
                    };
                    let is_last = self.incoming.is_end_stream();
                    let is_large = data.len() >= ALONE;
                    if is_large && (first.is_some() || !self.joined.is_empty()) {
                        self.held = Some(Ok(Frame::data(data)));
                    } else if let Some(first) = first.take() {
                        self.joined.reserve(ALONE.max(first.len() + data.len()));
                        self.joined.extend_from_slice(&first);
                        self.joined.extend_from_slice(&data);
                    } else if self.joined.is_empty() {
                        first = Some(data);
                    } else {
                        self.joined.extend_from_slice(&data);
                    }
                    if is_last {
                        self.finish();
                    }
                    if is_last || is_large {
                        break;
                    }
                }
            }
        }
        first.or_else(|| (!self.joined.is_empty()).then(|| self.joined.split().freeze()))
    }

    fn poll_watchdog(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let watchdog = match &mut self.link {
            Link::H1 { connection, .. } => &mut connection.watchdog,
            Link::H2 { watchdog, .. } => watchdog,
            Link::Ended => return Poll::Pending,
        };
        // PERF: the clock is asked only when there is something to wait for.
        if std::mem::take(&mut self.has_moved) {
            watchdog.arm(self.limits.next_deadline());
        }
        watchdog.poll(cx).map(|()| {
            let is_total = self.limits.total.is_some_and(|total| Instant::now() >= total);
            if is_total { BodyError::Total } else { BodyError::Idle }
        })
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self.get_mut().0;
        if let Some(held) = this.held.take() {
            return Poll::Ready(Some(held));
        }
        if let Some(data) = this.poll_data(cx) {
            this.has_moved = true;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(held) = this.held.take() {
            return Poll::Ready(Some(held));
        }
        if matches!(this.link, Link::Ended) {
            return Poll::Ready(None);
        }
        this.poll_watchdog(cx).map(|error| {
            this.link = Link::Ended;
            Some(Err(error))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.held.is_none() && matches!(self.0.link, Link::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.0.incoming.size_hint();
        if let Some(Ok(frame)) = &self.0.held
            && let Some(data) = frame.data_ref()
            && let Some(exact) = hint.exact()
        {
            hint.set_exact(exact + data.len() as u64);
        }
        hint
    }
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}

/// How long a body may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) idle: Duration,
    pub(super) total: Option<Instant>,
}

impl Limits {
    fn next_deadline(self) -> Instant {
        let idle = Instant::now() + self.idle;
        self.total.map_or(idle, |total| total.min(idle))
    }
}
