//! Policy: who may do what, in Cedar, indexed by scope.
//!
//! [`schema`](schema()) is what policies may speak of, [`Policy::load`] checks them against it, [`Policy::decide`]
//! answers for one call. Whatever cannot be decided refuses: no policy, an unknown action, a policy that errors.
//! One call in [`SHADOW_EVERY`] is decided by plain Cedar as well, and a difference refuses; after the first one every
//! call of this policy is decided by both.

mod engine;
mod explain;
mod facts;
mod load;
mod matrix;
mod plain;
pub(crate) mod query;
mod roles;
mod schema;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use quick_cache::sync::Cache;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

pub(crate) use engine::reads_address;
pub use explain::{Considered, Explanation, Part, Said, Unknowns};
pub(crate) use load::is_condition;
pub use load::{Loaded, PolicyProblem, Source, spoken_roles};
pub use matrix::{Answer, Cell, Matrix, Row};
pub use plain::Written;
pub use roles::{RoleCycle, Roles};
pub(crate) use schema::quoted;
pub use schema::{ActionKind, ActionSpec, schema};

use crate::identify::{Identity, Principal};
use crate::roles::CompiledRoles;
use engine::{Engine, Incomplete, Prepared};
use plain::Plain;

/// How seldom plain Cedar is asked as well.
pub const SHADOW_EVERY: u64 = 10_000;

/// Principals kept prepared. One takes about 2 KiB.
const KEPT_PRINCIPALS: usize = 8_192;

/// All policies of a gate, compiled. Immutable but for its cache of principals.
pub struct Policy {
    /// INVARIANT: no two policies of a process have the same; an [`ActionIndex`] of another one never matches.
    generation: u32,
    actions: FxHashMap<SmolStr, u32>,
    specs: Vec<ActionSpec>,
    engine: Engine,
    plain: Plain,
    principals: Cache<usize, Kept>,
    calls: AtomicU64,
    /// Differences between the engines, all and those not yet reported.
    differences: [AtomicU64; 2],
}

/// A prepared principal, and whose it is.
#[derive(Clone)]
struct Kept {
    /// INVARIANT: a weak reference keeps the address from being used again, so that the key stays unambiguous.
    identity: Weak<Identity>,
    prepared: Arc<Prepared>,
}

/// An action of one [`Policy`], looked up at load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionIndex {
    generation: u32,
    index: u32,
}

/// What a decision is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Who calls.
    pub principal: &'c Principal,
    /// What is called; the resource follows from it.
    pub action: ActionIndex,
    /// The client's address.
    pub address: IpAddr,
    /// Whether the client's connection is TLS.
    pub is_tls: bool,
    /// Seconds since the epoch.
    pub now: i64,
    /// What else the context has.
    pub facts: Facts<'c>,
}

/// What the context of a call has, apart from the connection.
#[derive(Debug, Clone, Copy)]
pub enum Facts<'c> {
    /// An operation of an HTTP API.
    Rest {
        /// Path parameters, decoded.
        path: &'c [(Box<str>, Box<str>)],
        /// The raw query, without `?`.
        query: Option<&'c str>,
    },
    /// A call of a language model, as its body's envelope says.
    Model {
        /// The model asked for.
        model: &'c str,
        /// Whether the answer is to be streamed.
        stream: bool,
        /// Whether the model is given tools.
        tools: bool,
    },
}

/// What policy says. Only `Allow` lets a call pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed by these policies.
    Allow {
        /// Ids of all permits that applied.
        policies: Vec<SmolStr>,
    },
    /// Denied by these policies, or by none: then nothing allowed it.
    Deny {
        /// Ids of all forbids that applied.
        policies: Vec<SmolStr>,
    },
    /// It cannot be said, which refuses.
    Indeterminate {
        /// Why.
        cause: Cause,
        /// Ids of the policies that erred, or on which the engines differ.
        policies: Vec<SmolStr>,
    },
}

/// Why policy could not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A policy erred.
    #[error("a policy could not be evaluated")]
    PolicyError,
    /// The action is not one of this policy's.
    #[error("the action is unknown to the policy")]
    UnknownAction,
    /// A query parameter that a policy reads occurs twice, or cannot be decoded.
    #[error("a query parameter that a policy reads is ambiguous")]
    AmbiguousQuery,
    /// Facts that the action needs are missing, or Cedar would not take them.
    #[error("facts that the policy needs are missing")]
    IncompleteFacts,
    /// The indexed engine and plain Cedar differ.
    #[error("the indexed engine and plain cedar differ")]
    Disagreement,
}

