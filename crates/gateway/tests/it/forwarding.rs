//! What is sent on, what is not, and what comes back.

use crate::support::{Answer, Files, Gate, Piece, Seen};

async fn seen_with(more: &str, request: &str, files: impl FnOnce(&std::path::Path)) -> Seen {
    let gate = Gate::start_with(Files::open(more, ""), files).await;
    let request = request.replace("TOKEN", &gate.issuer.token("alice"));
    let answer = gate.ask(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    gate.upstream.seen().pop().unwrap()
}

async fn seen(more: &str, request: &str) -> Seen {
    seen_with(more, request, |_| {}).await
}

const WITH_TOKEN: &str = "GET /api/things HTTP/1.1\nHost: h\nAuthorization: Bearer TOKEN\n\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_credential_stays_here_unless_written() {
    let none: Vec<String> = Vec::new();
    assert_eq!(seen("", WITH_TOKEN).await.header("authorization"), none);
    let forwarded = seen("forward_credential: true", WITH_TOKEN).await.header("authorization");
    assert_eq!(forwarded.len(), 1);
    assert!(forwarded[0].starts_with("Bearer ey"), "{forwarded:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gates_own_credential_is_put_in() {
    let key = |folder: &std::path::Path| std::fs::write(folder.join("key"), "gate-key\n").unwrap();
    let more = "upstream: { url: \"http://UPSTREAM\", credential: \"file:key\" }";
    let seen = seen_with(more, WITH_TOKEN, key).await;
    assert_eq!(seen.header("authorization"), ["Bearer gate-key"]);
    let more =
        "upstream: { url: \"http://UPSTREAM\", credential: { header: x-api-key, value: \"file:key\" } }";
    let request = "GET /api/things HTTP/1.1\nHost: h\nX-Api-Key: theirs\n\n";
    let seen = seen_with(more, request, key).await;
    assert_eq!(seen.header("x-api-key"), ["gate-key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_gate_says_about_the_client_is_sent_on() {
    let seen = seen(
        "",
        "GET /api/things HTTP/1.1\nHost: shop.test\nForwarded: for=6.6.6.6\nX-Forwarded-For: 6.6.6.6\n\
         X-Forwarded-Proto: https\nX-Forwarded-Host: evil\nX-Forwarded-Prefix: /evil\nX-Real-IP: 6.6.6.6\n\
         X-Portcullis-Principal: root\nX-Request-Id: theirs\nConnection: close, TE\nKeep-Alive: 5\n\
         Proxy-Connection: close\nTE: trailers\nX-Kept: yes\n\n",
    )
    .await;
    assert_eq!(seen.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.header("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.header("x-forwarded-host"), ["shop.test"]);
    assert_eq!(seen.header("forwarded"), ["for=127.0.0.1;proto=http;host=\"shop.test\""]);
    assert_eq!(seen.header("x-kept"), ["yes"]);
    assert_ne!(seen.header("x-request-id"), ["theirs"]);
    assert_eq!(seen.header("traceparent").len(), 1);
    for gone in ["x-forwarded-prefix", "x-real-ip", "x-portcullis-principal", "keep-alive"] {
        assert!(seen.header(gone).is_empty(), "{gone}: {}", seen.head);
    }
    assert_eq!((seen.header("te"), seen.header("connection")), (vec!["trailers".into()], vec!["TE".into()]));
    for gone in ["proxy-connection", "transfer-encoding", "content-length"] {
        assert!(seen.header(gone).is_empty(), "{gone}: {}", seen.head);
    }
    assert_ne!(seen.header("host"), ["shop.test"], "the upstream's own name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_is_sent_in_its_canonical_form() {
    for (path, expected) in [
        ("/api/things/a%20b", "/things/a%20b"),
        ("/api/things/%41~-._", "/things/A~-._"),
        ("/api/things/caf%C3%A9", "/things/caf%C3%A9"),
        ("/api/things/a%22%3C%3E", "/things/a%22%3C%3E"),
        ("/api/thing%73/x", "/things/x"),
    ] {
        let seen = seen("", &format!("GET {path} HTTP/1.1\nHost: h\n\n")).await;
        assert_eq!(seen.first_line(), format!("GET {expected} HTTP/1.1"), "{path}");
    }
    let more = "upstream: { url: \"http://UPSTREAM/base/\" }";
    assert_eq!(seen(more, WITH_TOKEN).await.first_line(), "GET /base/things HTTP/1.1");
}

async fn answered(upstream: &str, request: &str) -> Answer {
    let gate = Gate::start(Files::open("", "")).await;
    gate.upstream.says(&upstream.replace('\n', "\r\n"));
    let answer = gate.ask(request).await;
    let records = gate.stop().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["complete"], true, "{}", records[0]);
    answer
}

const GET: &str = "GET /api/things HTTP/1.1\nHost: h\n\n";
const HEAD: &str = "HEAD /api/things HTTP/1.1\nHost: h\n\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_loses_what_is_of_its_connection_or_in_our_name() {
    let answer = answered(
        "HTTP/1.1 200 OK\nconnection: x-hop\nx-hop: 1\nkeep-alive: timeout=5\nproxy-connection: x\n\
         x-portcullis-verdict: fine\nx-request-id: theirs\nx-kept: yes\ncontent-length: 2\n\nhi",
        GET,
    )
    .await;
    assert_eq!(answer.header("x-kept"), Some("yes"));
    assert_ne!(answer.header("x-request-id"), Some("theirs"));
    for gone in ["x-hop", "keep-alive", "proxy-connection", "x-portcullis-verdict", "connection"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.text(), "hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_a_body_stay_without() {
    let answer = answered("HTTP/1.1 200 OK\ncontent-length: 1234\netag: \"a\"\n\n", HEAD).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
    let answer = answered("HTTP/1.1 204 No Content\n\n", GET).await;
    assert_eq!((answer.status, answer.header("content-length")), (204, None));
    assert_eq!(answer.header("transfer-encoding"), None);
    let answer = answered("HTTP/1.1 304 Not Modified\netag: \"a\"\n\n", GET).await;
    assert_eq!((answer.status, answer.header("etag")), (304, Some("\"a\"")));
    assert_eq!(answer.header("transfer-encoding"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_passes_both_ways_whole() {
    let gate = Gate::start(Files::open("body_limit: 2MiB", "")).await;
    let body: String = (0u32..1 << 20).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    gate.upstream.answers("200 OK", "content-type: application/octet-stream", &body);
    let length = body.len();
    let head = "POST /api/things HTTP/1.1\nHost: h\nContent-Type: application/octet-stream\n";
    let answer = gate.ask(&format!("{head}Content-Length: {length}\n\n{body}")).await;
    assert_eq!((answer.status, answer.is_whole), (200, true));
    assert!(answer.body == body.as_bytes(), "the answer is what was sent");
    let chunks: String = body
        .as_bytes()
        .chunks(7000)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    let answer = gate.ask(&format!("{head}Transfer-Encoding: chunked\n\n{chunks}0\r\n\r\n")).await;
    assert_eq!(answer.status, 200);
    let seen = gate.upstream.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert!(seen.body == body.as_bytes(), "the request is what was sent");
        assert_eq!(seen.header("content-length"), [length.to_string()]);
    }
    let records = gate.stop().await;
    assert!(records.iter().all(|one| one["bytes_in"] == length && one["bytes_out"] == length), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_breaks_off_here() {
    for script in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz",
    ] {
        let gate = Gate::start(Files::open("", "")).await;
        gate.upstream.plays(vec![Piece::Bytes(script.as_bytes().to_vec()), Piece::Close]);
        let answer = gate.get("/api/things").await;
        assert_eq!((answer.status, answer.text(), answer.is_whole), (200, "hello", false), "{script}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked_once_it_may_send() {
    let gate = Gate::start(Files::open("body_limit: 1KiB", "")).await;
    let head = "POST /api/things HTTP/1.1\nHost: h\nContent-Type: application/json\nExpect: 100-continue\n";
    let mut client = gate.connect().await;
    client.send(&format!("{head}Content-Length: 2\n\n")).await;
    assert_eq!(client.answer(false).await.status, 100);
    client.send_bytes(b"{}").await;
    assert_eq!(client.answer(false).await.status, 200);
    let mut client = gate.connect().await;
    client.send(&format!("{head}Content-Length: 2000\n\n")).await;
    assert_eq!(client.answer(false).await.status, 413, "it is not asked for what would be refused");
    assert_eq!(gate.upstream.count(), 1);
    assert!(gate.upstream.seen()[0].header("expect").is_empty());
}
