//! One connection, from its first byte to its end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_core::halt::Reason;
use portcullis_core::receive::strict::Checker;
use portcullis_core::request::Peer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::lifetime::{Lifetime, Permit, Stage, Stop};
use super::service::Service;
use super::strict::Strict;
use super::{Handler, Limits};

/// What a client sends first that speaks HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Read buffer of HTTP/1 beside the largest head, in bytes.
const BODY_BUFFER: usize = 64 * 1024;

/// What all connections of a listener share.
pub(super) struct Shared<H> {
    pub(super) handler: H,
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) stop: Stop,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<H: Handler> Shared<H> {
    pub(super) fn new(handler: H, limits: Limits, tls: Option<TlsAcceptor>) -> Self {
        let http1 = http1(&limits);
        let http2 = http2(&limits);
        Self { handler, limits: Arc::new(limits), tls, stop: Stop::default(), http1, http2 }
    }

    /// Serves one accepted connection to its end.
    // PERF: each protocol is boxed, or every connection would take the room of the largest.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, mut peer: Peer, permit: Permit) {
        let Some(tls) = &self.tls else { return Box::pin(self.serve_clear(stream, peer, permit)).await };
        // A handshake that fails or drips has no request to refuse; the connection just ends.
        let handshake = Box::pin(timeout(self.limits.handshake, tls.accept(stream)));
        let Some(Ok(Ok(stream))) = self.or_stop(handshake).await else { return };
        peer.is_tls = true;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(self.serve_http2(stream, &[], peer, permit)).await;
        } else {
            Box::pin(self.serve_http1(stream, &[], peer, permit)).await;
        }
    }

    async fn serve_clear(&self, mut stream: TcpStream, peer: Peer, permit: Permit) {
        if !self.limits.http2.in_clear {
            return Box::pin(self.serve_http1(stream, &[], peer, permit)).await;
        }
        let mut first = [0; PREFACE.len()];
        let preface = timeout(self.limits.idle, read_preface(&mut stream, &mut first));
        let Some(Ok(Ok(count))) = self.or_stop(preface).await else { return };
        let first = first.get(..count).unwrap_or_default();
        if first == PREFACE {
            Box::pin(self.serve_http2(stream, first, peer, permit)).await;
        } else if count > 0 {
            Box::pin(self.serve_http1(stream, first, peer, permit)).await;
        }
    }

    async fn serve_http1<S>(&self, stream: S, first: &[u8], peer: Peer, permit: Permit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let lifetime = Arc::new(Lifetime::new());
        let checker = Some(Checker::new(self.limits.head));
        let stream =
            Strict::new(stream, checker, first, Arc::clone(&lifetime), Arc::clone(&self.limits), permit);
        let service = Service { handler: self.handler.clone(), peer, lifetime: Arc::clone(&lifetime) };
        let connection = pin!(self.http1.serve_connection(TokioIo::new(stream), service).with_upgrades());
        if let Err(error) =
            self.drive(connection, |connection| connection.graceful_shutdown(), &lifetime).await
            && error.is_parse()
        {
            // The checker is meant to be stricter than the parser. Where it is not, the parser has answered.
            let reason =
                if error.is_parse_too_large() { Reason::HeadersTooLarge } else { Reason::MalformedRequest };
            drop(self.handler.refused(peer, reason, "the parser refused the head"));
        }
    }

    async fn serve_http2<S>(&self, stream: S, first: &[u8], peer: Peer, permit: Permit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let lifetime = Arc::new(Lifetime::new());
        let stream =
            Strict::new(stream, None, first, Arc::clone(&lifetime), Arc::clone(&self.limits), permit);
        let service = Service { handler: self.handler.clone(), peer, lifetime: Arc::clone(&lifetime) };
        let connection = pin!(self.http2.serve_connection(TokioIo::new(stream), service));
        if let Err(error) =
            self.drive(connection, |connection| connection.graceful_shutdown(), &lifetime).await
            && is_client_error(&error)
        {
            drop(self.handler.refused(
                peer,
                Reason::MalformedRequest,
                "HTTP/2 connection broken by the client",
            ));
        }
    }

    /// Runs a connection to its end; ends it when it idles too long, and when the listener stops.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        finish: impl Fn(Pin<&mut C>),
        lifetime: &Lifetime,
    ) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut idle = pin!(sleep(self.limits.idle));
        let mut stage = Stage::Run;
        let mut is_finishing = false;
        loop {
            let told = pin!(self.stop.told.notified());
            match wait(connection.as_mut(), told, idle.as_mut(), &self.stop, stage).await {
                Wake::Ended(result) => return result,
                Wake::Told => {
                    stage = self.stop.stage();
                    if stage == Stage::Cut {
                        return Ok(());
                    }
                    finish(connection.as_mut());
                }
                Wake::Idle => match lifetime.idle_left(self.limits.idle) {
                    Some(left) => idle.as_mut().reset(Instant::now() + left.max(Duration::from_millis(1))),
                    None if is_finishing => return Ok(()),
                    None => {
                        is_finishing = true;
                        idle.as_mut().reset(Instant::now() + self.limits.idle.max(Duration::from_millis(1)));
                        finish(connection.as_mut());
                    }
                },
            }
        }
    }

    /// The future's output, or `None` when the listener stops first.
    async fn or_stop<F: Future>(&self, future: F) -> Option<F::Output> {
        let told = self.stop.told.notified();
        let stopped = async {
            if self.stop.stage() == Stage::Run {
                told.await;
            }
        };
        tokio::select! {
            biased;
            output = future => Some(output),
            () = stopped => None,
        }
    }
}

