//! The context of a request, with no more in it than the conditions at hand can read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{Expr, ExprKind, Name, PartialValue, Value, Var};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::Plan;
use crate::policy::query::pairs;
use crate::policy::{Call, Facts};

/// Why no context could be built. Refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Incomplete {
    /// The action is not one of this policy's.
    Action,
    /// A path parameter is missing, or the facts are of another kind than the action.
    Facts,
    /// A query parameter that a policy reads occurs twice, or cannot be decoded.
    Query,
    /// Cedar would not take the address.
    Address,
    /// Cedar would not take the entities.
    Entities,
}

/// A set of top-level context attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reads(pub(super) u8);

/// Bit by bit, the attributes of [`Reads`].
const NAMES: [&str; 8] = ["address", "tls", "time", "path", "query", "model", "stream", "tools"];

impl Reads {
    pub(super) const ADDRESS: Self = Self(1);
    const TLS: Self = Self(1 << 1);
    const TIME: Self = Self(1 << 2);
    pub(super) const PATH: Self = Self(1 << 3);
    pub(super) const QUERY: Self = Self(1 << 4);
    const MODEL: Self = Self(1 << 5);
    const STREAM: Self = Self(1 << 6);
    const TOOLS: Self = Self(1 << 7);
    pub(super) const ALL: Self = Self(u8::MAX);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    /// What `condition` can read: everything as soon as it uses `context` as a value of its own.
    pub(super) fn of(condition: &Expr) -> Self {
        let mut found = Self::default();
        let (mut mentions, mut projections) = (0_usize, 0_usize);
        let mut project = |inner: &Expr, attribute: &str| {
            if matches!(inner.expr_kind(), ExprKind::Var(Var::Context)) {
                projections += 1;
                if let Some(bit) = NAMES.iter().position(|name| *name == attribute) {
                    found.0 |= 1 << bit;
                }
            }
        };
        for part in condition.subexpressions() {
            match part.expr_kind() {
                ExprKind::Var(Var::Context) => mentions += 1,
                ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => project(expr, attr),
                ExprKind::ExtHasAttr { expr, attrs } => project(expr, attrs.first()),
                _ => {}
            }
        }
        if mentions > projections { Self::ALL } else { found }
    }
}

/// Builds the attributes in `reads` for one call of `plan`'s action.
pub(super) fn build(
    plan: &Plan,
    call: &Call<'_>,
    reads: Reads,
) -> Result<BTreeMap<SmolStr, Value>, Incomplete> {
    let mut context = BTreeMap::new();
    let mut put = |name: &'static str, value: Value| {
        context.insert(SmolStr::new_static(name), value);
    };
    if reads.has(Reads::ADDRESS) {
        put("address", address(call.address)?);
    }
    if reads.has(Reads::TLS) {
        put("tls", Value::from(call.is_tls));
    }
    if reads.has(Reads::TIME) {
        put("time", Value::from(call.now));
    }
    match call.facts {
        Facts::Rest { path, query } if !plan.is_model => {
            if reads.has(Reads::PATH) {
                put("path", path_record(&plan.path, path)?);
            }
            if reads.has(Reads::QUERY) {
                put("query", query_record(&plan.query, query)?);
            }
        }
        Facts::Model { model, stream, tools } if plan.is_model => {
            if reads.has(Reads::MODEL) {
                put("model", Value::from(model));
            }
            if reads.has(Reads::STREAM) {
                put("stream", Value::from(stream));
            }
            if reads.has(Reads::TOOLS) {
                put("tools", Value::from(tools));
            }
        }
        Facts::Rest { .. } | Facts::Model { .. } => return Err(Incomplete::Facts),
    }
    Ok(context)
}

fn address(address: IpAddr) -> Result<Value, Incomplete> {
    static NAME: LazyLock<Option<Name>> = LazyLock::new(|| Name::parse_unqualified_name("ip").ok());
    let name = NAME.as_ref().ok_or(Incomplete::Address)?;
    let function = Extensions::all_available().func(name).map_err(|_| Incomplete::Address)?;
    // Cedar refuses the dotted spelling of an IPv4 address inside an IPv6 one, and a range of IPv4 addresses
    // must hold for it as well.
    let text = smol_str::format_smolstr!("{}", address.to_canonical());
    match function.call(&[Value::from(text)]) {
        Ok(PartialValue::Value(value)) => Ok(value),
        Ok(PartialValue::Residual(_)) | Err(_) => Err(Incomplete::Address),
    }
}

fn path_record(names: &[SmolStr], path: &[(Box<str>, Box<str>)]) -> Result<Value, Incomplete> {
    let mut record = BTreeMap::new();
    for name in names {
        let (_, value) = path.iter().find(|(known, _)| **known == **name).ok_or(Incomplete::Facts)?;
        record.insert(name.clone(), Value::from(&**value));
    }
    Ok(Value::record_arc(Arc::new(record), None))
}

fn query_record(names: &[SmolStr], query: Option<&str>) -> Result<Value, Incomplete> {
    let mut record = BTreeMap::new();
    for pair in pairs(query.unwrap_or_default()) {
        let (name, value) = pair.ok_or(Incomplete::Query)?;
        let Some(name) = names.iter().find(|known| ***known == *name) else { continue };
        // SMUGGLING: readers disagree on which of two values counts, so neither may be judged.
        if record.insert(name.clone(), Value::from(&*value)).is_some() {
            return Err(Incomplete::Query);
        }
    }
    Ok(Value::record_arc(Arc::new(record), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_what_is_mentioned() {
        let check = |condition: &str, expected: u8| {
            let text = format!("permit(principal, action, resource) when {{ {condition} }};");
            let policy: cedar_policy::Policy = text.parse().unwrap();
            let core: &cedar_policy_core::ast::Policy = policy.as_ref();
            assert_eq!(Reads::of(core.non_scope_constraints().unwrap()).0, expected, "{condition}");
        };
        check("principal.subject == \"x\"", 0);
        check("context.tls && context.time > 5", 0b110);
        check("context.path.id == \"x\" || context has query", 0b1_1000);
        check("context has path.id", 0b1000);
        check("context.address.isInRange(ip(\"10.0.0.0/8\"))", 1);
        check("{ c: context }.c.tls", 0xff);
        check("(if context.stream then context else context).tools", 0xff);
    }
}
