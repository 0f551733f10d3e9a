//! Has the texts of a request read by those who read elsewhere, before it is inspected.

use portcullis_core::request::Request;
use portcullis_core::validate::Validated;
use portcullis_inspect::elsewhere::{Hearing, Passage, ROUNDS, Said, Tier};
use portcullis_inspect::inspect::unheard;

use crate::gate::{Gate, Guards};

/// Takes a request that met its contract and asks whoever its route's rules name about its texts. What is said goes
/// into the inspection of the request; what nobody answers counts there as not read.
pub(crate) async fn hear(gate: &Gate, guards: &Guards, request: &Request<Validated>) -> Hearing {
    let mut hearing = Hearing::default();
    // PERF: most routes ask nobody.
    if guards.model.as_ref().is_some_and(|rules| !rules.tiers.is_empty()) {
        Box::pin(rounds(gate, guards, request, &mut hearing)).await;
    }
    hearing
}

async fn rounds(gate: &Gate, guards: &Guards, request: &Request<Validated>, hearing: &mut Hearing) {
    for _ in 0..ROUNDS {
        let open = unheard(guards.model.as_ref(), request, hearing);
        if open.is_empty() {
            return;
        }
        for tier in [Tier::Encoder, Tier::Judge] {
            let passages: Vec<Passage> = open.iter().filter(|one| one.tier == tier).cloned().collect();
            for (passage, said) in ask(gate, tier, passages).await {
                hearing.hear(passage, said);
            }
        }
    }
}

/// Asks one tier about texts: each of them with what was said.
async fn ask(gate: &Gate, tier: Tier, passages: Vec<Passage>) -> Vec<(Passage, Said)> {
    match tier {
        Tier::Encoder => match &gate.encoder {
            #[cfg(feature = "ml")]
            Some(pool) => pool.ask(passages).await,
            _ => nobody(passages),
        },
        Tier::Judge => nobody(passages),
    }
}

fn nobody(passages: Vec<Passage>) -> Vec<(Passage, Said)> {
    passages.into_iter().map(|passage| (passage, Said::Unread("nobody reads here"))).collect()
}