/// Cedar's whole response, policies by index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Response {
    is_allowed: bool,
    reasons: Vec<u32>,
    errors: Vec<u32>,
}

impl Response {
    fn new(is_allowed: bool, mut reasons: Vec<u32>, mut errors: Vec<u32>) -> Self {
        reasons.sort_unstable();
        errors.sort_unstable();
        Self { is_allowed, reasons, errors }
    }
}

impl Policy {
    /// Compiles policies for these actions: parses, checks every policy strictly against the [`schema`](schema()),
    /// and indexes. Takes milliseconds to seconds.
    ///
    /// # Errors
    /// Everything that is wrong with any of the sources, at once.
    pub fn load(sources: &[Source], actions: &[ActionSpec]) -> Result<(Self, Loaded), Vec<PolicyProblem>> {
        Self::load_with_roles(sources, actions, &CompiledRoles::default())
    }

    /// As [`load`](Self::load), with a roles file.
    ///
    /// # Errors
    /// Everything that is wrong with any of the sources, at once.
    pub fn load_with_roles(
        sources: &[Source],
        actions: &[ActionSpec],
        roles: &CompiledRoles,
    ) -> Result<(Self, Loaded), Vec<PolicyProblem>> {
        let (set, warnings) = load::check(sources, actions, roles)?;
        let policy = Self::compile(set, actions, &roles.roles).map_err(|problem| vec![problem])?;
        let policies = policy.engine.len();
        let largest = policy.engine.largest();
        Ok((policy, Loaded { policies, largest, warnings }))
    }

