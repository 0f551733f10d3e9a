//! Anthropic: what a client may ask, what a model may answer, whole and in events, and how both are refused.

mod answer;
mod events;
mod headers;
mod refusal;
mod request;
mod surfaces;
#[cfg(test)]
mod tests;

pub use headers::inspect_headers;
pub use refusal::error_body;
pub(crate) use request::fields;
pub use request::inspect_request;
pub(crate) use surfaces::{ANSWERS, surfaces};

use bytes::Bytes;
use portcullis_core::halt::Halt;
use portcullis_core::record::{Finding, Usage};
use serde_json::Value;

use super::answer as whole;
use super::events::EventStream;
use super::kinds::open_kinds;
use super::tape::Tape;
use super::{ModelRules, Screened};

/// `POST /messages`, `POST /messages/count_tokens`, `GET /models` and `GET /models/{model_id}`.
const CONTRACT: &str = include_str!("../../../contracts/anthropic.openapi.json");

/// The fields of an answer that a text of its own stands in; streams have them as deltas.
pub(crate) const ANSWERED: &[&str] = &["/content/*/text", "/content/*/thinking", "/content/*/input"];

/// The OpenAPI 3.1 document of the dialect. Where the operator lets unknown kinds pass, every list of kinds takes one
/// more: any but the known ones.
// INVARIANT: a test reads the contract; one that could not be read would offer nothing.
pub fn contract(passes_unknown: bool) -> Value {
    let mut contract = serde_json::from_str(CONTRACT).unwrap_or_default();
    if passes_unknown {
        open_kinds(&mut contract);
    }
    contract
}

/// Starts a streamed message under the screen of its model; `record_id` is named if it breaks.
///
/// A block ends it with the `stop_reason` `refusal`; what cannot be read ends it with an `error` at which SDKs raise.
pub fn stream(rules: &ModelRules, record_id: &str) -> EventStream {
    EventStream::new(&events::GRAMMAR, rules, record_id)
}

/// See [`screen_answer`](crate::dialect::screen_answer).
pub fn screen_answer(
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    whole::screen_answer(&answer::ANSWER, rules, body, findings)
}

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
