//! What is looked for in a route's requests and answers, and who is asked about them.

use std::sync::Arc;

use portcullis_core::record::Action;
use portcullis_inspect::coverage::Unread;
use portcullis_inspect::dialect::mcp::McpRules;
use portcullis_inspect::dialect::{self, ModelRules};
use portcullis_inspect::elsewhere::{Tier, TierRules};
use portcullis_inspect::inspect::Screens;
use portcullis_inspect::machine::Screen;
use portcullis_inspect::told::{Code, Fence, canary};

use super::{Compiler, Part};
use crate::config::Place;
use crate::config::settings::{self, Detectors, Level, Model};
use crate::gate::{Guards, Pool};
use crate::judges::Judge;
use crate::random::random;
use crate::screens::{action, screen};

impl Compiler<'_> {
    fn screen(&mut self, detectors: &Detectors, place: &Place) -> Screen {
        screen(detectors).unwrap_or_else(|name| {
            self.problems.push(place.error("internal", format!("`{name}` does not compile")));
            Screen::off()
        })
    }

    fn screens(&mut self, request: &Detectors, answer: &Detectors, place: &Place) -> Screens {
        Screens {
            request: self.screen(request, place),
            answer: self.screen(answer, place),
            request_unread: unread(request),
            answer_unread: unread(answer),
            tools: None,
        }
    }

    pub(super) fn guards(&mut self, part: Part<'_>) -> Guards {
        match part {
            Part::Api(api) => {
                Guards { screens: self.screens(&api.inspect, &api.screen, &api.place), ..Guards::default() }
            }
            Part::Graph(graph) => Guards {
                screens: self.screens(&graph.inspect, &graph.screen, &graph.place),
                ..Guards::default()
            },
            Part::Model(model) => {
                let screens = self.screens(&model.prompt, &model.answer, &model.place);
                let judge = |detectors: &Detectors| {
                    let index = detectors.judge.as_ref()?.judge;
                    self.judges.get(index).cloned().flatten()
                };
                let (prompt_judge, answer_judge) = (judge(&model.prompt), judge(&model.answer));
                let rules = ModelRules {
                    system: model.system.as_ref().map(|file| Arc::clone(&file.text)),
                    client_system: match model.client_system {
                        settings::ClientSystem::Refuse => dialect::ClientSystem::Refuse,
                        settings::ClientSystem::Demote => dialect::ClientSystem::Demote,
                        settings::ClientSystem::Allow => dialect::ClientSystem::Allow,
                    },
                    prompt: screens.request.clone(),
                    answer: screens.answer.clone(),
                    unread: screens.request_unread.clone(),
                    tokens: (model.prompt.tokenises()).then(|| self.kept.tokens.clone()),
                    orders: action(model.prompt.classifier),
                    betas: model.betas.iter().map(|beta| beta.as_str().into()).collect(),
                    tiers: self.tiers(model, prompt_judge.as_deref()),
                    passes_stored: model.allow_stored,
                    passes_tokens: model.allow_tokens,
                    passes_unknown: model.allow_unknown,
                    ..ModelRules::default()
                };
                let fence = match model.prompt.fence {
                    settings::Fence::Off => None,
                    settings::Fence::On => Some(false),
                    settings::Fence::Mark => Some(true),
                };
                let fence = fence.map(|marks| Fence { marks, code: Code::new(random()) });
                let canary = model.prompt.canary.then(|| canary(random()));
                let rules = rules.telling(fence, canary.as_deref(), action(model.answer.leak));
                Guards { screens, model: Some(rules), prompt_judge, answer_judge }
            }
            Part::Tools(server) => {
                let screens = self.screens(&server.arguments, &server.results, &server.place);
                let rules = McpRules {
                    arguments: screens.request.clone(),
                    results: screens.answer.clone(),
                    orders: action(server.results.classifier),
                    methods: server.methods.iter().map(|one| one.as_str().into()).collect(),
                };
                Guards { screens: Screens { tools: Some(rules), ..screens }, ..Guards::default() }
            }
        }
    }

    /// Judges by their index; none where one cannot be asked, which is reported.
    pub(super) fn judges(&mut self) {
        for judge in &self.settings.judges {
            let compiled = Judge::compile(judge).map(Arc::new);
            self.judges.push(match compiled {
                Ok(judge) => Some(judge),
                Err(error) => {
                    self.problems.push(judge.place.error("bad-upstream", error.to_string()));
                    None
                }
            });
        }
    }

    /// Who else is asked about a model's prompts.
    fn tiers(&self, model: &Model, judge: Option<&Judge>) -> Vec<TierRules> {
        let encoder = action(model.prompt.encoder).map(|action| {
            let refuses = self.settings.encoder.refuses_unread.unwrap_or(action == Action::Block);
            let unread = if refuses { Action::Block } else { Action::Observe };
            TierRules { tier: Tier::Encoder, action, unread }
        });
        // In this order: what costs most is asked last.
        encoder.into_iter().chain(judge.map(Judge::rules)).collect()
    }

    /// The threads that read prompts, where a model asks for them: those of the gate before, if they are to be the same.
    pub(super) fn encoder(&mut self) -> Option<(settings::Encoder, Arc<Pool>)> {
        self.settings.models.iter().find(|model| model.prompt.encoder != Level::Off)?;
        let rules = self.settings.encoder;
        if let Some(kept) = self.kept.encoder.as_ref().filter(|(known, _)| *known == rules) {
            return Some(kept.clone());
        }
        #[cfg(feature = "ml")]
        match Pool::start(&rules) {
            Ok(pool) => return Some((rules, Arc::new(pool))),
            Err(error) => self.problems.push(Place::default().error("bad-value", error.to_string())),
        }
        None
    }
}

fn unread(detectors: &Detectors) -> Unread {
    match &detectors.unread {
        None => Unread::Unclaimed,
        Some(listed) => Unread::only(listed.iter().map(String::as_str)),
    }
}
