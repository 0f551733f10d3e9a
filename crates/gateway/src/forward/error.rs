//! Why an upstream gave no answer.

use std::io;

use portcullis_core::halt::{Halt, Reason};

/// Why an upstream gave no answer. The text is for the record, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The name has no address.
    #[error("upstream name does not resolve: {0}")]
    Resolve(#[source] io::Error),
    /// No address of the upstream took a connection.
    #[error("upstream cannot be connected to: {0}")]
    Connect(#[source] io::Error),
    /// No address took a connection in time.
    #[error("upstream did not take a connection in time")]
    ConnectTimeout,
    /// TLS failed; also when the certificate does not verify.
    #[error("TLS with the upstream failed: {0}")]
    Tls(#[source] io::Error),
    /// The upstream broke HTTP or the connection before its answer began.
    #[error("upstream broke the exchange: {0}")]
    Broken(#[source] Broken),
    /// The connection ended without a cause that could be told.
    #[error("upstream closed the connection")]
    Closed,
    /// The answer did not begin in time.
    #[error("upstream did not begin to answer in time")]
    FirstByteTimeout,
    /// The request cannot be written for this upstream.
    #[error("request has no form for this upstream")]
    Unwritable,
    /// The answer to a WebSocket handshake proves nothing (RFC 6455 section 4.1).
    #[error("upstream's WebSocket handshake is not valid")]
    Handshake,
}

impl ForwardError {
    /// The row of the table of halts.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Resolve(_) | Self::Connect(_) | Self::Tls(_) => Reason::UpstreamUnreachable,
            Self::ConnectTimeout | Self::FirstByteTimeout => Reason::UpstreamTimeout,
            Self::Broken(_) | Self::Closed | Self::Handshake => Reason::UpstreamBroken,
            Self::Unwritable => Reason::Internal,
        }
    }
}

/// How an upstream broke HTTP or the connection.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    Early,
    /// What should be the head of an answer is none.
    #[error("the head of the answer cannot be read: {0}")]
    Syntax(#[from] httparse::Error),
    /// The head of the answer has more than one reading, or says too much.
    #[error("the head of the answer is refused: {0}")]
    Head(&'static str),
    /// Where the answer ends has more than one reading (RFC 9112 sections 6 and 7).
    #[error("the answer has no clear end: {0}")]
    Framing(&'static str),
    /// HTTP/2 failed.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

impl From<ForwardError> for Halt {
    fn from(error: ForwardError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}
