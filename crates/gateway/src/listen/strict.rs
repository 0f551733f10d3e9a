//! The stream under an HTTP/1 connection: every byte passes the checker before the parser sees it.
//!
//! The parser only ever gets whole, well-formed heads. Where a head is refused it gets one in its place that
//! [`service`](super::service) knows, so that the refusal is written in its turn, behind the answers before it.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use portcullis_core::receive::strict::{Checker, Violation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::Limits;
use super::lifetime::{Lifetime, Permit};

/// Stands where a refused head was.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// After a refusal the rest of what the client sends is read and dropped, so that a reset does not overtake the
/// refusal on its way (RFC 9112 section 9.6): for so long, and so many bytes.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// A request body whose framing is broken; found as the source of the error that reading the body gives.
#[derive(Debug, Clone, Copy)]
pub struct Broken(pub Violation);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Error for Broken {}

/// A checked stream with its deadlines. Holds the connection's place among the counted ones.
pub(super) struct Strict<S> {
    io: S,
    /// `None` for HTTP/2, whose framing has one reading.
    checker: Option<Checker>,
    /// What was taken from the stream and not yet handed on. The first `ready` bytes may be, from `at`.
    kept: Vec<u8>,
    ready: usize,
    at: usize,
    end: End,
    lifetime: Arc<Lifetime>,
    limits: Arc<Limits>,
    // PERF: timers exist only while a head is unfinished or a write is stuck.
    head_deadline: Option<Pin<Box<Sleep>>>,
    write_deadline: Option<Pin<Box<Sleep>>>,
    lingered: usize,
    _permit: Permit,
}

/// What follows the bytes that were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// What the client sends.
    Open,
    /// Nothing: a head was refused, and the stand-in answers for it.
    Refused,
    /// An error: a body is broken.
    Broken(Violation),
}

impl<S> Strict<S> {
    /// `taken` was read from the stream already.
    pub(super) fn new(
        io: S,
        checker: Option<Checker>,
        taken: &[u8],
        lifetime: Arc<Lifetime>,
        limits: Arc<Limits>,
        permit: Permit,
    ) -> Self {
        let mut strict = Self {
            io,
            checker,
            kept: Vec::new(),
            ready: 0,
            at: 0,
            end: End::Open,
            lifetime,
            limits,
            head_deadline: None,
            write_deadline: None,
            lingered: 0,
            _permit: permit,
        };
        let passed = strict.check(taken);
        let passed = taken.get(..passed).unwrap_or_default();
        strict.ready += passed.len();
        strict.kept.splice(0..0, passed.iter().copied());
        strict
    }

    /// Checks bytes from the stream; keeps what must wait. Returns how many may be handed on right away.
    fn check(&mut self, bytes: &[u8]) -> usize {
        let Some(checker) = &mut self.checker else { return bytes.len() };
        if self.lifetime.is_upgraded() {
            return bytes.len();
        }
        let fed = checker.feed(bytes);
        let (passed, rest) = bytes.split_at_checked(fed.passed).unwrap_or((bytes, &[]));
        let mut direct = 0;
        if !passed.is_empty() {
            self.head_deadline = None;
            if self.kept.is_empty() {
                direct = passed.len();
            } else {
                self.kept.extend_from_slice(passed);
                self.ready = self.kept.len();
            }
        }
        match fed.violation {
            None => self.kept.extend_from_slice(rest),
            Some(violation) => self.refuse(violation),
        }
        direct
    }

    fn refuse(&mut self, violation: Violation) {
        let Some(checker) = &self.checker else { return };
        self.head_deadline = None;
        self.kept.truncate(self.ready);
        if checker.is_in_head() {
            self.lifetime.refuse(checker.heads(), violation);
            self.kept.extend_from_slice(STAND_IN);
            self.ready = self.kept.len();
            self.end = End::Refused;
        } else {
            self.end = End::Broken(violation);
        }
    }

    /// Hands on what is ready; whether there was any.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.lifetime.is_upgraded() {
            self.ready = self.kept.len();
        }
        let Some(ready) = self.kept.get(self.at..self.ready).filter(|ready| !ready.is_empty()) else {
            return false;
        };
        let count = ready.len().min(buf.remaining());
        buf.put_slice(ready.get(..count).unwrap_or_default());
        self.at += count;
        if self.at == self.ready {
            let rest = self.kept.split_off(self.ready);
            self.kept = rest;
            (self.at, self.ready) = (0, 0);
        }
        true
    }

    /// Whether the deadline for an unfinished head has passed; waits for it otherwise.
    fn is_head_late(&mut self, cx: &mut Context<'_>) -> bool {
        let is_unfinished = |checker: &Checker| checker.is_in_head() && !checker.is_between();
        if !self.checker.as_ref().is_some_and(is_unfinished) || self.lifetime.is_upgraded() {
            return false;
        }
        let after = self.limits.head_deadline;
        self.head_deadline.get_or_insert_with(|| Box::pin(sleep(after))).as_mut().poll(cx).is_ready()
    }

    /// Turns a write that waits too long into an error.
    fn bound_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_deadline = None;
            return written;
        }
        let after = self.limits.write_stall;
        let deadline = self.write_deadline.get_or_insert_with(|| Box::pin(sleep(after)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    /// Reads and drops until the client closes, or has had its chance.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 2048];
        while self.lingered < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => self.lingered += buf.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let deadline = self.head_deadline.get_or_insert_with(|| Box::pin(sleep(LINGER)));
                    return deadline.as_mut().poll(cx);
                }
            }
        }
        Poll::Ready(())
    }

    /// Whether the client may still be sending what nobody will read.
    fn must_linger(&self) -> bool {
        self.checker.as_ref().is_some_and(|checker| !checker.is_between()) && !self.lifetime.is_upgraded()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.deliver(buf) {
                return Poll::Ready(Ok(()));
            }
            match this.end {
                End::Open => {}
                // The stand-in's answer closes the connection; nothing is read any more.
                End::Refused if !this.lifetime.is_upgraded() => return Poll::Pending,
                End::Refused => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                End::Broken(violation) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, Broken(violation))));
                }
            }
            let before = buf.filled().len();
            if Pin::new(&mut this.io).poll_read(cx, buf)?.is_pending() {
                if this.is_head_late(cx) {
                    this.refuse(Violation::HeadTimeout);
                    continue;
                }
                return Poll::Pending;
            }
            let read = buf.filled().get(before..).unwrap_or_default();
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let direct = this.check(read);
            buf.set_filled(before + direct);
            if direct > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.bound_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.bound_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.bound_write(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.io).poll_shutdown(cx);
        ready!(this.bound_write(cx, closed))?;
        if this.must_linger() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
