//! WebSockets: the handshake's proof, and the splice of both sides (RFC 6455).

pub mod frames;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::forward::watchdog::Watchdog;
use frames::{Sender, Violation, Walker, close_frame};

/// Appended to the key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes held for each direction.
const BUFFER: usize = 8 * 1024;
/// How long the last words and the peers' own ends may take.
const PARTING: Duration = Duration::from_secs(1);
const GOING_AWAY: u16 = 1001;

/// Limits of a spliced WebSocket.
#[derive(Debug, Clone)]
pub struct WebsocketRules {
    /// Largest payload of one frame, in bytes (1 MiB).
    pub max_frame: u64,
    /// Longest time without a byte in either direction (60 s).
    pub idle_timeout: Duration,
    /// How long a frame that is under way may take to end at a graceful stop (5 s).
    pub stop_timeout: Duration,
}

impl Default for WebsocketRules {
    fn default() -> Self {
        Self {
            max_frame: 1024 * 1024,
            idle_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(5),
        }
    }
}

/// How a splice ended, and what passed.
#[derive(Debug)]
pub struct Spliced {
    /// Why.
    pub end: SpliceEnd,
    /// Bytes from the client that reached the upstream.
    pub client_bytes: u64,
    /// Bytes from the upstream that reached the client.
    pub upstream_bytes: u64,
}

/// Why a splice ended.
#[derive(Debug)]
pub enum SpliceEnd {
    /// Both sides ended.
    Closed,
    /// Neither side sent anything for too long.
    Idle,
    /// The gate stops; both sides were told (1001).
    Stopped,
    /// One side broke the frame rules; both sides were told (1002, 1009).
    Violation(Sender, Violation),
    /// A connection broke.
    Broken(io::Error),
}

/// Whether the headers of a 101 answer the handshake with this `Sec-WebSocket-Key` (RFC 6455 section 4.1): both
/// upgrade fields, the right `Sec-WebSocket-Accept`, and no extension, because none was offered.
pub fn proves_handshake(key: &HeaderValue, answer: &HeaderMap) -> bool {
    let mut salted = key.as_bytes().to_vec();
    salted.extend_from_slice(GUID);
    let expected = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted));
    let mut accepts = answer.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    let is_accepted = accepts.next().is_some_and(|accept| accept.as_bytes() == expected.as_bytes());
    is_accepted
        && accepts.next().is_none()
        && has_token(answer, &header::UPGRADE, b"websocket")
        && has_token(answer, &header::CONNECTION, b"upgrade")
        && !answer.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
}

/// Passes frames both ways until both sides ended, one broke a rule, nothing passed for too long, or `stop` is done.
///
/// `upstream_read` is what the upstream already sent after its 101. Both connections are closed on return.
pub async fn splice<C, U>(
    mut client: C,
    mut upstream: U,
    upstream_read: Bytes,
    rules: &WebsocketRules,
    stop: impl Future<Output = ()>,
) -> Spliced
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut up = Pump::new(Walker::new(Sender::Client, rules.max_frame));
    let mut down = Pump::new(Walker::new(Sender::Upstream, rules.max_frame));
    down.buffer.extend_from_slice(&upstream_read);
    let mut watchdog = Watchdog::new(Instant::now() + rules.idle_timeout);
    let mut stop = pin!(stop);
    let mut is_stopping = false;
    let end = poll_fn(|cx| {
        if !is_stopping && stop.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            (up.is_stopping, down.is_stopping) = (true, true);
            watchdog.arm(Instant::now() + rules.stop_timeout);
        }
        let before = up.passed + down.passed;
        let up_ended = up.poll(&mut client, &mut upstream, cx);
        let down_ended = down.poll(&mut upstream, &mut client, cx);
        for (sender, ended) in [(Sender::Client, &up_ended), (Sender::Upstream, &down_ended)] {
            if let Poll::Ready(Err(Fault::Violation(violation))) = ended {
                return Poll::Ready(SpliceEnd::Violation(sender, *violation));
            }
        }
        match (up_ended, down_ended) {
            (Poll::Ready(Err(Fault::Io(error))), _) | (_, Poll::Ready(Err(Fault::Io(error)))) => {
                return Poll::Ready(SpliceEnd::Broken(error));
            }
            (Poll::Ready(_), Poll::Ready(_)) if is_stopping => return Poll::Ready(SpliceEnd::Stopped),
            (Poll::Ready(_), Poll::Ready(_)) => return Poll::Ready(SpliceEnd::Closed),
            _ => {}
        }
        if !is_stopping && up.passed + down.passed > before {
            watchdog.arm(Instant::now() + rules.idle_timeout);
        }
        watchdog.poll(cx).map(|()| if is_stopping { SpliceEnd::Stopped } else { SpliceEnd::Idle })
    })
    .await;
    let code = match &end {
        SpliceEnd::Closed | SpliceEnd::Broken(_) => None,
        SpliceEnd::Idle | SpliceEnd::Stopped => Some(GOING_AWAY),
        SpliceEnd::Violation(_, violation) => Some(violation.close_code()),
    };
    if let Some(code) = code {
        let part = async {
            tokio::join!(
                part_with(&mut client, down.can_close(), close_frame(Sender::Upstream, code)),
                part_with(&mut upstream, up.can_close(), close_frame(Sender::Client, code)),
            )
        };
        // Whoever does not listen is cut off.
        let _ = timeout(PARTING, part).await;
    }
    Spliced { end, client_bytes: up.passed, upstream_bytes: down.passed }
}

