//! Texts of a request that somebody outside of this crate reads, because reading them takes time or a connection.
//!
//! The walk over a request knows which texts there are and who wrote them, but it waits for nobody. So it is done
//! more than once: [`Hearing::ask`] notes what has no answer yet, the gateway asks, [`Hearing::hear`] takes what was
//! said, and at last the request is judged with all of it ([`fn@crate::inspect::inspect`]). What was not answered by
//! then counts as not read, and the rules say what that means: a step left out opens nothing.
//!
//! An answer belongs to a text, by its bytes, and not to a place: what stands in a request twice is asked about once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use portcullis_core::guard::Guard;
use portcullis_core::record::Action;

use crate::linear::Channel;

/// How often a request is gone through for what has no answer yet: once for each tier, and once more for texts that
/// only are what they are after something was taken out of them.
pub const ROUNDS: usize = 4;

/// Who reads a text elsewhere. In this order: a later one is asked only about what an earlier one let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// A small transformer in threads of its own.
    Encoder,
    /// A judge outside.
    Judge,
}

impl Tier {
    /// The guard that it is.
    pub const fn guard(self) -> Guard {
        match self {
            Self::Encoder => Guard::Encoder,
            Self::Judge => Guard::Judge,
        }
    }

    /// The name in findings.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Judge => "judge",
        }
    }
}

/// What an operator wrote about one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierRules {
    /// Who is asked.
    pub tier: Tier,
    /// What is done about text that gives orders.
    pub action: Action,
    /// What is done about text that was not read: [`Action::Block`], or [`Action::Observe`] to let it pass.
    pub unread: Action,
}

/// A text that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Who is asked.
    pub tier: Tier,
    /// Who wrote it.
    pub channel: Channel,
    /// Where it stands first: a JSON pointer into the client's document.
    pub at: String,
    /// The text as it would be sent.
    pub text: Arc<str>,
}

/// What was said of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It gives no orders.
    Ordinary,
    /// It gives orders.
    Order {
        /// For the record: numbers or a word of who read it, nothing of the text.
        evidence: String,
        /// Whether there is little doubt.
        is_sure: bool,
        /// Where in the text, in bytes; all of it where nobody knows better.
        range: Range<usize>,
    },
    /// Nobody could say; why.
    Unread(&'static str),
}

/// Who was asked about a text as whose, and what was said, if it was.
type Answer = (Tier, Channel, Option<Said>);

/// What is open and what was said about the texts of one request.
#[derive(Debug, Default)]
pub struct Hearing {
    is_asking: bool,
    /// By text; `None` for what was noted and has no answer.
    said: BTreeMap<Arc<str>, Vec<Answer>>,
    open: Vec<Passage>,
}

impl Hearing {
    /// Goes through a request with `walk` and takes what has no answer yet, each text once.
    pub fn ask(&mut self, walk: impl FnOnce(&mut Self)) -> Vec<Passage> {
        self.is_asking = true;
        walk(self);
        self.is_asking = false;
        std::mem::take(&mut self.open)
    }

    /// Takes what was said about a passage.
    pub fn hear(&mut self, passage: Passage, said: Said) {
        let Passage { tier, channel, text, .. } = passage;
        let known = self.said.entry(text).or_default();
        known.retain(|(by, of, _)| (*by, *of) != (tier, channel));
        known.push((tier, channel, Some(said)));
    }

    /// What `tier` said about a text. While it is being asked, `None` for what has no answer yet, which is noted.
    pub(crate) fn said(&mut self, tier: Tier, channel: Channel, at: &str, text: &str) -> Option<Said> {
        let known = self.said.get(text).into_iter().flatten();
        let known = known.clone().find(|(by, of, _)| (*by, *of) == (tier, channel));
        match known {
            Some((_, _, Some(said))) => return Some(said.clone()),
            None | Some(_) if !self.is_asking => return Some(Said::Unread("not asked")),
            Some((_, _, None)) => return None,
            None => {}
        }
        let text: Arc<str> = text.into();
        self.said.entry(Arc::clone(&text)).or_default().push((tier, channel, None));
        self.open.push(Passage { tier, channel, at: at.to_owned(), text });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_asked_about_once_and_answers_stay_with_it() {
        let mut hearing = Hearing::default();
        let walk = |hearing: &mut Hearing| {
            for (channel, at) in [(Channel::User, "/a"), (Channel::User, "/b"), (Channel::Document, "/c")] {
                hearing.said(Tier::Encoder, channel, at, "x");
            }
        };
        let open = hearing.ask(walk);
        assert_eq!(open.iter().map(|one| one.at.as_str()).collect::<Vec<_>>(), ["/a", "/c"]);
        for (passage, said) in open.into_iter().zip([Said::Ordinary, Said::Unread("late")]) {
            hearing.hear(passage, said);
        }
        assert_eq!(hearing.ask(walk), []);
        assert_eq!(hearing.said(Tier::Encoder, Channel::User, "/b", "x"), Some(Said::Ordinary));
        assert_eq!(hearing.said(Tier::Encoder, Channel::Document, "/c", "x"), Some(Said::Unread("late")));
    }

    #[test]
    fn what_nobody_was_asked_about_is_not_read() {
        let mut hearing = Hearing::default();
        assert!(matches!(hearing.said(Tier::Judge, Channel::User, "/a", "x"), Some(Said::Unread(_))));
        // The answer of one tier is not that of another.
        let passage =
            Passage { tier: Tier::Encoder, channel: Channel::User, at: String::new(), text: "x".into() };
        hearing.hear(passage, Said::Ordinary);
        assert!(matches!(hearing.said(Tier::Judge, Channel::User, "/a", "x"), Some(Said::Unread(_))));
    }
}
