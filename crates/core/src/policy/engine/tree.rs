//! Conditions compiled to a small tree, for the forms that nearly all conditions have.
//!
//! PERF: Cedar's evaluator takes 0.2 µs a condition and needs a context of its own values; the tree reads what the
//! call borrows, in about 20 ns. INVARIANT: a form is only compiled where Cedar's semantics are these few lines: the
//! types of both sides are known at load, an attribute that is missing errs, `&&`, `||` and `if` look at what they
//! must and no more. Any other form, and so the whole condition, is left to Cedar.

use std::borrow::Cow;
use std::net::IpAddr;

use cedar_policy_core::ast::{
    BinaryOp, EntityType, EntityUID, Expr, ExprKind, Literal, Pattern, UnaryOp, Value, Var,
};
use cedar_policy_core::extensions::Extensions;
use ipnet::IpNet;
use smol_str::SmolStr;

use super::Plan;
use super::context::{Incomplete, Reads};
use super::principal::Prepared;
use crate::policy::query::pairs;
use crate::policy::{Call, Facts};

/// Deeper conditions are left to Cedar.
const DEEPEST: usize = 32;

/// A condition.
#[derive(Debug)]
pub(super) enum Tree {
    Is(bool),
    Both(Box<Self>, Box<Self>),
    Either(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Choice(Box<[Self; 3]>),
    Flag(Flag),
    HasText(Text),
    HasVerified,
    /// Whether the context has such an attribute; `false` also where the record is not there that it would be in.
    InContext(Text),
    /// Whether the call is one of a model, or one of an API.
    IsModelCall(bool),
    Same(Text, Text),
    Less(Number, Number),
    LessOrSame(Number, Number),
    SameNumber(Number, Number),
    Like(Text, Pattern),
    Holds(List, Text),
    HoldsAll(List, Vec<SmolStr>),
    HoldsAny(List, Vec<SmolStr>),
    IsEmpty(List),
    InRange(IpNet),
    IsAddress(IpAddr),
    IsIpv4(bool),
    IsA(EntityType),
    IsOneOf(Vec<EntityUID>),
    IsIn(Vec<EntityUID>),
}

/// An attribute that is a truth value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Tls,
    Stream,
    Tools,
    EmailVerified,
}

/// A text that is written, or an attribute that is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Written(SmolStr),
    /// By its index in [`Own::texts`].
    Own(usize),
    Path(SmolStr),
    Query(SmolStr),
    Model,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    Written(i64),
    Time,
    Sum(Box<[Self; 2]>),
    Difference(Box<[Self; 2]>),
}

/// An attribute that is a set of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Scopes,
    Roles,
}

/// The attributes of a principal, besides Cedar's own form of them. All empty for one without credentials.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// By [`TEXTS`].
    pub(super) texts: [Option<Box<str>>; 5],
    pub(super) lists: Option<[Vec<Box<str>>; 2]>,
    pub(super) email_verified: Option<bool>,
}

/// Which attribute is where in [`Own::texts`].
pub(super) const TEXTS: [&str; 5] = ["issuer", "subject", "tenant", "email", "client"];

fn own_text(attribute: &str) -> Option<Text> {
    TEXTS.iter().position(|name| *name == attribute).map(Text::Own)
}

/// What trees read of one call.
#[derive(Debug)]
pub(super) struct Slots<'c> {
    principal: &'c Prepared,
    plan: &'c Plan,
    call: &'c Call<'c>,
    query: Vec<(&'c SmolStr, Cow<'c, str>)>,
}

impl<'c> Slots<'c> {
    /// Checks that the call has all that is in `reads`, which is what all conditions at hand can read.
    pub(super) fn new(
        plan: &'c Plan,
        principal: &'c Prepared,
        call: &'c Call<'c>,
        reads: Reads,
    ) -> Result<Self, Incomplete> {
        let mut slots = Self { principal, plan, call, query: Vec::new() };
        match call.facts {
            Facts::Rest { path, query } if !plan.is_model => {
                let has = |name: &SmolStr| path.iter().any(|(known, _)| **known == **name);
                if reads.has(Reads::PATH) && !plan.path.iter().all(has) {
                    return Err(Incomplete::Facts);
                }
                if reads.has(Reads::QUERY) {
                    slots.read_query(query.unwrap_or_default())?;
                }
            }
            Facts::Model { .. } if plan.is_model => {}
            Facts::Rest { .. } | Facts::Model { .. } => return Err(Incomplete::Facts),
        }
        Ok(slots)
    }

