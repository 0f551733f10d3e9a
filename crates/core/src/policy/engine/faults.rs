//! Faults planted into the index and the evaluation, to see that the comparison with plain Cedar finds them.

use cedar_policy_core::ast::{ActionConstraint, EntityUID, Policy, PolicySet};

use super::context::Reads;
use super::index::Buckets;
use super::principal::Prepared;
use super::{Engine, admits_action, admits_resource};
use crate::policy::roles::Roles;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::policy) enum Fault { $($(#[$doc])* $name,)+ }
        impl Fault {
            pub(in crate::policy) const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

faults! {
    DropAny,
    DropByAncestor,
    DropBySelf,
    DropByType,
    TypeIgnored,
    TypeOfIsInIgnored,
    InAsEqual,
    EqualAsIn,
    /// `in` is not reflexive.
    NotReflexive,
    OneAncestorOnly,
    InheritanceIgnored,
    ForbidAsPermit,
    PermitAsForbid,
    ErrorAsFalse,
    ErrorAsTrue,
    ActionGroupIgnored,
    ActionScopeIgnored,
    ResourceScopeIgnored,
    ConditionDropped,
    NothingRead,
    PathNotRead,
    QueryNotRead,
    ActionEntityMissing,
    StaticsMissing,
}

fn lose(list: &mut Vec<u32>) {
    list.pop();
}

impl Engine {
    pub(in crate::policy) fn plant(&mut self, fault: Fault, set: &cedar_policy::PolicySet) {
        self.fault = Some(fault);
        for rule in &mut self.rules {
            match fault {
                Fault::ForbidAsPermit => rule.forbids = false,
                Fault::PermitAsForbid => rule.forbids = true,
                Fault::TypeOfIsInIgnored => rule.principal_type = None,
                Fault::ConditionDropped => rule.condition = None,
                _ => {}
            }
            let Some(condition) = &mut rule.condition else { continue };
            match fault {
                Fault::NothingRead => condition.reads = Reads::default(),
                Fault::PathNotRead => condition.reads.0 &= !(1 << 3),
                Fault::QueryNotRead => condition.reads.0 &= !(1 << 4),
                Fault::ActionEntityMissing => condition.reads_action = false,
                Fault::StaticsMissing => condition.statics.clear(),
                _ => {}
            }
        }
        if fault == Fault::InheritanceIgnored {
            self.roles = Roles::default();
        }
        self.plant_buckets(fault);
        self.plant_plans(fault, set);
    }

    fn plant_buckets(&mut self, fault: Fault) {
        for plan in &mut self.plans {
            let buckets = &mut plan.buckets;
            match fault {
                Fault::DropAny => lose(&mut buckets.any),
                Fault::DropByAncestor => buckets.by_ancestor.values_mut().for_each(lose),
                Fault::DropBySelf => buckets.by_self.values_mut().for_each(lose),
                Fault::DropByType => buckets.by_type.iter_mut().for_each(|(_, list)| lose(list)),
                Fault::TypeIgnored => {
                    buckets.any.extend(buckets.by_type.drain(..).flat_map(|(_, list)| list));
                }
                Fault::InAsEqual => {
                    for (number, list) in buckets.by_ancestor.drain() {
                        buckets.by_self.entry(number).or_default().extend(list);
                    }
                }
                Fault::EqualAsIn => {
                    for (number, list) in buckets.by_self.drain() {
                        buckets.by_ancestor.entry(number).or_default().extend(list);
                    }
                }
                _ => {}
            }
        }
    }

    fn plant_plans(&mut self, fault: Fault, set: &cedar_policy::PolicySet) {
        let set: &PolicySet = set.as_ref();
        for plan in &mut self.plans {
            let resource: &EntityUID = plan.resource.uid().unwrap();
            let resource = cedar_policy_core::ast::Entity::with_uid(resource.clone());
            let admits = |policy: &Policy| {
                let (action, scope) = (policy.template().action_constraint(), policy.template());
                let resource = fault == Fault::ResourceScopeIgnored
                    || admits_resource(scope.resource_constraint().as_inner(), &resource);
                resource
                    && match (fault, action) {
                        (Fault::ActionScopeIgnored, _) => true,
                        (Fault::ActionGroupIgnored, ActionConstraint::In(groups)) => {
                            groups.iter().any(|group| group.as_ref() == plan.entity.uid())
                        }
                        _ => admits_action(action, &plan.entity),
                    }
            };
            if let Fault::ResourceScopeIgnored | Fault::ActionScopeIgnored | Fault::ActionGroupIgnored = fault
            {
                let admitted = set.policies().enumerate().filter(|(_, policy)| admits(policy));
                plan.buckets = Buckets::new(admitted, &self.names);
            }
        }
    }

    pub(super) fn planted(&self, mut prepared: Prepared) -> Prepared {
        match self.fault {
            Some(Fault::NotReflexive) => prepared.ancestors_and_self.retain(|one| Some(*one) != prepared.own),
            Some(Fault::OneAncestorOnly) => prepared.ancestors_and_self.truncate(1),
            _ => {}
        }
        prepared
    }
}
