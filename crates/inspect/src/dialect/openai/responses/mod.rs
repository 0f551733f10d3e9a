//! Responses: what a client may ask, what a model may answer, whole and in typed events.

mod events;
mod request;
mod surfaces;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use portcullis_core::halt::Halt;
use portcullis_core::record::{Finding, Usage};

use crate::dialect::answer::{self, Answer};
use crate::dialect::events::EventStream;
use crate::dialect::spelling::drop_misspelt;
use crate::dialect::tape::Tape;
use crate::dialect::{ModelRules, Screened};

pub(crate) use request::fields;
pub use request::inspect_request;
pub(crate) use surfaces::{ANSWERS, SURFACES};

static ANSWER: Answer = Answer {
    usage: |tape| usage_at(tape, 0),
    hidden: &["instructions"],
    written: |_| Vec::new(),
    spelling: |_, tape, _, edits| {
        drop_misspelt(tape, edits, |_| true);
        Ok(())
    },
};

/// Starts a streamed response under the screen of its model; `record_id` is named if it breaks.
///
/// A block ends it with `response.incomplete`, for the reason `content_filter` and with the items that were done; what
/// cannot be read ends it with an `error` at which SDKs raise.
pub fn stream(rules: &ModelRules, record_id: &str) -> EventStream {
    EventStream::new(&events::GRAMMAR, rules, record_id)
}

/// See [`screen_answer`](crate::dialect::screen_answer). A provider repeats the instructions: the operator's stay here.
pub fn screen_answer(
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    answer::screen_answer(&ANSWER, rules, body, findings)
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
