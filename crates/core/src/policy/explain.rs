//! Why a decision comes out as it does, and what would change it.

use serde::Serialize;
use smol_str::SmolStr;

use super::{Call, Policy, Verdict, refused};
use crate::identify::Principal;

/// All that is to be said of one decision.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision.
    pub verdict: Verdict,
    /// The roles that the caller has, with those that they include.
    pub roles: Vec<SmolStr>,
    /// Every policy about the action.
    pub considered: Vec<Considered>,
}

/// What one policy says of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// Its id.
    pub policy: SmolStr,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// Whom it is about, as its scope says.
    pub whom: String,
    /// The role that its scope asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<SmolStr>,
    /// Whether the caller is whom it is about.
    pub is_for_caller: bool,
    /// The parts of its condition, all of which must hold.
    pub parts: Vec<Part>,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The part as Cedar writes it.
    pub text: String,
    /// What it comes to.
    pub said: Said,
    /// The attributes that it reads, with their values.
    pub values: Vec<(String, String)>,
}

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// It cannot be evaluated, which refuses.
    Errs,
    /// It reads what is not known here.
    Unknown,
}

/// What is not known of a call. The default knows everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unknowns {
    /// Whether only the issuer and the subject of the principal are known, and its roles.
    pub claims: bool,
    /// Whether nothing of the request but the time, the address and whether it came by TLS is known.
    pub request: bool,
    /// Whether the client's address is not known.
    pub address: bool,
}

impl Unknowns {
    pub(super) fn has(self, attribute: &str) -> bool {
        let known = match attribute.split_once('.') {
            Some(("principal", name)) => !self.claims || matches!(name, "issuer" | "subject"),
            Some(("context", "time" | "tls")) => true,
            Some(("context", "address")) => !self.address,
            Some(("context", _)) => !self.request,
            _ => true,
        };
        !known
    }
}

impl Considered {
    /// What the policy comes to, if it is about the caller.
    pub fn said(&self) -> Said {
        let of = |said: Said| self.parts.iter().any(|part| part.said == said);
        // In the order of the parts: the first that does not hold ends it.
        let first = self.parts.iter().map(|part| part.said).find(|said| *said != Said::Holds);
        match first {
            None => Said::Holds,
            Some(Said::Unknown) if of(Said::Fails) => Said::Fails,
            Some(said) => said,
        }
    }

    /// Whether it takes part in the decision.
    pub fn applies(&self) -> bool {
        self.is_for_caller && self.said() == Said::Holds
    }

    /// What keeps a permit from allowing: each counts one.
    pub fn distance(&self) -> usize {
        let parts = self.parts.iter().filter(|part| part.said != Said::Holds).count();
        parts.saturating_add(usize::from(!self.is_for_caller))
    }
}

impl Explanation {
    /// Permits that do not apply, the nearest to applying first.
    pub fn nearest(&self) -> Vec<&Considered> {
        let mut permits: Vec<&Considered> =
            self.considered.iter().filter(|one| !one.forbids && !one.applies()).collect();
        permits.sort_by_key(|one| (one.distance(), one.policy.clone()));
        permits
    }

    /// Forbids that apply.
    pub fn forbidding(&self) -> Vec<&Considered> {
        self.considered.iter().filter(|one| one.forbids && one.applies()).collect()
    }
}

impl Policy {
    /// Explains a decision. `held` are the caller's roles where they are known otherwise than by its claims.
    pub fn explain(&self, call: &Call<'_>, unknowns: Unknowns, held: Option<&[SmolStr]>) -> Explanation {
        let nothing = |verdict| Explanation { verdict, roles: Vec::new(), considered: Vec::new() };
        let Some(action) = self.position(call.action) else {
            return nothing(refused(super::Cause::UnknownAction));
        };
        let (prepared, direct) = match call.principal {
            Principal::Anonymous => (std::sync::Arc::clone(self.engine.anonymous()), Vec::new()),
            Principal::Identity(identity) => {
                let held = held.map_or_else(|| self.engine.roles().held(identity), <[SmolStr]>::to_vec);
                (self.engine.prepare_with(identity, held.clone()), held)
            }
        };
        let mut roles = direct.clone();
        for role in &direct {
            let inherited = self.engine.roles().inherited(role).iter();
            roles.extend(inherited.filter(|one| !direct.contains(one)).cloned());
        }
        roles.dedup();
        let verdict = match self.engine.respond(action, &prepared, call) {
            Ok(response) => self.verdict(response),
            Err(incomplete) => refused(incomplete.into()),
        };
        match self.engine.consider(action, &prepared, call, unknowns) {
            Ok(considered) => Explanation { verdict, roles, considered },
            Err(_) => Explanation { roles, ..nothing(verdict) },
        }
    }
}