    fn read_query(&mut self, query: &'c str) -> Result<(), Incomplete> {
        for pair in pairs(query) {
            let (name, value) = pair.ok_or(Incomplete::Query)?;
            let Some(name) = self.plan.query.iter().find(|known| ***known == *name) else { continue };
            // SMUGGLING: readers disagree on which of two values counts, so neither may be judged.
            if self.query.iter().any(|(known, _)| *known == name) {
                return Err(Incomplete::Query);
            }
            self.query.push((name, value));
        }
        Ok(())
    }

    /// `None` where the attribute is missing, which is an error.
    fn text<'s>(&'s self, text: &'s Text) -> Option<&'s str> {
        match (text, self.call.facts) {
            (Text::Written(text), _) => Some(text),
            (Text::Own(index), _) => self.principal.own_facts().texts.get(*index)?.as_deref(),
            (Text::Path(name), Facts::Rest { path, .. }) => {
                self.plan.path.iter().find(|known| *known == name)?;
                path.iter().find(|(known, _)| **known == **name).map(|(_, value)| &**value)
            }
            (Text::Query(name), _) => {
                self.query.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
            }
            (Text::Model, Facts::Model { model, .. }) => Some(model),
            (Text::Path(_), Facts::Model { .. }) | (Text::Model, Facts::Rest { .. }) => None,
        }
    }

    /// Whether there is such an attribute; `None` where not even the record is there.
    fn has(&self, text: &Text) -> Option<bool> {
        match text {
            Text::Path(_) | Text::Query(_) if self.plan.is_model => None,
            _ => Some(self.text(text).is_some()),
        }
    }

    fn flag(&self, flag: Flag) -> Option<bool> {
        match (flag, self.call.facts) {
            (Flag::Tls, _) => Some(self.call.is_tls),
            (Flag::EmailVerified, _) => self.principal.own_facts().email_verified,
            (Flag::Stream, Facts::Model { stream, .. }) => Some(stream),
            (Flag::Tools, Facts::Model { tools, .. }) => Some(tools),
            (Flag::Stream | Flag::Tools, Facts::Rest { .. }) => None,
        }
    }

    /// `None` where it overflows, which is an error.
    fn number(&self, number: &Number) -> Option<i64> {
        match number {
            Number::Written(number) => Some(*number),
            Number::Time => Some(self.call.now),
            Number::Sum(parts) => {
                let [left, right] = &**parts;
                self.number(left)?.checked_add(self.number(right)?)
            }
            Number::Difference(parts) => {
                let [left, right] = &**parts;
                self.number(left)?.checked_sub(self.number(right)?)
            }
        }
    }

    fn list(&self, list: List) -> Option<&[Box<str>]> {
        let [scopes, roles] = self.principal.own_facts().lists.as_ref()?;
        Some(match list {
            List::Scopes => scopes,
            List::Roles => roles,
        })
    }
}

impl Tree {
    /// What the condition comes to; `None` when it errs.
    pub(super) fn holds(&self, slots: &Slots<'_>) -> Option<bool> {
        let has = |list: List, wanted: &str| Some(slots.list(list)?.iter().any(|one| **one == *wanted));
        Some(match self {
            Self::Is(value) => *value,
            Self::Both(left, right) => left.holds(slots)? && right.holds(slots)?,
            Self::Either(left, right) => left.holds(slots)? || right.holds(slots)?,
            Self::Not(inner) => !inner.holds(slots)?,
            Self::Choice(parts) => {
                let [test, then, other] = &**parts;
                if test.holds(slots)? { then.holds(slots)? } else { other.holds(slots)? }
            }
            Self::Flag(flag) => slots.flag(*flag)?,
            Self::HasText(text) => slots.has(text)?,
            Self::HasVerified => slots.principal.own_facts().email_verified.is_some(),
            Self::Same(left, right) => slots.text(left)? == slots.text(right)?,
            Self::InContext(text) => slots.has(text).unwrap_or(false),
            Self::IsModelCall(wanted) => slots.plan.is_model == *wanted,
            Self::Less(left, right) => slots.number(left)? < slots.number(right)?,
            Self::LessOrSame(left, right) => slots.number(left)? <= slots.number(right)?,
            Self::SameNumber(left, right) => slots.number(left)? == slots.number(right)?,
            Self::Like(text, pattern) => pattern.wildcard_match(slots.text(text)?),
            Self::Holds(list, text) => {
                let all = slots.list(*list)?;
                let wanted = slots.text(text)?;
                all.iter().any(|one| **one == *wanted)
            }
            Self::HoldsAll(list, wanted) => {
                slots.list(*list)?;
                wanted.iter().all(|one| has(*list, one) == Some(true))
            }
            Self::HoldsAny(list, wanted) => {
                slots.list(*list)?;
                wanted.iter().any(|one| has(*list, one) == Some(true))
            }
            Self::IsEmpty(list) => slots.list(*list)?.is_empty(),
            Self::InRange(network) => network.contains(&slots.call.address.to_canonical()),
            Self::IsAddress(address) => slots.call.address.to_canonical() == *address,
            Self::IsIpv4(wanted) => slots.call.address.to_canonical().is_ipv4() == *wanted,
            Self::IsA(kind) => slots.principal.kind() == kind,
            Self::IsOneOf(uids) => uids.iter().any(|uid| slots.principal.is(uid)),
            Self::IsIn(uids) => uids.iter().any(|uid| slots.principal.is_in(uid)),
        })
    }

