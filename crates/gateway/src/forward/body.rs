//! An upstream's answer body: what is ready leaves together, and what is whole gives its connection back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_core::halt::Reason;
use tokio::time::Instant;

use super::error::Broken;
use super::h1::H1;
use super::h2::StreamGuard;
use super::joined::{Joiner, Next};
use super::pool::Pool;
use super::watchdog::Watchdog;

/// Why a body broke off. The client's answer must break off too, not end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke HTTP or the connection.
    #[error("upstream broke off: {0}")]
    Broken(#[from] Broken),
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
    link: Link,
    joiner: Joiner,
    limits: Limits,
    /// Something came since the watchdog was armed.
    has_moved: bool,
}

/// What carries the body.
enum Link {
    H1 { connection: Box<H1>, pool: Arc<Pool> },
    H2 { incoming: Incoming, watchdog: Watchdog, _stream: StreamGuard },
    Ended,
}

impl UpstreamBody {
    pub(super) fn h1(connection: Box<H1>, pool: Arc<Pool>, limits: Limits) -> Self {
        Self::new(Link::H1 { connection, pool }, limits)
    }

    pub(super) fn h2(incoming: Incoming, stream: StreamGuard, limits: Limits) -> Self {
        let watchdog = Watchdog::new(limits.next_deadline());
        Self::new(Link::H2 { incoming, watchdog, _stream: stream }, limits)
    }

    fn new(link: Link, limits: Limits) -> Self {
        let mut flow = Flow { link, joiner: Joiner::default(), limits, has_moved: true };
        flow.end_if_over();
        Self(Box::new(flow))
    }
}

impl Flow {
    fn poll_joined(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match &mut self.link {
            Link::H1 { connection, .. } => self.joiner.poll_frame(cx, |cx| connection.poll_piece(cx)),
            Link::H2 { incoming, .. } => self
                .joiner
                .poll_frame(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx).map_err(Broken::Http2)),
            Link::Ended => Poll::Ready(None),
        }
    }

    /// Once the body was read to its end, its connection may serve again.
    fn end_if_over(&mut self) {
        let is_over = match &self.link {
            Link::H1 { connection, .. } => connection.is_over(),
            Link::H2 { incoming, .. } => incoming.is_end_stream(),
            Link::Ended => false,
        };
        if is_over
            && self.joiner.is_empty()
            && let Link::H1 { connection, pool } = std::mem::replace(&mut self.link, Link::Ended)
        {
            pool.put(connection);
        }
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
        match this.poll_joined(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.has_moved = true;
                this.end_if_over();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.link = Link::Ended;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.end_if_over();
                this.link = Link::Ended;
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_watchdog(cx).map(|error| {
                this.link = Link::Ended;
                Some(Err(error))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0.link, Link::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.link {
            Link::H1 { connection, .. } => {
                let exact = connection.left().map(|left| left + self.0.joiner.len());
                exact.map_or_else(SizeHint::new, SizeHint::with_exact)
            }
            Link::H2 { incoming, .. } => {
                let mut hint = incoming.size_hint();
                if let Some(exact) = hint.exact() {
                    hint.set_exact(exact + self.0.joiner.len());
                }
                hint
            }
            Link::Ended => SizeHint::with_exact(0),
        }
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
