//! What each policy says of a call, one by one: slow, whole, and for people.

use std::sync::Arc;

use cedar_policy_core::ast::{
    Context, Entity, EntityType, EntityUID, Expr, ExprKind, Request, SlotEnv, Value, ValueKind, Var,
};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use rustc_hash::FxHashSet;
use smol_str::SmolStr;

use super::context::{self, Incomplete, Reads};
use super::principal::Prepared;
use super::{Conditional, Engine, Plan, enlarge, needed, uid};
use crate::policy::Call;
use crate::policy::explain::{Considered, Part, Said, Unknowns};
use crate::policy::matrix::Touching;

impl Engine {
    /// The roles that policies speak of, and those of the book.
    pub(in crate::policy) fn role_names(&self) -> Vec<SmolStr> {
        let mut names: Vec<SmolStr> = match self.roles.book() {
            Some(book) => book.roles.iter().map(|role| role.name.clone()).collect(),
            None => self.roles.names().cloned().collect(),
        };
        let is_role = |uid: &&EntityUID| *uid.entity_type() == self.types.role;
        let mut spoken: Vec<SmolStr> = self
            .names
            .numbers
            .keys()
            .filter(is_role)
            .map(|uid| AsRef::<str>::as_ref(uid.eid()).into())
            .collect();
        spoken.sort_unstable();
        spoken.retain(|name| !names.contains(name));
        names.extend(spoken);
        names
    }

    pub(in crate::policy) fn touching_anonymous(&self, action: usize) -> Vec<Touching> {
        self.touching(action, &self.anonymous)
    }

    /// For a caller with a token who has this role, or none, and of whom nothing else is known.
    pub(in crate::policy) fn touching_role(&self, action: usize, role: Option<&str>) -> Vec<Touching> {
        let parents = role.map(|role| self.closed(&[SmolStr::new(role)])).unwrap_or_default();
        // No token has an empty issuer, so no policy means this one.
        let own = uid(&self.types.user, "/");
        let entity =
            Entity::new_with_attr_partial_value(own, [], std::collections::HashSet::new(), parents, []);
        self.touching(action, &Prepared::new(entity, &self.names))
    }

    fn touching(&self, action: usize, principal: &Prepared) -> Vec<Touching> {
        let mut found = Vec::new();
        let Some(plan) = self.plans.get(action) else { return found };
        plan.buckets.each(principal, |index| {
            let Some(rule) = self.rule(index) else { return };
            if rule.admits(principal.kind()) {
                found.push(Touching { index, forbids: rule.forbids, is_narrowed: rule.condition.is_some() });
            }
        });
        found
    }

    /// What each policy about the action says of the call.
    pub(in crate::policy) fn consider(
        &self,
        action: usize,
        principal: &Prepared,
        call: &Call<'_>,
        unknowns: Unknowns,
    ) -> Result<Vec<Considered>, Incomplete> {
        let plan = self.plans.get(action).ok_or(Incomplete::Action)?;
        let touching: FxHashSet<u32> =
            self.touching(action, principal).iter().map(|touching| touching.index).collect();
        let mut all = plan.buckets.all();
        all.sort_unstable();
        let conditional = all.iter().filter_map(|index| {
            let rule = self.rule(*index)?;
            let condition = rule.condition.as_ref()?;
            Some(Conditional { index: *index, forbids: rule.forbids, condition })
        });
        let conditional: Vec<Conditional<'_>> = conditional.collect();
        let store = enlarge(principal.store(), needed(plan, &conditional))?;
        let evaluator = Evaluator::new(request(plan, principal, call)?, &store, Extensions::all_available());
        let considered = all.iter().filter_map(|index| {
            let rule = self.rule(*index)?;
            let parts = rule.condition.as_ref().map(|one| parts(&evaluator, &one.expression, unknowns));
            Some(Considered {
                policy: rule.id.clone(),
                forbids: rule.forbids,
                whom: rule.whom.clone(),
                role: rule.role.clone(),
                is_for_caller: touching.contains(index),
                parts: parts.unwrap_or_default(),
            })
        });
        Ok(considered.collect())
    }

    /// Prepares a principal of whom it is already known which roles it has.
    pub(in crate::policy) fn prepare_with(
        &self,
        identity: &crate::identify::Identity,
        held: Vec<SmolStr>,
    ) -> Arc<Prepared> {
        Arc::new(self.prepared_as(identity, held))
    }
}

fn request(plan: &Plan, principal: &Prepared, call: &Call<'_>) -> Result<Request, Incomplete> {
    let context = context::build(plan, call, Reads::ALL)?;
    Ok(Request::new_unchecked(
        principal.entry().clone(),
        plan.action.clone(),
        plan.resource.clone(),
        Some(Context::Value(Arc::new(context))),
    ))
}

/// The parts of a condition that must all hold, each with what it comes to.
fn parts(evaluator: &Evaluator<'_>, condition: &Expr, unknowns: Unknowns) -> Vec<Part> {
    let mut open = vec![condition];
    let mut parts = Vec::new();
    while let Some(next) = open.pop() {
        if let ExprKind::And { left, right } = next.expr_kind() {
            open.push(right);
            open.push(left);
            continue;
        }
        let values = values(evaluator, next, unknowns);
        let is_unknown = values.iter().any(|(_, value)| value.is_none());
        let said = match evaluator.interpret(next, &SlotEnv::new()).map(|value| value.value_kind().clone()) {
            _ if is_unknown => Said::Unknown,
            Ok(ValueKind::Lit(cedar_policy_core::ast::Literal::Bool(true))) => Said::Holds,
            Ok(ValueKind::Lit(cedar_policy_core::ast::Literal::Bool(false))) => Said::Fails,
            Ok(_) | Err(_) => Said::Errs,
        };
        let known = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        parts.push(Part { text: next.to_string(), said, values: known });
        // What comes after a part that fails is not looked at; for people it is shown all the same.
    }
    parts
}

/// The attributes that an expression reads, with their values; `None` for what is not known.
fn values(evaluator: &Evaluator<'_>, expr: &Expr, unknowns: Unknowns) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for part in expr.subexpressions() {
        let Some(name) = path(part) else { continue };
        if found.iter().any(|(known, _)| *known == name) {
            continue;
        }
        if unknowns.has(&name) {
            found.push((name, None));
            continue;
        }
        if let ExprKind::HasAttr { .. } = part.expr_kind() {
            continue;
        }
        let shown = match evaluator.interpret(part, &SlotEnv::new()) {
            Ok(value) if matches!(value.value_kind(), ValueKind::Record(_)) => continue,
            Ok(value) => shown(&value),
            Err(_) => "missing".to_owned(),
        };
        found.push((name, Some(shown)));
    }
    found
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 200 {
        format!("{}…", text.chars().take(200).collect::<String>())
    } else {
        text
    }
}

/// `context.path.id` for an expression that reads it, or asks whether it is there.
fn path(expr: &Expr) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
            let of = match expr.expr_kind() {
                ExprKind::Var(Var::Principal) => "principal".to_owned(),
                ExprKind::Var(Var::Context) => "context".to_owned(),
                _ => path(expr)?,
            };
            Some(format!("{of}.{attr}"))
        }
        _ => None,
    }
}

impl super::Rule {
    /// Whether a scope that names a type means principals of this one.
    pub(super) fn admits(&self, kind: &EntityType) -> bool {
        self.principal_type.as_ref().is_none_or(|wanted| wanted == kind)
    }
}
