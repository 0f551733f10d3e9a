//! Streams of typed events: every event says what it is, pieces of texts come in events of their own, and later events
//! may say a text once more as a whole.
//!
//! What differs between dialects is a [`Grammar`]. Every piece goes through the machine of its text, and what the
//! machine lets go leaves in the event that carried the piece. What is still held when a text ends leaves in an event
//! of our own before the one that ends it; the numbers of later events are moved on. A text that is said once more is
//! screened as the whole that it is, which gives what its pieces gave, since chunking never changes a verdict.

mod echoes;
mod grammar;
mod read;
#[cfg(test)]
mod tests;

use bytes::BytesMut;
use portcullis_core::record::{Finding, Usage};
use rustc_hash::FxHashMap;

use super::deltas::Deltas;
use super::frame::send;
use super::template::{HOLES, Template};
use super::text::{Form, Left, whole};
use super::{ModelRules, Screen, StreamEnd};
use crate::sse::{Decoder, Event, Limits};

pub(crate) use grammar::{Closing, Delta, Echo, EchoKind, Grammar, Kept, When, Whole};

/// Most texts, and most places under way, of one answer.
const CHANNELS: usize = 1024;
/// Most shapes of events remembered at a time.
const TEMPLATES: usize = 8;
/// Longest line and event: the last ones say a whole answer once more, pictures included.
const LIMITS: Limits = Limits { line: 16 << 20, event: 17 << 20 };

/// One streamed answer of typed events under the screen.
///
/// Events whose text neither changed nor was held back leave as the very bytes that came. An event of an unknown kind
/// ends the stream, unless the rules say that such events pass; each of its strings is screened for itself then.
#[derive(Debug)]
pub struct EventStream {
    decoder: Decoder,
    state: State,
}

/// All but the decoder, so that events may borrow from that one.
#[derive(Debug)]
struct State {
    grammar: &'static Grammar,
    screen: Screen,
    /// Where the operator's own text would be said again.
    hidden: &'static [&'static str],
    passes_unknown: bool,
    record_id: Box<str>,
    channels: Vec<Channel>,
    /// Numbers of channels by their places.
    places: FxHashMap<Box<str>, usize>,
    /// Places that were begun and not ended.
    open: Vec<String>,
    templates: Vec<Template<Hole>>,
    oldest_template: usize,
    /// How many events of our own were put in, which later numbers move on by.
    added: u64,
    /// The number of the next event.
    number: u64,
    kept: Vec<(usize, String)>,
    /// Events that wait for the end of a text.
    waiting: Vec<echoes::Waiting>,
    usage: Option<Usage>,
    findings: Vec<Finding>,
    /// The event that ends streams has passed.
    is_ended: bool,
    is_over: bool,
    released: String,
    /// For the test that a known shape means what the whole reading means.
    #[cfg(test)]
    is_forgetful: bool,
}

/// A text that grows by deltas, under its own machine.
#[derive(Debug)]
struct Channel {
    row: &'static Delta,
    place: Box<str>,
    numbers: Vec<u64>,
    /// What events call the item that it belongs to: the member and the JSON string.
    id: Option<(&'static str, String)>,
    deltas: Deltas,
    is_over: bool,
}

/// What becomes of what varies in an event of a known shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    /// It goes to the channel of this number.
    Channel(usize),
    /// It is screened for itself.
    Aside,
    /// It counts events.
    Number,
}

impl EventStream {
    /// Starts an answer; `record_id` is named if the stream breaks.
    pub(crate) fn new(grammar: &'static Grammar, rules: &ModelRules, record_id: &str) -> Self {
        let state = State {
            grammar,
            screen: rules.answer.clone(),
            hidden: if rules.system.is_some() { grammar.hidden } else { &[] },
            passes_unknown: rules.passes_unknown,
            record_id: record_id.into(),
            channels: Vec::new(),
            places: FxHashMap::default(),
            open: Vec::new(),
            templates: Vec::new(),
            oldest_template: 0,
            added: 0,
            number: 0,
            kept: Vec::new(),
            waiting: Vec::new(),
            usage: None,
            findings: Vec::new(),
            is_ended: false,
            is_over: false,
            released: String::new(),
            #[cfg(test)]
            is_forgetful: false,
        };
        Self { decoder: Decoder::new(LIMITS), state }
    }

    /// Takes what came from the model, in any split, and appends to `out` what may leave. Everything that follows the
    /// end of the stream is dropped.
    ///
    /// # Errors
    /// The stream must end here; `out` then ends with the well-formed end of the stream.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), StreamEnd> {
        out.reserve(bytes.len());
        let mut rest = bytes;
        while !self.state.is_over {
            let result = match self.decoder.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(event)) => self.state.event(&event, out),
                Err(error) => Err(error.into()),
            };
            result.map_err(|end| self.state.close(end, out))?;
        }
        Ok(())
    }

    /// The model's stream is over: appends what is still held back.
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
            Err(error) => Err(error.into()),
        };
        let result = result.and_then(|()| self.state.end_texts("", out));
        let result = result.map_err(|end| self.state.close(end, out));
        self.state.is_over = true;
        result
    }

    /// Tokens, once the model counted them.
    pub fn usage(&self) -> Option<Usage> {
        self.state.usage
    }

    /// Whether the end has been written: by what follows the model's own, by an error, or by [`finish`](Self::finish).
    pub fn is_over(&self) -> bool {
        self.state.is_over
    }

    /// Has every event read in full from here on.
    #[cfg(test)]
    pub(crate) fn forget_shapes(&mut self) {
        self.state.is_forgetful = true;
    }

    /// Findings since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.state.findings)
    }
}

