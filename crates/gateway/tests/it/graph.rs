//! Graphs, end to end: what is asked for in a body is allowed, bounded and rebuilt.

use std::fs;
use std::path::Path;

use portcullis_gateway::config::Format;
use portcullis_gateway::server::check;
use serde_json::{Value, json};

use crate::support::{Answer, Files, Gate, stopped_at};

const SDL: &str = r#"
type Query {
  me: User!
  user(id: ID!): User
  orders(userId: ID, first: Int): [Order!]!
  secret: String
}
type Mutation { cancelOrder(id: ID!): Order! note(text: String!): String }
type User { id: ID! friends(first: Int): [User!]! }
type Order { id: ID! owner: User! note: String }
"#;

const POLICY: &str = r#"
@id("read") permit (principal is User, action in [Action::"shop.query.me", Action::"shop.query.orders", Action::"shop.mutation.note"], resource);
@id("own") permit (principal is User, action == Action::"shop.query.user", resource)
  when { context.query has id && context.query.id == principal.subject };
"#;

async fn gate(more: &str) -> Gate {
    let rest = format!(
        "graphs:\n  shop:\n    schema: shop.graphql\n    upstream: \"http://UPSTREAM/api\"\n    identify: corp\n    \
         objects: [{{ argument: userId, owner: \"claim:sub\" }}]\n    waive: [{{ argument: id, reason: policy }}]\n{more}"
    );
    let gate = Gate::start_with(Files::of(&rest, "", POLICY), |folder| {
        fs::write(folder.join("shop.graphql"), SDL).unwrap();
        fs::create_dir(folder.join("operations")).unwrap();
        fs::write(folder.join("operations/me.graphql"), "query Me { me { id } }").unwrap();
    });
    let gate = gate.await;
    gate.upstream.answers("200 OK", "content-type: application/json", r#"{"data":{}}"#);
    gate
}

/// Sends a body as the caller `u1`.
async fn post(gate: &Gate, body: &str) -> Answer {
    let token = gate.issuer.token("u1");
    let length = body.len();
    gate.ask(&format!(
        "POST /graphql HTTP/1.1\nHost: h\nAuthorization: Bearer {token}\nContent-Type: application/json\n\
         Content-Length: {length}\n\n{body}"
    ))
    .await
}

async fn ask(gate: &Gate, query: &str) -> Answer {
    post(gate, &json!({ "query": query }).to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_judged_is_sent_and_recorded() {
    let gate = gate("").await;
    gate.upstream.answers("200 OK", "content-type: application/json", r#"{"data":{"me":{"id":"u1"}}}"#);
    let body = r#"{ "variables": {"f": 2}, "query": "query A($f: Int) { me { id } # x\n orders(userId: \"u1\", first: $f) { id } }", "operationName": "A" }"#;
    let answer = post(&gate, body).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"data":{"me":{"id":"u1"}}}"#));
    let seen = &gate.upstream.seen()[0];
    assert_eq!(seen.first_line(), "POST /api HTTP/1.1");
    let sent = r#"{"query":"query A($f: Int) { me { id } orders(userId: \"u1\", first: $f) { id } }","operationName":"A","variables":{"f":2}}"#;
    assert_eq!(std::str::from_utf8(&seen.body).unwrap(), sent);
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert!(seen.header("authorization").is_empty());
    let records = gate.stop().await;
    assert_eq!(records[0]["operation"], "query.me+query.orders");
    assert_eq!(records[0]["policies"], json!(["read"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_by_get_is_sent_on_as_any_other() {
    let gate = gate("").await;
    let token = gate.issuer.token("u1");
    let get = async |query: &str| {
        gate.ask(&format!("GET /graphql?query={query} HTTP/1.1\nHost: h\nAuthorization: Bearer {token}\n\n"))
            .await
    };
    assert_eq!(get("%7Bme%7Bid%7D%7D").await.status, 200);
    let seen = &gate.upstream.seen()[0];
    assert_eq!(seen.first_line(), "POST /api HTTP/1.1");
    assert_eq!(seen.body, br#"{"query":"{ me { id } }"}"#);
    let answer = get("mutation%7Bnote(text:%22x%22)%7D").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("post")));
    assert_eq!(gate.upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_pass_does_not_reach_the_upstream() {
    let gate = gate("    limits: { depth: 4, aliases: 3, cost: 200 }\n").await;
    let friends = "{ me { friends(first: 9) { friends(first: 9) { friends(first: 9) { id } } } } }";
    for (query, status, code, phase) in [
        // Functions: each root field must be allowed, through whatever it is written.
        ("{ secret }", 403, "forbidden", "authorize"),
        ("{ me { id } secret }", 403, "forbidden", "authorize"),
        ("{ me { id } ...F } fragment F on Query { me: secret }", 403, "forbidden", "authorize"),
        ("mutation { cancelOrder(id: 1) { id } }", 403, "forbidden", "authorize"),
        ("{ gone }", 403, "forbidden", "authorize"),
        ("{ __schema { types { name } } }", 403, "forbidden", "authorize"),
        ("{ me { id } __type(name: \"User\") { name } }", 403, "forbidden", "authorize"),
        ("{ __typename }", 403, "forbidden", "authorize"),
        // Objects.
        ("{ user(id: \"u2\") { id } }", 403, "forbidden", "authorize"),
        ("{ a: user(id: \"u1\") { id } b: user(id: \"u2\") { id } }", 403, "forbidden", "authorize"),
        ("{ orders(userId: \"u2\") { id } }", 403, "forbidden", "authorize"),
        ("{ orders { id } }", 403, "forbidden", "authorize"),
        // Limits and schema.
        (friends, 422, "operation_too_large", "validate"),
        ("{ me { a: id b: id c: id d: id } }", 422, "operation_too_large", "validate"),
        ("{ me { friends(first: 300) { id } } }", 422, "operation_too_large", "validate"),
        ("{ me { ...F } } fragment F on User { ...F }", 422, "invalid_body", "validate"),
        ("{ me { gone } }", 422, "invalid_body", "validate"),
        ("{ me { id(x: 1) } }", 422, "invalid_body", "validate"),
        ("subscription { orders { id } }", 422, "invalid_body", "validate"),
        ("{ me {", 400, "malformed_body", "validate"),
    ] {
        let answer = ask(&gate, query).await;
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["extensions"]["code"]),
            (status, &json!(code)),
            "{query}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let id = answer.json()["errors"][0]["extensions"]["id"].clone();
        let record = gate.records(1).await.into_iter().find(|one| one["id"] == id);
        let record = match record {
            Some(record) => record,
            None => {
                crate::support::until("the record", async || {
                    gate.records_now().into_iter().find(|one| one["id"] == id)
                })
                .await
            }
        };
        assert_eq!(stopped_at(&record).0, phase, "{query}");
        if query == "{ me { id } secret }" {
            assert_eq!(record["operation"], "query.me+query.secret");
            assert_eq!(record["detail"], "`query.secret`: no policy allows the call");
        }
    }
    let one = r#"{"query":"{me{id}}"}"#;
    for (body, status) in [
        (format!("[{one},{one}]"), 422),
        (r#"{"query":"{me{id}}","query":"{secret}"}"#.to_owned(), 400),
        (r#"{"query":"{me{id}}","operations":1}"#.to_owned(), 422),
        (r#"{"query":"{me{id}}","variables":{"x":1}}"#.to_owned(), 422),
        (format!(r#"{{"query":"{{ me {{ id }} }} {}"}}"#, "#".repeat(300_000)), 413),
        (format!(r#"{{"query":"{}"}}"#, "{me".repeat(20_000)), 422),
    ] {
        assert_eq!(post(&gate, &body).await.status, status, "{}", body.get(..60).unwrap_or(&body));
    }
    assert_eq!(gate.upstream.count(), 0);
    assert_eq!(ask(&gate, "{ user(id: \"u1\") { id } }").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_tells_places_and_nothing_of_the_schema() {
    let gate = gate("").await;
    let answer = ask(&gate, "{ user(id: \"u1\") { id }\n user(x: 1) { id } }").await;
    assert_eq!(answer.status, 403);
    let answer = ask(&gate, "{\n  me { idd }\n}").await;
    let error = &answer.json()["errors"][0];
    assert_eq!(error["locations"], json!([{ "line": 2, "column": 8 }]));
    assert_eq!(error["message"], "there is no such field");
    assert!(!answer.text().contains("User"));
    for path in ["/graphql/", "/graphql/x", "/graphqlx", "/"] {
        assert_eq!(gate.get(path).await.status, 404, "{path}");
    }
    let answer = gate.ask("DELETE /graphql HTTP/1.1\nHost: h\n\n").await;
    assert_eq!(answer.status, 405);
    assert_eq!(gate.get("/graphql?query=%7Bme%7Bid%7D%7D").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listed_operations_pass_by_their_hash_and_others_do_not() {
    let gate = gate("    operations: \"operations/*.graphql\"\n").await;
    assert_eq!(ask(&gate, "query Me { me { id } }").await.status, 200);
    let answer = ask(&gate, "query Me { me { id friends { id } } }").await;
    assert_eq!(
        (answer.status, &answer.json()["errors"][0]["extensions"]["code"]),
        (403, &json!("operation_unlisted"))
    );
    // The SHA-256 of `query Me { me { id } }`.
    let hash = "2e3e49f19828396c35f7f9415f5558239d37f5d85b674851f58bf43337f5aaab";
    let by_hash = |hash: &str| {
        json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } }).to_string()
    };
    assert_eq!(post(&gate, &by_hash(hash)).await.status, 200);
    assert_eq!(post(&gate, &by_hash(&"0".repeat(64))).await.status, 403);
    let seen = gate.upstream.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detectors_read_variables_literals_and_answers() {
    let gate = gate("    inspect: { pii: redact }\n    screen: { pii: redact }\n").await;
    let query = "mutation($t: String!) { note(text: $t) }";
    let body = json!({ "query": query, "variables": { "t": "to ann@example.com" } }).to_string();
    gate.upstream.answers(
        "200 OK",
        "content-type: application/json",
        r#"{"data":{"note":"bob@example.com"}}"#,
    );
    let answer = post(&gate, &body).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"data":{"note":"[email]"}}"#));
    let sent: Value = serde_json::from_slice(&gate.upstream.seen()[0].body).unwrap();
    assert_eq!(sent["variables"], json!({ "t": "to [email]" }));
    let answer = ask(&gate, r#"mutation { note(text: "to ann\u0040example.com") }"#).await;
    assert_eq!(
        (answer.status, &answer.json()["errors"][0]["extensions"]["code"]),
        (403, &json!("content_blocked"))
    );
    assert_eq!(gate.upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_results_of_what_was_asked_for() {
    const JSON: &str = "content-type: application/json";
    let all = [
        (JSON, r#"{"data":{"me":{"id":"u1"}}}"#, 200, None),
        ("content-type: application/graphql-response+json", r#"{"errors":[{"message":"m"}]}"#, 200, None),
        (JSON, r#"{"data":{"me":{"id":"u1","mail":"x"}}}"#, 502, Some(r#"{"data":{"me":{"id":"u1"}}}"#)),
        (JSON, r#"{"data":{"me":{"id":"u1"}},"debug":{}}"#, 502, Some(r#"{"data":{"me":{"id":"u1"}}}"#)),
        (JSON, r#"{"data":{"me":{"id":true}}}"#, 502, None),
        (JSON, "{}", 502, None),
        (JSON, "[]", 502, None),
        (JSON, "", 502, None),
        ("content-type: text/html", "<html>", 502, None),
        ("content-type: multipart/mixed; boundary=-", "---", 502, None),
        ("content-type: text/event-stream", "data: {}\n\n", 502, None),
    ];
    let (strict, strip) = (gate("").await, gate("    answers: strip\n").await);
    for (headers, body, status, stripped) in all {
        strict.upstream.answers("200 OK", headers, body);
        let answer = ask(&strict, "{ me { id } }").await;
        assert_eq!(answer.status, status, "{headers} {body}");
        if status == 200 {
            assert_eq!(answer.text(), body);
        }
        strip.upstream.answers("200 OK", headers, body);
        let answer = ask(&strip, "{ me { id } }").await;
        match stripped {
            Some(stripped) => assert_eq!((answer.status, answer.text()), (200, stripped)),
            None => assert_eq!(answer.status, status, "{headers} {body}"),
        }
    }
}

/// What `check` says of a graph with these lines, and its matrix.
fn said(more: &str, sdl: &str, operation: &str) -> (String, Option<String>) {
    let folder = tempfile::TempDir::new().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let lines: String = more.lines().map(|line| format!("    {line}\n")).collect();
    put(
        "portcullis.yaml",
        &format!(
            "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:0\" }} }}\n\
             identity: {{ issuers: {{ corp: {{ issuer: \"https://i.test\", audience: a, jwks: \"file:jwks.json\" }} }} }}\n\
             policy: {{ roles: roles.yaml }}\ngraphs:\n  shop:\n    schema: shop.graphql\n    \
             upstream: \"http://127.0.0.1:1\"\n    identify: corp\n{lines}"
        ),
    );
    put("jwks.json", &crate::support::Issuer::new().jwks().to_string());
    put("shop.graphql", sdl);
    put("me.graphql", operation);
    put(
        "roles.yaml",
        "version: 1\nroles: { reader: { held_by: { group: reader }, may: [shop.read] }, writer: { held_by: { group: w }, may: \
         [shop.mutation.note] } }",
    );
    let checked = check(Path::new(&folder.path().join("portcullis.yaml")));
    let said = checked.diagnostics.render(Format::Text { colours: false });
    let said = said.replace(&format!("{}/", folder.path().display()), "");
    (said, checked.matrix.map(|matrix| serde_json::to_string(&matrix).unwrap()))
}

#[test]
fn what_is_wrong_with_a_graph_is_said_with_its_place() {
    let check = |more: &str, expected: &[&str]| {
        let (said, _) = said(more, SDL, "{ me { id } }");
        assert_eq!(said.is_empty(), expected.is_empty(), "{more}: {said}");
        for text in expected {
            assert!(said.contains(text), "{more}\n{text}\n{said}");
        }
    };
    let bound =
        "objects: [{ argument: userId, owner: \"claim:sub\" }, { argument: id, owner: \"claim:sub\" }]";
    let with = |more: &str| format!("{bound}\n{more}");
    check(bound, &[]);
    check(&with("operations: me.graphql"), &[]);
    check(
        "",
        &[
            "shop.graphql:4:8: error: `id` names an object and is bound to no owner in `Query.user`, `Mutation.cancelOrder`",
            "shop.graphql:5:10: error: `userId` names an object and is bound to no owner in `Query.orders`",
            "bind it in `objects` of `shop`",
        ],
    );
    check("unbound: allow", &["warning: what names an object is not bound to its owner: `id`, `userId`"]);
    let waive = |more: &str| {
        format!(
            "objects: [{{ argument: userId, owner: \"claim:sub\" }}]\nwaive: [{{ argument: id, reason: r{more} }}]"
        )
    };
    check(&waive(""), &[]);
    check(&waive(", until: 9999-01-01"), &[]);
    check(&waive(", until: 2020-01-01"), &["the waiver of `id` ended on 2020-01-01", "`id` names an object"]);
    check(&waive(", until: soon"), &["this is not a day"]);
    check(&waive(", fields: [Query.user]"), &["bound to no owner in `Mutation.cancelOrder`"]);
    check(&waive(", fields: [Query.users]"), &["the schema has no field `Query.users`"]);
    check(&with("waive: [{ argument: id, reason: r }]"), &["warning: nothing needs this waiver of `id`"]);
    check(&with("waive: [{ argument: id }]"), &["`reason` is missing"]);
    check(&with("waive: [{ argument: idd, reason: r }]"), &["no field of the schema has an argument `idd`"]);
    check("objects: [{ argument: userId, owner: \"response:/id\" }]", &["does not say whose it is"]);
    check(&with("path: /"), &["a graph has one path"]);
    check(&with("budgets: [{ per: address, limit: 1/s, operations: [me] }]"), &["budgets are taken before"]);
    check(&with("unlisted: refuse"), &["no operation is listed"]);
    check(&with("limits: { depth: 0 }"), &["depth"]);
    check(&with("limits: { dept: 3 }"), &["unknown key `dept`", "did you mean `depth`?"]);
    check(&with("introspection: maybe"), &["introspection"]);
    let listed = said(&with("operations: \"*e.graphql\""), SDL, "query Me {\n  me { id gone }\n}\n").0;
    assert!(listed.contains("me.graphql:2:11: error: "), "{listed}");
    let deep = said(&with("operations: me.graphql\nlimits: { depth: 1 }"), SDL, "{ me { id } }").0;
    assert!(deep.contains("me.graphql:1:1: error: query deeper than 1"), "{deep}");
    let broken = said(bound, "type Query {\n  me: Usr\n}\n", "").0;
    assert!(broken.contains("shop.graphql:2:7: error: "), "{broken}");
    let broken = said(bound, "type Query {\n  me: \n}\n", "").0;
    assert!(broken.contains("shop.graphql:3:1: error: "), "{broken}");
}

#[test]
fn the_matrix_shows_root_fields() {
    let (said, matrix) = said("unbound: allow\nintrospection: allow", SDL, "");
    let matrix = matrix.expect(&said);
    for action in ["shop.query.me", "shop.query.__schema", "shop.mutation.note"] {
        assert!(matrix.contains(&format!("{action:?}")), "{matrix}");
    }
    assert!(
        matrix.contains("role:reader/shop.read") && matrix.contains("role:writer/shop.mutation.note"),
        "{matrix}"
    );
}
