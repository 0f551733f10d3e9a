//! The questions that are asked of the solver.

use cedar_policy::{PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use portcullis_core::policy::ActionSpec;
use smol_str::SmolStr;
use tokio::process::Command;

use crate::report::{Counterexample, Finding, Kind, Report};
use crate::scope::{Rule, name};
use crate::{ProveError, Solver};

/// The solver, and what it said so far.
pub(crate) struct Prover<'s> {
    schema: &'s Schema,
    solver: CedarSymCompiler<LocalSolver>,
    pub(crate) report: Report,
}

/// What a question came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// There is no counterexample.
    Proven,
    /// There is one.
    Refuted(Box<Env>),
    /// The solver gave up, and why.
    GaveUp(String),
}

impl<'s> Prover<'s> {
    pub(crate) async fn start(schema: &'s Schema, solver: &Solver) -> Result<Self, ProveError> {
        let no_solver =
            |cause: String| ProveError::NoSolver { program: solver.program.display().to_string(), cause };
        let limit = format!("--tlimit-per={}", solver.limit.as_millis());
        let mut command = Command::new(&solver.program);
        command.args(["--lang", "smt", &limit]).kill_on_drop(true);
        let process = LocalSolver::from_command(&mut command).map_err(|error| no_solver(cause(&error)))?;
        let compiler = CedarSymCompiler::new(process).map_err(|error| no_solver(cause(&error)))?;
        let mut prover = Self { schema, solver: compiler, report: Report::default() };
        prover.greet().await.map_err(no_solver)?;
        Ok(prover)
    }

    /// Asks something whose answer is known: a program that is no solver must not be taken for one.
    async fn greet(&mut self) -> Result<(), String> {
        use cedar_policy_symcc::SmtLibScript;
        use cedar_policy_symcc::solver::{Decision, Solver as _};
        for (formula, expected) in [("true", Decision::Sat), ("false", Decision::Unsat)] {
            let process = self.solver.solver_mut();
            let asked = async {
                let script = process.smtlib_input();
                script.reset().await?;
                script.set_logic("ALL").await?;
                script.assert(formula).await
            };
            asked.await.map_err(|error: std::io::Error| error.to_string())?;
            let said = process.check_sat().await.map_err(|error| cause(&error))?;
            if said != expected {
                return Err(format!("it says {said:?} of `{formula}`"));
            }
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self, policies: usize, operations: usize) -> Report {
        // It is killed when it is dropped as well; waiting here leaves no process behind.
        let _ = self.solver.solver_mut().clean_up().await;
        Report { policies, operations, ..self.report }
    }

    /// Turns what the solver library says into an answer; what is neither ends everything.
    fn answer(&mut self, said: Result<Option<Env>, Error>) -> Result<Answer, ProveError> {
        self.report.questions = self.report.questions.saturating_add(1);
        match said {
            Ok(None) => Ok(Answer::Proven),
            Ok(Some(found)) => Ok(Answer::Refuted(Box::new(found))),
            Err(Error::SolverUnknown) => Ok(Answer::GaveUp("the solver gave up in its time".to_owned())),
            // A model that is none proves nothing, either way.
            Err(error @ (Error::DecodeModel(_) | Error::ConcretizeError(_) | Error::ModelInvalid { .. })) => {
                Ok(Answer::GaveUp(error.to_string()))
            }
            Err(error) => Err(ProveError::Solver(cause(&error))),
        }
    }

    fn compile(&self, rule: &Rule, kind: &RequestEnv) -> Result<CompiledPolicy, ProveError> {
        CompiledPolicy::compile(&rule.policy, kind, self.schema)
            .map_err(|error| ProveError::Text(format!("`{}`: {}", rule.id, cause(&error))))
    }

    pub(crate) fn compile_set<'r>(
        &self,
        rules: impl Iterator<Item = &'r Rule>,
        kind: &RequestEnv,
    ) -> Result<CompiledPolicySet, ProveError> {
        let policies = rules.filter(|rule| rule.covers(kind)).map(|rule| rule.policy.clone());
        let set = PolicySet::from_policies(policies).map_err(|error| ProveError::Text(error.to_string()))?;
        CompiledPolicySet::compile(&set, kind, self.schema).map_err(|error| ProveError::Text(cause(&error)))
    }

    pub(crate) fn find(&mut self, kind: Kind, about: &SmolStr, message: String, shown_by: Option<&Env>) {
        let counterexample = shown_by.map(Counterexample::new);
        self.report.findings.push(Finding { kind, about: about.clone(), message, counterexample });
    }

