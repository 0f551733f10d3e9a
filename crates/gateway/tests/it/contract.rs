//! The contract, end to end: what the configuration says of it is what happens.

use crate::support::{Files, Gate, Piece};

const SHOP: &str = r##"swagger: "2.0"
info: { title: Shop, version: "1" }
basePath: /v2
securityDefinitions: { login: { type: oauth2, flow: implicit, authorizationUrl: "https://login.test", scopes: {} } }
security: [{ login: [] }]
paths:
  /orders/{id}:
    parameters: [{ name: id, in: path, required: true, type: integer }]
    get:
      operationId: order
      produces: [application/json]
      responses:
        "200":
          description: one
          schema: { $ref: "#/definitions/Order" }
          headers: { X-Total: { type: integer } }
    post:
      operationId: note
      consumes: [multipart/form-data]
      parameters:
        - { name: text, in: formData, type: string, maxLength: 3, required: true }
        - { name: file, in: formData, type: file }
      responses: { "204": { description: done } }
definitions:
  Order:
    type: object
    required: [id]
    properties: { id: { type: integer }, owner: { $ref: "#/definitions/Owner" } }
  Owner: { type: object, properties: { name: { type: string } } }
"##;

async fn gate(more: &str) -> Gate {
    let rest = format!(
        "apis:\n  shop:\n    contract: contract.yaml\n    upstream: {{ url: \"http://UPSTREAM\" }}\n    \
         identify: [corp, anonymous]\n    unbound: allow\n    screen: none\n    inspect: none\n{more}"
    );
    Gate::start(Files::of(&rest, SHOP, "@id(\"all\") permit (principal, action, resource);")).await
}

