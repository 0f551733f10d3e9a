//! Streams of messages: each event carries one, and is screened whole.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use portcullis_core::halt::Reason;
use portcullis_core::record::Finding;

use super::said::{Said, Stopped, screen};
use super::{McpRules, Shows, error_body};
use crate::dialect::StreamEnd;
use crate::dialect::text::{Form, Left, whole};
use crate::sse::{Decoder, Event, Limits};

/// Largest event, in bytes: as large as an answer that comes whole.
const EVENT: usize = 16 << 20;

/// One stream of a tool server's under the screen.
///
/// Events of clean messages leave as the very bytes that came. A response that is blocked leaves as an error in its
/// place, a notification that is blocked not at all, though the id of its event does, so that the stream can be
/// resumed behind it. A blocked request of the server's, and what is no message, end the stream: with an error for the
/// request that it answers, where it answers one.
#[derive(Debug)]
pub struct McpStream {
    decoder: Decoder,
    state: State,
}

#[derive(Debug)]
struct State {
    rules: McpRules,
    shows: Arc<dyn Shows>,
    /// The id of the request that is answered, as JSON.
    open: Option<Box<str>>,
    record_id: Box<str>,
    findings: Vec<Finding>,
    is_over: bool,
}

impl McpStream {
    /// Starts a stream that answers the request `open`, whose id is written as JSON, or none. `record_id` is named where
    /// something is stopped.
    pub fn new(rules: &McpRules, shows: Arc<dyn Shows>, open: Option<&str>, record_id: &str) -> Self {
        let state = State {
            rules: rules.clone(),
            shows,
            open: open.map(Into::into),
            record_id: record_id.into(),
            findings: Vec::new(),
            is_over: false,
        };
        Self { decoder: Decoder::new(Limits { line: EVENT, event: EVENT }), state }
    }

    /// Takes what came from the server, in any split, and appends to `out` what may leave.
    ///
    /// # Errors
    /// What was stopped; the stream goes on unless it [`is_over`](Self::is_over).
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), StreamEnd> {
        let mut rest = bytes;
        let mut result = Ok(());
        while !self.state.is_over {
            let event = match self.decoder.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(event)) => self.state.event(&event, out),
                Err(error) => Err(self.state.close(error.into(), out)),
            };
            result = result.and(event);
        }
        result
    }

    /// The server's stream is over. One that ends without an answer may be taken up again, so nothing is added to it.
    ///
    /// # Errors
    /// As [`push`](Self::push), also where the stream was cut inside an event.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), StreamEnd> {
        if self.state.is_over {
            return Ok(());
        }
        let result = match self.decoder.finish() {
            Ok(Some(event)) => self.state.event(&event, out),
            Ok(None) => Ok(()),
            Err(error) => Err(self.state.close(error.into(), out)),
        };
        self.state.is_over = true;
        result
    }

    /// Whether nothing more may follow.
    pub fn is_over(&self) -> bool {
        self.state.is_over
    }

    /// Findings since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.state.findings)
    }
}

impl State {
    fn event(&mut self, event: &Event<'_>, out: &mut BytesMut) -> Result<(), StreamEnd> {
        let mut others = Vec::new();
        let mut is_same = true;
        for line in event.other_lines() {
            let Ok(text) = std::str::from_utf8(line) else { return Err(self.close(StreamEnd::NotText, out)) };
            if text.strip_prefix("event:").is_some_and(|name| name.trim() != "message") {
                return Err(self.close(StreamEnd::NotMessage, out));
            }
            let screen = &self.rules.results;
            match whole(screen, text, Form::Plain, &mut self.findings, || "event".into()) {
                Left::Same => others.push(line),
                Left::Changed(_) => is_same = false,
                Left::Blocked => return Err(self.close(StreamEnd::Blocked, out)),
            }
        }
        let data = match event.data.as_deref().map(std::str::from_utf8) {
            None => None,
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => return Err(self.close(StreamEnd::NotText, out)),
        };
        // An event without a message says from where the stream can be resumed.
        let Some(text) = data.filter(|text| !text.trim_ascii().is_empty()) else {
            if is_same {
                out.extend_from_slice(event.raw)
            } else {
                write(&others, data, out)
            }
            return Ok(());
        };
        match screen(&self.rules, &*self.shows, text, &mut self.findings) {
            Ok(None) if is_same => out.extend_from_slice(event.raw),
            Ok(left) => write(&others, Some(left.as_deref().unwrap_or(text)), out),
            Err(stopped) => return Err(self.stopped(&stopped, &others, out)),
        }
        Ok(())
    }

    fn stopped(&mut self, stopped: &Stopped, others: &[&[u8]], out: &mut BytesMut) -> StreamEnd {
        match (&stopped.said, stopped.reason) {
            (Some(Said::Response(id)), reason) => {
                write(others, Some(&error_body(reason, Some(id), &self.record_id)), out);
                StreamEnd::Blocked
            }
            (Some(Said::Request), _) if self.open.is_some() => self.close(StreamEnd::Blocked, out),
            (Some(Said::Request | Said::Notification), _) => {
                write(others, None, out);
                StreamEnd::Blocked
            }
            (None, _) => self.close(StreamEnd::NotMessage, out),
        }
    }

    /// Ends the stream, with an error for the request that it answers.
    fn close(&mut self, end: StreamEnd, out: &mut BytesMut) -> StreamEnd {
        self.is_over = true;
        if let Some(id) = &self.open {
            let reason =
                if end == StreamEnd::Blocked { Reason::AnswerBlocked } else { Reason::AnswerUnreadable };
            write(&[], Some(&error_body(reason, Some(id), &self.record_id)), out);
        }
        end
    }
}

/// Writes an event; what it holds besides data stays.
fn write(others: &[&[u8]], data: Option<&str>, out: &mut BytesMut) {
    for line in others {
        out.extend_from_slice(line);
        out.put_u8(b'\n');
    }
    for line in data.iter().flat_map(|data| data.split('\n')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
}
