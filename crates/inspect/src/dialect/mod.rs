//! Model traffic: where text stands in a provider's requests, answers and streams, and how a refusal looks there.
//!
//! What all dialects share lies here: the rules of a model, the walk over a request by a table of its fields, the
//! screening of one text, whole or in deltas. What differs lies with the dialect, one folder each; this page is the
//! only one that knows them all.

pub mod anthropic;
pub mod mcp;
pub mod openai;

mod answer;
mod deltas;
mod document;
pub(crate) mod escape;
mod events;
mod fence;
mod frame;
mod kinds;
mod prompt;
mod rules;
mod spelling;
mod splice;
mod spoken;
mod stream;
mod surfaces;
mod tape;
mod template;
mod text;
mod walk;

#[cfg(test)]
mod double;

use bytes::Bytes;
use http::HeaderMap;
use portcullis_core::contract::OperationIndex;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Finding, Usage};
use portcullis_core::route::{Dialect, Route, Surface};
use serde_json::Value;

use crate::elsewhere::Hearing;

// Tests that need to know what is held back run against a screen of two fixed words.
#[cfg(test)]
pub(crate) use double::{Machine, Screen};

#[cfg(not(test))]
pub(crate) use crate::machine::{Machine, Screen};

pub use events::EventStream;
pub use rules::{ClientSystem, ModelRules};
pub use spoken::{spoken, spoken_stream};
pub use stream::{Stream, StreamEnd};
pub use surfaces::{Origin, Surface as Field};
pub use tape::TapeError;

/// Which endpoints of its dialect a route offers. Lists of models are always among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// All that the dialect has.
    All,
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
    /// Embeddings.
    Embeddings,
}

/// The OpenAPI 3.1 document of what a model of this dialect offers. `passes_unknown` says that kinds of messages and
/// parts which the dialect does not have pass too; unknown members of what it has are for `validate` to judge.
pub fn contract(dialect: Dialect, offer: Offer, passes_unknown: bool) -> Value {
    match dialect {
        Dialect::Anthropic => anthropic::contract(passes_unknown),
        Dialect::OpenAi => openai::contract(offer, passes_unknown),
    }
}

/// The fields of what is asked in a dialect, as JSON pointers with `*` for any element or name.
pub fn prompt_fields(dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Anthropic => anthropic::fields(),
        Dialect::OpenAi => openai::fields(),
    }
}

/// The fields of what is answered in a dialect that can be screened apart, likewise.
pub fn answer_fields(dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Anthropic => anthropic::ANSWERED.iter().map(|&field| field.to_owned()).collect(),
        Dialect::OpenAi => openai::chat::ANSWER.iter().map(|&field| field.to_owned()).collect(),
    }
}

/// What is asked of a model: each has its own fields, answers and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// OpenAI chat completions.
    Chat,
    /// Anthropic messages.
    Messages,
    /// The count of the tokens of an Anthropic message.
    TokenCount,
    /// OpenAI responses.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// What has no text of a client's: the list of models.
    Listing,
}

impl Endpoint {
    /// All endpoints of all dialects.
    pub const ALL: [Self; 6] =
        [Self::Chat, Self::Responses, Self::Embeddings, Self::Messages, Self::TokenCount, Self::Listing];

    /// Whose it is, and its operations in their contracts.
    pub const fn spoken(self) -> &'static [(Dialect, &'static str)] {
        match self {
            Self::Chat => &[(Dialect::OpenAi, "createChatCompletion")],
            Self::Responses => &[(Dialect::OpenAi, "createResponse")],
            Self::Embeddings => &[(Dialect::OpenAi, "createEmbedding")],
            Self::Messages => &[(Dialect::Anthropic, "createMessage")],
            Self::TokenCount => &[(Dialect::Anthropic, "countMessageTokens")],
            Self::Listing => &[
                (Dialect::OpenAi, "listModels"),
                (Dialect::OpenAi, "retrieveModel"),
                (Dialect::Anthropic, "listModels"),
                (Dialect::Anthropic, "getModel"),
            ],
        }
    }

    /// Every field of a request, from the table that the request is read by: its path with `*` for elements, what
    /// stands there and who wrote it.
    pub fn request_fields(self) -> Vec<(String, Field, Origin)> {
        let rows = match self {
            Self::Chat => openai::chat::SURFACES,
            Self::Responses => openai::responses::SURFACES,
            Self::Embeddings => openai::embeddings::SURFACES,
            Self::Messages | Self::TokenCount => return anthropic::surfaces(),
            Self::Listing => &[],
        };
        rows.iter().map(|(path, field, origin)| ((*path).to_owned(), *field, *origin)).collect()
    }

    /// What stands in an answer, and a place of it in a whole one.
    pub const fn answer_fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Chat => openai::chat::ANSWERS,
            Self::Responses => openai::responses::ANSWERS,
            Self::Embeddings => &[("everything else", "/data/0/object")],
            Self::Messages => anthropic::ANSWERS,
            Self::TokenCount => &[("everything else", "/error/message")],
            Self::Listing => &[("everything else", "/data/0/id")],
        }
    }

    /// Whether its answers may be streams.
    pub fn has_streams(self) -> bool {
        Stream::new(self, &ModelRules::default(), false, "").is_some()
    }

    /// The endpoint of an operation of a model's route; `None` for any other.
    pub fn of(route: &Route, operation: OperationIndex) -> Option<Self> {
        let Surface::Model(dialect) = route.surface else { return None };
        let id = &*route.contract.operation(operation)?.id;
        Self::ALL.into_iter().find(|one| one.spoken().contains(&(dialect, id)))
    }
}

