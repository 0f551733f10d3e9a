//! OpenAI chat completions: what a client may ask, what a model may answer, and how both are refused.

mod answer;
mod channel;
mod refusal;
mod request;
mod stream;
mod surfaces;
mod template;

use std::sync::Arc;

use portcullis_core::record::{Action, Usage};

use super::Screen;
use super::tape::Tape;

pub use answer::{Screened, screen_answer};
pub use refusal::error_body;
pub use request::{Inspected, inspect_request};
pub use stream::{ChatStream, StreamEnd};

/// The OpenAPI 3.1 document of the surface, as JSON text: `POST /chat/completions` and `GET /models`.
pub const CONTRACT: &str = include_str!("../../../contracts/openai-chat.openapi.json");

/// What is done with `system` and `developer` messages that a client sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientSystem {
    /// Such a request is refused.
    #[default]
    Refuse,
    /// They pass, after the operator's own.
    Allow,
    /// They pass as `user` messages.
    Demote,
}

/// The rules of one model, compiled.
#[derive(Debug, Clone)]
pub struct ModelRules {
    /// The operator's rules, sent first and before anything a client wrote.
    pub system: Option<Arc<str>>,
    /// What a client's own system messages become.
    pub client_system: ClientSystem,
    /// What may not go to the model, in no reading of a text.
    pub prompt: Screen,
    /// What is done about text that gives orders without being allowed to; `None` looks for none.
    pub orders: Option<Action>,
    /// What may not come from it.
    pub answer: Screen,
    /// Whether the model is asked for token counts on streams too, so that the record has them.
    pub records_usage: bool,
}

impl Default for ModelRules {
    fn default() -> Self {
        Self {
            system: None,
            client_system: ClientSystem::default(),
            prompt: Screen::default(),
            orders: None,
            answer: Screen::default(),
            records_usage: true,
        }
    }
}

/// Token counts of an answer or a chunk, where it has them.
fn usage(tape: &Tape<'_>) -> Option<Usage> {
    let usage = tape.member(0, "usage")?;
    let count = |name| tape.member(usage, name).and_then(|id| tape.count(id));
    let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
    let total = count("total_tokens");
    if prompt.is_none() && completion.is_none() && total.is_none() {
        return None;
    }
    let (prompt_tokens, completion_tokens) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    let total_tokens = total.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens));
    Some(Usage { prompt_tokens, completion_tokens, total_tokens })
}
