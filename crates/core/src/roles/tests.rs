use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::identify::Principal;
use crate::policy::{ActionKind, Call, Facts, Policy, Source, Verdict};

fn actions() -> Vec<ActionSpec> {
    let rest = |api: &str, operation: &str, reads: bool| ActionSpec {
        api: api.into(),
        operation: operation.into(),
        reads,
        kind: ActionKind::Rest { path: vec![], query: vec![] },
    };
    let model = ActionSpec {
        api: "assistant".into(),
        operation: "chat".into(),
        reads: false,
        kind: ActionKind::Model,
    };
    vec![rest("orders", "list", true), rest("orders", "get", true), rest("orders", "drop", false), model]
}

fn role(name: &str, holders: &[&str], includes: &[&str], grants: &[&str]) -> Role {
    let holder = |sign: &&str| {
        let (kind, value) = sign.split_once(':').unwrap_or((sign, ""));
        let (value, issuer) = value.split_once('@').map_or((value, None), |(v, i)| (v, Some(i.into())));
        let sign = match kind {
            "anonymous" => Sign::Anonymous,
            "group" => Sign::Group(value.into()),
            "scope" => Sign::Scope(value.into()),
            "subject" => Sign::Subject(value.into()),
            claim => Sign::Claim(claim.into(), value.into()),
        };
        Holder { mark: Mark(1), issuer, sign }
    };
    Role {
        name: name.into(),
        mark: Mark(0),
        reason: None,
        by: None,
        holders: holders.iter().map(holder).collect(),
        includes: includes.iter().map(|name| (SmolStr::new(name), Mark(2))).collect(),
        grants: grants
            .iter()
            .map(|action| Grant { mark: Mark(3), action: (*action).into(), ..Grant::default() })
            .collect(),
    }
}

fn problems(roles: Vec<Role>, issuers: &[&str]) -> Vec<(&'static str, u32)> {
    let issuers: Vec<SmolStr> = issuers.iter().map(SmolStr::new).collect();
    let spoken_of = BTreeSet::from([SmolStr::new("spoken")]);
    let known = Known { actions: &actions(), issuers: &issuers, spoken_of: &spoken_of };
    check(&Book { roles }, known).iter().map(|one| (one.code, one.mark.0)).collect()
}

#[test]
fn what_does_nothing_or_too_much_is_wrong() {
    let check = |roles: Vec<Role>, expected: &[(&str, u32)]| {
        let shown = format!("{roles:#?}");
        assert_eq!(problems(roles, &["corp"]), expected, "{shown}");
    };
    let clerk = || role("clerk", &["group:clerks"], &[], &["orders.read"]);
    check(vec![clerk(), role("spoken", &["scope:x"], &[], &[])], &[]);
    check(vec![role("a", &["group:a"], &[], &["orders.lst"])], &[("unknown-operation", 3)]);
    check(vec![role("a", &["group:a"], &[], &["assistant.read"])], &[("unknown-operation", 3)]);
    check(vec![role("a", &["group:a"], &["b"], &[])], &[("unknown-role", 2)]);
    check(vec![role("a", &["group:a"], &["a"], &[])], &[("role-cycle", 2)]);
    check(
        vec![role("a", &["group:a"], &["b"], &[]), role("b", &[], &["a"], &[])],
        &[("role-cycle", 2), ("role-cycle", 2)],
    );
    check(vec![role("a", &[], &[], &["orders.get"])], &[("unreachable-role", 0)]);
    check(
        vec![clerk(), role("lead", &["group:leads"], &["clerk", "clerk"], &[])],
        &[("unreachable-rule", 2)],
    );
    check(
        vec![
            clerk(),
            role("b", &["group:b"], &["clerk"], &[]),
            role("c", &["group:c"], &["b", "clerk"], &[]),
        ],
        &[("unreachable-rule", 2)],
    );
    check(vec![role("a", &["group:a", "group:a"], &[], &["orders.get"])], &[("unreachable-rule", 1)]);
    check(vec![role("a", &["group:a@corp", "group:a"], &[], &["orders.get"])], &[]);
    check(vec![role("a", &["group:a@other"], &[], &["orders.get"])], &[("unknown-issuer", 1)]);
    check(vec![role("a", &["group:a"], &[], &[])], &[("useless-role", 0)]);
    check(vec![role("a", &["group:a"], &[], &["orders.read", "orders.get"])], &[("unreachable-rule", 3)]);
    check(vec![role("a", &["group:a"], &[], &["orders.get", "orders.get"])], &[("unreachable-rule", 3)]);
    check(vec![clerk(), role("lead", &["group:l"], &["clerk"], &["orders.get"])], &[("unreachable-rule", 3)]);
    let mut inside = role("a", &["anonymous"], &[], &["orders.get"]);
    inside.grants[0].from = vec!["10.0.0.0/8".parse().unwrap()];
    check(vec![inside.clone()], &[("network-grants", 3)]);
    inside.grants[0].from.clear();
    inside.grants[0].when = Some(("context.address.isLoopback()".into(), Mark(4)));
    check(vec![inside.clone()], &[("network-grants", 3)]);
    let mut named = inside.clone();
    named.grants[0].when = Some(("context.query.address == \"x\"".into(), Mark(4)));
    check(vec![named], &[]);
    inside.holders = role("a", &["group:a"], &[], &[]).holders;
    check(vec![inside], &[]);
    check(vec![role("a", &["group:a"], &[], &["*"])], &[("missing-reason", 0)]);
    check(vec![role("a", &["group:a"], &[], &["orders", "assistant"])], &[("missing-reason", 0)]);
    let reasoned = Role { reason: Some("on call".into()), ..role("a", &["group:a"], &[], &["*"]) };
    check(vec![reasoned.clone(), role("b", &["group:b"], &["a"], &[])], &[]);
    let mut granted = role("a", &["group:a"], &[], &["*"]);
    granted.grants[0].reason = Some("break glass".into());
    check(vec![granted], &[]);
}

