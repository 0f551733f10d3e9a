//! Streamed answers of any dialect, and why they are ended before their time.

use bytes::BytesMut;
use portcullis_core::halt::Reason;
use portcullis_core::record::{Finding, Usage};

use super::anthropic;
use super::events::EventStream;
use super::openai::chat::ChatStream;
use super::openai::responses;
use super::tape::TapeError;
use super::{Endpoint, ModelRules};
use crate::sse::SseError;

/// Why a stream was ended before its time. Its end has been written; nothing more may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamEnd {
    /// A rule blocked what the model was saying.
    #[error("a rule blocked the answer")]
    Blocked,
    /// Not a stream of events.
    #[error(transparent)]
    Sse(#[from] SseError),
    /// An event that is neither `[DONE]` nor JSON which can be read one way only.
    #[error("an event is {0}")]
    Json(#[from] TapeError),
    /// An event that is not UTF-8.
    #[error("an event is not utf-8")]
    NotText,
    /// Text for a choice or a block that was already over, and so no longer joined to what was screened before it.
    #[error("text after its end")]
    LateText,
    /// A choice or a block without a usable index.
    #[error("a text has no usable index")]
    BadIndex,
    /// An event of a kind that the dialect does not have, or that says two kinds.
    #[error("an event of an unknown kind")]
    UnknownEvent,
    /// More texts at a time than any request asks for.
    #[error("too many choices or texts")]
    TooManyTexts,
}

impl StreamEnd {
    /// The row of the table that the end stands for.
    pub fn reason(self) -> Reason {
        match self {
            Self::Blocked => Reason::AnswerBlocked,
            Self::Sse(_)
            | Self::Json(_)
            | Self::NotText
            | Self::LateText
            | Self::BadIndex
            | Self::UnknownEvent
            | Self::TooManyTexts => Reason::AnswerUnreadable,
        }
    }
}

/// One streamed answer under the screen of its model, in the dialect of its endpoint.
#[derive(Debug)]
pub enum Stream {
    /// OpenAI chat completions.
    Chat(Box<ChatStream>),
    /// Typed events: OpenAI responses, Anthropic messages.
    Events(Box<EventStream>),
}

impl Stream {
    /// Starts an answer; `None` where the endpoint has no streams. `hides_usage`: the event with token counts was
    /// asked for by the gate and not by the client, see [`Asked::hides_usage`](super::Asked::hides_usage).
    /// `record_id` is named if the stream breaks.
    pub fn new(endpoint: Endpoint, rules: &ModelRules, hides_usage: bool, record_id: &str) -> Option<Self> {
        match endpoint {
            Endpoint::Chat => Some(Self::Chat(Box::new(ChatStream::new(rules, hides_usage, record_id)))),
            Endpoint::Responses => Some(Self::Events(Box::new(responses::stream(rules, record_id)))),
            Endpoint::Messages => Some(Self::Events(Box::new(anthropic::stream(rules, record_id)))),
            Endpoint::TokenCount | Endpoint::Embeddings | Endpoint::Listing => None,
        }
    }

    /// Takes what came from the model, in any split, and appends to `out` what may leave. Everything that follows
    /// the end of the stream is dropped.
    ///
    /// # Errors
    /// The stream must end here; `out` then ends with the well-formed end of the stream.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), StreamEnd> {
        match self {
            Self::Chat(stream) => stream.push(bytes, out),
            Self::Events(stream) => stream.push(bytes, out),
        }
    }

    /// The model's stream is over: appends what is still held back.
    ///
    /// # Errors
    /// As [`push`](Self::push), also where the stream was cut inside an event.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), StreamEnd> {
        match self {
            Self::Chat(stream) => stream.finish(out),
            Self::Events(stream) => stream.finish(out),
        }
    }

    /// Tokens, once the model counted them.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Chat(stream) => stream.usage(),
            Self::Events(stream) => stream.usage(),
        }
    }

    /// Whether the end has been written: by the model's own, by an error, or by [`finish`](Self::finish).
    pub fn is_over(&self) -> bool {
        match self {
            Self::Chat(stream) => stream.is_over(),
            Self::Events(stream) => stream.is_over(),
        }
    }

    /// Findings since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        match self {
            Self::Chat(stream) => stream.take_findings(),
            Self::Events(stream) => stream.take_findings(),
        }
    }
}
