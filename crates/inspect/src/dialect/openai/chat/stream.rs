//! Streamed answers: every delta goes through the machine of its channel, and what the machine lets go leaves in the
//! event that carried the delta.

mod chunk;
#[cfg(test)]
mod tests;

use bytes::BytesMut;
use portcullis_core::record::{Finding, Usage};

use super::super::error_body;
use super::channel::Channel;
use crate::dialect::frame::send;
use crate::dialect::template::{HOLES, Template};
use crate::dialect::text::{Form, Left, whole};
use crate::dialect::{ModelRules, Screen, StreamEnd};
use crate::sse::{Decoder, Event, Limits};

/// Most channels, and most choices, of one answer.
const CHANNELS: usize = 1024;
/// Most chunk shapes remembered at a time.
const TEMPLATES: usize = 8;

/// One streamed answer under the screen.
///
/// Events whose text neither changed nor was held back leave as the very bytes that came. Text that is still held
/// when its choice or the stream ends leaves in a chunk of its own before the end. A block ends the stream as a
/// content filter does (`finish_reason: "content_filter"` for every open choice, then `[DONE]`); a broken stream
/// ends with an error object, at which SDKs raise, and `[DONE]`.
#[derive(Debug)]
pub struct ChatStream {
    decoder: Decoder,
    state: State,
}

/// Where a text of the chunk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    /// To the channel of this number.
    Channel(usize),
    /// It is screened for itself.
    Aside,
}

/// All but the decoder, so that events may borrow from that one.
#[derive(Debug)]
struct State {
    screen: Screen,
    hides_usage: bool,
    record_id: Box<str>,
    channels: Vec<Channel>,
    choices: Vec<Choice>,
    templates: Vec<Template<Hole>>,
    oldest_template: usize,
    /// Members that a chunk of our own repeats from the model's: id, object, created, model.
    head: String,
    usage: Option<Usage>,
    findings: Vec<Finding>,
    is_over: bool,
    released: String,
    /// For the test that a known shape means what the whole reading means.
    #[cfg(test)]
    is_forgetful: bool,
}

#[derive(Debug, Clone, Copy)]
struct Choice {
    index: u32,
    is_finished: bool,
}

impl ChatStream {
    /// Starts an answer. `hides_usage`: the chunk with token counts was asked for by the gate and not by the client,
    /// see [`Asked::hides_usage`](crate::dialect::Asked::hides_usage). `record_id` is named if the stream breaks.
    pub fn new(rules: &ModelRules, hides_usage: bool, record_id: &str) -> Self {
        let state = State {
            screen: rules.answer.clone(),
            hides_usage,
            record_id: record_id.into(),
            channels: Vec::new(),
            choices: Vec::new(),
            templates: Vec::new(),
            oldest_template: 0,
            head: String::new(),
            usage: None,
            findings: Vec::new(),
            is_over: false,
            released: String::new(),
            #[cfg(test)]
            is_forgetful: false,
        };
        Self { decoder: Decoder::new(Limits::default()), state }
    }

