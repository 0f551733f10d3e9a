//! Anthropic: what a client may ask, what a model may answer, whole and in events, and how both are refused.

mod answer;
mod headers;
mod refusal;
mod request;
mod surfaces;

pub use answer::screen_answer;
pub use headers::inspect_headers;
pub use refusal::error_body;
pub use request::inspect_request;

use portcullis_core::record::Usage;

use super::tape::Tape;

/// The OpenAPI 3.1 document of the dialect, as JSON text: `POST /messages`, `POST /messages/count_tokens` and `GET
/// /models`.
pub const CONTRACT: &str = include_str!("../../../contracts/anthropic.openapi.json");

/// Token counts of an object that has them, over what was known before.
// INVARIANT: counts of a stream are cumulative, so the largest of each is the whole.
fn usage(tape: &Tape<'_>, around: u32, before: Option<Usage>) -> Option<Usage> {
    let Some(usage) = tape.member(around, "usage") else { return before };
    let count = |name| tape.member(usage, name).and_then(|id| tape.count(id));
    let prompt = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"].map(count);
    let completion = count("output_tokens");
    if prompt.iter().all(Option::is_none) && completion.is_none() {
        return before;
    }
    let known = before.unwrap_or_default();
    let prompt = prompt.iter().flatten().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let prompt_tokens = prompt.max(known.prompt_tokens);
    let completion_tokens = completion.unwrap_or(0).max(known.completion_tokens);
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens.saturating_add(completion_tokens),
    })
}
