//! Requests that two readers could read in two ways: each ends in one refusal or in one canonical form.

use super::*;

/// Status and code of a refusal, or the canonical form that passed.
async fn outcome(request: &[u8]) -> (String, Vec<String>) {
    let site = Site::start(Limits { head_deadline: Duration::from_secs(2), ..Limits::default() });
    let mut stream = site.connect().await;
    // A refusal may come before the last byte is written.
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let answer = rest(&mut stream).await;
    let status = answer.get(9..12).unwrap_or("none").to_owned();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (format!("{status} {body}"), site.probe.records())
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{body}").into_bytes()
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").into_bytes()
}

/// The table of `docs`: number, name, bytes, and what the client gets.
fn cases() -> Vec<(u8, &'static str, Vec<u8>, &'static str)> {
    const FRAMING: &str = "400 ambiguous_framing";
    const MALFORMED: &str = "400 malformed_request";
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    vec![
        (1, "CL + TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), FRAMING),
        (2, "two CL, differing", post("Content-Length: 5\r\nContent-Length: 6", "hello!"), FRAMING),
        (3, "two CL, same", post("Content-Length: 5\r\nContent-Length: 5", "hello"), FRAMING),
        (4, "CL `5, 5`", post("Content-Length: 5, 5", "hello"), FRAMING),
        (5, "CL `+5`", post("Content-Length: +5", "hello"), FRAMING),
        (6, "TE `xchunked`", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), FRAMING),
        (7, "TE `chunked, identity`", post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), FRAMING),
        (8, "TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n"), FRAMING),
        (9, "`Transfer-Encoding :`", post("Transfer-Encoding : chunked", "0\r\n\r\n"), MALFORMED),
        (
            10,
            "TE in HTTP/1.0",
            b"POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            FRAMING,
        ),
        (11, "obs-fold", get("/a", "X: a\r\n b\r\n"), MALFORMED),
        (12, "bare LF line ends", b"GET /a HTTP/1.1\nHost: a\n\n".to_vec(), MALFORMED),
        (13, "bare CR in value", get("/a", "X: a\rb\r\n"), MALFORMED),
        (14, "NUL in value", get("/a", "X: a\0b\r\n"), MALFORMED),
        (15, "no Host", b"GET /a HTTP/1.1\r\n\r\n".to_vec(), "400 ambiguous_host"),
        (16, "two Host", get("/a", "Host: b\r\n"), "400 ambiguous_host"),
        (17, "absolute-form, other Host", get("http://b/a", ""), "400 ambiguous_host"),
        (18, "chunk extension with bare LF", post(CHUNKED, "5;\n\r\nhello\r\n0\r\n\r\n"), FRAMING),
        (19, "chunk size `0x5`", post(CHUNKED, "0x5\r\nhello\r\n0\r\n\r\n"), FRAMING),
        (20, "chunk size of 17 digits", post(CHUNKED, "00000000000000005\r\nhello\r\n0\r\n\r\n"), FRAMING),
        (21, "chunk lines end in bare LF", post(CHUNKED, "5\nhello\n0\n\n"), FRAMING),
        (22, "space in target", get("/a b", ""), MALFORMED),
        (23, "0xFF `<\">` in target", b"GET /a\xff<\"> HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), MALFORMED),
        (24, "`#frag` in target", get("/a#frag", ""), MALFORMED),
        (25, "`/a/../b/%2e%2e/x`", get("/a/../b/%2e%2e/x", ""), "400 ambiguous_path"),
        (26, "header name `X@A`", get("/a", "X@A: a\r\n"), MALFORMED),
        (27, "HTTP/1.2", b"GET /a HTTP/1.2\r\nHost: a\r\n\r\n".to_vec(), MALFORMED),
        (28, "space before the first header", b"GET /a HTTP/1.1\r\n Host: a\r\n\r\n".to_vec(), MALFORMED),
        (29, "150 headers", get("/a", &"X: a\r\n".repeat(150)), "431 headers_too_large"),
        (
            30,
            "100 KiB header",
            get("/a", &format!("X: {}\r\n", "a".repeat(100 << 10))),
            "431 headers_too_large",
        ),
        (31, "GET with CL body", get("/a", "Content-Length: 5\r\n\r\nhello"), "400 unexpected_body"),
        (32, "CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".to_vec(), "405 method_not_allowed"),
        (
            33,
            "`Connection: close, x-a`",
            get("/a", "Connection: close, x-a\r\nX-A: b\r\n"),
            "400 ambiguous_header",
        ),
    ]
}

#[tokio::test]
async fn every_case_of_the_table_is_refused_once_and_with_a_reason() {
    for (number, name, request, expected) in cases() {
        let (answer, records) = outcome(&request).await;
        println!("{number:>2} {name}: {answer}; {}", records.join("; "));
        assert_eq!(answer, expected, "{number} {name}");
        assert_eq!(records.len(), 1, "{number} {name}: {records:?}");
        let code = expected.split(' ').next_back().unwrap();
        assert!(records[0].starts_with(&format!("refused {code}: ")), "{number} {name}: {records:?}");
    }
}

#[tokio::test]
async fn further_attacks_are_refused() {
    let check = async |request: &[u8], expected: &str| {
        let (answer, records) = outcome(request).await;
        assert_eq!(answer, expected, "{}", request.escape_ascii());
        assert_eq!(records.len(), 1, "{records:?}");
    };
    check(&get(&format!("/{}", "a".repeat(9000)), ""), "414 target_too_long").await;
    check(&get("/a", "Expect: more\r\n"), "417 expectation_failed").await;
    check(&get("/a", "X-HTTP-Method-Override: POST\r\n"), "400 ambiguous_header").await;
    check(&post("Content-Length: 2000", ""), "413 body_too_large").await;
    check(&post("Content-Length: 5", "hel"), "400 body_incomplete").await;
    check(b"TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", "405 method_not_allowed").await;
    check(b"DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", "405 method_not_allowed").await;
    check(&get("/a", "Upgrade: websocket\r\nConnection: upgrade\r\n"), "400 upgrade_refused").await;
    check(&get("/%2e%2e/a", ""), "400 ambiguous_path").await;
    check(&get("/none", ""), "404 not_found").await;
}

/// The checker must be stricter than the parser behind it, or the parser answers in its own words.
#[tokio::test]
async fn no_change_of_one_byte_reaches_the_parser_malformed() {
    const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nConnection: close\r\n\r\n";
    const BYTES: &[u8] = b"\0\x01\t\n\r !\"#%&',-./059:;<=>?@[\\]^_`{|}~\x7f\x80\xa0\xff";
    let limits = Limits { head_deadline: Duration::from_millis(20), ..Limits::default() };
    let site = Site::start(limits);
    for position in 0..REQUEST.len() {
        let mut tasks = tokio::task::JoinSet::new();
        for byte in BYTES {
            let mut request = REQUEST.to_vec();
            request[position] = *byte;
            let address = site.address;
            tasks.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&request).await.unwrap();
                let _ = stream.shutdown().await;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                // Only the parser's own answer has no code in it.
                assert!(!answer.ends_with(b"\r\n\r\n"), "{}", request.escape_ascii());
            });
        }
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
    }
    let records = site.probe.records();
    let late: Vec<&String> = records.iter().filter(|record| record.contains("parser")).collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(records.len() > 1000 && records.iter().any(|record| record.starts_with("passed")));
}
