//! Whose objects are: what the request, the answer, a probe, the gate's memory and another server prove, and what
//! comes of it when they do not.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::{Answer, Files, Gate, Piece, Upstream, stopped_at};

const CONTRACT: &str = r##"openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /things:
    get:
      operationId: listThings
      responses: { default: { description: any } }
    post:
      operationId: makeThing
      requestBody: { content: { application/json: {} } }
      responses: { default: { description: any } }
  /things/{thingId}:
    parameters: [{ name: thingId, in: path, required: true, schema: { type: string } }]
    get:
      operationId: readThing
      parameters: [{ name: thingId, in: query, schema: { type: string } }]
      responses: { default: { description: any } }
    head: { operationId: headThing, responses: { default: { description: any } } }
    put:
      operationId: putThing
      requestBody: { content: { application/json: { schema: { type: object, properties: { thingId: { type: string }, name: { type: string } } } } } }
      responses: { default: { description: any } }
    delete: { operationId: dropThing, responses: { default: { description: any } } }
  /things/{thingId}/touch:
    parameters:
      - { name: thingId, in: path, required: true, schema: { type: string } }
      - { name: X-Thing-Id, in: header, schema: { type: string } }
    post: { operationId: touchThing, responses: { default: { description: any } } }
"##;

const POLICY: &str = "@id(\"all\") permit (principal, action, resource);";

/// One API with these lines under it.
fn files(more: &str, top: &str) -> Files {
    let more: String = more.lines().map(|line| format!("    {line}\n")).collect();
    let config = format!(
        "{top}\napis:\n  shop:\n    contract: contract.yaml\n    base_path: /api\n    \
         upstream: {{ url: \"http://UPSTREAM/up\", first_byte_timeout: 300ms }}\n    identify: [corp]\n    \
         answers: none\n    inspect: none\n    screen: none\n{more}"
    );
    Files::of(&config, CONTRACT, POLICY)
}

const BY_ANSWER: &str =
    "objects: [{ parameter: thingId, also: [\"header:x-thing-id\"], owner: \"response:/owner/id\" }]";

/// Asks as `who`; lines of `request` end in `\n`, and the head has no end yet.
async fn ask(gate: &Gate, who: &str, request: &str, body: &str) -> Answer {
    let mut head = format!("{request}\nHost: api.test\nAuthorization: Bearer {}", gate.issuer.token(who));
    if !body.is_empty() {
        head += &format!("\nContent-Type: application/json\nContent-Length: {}", body.len());
    }
    gate.ask(&format!("{head}\n\n{body}")).await
}

async fn get(gate: &Gate, who: &str, path: &str) -> Answer {
    ask(gate, who, &format!("GET {path} HTTP/1.1"), "").await
}

