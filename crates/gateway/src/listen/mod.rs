//! Where clients come in: sockets, TLS, HTTP/1 and HTTP/2, and every limit that guards them.
//!
//! Nothing of a request reaches the [`Handler`] before its head is whole and its bytes passed
//! [`portcullis_core::receive::strict`]. What is refused here is told to the handler, so that it is recorded like
//! any other refusal.

pub mod body;
pub mod tls;

mod accept;
mod connection;
mod lifetime;
mod service;
mod strict;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use portcullis_core::halt::Reason;
use portcullis_core::receive::strict::HeadLimits;
use portcullis_core::request::{Peer, Wire};

pub use accept::{ListenError, Listener, Served};
pub use strict::Broken;
use tls::TlsRules;

/// Who answers requests.
///
/// The future of [`handle`](Handler::handle) is dropped when the client goes away, and so is a body that was not
/// written to its end.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers one request. Called on a clone of its own.
    fn handle(
        self,
        peer: Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Is told of a request that was refused before it could be handed over: exactly once for each.
    ///
    /// The answer goes to the client and the connection closes. Where the protocol library has answered already,
    /// the answer is dropped.
    fn refused(&self, peer: Peer, reason: Reason, detail: &'static str) -> Response<Self::Body>;
}

/// One listening socket.
#[derive(Debug, Clone)]
pub struct ListenRules {
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificates; `None` speaks in clear.
    pub tls: Option<Arc<TlsRules>>,
    /// What a client may cost.
    pub limits: Limits,
}

/// What a client may cost. The defaults are safe on the open internet.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sizes of a request head.
    pub head: HeadLimits,
    /// From the first byte of an HTTP/1 head to its end.
    pub head_deadline: Duration,
    /// A connection without a request is closed after this.
    pub idle: Duration,
    /// A client that reads nothing of its answer is cut after this.
    pub write_stall: Duration,
    /// TLS handshake, from the first byte to the last.
    pub handshake: Duration,
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one IPv4 address or one IPv6 /64.
    pub connections_per_address: usize,
    /// What an HTTP/2 connection may cost beside.
    pub http2: Http2Limits,
    /// How long requests in flight may take when the listener stops.
    pub drain: Duration,
}

/// What an HTTP/2 connection may cost.
#[derive(Debug, Clone)]
pub struct Http2Limits {
    /// Whether a plain listener takes HTTP/2 from clients that know of it (RFC 9113 section 3.3).
    pub in_clear: bool,
    /// Streams at one time.
    pub streams: u32,
    /// Decoded header list, in bytes; it bounds `CONTINUATION` frames too.
    pub header_list: u32,
    /// Streams that the client reset before they were accepted (rapid reset).
    pub pending_resets: usize,
    /// Streams that had to be reset for the client's errors.
    pub local_resets: usize,
    /// Flow-control window of a stream.
    pub stream_window: u32,
    /// Flow-control window of the connection.
    pub connection_window: u32,
    /// Largest frame.
    pub frame: u32,
    /// Bytes of an answer kept for a client that reads slowly, per stream.
    pub send_buffer: usize,
    /// A quiet connection is pinged this often.
    pub ping: Duration,
    /// A ping must be answered within this.
    pub ping_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            head_deadline: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            connections: 10_000,
            connections_per_address: 256,
            http2: Http2Limits::default(),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            in_clear: true,
            streams: 100,
            header_list: 32 * 1024,
            pending_resets: 20,
            local_resets: 256,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            frame: 16 * 1024,
            send_buffer: 64 * 1024,
            ping: Duration::from_secs(30),
            ping_deadline: Duration::from_secs(10),
        }
    }
}

/// Splits a request into what `receive` judges and the body that is read later.
pub fn wire(peer: Peer, request: Request<Incoming>) -> (Wire, Incoming) {
    let (parts, body) = request.into_parts();
    let has_body = !http_body::Body::is_end_stream(&body);
    (Wire { parts, peer, has_body }, body)
}
