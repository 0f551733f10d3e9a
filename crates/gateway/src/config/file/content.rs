//! What an operator says of content: fields of their own, and rules.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::read::At;
use super::DetectorLevel;

/// What is done in one field, and in all below it, where that differs.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// A JSON pointer; `*` stands for any element or name: `/metadata`, `/messages/*/content`.
    #[schemars(extend("x-required" = true))]
    pub(crate) at: Option<At<String>>,
    /// Personal data.
    pub(crate) pii: Option<DetectorLevel>,
    /// Keys and tokens.
    pub(crate) secrets: Option<DetectorLevel>,
    /// Phrases that try to override a model's instructions.
    pub(crate) injection: Option<DetectorLevel>,
    /// Scripts and the like.
    pub(crate) active_content: Option<DetectorLevel>,
    /// Links and images that carry data out.
    pub(crate) links: Option<DetectorLevel>,
    /// Lines of code that are dangerous to run.
    pub(crate) code: Option<DetectorLevel>,
}

/// A rule of the operator's own. It has one of `topic`, `phrase`, `languages`, `length` and `schema`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContentRule {
    /// How records call it.
    #[schemars(extend("x-required" = true))]
    pub(crate) name: Option<At<String>>,
    /// What follows.
    #[schemars(extend("x-required" = true))]
    pub(crate) action: Option<At<RuleAction>>,
    /// Words and phrases. Case and width do not matter; where a script has spaces, a word must stand by itself.
    pub(crate) topic: Option<Vec<At<String>>>,
    /// A regular expression without look-around. What it matches is 256 bytes long at most, or `wider` says what then.
    pub(crate) phrase: Option<At<String>>,
    /// Languages that a text may be in, by their codes: `[en, de]`. Any other that can be told is found.
    pub(crate) languages: Option<Vec<At<String>>>,
    /// Characters that a text may have; `redact` cuts off what is more.
    #[schemars(range(min = 1))]
    pub(crate) length: Option<At<usize>>,
    /// A JSON Schema in a file: the text must be JSON that meets it.
    pub(crate) schema: Option<At<String>>,
    /// What happens where a rule must see more than passes by: the text is held until its end, or ended when the rule is sure.
    pub(crate) wider: Option<At<Wider>>,
}

/// What follows where a rule finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleAction {
    /// It is recorded.
    Observe,
    /// It is replaced by `[removed]`.
    Redact,
    /// The request or answer is stopped.
    Block,
}

/// What a rule does that must see more than passes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wider {
    /// Nothing leaves before the end, and no text may be longer than 1 MiB.
    Hold,
    /// Text leaves as it comes, and ends where the rule is sure.
    End,
}
