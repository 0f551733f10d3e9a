//! OpenAI: what a client may ask, what a model may answer, and how both are refused.

pub mod chat;
pub mod embeddings;
pub mod responses;

mod contract;
mod refusal;

pub use contract::contract;
pub use refusal::error_body;

#[cfg(test)]
pub(crate) use contract::{CHAT, EMBEDDINGS, RESPONSES};

/// The fields of all that can be asked.
pub(crate) fn fields() -> Vec<String> {
    [chat::fields(), responses::fields(), embeddings::fields()].concat()
}
