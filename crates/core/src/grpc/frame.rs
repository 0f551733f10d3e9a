//! Messages on the wire: a byte that says whether it is compressed, four bytes of length, the message.

use bytes::{Buf, Bytes, BytesMut};

/// Most bytes that are set aside on the word of a prefix.
const TRUSTED: usize = 64 * 1024;

/// Bytes before each message.
pub const PREFIX: usize = 5;

/// Why bytes are no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The end comes within a message.
    #[error("the message is incomplete")]
    Truncated,
    /// One is needed.
    #[error("there is no message")]
    None,
    /// One is allowed.
    #[error("there is more than one message")]
    More,
    /// What is compressed is not read.
    #[error("the message is compressed")]
    Compressed,
    /// The first byte says neither yes nor no.
    #[error("the message has an unknown flag")]
    Flag,
    /// Longer than is read.
    #[error("the message is longer than {0} bytes")]
    TooLong(usize),
}

/// The one message of a unary request.
///
/// # Errors
/// None, more than one, a part of one, or one that is compressed.
pub(super) fn only(body: &[u8]) -> Result<&[u8], FrameFault> {
    if body.is_empty() {
        return Err(FrameFault::None);
    }
    let (prefix, message) = body.split_first_chunk::<PREFIX>().ok_or(FrameFault::Truncated)?;
    let length = length(*prefix)?;
    match message.len().cmp(&length) {
        std::cmp::Ordering::Less => Err(FrameFault::Truncated),
        std::cmp::Ordering::Equal => Ok(message),
        std::cmp::Ordering::Greater => Err(FrameFault::More),
    }
}

fn length([flag, length @ ..]: [u8; PREFIX]) -> Result<usize, FrameFault> {
    match flag {
        0 => usize::try_from(u32::from_be_bytes(length)).map_err(|_| FrameFault::TooLong(usize::MAX)),
        1 => Err(FrameFault::Compressed),
        _ => Err(FrameFault::Flag),
    }
}

/// Cuts a stream into messages, however it is chunked.
#[derive(Debug)]
pub struct Frames {
    buffer: BytesMut,
    limit: usize,
}

impl Frames {
    /// `limit` is the longest message in bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message with its prefix, if it has come.
    ///
    /// # Errors
    /// A message that is compressed or too long; the latter before it has come.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameFault> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = length(*prefix)?;
        if length > self.limit {
            return Err(FrameFault::TooLong(self.limit));
        }
        let whole = PREFIX + length;
        if self.buffer.len() < whole {
            // Whoever sends five bytes does not get megabytes for them.
            self.buffer.reserve((whole - self.buffer.len()).min(TRUSTED));
            return Ok(None);
        }
        Ok(Some(self.buffer.split_to(whole).freeze()))
    }

    /// Whether the stream may end here.
    pub fn is_between(&self) -> bool {
        !self.buffer.has_remaining()
    }
}

/// A message with its prefix.
pub fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.extend_from_slice(&[0]);
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    framed.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unary_request_is_one_message() {
        let check =
            |body: &[u8], expected: Result<&[u8], FrameFault>| assert_eq!(only(body), expected, "{body:?}");
        check(b"\0\0\0\0\0", Ok(b""));
        check(b"\0\0\0\0\x02hi", Ok(b"hi"));
        check(b"", Err(FrameFault::None));
        check(b"\0\0\0\0", Err(FrameFault::Truncated));
        check(b"\0\0\0\0\x03hi", Err(FrameFault::Truncated));
        check(b"\0\0\0\0\x02hi\0", Err(FrameFault::More));
        check(b"\x01\0\0\0\x02hi", Err(FrameFault::Compressed));
        check(b"\x02\0\0\0\x02hi", Err(FrameFault::Flag));
        assert_eq!(only(&framed(b"hello")), Ok(&b"hello"[..]));
    }

    #[test]
    fn how_a_stream_is_cut_changes_nothing() {
        let stream = [framed(b"one"), framed(b""), framed(b"three")].concat();
        for size in 1..stream.len() {
            let mut frames = Frames::new(5);
            let mut found = Vec::new();
            for chunk in stream.chunks(size) {
                frames.push(chunk);
                while let Some(message) = frames.take().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [framed(b"one"), framed(b""), framed(b"three")], "{size}");
            assert!(frames.is_between());
        }
        let mut frames = Frames::new(5);
        frames.push(&framed(b"longer"));
        assert_eq!(frames.take(), Err(FrameFault::TooLong(5)));
        let mut frames = Frames::new(5);
        frames.push(b"\0\0\0\0\x01");
        assert_eq!((frames.take(), frames.is_between()), (Ok(None), false));
    }
}
