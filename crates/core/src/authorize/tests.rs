use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::identify::Identity;
use crate::policy::{ActionSpec, Source};

const POLICIES: &str = r#"
@id("own-orders") permit(principal in Role::"customer", action in Action::"orders", resource);
@id("late") forbid(principal, action == Action::"orders.drop", resource) when { context.time > 1000 };
@id("overflows") permit(principal in Role::"clumsy", action == Action::"orders.list", resource)
  when { context.time * 9223372036854775807 > 0 };
@id("small-models") permit(principal is User, action == Action::"assistant.chat", resource)
  when { context.model like "small-*" && !context.tools };
@id("docs") permit(principal is Anonymous, action == Action::"orders.docs", resource);
"#;

fn actions() -> Vec<ActionSpec> {
    let rest = |operation: &str, path: &[&str]| ActionSpec {
        api: "orders".into(),
        operation: operation.into(),
        reads: operation != "drop",
        kind: ActionKind::Rest {
            path: path.iter().map(SmolStr::new).collect(),
            query: vec!["userId".into()],
        },
    };
    let model = ActionSpec {
        api: "assistant".into(),
        operation: "chat".into(),
        reads: false,
        kind: ActionKind::Model,
    };
    let docs = ActionSpec { kind: ActionKind::Rest { path: vec![], query: vec![] }, ..rest("docs", &[]) };
    vec![rest("list", &[]), rest("one", &["userId", "id"]), rest("drop", &["id"]), docs, model]
}

struct Fixture {
    policy: Policy,
    rules: AuthorizeRules,
    headers: HeaderMap,
}

impl Fixture {
    fn new() -> Self {
        let source = Source { name: "test.cedar".into(), text: POLICIES.into() };
        let (policy, _) = Policy::load(&[source], &actions()).unwrap();
        let find = |spec: &ActionSpec| policy.action(&spec.api, &spec.operation);
        let rules =
            AuthorizeRules { actions: actions().iter().map(find).collect(), ..AuthorizeRules::default() };
        Self { policy, rules, headers: HeaderMap::new() }
    }

    fn with_object(mut self, parameter: &str, owner_claim: &str) -> Self {
        let bound = |spec: ActionSpec| {
            let is_declared = match spec.kind {
                ActionKind::Rest { path, query } => path.iter().chain(&query).any(|name| name == parameter),
                ActionKind::Model => false,
            };
            let places = vec![Place::Path(parameter.into()), Place::Query(parameter.into())];
            let bound = Bound {
                parameter: parameter.into(),
                places,
                is_declared,
                owner: Owner::Named,
                equals: owner_claim.into(),
                unless: vec![],
            };
            OperationRules { bound: vec![bound], ..OperationRules::default() }
        };
        // One more, for an operation that policy does not know.
        let unknown = ActionSpec {
            api: "orders".into(),
            operation: "nothing".into(),
            reads: true,
            kind: ActionKind::Model,
        };
        let mut operations: Vec<OperationRules> = actions().into_iter().map(bound).collect();
        operations.resize_with(100, || bound(unknown.clone()));
        self.rules.objects = ObjectRules::new(operations);
        self
    }

    /// The outcome of a REST call as `allowed by …`, or as the reason and its detail.
    fn rest(
        &self,
        principal: &Principal,
        operation: &str,
        path: &[(&str, &str)],
        query: Option<&str>,
    ) -> String {
        let path: Vec<(Box<str>, Box<str>)> =
            path.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.outcome(Question { path: &path, query, ..self.question(principal, operation) })
    }

    fn model(&self, principal: &Principal, body: &str) -> String {
        let question = self.question(principal, "chat");
        self.outcome(Question {
            surface: Surface::Model(crate::route::Dialect::OpenAi),
            body: body.as_bytes(),
            ..question
        })
    }

    fn question<'q>(&'q self, principal: &'q Principal, operation: &str) -> Question<'q> {
        let index = actions().iter().position(|spec| spec.operation == operation).unwrap_or(99);
        Question {
            rules: &self.rules,
            surface: Surface::Rest,
            graph: None,
            mcp: None,
            authority: "gate.example",
            operation: OperationIndex(u32::try_from(index).unwrap()),
            principal,
            path: &[],
            query: None,
            headers: &self.headers,
            method: &Method::POST,
            peer: Peer { address: [127, 0, 0, 1].into(), is_tls: true },
            body: b"",
            is_stream: false,
        }
    }

    fn outcome(&self, question: Question<'_>) -> String {
        self.outcome_at(question, 1_000)
    }

