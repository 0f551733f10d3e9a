//! What an upstream says on one HTTP/1.1 connection, out of bytes as they come. Knows no socket.

use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use http_body::Frame;

use super::super::error::Broken;
use super::decode::{Framing, Piece};
use super::head;

/// Largest head of an answer in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most interim answers (1xx) before an answer.
const MAX_INTERIM: usize = 16;

/// The reading side of a connection.
#[derive(Debug)]
pub struct Inbound {
    /// What came and was not yet taken.
    pub bytes: BytesMut,
    framing: Framing,
    interim: usize,
    keeps_alive: bool,
}

impl Default for Inbound {
    fn default() -> Self {
        Self { bytes: BytesMut::new(), framing: Framing::Length(0), interim: 0, keeps_alive: true }
    }
}

impl Inbound {
    /// The head of the answer to `method`, once it is whole; interim answers are read over.
    ///
    /// # Errors
    /// When it is no head, too large, or leaves two opinions on where the answer ends.
    pub fn take_head(&mut self, method: &Method) -> Result<Option<Response<()>>, Broken> {
        loop {
            let head = match memchr::memmem::find(&self.bytes, b"\r\n\r\n") {
                Some(at) if at <= MAX_HEAD => self.bytes.split_to(at + 4).freeze(),
                None if self.bytes.len() < MAX_HEAD + 4 => return Ok(None),
                _ => return Err(Broken::Head("it is too large")),
            };
            let head = head::read(&head, method)?;
            let status = head.response.status();
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(Broken::Head("too many interim answers came before it"));
                }
                continue;
            }
            self.interim = 0;
            self.framing = head.framing;
            self.keeps_alive = head.keeps_alive && status != StatusCode::SWITCHING_PROTOCOLS;
            return Ok(Some(head.response));
        }
    }

    /// The next piece of the body, or `Wanting`.
    ///
    /// # Errors
    /// When the coding of the body is broken.
    pub(super) fn take_piece(&mut self) -> Result<Piece, Broken> {
        self.framing.take(&mut self.bytes)
    }

    /// All of the body that can be taken now, piece by piece, until it returns `None`.
    ///
    /// # Errors
    /// When the coding of the body is broken.
    pub fn take_frame(&mut self) -> Result<Option<Frame<Bytes>>, Broken> {
        Ok(match self.take_piece()? {
            Piece::Data(data) => Some(Frame::data(data)),
            Piece::Trailers(trailers) => Some(Frame::trailers(trailers)),
            Piece::Wanting | Piece::End => None,
        })
    }

    /// The connection ended.
    ///
    /// # Errors
    /// When the answer was not over.
    pub fn end(&mut self) -> Result<(), Broken> {
        match self.framing {
            Framing::Length(0) | Framing::UntilClose => {
                self.framing = Framing::Length(0);
                Ok(())
            }
            Framing::Length(_) | Framing::Chunked(_) => Err(Broken::Early),
        }
    }

    /// Whether all of the answer was taken.
    pub fn is_over(&self) -> bool {
        self.framing.is_over()
    }

    /// Whether another exchange may follow: all was read, and nobody wants the connection closed.
    pub fn is_at_rest(&self) -> bool {
        self.is_over() && self.bytes.is_empty() && self.keeps_alive
    }

    /// How much of the body is still to be taken, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            Framing::Chunked(_) | Framing::UntilClose => None,
        }
    }
}