    /// The tree of a condition; `None` where any part of it has a form that is left to Cedar.
    pub(super) fn of(condition: &Expr) -> Option<Self> {
        Self::at(condition, DEEPEST)
    }

    fn at(expr: &Expr, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let sub = |expr: &Expr| Self::at(expr, depth);
        let boxed = |expr: &Expr| sub(expr).map(Box::new);
        Some(match expr.expr_kind() {
            ExprKind::Lit(Literal::Bool(value)) => Self::Is(*value),
            ExprKind::And { left, right } => Self::Both(boxed(left)?, boxed(right)?),
            ExprKind::Or { left, right } => Self::Either(boxed(left)?, boxed(right)?),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                Self::Choice(Box::new([sub(test_expr)?, sub(then_expr)?, sub(else_expr)?]))
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => Self::Not(boxed(arg)?),
            ExprKind::UnaryApp { op: UnaryOp::IsEmpty, arg } => Self::IsEmpty(list(arg)?),
            ExprKind::BinaryApp { op, arg1, arg2 } => Self::compared(*op, arg1, arg2)?,
            ExprKind::GetAttr { .. } => Self::Flag(flag(expr)?),
            ExprKind::HasAttr { expr, attr } => match (expr.expr_kind(), of_context(expr)) {
                (ExprKind::Var(Var::Principal), _) if attr == "email_verified" => Self::HasVerified,
                (ExprKind::Var(Var::Principal), _) => Self::HasText(own_text(attr)?),
                (_, Some("path")) => Self::HasText(Text::Path(attr.clone())),
                (_, Some("query")) => Self::HasText(Text::Query(attr.clone())),
                (ExprKind::Var(Var::Context), _) => match attr.as_str() {
                    "address" | "tls" | "time" => Self::Is(true),
                    "path" | "query" => Self::IsModelCall(false),
                    "model" | "stream" | "tools" => Self::IsModelCall(true),
                    _ => Self::Is(false),
                },
                _ => return None,
            },
            ExprKind::ExtHasAttr { expr, attrs }
                if matches!(expr.expr_kind(), ExprKind::Var(Var::Context)) =>
            {
                match (attrs.first().as_str(), attrs.get(1), attrs.len()) {
                    ("path", Some(name), 2) => Self::InContext(Text::Path(name.clone())),
                    ("query", Some(name), 2) => Self::InContext(Text::Query(name.clone())),
                    _ => return None,
                }
            }
            ExprKind::Like { expr, pattern } => Self::Like(text(expr)?, pattern.clone()),
            ExprKind::Is { expr, entity_type } => {
                matches!(expr.expr_kind(), ExprKind::Var(Var::Principal)).then_some(())?;
                Self::IsA(entity_type.clone())
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                let (subject, rest) = args.split_first()?;
                (of_context(subject) == Some("address")).then_some(())?;
                match (fn_name.to_string().as_str(), rest) {
                    ("isInRange", [network]) => Self::InRange(range(network)?),
                    ("isIpv4", []) => Self::IsIpv4(true),
                    ("isIpv6", []) => Self::IsIpv4(false),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn compared(op: BinaryOp, left: &Expr, right: &Expr) -> Option<Self> {
        let numbers = || Some((number(left, DEEPEST)?, number(right, DEEPEST)?));
        Some(match op {
            BinaryOp::Eq => match (text(left), text(right), numbers()) {
                (Some(left), Some(right), _) => Self::Same(left, right),
                (_, _, Some((left, right))) => Self::SameNumber(left, right),
                _ if is_principal(left) => Self::IsOneOf(vec![entity(right)?]),
                _ if of_context(left) == Some("address") => {
                    let network = range(right)?;
                    (network.prefix_len() == network.max_prefix_len()).then_some(())?;
                    Self::IsAddress(network.addr())
                }
                _ => return None,
            },
            BinaryOp::Less => numbers().map(|(left, right)| Self::Less(left, right))?,
            BinaryOp::LessEq => numbers().map(|(left, right)| Self::LessOrSame(left, right))?,
            BinaryOp::Contains => Self::Holds(list(left)?, text(right)?),
            BinaryOp::ContainsAll => Self::HoldsAll(list(left)?, written(right)?),
            BinaryOp::ContainsAny => Self::HoldsAny(list(left)?, written(right)?),
            BinaryOp::In if is_principal(left) => match right.expr_kind() {
                ExprKind::Set(items) => Self::IsIn(items.iter().map(entity).collect::<Option<_>>()?),
                _ => Self::IsIn(vec![entity(right)?]),
            },
            _ => return None,
        })
    }
}

fn is_principal(expr: &Expr) -> bool {
    matches!(expr.expr_kind(), ExprKind::Var(Var::Principal))
}

/// The attribute of `context` that this is.
fn of_context(expr: &Expr) -> Option<&str> {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr, attr } if matches!(expr.expr_kind(), ExprKind::Var(Var::Context)) => {
            Some(attr)
        }
        _ => None,
    }
}

fn of_principal(expr: &Expr) -> Option<&str> {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr, attr } if is_principal(expr) => Some(attr),
        _ => None,
    }
}

fn flag(expr: &Expr) -> Option<Flag> {
    match (of_context(expr), of_principal(expr)) {
        (Some("tls"), _) => Some(Flag::Tls),
        (Some("stream"), _) => Some(Flag::Stream),
        (Some("tools"), _) => Some(Flag::Tools),
        (_, Some("email_verified")) => Some(Flag::EmailVerified),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<Text> {
    match expr.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => return Some(Text::Written(text.clone())),
        ExprKind::GetAttr { expr, attr } => match of_context(expr) {
            Some("path") => return Some(Text::Path(attr.clone())),
            Some("query") => return Some(Text::Query(attr.clone())),
            _ => {}
        },
        _ => {}
    }
    match (of_context(expr), of_principal(expr)) {
        (Some("model"), _) => Some(Text::Model),
        (_, Some(attribute)) => own_text(attribute),
        _ => None,
    }
}

fn number(expr: &Expr, depth: usize) -> Option<Number> {
    let depth = depth.checked_sub(1)?;
    match expr.expr_kind() {
        ExprKind::Lit(Literal::Long(number)) => Some(Number::Written(*number)),
        ExprKind::BinaryApp { op: op @ (BinaryOp::Add | BinaryOp::Sub), arg1, arg2 } => {
            let parts = Box::new([number(arg1, depth)?, number(arg2, depth)?]);
            Some(if *op == BinaryOp::Add { Number::Sum(parts) } else { Number::Difference(parts) })
        }
        _ => (of_context(expr)? == "time").then_some(Number::Time),
    }
}

fn list(expr: &Expr) -> Option<List> {
    match of_principal(expr)? {
        "scopes" => Some(List::Scopes),
        "roles" => Some(List::Roles),
        _ => None,
    }
}

fn written(expr: &Expr) -> Option<Vec<SmolStr>> {
    let ExprKind::Set(items) = expr.expr_kind() else { return None };
    let texts = items.iter().map(|item| match item.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

fn entity(expr: &Expr) -> Option<EntityUID> {
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(uid.as_ref().clone()),
        _ => None,
    }
}

/// A network that is written, when Cedar takes it as well.
fn range(expr: &Expr) -> Option<IpNet> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expr.expr_kind() else { return None };
    let [only] = args.as_slice() else { return None };
    let ExprKind::Lit(Literal::String(text)) = only.expr_kind() else { return None };
    (fn_name.to_string() == "ip").then_some(())?;
    let function = Extensions::all_available().func(fn_name).ok()?;
    function.call(&[Value::from(text.clone())]).ok()?;
    let address = text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or(address).ok()
}
