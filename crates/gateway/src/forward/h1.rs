//! One HTTP/1.1 connection to an upstream, driven by whoever uses it.
//!
//! hyper splits a connection into a handle and a driver that is usually spawned. Here the request or the body that
//! holds the connection polls the driver itself. A body chunk then costs no task switch, and all chunks of one
//! read can be taken in one poll: hyper's channel between driver and body holds a single chunk, so that a spawned
//! driver yields exactly one chunk per wake-up.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, Parts, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::error::ForwardError;
use super::stream::Stream;
use super::upstream::OutBody;
use super::watchdog::Watchdog;

/// Largest head of an answer, and most fields in it.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;

/// One HTTP/1.1 connection.
pub(super) struct H1 {
    sender: SendRequest<OutBody>,
    driver: Connection<TokioIo<Stream>, OutBody>,
    // INVARIANT: once set, the driver is not polled again.
    has_ended: bool,
    pub(super) watchdog: Watchdog,
    pub(super) rested_at: Instant,
}

/// An exchange that gave no answer.
pub(super) struct Failure {
    pub(super) error: ForwardError,
    /// The request, if not a byte of it was written.
    pub(super) unsent: Option<Box<Request<OutBody>>>,
}

impl H1 {
    /// Speaks HTTP/1.1 over a fresh connection.
    pub(super) async fn over(stream: Stream, deadline: Instant) -> Result<Box<Self>, ForwardError> {
        let (sender, driver) = Builder::new()
            .max_headers(MAX_FIELDS)
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ForwardError::Broken)?;
        let watchdog = Watchdog::new(deadline);
        Ok(Box::new(Self { sender, driver, has_ended: false, watchdog, rested_at: Instant::now() }))
    }

    /// Lets the connection read and write what it can.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        // A cause of the end was already given to the answer or the body that waits for it.
        self.has_ended = self.has_ended || Pin::new(&mut self.driver).poll(cx).is_ready();
    }

    /// Whether another request may be sent.
    pub(super) fn is_at_rest(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.drive(&mut Context::from_waker(Waker::noop()));
        }
        !self.has_ended && self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Sends one request and waits for the head of the answer, until `deadline`.
    // PERF: not an async function, whose future would keep room for the request as well as for what became of it.
    pub(super) fn exchange(
        &mut self,
        request: Box<Request<OutBody>>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Response<Incoming>, Failure>> {
        self.watchdog.arm(deadline);
        let answer = self.sender.try_send_request(*request);
        self.answer(answer)
    }

    async fn answer(
        &mut self,
        answer: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<OutBody>>>>,
    ) -> Result<Response<Incoming>, Failure> {
        // INVARIANT: the answer becomes ready only inside `drive`, in the same poll, so its own waker is never
        // needed. `unconstrained` keeps tokio's budget from putting it off through that waker.
        let mut answer = pin!(unconstrained(answer));
        poll_fn(|cx| {
            self.drive(cx);
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => {
                    let unsent = error.take_message().map(Box::new);
                    return Poll::Ready(Err(Failure {
                        error: ForwardError::Broken(error.into_error()),
                        unsent,
                    }));
                }
                Poll::Pending if self.has_ended => {
                    return Poll::Ready(Err(Failure { error: ForwardError::Closed, unsent: None }));
                }
                Poll::Pending => {}
            }
            self.watchdog
                .poll(cx)
                .map(|()| Err(Failure { error: ForwardError::FirstByteTimeout, unsent: None }))
        })
        .await
    }

    /// After an answer of 101: the bare connection, and what was already read of the new protocol.
    pub(super) async fn into_upgraded(self) -> Result<(Stream, bytes::Bytes), ForwardError> {
        let parts =
            if self.has_ended { Ok(self.driver.into_parts()) } else { self.driver.without_shutdown().await };
        let Parts { io, read_buf, .. } = parts.map_err(ForwardError::Broken)?;
        Ok((io.into_inner(), read_buf))
    }
}
