//! Reads a request body whole, within its limits.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use portcullis_core::halt::Reason;
use tokio::time::{Instant, timeout_at};

use super::strict::Broken;

/// Most bytes that are set aside on the client's word alone, by its `Content-Length`.
const TRUSTED_LENGTH: usize = 64 * 1024;

/// Reads `body` to its end.
///
/// `limit` bounds its bytes, `progress` the time between two pieces, `total` the time for all. Trailers are dropped.
///
/// # Errors
/// `BodyTooLarge` (before anything is read, where the length is known), `BodyTimeout`, `AmbiguousFraming` where the
/// chunks are broken, `BodyIncomplete` where the client went away.
pub async fn read<B>(body: B, limit: usize, progress: Duration, total: Duration) -> Result<Bytes, Reason>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Reason::BodyTooLarge);
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut end = None;
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    loop {
        let mut next = body.frame();
        // PERF: what is there already is taken without asking the clock.
        let frame = match poll_fn(|cx| Poll::Ready(Pin::new(&mut next).poll(cx))).await {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let now = Instant::now();
                let end = *end.get_or_insert(now + total);
                // PERF: boxed, or every request would keep room for a timer.
                let waited = Box::pin(timeout_at(end.min(now + progress), next)).await;
                waited.map_err(|_| Reason::BodyTimeout)?
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| reason(&*error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + whole.len() + data.len() > limit {
            return Err(Reason::BodyTooLarge);
        }
        // PERF: most bodies come in one piece, and are not copied.
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.reserve(announced.min(TRUSTED_LENGTH).max(first.len() + data.len()));
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// Why reading failed: broken chunks, or a client that went away.
fn reason(error: &(dyn Error + 'static)) -> Reason {
    let mut source = Some(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        if let Some(Broken(violation)) = inner.and_then(|inner| inner.downcast_ref()) {
            return violation.reason();
        }
        source = error.source();
    }
    Reason::BodyIncomplete
}
