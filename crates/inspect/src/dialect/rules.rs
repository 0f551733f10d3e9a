//! What an operator wrote about one model, compiled.

use std::sync::Arc;

use portcullis_core::guard::{Guard, GuardSet};
use portcullis_core::record::Action;

use super::Screen;
use crate::elsewhere::TierRules;
use crate::unread::Unread;

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
    /// What may go to the model though nobody can read it: pictures, sounds, files.
    pub unread: Unread,
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
            unread: Unread::default(),
            records_usage: true,
        }
    }
}

impl ModelRules {
    /// The guards of requests.
    pub fn guards(&self) -> GuardSet {
        let roles = GuardSet::NONE.with_if(Guard::Roles, self.client_system != ClientSystem::Allow);
        let tiers = self.tiers.iter().map(|rules| rules.tier.guard()).collect();
        self.prompt.guards().and(roles).and(tiers).with_if(Guard::Classifier, self.orders.is_some())
    }
}
