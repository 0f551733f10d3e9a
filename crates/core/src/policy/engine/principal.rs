//! What is prepared once per principal.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityType, EntityUID, EntityUIDEntry, PartialValue, Value};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::index::Names;
use super::tree::{Own, TEXTS};
use super::{Engine, Types, known, uid};
use crate::identify::Identity;
use crate::policy::facts::{ANONYMOUS, optional_facts, user_id};

/// A principal in Cedar's terms and in those of one engine's index. Never leaves the policy that made it.
#[derive(Debug)]
pub(in crate::policy) struct Prepared {
    entry: EntityUIDEntry,
    kind: EntityType,
    pub(super) own: Option<u32>,
    /// INVARIANT: closed under inheritance, and with the principal itself, for `in` is reflexive.
    pub(super) ancestors_and_self: Vec<u32>,
    store: Entities,
    held: Arc<[SmolStr]>,
    entity: Arc<Entity>,
    facts: Own,
}

impl Prepared {
    pub(super) fn anonymous(types: &Types, names: &Names) -> Self {
        Self::new(Entity::with_uid(uid(&types.anonymous, ANONYMOUS)), names)
    }

    pub(super) fn new(entity: Entity, names: &Names) -> Self {
        let own = names.number(entity.uid());
        let mut ancestors_and_self: Vec<u32> =
            entity.ancestors().filter_map(|ancestor| names.number(ancestor)).chain(own).collect();
        ancestors_and_self.sort_unstable();
        ancestors_and_self.dedup();
        let entry = known(entity.uid().clone());
        let kind = entity.uid().entity_type().clone();
        let entity = Arc::new(entity);
        // One entity cannot be a duplicate of another, so the store always takes it; were it left out, every
        // condition that looks at the principal would error, which refuses.
        let store = Entities::new()
            .add_entities(
                [Arc::clone(&entity)],
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .unwrap_or_default();
        Self {
            entry,
            kind,
            own,
            ancestors_and_self,
            store,
            held: Arc::default(),
            entity,
            facts: Own::default(),
        }
    }

    pub(super) fn entry(&self) -> &EntityUIDEntry {
        &self.entry
    }

    pub(super) fn kind(&self) -> &EntityType {
        &self.kind
    }

    /// The roles that it has directly.
    pub(in crate::policy) fn held(&self) -> &Arc<[SmolStr]> {
        &self.held
    }

    /// What compiled conditions read.
    pub(super) fn own_facts(&self) -> &Own {
        &self.facts
    }

    pub(super) fn is(&self, uid: &EntityUID) -> bool {
        self.entity.uid() == uid
    }

    /// `in` is reflexive.
    pub(super) fn is_in(&self, uid: &EntityUID) -> bool {
        super::is_in(&self.entity, uid)
    }

    pub(super) fn own(&self) -> Option<u32> {
        self.own
    }

    pub(super) fn ancestors_and_self(&self) -> &[u32] {
        &self.ancestors_and_self
    }

    pub(super) fn store(&self) -> &Entities {
        &self.store
    }
}

impl Engine {
    /// The principal of a request without credentials.
    pub(in crate::policy) fn anonymous(&self) -> &Arc<Prepared> {
        &self.anonymous
    }

    /// Prepares the principal of a verified token: costs microseconds, so it is kept with the token.
    pub(in crate::policy) fn prepare(&self, identity: &Identity) -> Prepared {
        self.prepared_as(identity, self.roles.held(identity))
    }

    /// As [`prepare`](Self::prepare), with roles that are known otherwise.
    pub(super) fn prepared_as(&self, identity: &Identity, held: Vec<SmolStr>) -> Prepared {
        let strings = |list: &[Box<str>]| Value::set(list.iter().map(|one| Value::from(&**one)), None);
        let mut attributes: Vec<(SmolStr, PartialValue)> = vec![
            (SmolStr::new_static("issuer"), Value::from(&*identity.issuer).into()),
            (SmolStr::new_static("subject"), Value::from(&*identity.subject).into()),
            (SmolStr::new_static("scopes"), strings(&identity.scopes).into()),
            (SmolStr::new_static("roles"), strings(&identity.roles).into()),
        ];
        let facts = optional_facts(identity);
        attributes.extend(facts.texts.iter().filter_map(|(name, value)| {
            let value = (*value)?;
            Some((SmolStr::new_static(name), Value::from(value).into()))
        }));
        if let Some(verified) = facts.email_verified {
            attributes.push((SmolStr::new_static("email_verified"), Value::from(verified).into()));
        }
        let own = uid(&self.types.user, &user_id(identity));
        let entity =
            Entity::new_with_attr_partial_value(own, attributes, HashSet::new(), self.closed(&held), []);
        let prepared =
            Prepared { held: held.into(), facts: own_facts(identity), ..Prepared::new(entity, &self.names) };
        #[cfg(test)]
        let prepared = self.planted(prepared);
        prepared
    }

    /// Roles with all that they include, as entities.
    pub(super) fn closed(&self, held: &[SmolStr]) -> HashSet<EntityUID> {
        let mut parents = HashSet::new();
        for role in held {
            parents.insert(uid(&self.types.role, role));
            let inherited = self.roles.inherited(role).iter();
            parents.extend(inherited.map(|role| uid(&self.types.role, role)));
        }
        parents
    }
}

fn own_facts(identity: &Identity) -> Own {
    let facts = optional_facts(identity);
    let text = |name: &&str| -> Option<Box<str>> {
        match *name {
            "issuer" => Some(identity.issuer.clone()),
            "subject" => Some(identity.subject.clone()),
            other => {
                let (_, value) = facts.texts.iter().find(|(known, _)| *known == other)?;
                value.map(Box::from)
            }
        }
    };
    Own {
        texts: TEXTS.each_ref().map(text),
        lists: Some([identity.scopes.clone(), identity.roles.clone()]),
        email_verified: facts.email_verified,
    }
}
