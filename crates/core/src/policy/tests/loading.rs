//! What is said of policies that cannot be loaded.

use super::*;

fn actions() -> Vec<ActionSpec> {
    let rest = |operation: &str, reads: bool, path: &[&str]| ActionSpec {
        api: "orders".into(),
        operation: operation.into(),
        reads,
        kind: ActionKind::Rest { path: path.iter().map(SmolStr::new).collect(), query: vec!["page".into()] },
    };
    vec![rest("list", true, &[]), rest("one", true, &["orderId"]), rest("drop", false, &["orderId"])]
}

fn load(texts: &[&str]) -> Result<(Policy, Loaded), Vec<PolicyProblem>> {
    let sources: Vec<Source> = texts
        .iter()
        .zip(["a.cedar", "b.cedar"])
        .map(|(text, name)| Source { name: name.into(), text: (*text).into() })
        .collect();
    Policy::load(&sources, &actions())
}

#[test]
fn ids_are_annotations_or_places() {
    let text = "permit(principal, action == Action::\"orders.list\", resource);\
        @id(\"mine\") forbid(principal is Anonymous, action, resource);";
    let (policy, loaded) = load(&[text, "permit(principal, action, resource);"]).unwrap();
    let ids: Vec<&str> = policy.engine.ids().map(SmolStr::as_str).collect();
    assert_eq!(ids, ["a.cedar#1", "mine", "b.cedar#1"]);
    assert_eq!((loaded.policies, loaded.largest), (3, 3));
    assert!(loaded.warnings.is_empty());
}

/// Each case: the texts, and per problem its source, what its place starts with, and a part of its message.
#[test]
fn all_that_is_wrong_is_said_at_once_with_its_place() {
    let check = |texts: &[&str], expected: &[(&str, &str, &str)]| {
        let problems = load(texts).map(|_| ()).unwrap_err();
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, (source, place, message)) in problems.iter().zip(expected) {
            assert_eq!(problem.source, *source, "{problem:?}");
            assert!(problem.message.contains(message), "{problem:?}");
            let text = if problem.source == "a.cedar" { texts[0] } else { texts[1] };
            let found = problem.offset.clone().map_or("", |offset| text.get(offset).unwrap());
            assert!(
                found.starts_with(place) && found.is_empty() == place.is_empty(),
                "{problem:?} is at `{found}`"
            );
        }
    };
    check(
        &[
            "permit(principal, action, resource",
            "permit(principal, action, resource) when { context.nothing };",
        ],
        &[("a.cedar", "", "unexpected end"), ("b.cedar", "context.nothing", "`nothing`")],
    );
    check(&["permit(principal == ?principal, action, resource);"], &[("a.cedar", "permit", "templates")]);
    check(
        &[
            "@id(\"x\") permit(principal, action, resource);@id(\"\") permit(principal, action, resource);",
            "@id(\"x\") forbid(principal, action, resource);",
        ],
        &[("a.cedar", "@id(\"\")", "empty"), ("b.cedar", "@id(\"x\")", "already used in `a.cedar`")],
    );
    check(
        &["permit(principal, action == Action::\"orders.lst\", resource);"],
        &[("a.cedar", "Action::\"orders.lst\"", "unrecognized action")],
    );
    check(
        &["permit(principal is User, action, resource) when { principal.tenant == \"a\" };"],
        &[("a.cedar", "principal.tenant", "optional")],
    );
    check(
        &[
            "permit(principal, action in Action::\"orders\", resource) when { context.path.orderId == \"1\" };",
        ],
        &[("a.cedar", "context.path.orderId", "orderId")],
    );
}

#[test]
fn what_can_never_apply_is_an_error() {
    let check = |text: &str| {
        let problems = load(&[text]).map(|_| ()).unwrap_err();
        let [only] = problems.as_slice() else { panic!("{problems:#?}") };
        assert!(only.source == "a.cedar" && only.offset.is_some() && only.help.is_some(), "{only:#?}");
    };
    check("permit(principal, action == Action::\"orders.list\", resource is Model);");
    check("permit(principal, action, resource) when { context.tls && !context.tls && false };");
    check("forbid(principal is Anonymous in Role::\"x\", action, resource);");
}