/// One direction.
struct Pump {
    walker: Walker,
    buffer: BytesMut,
    /// Bytes at the front of `buffer` that were judged and may leave.
    judged: usize,
    passed: u64,
    is_stopping: bool,
    has_ended: bool,
    is_dirty: bool,
    is_shut: bool,
}

enum Fault {
    Violation(Violation),
    Io(io::Error),
}

impl Pump {
    fn new(walker: Walker) -> Self {
        Self {
            walker,
            buffer: BytesMut::with_capacity(BUFFER),
            judged: 0,
            passed: 0,
            is_stopping: false,
            has_ended: false,
            is_dirty: false,
            is_shut: false,
        }
    }

    /// Whether a frame of ours may follow what the receiver has got: only between frames, and after no Close.
    fn can_close(&self) -> bool {
        self.judged == 0 && self.walker.is_between_frames() && !self.walker.is_closed() && !self.is_shut
    }

    /// Ready when `from` ended and `to` was told so, or at the end of a frame when stopping.
    fn poll<R, W>(&mut self, from: &mut R, to: &mut W, cx: &mut Context<'_>) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while self.judged > 0 {
                let piece = self.buffer.get(..self.judged).unwrap_or_default();
                let written = ready!(Pin::new(&mut *to).poll_write(cx, piece)).map_err(Fault::Io)?;
                if written == 0 {
                    return Poll::Ready(Err(Fault::Io(io::ErrorKind::WriteZero.into())));
                }
                self.buffer.advance(written);
                self.judged -= written;
                self.passed += written as u64;
                self.is_dirty = true;
            }
            if self.is_stopping && self.walker.is_between_frames() {
                return Poll::Ready(Ok(()));
            }
            self.judged = if self.is_stopping {
                self.walker.walk_on(&self.buffer)
            } else {
                self.walker.walk(&self.buffer).map_err(Fault::Violation)?
            };
            if self.judged > 0 {
                continue;
            }
            if self.has_ended {
                return self.poll_shut(to, cx);
            }
            match self.poll_fill(from, cx).map_err(Fault::Io)? {
                Poll::Ready(()) => {}
                Poll::Pending => {
                    if self.is_dirty {
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Fault::Io)?;
                        self.is_dirty = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [0; BUFFER];
        let mut space = ReadBuf::new(&mut space);
        ready!(Pin::new(from).poll_read(cx, &mut space))?;
        self.has_ended = space.filled().is_empty();
        self.buffer.extend_from_slice(space.filled());
        Poll::Ready(Ok(()))
    }

    fn poll_shut<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if !self.is_shut {
            ready!(Pin::new(to).poll_shutdown(cx)).map_err(Fault::Io)?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// Says goodbye where the receiver can understand it, then lets it end: closing with unread bytes would reset the
/// connection and take the goodbye with it.
async fn part_with<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, can_close: bool, close: Vec<u8>) {
    if can_close && stream.write_all(&close).await.is_err() {
        return;
    }
    if stream.flush().await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &[u8]) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
    })
}

#[cfg(test)]
mod tests;