    /// Whether there is a request for which it errs, which refuses.
    pub(crate) async fn can_it_err(&mut self, rule: &Rule) -> Result<(), ProveError> {
        for kind in &rule.kinds {
            let compiled = self.compile(rule, kind)?;
            let said = self.solver.check_never_errors_with_counterexample_opt(&compiled).await;
            match self.answer(said)? {
                Answer::Proven => {}
                Answer::Refuted(found) => {
                    let message = format!("`{}` errs for some requests, which refuses them", rule.id);
                    self.find(Kind::MayErr, &rule.id, message, Some(&found));
                    return Ok(());
                }
                Answer::GaveUp(why) => {
                    let message = format!("whether `{}` can err is not known: {why}", rule.id);
                    self.find(Kind::Undecided, &rule.id, message, None);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether there are requests to which it applies; the kinds of which none are is left out.
    pub(crate) async fn can_it_apply(&mut self, rule: &mut Rule) -> Result<(), ProveError> {
        let mut kinds = Vec::new();
        for kind in std::mem::take(&mut rule.kinds) {
            let compiled = self.compile(rule, &kind)?;
            let said = self.solver.check_never_matches_with_counterexample_opt(&compiled).await;
            match self.answer(said)? {
                Answer::Proven => continue,
                Answer::Refuted(_) => {}
                Answer::GaveUp(why) => {
                    let message = format!("whether `{}` can apply is not known: {why}", rule.id);
                    self.find(Kind::Undecided, &rule.id, message, None);
                }
            }
            kinds.push(kind);
        }
        if kinds.is_empty() {
            let message = format!(
                "`{}` can never apply: for every request its scope or its condition is false",
                rule.id
            );
            self.find(Kind::NeverApplies, &rule.id, message, None);
        }
        rule.kinds = kinds;
        Ok(())
    }

    /// Operations that the policies together deny to everybody.
    pub(crate) async fn is_anything_allowed(
        &mut self,
        rules: &[Rule],
        actions: &[ActionSpec],
    ) -> Result<(), ProveError> {
        let kinds: Vec<RequestEnv> = self.schema.request_envs().collect();
        'actions: for action in actions.iter().map(ActionSpec::name) {
            for kind in kinds.iter().filter(|kind| name(kind.action()) == action) {
                if !rules.iter().any(|rule| !rule.forbids() && rule.covers(kind)) {
                    continue;
                }
                let set = self.compile_set(rules.iter(), kind)?;
                let said = self.solver.check_always_denies_with_counterexample_opt(&set).await;
                match self.answer(said)? {
                    Answer::Proven => {}
                    Answer::Refuted(_) => continue 'actions,
                    Answer::GaveUp(why) => {
                        let message = format!("whether anybody can call `{action}` is not known: {why}");
                        self.find(Kind::Undecided, &action, message, None);
                        continue 'actions;
                    }
                }
            }
            self.find(Kind::AlwaysDenied, &action, format!("`{action}` is denied to everybody"), None);
        }
        Ok(())
    }

    /// Policies that say what another one says already.
    pub(crate) async fn is_anything_said_twice(&mut self, rules: &[Rule]) -> Result<(), ProveError> {
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.kinds.is_empty()) {
            for (number, other) in rules.iter().enumerate().filter(|(number, _)| *number != index) {
                if !rule.may_be_implied_by(other) || !self.is_implied(rule, other).await? {
                    continue;
                }
                let back = other.may_be_implied_by(rule) && self.is_implied(other, rule).await?;
                if back && number < index {
                    // It was said of the other one.
                    continue;
                }
                let effect = if rule.forbids() { "forbids" } else { "permits" };
                let (kind, message) = if back {
                    (Kind::Equivalent, format!("`{}` {effect} exactly what `{}` does", rule.id, other.id))
                } else {
                    (
                        Kind::Redundant,
                        format!("all that `{}` {effect}, `{}` {effect} as well", rule.id, other.id),
                    )
                };
                self.find(kind, &rule.id, message, None);
            }
        }
        Ok(())
    }

    /// Whether `other` applies wherever `rule` does. What is not proven is not implied.
    async fn is_implied(&mut self, rule: &Rule, other: &Rule) -> Result<bool, ProveError> {
        for kind in &rule.kinds {
            let (one, two) = (self.compile(rule, kind)?, self.compile(other, kind)?);
            let said = self.solver.check_matches_implies_with_counterexample_opt(&one, &two).await;
            if !matches!(self.answer(said)?, Answer::Proven) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what the first policies allow the second allow as well, for one kind of request.
    pub(crate) async fn implies(
        &mut self,
        one: &CompiledPolicySet,
        two: &CompiledPolicySet,
    ) -> Result<Answer, ProveError> {
        let said = self.solver.check_implies_with_counterexample_opt(one, two).await;
        self.answer(said)
    }

    pub(crate) fn schema(&self) -> &'s Schema {
        self.schema
    }
}

/// An error with all that caused it.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