fn lines_seen(upstream: &Upstream) -> Vec<String> {
    upstream.seen().iter().map(|seen| seen.first_line().trim_end_matches(" HTTP/1.1").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_leaves_when_it_names_its_owner() {
    let gate = Gate::start(files(BY_ANSWER, "")).await;
    let json = "content-type: application/json";
    let own = r#"{"secret":"treasure","owner":{"id":"alice"}}"#;
    let foreign = r#"{"secret":"treasure","owner":{"id":"bob"}}"#;
    for (status, headers, body, expected) in [
        ("200 OK", json, own, 200),
        ("200 OK", "content-type: application/vnd.thing+json", own, 200),
        ("201 Created", json, own, 201),
        ("200 OK", json, foreign, 403),
        ("404 Not Found", json, foreign, 403),
        ("500 Oops", json, foreign, 403),
        // What names nobody is nobody's to see.
        ("200 OK", json, r#"{"secret":"treasure"}"#, 403),
        ("200 OK", json, r#"{"secret":"treasure","owner":null}"#, 403),
        ("200 OK", json, r#"{"secret":"treasure","owner":{"id":["alice"]}}"#, 403),
        ("200 OK", json, r#"{"secret":"treasure","owner":{"id":"bob","id":"alice"}}"#, 403),
        ("200 OK", json, r#"{"secret":"treasure","owner":{"id":"alice"}"#, 403),
        ("200 OK", json, "treasure", 403),
        ("200 OK", json, "", 403),
        ("204 No Content", "", "", 403),
        ("206 Partial Content", json, r#"{"secret":"treasure","#, 403),
        ("302 Found", "location: /treasure", "", 403),
        ("304 Not Modified", "etag: \"treasure\"", "", 403),
        ("200 OK", "content-type: text/event-stream", "data: treasure\n\n", 502),
        ("200 OK", "content-type: text/html", "treasure", 502),
        ("200 OK", "content-type: application/json\ncontent-encoding: gzip", "treasure", 502),
        // An error that shows no object has no owner.
        ("404 Not Found", json, r#"{"message":"none"}"#, 404),
        ("404 Not Found", "content-type: text/plain", "none", 404),
        ("409 Conflict", json, "", 409),
    ] {
        gate.upstream.answers(status, headers, body);
        let answer = get(&gate, "alice", "/api/things/1").await;
        assert_eq!(answer.status, expected, "{status} {body}: {}", answer.text());
        let is_refused = matches!(expected, 403 | 502);
        let text = format!("{}{}", answer.head, answer.text());
        assert!(!(is_refused && text.contains("treasure")), "{status} {body}: {text}");
        assert_eq!(!is_refused, answer.text() == body, "{status} {body}: {}", answer.text());
    }
    let large = format!(r#"{{"owner":{{"id":"alice"}},"treasure":"{}"}}"#, "x".repeat(17 << 20));
    gate.upstream.answers("200 OK", json, &large);
    assert_eq!(get(&gate, "alice", "/api/things/1").await.status, 502);
    // The answer is the whole object, whatever the client asked for.
    gate.upstream.answers("200 OK", json, own);
    let conditional = "GET /api/things/1 HTTP/1.1\nIf-None-Match: \"a\"\nIf-Modified-Since: x\nRange: bytes=0-9\nAccept-Encoding: gzip";
    assert_eq!(ask(&gate, "alice", conditional, "").await.status, 200);
    let seen = gate.upstream.seen().pop().unwrap();
    for name in ["if-none-match", "if-modified-since", "range"] {
        assert!(seen.header(name).is_empty(), "{name}");
    }
    assert_eq!(seen.header("accept-encoding"), ["identity"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_route_hides_a_foreign_object_is_as_one_that_is_not() {
    let gate = Gate::start(files(&format!("hide: true\n{BY_ANSWER}"), "")).await;
    let mut heard = Vec::new();
    for (status, body) in [
        ("200 OK", r#"{"owner":{"id":"bob"}}"#),
        ("200 OK", r#"{"name":"unowned"}"#),
        ("404 Not Found", r#"{"message":"no thing 1"}"#),
        ("410 Gone", ""),
    ] {
        gate.upstream.answers(status, "content-type: application/json", body);
        let answer = get(&gate, "alice", "/api/things/1").await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        let head: Vec<&str> = answer.head.lines().filter(|line| !line.starts_with("date:")).collect();
        heard.push(format!("{head:?} {}", answer.text()).replace(&id, "ID"));
    }
    assert!(heard[0].contains("404"), "{heard:?}");
    assert!(heard.windows(2).all(|pair| pair[0] == pair[1]), "{heard:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_write_the_object_is_read() {
    let gate = Gate::start(files(BY_ANSWER, "")).await;
    let json = "content-type: application/json";
    let writes = [
        ("PUT /api/things/a%20b HTTP/1.1", r#"{"name":"n"}"#, "PUT /up/things/a%20b"),
        ("DELETE /api/things/a%20b HTTP/1.1", "", "DELETE /up/things/a%20b"),
        ("POST /api/things/a%20b/touch HTTP/1.1", "", "POST /up/things/a%20b/touch"),
        ("HEAD /api/things/a%20b HTTP/1.1", "", "HEAD /up/things/a%20b"),
    ];
    for (request, body, write) in writes {
        let before = gate.upstream.count();
        gate.upstream.answers("200 OK", json, r#"{"owner":{"id":"alice"}}"#);
        let mut client = gate.connect().await;
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/json\nContent-Length: {}\n", body.len())
        };
        let token = gate.issuer.token("alice");
        client
            .send(&format!(
                "{request}\nHost: a\nAuthorization: Bearer {token}\nIf-Match: \"x\"\n{length}\n{body}"
            ))
            .await;
        let answer = client.answer(request.starts_with("HEAD")).await;
        assert_eq!(answer.status, 200, "{request}");
        let seen = gate.upstream.seen();
        let lines = lines_seen(&gate.upstream);
        assert_eq!(lines[before..], ["GET /up/things/a%20b".to_owned(), write.to_owned()], "{request}");
        let (probe, write) = (&seen[before], &seen[before + 1]);
        assert!(probe.body.is_empty() && probe.header("content-type").is_empty(), "{}", probe.head);
        assert!(probe.header("authorization").is_empty() && probe.header("if-match").is_empty());
        assert_eq!(write.header("if-match"), ["\"x\""]);
        assert_eq!(probe.header("x-request-id"), write.header("x-request-id"));
        assert_eq!(write.body, body.as_bytes());
    }
    // Whatever is wrong with the probe, the write stays away.
    for (status, headers, body, expected) in [
        ("200 OK", json, r#"{"owner":{"id":"bob"}}"#, 403),
        ("200 OK", json, r#"{"name":"unowned"}"#, 403),
        ("200 OK", json, "", 403),
        ("404 Not Found", json, r#"{"owner":{"id":"alice"}}"#, 403),
        ("500 Oops", json, r#"{"owner":{"id":"alice"}}"#, 403),
        ("301 Moved", "location: /x", "", 403),
        ("200 OK", "content-encoding: gzip", "x", 502),
        ("broken", "", "", 502),
        ("silent", "", "", 504),
        ("200 OK", json, &format!(r#"{{"owner":{{"id":"alice"}},"x":"{}"}}"#, "x".repeat(2 << 20)), 502),
    ] {
        match status {
            "broken" => gate.upstream.plays(vec![Piece::Bytes(b"HTTP/1.1 ".to_vec()), Piece::Close]),
            "silent" => gate.upstream.plays(vec![Piece::Wait(Arc::new(Semaphore::new(0)))]),
            _ => gate.upstream.answers(status, headers, body),
        }
        let before = gate.upstream.count();
        let answer = ask(&gate, "alice", "DELETE /api/things/1 HTTP/1.1", "").await;
        assert_eq!(answer.status, expected, "{status} {}", body.len());
        let lines = lines_seen(&gate.upstream);
        assert!(lines[before..].iter().all(|line| line == "GET /up/things/1"), "{status}: {lines:?}");
        assert!(lines.len() > before, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_names_one_object() {
    let gate = Gate::start(files(BY_ANSWER, "")).await;
    gate.upstream.answers("200 OK", "content-type: application/json", r#"{"owner":{"id":"alice"}}"#);
    for (request, body, expected) in [
        ("GET /api/things/1?thingId=1 HTTP/1.1", "", 200),
        ("GET /api/things/1?thingId=2 HTTP/1.1", "", 403),
        ("GET /api/things/1?thingId=1&thing%49d=2 HTTP/1.1", "", 403),
        ("GET /api/things/1?thingId=1;thingId=2 HTTP/1.1", "", 403),
        ("PUT /api/things/1 HTTP/1.1", r#"{"thingId":"1"}"#, 200),
        ("PUT /api/things/1 HTTP/1.1", r#"{"thingId":"2"}"#, 403),
        ("PUT /api/things/1 HTTP/1.1", r#"{"thingId":1}"#, 422),
        ("PUT /api/things/1 HTTP/1.1", r#"{"thingId":["1"]}"#, 403),
        ("PUT /api/things/1 HTTP/1.1", r#"{"thingId":"1","thingId":"2"}"#, 403),
        ("PUT /api/things/1 HTTP/1.1", r#"{"thingId":"1","ThingID":"2"}"#, 403),
        ("POST /api/things/1/touch HTTP/1.1\nX-Thing-Id: 1", "", 200),
        ("POST /api/things/1/touch HTTP/1.1\nX-Thing-Id: 2", "", 403),
        ("POST /api/things/1/touch HTTP/1.1\nX-Thing-Id: 1\nX-Thing-Id: 2", "", 403),
    ] {
        let before = gate.upstream.count();
        let answer = ask(&gate, "alice", request, body).await;
        assert_eq!(answer.status, expected, "{request} {body}: {}", answer.text());
        assert_eq!(gate.upstream.count() > before, expected == 200, "{request} {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_list_each_gets_their_own() {
    let list = |foreign: &str| {
        format!(
            "unbound: allow\nobjects: [{{ list: {{ operations: [listThings], items: /things, owner: /owner, foreign: {foreign} }}, \
             unless: \"claim:sub=auditor\" }}]"
        )
    };
    let mixed = r#"{"count": 3, "things": [ {"owner":"bob","n":1}, {"owner":"alice","n":2} ,{"n":3}, {"owner":"alice","n":4}], "next": null}"#;
    let json = "content-type: application/json\netag: \"whole\"";
    let gate = Gate::start(files(&list("drop"), "")).await;
    for (who, sent, left) in [
        (
            "alice",
            mixed,
            r#"{"count": 3, "things": [ {"owner":"alice","n":2},{"owner":"alice","n":4}], "next": null}"#,
        ),
        ("bob", mixed, r#"{"count": 3, "things": [ {"owner":"bob","n":1}], "next": null}"#),
        ("carol", mixed, r#"{"count": 3, "things": [ ], "next": null}"#),
        ("auditor", mixed, mixed),
        ("alice", r#"{"things":[]}"#, r#"{"things":[]}"#),
        ("alice", r#"{"things":[ {"owner":"alice"} ]}"#, r#"{"things":[ {"owner":"alice"} ]}"#),
    ] {
        gate.upstream.answers("200 OK", json, sent);
        let answer = get(&gate, who, "/api/things").await;
        assert_eq!((answer.status, answer.text()), (200, left), "{who}");
        assert_eq!(answer.header("etag").is_some(), sent == left, "{who}: a part is not the whole");
    }
    for sent in [r#"{"things":{"owner":"alice"}}"#, r#"{"other":[]}"#, r#"[{"owner":"bob"}]"#, "[", "x"] {
        gate.upstream.answers("200 OK", json, sent);
        let answer = get(&gate, "alice", "/api/things").await;
        assert_eq!(answer.status, 502, "{sent}: {}", answer.text());
    }
    let records = gate.stop().await;
    assert_eq!(records[0]["denied"]["parameter"], "list");
    assert_eq!(records[0]["denied"]["objects"], 2);

    let gate = Gate::start(files(&list("refuse"), "")).await;
    gate.upstream.answers("200 OK", json, mixed);
    assert_eq!(get(&gate, "alice", "/api/things").await.status, 403);
    gate.upstream.answers("200 OK", json, r#"{"things":[{"owner":"alice"}]}"#);
    assert_eq!(get(&gate, "alice", "/api/things").await.status, 200);
}

const CREATED: &str =
    "objects: [{ parameter: thingId, owner: created-by, created: { by: makeThing, id: ID } }]
waive: [{ parameter: x-thing-id, reason: \"unused\" }]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_created_it_owns_it() {
    let top = "ownership: { path: memory/owners.jsonl, entries: 3 }";
    let gate = Gate::start(files(&CREATED.replace("ID", "/id"), top)).await;
    let make = async |who: &str, status: &str, body: &str| {
        gate.upstream.answers(status, "content-type: application/json", body);
        ask(&gate, who, "POST /api/things HTTP/1.1", "{}").await.status
    };
    assert_eq!(make("alice", "201 Created", r#"{"id":"t-1"}"#).await, 201);
    assert_eq!(make("bob", "201 Created", r#"{"id":2}"#).await, 201);
    // What was not created has no creator, and what says no identifier cannot be remembered.
    assert_eq!(make("bob", "400 Bad", r#"{"id":"t-3"}"#).await, 400);
    assert_eq!(make("bob", "201 Created", "{}").await, 502);
    // "Creating" what somebody has does not make it one's own.
    assert_eq!(make("bob", "200 OK", r#"{"id":"t-1","secret":1}"#).await, 403);
    gate.upstream.answers("200 OK", "content-type: application/json", "{}");
    let check = async |who: &str, request: &str, expected: u16| {
        let before = gate.upstream.count();
        let answer = ask(&gate, who, request, "").await;
        assert_eq!(answer.status, expected, "{who} {request}: {}", answer.text());
        assert_eq!(gate.upstream.count() - before, usize::from(expected == 200), "{who} {request}");
    };
    check("alice", "GET /api/things/t-1 HTTP/1.1", 200).await;
    check("alice", "DELETE /api/things/t-1 HTTP/1.1", 200).await;
    check("bob", "GET /api/things/2 HTTP/1.1", 200).await;
    check("bob", "GET /api/things/t-1 HTTP/1.1", 403).await;
    check("bob", "DELETE /api/things/t-1 HTTP/1.1", 403).await;
    check("bob", "GET /api/things/t-3 HTTP/1.1", 403).await;
    assert_eq!(make("carol", "201 Created", r#"{"id":"t-9"}"#).await, 201);
    // There is no room: nothing is created that could not be remembered.
    let before = gate.upstream.count();
    assert_eq!(make("carol", "201 Created", r#"{"id":"t-10"}"#).await, 503);
    assert_eq!(gate.upstream.count(), before);
    let memory = std::fs::read(gate.file("memory/owners.jsonl")).unwrap();
    gate.stop().await;

    // Another process remembers what this one saw.
    let remember = |folder: &std::path::Path| {
        std::fs::create_dir(folder.join("memory")).unwrap();
        std::fs::write(folder.join("memory/owners.jsonl"), &memory).unwrap();
    };
    let gate = Gate::start_with(files(&CREATED.replace("ID", "\"header:location\""), top), remember).await;
    assert_eq!(get(&gate, "alice", "/api/things/t-1").await.status, 200);
    assert_eq!(get(&gate, "bob", "/api/things/t-1").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_created_may_be_said_in_a_header() {
    let top = "ownership: { path: owners.jsonl }";
    let gate = Gate::start(files(&CREATED.replace("ID", "\"header:location\""), top)).await;
    for (location, id) in [("/things/t-1", "t-1"), ("http://x/y/t%202/?q#f", "t%202")] {
        gate.upstream.answers("201 Created", &format!("location: {location}"), "");
        assert_eq!(ask(&gate, "alice", "POST /api/things HTTP/1.1", "{}").await.status, 201, "{location}");
        gate.upstream.answers("200 OK", "content-type: application/json", "{}");
        assert_eq!(get(&gate, "alice", &format!("/api/things/{id}")).await.status, 200, "{location}");
        assert_eq!(get(&gate, "bob", &format!("/api/things/{id}")).await.status, 403, "{location}");
    }
    gate.upstream.answers("201 Created", "", "");
    assert_eq!(ask(&gate, "alice", "POST /api/things HTTP/1.1", "{}").await.status, 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_may_know() {
    let knows = Upstream::start().await;
    let rule = format!(
        "objects: [{{ parameter: thingId, lookup: {{ upstream: \"http://{}\", path: \"/owners/{{}}\", owner: /of, timeout: 400ms, \
         ttl: 1h, entries: 2 }} }}]\nwaive: [{{ parameter: x-thing-id, reason: unused }}]",
        knows.address()
    );
    let gate = Gate::start(files(&rule, "")).await;
    let json = "content-type: application/json";
    let check = async |who: &str, id: &str, expected: u16| {
        let before = gate.upstream.count();
        let answer = get(&gate, who, &format!("/api/things/{id}")).await;
        assert_eq!(answer.status, expected, "{who} {id}: {}", answer.text());
        assert_eq!(gate.upstream.count() - before, usize::from(expected == 200), "{who} {id}");
    };
    knows.answers("200 OK", json, r#"{"of":"alice"}"#);
    check("alice", "1", 200).await;
    check("bob", "1", 403).await;
    check("alice", "1", 200).await;
    assert_eq!(lines_seen(&knows), ["GET /owners/1"], "it is remembered");
    check("alice", "a%3Fb%26", 200).await;
    assert_eq!(lines_seen(&knows)[1], "GET /owners/a%3Fb%26");
    knows.answers("404 Not Found", json, "{}");
    check("alice", "3", 403).await;
    // What it cannot say is refused, and asked again.
    for (status, body) in [("500 Oops", "{}"), ("200 OK", "{}"), ("200 OK", "x"), ("302 Found", "")] {
        knows.answers(status, json, body);
        check("alice", "4", 503).await;
    }
    knows.plays(vec![Piece::Wait(Arc::new(Semaphore::new(0)))]);
    check("alice", "5", 503).await;
    knows.answers("200 OK", json, r#"{"of":"alice"}"#);
    check("alice", "5", 200).await;
    knows.plays(vec![Piece::Bytes(b"HTTP/1.1 ".to_vec()), Piece::Close]);
    check("alice", "6", 503).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_ask_once() {
    let knows = Upstream::start().await;
    let rule = format!(
        "objects: [{{ parameter: thingId, lookup: {{ upstream: \"http://{}\", path: \"/owners/{{}}\", owner: /of, timeout: 10s }} }}]\n\
         waive: [{{ parameter: x-thing-id, reason: unused }}]",
        knows.address()
    );
    let gate = Gate::start(files(&rule, "")).await;
    let go = Arc::new(Semaphore::new(0));
    let body = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"of\":\"alice\"}".to_vec();
    knows.plays(vec![Piece::Wait(Arc::clone(&go)), Piece::Bytes(body)]);
    let ask = || get(&gate, "alice", "/api/things/1");
    let release = async {
        crate::support::until("the lookup", async || (knows.count() > 0).then_some(())).await;
        go.add_permits(8);
    };
    let (a, b, c, d, ()) = tokio::join!(ask(), ask(), ask(), ask(), release);
    assert_eq!([a.status, b.status, c.status, d.status], [200; 4]);
    assert_eq!(knows.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sees_and_sends_what_is_for_them() {
    let rules = "unbound: allow
expose:
  - { operations: [readThing, putThing], to: [\"role:reader\"], properties: [/id, \"/lines/*/n\"], requests: [/name] }
  - { operations: readThing, to: \"claim:sub=carol\", properties: [/cost] }
  - { operations: listThings, to: \"role:reader\", properties: [\"/*/id\"], excess: refuse }
  - { operations: headThing, to: anyone, properties: [/id] }
  - { operations: dropThing, to: \"role:nobody\", properties: [\"\"] }";
    let gate = Gate::start(files(rules, "")).await;
    let whole = r#"{"id":1,"cost":2,"lines":[{"n":1,"cost":3},{"n":2}],"x":{}}"#;
    gate.upstream.answers("200 OK", "content-type: application/json", whole);
    let read = async |who: &str| get(&gate, who, "/api/things/1").await.text().to_owned();
    assert_eq!(read("alice").await, r#"{"id":1,"lines":[{"n":1},{"n":2}]}"#);
    assert_eq!(read("carol").await, r#"{"id":1,"cost":2,"lines":[{"n":1},{"n":2}]}"#);
    let put = "PUT /api/things/1 HTTP/1.1";
    assert_eq!(
        ask(&gate, "alice", put, r#"{"name":"n"}"#).await.text(),
        r#"{"id":1,"lines":[{"n":1},{"n":2}]}"#
    );
    assert_eq!(ask(&gate, "alice", put, r#"{"name":"n","thingId":"1"}"#).await.status, 403);
    assert_eq!(ask(&gate, "alice", "DELETE /api/things/1 HTTP/1.1", "").await.status, 403);
    gate.upstream.answers("200 OK", "content-type: application/json", r#"[{"id":1},{"id":2}]"#);
    assert_eq!(get(&gate, "alice", "/api/things").await.text(), r#"[{"id":1},{"id":2}]"#);
    gate.upstream.answers("200 OK", "content-type: application/json", r#"[{"id":1},{"id":2,"x":1}]"#);
    assert_eq!(get(&gate, "alice", "/api/things").await.status, 403);
    gate.upstream.answers("200 OK", "content-type: text/plain", "secret");
    assert_eq!(get(&gate, "alice", "/api/things/1").await.status, 502);
    gate.upstream.answers("404 Not Found", "content-type: application/json", r#"{"message":"none"}"#);
    assert_eq!(get(&gate, "alice", "/api/things/1").await.text(), r#"{"message":"none"}"#);
    // What is one caller's is no other's: not from a cache on the way, and not by its size.
    gate.upstream.answers(
        "200 OK",
        "content-type: application/json\ncache-control: Public, max-age=60",
        whole,
    );
    let answer = get(&gate, "alice", "/api/things/1").await;
    assert_eq!(answer.header("cache-control"), Some("private"));
    gate.upstream.says("HTTP/1.1 200 OK\r\ncontent-length: 777\r\netag: \"x\"\r\n\r\n");
    let token = gate.issuer.token("alice");
    let head = format!("HEAD /api/things/1 HTTP/1.1\nHost: a\nAuthorization: Bearer {token}\n\n");
    let answer = gate.ask(&head).await;
    assert_eq!((answer.status, answer.header("etag")), (200, None));
    assert_ne!(answer.header("content-length"), Some("777"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_one_identifier_after_the_other_is_seen() {
    let gate = Gate::start(files(BY_ANSWER, "")).await;
    gate.upstream.answers("200 OK", "content-type: application/json", r#"{"owner":{"id":"alice"}}"#);
    for number in 1..=5 {
        assert_eq!(get(&gate, "mallory", &format!("/api/things/{number}")).await.status, 403);
    }
    assert_eq!(get(&gate, "alice", "/api/things/1").await.status, 200);
    let records = gate.records(6).await;
    let denied: Vec<_> = records.iter().filter(|record| record["denied"]["parameter"] == "thingId").collect();
    assert_eq!(denied.len(), 5);
    assert!(denied.iter().all(|record| record["principal"]["subject"] == "mallory"));
    assert_eq!(stopped_at(denied[0]), ("authorize".into(), "refused".into()));
    let metrics = gate.admin("/metrics").await;
    let expected = "portcullis_objects_denied_total{route=\"shop\",parameter=\"thingId\"} 5";
    assert!(metrics.text().contains(expected), "{}", metrics.text());
}

/// What `check` says of a configuration, with the contract as it is.
fn said(rules: &str, contract: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = files(rules, "");
    let config =
        files.config.replace("UPSTREAM", "127.0.0.1:9").replace("file:jwks.json", "https://keys.test/");
    std::fs::write(folder.path().join("portcullis.yaml"), config).unwrap();
    std::fs::write(folder.path().join("contract.yaml"), contract).unwrap();
    std::fs::write(folder.path().join("policy.cedar"), POLICY).unwrap();
    let said = portcullis_gateway::server::check(&folder.path().join("portcullis.yaml"));
    let said = said.diagnostics.render(portcullis_gateway::config::Format::Text { colours: false });
    said.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn what_names_an_object_is_bound_or_waived() {
    let check = |rules: &str, expected: &[&str]| {
        let said = said(rules, CONTRACT);
        assert_eq!(said.is_empty(), expected.is_empty(), "{rules}: {said}");
        for text in expected {
            assert!(said.contains(text), "{rules}: {said}");
        }
    };
    let at = |place: &str, name: &str, operations: &str| {
        format!(
            "contract.yaml:{place}: error: `{name}` names an object and is bound to no owner in {operations}"
        )
    };
    check(
        "",
        &[
            &at("13:18", "thingId", "`readThing`, `putThing`, `dropThing`, `headThing`"),
            &at("16:20", "thingId", "`readThing`"),
            &at("21:91", "thingId", "`putThing`"),
            &at("26:9", "thingId", "`touchThing`"),
            &at("27:9", "X-Thing-Id", "`touchThing`"),
        ],
    );
    check(BY_ANSWER, &[]);
    check("objects: [{ parameter: thingId, owner: \"claim:sub\" }]", &["`X-Thing-Id` names an object"]);
    check(
        "unbound: allow",
        &["warning: what names an object is not bound to its owner: `X-Thing-Id`, `thingId`"],
    );
    let waived = |more: &str| {
        format!(
            "waive: [{{ parameter: thingId, reason: public }}, {{ parameter: x-thing-id, reason: public{more} }}]"
        )
    };
    check(&waived(""), &[]);
    check(&waived(", until: 9999-12-31"), &[]);
    check(
        &waived(", until: 2020-01-31"),
        &["error: the waiver of `x-thing-id` ended on 2020-01-31", "`X-Thing-Id` names an object"],
    );
    check(&waived(", until: soon"), &["this is not a day"]);
    check(&waived(", in: path"), &["`X-Thing-Id` names an object"]);
    let both = format!("{BY_ANSWER}\nwaive: [{{ parameter: x-thing-id, reason: public }}]");
    check(&both, &["warning: nothing needs this waiver of `x-thing-id`"]);
    check(&waived(", operations: [touchThings]"), &["no operation `touchThings`", "did you mean"]);
    check("waive: [{ parameter: thingId }]", &["`reason` is missing"]);
    check("waive: [{ parameter: thingId, reason: \" \" }]", &["a waiver has a reason"]);
    check("waive: [{ parameter: thing, reason: r }]", &["no parameter `thing`", "did you mean `thingId`?"]);
}

#[test]
fn what_the_gate_cannot_read_cannot_be_bound() {
    let form = "{ multipart/form-data: { schema: { properties: { cartId: { type: string } } } } }";
    let multipart = CONTRACT.replace("{ application/json: {} }", form);
    assert_ne!(multipart, CONTRACT);
    let rules = "objects: [{ parameter: thingId, also: [\"header:x-thing-id\"], owner: \"response:/owner\" }]
waive: [{ parameter: x-thing-id, reason: r }]";
    let found = said(rules, &multipart);
    assert!(found.contains("`cartId` names an object and is bound to no owner in `makeThing`"), "{found}");
    let bound = rules.replace("objects: [", "objects: [{ parameter: cartId, owner: \"claim:sub\" }, ");
    assert!(said(&bound, &multipart).contains("bound to no owner in `makeThing`"));
    let waived = rules.replace("waive: [", "waive: [{ parameter: cartId, reason: r }, ");
    assert!(!said(&waived, &multipart).contains("error"), "{}", said(&waived, &multipart));
}

#[test]
fn rules_that_cannot_hold_are_said() {
    let check = |rule: &str, expected: &str| {
        let said = said(&format!("unbound: allow\nobjects: [{rule}]"), CONTRACT);
        assert!(said.contains(expected) && said.contains("portcullis.yaml:1"), "{rule}: {said}");
    };
    check("{ parameter: thingId }", "`owner` is missing");
    check("{ owner: \"claim:sub\" }", "`parameter` is missing");
    check(
        "{ parameter: thingId, owner: \"claim:sub\", tenant: \"claim:t\" }",
        "one of `owner`, `tenant` and `lookup`",
    );
    check(
        "{ parameter: thingId, owner: \"claim:sub\", equals: \"claim:x\" }",
        "says already what it is compared with",
    );
    check(
        "{ parameter: thingId, tenant: \"claim:t\", operations: [readThing] }",
        "a tenant is asked of every operation",
    );
    check("{ parameter: thingId, owner: \"response:id\" }", "is not a JSON pointer");
    check("{ parameter: thingId, owner: \"response:/id\", equals: sub }", "`sub` is not a claim");
    check("{ parameter: thingId, owner: \"response:/id\", unless: clerk }", "names no callers");
    check(
        "{ parameter: thingId, owner: \"response:/id\", probe: read }",
        "the contract has no operation `read`",
    );
    check(
        "{ parameter: thingId, owner: \"response:/id\", probe: putThing }",
        "`putThing` does not read what `headThing` writes",
    );
    check(
        "{ parameter: thingId, owner: \"claim:sub\", probe: readThing }",
        "only `response:` is proven by a probe",
    );
    check("{ parameter: thingId, owner: \"response:/id\", also: [\"path:x\"] }", "`path:x` is not a place");
    check("{ parameter: thingId, owner: created-by }", "`created` is missing");
    check(
        "{ parameter: thingId, owner: created-by, created: { by: makeThing } }",
        "needs a place where the gate remembers",
    );
    check(
        "{ parameter: thingId, owner: \"body:/owner\", operations: [readThing] }",
        "no operation has `thingId` so that this could bind it",
    );
    check(
        "{ parameter: thingId, lookup: { upstream: \"http://127.0.0.1:1\", path: /x, owner: /o } }",
        "a path with `{}` once",
    );
    check("{ list: { operations: listing, owner: /o } }", "no operation `listing`");
    let said =
        said("unbound: allow\nexpose: [{ operations: readThing, to: me, properties: [id] }]", CONTRACT);
    assert!(said.contains("`me` names no callers") && said.contains("`id` is not a JSON pointer"), "{said}");
}
