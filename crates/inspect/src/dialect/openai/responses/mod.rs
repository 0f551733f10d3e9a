//! Responses: what a client may ask, what a model may answer, whole and in typed events.

mod events;
#[cfg(test)]
mod tests;

use portcullis_core::record::Usage;

use crate::dialect::ModelRules;
use crate::dialect::events::EventStream;
use crate::dialect::tape::Tape;

/// Starts a streamed response under the screen of its model; `record_id` is named if it breaks.
///
/// A block ends it with `response.incomplete`, for the reason `content_filter` and with the items that were done; what
/// cannot be read ends it with an `error` at which SDKs raise.
pub fn stream(rules: &ModelRules, record_id: &str) -> EventStream {
    EventStream::new(&events::GRAMMAR, rules, record_id)
}

/// Token counts of a response.
fn usage_at(tape: &Tape<'_>, response: u32) -> Option<Usage> {
    let usage = tape.member(response, "usage")?;
    let count = |name| tape.member(usage, name).and_then(|id| tape.count(id));
    let (prompt_tokens, completion_tokens) = (count("input_tokens")?, count("output_tokens")?);
    let total = count("total_tokens");
    let total_tokens = total.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens));
    Some(Usage { prompt_tokens, completion_tokens, total_tokens })
}