    /// Compiles what was already checked.
    fn compile(
        set: cedar_policy::PolicySet,
        actions: &[ActionSpec],
        roles: &Roles,
    ) -> Result<Self, PolicyProblem> {
        static GENERATIONS: AtomicU32 = AtomicU32::new(0);
        let engine = Engine::new(&set, actions, roles);
        let plain = Plain::new(set, actions, roles, engine.ids())
            .map_err(|error| PolicyProblem::of_schema(error.to_string()))?;
        let names = actions.iter().zip(0..).map(|(spec, index)| (spec.name(), index));
        Ok(Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            actions: names.collect(),
            specs: actions.to_vec(),
            engine,
            plain,
            principals: Cache::new(KEPT_PRINCIPALS),
            calls: AtomicU64::new(0),
            differences: Default::default(),
        })
    }

    /// The action of an operation, if this policy was loaded with it.
    pub fn action(&self, api: &str, operation: &str) -> Option<ActionIndex> {
        let index = *self.actions.get(smol_str::format_smolstr!("{api}.{operation}").as_str())?;
        Some(ActionIndex { generation: self.generation, index })
    }

    /// All actions, as they were declared.
    pub fn specs(&self) -> &[ActionSpec] {
        &self.specs
    }

    /// Every policy as its author wrote it, by its id. Slow: for commands.
    pub fn written(&self) -> Vec<Written> {
        self.plain.written()
    }

    /// The ids of all permits.
    pub fn permits(&self) -> impl Iterator<Item = &SmolStr> {
        self.engine.permits()
    }

    /// What an action was declared as; `None` if it is of another policy.
    pub fn spec(&self, action: ActionIndex) -> Option<&ActionSpec> {
        self.specs.get(self.position(action)?)
    }

    /// The roles that a principal has directly; `None` without a roles file, and for a caller without credentials.
    pub fn roles_of(&self, principal: &Principal) -> Option<Arc<[SmolStr]>> {
        match principal {
            Principal::Identity(identity) if self.engine.has_book() => {
                Some(Arc::clone(self.prepared(identity).held()))
            }
            Principal::Identity(_) | Principal::Anonymous => None,
        }
    }

    /// Decides one call. PERF: 0.2 µs at 50 policies and 1 µs at 1,000, with a principal seen before.
    pub fn decide(&self, call: &Call<'_>) -> Verdict {
        let [differences, unreported] = &self.differences;
        let is_shadowed = self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(SHADOW_EVERY)
            || differences.load(Ordering::Relaxed) > 0;
        let Some(action) = self.position(call.action) else { return refused(Cause::UnknownAction) };
        let response = match self.respond(action, call) {
            Ok(response) => response,
            Err(incomplete) => return refused(incomplete.into()),
        };
        if is_shadowed && let Err(policies) = self.shadow(action, call, &response) {
            differences.fetch_add(1, Ordering::Relaxed);
            unreported.fetch_add(1, Ordering::Relaxed);
            return Verdict::Indeterminate { cause: Cause::Disagreement, policies };
        }
        self.verdict(response)
    }

    /// How often the engines differed since this was asked last. Anything but 0 is to be said aloud.
    pub fn take_differences(&self) -> u64 {
        let [_, unreported] = &self.differences;
        unreported.swap(0, Ordering::Relaxed)
    }

    /// Decides one call by plain Cedar: the slow reference, tens to hundreds of microseconds.
    pub fn decide_plain(&self, call: &Call<'_>) -> Verdict {
        let Some(action) = self.position(call.action) else { return refused(Cause::UnknownAction) };
        match self.plain.respond(action, call) {
            Some(response) => self.verdict(response),
            None => refused(Cause::IncompleteFacts),
        }
    }

    fn respond(&self, action: usize, call: &Call<'_>) -> Result<Response, Incomplete> {
        match call.principal {
            Principal::Anonymous => self.engine.respond(action, self.engine.anonymous(), call),
            Principal::Identity(identity) => self.engine.respond(action, &self.prepared(identity), call),
        }
    }

    /// INVARIANT: what is prepared for this engine stays in this policy, so it cannot outlive a reload.
    fn prepared(&self, identity: &Arc<Identity>) -> Arc<Prepared> {
        let key = Arc::as_ptr(identity).addr();
        if let Some(kept) = self.principals.get(&key)
            && std::ptr::eq(kept.identity.as_ptr(), Arc::as_ptr(identity))
        {
            return kept.prepared;
        }
        let prepared = Arc::new(self.engine.prepare(identity));
        let kept = Kept { identity: Arc::downgrade(identity), prepared: Arc::clone(&prepared) };
        self.principals.insert(key, kept);
        prepared
    }

    /// On a difference, the policies on which the engines differ.
    fn shadow(&self, action: usize, call: &Call<'_>, response: &Response) -> Result<(), Vec<SmolStr>> {
        let Some(plain) = self.plain.respond(action, call) else { return Err(Vec::new()) };
        if plain == *response {
            return Ok(());
        }
        let only = |these: &[u32], those: &[u32]| {
            these.iter().copied().filter(|index| !those.contains(index)).collect::<Vec<u32>>()
        };
        // The same policies, and another decision from them.
        if plain.reasons == response.reasons && plain.errors == response.errors {
            return Err(self.ids(&plain.reasons));
        }
        let mut differing = [
            only(&plain.reasons, &response.reasons),
            only(&response.reasons, &plain.reasons),
            only(&plain.errors, &response.errors),
            only(&response.errors, &plain.errors),
        ]
        .concat();
        differing.sort_unstable();
        differing.dedup();
        Err(self.ids(&differing))
    }

    fn verdict(&self, response: Response) -> Verdict {
        let Response { is_allowed, reasons, errors } = response;
        if !errors.is_empty() {
            return Verdict::Indeterminate { cause: Cause::PolicyError, policies: self.ids(&errors) };
        }
        let policies = self.ids(&reasons);
        if is_allowed { Verdict::Allow { policies } } else { Verdict::Deny { policies } }
    }

    fn ids(&self, indexes: &[u32]) -> Vec<SmolStr> {
        indexes.iter().filter_map(|index| self.engine.id(*index).cloned()).collect()
    }

    fn position(&self, action: ActionIndex) -> Option<usize> {
        if action.generation != self.generation {
            return None;
        }
        usize::try_from(action.index).ok()
    }
}

fn refused(cause: Cause) -> Verdict {
    Verdict::Indeterminate { cause, policies: Vec::new() }
}

impl From<Incomplete> for Cause {
    fn from(incomplete: Incomplete) -> Self {
        match incomplete {
            Incomplete::Action => Self::UnknownAction,
            Incomplete::Query => Self::AmbiguousQuery,
            Incomplete::Facts | Incomplete::Address | Incomplete::Entities => Self::IncompleteFacts,
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("policies", &self.engine.len())
            .field("actions", &self.specs.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