#[test]
fn narrowed_grants_are_only_implied_by_wider_ones() {
    let narrow = |grant: &mut Grant| grant.until = Some(1_000);
    let mut one = role("a", &["group:a"], &[], &["orders.get", "orders.read"]);
    narrow(&mut one.grants[1]);
    assert_eq!(problems(vec![one.clone()], &["corp"]), []);
    narrow(&mut one.grants[0]);
    assert_eq!(problems(vec![one], &["corp"]), [("unreachable-rule", 3)]);
    for (text, expected) in [
        ("context.tls", None),
        ("context.tls }; permit(principal, action, resource) when { true", Some("bad-condition")),
        ("true) || (true", Some("bad-condition")),
        ("", Some("bad-condition")),
    ] {
        let mut one = role("a", &["group:a"], &[], &["orders.get"]);
        one.grants[0].when = Some((text.into(), Mark(4)));
        let found = problems(vec![one], &["corp"]);
        assert_eq!(found.first().copied(), expected.map(|code| (code, 4)), "{text}");
    }
}

#[test]
fn with_several_issuers_it_is_said_whose_word_counts() {
    let check = |sign: &str, issuers: &[&str], expected: &[(&str, u32)]| {
        assert_eq!(problems(vec![role("a", &[sign], &[], &["orders.get"])], issuers), expected, "{sign}");
    };
    check("group:a", &["corp", "partner"], &[("missing-issuer", 1)]);
    check("group:a@partner", &["corp", "partner"], &[]);
    check("anonymous", &["corp", "partner"], &[]);
    check("anonymous", &[], &[]);
    check("group:a", &[], &[("unreachable-rule", 1)]);
}

fn identity(issuer: &str, groups: &[&str], claims: Value) -> Principal {
    let Value::Object(claims) = claims else { panic!() };
    Principal::Identity(Arc::new(Identity {
        issuer: issuer.into(),
        subject: "u1".into(),
        claims,
        scopes: vec!["s1".into()],
        roles: groups.iter().map(|group| (*group).into()).collect(),
        expires: 0,
        not_before: None,
        token_id: None,
    }))
}

#[test]
fn a_role_is_had_by_its_signs_alone() {
    let held = |holders: &[&str], principal: &Principal| {
        let Principal::Identity(identity) = principal else { return false };
        role("admin", holders, &[], &[]).is_held_by(identity)
    };
    let caller = identity("corp", &["admin", "ops"], json!({"tier": "gold", "n": 7, "ok": true, "l": ["x"]}));
    assert!(held(&["group:ops"], &caller) && held(&["group:ops@corp"], &caller));
    assert!(!held(&["group:ops@partner"], &caller));
    assert!(held(&["scope:s1"], &caller) && !held(&["scope:s"], &caller));
    assert!(held(&["subject:u1"], &caller) && !held(&["subject:corp/u1"], &caller));
    for (sign, expected) in [
        ("tier:gold", true),
        ("tier:Gold", false),
        ("n:7", true),
        ("ok:true", true),
        ("l:x", true),
        ("l:", false),
        ("missing:x", false),
    ] {
        assert_eq!(held(&[sign], &caller), expected, "{sign}");
    }
    // The name of a role in a token is no role, and no sign of one.
    assert!(!held(&[], &caller) && !held(&["anonymous"], &caller));
}

