use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::authorize::{Owner, Place, Who};
use crate::halt::Refusal;
use crate::identify::Identity;

const NOW: i64 = 1_000;

const SDL: &str = r#"
directive @cost(weight: String!) on FIELD_DEFINITION | OBJECT
directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION
type Query {
  me: User!
  user(id: ID!): User
  orders(userId: ID, status: Status = OPEN, first: Int, filter: Filter): [Order!]!
  search(text: String!, tags: [String!]): [Result!]! @cost(weight: "50")
  page(first: Int): Connection!
  node(id: ID!): Node
  any(value: Json): Json
}
type Mutation { cancelOrder(input: CancelInput!): Order! note(text: String!): Boolean }
type Subscription { orders: Order! }
scalar Json
enum Status { OPEN CLOSED }
input Filter { ownerId: ID, not: Filter, text: String = "x" }
input CancelInput { orderId: ID!, userId: ID! }
interface Node { id: ID! }
type User implements Node { id: ID! name: String! friends(first: Int): [User!]! tags: [String!] }
type Order implements Node { id: ID! total: Float! owner: User! items: [Item!]! @listSize(assumedSize: 3) }
type Item { name: String! order: Order! }
type Connection { edges: [Edge!]! total: Int }
type Edge { node: Order! }
union Result = Order | User
"#;

fn graph(change: impl FnOnce(&mut GraphRules)) -> Graph {
    let mut rules = GraphRules::default();
    change(&mut rules);
    Graph::compile(SDL, rules).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn bound(argument: &str, fields: &[&str], unless: &[&str]) -> BoundArgument {
    BoundArgument {
        rule: Bound {
            parameter: argument.into(),
            places: vec![Place::Path(argument.into())],
            is_declared: true,
            owner: Owner::Named,
            equals: "sub".into(),
            unless: unless.iter().map(|one| Who::parse(one).unwrap()).collect(),
        },
        fields: fields.iter().map(|one| (*one).into()).collect(),
    }
}

fn caller(roles: &[&str]) -> Principal {
    Principal::Identity(Arc::new(Identity {
        issuer: "corp".into(),
        subject: "u1".into(),
        claims: serde_json::Map::new(),
        scopes: vec![],
        roles: roles.iter().map(|role| (*role).into()).collect(),
        expires: 0,
        not_before: None,
        token_id: None,
    }))
}

/// What a request comes to: its root fields and what is sent, or why not.
fn outcome(graph: &Graph, method: &Method, query: Option<&str>, body: &str) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    let given = Given { method, query, headers: &headers, body: body.as_bytes() };
    let refused = |halt: Halt| match halt {
        Halt::Refusal(Refusal { reason, detail, .. }) => format!("{reason:?}: {detail}"),
        other => panic!("{other:?}"),
    };
    let asked = match graph.read(&given) {
        Ok(asked) => asked,
        Err(halt) => return refused(halt),
    };
    match graph.judge(&asked, &caller(&["clerk"]), &headers, NOW) {
        Ok(judged) => {
            let body = judged.body(judged.parts.iter().map(JudgedPart::variables));
            format!("{} sends {}", asked.fields().join(" "), String::from_utf8(body).unwrap())
        }
        Err(Stop::Fault(fault)) => refused(fault.halt(true)),
        Err(Stop::Foreign(error)) => format!("Foreign: {error}"),
    }
}

#[track_caller]
fn check_body(graph: &Graph, body: &str, expected: &str) {
    let found = outcome(graph, &Method::POST, None, body);
    assert!(
        found.starts_with(expected) && !expected.is_empty(),
        "{body}\nfound {found}\nexpected {expected}"
    );
}

/// A document without variables.
#[track_caller]
fn check(graph: &Graph, document: &str, expected: &str) {
    check_body(graph, &json!({ "query": document }).to_string(), expected);
}

