//! What an operator says of content, read and checked.

use std::sync::Arc;

use super::Level;

/// One field, and all below it, with levels of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// A JSON pointer with `*` for any element or name.
    pub at: String,
    /// Personal data, secrets, injection, active content, links, code.
    pub levels: [Level; 6],
}

/// A rule of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRule {
    /// How records call it.
    pub name: String,
    /// What follows: never `off`, `mask` or `tokenise`.
    pub action: Level,
    /// What it looks for.
    pub kind: ContentKind,
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentKind {
    /// Words and phrases.
    Topic(Vec<String>),
    /// A regular expression that compiles.
    Phrase {
        /// The pattern.
        pattern: String,
        /// Where it has no bound.
        wider: Option<Wider>,
    },
    /// Codes of languages that can be told.
    Languages(Vec<String>),
    /// Characters.
    Length(usize),
    /// A JSON Schema that compiles.
    Schema {
        /// What it says.
        text: Arc<str>,
        /// Whether the text is held until its end.
        wider: Wider,
    },
}

/// What a rule does that must see more than passes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wider {
    /// The text is held.
    Hold,
    /// The text is ended.
    End,
}
