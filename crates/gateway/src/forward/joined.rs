//! What is ready of a body leaves as one frame.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Frame;

use super::error::Broken;

/// Joined data is no longer than this, one piece more or less.
const LIMIT: usize = 64 * 1024;
/// A piece of this length is worth a write of its own and is never copied.
const ALONE: usize = 16 * 1024;

/// A piece of a body, its end, or why it broke off.
pub(super) type Next = Option<Result<Frame<Bytes>, Broken>>;

/// Joins pieces: one alone passes at once and without a copy, a burst of small ones leaves as few frames.
#[derive(Default)]
pub(super) struct Joiner {
    joined: BytesMut,
    /// What came while data was joined, and must follow it.
    held: Option<Result<Frame<Bytes>, Broken>>,
}

impl Joiner {
    /// Whether nothing is kept back.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// Length of the data that is kept back.
    pub(super) fn len(&self) -> u64 {
        let data = self.held.as_ref().and_then(|held| held.as_ref().ok()?.data_ref());
        data.map_or(0, Bytes::len) as u64
    }

    /// Takes from `next` until nothing is ready, and gives what came: data first, then what ended it.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Next>,
    ) -> Poll<Next> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(Some(held));
        }
        let mut first: Option<Bytes> = None;
        let end = loop {
            if self.joined.len() >= LIMIT {
                break Poll::Pending;
            }
            let data = match next(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => data,
                    Err(trailers) => break Poll::Ready(Some(Ok(trailers))),
                },
                end => break end,
            };
            if data.len() >= ALONE {
                break Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match first.take() {
                None if self.joined.is_empty() => first = Some(data),
                None => self.joined.extend_from_slice(&data),
                Some(first) => {
                    self.joined.reserve(ALONE.max(first.len() + data.len()));
                    self.joined.extend_from_slice(&first);
                    self.joined.extend_from_slice(&data);
                }
            }
        };
        let joined = first.or_else(|| (!self.joined.is_empty()).then(|| self.joined.split().freeze()));
        let Some(joined) = joined else { return end };
        if let Poll::Ready(Some(held)) = end {
            self.held = Some(held);
        }
        Poll::Ready(Some(Ok(Frame::data(joined))))
    }
}
