//! Plain Cedar by its public interface: the slow reference that the indexed engine must agree with.
//!
//! It shares no code with the engine but the names of claims. Roles come with their direct parents only, so that
//! Cedar computes the closure itself, and the context is always whole.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request, RestrictedExpression as Value,
};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::facts::{ANONYMOUS, optional_facts, user_id};
use super::query::pairs;
use super::roles::Roles;
use super::schema::{ActionKind, ActionSpec};
use super::{Call, Facts, Response};
use crate::identify::{Identity, Principal};

/// Why plain Cedar could not be made ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlainError {
    #[error("a name of the schema is not a cedar name")]
    Name,
    #[error("cedar does not take the schema's entities: {0}")]
    Entities(Box<cedar_policy::entities_errors::EntitiesError>),
}

/// Policies and the entities that never change.
#[derive(Debug)]
pub(super) struct Plain {
    policies: PolicySet,
    indexes: FxHashMap<SmolStr, u32>,
    entities: Entities,
    actions: Vec<Known>,
    types: Types,
    roles: Roles,
}

#[derive(Debug)]
struct Types {
    user: EntityTypeName,
    anonymous: EntityTypeName,
    role: EntityTypeName,
    action: EntityTypeName,
    api: EntityTypeName,
    model: EntityTypeName,
}

#[derive(Debug)]
struct Known {
    action: EntityUid,
    resource: EntityUid,
    kind: ActionKind,
}

/// A policy as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub id: SmolStr,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// Its text.
    pub text: String,
    /// Its annotation `@reason`.
    pub reason: Option<String>,
    /// Its annotation `@by`: who answers for it.
    pub by: Option<String>,
}

impl Plain {
    /// Every policy, by its id.
    pub(super) fn written(&self) -> Vec<Written> {
        let said = |policy: &cedar_policy::Policy, key: &str| {
            policy.annotation(key).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let mut all: Vec<Written> = self
            .policies
            .policies()
            .map(|policy| Written {
                id: SmolStr::new(AsRef::<str>::as_ref(policy.id())),
                forbids: policy.effect() == Effect::Forbid,
                text: policy.to_string(),
                reason: said(policy, "reason"),
                by: said(policy, "by"),
            })
            .collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// `ids` are the policies' ids by index.
    pub(super) fn new<'i>(
        policies: PolicySet,
        actions: &[ActionSpec],
        roles: &Roles,
        ids: impl Iterator<Item = &'i SmolStr>,
    ) -> Result<Self, PlainError> {
        let name = |name: &str| name.parse::<EntityTypeName>().map_err(|_| PlainError::Name);
        let types = Types {
            user: name("User")?,
            anonymous: name("Anonymous")?,
            role: name("Role")?,
            action: name("Action")?,
            api: name("Api")?,
            model: name("Model")?,
        };
        let mut entities: HashMap<EntityUid, Entity> = HashMap::new();
        let mut add = |own: EntityUid, parents: HashSet<EntityUid>| {
            entities.insert(own.clone(), Entity::new_no_attrs(own, parents));
        };
        for spec in actions {
            let [api, group] = [&spec.api, &spec.group()].map(|id| uid(&types.action, id));
            add(uid(&types.action, &spec.name()), HashSet::from([group.clone(), api.clone()]));
            add(group, HashSet::from([api.clone()]));
            add(api, HashSet::new());
        }
        for (role, parents) in roles.direct() {
            add(uid(&types.role, role), parents.iter().map(|parent| uid(&types.role, parent)).collect());
        }
        let entities = Entities::from_entities(entities.into_values(), None)
            .map_err(|error| PlainError::Entities(Box::new(error)))?;
        let actions = actions.iter().map(|spec| known(spec, &types)).collect();
        let indexes = ids.cloned().zip(0..).collect();
        Ok(Self { policies, indexes, entities, actions, types, roles: roles.clone() })
    }

    /// Decides; `None` when Cedar does not take the call's facts.
    pub(super) fn respond(&self, action: usize, call: &Call<'_>) -> Option<Response> {
        let known = self.actions.get(action)?;
        let principal = self.principal(call.principal)?;
        let own = principal.uid();
        let resource = Entity::new_no_attrs(known.resource.clone(), HashSet::new());
        let entities = self.entities.clone().add_entities([principal, resource], None).ok()?;
        let context = Context::from_pairs(context(&known.kind, call)?).ok()?;
        let request = Request::new(own, known.action.clone(), known.resource.clone(), context, None).ok()?;
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let index = |id: &cedar_policy::PolicyId| {
            let id: &str = id.as_ref();
            self.indexes.get(id).copied()
        };
        let reasons: Option<Vec<u32>> = response.diagnostics().reason().map(index).collect();
        let errors: Option<Vec<u32>> = response
            .diagnostics()
            .errors()
            .map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| index(error.policy_id()))
            .collect();
        Some(Response::new(response.decision() == Decision::Allow, reasons?, errors?))
    }

