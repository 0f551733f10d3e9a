//! Judges outside.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Span, Upstream};
use crate::config::read::{At, Either};

/// Somebody outside who is asked about texts, last of all: a webhook, or a model.
///
/// A webhook gets `{"text": …, "written_by": "user" | "document" | "model"}` and answers `{"flagged": true}`, perhaps with
/// `categories` and a `score`, or as OpenAI's `/moderations` does. A model is asked for one word by chat completions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judge {
    /// What it speaks.
    #[schemars(extend("x-required" = true))]
    pub(crate) kind: Option<At<JudgeKind>>,
    /// Where it is: an address, or a mapping with its `credential`. For `openai` what `/chat/completions` is put after.
    #[schemars(extend("x-required" = true))]
    pub(crate) upstream: Option<At<Either<String, Upstream>>>,
    /// With `kind: openai`: the model that judges.
    pub(crate) model: Option<At<String>>,
    /// With `kind: openai`: a text file with what the model is told. `{delimiter}` in it is a word that is drawn for each
    /// question; the text stands between `<…>` and `</…>` of it. Default: instructions of the gate's own.
    pub(crate) instructions: Option<At<String>>,
    /// For all texts of one request, and for one answer.
    #[schemars(extend("default" = "2s"))]
    pub(crate) timeout: Option<Span>,
    /// What follows where it does not answer.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) on_failure: Option<JudgeFailure>,
    /// What is done about what it objects to.
    #[schemars(extend("default" = "block"))]
    pub(crate) action: Option<JudgeAction>,
    /// How many of its answers are remembered, for an hour, by a hash of the text. 0: none.
    #[schemars(range(min = 0, max = 1000000), extend("default" = 10000))]
    pub(crate) memory: Option<usize>,
    /// How many questions it is asked at once. More wait, within the `timeout`.
    #[schemars(range(min = 1, max = 1000), extend("default" = 16))]
    pub(crate) concurrency: Option<usize>,
}

/// Which judge is asked, and what happens to streams.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgeUse {
    /// Its name in `judges`.
    #[schemars(extend("x-required" = true))]
    pub(crate) by: Option<At<String>>,
    /// What happens to a streamed answer, which can be judged only when all of it is there. Must be written in `answer`.
    pub(crate) streams: Option<JudgeStreams>,
}

words! {
    /// What a judge speaks.
    JudgeKind {
        /// A webhook of one's own, or OpenAI's `/moderations`.
        Webhook,
        /// Chat completions.
        OpenAi,
    }
    /// What follows where a judge does not answer.
    JudgeFailure {
        /// The request, or the answer, is stopped.
        Refuse,
        /// It passes, and the record and `portcullis_guard_skipped_total` say that it was not judged.
        Pass,
    }
    /// What is done about what a judge objects to.
    JudgeAction {
        /// It is recorded.
        Observe,
        /// The text is replaced by a placeholder; an answer is stopped.
        Redact,
        /// The request or answer is stopped.
        Block,
    }
    /// What happens to a streamed answer that is judged.
    JudgeStreams {
        /// It is held until all of it is there and was judged.
        Hold,
    }
}
