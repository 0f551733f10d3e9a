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
