//! The index of one action's policies by the scope of their principal.

use cedar_policy_core::ast::{EntityType, EntityUID, Policy, PrincipalOrResourceConstraint as Constraint};
use rustc_hash::FxHashMap;

use super::principal::Prepared;

/// Entities that some principal scope names, as small integers.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) numbers: FxHashMap<EntityUID, u32>,
}

impl Names {
    pub(super) fn intern_scope(&mut self, constraint: &Constraint) {
        if let Some(uid) = constraint.get_euid() {
            let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
            self.numbers.entry(uid.as_ref().clone()).or_insert(next);
        }
    }

    pub(super) fn number(&self, uid: &EntityUID) -> Option<u32> {
        self.numbers.get(uid).copied()
    }
}

/// INVARIANT: every policy whose scope admits the action is in exactly one bucket.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// `principal`
    pub(super) any: Vec<u32>,
    /// `principal is T`
    pub(super) by_type: Vec<(EntityType, Vec<u32>)>,
    /// `principal in E` and `principal is T in E`
    pub(super) by_ancestor: FxHashMap<u32, Vec<u32>>,
    /// `principal == E`
    pub(super) by_self: FxHashMap<u32, Vec<u32>>,
    len: usize,
}

impl Buckets {
    /// Sorts policies, which come with their index, into buckets.
    pub(super) fn new<'p>(policies: impl Iterator<Item = (usize, &'p Policy)>, names: &Names) -> Self {
        let mut buckets = Self::default();
        for (index, policy) in policies {
            let Ok(index) = u32::try_from(index) else { continue };
            buckets.add(index, policy.template().principal_constraint().as_inner(), names);
        }
        buckets
    }

    fn add(&mut self, index: u32, constraint: &Constraint, names: &Names) {
        self.len += 1;
        let number = constraint.get_euid().and_then(|uid| names.number(uid));
        match (constraint, number) {
            (Constraint::Is(kind), _) => {
                match self.by_type.iter_mut().find(|(known, _)| known == kind.as_ref()) {
                    Some((_, list)) => list.push(index),
                    None => self.by_type.push((kind.as_ref().clone(), vec![index])),
                }
            }
            (Constraint::In(_) | Constraint::IsIn(..), Some(number)) => {
                self.by_ancestor.entry(number).or_default().push(index);
            }
            (Constraint::Eq(_), Some(number)) => self.by_self.entry(number).or_default().push(index),
            // Every entity of a scope was interned before; a scope without one is looked at for everybody.
            (Constraint::Any | Constraint::In(_) | Constraint::IsIn(..) | Constraint::Eq(_), _) => {
                self.any.push(index);
            }
        }
    }

    /// How many policies admit the action.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Every policy, each once.
    pub(super) fn all(&self) -> Vec<u32> {
        let by_type = self.by_type.iter().map(|(_, list)| list);
        let lists = by_type.chain(self.by_ancestor.values()).chain(self.by_self.values());
        lists.chain(std::iter::once(&self.any)).flatten().copied().collect()
    }

    /// Every policy whose scope can admit this principal, each once.
    pub(super) fn each(&self, principal: &Prepared, mut found: impl FnMut(u32)) {
        let mut all = |list: &Vec<u32>| list.iter().copied().for_each(&mut found);
        all(&self.any);
        for (kind, list) in &self.by_type {
            if kind == principal.kind() {
                all(list);
            }
        }
        if !self.by_ancestor.is_empty() {
            for ancestor in principal.ancestors_and_self() {
                if let Some(list) = self.by_ancestor.get(ancestor) {
                    all(list);
                }
            }
        }
        if let Some(list) = principal.own().and_then(|own| self.by_self.get(&own)) {
            all(list);
        }
    }
}