/// The policies that allow, joined; or what refused.
fn outcome(policy: &Policy, principal: &Principal, operation: &str, address: &str, now: i64) -> String {
    let (api, operation) = operation.split_once('.').unwrap();
    let facts = match api {
        "assistant" => Facts::Model { model: "small", stream: false, tools: false },
        _ => Facts::Rest { path: &[], query: None },
    };
    let call = Call {
        principal,
        action: policy.action(api, operation).unwrap(),
        address: address.parse::<IpAddr>().unwrap(),
        is_tls: true,
        now,
        facts,
    };
    let verdict = policy.decide(&call);
    assert_eq!(verdict, policy.decide_plain(&call));
    match verdict {
        Verdict::Allow { policies } => policies.join(","),
        other => format!("{other:?}").split(' ').next().unwrap_or_default().to_lowercase(),
    }
}

#[test]
fn the_compiled_book_decides_as_it_is_written() {
    let mut clerk =
        role("clerk", &["group:clerks"], &["guest"], &["orders.read", "orders.drop", "assistant"]);
    clerk.grants[1].from = vec!["10.0.0.0/8".parse().unwrap()];
    clerk.grants[1].until = Some(1_000);
    clerk.grants[2].when = Some(("context.model == \"small\" // a comment".into(), Mark(9)));
    let guest = role("guest", &["anonymous"], &[], &["orders.list"]);
    let roles = compile(&Book { roles: vec![guest, clerk] }, &actions());
    let cedar =
        "@id(\"all\") permit(principal in Role::\"clerk\", action == Action::\"orders.get\", resource);";
    let source = Source { name: "a.cedar".into(), text: cedar.into() };
    let (policy, _) = Policy::load_with_roles(&[source], &actions(), &roles).unwrap();
    let check = |principal: &Principal, operation, address, now, expected: &str| {
        assert_eq!(outcome(&policy, principal, operation, address, now), expected, "{operation}");
    };
    let clerk = identity("corp", &["clerks"], json!({}));
    check(&clerk, "orders.get", "192.0.2.1", 5, "all,role:clerk/orders.read");
    check(&clerk, "orders.list", "192.0.2.1", 5, "role:guest/orders.list,role:clerk/orders.read");
    check(&clerk, "orders.drop", "10.1.1.1", 999, "role:clerk/orders.drop");
    check(&clerk, "orders.drop", "10.1.1.1", 1_000, "deny");
    check(&clerk, "orders.drop", "192.0.2.1", 5, "deny");
    check(&clerk, "assistant.chat", "192.0.2.1", 5, "role:clerk/assistant");
    check(&Principal::Anonymous, "orders.list", "192.0.2.1", 5, "role:guest/orders.list@anonymous");
    check(&Principal::Anonymous, "orders.get", "192.0.2.1", 5, "deny");
    // A token that calls its bearer a clerk does not make one.
    check(&identity("corp", &["clerk"], json!({})), "orders.get", "192.0.2.1", 5, "deny");
    assert_eq!(policy.roles_of(&clerk).as_deref(), Some(["clerk".into()].as_slice()));
    assert_eq!(policy.roles_of(&Principal::Anonymous), None);
}

#[test]
fn what_cannot_hold_is_said_at_its_grant() {
    let check = |grant: &str, when: &str, part: &str| {
        let mut one = role("a", &["group:a"], &[], &[grant]);
        one.grants[0].when = Some((when.into(), Mark(4)));
        let roles = compile(&Book { roles: vec![one] }, &actions());
        let problems = Policy::load_with_roles(&[], &actions(), &roles).map(|_| ()).unwrap_err();
        let [only] = problems.as_slice() else { panic!("{problems:#?}") };
        assert_eq!((&*only.source, only.mark), ("roles", Some(Mark(3))));
        assert!(only.message.contains(part), "{only:#?}");
    };
    check("orders.get", "context.path.id == \"1\"", "`path.id`");
    check("orders.get", "false", "impossible");
    check("assistant", "context.tls == 5", "`role:a/assistant`");
}

#[test]
fn the_operators_own_policies_speak_of_roles_that_exist() {
    let roles = compile(&Book { roles: vec![role("a", &["group:a"], &[], &["orders.get"])] }, &actions());
    let check = |text: &str, part: &str| {
        let source = Source { name: "a.cedar".into(), text: text.into() };
        let problems = Policy::load_with_roles(&[source], &actions(), &roles).map(|_| ()).unwrap_err();
        assert!(problems[0].source == "a.cedar" && problems[0].message.contains(part), "{problems:#?}");
    };
    check("permit(principal in Role::\"b\", action, resource);", "the role `b` is not in the roles file");
    check("@id(\"role:x\") permit(principal, action, resource);", "are those of the roles file");
}
