//! An event on its way out: as it came, or with other data.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use portcullis_core::record::Finding;

use super::text::{Form, Left, whole};
use super::{Screen, StreamEnd};
use crate::sse::Event;

/// Sends an event: as it came, or with `json` for its data; other lines only if they pass the screen.
///
/// # Errors
/// [`StreamEnd::Blocked`] where a line is blocked; nothing of the event was sent then.
pub(crate) fn send(
    screen: &Screen,
    findings: &mut Vec<Finding>,
    event: &Event<'_>,
    json: Option<&str>,
    out: &mut BytesMut,
) -> Result<(), StreamEnd> {
    let mut others = Vec::new();
    let mut is_same = true;
    if !event.is_plain && !screen.is_off() {
        for line in event.other_lines() {
            let left = std::str::from_utf8(line)
                .map(|line| whole(screen, line, Form::Plain, findings, || "event".into()));
            match left {
                Ok(Left::Same) => others.push(line),
                Ok(Left::Blocked) => return Err(StreamEnd::Blocked),
                Ok(Left::Changed(_)) | Err(_) => is_same = false,
            }
        }
    } else if json.is_some() {
        others.extend(event.other_lines());
    }
    if is_same && json.is_none() {
        out.extend_from_slice(event.raw);
        return Ok(());
    }
    for line in others {
        out.extend_from_slice(line);
        out.put_u8(b'\n');
    }
    let data = json.map(Cow::Borrowed).or_else(|| event.data.as_deref().map(String::from_utf8_lossy));
    for line in data.iter().flat_map(|data| data.split('\n')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
    Ok(())
}