    fn principal(&self, principal: &Principal) -> Option<Entity> {
        match principal {
            Principal::Anonymous => {
                Some(Entity::new_no_attrs(uid(&self.types.anonymous, ANONYMOUS), HashSet::new()))
            }
            Principal::Identity(identity) => {
                let held = self.roles.held(identity);
                let parents = held.iter().map(|role| uid(&self.types.role, role)).collect();
                Entity::new(uid(&self.types.user, &user_id(identity)), attributes(identity), parents).ok()
            }
        }
    }
}

fn known(spec: &ActionSpec, types: &Types) -> Known {
    let resource = match spec.kind {
        ActionKind::Rest { .. } => &types.api,
        ActionKind::Model => &types.model,
    };
    Known {
        action: uid(&types.action, &spec.name()),
        resource: uid(resource, &spec.api),
        kind: spec.kind.clone(),
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn attributes(identity: &Identity) -> HashMap<String, Value> {
    let set = |list: &[Box<str>]| Value::new_set(list.iter().map(|one| text(one)));
    let mut attributes = HashMap::from([
        ("issuer".to_owned(), text(&identity.issuer)),
        ("subject".to_owned(), text(&identity.subject)),
        ("scopes".to_owned(), set(&identity.scopes)),
        ("roles".to_owned(), set(&identity.roles)),
    ]);
    let facts = optional_facts(identity);
    for (name, value) in facts.texts {
        attributes.extend(value.map(|value| (name.to_owned(), text(value))));
    }
    attributes.extend(facts.email_verified.map(|it| ("email_verified".to_owned(), Value::new_bool(it))));
    attributes
}

fn context(kind: &ActionKind, call: &Call<'_>) -> Option<Vec<(String, Value)>> {
    let mut context = vec![
        ("address".to_owned(), Value::new_ip(call.address.to_canonical().to_string())),
        ("tls".to_owned(), Value::new_bool(call.is_tls)),
        ("time".to_owned(), Value::new_long(call.now)),
    ];
    match (kind, call.facts) {
        (ActionKind::Rest { path: names, query: declared }, Facts::Rest { path, query }) => {
            let path = path.iter().filter(|(name, _)| names.iter().any(|known| **known == **name));
            let path = path.map(|(name, value)| (name.to_string(), text(value)));
            context.push(("path".to_owned(), Value::new_record(path).ok()?));
            let mut fields: HashMap<String, Value> = HashMap::new();
            for (name, value) in pairs(query.unwrap_or_default()).flatten() {
                if declared.iter().any(|known| **known == *name) {
                    fields.entry(name.into_owned()).or_insert_with(|| text(&value));
                }
            }
            context.push(("query".to_owned(), Value::new_record(fields).ok()?));
        }
        (ActionKind::Model, Facts::Model { model, stream, tools }) => context.extend([
            ("model".to_owned(), text(model)),
            ("stream".to_owned(), Value::new_bool(stream)),
            ("tools".to_owned(), Value::new_bool(tools)),
        ]),
        (ActionKind::Rest { .. }, Facts::Model { .. }) | (ActionKind::Model, Facts::Rest { .. }) => {
            return None;
        }
    }
    Some(context)
}
