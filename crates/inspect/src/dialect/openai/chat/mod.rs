//! Chat completions: what a client may ask, what a model may answer, whole and in deltas.

mod answer;
mod channel;
mod request;
mod stream;
mod surfaces;

use bytes::Bytes;
use portcullis_core::halt::Halt;
use portcullis_core::record::{Finding, Usage};

use crate::dialect::tape::Tape;
use crate::dialect::{ModelRules, Screened, answer as whole};

pub(crate) use request::fields;
pub use request::inspect_request;
pub use stream::ChatStream;
pub(crate) use surfaces::{ANSWERS, SURFACES};

/// See [`screen_answer`](crate::dialect::screen_answer).
///
/// Log probabilities spell the text once more: a choice that was redacted loses them.
pub fn screen_answer(
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    whole::screen_answer(&answer::ANSWER, rules, body, findings)
}

/// The fields of an answer that a text of its own stands in; streams have them as deltas.
pub(crate) const ANSWER: &[&str] = &[
    "/choices/*/message/content",
    "/choices/*/message/refusal",
    "/choices/*/message/reasoning",
    "/choices/*/message/reasoning_content",
    "/choices/*/message/function_call/name",
    "/choices/*/message/function_call/arguments",
    "/choices/*/message/tool_calls/*/function/name",
    "/choices/*/message/tool_calls/*/function/arguments",
    "/choices/*/message/tool_calls/*/custom/name",
    "/choices/*/message/tool_calls/*/custom/input",
    "/choices/*/message/annotations/*",
];

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