    /// Takes what came from the model, in any split, and appends to `out` what may leave. Everything that follows
    /// the end of the stream is dropped.
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
        let result =
            result.and_then(|()| if self.state.is_over { Ok(()) } else { self.state.flush(None, out) });
        let result = result.map_err(|end| self.state.close(end, out));
        self.state.is_over = true;
        result
    }

    /// Tokens, once the model counted them.
    pub fn usage(&self) -> Option<Usage> {
        self.state.usage
    }

    /// Whether the end has been written: by `[DONE]`, by an error, or by [`finish`](Self::finish).
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
        let Some(data) = &event.data else {
            return self.send(event, None, out);
        };
        if event.is_plain
            && let Some(result) = self.known(event.raw, data, out)
        {
            return result;
        }
        let text = std::str::from_utf8(data).map_err(|_| StreamEnd::NotText)?;
        match text.trim_ascii() {
            "" => self.send(event, None, out),
            "[DONE]" => {
                self.flush(None, out)?;
                self.send(event, None, out)?;
                self.is_over = true;
                Ok(())
            }
            _ => self.chunk(event, text, out),
        }
    }

    // PERF: nearly every event of a stream ends here, without being parsed; see `Template`.
    /// Handles an event of a known shape.
    fn known(&mut self, raw: &[u8], data: &[u8], out: &mut BytesMut) -> Option<Result<(), StreamEnd>> {
        let (nth, texts) = self
            .templates
            .iter()
            .enumerate()
            .find_map(|(nth, template)| Some((nth, template.read(data)?)))?;
        if self.screen.is_off() {
            out.extend_from_slice(raw);
            return Some(Ok(()));
        }
        let template = self.templates.get(nth)?;
        let mut released = std::mem::take(&mut self.released);
        released.clear();
        let mut ends = [0; HOLES];
        let (mut is_same, mut is_blocked) = (true, false);
        for ((hole, text), end) in template.holes().zip(&texts).zip(&mut ends) {
            match hole {
                Hole::Channel(channel) => {
                    let passed =
                        self.channels.get_mut(channel)?.push(text, &mut released, &mut self.findings);
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
            }
            *end = released.len();
            if is_blocked {
                break;
            }
        }
        let result = if is_blocked {
            let mut start = 0;
            for (hole, end) in template.holes().zip(ends) {
                let text = released.get(start..end).unwrap_or_default();
                if let (Hole::Channel(channel), false) = (hole, text.is_empty()) {
                    self.own_chunk(channel, text, out);
                }
                start = end;
            }
            Err(StreamEnd::Blocked)
        } else if is_same {
            out.extend_from_slice(raw);
            Ok(())
        } else {
            out.extend_from_slice(b"data: ");
            template.write(&released, &ends, out);
            out.extend_from_slice(b"\n\n");
            Ok(())
        };
        self.released = released;
        Some(result)
    }

    fn send(&mut self, event: &Event<'_>, json: Option<&str>, out: &mut BytesMut) -> Result<(), StreamEnd> {
        send(&self.screen, &mut self.findings, event, json, out)
    }

    /// Lets go what the channels of `choice`, or all, still hold, in chunks of our own.
    fn flush(&mut self, choice: Option<u32>, out: &mut BytesMut) -> Result<(), StreamEnd> {
        for nth in 0..self.channels.len() {
            let Some(channel) = self.channels.get_mut(nth) else { break };
            if choice.is_some_and(|choice| choice != channel.choice) || self.is_finished(nth) {
                continue;
            }
            let mut text = String::new();
            let Some(channel) = self.channels.get_mut(nth) else { break };
            let is_blocked = channel.finish(&mut text, &mut self.findings);
            if !text.is_empty() {
                self.own_chunk(nth, &text, out);
            }
            if is_blocked {
                return Err(StreamEnd::Blocked);
            }
        }
        Ok(())
    }

    /// Whether the choice of a channel is over.
    fn is_finished(&self, channel: usize) -> bool {
        let index = self.channels.get(channel).map(|channel| channel.choice);
        self.choices.iter().any(|choice| Some(choice.index) == index && choice.is_finished)
    }

    /// Writes a chunk with `text` for one channel.
    fn own_chunk(&self, channel: usize, text: &str, out: &mut BytesMut) {
        if let Some(channel) = self.channels.get(channel) {
            self.write_chunk(&channel.choice_with(text), out);
        }
    }

    fn write_chunk(&self, choice: &str, out: &mut BytesMut) {
        let head = if self.head.is_empty() {
            r#""id":"chatcmpl-0","object":"chat.completion.chunk","created":0,"model":"""#
        } else {
            &self.head
        };
        for part in ["data: {", head, r#","choices":["#, choice, "]}\n\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Ends the stream in the dialect.
    fn close(&mut self, end: StreamEnd, out: &mut BytesMut) -> StreamEnd {
        self.is_over = true;
        if end == StreamEnd::Blocked {
            if self.choices.is_empty() {
                self.choices.push(Choice { index: 0, is_finished: false });
            }
            for choice in self.choices.iter().filter(|choice| !choice.is_finished) {
                let json =
                    format!(r#"{{"index":{},"delta":{{}},"finish_reason":"content_filter"}}"#, choice.index);
                self.write_chunk(&json, out);
            }
        } else {
            for part in ["data: ", &error_body(end.reason(), &self.record_id), "\n\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        end
    }
}
