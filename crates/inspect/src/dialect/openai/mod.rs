//! OpenAI: what a client may ask, what a model may answer, and how both are refused.

pub mod chat;
pub mod responses;

mod refusal;

pub use refusal::error_body;

/// The OpenAPI 3.1 document of the dialect, as JSON text: `POST /chat/completions` and `GET /models`.
pub const CONTRACT: &str = include_str!("../../../contracts/openai-chat.openapi.json");
