//! Which role may do all that another one may, by the roles file alone.

use cedar_policy::{PolicyId, RequestEnv};
use portcullis_core::policy::ActionSpec;
use portcullis_core::roles::{Book, Role, RolePolicy, compile};
use smol_str::SmolStr;

use crate::ask::{Answer, Prover};
use crate::report::Kind;
use crate::scope::{Rule, is_of};
use crate::{Claims, ProveError};

/// A role with what it may do, as if everybody had it: so one role can be held against another.
struct Held<'b> {
    role: &'b Role,
    /// With those of the roles that it includes.
    rules: Vec<Rule>,
}

/// Compares every role with every other, and asks the claims.
pub(crate) async fn compare(
    prover: &mut Prover<'_>,
    book: &Book,
    actions: &[ActionSpec],
    claims: &Claims,
) -> Result<(), ProveError> {
    let compiled = compile(book, actions);
    let held = book.roles.iter().map(|role| held(prover, book, role, actions, &compiled.policies));
    let held = held.collect::<Result<Vec<Held<'_>>, ProveError>>()?;
    for one in &held {
        for other in held.iter().filter(|other| other.role.name != one.role.name) {
            // An inclusion says so already.
            if book.closure(other.role).iter().any(|included| included.name == one.role.name) {
                continue;
            }
            if matches!(implied(prover, one, other).await?, Answer::Proven) {
                prover.report.implied.push((one.role.name.clone(), other.role.name.clone()));
            }
        }
    }
    let find = |name: &SmolStr| {
        let found = held.iter().find(|one| one.role.name == *name);
        found.ok_or_else(|| ProveError::UnknownRole(name.clone()))
    };
    for (first, second) in &claims.implied {
        match implied(prover, find(first)?, find(second)?).await? {
            Answer::Proven => prover.report.held.push((first.clone(), second.clone())),
            Answer::Refuted(shown) => {
                let message = format!("the role `{first}` may do what `{second}` may not");
                prover.find(Kind::NotImplied, first, message, Some(&shown));
            }
            Answer::GaveUp(why) => {
                let message = format!("whether `{first}` may do what `{second}` may not is not known: {why}");
                prover.find(Kind::Undecided, first, message, None);
            }
        }
    }
    Ok(())
}

fn held<'b>(
    prover: &Prover<'_>,
    book: &'b Book,
    role: &'b Role,
    actions: &[ActionSpec],
    policies: &[RolePolicy],
) -> Result<Held<'b>, ProveError> {
    let closure = book.closure(role);
    let is_own = |policy: &&RolePolicy| {
        !policy.id.ends_with("@anonymous") && closure.iter().any(|one| one.name == policy.role)
    };
    let rules = policies.iter().filter(is_own).map(|one| {
        let whom = format!("principal in Role::\"{}\"", one.role);
        if !one.text.contains(&whom) {
            return Err(ProveError::Text(format!("`{}` is about somebody else", one.id)));
        }
        let text = one.text.replacen(&whom, "principal is User", 1);
        let policy = cedar_policy::Policy::parse(Some(PolicyId::new(&one.id)), text)?;
        Ok(Rule::new(one.id.clone(), policy, actions, prover.schema()))
    });
    Ok(Held { role, rules: rules.collect::<Result<_, _>>()? })
}

/// Whether `other` may do all that `one` may.
async fn implied(prover: &mut Prover<'_>, one: &Held<'_>, other: &Held<'_>) -> Result<Answer, ProveError> {
    let kinds: Vec<RequestEnv> = prover.schema().request_envs().collect();
    for kind in kinds.iter().filter(|kind| is_of(kind.principal(), "User")) {
        if !one.rules.iter().any(|rule| rule.covers(kind)) {
            continue;
        }
        let (first, second) =
            (prover.compile_set(one.rules.iter(), kind)?, prover.compile_set(other.rules.iter(), kind)?);
        let answer = prover.implies(&first, &second).await?;
        if !matches!(answer, Answer::Proven) {
            return Ok(answer);
        }
    }
    Ok(Answer::Proven)
}