/// A request that may go to the model.
#[derive(Debug)]
pub struct Asked {
    /// The body to send, built from what was judged.
    pub body: Bytes,
    /// The model asked for.
    pub model: String,
    /// Whether the answer is to be a stream.
    pub wants_stream: bool,
    /// Whether the gate asked for the chunk with token counts and the client did not: see [`Stream::new`].
    pub hides_usage: bool,
    /// Bytes that the gate added to what the client and the operator wrote.
    pub added_bytes: usize,
}

/// An answer that may leave.
#[derive(Debug)]
pub struct Screened {
    /// The very bytes that came where nothing was redacted.
    pub body: Bytes,
    /// Tokens, where the answer counts them.
    pub usage: Option<Usage>,
}

/// Takes the headers of a request, also of one without a body. Proves that none asks the provider for what only the
/// operator may ask for.
///
/// # Errors
/// [`Reason::ParameterInvalid`].
pub fn inspect_headers(dialect: Dialect, rules: &ModelRules, headers: &HeaderMap) -> Result<(), Halt> {
    match dialect {
        Dialect::Anthropic => anthropic::inspect_headers(rules, headers),
        Dialect::OpenAi => Ok(()),
    }
}

/// Takes a request that met the contract. Proves that the operator's system text stands first and is the only one,
/// unless the rules say otherwise, and that every text in the request passed the prompt's screen. What was found
/// goes to `findings`, also on a refusal; `at` is a JSON pointer into the client's document. `hearing` has what was said
/// of texts that are read elsewhere.
///
/// # Errors
/// [`Reason::ContentBlocked`] for text that speaks for the operator where none may be sent, and for what a rule
/// blocks; [`Reason::BodyInvalid`] for what is no request of the endpoint at all.
pub fn inspect_request(
    endpoint: Endpoint,
    rules: &ModelRules,
    document: &Value,
    hearing: &mut Hearing,
    findings: &mut Vec<Finding>,
) -> Result<Asked, Halt> {
    match endpoint {
        Endpoint::Chat => openai::chat::inspect_request(rules, document, hearing, findings),
        Endpoint::Messages | Endpoint::TokenCount => {
            anthropic::inspect_request(rules, document, hearing, findings)
        }
        Endpoint::Responses => openai::responses::inspect_request(rules, document, hearing, findings),
        Endpoint::Embeddings => openai::embeddings::inspect_request(rules, document, hearing, findings),
        Endpoint::Listing => Err(Halt::new(Reason::BodyInvalid, "a list is asked for without a body")),
    }
}

/// Takes a whole JSON answer of the model: what was asked for, an error, a list. Proves that every string in it,
/// names of members included, passed the answer's screen. What was found goes to `findings`, also on a refusal.
///
/// # Errors
/// [`Reason::AnswerUnreadable`] for what is not unambiguous JSON, [`Reason::AnswerBlocked`] for what a rule blocks.
pub fn screen_answer(
    endpoint: Endpoint,
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    match endpoint {
        Endpoint::Messages | Endpoint::TokenCount => anthropic::screen_answer(rules, body, findings),
        Endpoint::Chat | Endpoint::Listing => openai::chat::screen_answer(rules, body, findings),
        Endpoint::Responses => openai::responses::screen_answer(rules, body, findings),
        Endpoint::Embeddings => openai::embeddings::screen_answer(rules, body, findings),
    }
}

/// The JSON body of a refusal or fault as the dialect's SDKs expect it. It quotes nothing but the public title, the
/// stable code and the id of the record.
pub fn error_body(dialect: Dialect, reason: Reason, record_id: &str) -> String {
    match dialect {
        Dialect::Anthropic => anthropic::error_body(reason, record_id),
        Dialect::OpenAi => openai::error_body(reason, record_id),
    }
}
