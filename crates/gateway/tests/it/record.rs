//! The record: exactly one for each request however it ends, nothing private in it, and nothing without it.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::{Files, Gate, LONG, Piece, stopped_at, until};

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

async fn abandoned(more: &str, script: Vec<Piece>, wait_for: Option<&str>) -> serde_json::Value {
    let files = Files::open(more, "");
    let mut files = files;
    if !more.is_empty() {
        files.config = files.config.replacen("    screen: none\n", "", 1);
    }
    let gate = Gate::start(files).await;
    gate.upstream.plays(script);
    let mut client = gate.connect().await;
    client.send("GET /api/things HTTP/1.1\nHost: h\n\n").await;
    match wait_for {
        Some(text) => drop(client.until(text).await),
        None => until("the upstream", async || (gate.upstream.count() == 1).then_some(())).await,
    }
    drop(client);
    gate.records(1).await;
    let metrics = gate.admin("/metrics").await;
    assert!(metrics.text().contains("portcullis_in_flight 0"), "{}", metrics.text());
    let mut records = gate.stop().await;
    assert_eq!(records.len(), 1);
    records.pop().unwrap()
}

fn never() -> Piece {
    Piece::Wait(Arc::new(Semaphore::new(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_the_answer_is_recorded() {
    let record = abandoned("", vec![never()], None).await;
    assert_eq!(stopped_at(&record), ("forward".into(), "abandoned".into()));
    assert_eq!(record["complete"], false);
    assert!(record.get("status").is_none() && record.get("reason").is_none(), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_amid_an_answer_is_recorded() {
    for more in ["", "screen: { pii: redact }"] {
        let script = vec![Piece::Bytes(STREAM.as_bytes().to_vec()), never()];
        // A screen may hold back the end of what has come.
        let record = abandoned(more, script, Some("h")).await;
        assert_eq!(stopped_at(&record), ("screen".into(), "abandoned".into()), "{more}");
        assert_eq!(record["status"], 200);
        assert_eq!(record["complete"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_recorded_as_broken() {
    let gate = Gate::start(Files::open("", "")).await;
    gate.upstream.plays(vec![Piece::Bytes(STREAM.as_bytes().to_vec()), Piece::Close]);
    let answer = gate.get("/api/things").await;
    assert_eq!((answer.status, answer.text(), answer.is_whole), (200, "hello", false));
    let records = gate.stop().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["reason"], "upstream_broken");
    assert_eq!(records[0]["complete"], false);
    assert_eq!(stopped_at(&records[0]), ("forward".into(), "fault".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_personal_data_is_in_a_record() {
    let mut files = Files::open(
        "inspect: { pii: observe, secrets: observe, injection: observe }\nscreen: { pii: redact, secrets: redact }",
        "",
    );
    files.config = files.config.replacen("    inspect: none\n    screen: none\n", "", 1);
    let gate = Gate::start(files).await;
    let private =
        ["4242424242424242", "alice.ampere@example.com", "ghp_0123456789abcdefghijABCDEFGHIJ012345"];
    let body = format!(r#"{{"a":"{}","b":"{}","c":"{}"}}"#, private[0], private[1], private[2]);
    gate.upstream.answers(
        "200 OK",
        "content-type: application/json\nset-cookie: session=cookie-value",
        &body,
    );
    let token = gate.issuer.token("someone");
    let length = body.len();
    let request = |path: &str| {
        format!(
            "POST {path}?q={} HTTP/1.1\nHost: h\nAuthorization: Bearer {token}\nCookie: session=cookie-value\n\
             Content-Type: application/json\nContent-Length: {length}\n\n{body}",
            private[1]
        )
    };
    let answer = gate.ask(&request("/api/things").replace("?q=alice.ampere@example.com", "")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for text in private {
        assert!(!answer.text().contains(text), "{answer:?}");
    }
    // Refused, with the address in the query; in a path that does not exist; with a broken credential.
    assert_eq!(gate.ask(&request("/api/things")).await.status, 400);
    assert_eq!(gate.ask(&request("/api/alice.ampere@example.com")).await.status, 404);
    assert_eq!(gate.ask(&request("/api/things").replace(&token, &format!("{token}x"))).await.status, 401);
    let text = {
        let file = gate.file("records.jsonl");
        gate.records(4).await;
        std::fs::read_to_string(file).unwrap()
    };
    assert!(text.contains("\"detector\""), "something was found: {text}");
    let parts = token.split('.');
    for secret in private.into_iter().chain(parts).chain(["cookie-value", "secret-claim"]) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(gate.stop().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_not_done() {
    let full = |folder: &std::path::Path| symlink("/dev/full", folder.join("records.jsonl")).unwrap();
    let gate = Gate::start_with(Files::open("", ""), full).await;
    assert_eq!(gate.admin("/readyz").await.status, 200);
    // The first record is what tells that none can be written.
    assert_eq!(gate.get("/api/things").await.status, 200);
    until("not ready", async || (gate.admin("/readyz").await.status == 503).then_some(())).await;
    let answer = gate.get("/api/things").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["code"], "record_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(gate.upstream.count(), 1, "the refused request went nowhere");
    assert_eq!(gate.admin("/livez").await.status, 200);
    // A gate that cannot write still stops.
    tokio::time::timeout(LONG, gate.server.stop()).await.expect("the stop ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_recorded_once() {
    let gate = Gate::start(Files::open("", "limits: { body_progress: 100ms }")).await;
    let head = "POST /api/things HTTP/1.1\nHost: h\nContent-Type: application/json\nContent-Length: 9\n\n{";
    let answer = gate.ask(head).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (408, Some("body_timeout")));
    let record = gate.records(1).await.pop().unwrap();
    assert_eq!(stopped_at(&record), ("receive".into(), "refused".into()));
    let mut client = gate.connect().await;
    client.send(head).await;
    drop(client);
    gate.records(2).await;
    assert_eq!(gate.upstream.count(), 0);
    let records = gate.stop().await;
    assert_eq!(records.len(), 2);
    let (_, outcome) = stopped_at(&records[1]);
    assert!(outcome == "abandoned" || records[1]["reason"] == "body_incomplete", "{}", records[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_connection_have_a_record_each() {
    let gate = Gate::start(Files::open("", "")).await;
    let mut client = gate.connect().await;
    let one = "GET /api/things HTTP/1.1\r\nHost: h\r\n\r\n";
    let none = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n";
    // Pipelined.
    client.send_bytes(format!("{one}{none}{one}").as_bytes()).await;
    let mut ids = Vec::new();
    for expected in [200, 404, 200] {
        let answer = client.answer(false).await;
        assert_eq!(answer.status, expected);
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let records = gate.stop().await;
    let recorded: Vec<_> = records.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(recorded, ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_stalls_is_a_time_out_before_its_head_left_and_cut_after() {
    for (more, status) in [("answers: observe", 504), ("", 200)] {
        let more = format!("{more}\nupstream: {{ url: \"http://UPSTREAM\", idle_timeout: 100ms }}");
        let mut files = Files::open(&more, "");
        if status == 504 {
            files.config = files.config.replacen("    answers: none\n", "", 1);
            let schema = "{ description: any, content: { application/json: { schema: { type: object } } } }";
            files.contract = files.contract.replace("{ description: any }", schema);
        }
        let gate = Gate::start(files).await;
        let begun = STREAM.replace("text/plain", "application/json");
        gate.upstream.plays(vec![Piece::Bytes(begun.into_bytes()), never()]);
        let answer = gate.get("/api/things").await;
        assert_eq!((answer.status, answer.is_whole), (status, status == 504), "{answer:?}");
        let records = gate.stop().await;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["reason"], "upstream_timeout", "{}", records[0]);
        assert_eq!(stopped_at(&records[0]), ("forward".into(), "fault".into()));
    }
}
