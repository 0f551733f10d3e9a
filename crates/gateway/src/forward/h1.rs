//! One HTTP/1.1 connection to an upstream, driven by whoever uses it.
//!
//! The request, and then the body of its answer, hold the connection and read it themselves: no task, no channel and
//! no copy between the socket and the client. All that is ready leaves together (ADR 8).

mod decode;
mod head;
pub mod inbound;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use http::{Method, Response};
use http_body::Frame;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use self::decode::Piece;
use self::inbound::Inbound;
use super::error::{Broken, ForwardError};
use super::stream::Stream;
use super::upstream::Outgoing;
use super::watchdog::Watchdog;

/// Room for one read: at first, and when reads fill it.
const READ: usize = 8 * 1024;
const READ_MAX: usize = 64 * 1024;
/// A body up to this length leaves in one write with its head.
const TOGETHER: usize = 4 * 1024;
/// What a buffer may keep when its connection rests.
const KEPT: usize = 16 * 1024;

/// One HTTP/1.1 connection.
pub(super) struct H1 {
    io: Stream,
    inbound: Inbound,
    /// Room for the next read.
    room: usize,
    /// What of the request is not written yet: first the head, then the body.
    head: Vec<u8>,
    written: usize,
    body: Bytes,
    /// The request was not taken whole. An answer may come all the same; another request may not follow.
    has_failed: bool,
    pub(super) watchdog: Watchdog,
    /// When it was put to rest last.
    pub(super) rested_at: Instant,
}

/// An exchange that gave no answer.
pub(super) struct Failure {
    pub(super) error: ForwardError,
    /// Nothing of the request was written: it may be sent elsewhere.
    pub(super) is_unsent: bool,
}

impl H1 {
    /// On a fresh connection. `deadline` is a first one for the watchdog.
    pub(super) fn over(io: Stream, deadline: Instant) -> Box<Self> {
        Box::new(Self {
            io,
            inbound: Inbound::default(),
            room: READ,
            head: Vec::new(),
            written: 0,
            body: Bytes::new(),
            has_failed: false,
            watchdog: Watchdog::new(deadline),
            rested_at: Instant::now(),
        })
    }

    /// Puts the connection to rest. Returns whether another exchange may follow: all was written, all was read, and
    /// nobody wants the connection closed.
    pub(super) fn rests(&mut self) -> bool {
        if self.head.capacity() > KEPT {
            self.head = Vec::new();
        }
        self.inbound.is_at_rest() && self.is_written() && !self.has_failed
    }

    /// Sends one request and waits for the head of the answer, until `deadline`.
    pub(super) async fn exchange(
        &mut self,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Response<()>, Failure> {
        if self.has_spoken() {
            return Err(Failure { error: ForwardError::Closed, is_unsent: true });
        }
        self.watchdog.arm(deadline);
        self.head.clear();
        let request = &outgoing.request;
        head::write(request, &outgoing.lines, &mut self.head);
        self.written = 0;
        self.body = request.body().clone();
        if self.body.len() <= TOGETHER {
            self.head.extend_from_slice(&std::mem::take(&mut self.body));
        }
        poll_fn(|cx| {
            let answer = match self.poll_answer(cx, request.method()) {
                Poll::Pending => match self.watchdog.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => Err(ForwardError::FirstByteTimeout),
                },
                Poll::Ready(answer) => answer.map_err(ForwardError::Broken),
            };
            Poll::Ready(answer.map_err(|error| Failure { error, is_unsent: self.written == 0 }))
        })
        .await
    }

    /// Takes the socket, and what was read from it beyond the head of an answer.
    pub(super) fn into_upgraded(self) -> (Stream, Bytes) {
        (self.io, self.inbound.bytes.freeze())
    }

    /// The next piece of the answer: data, or trailers as the last. `None` at the end.
    ///
    /// # Errors
    /// When the answer breaks off or its coding is broken.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.is_written() {
            // A failure to write shows when the answer breaks off as well.
            let _ = self.write(cx);
        }
        loop {
            return Poll::Ready(match self.inbound.take_piece()? {
                Piece::Data(data) => Some(Ok(Frame::data(data))),
                Piece::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
                Piece::End => None,
                Piece::Wanting => match ready!(self.poll_fill(cx)).map_err(Broken::Io)? {
                    0 => self.inbound.end().err().map(Err),
                    _ => continue,
                },
            });
        }
    }

    /// Whether all of the answer was taken.
    pub(super) fn is_over(&self) -> bool {
        self.inbound.is_over()
    }

    /// How much of the answer is still to be taken, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.inbound.left()
    }

    /// Whether the upstream closed, or said something that nobody asked for, while the connection rested.
    // PERF: costs no system call while the socket is silent.
    fn has_spoken(&mut self) -> bool {
        let mut one = [0; 1];
        let quiet = &mut Context::from_waker(Waker::noop());
        Pin::new(&mut self.io).poll_read(quiet, &mut ReadBuf::new(&mut one)).is_ready()
    }

    fn is_written(&self) -> bool {
        self.written >= self.head.len() && self.body.is_empty()
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, method: &Method) -> Poll<Result<Response<()>, Broken>> {
        // An upstream that does not read on may have answered already (RFC 9112 section 9.3).
        let failure = self.write(cx).err();
        loop {
            if let Some(head) = self.inbound.take_head(method)? {
                return Poll::Ready(Ok(head));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(failure.map_or(Broken::Early, Broken::Io))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Broken::Io(failure.unwrap_or(error)))),
            }
        }
    }

    /// Reads once into the buffer; how much came, 0 at the end of the connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbound.bytes.reserve(self.room);
        let count = ready!(poll_read_buf(Pin::new(&mut self.io), cx, &mut self.inbound.bytes))?;
        if count >= self.room {
            self.room = (self.room * 2).min(READ_MAX);
        }
        Poll::Ready(Ok(count))
    }

    /// Writes what can be written of the request.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let result = self.write_ready(cx);
        self.has_failed = result.is_err();
        result
    }

    fn write_ready(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut io = Pin::new(&mut self.io);
        while let Some(rest) = self.head.get(self.written..).filter(|rest| !rest.is_empty()) {
            match io.as_mut().poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        while !self.body.is_empty() {
            match io.as_mut().poll_write(cx, &self.body) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.body.advance(count),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        match io.poll_flush(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }
}
