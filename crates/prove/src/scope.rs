//! Which kinds of request a policy can be about, by its scope: the others need not be asked.

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint, RequestEnv, Schema,
};
use portcullis_core::policy::ActionSpec;
use smol_str::SmolStr;

/// A policy, and the kinds of request that its scope is about.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: SmolStr,
    pub(crate) policy: Policy,
    pub(crate) kinds: Vec<RequestEnv>,
}

impl Rule {
    pub(crate) fn new(id: SmolStr, policy: Policy, actions: &[ActionSpec], schema: &Schema) -> Self {
        let kinds = schema.request_envs().filter(|kind| is_about(&policy, kind, actions)).collect();
        Self { id, policy, kinds }
    }

    pub(crate) fn forbids(&self) -> bool {
        self.policy.effect() == Effect::Forbid
    }

    pub(crate) fn covers(&self, kind: &RequestEnv) -> bool {
        self.kinds.contains(kind)
    }

    /// Whether `other` can imply this one, by their scopes: roles are told apart by their names alone.
    pub(crate) fn may_be_implied_by(&self, other: &Self) -> bool {
        let whom = |rule: &Self| rule.policy.principal_constraint();
        let is_whom = match whom(other) {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
            constraint => constraint == whom(self),
        };
        is_whom && self.forbids() == other.forbids() && self.kinds.iter().all(|kind| other.covers(kind))
    }
}

pub(crate) fn name(uid: &EntityUid) -> &str {
    uid.id().as_ref()
}

fn is_about(policy: &Policy, kind: &RequestEnv, actions: &[ActionSpec]) -> bool {
    let of = |uid: &EntityUid| {
        let spec = actions.iter().find(|spec| spec.name() == name(kind.action()));
        spec.is_some_and(|spec| {
            let named = name(uid);
            spec.name() == named || spec.group() == named || spec.api == named
        })
    };
    let is_action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => of(&uid),
        ActionConstraint::In(uids) => uids.iter().any(of),
    };
    let is_user = is_of(kind.principal(), "User");
    is_action
        && match policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            // Nobody without credentials is in anything.
            PrincipalConstraint::In(uid) => is_user || uid.type_name() == kind.principal(),
            PrincipalConstraint::Eq(uid) => uid.type_name() == kind.principal(),
            PrincipalConstraint::Is(of) | PrincipalConstraint::IsIn(of, _) => of == *kind.principal(),
        }
}

pub(crate) fn is_of(kind: &EntityTypeName, name: &str) -> bool {
    kind.to_string() == name
}
