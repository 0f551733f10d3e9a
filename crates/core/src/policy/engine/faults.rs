//! Faults planted into the index and the evaluation, to see that the comparison with plain Cedar finds them.

use cedar_policy_core::ast::{ActionConstraint, EntityUID, Policy, PolicySet};

use super::context::Reads;
use super::index::Buckets;
use super::principal::Prepared;
use super::tree::{List, Number, Text, Tree};
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
    BothAsEither,
    EitherAsBoth,
    NotDropped,
    LessAsLessOrSame,
    LikeAsAnything,
    HasAsTrue,
    AttributesSwapped,
    AllAsAny,
    AnyAsAll,
    RangeIgnored,
    PathAsQuery,
    ChoiceSwapped,
    InAsIs,
    ListsSwapped,
    SumAsDifference,
    AddressIgnored,
    Ipv4Swapped,
    KindIgnored,
    WhoIgnored,
    ModelCallSwapped,
    InContextIgnored,
    SameAsLessOrSame,
    FlagNegated,
}

/// A tree with the fault in each of its parts.
fn corrupted(tree: Tree, fault: Fault) -> Tree {
    let inner = |tree: Box<Tree>| Box::new(corrupted(*tree, fault));
    let text = |text: Text| match (fault, text) {
        (Fault::AttributesSwapped, Text::Own(index)) => Text::Own(1_usize.saturating_sub(index)),
        (Fault::PathAsQuery, Text::Path(name)) => Text::Query(name),
        (_, text) => text,
    };
    let list = |list: List| match (fault, list) {
        (Fault::ListsSwapped, List::Scopes) => List::Roles,
        (Fault::ListsSwapped, List::Roles) => List::Scopes,
        (_, list) => list,
    };
    match (fault, tree) {
        (Fault::BothAsEither, Tree::Both(left, right)) => Tree::Either(inner(left), inner(right)),
        (Fault::EitherAsBoth, Tree::Either(left, right)) => Tree::Both(inner(left), inner(right)),
        (_, Tree::Both(left, right)) => Tree::Both(inner(left), inner(right)),
        (_, Tree::Either(left, right)) => Tree::Either(inner(left), inner(right)),
        (Fault::NotDropped, Tree::Not(tree)) => corrupted(*tree, fault),
        (_, Tree::Not(tree)) => Tree::Not(inner(tree)),
        (Fault::ChoiceSwapped, Tree::Choice(parts)) => {
            let [test, then, other] = *parts;
            Tree::Choice(Box::new([test, other, then]))
        }
        (Fault::LessAsLessOrSame, Tree::Less(left, right)) => Tree::LessOrSame(left, right),
        (Fault::SumAsDifference, Tree::LessOrSame(Number::Sum(parts), right)) => {
            Tree::LessOrSame(Number::Difference(parts), right)
        }
        (Fault::Ipv4Swapped, Tree::IsIpv4(wanted)) => Tree::IsIpv4(!wanted),
        (Fault::ModelCallSwapped, Tree::IsModelCall(wanted)) => Tree::IsModelCall(!wanted),
        (Fault::SameAsLessOrSame, Tree::SameNumber(left, right)) => Tree::LessOrSame(left, right),
        (Fault::FlagNegated, Tree::Flag(flag)) => Tree::Not(Box::new(Tree::Flag(flag))),
        (Fault::KindIgnored, Tree::IsA(_))
        | (Fault::WhoIgnored, Tree::IsOneOf(_))
        | (Fault::InContextIgnored, Tree::InContext(_))
        | (Fault::AddressIgnored, Tree::IsAddress(_)) => Tree::Is(true),
        (Fault::LikeAsAnything, Tree::Like(..)) | (Fault::RangeIgnored, Tree::InRange(_)) => Tree::Is(true),
        (Fault::HasAsTrue, Tree::HasText(_) | Tree::HasVerified) => Tree::Is(true),
        (Fault::AllAsAny, Tree::HoldsAll(one, wanted)) => Tree::HoldsAny(list(one), wanted),
        (Fault::AnyAsAll, Tree::HoldsAny(one, wanted)) => Tree::HoldsAll(list(one), wanted),
        (Fault::InAsIs, Tree::IsIn(uids)) => Tree::IsOneOf(uids),
        (_, Tree::Same(left, right)) => Tree::Same(text(left), text(right)),
        (_, Tree::Like(one, pattern)) => Tree::Like(text(one), pattern),
        (_, Tree::Holds(one, wanted)) => Tree::Holds(list(one), text(wanted)),
        (_, Tree::IsEmpty(one)) => Tree::IsEmpty(list(one)),
        (_, tree) => tree,
    }
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
            condition.tree = condition.tree.take().map(|tree| corrupted(tree, fault));
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