#[test]
fn what_is_sent_is_rebuilt() {
    let graph = graph(|_| {});
    check(&graph, "# note\n{ me { id, name } }", r#"query.me sends {"query":"{ me { id name } }"}"#);
    check_body(
        &graph,
        r#" {"variables":{"i":7},"operationName":"A","query":"query A($i: ID!, $s: Status = CLOSED) { user(id: $i) { id } orders(status: $s) { id } }","extensions":{}}"#,
        r#"query.user query.orders sends {"query":"query A($i: ID!, $s: Status = CLOSED) { user(id: $i) { id } orders(status: $s) { id } }","operationName":"A","variables":{"i":7,"s":"CLOSED"}}"#,
    );
    check_body(
        &graph,
        r#"{"query":"query A { me { id } } mutation B { note(text: \"x\") }","operationName":"B"}"#,
        "mutation.note sends",
    );
    check(&graph, "{ __typename me { id } }", "query.me sends");
    check(
        &graph,
        "query { ...R } fragment R on Query { ... { me { id } } u: user(id: 1) { id } }",
        "query.me query.user sends",
    );
}

#[test]
fn an_envelope_has_one_reading_or_none() {
    let graph = graph(|_| {});
    let good = r#""query":"{me{id}}""#;
    for (body, expected) in [
        (format!("{{{good}}}"), "query.me sends"),
        (format!(r#"{{{good},"variables":null,"operationName":null,"extensions":null}}"#), "query.me sends"),
        (format!("{{{good},{good}}}"), "BodyMalformed: duplicate key"),
        (format!(r#"{{{good},"Query":"x"}}"#), "BodyInvalid:  there is a member"),
        (format!(r#"{{{good},"extensions":{{"tracing":1}}}}"#), "BodyInvalid: /extensions only"),
        (format!(r#"{{{good},"variables":[]}}"#), "BodyInvalid: /variables it is of another type"),
        (format!(r#"{{{good},"variables":"{{}}"}}"#), "BodyInvalid: /variables it is of another type"),
        (format!(r#"{{{good},"variables":{{"x":1}}}}"#), "BodyInvalid: /variables there is a variable"),
        (format!(r#"{{{good},"operationName":""}}"#), "BodyInvalid: operationName there is no such"),
        (format!(r#"{{{good},"operationName":"A"}}"#), "BodyInvalid: operationName there is no such"),
        (format!("[{{{good}}}]"), "OperationTooLarge:  a list"),
        ("{}".into(), "BodyInvalid: /query it is missing"),
        (r#"{"query":7}"#.into(), "BodyInvalid: /query it is of another type"),
        (r#"{"query":""}"#.into(), "Body"),
        (r#"{"query":"{me{id}} {me{id}}"}"#.into(), "BodyInvalid: operationName there is more than one"),
        (r#"{"query":"{me{id}"}"#.into(), "BodyMalformed: query:"),
        (r#"{"query":"type Query { x: Int }"}"#.into(), "BodyInvalid: query only operations"),
        ("7".into(), "BodyInvalid"),
        (String::new(), "BodyMalformed"),
    ] {
        check_body(&graph, &body, expected);
    }
}

#[test]
fn a_query_may_come_by_get_and_nothing_else() {
    let graph = graph(|_| {});
    let get = |query: &str, expected: &str| {
        let found = outcome(&graph, &Method::GET, Some(query), "");
        assert!(found.starts_with(expected), "{query}\nfound {found}\nexpected {expected}");
    };
    get("query=%7Bme%7Bid%7D%7D", r#"query.me sends {"query":"{ me { id } }"}"#);
    get(
        "query=query+A(%24i:ID!)%7Buser(id:%24i)%7Bid%7D%7D&variables=%7B%22i%22:%222%22%7D",
        "query.user sends",
    );
    get("query=mutation%7Bnote(text:%22x%22)%7D", "MethodNotAllowed: a mutation by GET");
    get(
        "query=%7Bme%7Bid%7D%7D&query=%7Bme%7Bid%7D%7D",
        "ParameterInvalid: query a parameter is given twice",
    );
    get("query=%7Bme%7Bid%7D%7D&debug=1", "ParameterInvalid: query there is a parameter");
    get("query=%ff", "ParameterInvalid");
    get("query=%7Bme%7Bid%7D%7D&variables=x", "ParameterInvalid: variables");
    get("", "BodyInvalid: /query it is missing");
    let found = outcome(&graph, &Method::POST, Some("x=1"), r#"{"query":"{me{id}}"}"#);
    assert!(found.starts_with("ParameterInvalid"), "{found}");
}

#[test]
fn other_media_types_are_not_read() {
    let graph = graph(|_| {});
    for (media, encoding) in [
        ("text/plain", None),
        ("multipart/form-data; boundary=x", None),
        ("application/graphql", None),
        ("application/json; charset=utf-16", None),
        ("application/json; x=1", None),
        ("", None),
        ("application/json", Some("gzip")),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        if let Some(encoding) = encoding {
            headers.insert("content-encoding", HeaderValue::from_static(encoding));
        }
        let given =
            Given { method: &Method::POST, query: None, headers: &headers, body: br#"{"query":"{me{id}}"}"# };
        assert_eq!(graph.read(&given).unwrap_err().reason(), Some(Reason::MediaTypeUnsupported), "{media}");
    }
}

#[test]
fn the_schema_decides_what_exists() {
    let graph = graph(|_| {});
    for (document, expected) in [
        ("{ me { id secret } }", "BodyInvalid: query:1:11 "),
        ("{ user { id } }", "BodyInvalid: query:1:3 "),
        ("{ user(id: 1, x: 2) { id } }", "BodyInvalid"),
        ("{ user(id: {a: 1}) { id } }", "BodyInvalid"),
        ("{ orders(status: GONE) { id } }", "BodyInvalid"),
        ("{ me }", "BodyInvalid"),
        ("{ me { id { x } } }", "BodyInvalid"),
        (
            "{ me { ...F } } fragment F on User { ...F }",
            "BodyInvalid: query a fragment is spread within itself",
        ),
        (
            "{ me { ...F } } fragment F on User { ...G } fragment G on User { friends { ...F } }",
            "BodyInvalid",
        ),
        ("{ me { ...F } }", "BodyInvalid"),
        ("{ me { id } } fragment F on User { id }", "BodyInvalid"),
        ("query($x: Int) { me { id } }", "BodyInvalid"),
        ("query($x: Int) { user(id: $y) { id } }", "BodyInvalid"),
        ("{ me @nope { id } }", "BodyInvalid"),
        ("{ me { a: id a: name } }", "BodyInvalid"),
        ("subscription { orders { id } }", "BodyInvalid: query subscriptions are not carried"),
        ("{ nothing }", "BodyInvalid"),
        ("{ __schema { types { name } } }", "query.__schema sends"),
    ] {
        check(&graph, document, expected);
    }
    let variable = |kind: &str, value: Value| {
        let query = format!(
            "query($v: {kind}) {{ any(value: 1) orders(filter: {{}}) @include(if: true) {{ id }} x: any(value: $v) }}"
        );
        outcome(
            &graph,
            &Method::POST,
            None,
            &json!({ "query": query, "variables": { "v": value } }).to_string(),
        )
    };
    assert!(variable("Json", json!({ "free": [1] })).starts_with("query.any query.orders sends"));
    let query = "query($v: Filter) { orders(filter: $v) { id } }";
    for (value, expected) in [
        (json!({ "ownerId": "1" }), "query.orders sends"),
        (json!({ "ownerId": 1 }), "query.orders sends"),
        (json!({ "ownerId": true }), "BodyInvalid: /variables"),
        (json!({ "other": 1 }), "BodyInvalid: /variables"),
        (json!(7), "BodyInvalid: /variables"),
    ] {
        check_body(&graph, &json!({ "query": query, "variables": { "v": value } }).to_string(), expected);
    }
    let any = |value: &str| {
        format!(r#"{{"query":"query($v: Json) {{ any(value: $v) }}","variables":{{"v":{value}}}}}"#)
    };
    check_body(&graph, &any("18446744073709551615"), "query.any sends");
    check_body(&graph, &any("[{\"x\":18446744073709551616}]"), "BodyInvalid: /variables a number");
    check_body(&graph, &any("0.1"), "query.any sends");
    // What is wrong is told by kind and place, and in no words of the schema.
    let halt = {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = br#"{"query":"{ user { id } }"}"#;
        let asked =
            graph.read(&Given { method: &Method::POST, query: None, headers: &headers, body }).unwrap();
        let Err(Stop::Fault(fault)) = graph.judge(&asked, &caller(&[]), &headers, NOW) else {
            panic!("it is wrong")
        };
        assert!(fault.halt(false).reason().is_some());
        fault
    };
    assert_eq!(halt.violations[0].message, "an argument is missing");
    assert_eq!(halt.violations[0].at, "query:1:3");
}

#[test]
fn limits_hold_with_fragments_spread() {
    let graph = graph(|rules| {
        rules.limits =
            GraphLimits { depth: 4, aliases: 3, directives: 2, root_fields: 3, ..GraphLimits::default() };
        rules.limits.tokens = 300;
    });
    let too =
        |document: &str, what: &str| check(&graph, document, &format!("OperationTooLarge: query {what}"));
    check(&graph, "{ me { friends(first: 1) { friends(first: 1) { id } } } }", "query.me sends");
    too("{ me { friends(first: 1) { friends(first: 1) { friends { id } } } } }", "deeper than 4");
    too(
        "{ me { ...A } } fragment A on User { friends { ...B } } fragment B on User { friends { friends { id } } }",
        "deeper than 4",
    );
    check(&graph, "{ a: me { b: id c: id } }", "query.me sends");
    too("{ a: me { b: id c: id d: id } }", "aliases: more than 3");
    too("{ me { ...A ...A ...A ...A } } fragment A on User { a: id }", "aliases: more than 3");
    too("{ me { id @skip(if: false) @include(if: true) name @skip(if: false) } }", "directives: more than 2");
    too("{ a: me { id } b: me { id } c: me { id } me { id } }", "it asks for more than 3 root fields");
    too(
        "{ ...A } fragment A on Query { me { id } user(id: 1) { id } orders { id } page { total } }",
        "it asks for more than 3",
    );
    too(&format!("{{ me {{ {} }} }}", "id ".repeat(400)), "it has more than 300 tokens");
    too(&format!("{}id{}", "{ me ".repeat(70), "}".repeat(70)), "it");
    check_body(
        &graph,
        &json!({ "query": "query($v: Json) { any(value: $v) }", "variables": { "v": "x" } }).to_string(),
        "query.any sends",
    );
}

#[test]
fn cost_counts_lists_as_often_as_they_are_long() {
    let cost = |most: u64, document: &str| {
        let graph = graph(|rules| rules.limits.cost = most);
        !outcome(&graph, &Method::POST, None, &json!({ "query": document }).to_string())
            .contains("it costs more")
    };
    let costs = |document: &str, expected: u64| {
        assert!(cost(expected, document), "{document} costs no more than {expected}");
        assert!(!cost(expected - 1, document), "{document} costs {expected}");
    };
    costs("{ me { id name } }", 3);
    costs("{ orders { id } }", 11);
    costs("{ orders(first: 3) { id total } }", 7);
    costs("{ orders(first: 3) { items { name } } }", 1 + 3 * (1 + 3));
    costs("{ search(text: \"x\") { __typename } }", 60);
    costs("{ page(first: 5) { edges { node { id } } } }", 1 + 1 + 5 * (1 + 1));
    costs("{ page(first: 5) { ...C } } fragment C on Connection { edges { node { id } } }", 12);
    costs("{ page { edges { node { id } } } }", 22);
    costs("query($n: Int = 4) { orders(first: $n) { id } }", 5);
    let bomb = "{ me { ...A } } fragment A on User { friends(first: 90) { ...B ...B } } \
                fragment B on User { friends(first: 90) { ...C ...C } } fragment C on User { friends(first: 90) { id } }";
    assert!(!cost(1_000_000, bomb));
    let huge = "{ orders(first: 99999999999999999999) { id } }";
    assert!(
        !outcome(&graph(|_| {}), &Method::POST, None, &json!({ "query": huge }).to_string())
            .contains("sends")
    );
    let graph = graph(|_| {});
    let variables =
        json!({ "query": "query($n: Int) { orders(first: $n) { id } }", "variables": { "n": 5000 } });
    check_body(&graph, &variables.to_string(), "OperationTooLarge: query it costs more than 1000");
}

#[test]
fn batches_are_bounded_and_cost_together() {
    let graph = graph(|rules| {
        rules.limits.batch = 2;
        rules.limits.cost = 20;
    });
    let one = r#"{"query":"{me{id}}"}"#;
    check_body(
        &graph,
        &format!("[{one},{one}]"),
        r#"query.me sends [{"query":"{ me { id } }"},{"query":"{ me { id } }"}]"#,
    );
    check_body(&graph, one, "query.me sends {");
    check_body(&graph, &format!("[{one},{one},{one}]"), "OperationTooLarge:  a list of 1 to 2");
    check_body(&graph, "[]", "OperationTooLarge");
    check_body(&graph, &format!("[{one},7]"), "BodyInvalid");
    let dear = r#"{"query":"{orders{id}}"}"#;
    check_body(&graph, dear, "query.orders sends");
    check_body(&graph, &format!("[{dear},{dear}]"), "OperationTooLarge: query it costs");
    check_body(
        &graph,
        &format!(r#"[{one},{{"query":"mutation{{note(text:\"x\")}}"}}]"#),
        "query.me mutation.note sends",
    );
}

#[test]
fn objects_are_the_callers_own_at_any_depth() {
    let graph = graph(|rules| {
        rules.bound = vec![
            bound("userId", &[], &[]),
            bound("input.userId", &[], &["role:manager"]),
            bound("id", &["Query.user"], &[]),
            bound("filter.ownerId", &[], &["role:clerk"]),
        ];
    });
    check(&graph, "{ orders(userId: \"u1\") { id } }", "query.orders sends");
    check(&graph, "{ orders(userId: \"u2\") { id } }", "Foreign: object rule `userId`: the parameter is not");
    check(&graph, "{ orders { id } }", "Foreign: object rule `userId`: the operation declares");
    check(&graph, "{ orders(userId: null) { id } }", "Foreign: object rule `userId`: the operation declares");
    check(&graph, "{ user(id: \"u1\") { id } }", "query.user sends");
    check(&graph, "{ user(id: \"u2\") { id } }", "Foreign");
    check(&graph, "{ a: user(id: \"u1\") { id } b: user(id: \"u2\") { id } }", "Foreign");
    check(&graph, "{ ...A } fragment A on Query { user(id: \"u2\") { id } }", "Foreign");
    check(&graph, "{ user(id: \"u2\") @skip(if: true) { id } }", "Foreign");
    check(&graph, "{ node(id: \"u2\") { id } }", "query.node sends");
    let cancel = |user: Value| {
        let query = "mutation($i: CancelInput!) { cancelOrder(input: $i) { id } }";
        json!({ "query": query, "variables": { "i": { "orderId": "9", "userId": user } } }).to_string()
    };
    check_body(&graph, &cancel(json!("u1")), "mutation.cancelOrder sends");
    check_body(&graph, &cancel(json!("u2")), "Foreign: object rule `input.userId`");
    let query = "query($u: ID = \"u2\") { orders(userId: $u) { id } }";
    check(&graph, query, "Foreign");
    check_body(
        &graph,
        &json!({ "query": query, "variables": { "u": "u1" } }).to_string(),
        "query.orders sends",
    );
    check_body(&graph, &json!({ "query": query, "variables": { "u": null } }).to_string(), "Foreign");
}

#[test]
fn facts_are_the_arguments_with_their_defaults() {
    let graph = graph(|_| {});
    let facts = |body: Value| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.to_string();
        let given = Given { method: &Method::POST, query: None, headers: &headers, body: body.as_bytes() };
        graph.read(&given).unwrap().calls[0].roots[0].facts.clone()
    };
    assert_eq!(
        facts(json!({ "query": "{ orders(userId: 7, first: 2) { id } }" })),
        "userId=7&first=2&status=OPEN"
    );
    let query = "query($s: Status, $f: Filter) { orders(status: $s, filter: $f) { id } }";
    assert_eq!(facts(json!({ "query": query })), "status=OPEN");
    let variables = json!({ "s": "CLOSED", "f": { "ownerId": "a&b=c", "not": { "text": "t" } } });
    assert_eq!(
        facts(json!({ "query": query, "variables": variables })),
        "status=CLOSED&filter%2EownerId=a%26b%3Dc&filter%2Enot%2Etext=t"
    );
    let any = json!({ "query": "{ any(value: {a: 1}) }" });
    assert_eq!(facts(any), "value=%7B%7D");
    let search = json!({ "query": "{ search(text: \"a\", tags: [\"b\", \"c\"]) { __typename } }" });
    assert_eq!(facts(search), "text=a&tags=b&tags=c");
}

#[test]
fn names_that_nobody_declared_are_cut_short() {
    let graph = graph(|_| {});
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = json!({ "query": format!("{{ {} }}", "x".repeat(9_000)) }).to_string();
    let given = Given { method: &Method::POST, query: None, headers: &headers, body: body.as_bytes() };
    let asked = graph.read(&given).unwrap();
    assert_eq!(asked.calls[0].roots[0].field, None);
    assert_eq!(asked.fields(), [format!("query.{}", "x".repeat(64))]);
}

#[test]
fn only_listed_operations_pass_where_that_is_written() {
    let mut graph = graph(|rules| rules.listed_only = true);
    let text = "# The caller.\nquery Me { me { id } }\n";
    graph.list(text).unwrap();
    assert_eq!(graph.listed(), 1);
    check(&graph, "query Me { me { id, } }", "query.me sends");
    check(&graph, "query Me { me { id name } }", "OperationUnlisted");
    check(&graph, "query You { me { id } }", "OperationUnlisted");
    let hash =
        |text: &str| envelope::sha256(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let persisted =
        |hash: &str| json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
    check_body(&graph, &persisted(&hash(text)).to_string(), "query.me sends");
    check_body(&graph, &persisted(&hash(text.trim())).to_string(), "query.me sends");
    check_body(&graph, &persisted(&hash("x")).to_string(), "OperationUnlisted");
    check_body(&graph, &persisted("12").to_string(), "BodyInvalid");
    let mut both = persisted(&hash(text));
    both["query"] = json!("{ me { name } }");
    check_body(&graph, &both.to_string(), "BodyInvalid: /extensions/persistedQuery it is not the hash");
    // What is listed is held to the schema and the limits at once.
    assert_eq!(graph.list("{ me { gone } }").unwrap_err()[0].span.start, 7);
    assert!(graph.list("{ me {").is_err());
    let deep = format!("{{ me {{ {} id {} }} }}", "friends {".repeat(20), "}".repeat(20));
    assert!(graph.list(&deep).unwrap_err()[0].message.contains("deeper than"));
}

#[test]
fn a_document_is_kept_when_it_was_judged() {
    let graph = graph(|_| {});
    let text = "{ me { id } }";
    check(&graph, text, "query.me sends");
    assert!(graph.documents.get(text).is_some());
    check(&graph, text, "query.me sends");
    let wrong = "{ me { wrong } }";
    check(&graph, wrong, "BodyInvalid");
    assert!(graph.documents.get(wrong).is_none());
}

#[test]
fn a_wrong_schema_is_told_with_its_place() {
    let sdl = "type Query {\n  a: Missing\n}\n";
    let problems = Graph::compile(sdl, GraphRules::default()).unwrap_err();
    assert_eq!(sdl.get(problems[0].span.clone()), Some("Missing"), "{problems:?}");
    assert!(Graph::compile("type Query {", GraphRules::default()).is_err());
    assert!(Graph::compile("", GraphRules::default()).is_err());
}

/// What becomes of an answer to a document: left as it is, rewritten, or refused.
fn answered(graph: &Graph, sent: &str, body: &str, strips: bool) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let given = Given { method: &Method::POST, query: None, headers: &headers, body: sent.as_bytes() };
    let asked = graph.read(&given).unwrap();
    let judged = graph.judge(&asked, &caller(&[]), &headers, NOW).unwrap();
    match graph.check_answer(&judged.expected(), body.as_bytes(), strips) {
        Ok(None) => "as it is".to_owned(),
        Ok(Some(body)) => String::from_utf8(body).unwrap(),
        Err(all) => {
            all.iter().map(|one| format!("{}: {}", one.at, one.message)).collect::<Vec<_>>().join("; ")
        }
    }
}

#[test]
fn answers_show_what_was_asked_for() {
    let graph = graph(|rules| rules.limits.batch = 2);
    let query = "{ me { id name f: friends { ...F } tags } orders { total items { name } } search(text: \"x\") \
                 { __typename ... on Order { total } ... on User { name } } any } fragment F on User { id }";
    let sent = json!({ "query": query }).to_string();
    let check =
        |body: &str, expected: &str| assert_eq!(answered(&graph, &sent, body, false), expected, "{body}");
    let fine = "as it is";
    let not_asked = |at: &str| format!("{at}: there is a field that nobody asked for");
    check(r#"{"data":{"me":{"id":"1","name":"n","f":[{"id":2}],"tags":["a"]}}}"#, fine);
    check(
        r#"{"data":{"orders":[{"total":1,"items":[]},{"total":1.5,"items":[{"name":"n"}]}],"any":{"free":1}}}"#,
        fine,
    );
    check(r#"{"data":null,"errors":[{"message":"m","path":["a",1]}],"extensions":{}}"#, fine);
    check(r#"{"errors":[{"message":"m"}]}"#, fine);
    check(r#"{"data":{"me":{"id":"1","email":"e"}}}"#, &not_asked("/data/me"));
    check(r#"{"data":{"me":{"friends":[]}}}"#, &not_asked("/data/me"));
    check(r#"{"data":{"me":{"f":[{"id":"1","name":"n"}]}}}"#, &not_asked("/data/me/f/0"));
    check(r#"{"data":{"admin":true}}"#, &not_asked("/data"));
    check(r#"{"data":{"me":{"id":true}}}"#, "/data/me/id: it is of another type");
    check(r#"{"data":{"me":{"id":null}}}"#, "/data/me/id: it may not be null");
    check(r#"{"data":{"me":{"tags":"a"}}}"#, "/data/me/tags: a list is expected");
    check(r#"{"data":{"me":{"tags":["a",null]}}}"#, "/data/me/tags/1: it may not be null");
    check(r#"{"data":{"me":"x"}}"#, "/data/me: it is of another type");
    check(r#"{"data":{"search":[{"__typename":"Order","total":1}]}}"#, fine);
    check(r#"{"data":{"search":[{"__typename":"Order","name":"n"}]}}"#, &not_asked("/data/search/0"));
    check(r#"{"data":{"search":[{"__typename":"Gone","name":"n"}]}}"#, fine);
    check("{}", ": there is neither `data` nor `errors`");
    check("[]", ": it is not what operations are answered with");
    check(r#"{"data":[]}"#, "/data: it is of another type");
    check(r#"{"data":{},"debug":1}"#, ": there is a member that a result does not have");
    check(r#"{"errors":[]}"#, "/errors: each error has a message");
    check(r#"{"errors":[{"text":"m"}]}"#, "/errors: each error has a message");
    check(r#"{"data":{},"data":{}}"#, ": duplicate key at byte 11");
    check("<html>", ": unexpected character at byte 0");
    let strip =
        |body: &str, expected: &str| assert_eq!(answered(&graph, &sent, body, true), expected, "{body}");
    strip(r#"{"data":{"me":{"id":"1"}}}"#, fine);
    strip(
        r#"{"data":{"me":{"id":"1","email":"e","f":[{"id":"2","x":{}}]}},"debug":1,"extensions":{"t":1},"errors":[{"message":"m","stack":"s","extensions":{"e":1}}]}"#,
        r#"{"data":{"me":{"id":"1","f":[{"id":"2"}]}},"errors":[{"message":"m"}]}"#,
    );
    strip(r#"{"data":{"me":{"id":null,"x":1}}}"#, "/data/me/id: it may not be null");
    let batch = json!([{ "query": "{ me { id } }" }, { "query": "{ me { name } }" }]).to_string();
    let check =
        |body: &str, expected: &str| assert_eq!(answered(&graph, &batch, body, false), expected, "{body}");
    check(r#"[{"data":{"me":{"id":"1"}}},{"data":{"me":{"name":"n"}}}]"#, fine);
    check(r#"[{"data":{"me":{"id":"1"}}},{"data":{"me":{"id":"n"}}}]"#, &not_asked("/1/data/me"));
    check(r#"[{"data":{"me":{"id":"1"}}}]"#, ": it is not what operations are answered with");
    check(r#"{"errors":[{"message":"m"}]}"#, fine);
    check(r#"{"data":{"me":{"id":"1"}}}"#, "/data: no data was asked for");
    check("[7,{}]", "/0: an object is expected; /1: there is neither `data` nor `errors`");
}

#[test]
fn long_and_nested_input_ends_in_a_refusal() {
    let graph = graph(|rules| rules.limits.tokens = 20_000);
    for (open, close, count) in [
        ("{a", "}", 9_000),
        ("{ me(x: [", "])}", 5_000),
        ("{ any(value: [", "", 5_000),
        ("{ any(value: ", "", 5_000),
        ("query($v: ", "", 5_000),
        ("query($v: [", "]", 5_000),
        ("... {", "}", 9_000),
        ("[", "]", 9_000),
        ("{ any(value: {a: ", "}", 5_000),
        ("\"\"\"", "", 9_000),
        ("@a(b: [", "", 5_000),
    ] {
        let text = format!("{}{}", open.repeat(count), close.repeat(count));
        assert!(
            !outcome(&graph, &Method::POST, None, &json!({ "query": text }).to_string()).contains("sends")
        );
        let nested = format!("{{ any(value: {}1{}) }}", "[".repeat(count), "]".repeat(count));
        assert!(
            !outcome(&graph, &Method::POST, None, &json!({ "query": nested }).to_string()).contains("sends")
        );
    }
    let chain: String = (0..190).map(|n| format!("fragment F{n} on User {{ ...F{} }} ", n + 1)).collect();
    let chain = format!("{{ me {{ ...F0 }} }} {chain} fragment F190 on User {{ id }}");
    check(&graph, &chain, "OperationTooLarge: query fragments are spread too deeply");
    let many: String = (0..300).map(|n| format!("fragment F{n} on User {{ id }} ")).collect();
    check(
        &graph,
        &format!("{{ me {{ id }} }} {many}"),
        "OperationTooLarge: query it has more than 200 fragments",
    );
    // Spread twice each, this would be 2^60 fields.
    let doubling: String =
        (0..60).map(|n| format!("fragment F{n} on User {{ ...F{m} ...F{m} }} ", m = n + 1)).collect();
    let doubling = format!("{{ me {{ ...F0 }} }} {doubling} fragment F60 on User {{ id }}");
    check(&graph, &doubling, "OperationTooLarge: query it costs more than");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is sent has an end without a panic.
    #[test]
    fn any_document_has_an_outcome(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("{"), Just("}"), Just("("), Just(")"), Just("["), Just("]"), Just("..."), Just("on"), Just(" me "),
                Just(" id "), Just("$"), Just("@"), Just("\""), Just("\"\"\""), Just(":"), Just(" 1 "), Just("fragment F "),
                Just("query "), Just("mutation "), Just("\\u"), Just("é"), Just("#"), Just("\n"), Just("!"), Just(" User "),
                Just("user(id: 1)"), Just(" F "), Just("-"), Just("1e9"), Just("|"), Just("&"), Just("="),
            ],
            0..60,
        )
    ) {
        let graph = graph(|_| {});
        let text = parts.concat();
        let _ = outcome(&graph, &Method::POST, None, &json!({ "query": text }).to_string());
    }

    /// What is sent is read again as what was judged.
    #[test]
    fn what_is_sent_means_what_was_judged(name in "[a-z]{1,8}", text in "\\PC{0,20}", number in any::<i32>()) {
        let graph = graph(|_| {});
        let query = format!(
            "query {name}($v: Json) {{ any(value: $v) search(text: {}) {{ __typename }} orders(first: {}) {{ id }} }}",
            json!(text), number.clamp(0, 50)
        );
        let body = json!({ "query": query, "variables": { "v": text } }).to_string();
        let once = outcome(&graph, &Method::POST, None, &body);
        let (_, sent) = once.split_once(" sends ").expect(&once);
        let twice = outcome(&graph, &Method::POST, None, sent);
        prop_assert_eq!(&once, &twice);
        let sent: Value = serde_json::from_str(sent).unwrap();
        prop_assert_eq!(&sent["variables"]["v"], &json!(text));
    }
}

#[test]
fn what_was_waived_for_a_while_is_closed_when_that_is_over() {
    let query = r#"{"query":"{ user(id: 7) { name } me { name } }"}"#;
    let inner = r#"{"query":"{ me { ...f } } fragment f on User { friends { name } }"}"#;
    for (field, until, query, expected) in [
        ("Query.user", NOW + 1, query, "query.user query.me sends"),
        ("Query.user", NOW, query, "Foreign: object rule `id`: its waiver has ended"),
        ("Query.node", NOW, query, "query.user query.me sends"),
        ("User.friends", NOW + 1, inner, "query.me sends"),
        ("User.friends", NOW, inner, "Foreign: object rule `id`: its waiver has ended"),
    ] {
        let mut graph = graph(|_| {});
        graph.waive(vec![WaivedArgument { argument: "id".into(), field: field.into(), until }]);
        check_body(&graph, query, expected);
    }
}