const HEADERS: &str = "content-type: application/json\nx-total: 7\nx-powered-by: leaks\nserver: leaks";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strip_takes_out_what_is_not_in_the_contract_and_enforces_the_rest() {
    let gate = gate("    answers: strip\n").await;
    gate.upstream.answers("200 OK", HEADERS, r#"{ "id": 1, "cost": 3, "owner": {"name":"n","card":"4"} }"#);
    let answer = gate.get("/v2/orders/1").await;
    assert_eq!((answer.status, answer.text()), (200, r#"{ "id": 1, "owner": {"name":"n"} }"#));
    assert_eq!(answer.header("content-length"), Some("34"));
    assert_eq!((answer.header("x-total"), answer.header("x-powered-by")), (Some("7"), None));
    assert_eq!(answer.header("server"), None);
    assert_eq!(gate.upstream.seen()[0].first_line(), "GET /v2/orders/1 HTTP/1.1");
    gate.upstream.answers("200 OK", HEADERS, r#"{"cost":3}"#);
    assert_eq!(gate.get("/v2/orders/1").await.status, 502);
    gate.upstream.answers("200 OK", &HEADERS.replace("x-total: 7", "x-total: a"), r#"{"id":1}"#);
    assert_eq!(gate.get("/v2/orders/1").await.status, 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_strip_they_pass_or_are_refused_as_written() {
    let body = r#"{"id":1,"cost":3}"#;
    for (more, status) in [
        ("", 200),
        ("    unknown: { answers: refuse }\n", 502),
        ("    answers: observe\n    unknown: { answers: refuse }\n", 200),
    ] {
        let gate = gate(more).await;
        gate.upstream.answers("200 OK", HEADERS, body);
        let answer = gate.get("/v2/orders/1").await;
        assert_eq!(answer.status, status, "{more}");
        if status == 200 {
            assert_eq!((answer.text(), answer.header("server")), (body, Some("leaks")), "{more}");
        }
        let notes = gate.stop().await[0]["notes"].to_string();
        assert_eq!(notes.contains("/cost"), more.contains("observe"), "{notes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_media_type_does_not_slip_past_the_contract() {
    let gate = gate("").await;
    for media in ["text/html", "image/png", "application/octet-stream"] {
        gate.upstream.answers("200 OK", &format!("content-type: {media}"), "<p>anything</p>");
        let answer = gate.get("/v2/orders/1").await;
        assert_eq!(answer.status, 502, "{media}");
        assert_eq!(answer.json()["code"], "answer_invalid");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_form_are_held_to_the_contract() {
    let gate = gate("").await;
    gate.upstream.answers("204 No Content", "", "");
    let form = |parts: &str| {
        let body = format!("{}--X--\n", parts.replace("PART ", "--X\nContent-Disposition: form-data; "));
        let body = body.replace('\n', "\r\n");
        let length = body.len();
        format!(
            "POST /v2/orders/1 HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=X\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let good = "PART name=\"text\"\n\nabc\nPART name=\"file\"; filename=\"a\"\nContent-Type: a/b\n\n{{{\n";
    for (parts, status) in [
        (good, 204),
        (&*good.replace("abc", "abcd"), 422),
        (&*good.replace("\"file\"", "\"more\""), 422),
        (&*good.replace("\"text\"", "\"text\"; name=\"x\""), 400),
    ] {
        let mut client = gate.connect().await;
        client.send_bytes(form(parts).as_bytes()).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status, status, "{parts} {answer:?}");
    }
    assert_eq!(gate.upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_who_may_know_are_told_what_is_wrong() {
    for (who, anonymous, identified) in [("all", 2, 2), ("identified", 0, 2), ("none", 0, 0)] {
        let gate = gate(&format!("    violations: {who}\n")).await;
        let token = gate.issuer.token("alice");
        let request = "GET /v2/orders/x?more=1 HTTP/1.1\nHost: h\n";
        let told = |answer: crate::support::Answer| {
            assert_eq!(answer.status, 400, "{answer:?}");
            answer.json()["violations"].as_array().map_or(0, Vec::len)
        };
        assert_eq!(told(gate.ask(&format!("{request}\n")).await), anonymous, "{who}");
        let request = format!("{request}Authorization: Bearer {token}\n\n");
        assert_eq!(told(gate.ask(&request).await), identified, "{who}");
        let records = gate.stop().await;
        let said = records[0].to_string().contains("query:more");
        assert_eq!(said, who != "all", "{}", records[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_parameters_and_fields_pass_where_written() {
    for (more, status) in [("", 400), ("    unknown: { parameters: allow }\n", 200)] {
        let gate = gate(more).await;
        gate.upstream.answers("200 OK", HEADERS, r#"{"id":1}"#);
        assert_eq!(gate.get("/v2/orders/1?more=1").await.status, status, "{more}");
    }
}

/// What `check` says of a configuration with this `identify` for the shop.
fn checked(identify: &str, contract: &str, more: &str) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("contract.yaml", contract);
    put("jwks.json", &crate::support::Issuer::new().jwks().to_string());
    put(
        "portcullis.yaml",
        &format!(
            "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:0\" }} }}\nidentity:\n  issuers:\n    \
             corp: {{ issuer: \"https://i.test\", audience: a, jwks: \"file:jwks.json\" }}\napis:\n  shop:\n    \
             contract: contract.yaml\n    upstream: \"http://127.0.0.1:1\"\n    authorize: none\n    \
             identify: {identify}\n    waive: [{{ parameter: id, reason: shown to all }}]\n{more}"
        ),
    );
    portcullis_gateway::server::check(&folder.path().join("portcullis.yaml"))
        .diagnostics
        .render(portcullis_gateway::config::Format::Text { colours: false })
}

#[test]
fn a_scheme_that_nobody_takes_is_an_error_in_the_document() {
    let said = checked("anonymous", SHOP, "");
    assert!(
        said.contains(
            "contract.yaml:4:24: error: `login` asks callers of `order` and 1 more for a bearer token"
        ),
        "{said}"
    );
    assert!(!checked("[corp]", SHOP, "").contains("error"));
    assert!(!checked("anonymous", SHOP, "    security: ignore\n").contains("error"));
    let key = SHOP.replace(
        "{ type: oauth2, flow: implicit, authorizationUrl: \"https://login.test\", scopes: {} }",
        "{ type: apiKey, in: header, name: X-Key }",
    );
    assert!(checked("[corp]", &key, "").contains("for an API key"));
    let optional = key.replace("security: [{ login: [] }]", "security: [{ login: [] }, {}]");
    assert!(!checked("[corp]", &optional, "").contains("error"));
    let lost = SHOP.replace("security: [{ login: [] }]", "security: [{ lost: [] }]");
    assert!(checked("[corp]", &lost, "").contains("contract.yaml:5:"), "{}", checked("[corp]", &lost, ""));
}

const FEED: &str = r#"openapi: 3.1.0
info: { title: Feed, version: "1" }
paths:
  /feed:
    get:
      operationId: feed
      responses:
        "200":
          description: lines
          content:
            application/x-ndjson:
              schema: { type: object, required: [id], properties: { id: { type: integer } } }
"#;

/// What arrives of a stream of lines, whether it ends well, and its record.
async fn streamed(more: &str, chunks: &[&str]) -> (String, bool, serde_json::Value) {
    let rest = format!(
        "apis:\n  feed:\n    contract: contract.yaml\n    upstream: {{ url: \"http://UPSTREAM\" }}\n    \
         identify: [anonymous]\n    authorize: none\n    inspect: none\n{more}"
    );
    let gate = Gate::start(Files::of(&rest, FEED, "")).await;
    let mut script = vec![Piece::Bytes(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )];
    let chunk = |text: &&str| Piece::Bytes(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes());
    script.extend(chunks.iter().map(chunk));
    script.push(Piece::Bytes(b"0\r\n\r\n".to_vec()));
    gate.upstream.plays(script);
    let answer = gate.get("/feed").await;
    let text = answer.text().to_owned();
    let record = gate.stop().await.remove(0);
    (text, answer.is_whole, record)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_held_to_the_contract_as_they_come() {
    let good = ["{\"id\":1}\n{\"i", "d\":2, \"x\":3}", "\n", "{\"id\":4}"];
    let all = good.concat();
    for screen in ["    screen: none\n", ""] {
        let (text, is_whole, record) = streamed(screen, &good).await;
        assert_eq!((text, is_whole), (all.clone(), true), "{record}");
        let (text, is_whole, record) = streamed(&format!("{screen}    answers: strip\n"), &good).await;
        assert_eq!((&*text, is_whole), ("{\"id\":1}\n{\"id\":2}\n{\"id\":4}", true), "{record}");
        let bad = ["{\"id\":1}\n", "{\"id\":\"a\"}\n", "{\"id\":3}\n"];
        let (text, is_whole, record) = streamed(screen, &bad).await;
        assert_eq!((&*text, is_whole), ("{\"id\":1}\n", false), "{record}");
        assert_eq!(record["reason"], "answer_invalid");
        assert!(record["detail"].as_str().unwrap().contains("/1/id"), "{record}");
        let (text, is_whole, record) = streamed(&format!("{screen}    answers: observe\n"), &bad).await;
        assert_eq!((text, is_whole), (bad.concat(), true), "{record}");
        assert!(record["notes"].to_string().contains("/1/id"), "{record}");
    }
}