impl State {
    fn event(&mut self, event: &Event<'_>, out: &mut BytesMut) -> Result<(), StreamEnd> {
        if let Some(result) = self.known(event.raw, out) {
            return result;
        }
        let Some(data) = &event.data else {
            return self.send(event, None, out);
        };
        let text = std::str::from_utf8(data).map_err(|_| StreamEnd::NotText)?;
        match text.trim_ascii() {
            "" => self.send(event, None, out),
            "[DONE]" => {
                self.end_texts("", out)?;
                self.send(event, None, out)?;
                self.is_over = true;
                Ok(())
            }
            // Nothing that says more may follow the end.
            _ if self.is_ended => {
                self.is_over = true;
                Ok(())
            }
            _ => self.read(event, text, out),
        }
    }

    // PERF: nearly every event of a stream ends here, without being parsed; see `Template`.
    /// Handles an event of a known shape.
    fn known(&mut self, raw: &[u8], out: &mut BytesMut) -> Option<Result<(), StreamEnd>> {
        let (nth, texts) =
            self.templates.iter().enumerate().find_map(|(nth, template)| Some((nth, template.read(raw)?)))?;
        let template = self.templates.get(nth)?;
        let mut released = std::mem::take(&mut self.released);
        released.clear();
        let mut ends = [0; HOLES];
        let (mut is_same, mut is_blocked, mut number) = (true, false, None);
        for ((hole, text), end) in template.holes().zip(&texts).zip(&mut ends) {
            match hole {
                Hole::Channel(channel) => {
                    let channel = self.channels.get_mut(channel)?;
                    let passed = channel.deltas.push(text, &mut released, &mut self.findings);
                    is_same &= passed.is_same;
                    is_blocked |= passed.is_blocked;
                }
                Hole::Aside => {
                    match whole(&self.screen, text, Form::Plain, &mut self.findings, || "/obfuscation".into())
                    {
                        Left::Same => released.push_str(text),
                        Left::Changed(text) => {
                            is_same = false;
                            released.push_str(&text);
                        }
                        Left::Blocked => is_blocked = true,
                    }
                }
                Hole::Number => {
                    number = text.parse::<u64>().ok().map(|number| number.saturating_add(self.added));
                    is_same &= self.added == 0;
                    match number {
                        Some(number) if self.added > 0 => released.push_str(&number.to_string()),
                        _ => released.push_str(text),
                    }
                }
            }
            *end = released.len();
            if is_blocked {
                break;
            }
        }
        if !is_blocked {
            self.number = number.map_or(self.number, |number| number.saturating_add(1));
            match is_same {
                true => out.extend_from_slice(raw),
                false => template.write(&released, &ends, out),
            }
            self.released = released;
            return Some(Ok(()));
        }
        let holes: Vec<Hole> = template.holes().collect();
        let mut start = 0;
        for (hole, end) in holes.into_iter().zip(ends) {
            if let (Hole::Channel(channel), Some(text)) = (hole, released.get(start..end)) {
                self.own_event(channel, text, out);
            }
            start = end;
        }
        Some(Err(StreamEnd::Blocked))
    }

    fn send(&mut self, event: &Event<'_>, json: Option<&str>, out: &mut BytesMut) -> Result<(), StreamEnd> {
        send(&self.screen, &mut self.findings, event, json, out)
    }

    /// Ends all texts within a place: what they still hold leaves in events of our own.
    fn end_texts(&mut self, place: &str, out: &mut BytesMut) -> Result<(), StreamEnd> {
        for nth in 0..self.channels.len() {
            let Some(channel) = self.channels.get_mut(nth) else { break };
            if channel.is_over || !grammar::is_within(place, &channel.place) {
                continue;
            }
            channel.is_over = true;
            let mut text = String::new();
            let is_blocked = channel.deltas.finish(&mut text, &mut self.findings);
            self.own_event(nth, &text, out);
            if is_blocked {
                return Err(StreamEnd::Blocked);
            }
            // What is over takes no more text, so its events must be read in full.
            self.templates.clear();
            self.oldest_template = 0;
        }
        self.release(place, out)
    }

    /// Writes an event of our own with `text` for one channel.
    fn own_event(&mut self, channel: usize, text: &str, out: &mut BytesMut) {
        let Some(channel) = self.channels.get(channel).filter(|_| !text.is_empty()) else { return };
        let mut event = String::with_capacity(text.len() + 256);
        let number = self.grammar.number.map(|name| (name, self.number));
        channel.row.own(channel, text, number, &mut event);
        out.extend_from_slice(event.as_bytes());
        self.added = self.added.saturating_add(1);
        self.number = self.number.saturating_add(1);
    }

    /// Ends the stream in the dialect.
    fn close(&mut self, end: StreamEnd, out: &mut BytesMut) -> StreamEnd {
        self.is_over = true;
        let closing = Closing {
            reason: end.reason(),
            record_id: &self.record_id,
            number: self.number,
            kept: &self.kept,
            open: &self.open,
        };
        // A stream that has ended in the dialect is not ended once more.
        if !self.is_ended {
            out.extend_from_slice((self.grammar.close)(&closing).as_bytes());
        }
        end
    }
}