    fn outcome_at(&self, question: Question<'_>, now: u64) -> String {
        let now = UNIX_EPOCH + Duration::from_secs(now);
        match question.judge(&self.policy, now).map_err(|halt| hidden(question.rules, halt)) {
            Ok(Allowed { permit, .. }) => {
                let name = permit.action.and_then(|action| self.policy.spec(action)).map(|spec| spec.name());
                format!("{} by {}", name.unwrap_or_default(), permit.policies.join(","))
            }
            Err(Halt::Refusal(refusal)) => format!("{:?}: {}", refusal.reason, refusal.detail),
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn caller(roles: &[&str], claims: serde_json::Value) -> Principal {
    let serde_json::Value::Object(claims) = claims else { panic!("claims are an object") };
    Principal::Identity(Arc::new(Identity {
        issuer: "corp".into(),
        subject: "u1".into(),
        claims,
        scopes: vec![],
        roles: roles.iter().map(|role| (*role).into()).collect(),
        expires: 0,
        not_before: None,
        token_id: None,
    }))
}

#[track_caller]
fn check(found: &str, expected: &str) {
    assert!(found.starts_with(expected) && !expected.is_empty(), "found `{found}`, expected `{expected}`");
}

#[test]
fn policy_decides() {
    let gate = Fixture::new();
    let (customer, stranger) = (caller(&["customer"], json!({})), caller(&[], json!({})));
    let id = [("id", "1")];
    check(&gate.rest(&customer, "list", &[], None), "orders.list by own-orders");
    check(&gate.rest(&stranger, "list", &[], None), "Forbidden: no policy allows the call");
    check(&gate.rest(&Principal::Anonymous, "list", &[], None), "Forbidden: no policy");
    check(&gate.rest(&Principal::Anonymous, "docs", &[], None), "orders.docs by docs");
    check(&gate.rest(&customer, "nothing", &[], None), "Forbidden: the operation is no action");
    check(&gate.rest(&customer, "drop", &id, None), "orders.drop by own-orders");
    let late = gate.outcome_at(gate.question(&customer, "drop"), 1_001);
    check(&late, "Forbidden: forbidden by late");
}

#[test]
fn an_error_is_a_refusal_even_where_another_policy_allows() {
    let gate = Fixture::new();
    let clumsy = caller(&["clumsy", "customer"], json!({}));
    check(
        &gate.rest(&clumsy, "list", &[], None),
        "PolicyIndeterminate: a policy could not be evaluated: overflows",
    );
    check(&gate.rest(&clumsy, "one", &[("userId", "u1"), ("id", "1")], None), "orders.one by own-orders");
}

#[test]
fn what_is_hidden_does_not_exist() {
    let mut gate = Fixture::new().with_object("userId", "sub");
    gate.rules.hides = true;
    let (customer, clumsy) = (caller(&["customer"], json!({})), caller(&["clumsy"], json!({})));
    check(&gate.rest(&clumsy, "docs", &[], None), "Hidden: Forbidden: no policy");
    check(&gate.rest(&clumsy, "list", &[], Some("userId=u1")), "Hidden: PolicyIndeterminate: ");
    check(&gate.rest(&customer, "list", &[], Some("userId=u2")), "Hidden: ObjectForbidden: ");
    check(&gate.model(&customer, "{}"), "Hidden: BodyMalformed: ");
}

#[test]
fn a_waiver_holds_until_its_moment() {
    let mut gate = Fixture::new();
    let waived = vec![Waived { parameter: "userId".into(), until: 1_001 }];
    let rules = |_| OperationRules { waived: waived.clone(), ..OperationRules::default() };
    gate.rules.objects = ObjectRules::new(actions().iter().map(rules).collect());
    let customer = caller(&["customer"], json!({}));
    let at = |gate: &Fixture, now| gate.outcome_at(gate.question(&customer, "list"), now);
    check(&at(&gate, 1_000), "orders.list by own-orders");
    let ended = "ObjectForbidden: object rule `userId`: its waiver has ended";
    check(&at(&gate, 1_001), ended);
    gate.rules.enforced = false;
    check(&at(&gate, 1_000), "orders.list by ");
    check(&at(&gate, 1_001), ended);
}

#[test]
fn objects_must_be_the_callers_own() {
    let gate = Fixture::new().with_object("userId", "sub");
    let customer = caller(&["customer"], json!({}));
    let list = |query: Option<&str>| gate.rest(&customer, "list", &[], query);
    check(&list(Some("userId=u1")), "orders.list by own-orders");
    check(&list(Some("x=1&user%49d=u%31")), "orders.list by own-orders");
    check(&list(Some("userId=u1&userId=u1")), "orders.list by own-orders");
    let differs = "ObjectForbidden: object rule `userId`: the parameter is not the caller's claim `sub`";
    for query in [
        "userId=u2",
        "userId=",
        "userId",
        "userId=U1",
        "userId=u1%20",
        "userId=u1,u2",
        "userId=u1&userId=u2",
        "userId=u2&userId=u1",
        "userId=u1&user%49d=u2",
        "userId=u1&USERID=u2",
        "userId=u1&userId[]=u2",
        "userId=u1&userId%5B0%5D=u2",
    ] {
        check(&list(Some(query)), differs);
    }
    for query in ["userId=u1&x=%ff", "userId=u1;userId=u2", "x=1;userId=u2", "userId=u+1", "userId=u1&x=;"] {
        check(&list(Some(query)), "ObjectForbidden: object rule `userId`: the query has more");
    }
    check(&list(Some("userId=u1&x=a+b")), "orders.list by own-orders");
    // Left out although the operation has it: that may not mean everybody's.
    check(&list(None), "ObjectForbidden: object rule `userId`: the operation declares");
    check(&list(Some("x=1")), "ObjectForbidden: object rule `userId`: the operation declares");
    // An operation without the parameter is not concerned.
    let docs = gate.rest(&Principal::Anonymous, "docs", &[], None);
    check(&docs, "orders.docs by docs");
    let one = |user: &str, query: Option<&str>| {
        gate.rest(&customer, "one", &[("userId", user), ("id", "9")], query)
    };
    check(&one("u1", None), "orders.one by own-orders");
    check(&one("u2", None), differs);
    check(&one("u1", Some("userId=u2")), differs);
    let anonymous = gate.rest(&Principal::Anonymous, "list", &[], Some("userId=u1"));
    check(&anonymous, "ObjectForbidden: object rule `userId`: the caller is anonymous");
    check(
        &gate.rest(&Principal::Anonymous, "list", &[], None),
        "ObjectForbidden: object rule `userId`: the caller",
    );
}

#[test]
fn object_rules_hold_where_policy_is_not_asked() {
    let mut gate = Fixture::new().with_object("userId", "sub");
    gate.rules.enforced = false;
    let stranger = caller(&[], json!({}));
    check(&gate.rest(&stranger, "list", &[], Some("userId=u1")), "orders.list by ");
    check(&gate.rest(&stranger, "list", &[], Some("userId=u2")), "ObjectForbidden: ");
    check(&gate.rest(&stranger, "nothing", &[], Some("userId=u2")), "ObjectForbidden: ");
    check(&gate.rest(&stranger, "nothing", &[], None), " by ");
}

#[test]
fn claims_are_found_by_name_or_path() {
    let claims = json!({
        "account": 42, "negative": -1, "float": 1.5, "empty": "", "list": ["u1"], "yes": true,
        "https://example.com/tenant": "t", "realm": { "user": { "id": "r7" } },
    });
    let customer = caller(&["customer"], claims);
    let outcome = |claim: &str, value: &str| {
        let gate = Fixture::new().with_object("userId", claim);
        gate.rest(&customer, "one", &[("userId", value), ("id", "9")], None)
    };
    check(&outcome("account", "42"), "orders.one");
    check(&outcome("account", "042"), "ObjectForbidden: ");
    check(&outcome("negative", "-1"), "orders.one");
    check(&outcome("https://example.com/tenant", "t"), "orders.one");
    check(&outcome("realm.user.id", "r7"), "orders.one");
    for (claim, value) in [
        ("float", "1.5"),
        ("empty", ""),
        ("list", "u1"),
        ("yes", "true"),
        ("realm.user", "r7"),
        ("realm.user.id.x", "r7"),
        ("missing", "u1"),
        ("missing.x", "u1"),
    ] {
        check(
            &outcome(claim, value),
            "ObjectForbidden: object rule `userId`: the caller has no usable claim",
        );
    }
}

#[test]
fn model_calls_are_resolved_from_their_body() {
    let gate = Fixture::new();
    let user = caller(&[], json!({}));
    check(&gate.model(&user, r#"{"model":"small-1","messages":[]}"#), "assistant.chat by small-models");
    check(&gate.model(&user, r#"{"model":"large-1"}"#), "Forbidden: no policy");
    check(&gate.model(&user, r#"{"model":"small-1","tools":[{}]}"#), "Forbidden: no policy");
    check(&gate.model(&Principal::Anonymous, r#"{"model":"small-1"}"#), "Forbidden: no policy");
    check(&gate.model(&user, r#"{"model":"small-1","model":"large-1"}"#), "BodyMalformed: envelope: ");
    check(&gate.model(&user, ""), "BodyMalformed: envelope: ");
    let no_body = Question {
        method: &Method::GET,
        surface: Surface::Model(crate::route::Dialect::OpenAi),
        ..gate.question(&user, "chat")
    };
    check(&gate.outcome(no_body), "PolicyIndeterminate: a model call without");
}

#[test]
fn by_default_and_with_another_snapshots_rules_every_call_is_refused() {
    let (gate, other) = (Fixture::new(), Fixture::new());
    let customer = caller(&["customer"], json!({}));
    let default = AuthorizeRules::default();
    let question = gate.question(&customer, "list");
    check(&gate.outcome(Question { rules: &default, ..question }), "Forbidden: the operation is no action");
    check(
        &gate.outcome(Question { rules: &other.rules, ..question }),
        "Forbidden: the operation is no action",
    );
}