#[test]
fn a_network_that_grants_is_a_warning() {
    let check = |scope: &str, expected: usize| {
        let text = format!("{scope} when {{ context.address.isInRange(ip(\"10.0.0.0/8\")) }};");
        let (_, loaded) = load(&[&text]).unwrap();
        assert_eq!(loaded.warnings.len(), expected, "{text}: {:#?}", loaded.warnings);
        assert!(loaded.warnings.iter().all(|one| one.source == "a.cedar" && one.offset.is_some()));
    };
    check("permit(principal, action, resource)", 1);
    check("permit(principal is Anonymous, action, resource)", 1);
    check("permit(principal is User, action, resource)", 0);
    check("permit(principal in Role::\"a\", action, resource)", 0);
    check("permit(principal, action, resource) when { principal is User }", 0);
    check("forbid(principal, action, resource)", 0);
}

#[test]
fn names_that_clash_are_refused() {
    let check = |operations: &[&str], expected: &str| {
        let actions: Vec<ActionSpec> = operations
            .iter()
            .map(|operation| ActionSpec { operation: (*operation).into(), ..actions()[0].clone() })
            .collect();
        let problems = Policy::load(&[], &actions).map(|_| ()).unwrap_err();
        assert!(
            problems.iter().any(|one| one.message.contains(expected) && one.source == "schema"),
            "{problems:?}"
        );
    };
    check(&["list", "list"], "two operations");
    check(&["list", "read"], "action group `orders.read`");
}

#[test]
fn without_policies_everything_is_denied() {
    let (policy, loaded) = Policy::load(&[], &actions()).unwrap();
    assert_eq!(loaded.policies, 0);
    let call = Call {
        principal: &Principal::Anonymous,
        action: policy.action("orders", "list").unwrap(),
        address: [127, 0, 0, 1].into(),
        is_tls: true,
        now: 0,
        facts: Facts::Rest { path: &[], query: None },
    };
    assert_eq!(policy.decide(&call), Verdict::Deny { policies: vec![] });
}

#[test]
fn the_facts_of_a_token_have_the_types_of_the_schema() {
    // Each policy reads one attribute; Cedar errs, and so refuses, if its value were of another type.
    let text = "permit(principal is User, action, resource) when {
        principal.issuer like \"*\" && principal.subject like \"*\" &&
        principal.scopes.contains(\"s\") && principal.roles.contains(\"r\") &&
        principal.tenant like \"t\" && principal.email like \"*@*\" && principal.email_verified &&
        principal.client == \"c\" && context.tls && context.time >= 0 && context.address.isIpv4() };"
        .replace("principal.tenant", "principal has tenant && principal.tenant")
        .replace("principal.email like", "principal has email && principal.email like")
        .replace("principal.email_verified", "principal has email_verified && principal.email_verified")
        .replace("principal.client", "principal has client && principal.client");
    let (policy, _) = load(&[&text]).unwrap();
    let claims = serde_json::json!({"tenant": "t", "email": "a@b", "email_verified": true, "azp": "c"});
    let serde_json::Value::Object(claims) = claims else { panic!() };
    let identity = Identity {
        issuer: "corp".into(),
        subject: "u".into(),
        claims,
        scopes: vec!["s".into()],
        roles: vec!["r".into()],
        expires: 0,
        not_before: None,
        token_id: None,
    };
    let call = Call {
        principal: &Principal::Identity(Arc::new(identity)),
        action: policy.action("orders", "list").unwrap(),
        address: [127, 0, 0, 1].into(),
        is_tls: true,
        now: 0,
        facts: Facts::Rest { path: &[], query: None },
    };
    assert_eq!(policy.decide(&call), Verdict::Allow { policies: vec!["a.cedar#1".into()] });
    assert_eq!(policy.decide_plain(&call), Verdict::Allow { policies: vec!["a.cedar#1".into()] });
}
