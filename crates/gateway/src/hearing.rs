//! Has the texts of a request read by those who read elsewhere, before it is inspected.

use portcullis_core::guard::{GuardSet, Skip, Way};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::Action;
use portcullis_core::request::Request;
use portcullis_core::validate::Validated;
use portcullis_inspect::dialect::ModelRules;
use portcullis_inspect::elsewhere::{Hearing, Passage, ROUNDS, Said, Tier};
use portcullis_inspect::inspect::unheard;

use crate::gate::{Gate, Guards};
use crate::judges::{MARK, mark};
use crate::record::Draft;

/// Takes a request that met its contract and asks whoever its route's rules name about its texts. What is said goes
/// into the inspection of the request; what nobody answers counts there as not read.
///
/// # Errors
/// 503 where somebody does not answer who must, 508 for a question of a judge's.
pub(crate) async fn hear(
    gate: &Gate,
    guards: &Guards,
    request: &Request<Validated>,
    draft: &mut Draft,
) -> Result<Hearing, Halt> {
    let mut hearing = Hearing::default();
    // PERF: most routes ask nobody.
    if let Some(rules) = guards.model.as_ref().filter(|rules| !rules.tiers.is_empty()) {
        Box::pin(rounds((gate, guards, rules), request, &mut hearing, draft)).await?;
    }
    Ok(hearing)
}

async fn rounds(
    (gate, guards, rules): (&Gate, &Guards, &ModelRules),
    request: &Request<Validated>,
    hearing: &mut Hearing,
    draft: &mut Draft,
) -> Result<(), Halt> {
    if guards.prompt_judge.is_some() && request.head().headers.get_all(MARK).iter().any(|one| one == mark()) {
        return Err(Halt::new(Reason::GuardLoop, "a judge's question came to a route that is judged"));
    }
    for _ in 0..ROUNDS {
        let open = unheard(Some(rules), request, hearing);
        if open.is_empty() {
            return Ok(());
        }
        for tier in [Tier::Encoder, Tier::Judge] {
            let passages: Vec<Passage> = open.iter().filter(|one| one.tier == tier).cloned().collect();
            for (passage, said) in ask((gate, guards), tier, passages).await {
                if let Said::Unread(why) = said {
                    unanswered(rules, tier, why, draft)?;
                }
                hearing.hear(passage, said);
            }
        }
    }
    Ok(())
}

/// Somebody did not answer: refuses, or notes it where the operator wrote that it passes then.
fn unanswered(rules: &ModelRules, tier: Tier, why: &str, draft: &mut Draft) -> Result<(), Halt> {
    let passes = rules.tiers.iter().any(|one| one.tier == tier && one.unread == Action::Observe);
    if !passes && tier == Tier::Judge {
        return Err(Halt::new(Reason::GuardUnavailable, format!("{}: {why}", tier.id())));
    }
    if !passes {
        // It is refused where the request is inspected.
        return Ok(());
    }
    draft.guards.skipped(Way::Request, GuardSet::NONE.with(tier.guard()), Skip::Unanswered);
    Ok(())
}

/// Asks one tier about texts: each of them with what was said.
async fn ask((gate, guards): (&Gate, &Guards), tier: Tier, passages: Vec<Passage>) -> Vec<(Passage, Said)> {
    match tier {
        Tier::Encoder => match &gate.encoder {
            #[cfg(feature = "ml")]
            Some(pool) => pool.ask(passages).await,
            _ => nobody(passages),
        },
        Tier::Judge => match &guards.prompt_judge {
            Some(judge) => judge.hear(passages).await,
            None => nobody(passages),
        },
    }
}

fn nobody(passages: Vec<Passage>) -> Vec<(Passage, Said)> {
    passages.into_iter().map(|passage| (passage, Said::Unread("nobody reads here"))).collect()
}
