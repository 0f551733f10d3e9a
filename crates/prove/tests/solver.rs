//! What a real solver says. With the feature `solver`, `CVC5` must name the program; without it nothing is proven here.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![cfg_attr(not(feature = "solver"), expect(dead_code, reason = "nobody is asked"))]

use std::path::PathBuf;
use std::time::Duration;

use portcullis_core::policy::{ActionKind, ActionSpec, Policy, Source};
use portcullis_core::roles::{Book, Grant, Holder, Mark, Role, Sign, compile};
use portcullis_prove::{Claims, ProveError, Report, Solver, prove};

fn actions() -> Vec<ActionSpec> {
    let rest = |operation: &str, reads: bool| ActionSpec {
        api: "orders".into(),
        operation: operation.into(),
        reads,
        kind: ActionKind::Rest { path: vec!["orderId".into()], query: vec!["limit".into()] },
    };
    vec![rest("get", true), rest("list", true), rest("drop", false)]
}

fn role(name: &str, includes: &[&str], grants: &[(&str, &str)]) -> Role {
    let grant = |(action, when): &(&str, &str)| Grant {
        action: (*action).into(),
        when: (!when.is_empty()).then(|| ((*when).to_owned(), Mark::default())),
        ..Grant::default()
    };
    Role {
        name: name.into(),
        holders: vec![Holder { mark: Mark::default(), issuer: None, sign: Sign::Group(name.into()) }],
        includes: includes.iter().map(|one| ((*one).into(), Mark::default())).collect(),
        grants: grants.iter().map(grant).collect(),
        ..Role::default()
    }
}

