//! Proves what policies say, for every request that there can be, and shows one for which they do not.
//!
//! Policies are turned into formulas (`cedar-policy-symcc`), and a solver, cvc5, is asked whether a request exists that
//! breaks what is to be proven. An answer of the solver is a proof; a question that it gives up is a finding.
//!
//! Roles are asked by the roles file alone: what they may do in Cedar files is not part of what one role implies.

mod ask;
mod report;
mod roles;
mod scope;

use std::path::PathBuf;
use std::time::Duration;

use cedar_policy::{ParseErrors, PolicyId, Schema};
use portcullis_core::policy::{Policy, schema};
use portcullis_core::roles::Book;
use smol_str::SmolStr;

pub use report::{Counterexample, Finding, Kind, Report};

use ask::Prover;
use scope::Rule;

/// What is to be proven beyond what always is.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// Pairs of roles: whatever the first may do, the second may do as well.
    pub implied: Vec<(SmolStr, SmolStr)>,
}

/// The solver.
#[derive(Debug, Clone)]
pub struct Solver {
    /// The program: cvc5, or one that reads SMT-LIB as it does.
    pub program: PathBuf,
    /// How long it may think about one question.
    pub limit: Duration,
}

/// Why nothing could be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// There is no such program, or it ends at once.
    #[error("the solver `{program}` cannot be run: {cause}")]
    NoSolver {
        /// What was to be run.
        program: String,
        /// What the system says.
        cause: String,
    },
    /// The solver failed while it was asked.
    #[error("the solver failed: {0}")]
    Solver(String),
    /// Cedar does not take a text that it wrote itself.
    #[error("a policy or the schema cannot be read again: {0}")]
    Text(String),
    /// A claim about a role that there is not.
    #[error("there is no role `{0}` in the roles file")]
    UnknownRole(SmolStr),
}

impl From<ParseErrors> for ProveError {
    fn from(errors: ParseErrors) -> Self {
        Self::Text(errors.to_string())
    }
}

/// Asks the solver everything: whether a policy can err, whether each can apply, which operations are denied to
/// everybody, which policies say what others say already, which roles imply which, and the claims.
///
/// # Errors
/// Where the solver cannot be run or fails, and claims about roles that there are not.
pub async fn prove(
    policy: &Policy,
    book: Option<&Book>,
    claims: &Claims,
    solver: &Solver,
) -> Result<Report, ProveError> {
    let (schema, _) = Schema::from_cedarschema_str(&schema(policy.specs()))
        .map_err(|error| ProveError::Text(error.to_string()))?;
    let rules = policy.written().into_iter().map(|written| {
        let parsed = cedar_policy::Policy::parse(Some(PolicyId::new(&written.id)), &written.text)
            .map_err(ProveError::from)?;
        Ok(Rule::new(written.id, parsed, policy.specs(), &schema))
    });
    let mut rules = rules.collect::<Result<Vec<Rule>, ProveError>>()?;
    let mut prover = Prover::start(&schema, solver).await?;
    for rule in &mut rules {
        prover.can_it_err(rule).await?;
        prover.can_it_apply(rule).await?;
    }
    prover.is_anything_allowed(&rules, policy.specs()).await?;
    prover.is_anything_said_twice(&rules).await?;
    if let Some(book) = book {
        roles::compare(&mut prover, book, policy.specs(), claims).await?;
    } else if let Some((role, _)) = claims.implied.first() {
        return Err(ProveError::UnknownRole(role.clone()));
    }
    Ok(prover.finish(rules.len(), policy.specs().len()).await)
}
