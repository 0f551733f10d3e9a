//! What an operator wrote about one model, compiled.

use std::sync::Arc;

use portcullis_core::halt::{Halt, Reason, Violation};
use portcullis_core::record::Action;

use super::Screen;
use crate::elsewhere::TierRules;

/// What is done with `system` and `developer` messages that a client sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientSystem {
    /// Such a request is refused.
    #[default]
    Refuse,
    /// They pass, after the operator's own.
    Allow,
    /// They pass as `user` messages.
    Demote,
}

/// The rules of one model, compiled.
#[derive(Debug, Clone)]
pub struct ModelRules {
    /// The operator's rules, sent first and before anything a client wrote.
    pub system: Option<Arc<str>>,
    /// What a client's own system messages become.
    pub client_system: ClientSystem,
    /// What may not go to the model, in no reading of a text.
    pub prompt: Screen,
    /// What is done about text that gives orders without being allowed to; `None` looks for none.
    pub orders: Option<Action>,
    /// Who else is asked whether text gives orders, in this order.
    pub tiers: Vec<TierRules>,
    /// What may not come from it.
    pub answer: Screen,
    /// Whether a request may speak of texts that its provider stored: they are not read again.
    pub passes_stored: bool,
    /// Whether texts may come as numbers of tokens, which cannot be read.
    pub passes_tokens: bool,
    /// Whether events of a kind that the dialect does not have pass, each string of them screened for itself.
    pub passes_unknown: bool,
    /// Whether the model is asked for token counts on streams too, so that the record has them.
    pub records_usage: bool,
}

impl Default for ModelRules {
    fn default() -> Self {
        Self {
            system: None,
            client_system: ClientSystem::default(),
            prompt: Screen::default(),
            orders: None,
            tiers: Vec::new(),
            answer: Screen::default(),
            passes_stored: false,
            passes_tokens: false,
            passes_unknown: false,
            records_usage: true,
        }
    }
}

/// The refusal of what speaks for the operator and stands at `at`.
pub(crate) fn not_open(at: String, what: &str) -> Halt {
    let message = "this role is not open to clients".to_owned();
    Halt::new(Reason::ContentBlocked, format!("client_system: {what:?} at {at}"))
        .with_violations(vec![Violation { at, message }])
}

/// The refusal of what cannot be read and stands at `at`, unless the operator lets it pass.
pub(crate) fn unread(at: &str, message: &'static str) -> Halt {
    Halt::new(Reason::BodyInvalid, format!("unread: {message} at {at}"))
        .with_violations(vec![Violation { at: at.to_owned(), message: message.to_owned() }])
}