fn asked(
    cedar: &str,
    roles: Vec<Role>,
    claims: &[(&str, &str)],
    program: PathBuf,
) -> Result<Report, ProveError> {
    let (book, actions) = (Book { roles }, actions());
    let source = Source { name: "test.cedar".into(), text: cedar.into() };
    let (policy, _) = Policy::load_with_roles(&[source], &actions, &compile(&book, &actions)).unwrap();
    let implied = claims.iter().map(|(one, two)| ((*one).into(), (*two).into())).collect();
    let solver = Solver { program, limit: Duration::from_secs(60) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(prove(&policy, Some(&book), &Claims { implied }, &solver))
}

#[test]
fn a_program_that_is_no_solver_is_said() {
    for program in ["/nowhere/cvc5", "/bin/true", "/bin/cat", "/bin/yes"] {
        let error = asked("", vec![], &[], program.into()).unwrap_err();
        assert!(matches!(error, ProveError::NoSolver { .. }), "{program}: {error}");
        assert!(error.to_string().starts_with(&format!("the solver `{program}` cannot be run: ")), "{error}");
    }
}

#[cfg(not(feature = "solver"))]
#[test]
fn nothing_is_proven_without_the_feature_solver() {
    eprintln!("SKIPPED: proofs by a solver; run with `--features portcullis-prove/solver` and CVC5 set");
}

#[cfg(feature = "solver")]
mod with_solver {
    use super::*;

    fn proven(cedar: &str, roles: Vec<Role>, claims: &[(&str, &str)]) -> Report {
        // The feature asks for a solver: `CVC5` names it.
        let program = std::env::var_os("CVC5").unwrap();
        asked(cedar, roles, claims, program.into()).unwrap()
    }

    /// Kind and subject of each finding.
    fn findings(report: &Report) -> Vec<(String, String)> {
        let kind = |kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
        report.findings.iter().map(|one| (kind(one.kind), one.about.to_string())).collect()
    }

    #[track_caller]
    fn check(cedar: &str, expected: &[(&str, &str)]) -> Report {
        let report = proven(cedar, vec![], &[]);
        let found = findings(&report);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(kind, about)| (kind.as_str(), about.as_str())).collect();
        assert_eq!(found, expected, "{}", report.text());
        let fails = ["may_err", "never_applies", "not_implied", "undecided"];
        assert_eq!(report.is_proven(), !expected.iter().any(|(kind, _)| fails.contains(kind)));
        report
    }

    const ALL: &str = "@id(\"all\") permit (principal is User, action, resource) when { context.tls };\n";

    #[test]
    fn what_holds_is_proven() {
        let report = check(ALL, &[]);
        assert!(report.text().contains("proven: no policy can err"), "{}", report.text());
        assert!(report.questions > 6, "{}", report.questions);
    }

    #[test]
    fn a_policy_that_can_err_is_shown_with_a_request() {
        let late = "@id(\"late\") forbid (principal, action == Action::\"orders.drop\", resource)\n\
            when { context.time + 10 > 100 };";
        let report = check(&format!("{ALL}{late}"), &[("may_err", "late")]);
        let example = report.findings[0].counterexample.as_ref().unwrap();
        assert_eq!(example.action, "Action::\"orders.drop\"");
        // Only the largest numbers overflow.
        let circumstances = example.circumstances.join("\n");
        assert!(
            circumstances.contains("time: 92233720368547757")
                || circumstances.contains("time: 92233720368547758"),
            "{circumstances}"
        );
        assert!(report.text().contains("not proven: `late` errs"), "{}", report.text());
    }

    #[test]
    fn a_policy_that_can_never_apply_is_found() {
        let never = "@id(\"never\") permit (principal is User, action, resource)\n\
            when { context.time < 5 && context.time > 7 };";
        check(&format!("{ALL}{never}"), &[("never_applies", "never")]);
    }

    #[test]
    fn what_nobody_may_call_is_found() {
        let cedar = "@id(\"some\") permit (principal is User, action in Action::\"orders.read\", resource);\n\
            @id(\"old\") permit (principal is User, action == Action::\"orders.drop\", resource) when { context.time < 5 };\n\
            @id(\"no\") forbid (principal, action == Action::\"orders.drop\", resource) when { context.time <= 5 };";
        check(cedar, &[("always_denied", "orders.drop")]);
    }

    #[test]
    fn what_is_said_twice_is_found() {
        let cedar = format!(
            "{ALL}@id(\"same\") permit (principal, action, resource) when {{ principal is User && !(context.tls == false) }};\n\
             @id(\"less\") permit (principal is User, action == Action::\"orders.get\", resource)\n\
             when {{ context.tls && context.path.orderId like \"a*\" }};\n\
             @id(\"other\") permit (principal is User, action == Action::\"orders.get\", resource)\n\
             when {{ context.path.orderId like \"a*\" }};"
        );
        check(
            &cedar,
            &[("equivalent", "all"), ("redundant", "less"), ("redundant", "less"), ("redundant", "less")],
        );
    }

    #[test]
    fn roles_imply_each_other_or_a_request_shows_that_they_do_not() {
        let own = "context.path.orderId == principal.subject";
        let roles = || {
            vec![
                role("reader", &[], &[("orders.read", "")]),
                role("owner", &[], &[("orders.get", own)]),
                role("keeper", &["reader"], &[("orders.drop", "context.tls")]),
            ]
        };
        let claims = [("owner", "reader"), ("owner", "keeper"), ("keeper", "reader"), ("reader", "owner")];
        let report = proven("", roles(), &claims);
        let pairs = |pairs: &[(smol_str::SmolStr, smol_str::SmolStr)]| {
            pairs.iter().map(|(one, two)| format!("{one} {two}")).collect::<Vec<_>>()
        };
        assert_eq!(pairs(&report.implied), ["owner reader", "owner keeper"]);
        assert_eq!(pairs(&report.held), ["owner reader", "owner keeper"]);
        let found = findings(&report);
        assert_eq!(
            found,
            [("not_implied".into(), "keeper".into()), ("not_implied".into(), "reader".into())],
            "{}",
            report.text()
        );
        let example = report.findings[0].counterexample.as_ref().unwrap();
        assert_eq!(example.action, "Action::\"orders.drop\"");
        assert!(example.principal.starts_with("User::"), "{example:?}");
        assert!(!report.is_proven());
        let program = std::env::var_os("CVC5").unwrap();
        let unknown = asked("", roles(), &[("owner", "nobody")], program.into()).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no role `nobody` in the roles file");
    }
}