/// Why a connection's driver woke.
enum Wake {
    Ended(hyper::Result<()>),
    Told,
    Idle,
}

/// PERF: `told` takes a lock that all connections share, and `idle` costs more than a look; so both are polled once,
/// which leaves this task's waker with them, and later polls read their state alone.
async fn wait<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    mut told: Pin<&mut tokio::sync::futures::Notified<'_>>,
    mut idle: Pin<&mut Sleep>,
    stop: &Stop,
    stage: Stage,
) -> Wake {
    let mut is_registered = false;
    poll_fn(move |cx: &mut Context<'_>| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Wake::Ended(result));
        }
        if stop.stage() > stage {
            return Poll::Ready(Wake::Told);
        }
        if is_registered {
            return if idle.is_elapsed() { Poll::Ready(Wake::Idle) } else { Poll::Pending };
        }
        is_registered = true;
        if told.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Wake::Told);
        }
        idle.as_mut().poll(cx).map(|()| Wake::Idle)
    })
    .await
}

/// Reads as long as it may become the preface. The count is 24 for HTTP/2, and 0 at the end of the stream.
async fn read_preface(stream: &mut TcpStream, first: &mut [u8; PREFACE.len()]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = first.get_mut(count..).filter(|rest| !rest.is_empty()) {
        let read = stream.read(rest).await?;
        count += read;
        let is_preface = first.get(..count).is_some_and(|first| PREFACE.starts_with(first));
        if read == 0 || !is_preface {
            break;
        }
    }
    Ok(count)
}

/// Whether the client broke the protocol, and not merely the connection.
fn is_client_error(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<h2::Error>())
        .is_some_and(|error| error.is_library() && error.is_go_away())
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // PERF: deadlines are kept by `Strict`; hyper's own would arm a timer for every request.
        .header_read_timeout(None)
        .max_buf_size((limits.head.header_bytes + limits.head.target + 4096).max(BODY_BUFFER));
    if limits.head.headers > 100 {
        builder.max_headers(limits.head.headers);
    }
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let http2 = &limits.http2;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(http2.streams)
        .max_header_list_size(http2.header_list)
        .max_pending_accept_reset_streams(http2.pending_resets)
        .max_local_error_reset_streams(http2.local_resets)
        .initial_stream_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .max_frame_size(http2.frame)
        .max_send_buf_size(http2.send_buffer)
        .keep_alive_interval(http2.ping)
        .keep_alive_timeout(http2.ping_deadline);
    builder
}
