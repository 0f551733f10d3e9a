//! Rules about content that an operator wrote: topics, phrases, languages, length, the schema of what is answered.
//!
//! What stands at one place of a text (a topic, a phrase of bounded length) is found as it passes, with no more held than
//! what may still become one. What the whole text decides is either watched as it passes, and ends the text, or awaited, and
//! then nothing leaves before the end.

mod phrase;
mod stage;
mod topic;
mod watch;

use std::sync::Arc;

use portcullis_core::record::Action;

pub use self::phrase::{LONGEST, Phrase, PhraseError};
pub(crate) use self::stage::Stage;
pub use self::topic::Topic;
pub use self::watch::{Languages, Shape};

/// Largest text that is awaited, in bytes. What is longer is blocked, as nobody could say what is in it.
pub(crate) const AWAITED: usize = 1 << 20;

/// The rules of one screen, the strictest first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Content(Option<Arc<[Rule]>>);

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// What the operator calls it; it is in findings.
    pub name: Box<str>,
    /// What it looks for.
    pub kind: Kind,
    /// What follows.
    pub action: Action,
}

/// What a rule looks for.
#[derive(Debug)]
pub enum Kind {
    /// Words and phrases, in any case.
    Topic(Topic),
    /// A pattern of bounded length.
    Phrase(Phrase),
    /// A pattern for which the whole text is awaited.
    Awaited(Phrase),
    /// A pattern that ends the text where it is complete; what came before it has left.
    Ending(Phrase),
    /// Text in any other language than these.
    Languages(Languages),
    /// More characters than this.
    Length(usize),
    /// Text that is not JSON of this shape.
    Schema {
        /// The shape.
        shape: Shape,
        /// Whether nothing leaves before it is known.
        awaits: bool,
    },
}

impl Content {
    /// These rules.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.action));
        Self((!rules.is_empty()).then(|| rules.into()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Kind {
    /// The name of the kind in findings.
    pub(crate) const fn id(&self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Phrase(_) | Self::Awaited(_) | Self::Ending(_) => "phrase",
            Self::Languages(_) => "language",
            Self::Length(_) => "length",
            Self::Schema { .. } => "schema",
        }
    }

    /// Whether it is about a message as a whole, and not about names and settings beside it.
    pub(crate) const fn is_of_prose(&self) -> bool {
        matches!(self, Self::Languages(_) | Self::Length(_) | Self::Schema { .. })
    }
}

#[cfg(test)]
mod tests;
