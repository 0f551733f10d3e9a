use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_core::halt::Reason;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::keys::{Fetch as _, FetchError as NotHad};
use crate::websocket::{SpliceEnd, WebsocketRules, splice};

/// Listens, gives each connection to `serve`, and counts them.
async fn listen<F, S>(serve: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(tcp));
        }
    });
    (address, count)
}

/// Reads a head and the body that its length announces; `None` at the end of the connection.
async fn read_request(tcp: &mut TcpStream) -> Option<String> {
    let mut inbox = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&inbox).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if inbox.len() >= end + 4 + length {
                return Some(text);
            }
        }
        let mut piece = [0; 4096];
        match tcp.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => inbox.extend_from_slice(&piece[..count]),
        }
    }
}

/// An upstream that answers every request on a connection with these bytes.
async fn always(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    listen(move |mut tcp| async move {
        while read_request(&mut tcp).await.is_some() {
            tcp.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

fn rules(address: SocketAddr) -> UpstreamRules {
    UpstreamRules::new("test", format!("http://{address}").parse().unwrap())
}

fn to(address: SocketAddr) -> Upstream {
    Upstream::compile(rules(address)).unwrap()
}

fn request(method: Method, body: &'static str) -> Box<Outgoing> {
    let mut request = Request::new(OutBody::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = "/a?b".parse().unwrap();
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("up.test"));
    Box::new(request.into())
}

async fn text(answer: Response<UpstreamBody>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=5\r\nconnection: x-hop, keep-alive\r\n\
                  x-hop: 1\r\nx-end: 1\r\n\r\nok";

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let (address, count) = always(OK).await;
    let upstream = to(address);
    for _ in 0..3 {
        assert_eq!(text(upstream.send(request(Method::POST, "body")).await.unwrap()).await, "ok");
        assert_eq!(upstream.idle_count(), 1);
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let unread = upstream.send(request(Method::GET, "")).await.unwrap();
    assert_eq!(upstream.idle_count(), 0);
    drop(unread);
    assert_eq!(upstream.idle_count(), 0, "a body that was not read must not give its connection back");
    assert_eq!(text(upstream.send(request(Method::GET, "")).await.unwrap()).await, "ok");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn hop_by_hop_fields_of_the_answer_are_dropped() {
    let (address, _) = always(OK).await;
    let answer = to(address).send(request(Method::GET, "")).await.unwrap();
    let names: Vec<&str> = answer.headers().keys().map(header::HeaderName::as_str).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"content-length") && names.contains(&"x-end"), "{names:?}");
}

#[tokio::test]
async fn many_at_once_are_served() {
    let (address, _) = always(OK).await;
    let patient = UpstreamRules { connect_timeout: Duration::from_secs(60), ..rules(address) };
    let upstream = Arc::new(Upstream::compile(patient).unwrap());
    let all: Vec<_> = (0..512)
        .map(|_| {
            let upstream = Arc::clone(&upstream);
            tokio::spawn(async move { text(upstream.send(request(Method::GET, "")).await.unwrap()).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn what_is_sent_is_what_was_built() {
    let (sent, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = listen(move |mut tcp| {
        let sent = sent.clone();
        async move {
            while let Some(request) = read_request(&mut tcp).await {
                sent.send(request).unwrap();
                tcp.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let upstream = to(address);
    let mut check = async |mut outgoing: Box<Outgoing>, length: Option<&'static str>, expected: &str| {
        if let Some(length) = length {
            outgoing.request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        text(upstream.send(outgoing).await.unwrap()).await;
        assert_eq!(seen.recv().await.unwrap(), expected);
    };
    check(request(Method::GET, ""), None, "GET /a?b HTTP/1.1\r\nhost: up.test\r\n\r\n").await;
    let post = "POST /a?b HTTP/1.1\r\nhost: up.test\r\ncontent-length: ";
    check(request(Method::POST, ""), Some("0"), &format!("{post}0\r\n\r\n")).await;
    check(request(Method::POST, "xyz"), Some("3"), &format!("{post}3\r\n\r\nxyz")).await;
}

#[tokio::test]
async fn a_dead_pooled_connection_is_replaced_before_anything_is_sent() {
    let closed = Arc::new(Notify::new());
    let closes = Arc::clone(&closed);
    let (address, count) = listen(move |mut tcp| {
        let closes = Arc::clone(&closes);
        async move {
            read_request(&mut tcp).await;
            tcp.write_all(OK.as_bytes()).await.unwrap();
            drop(tcp);
            closes.notify_one();
        }
    })
    .await;
    let upstream = to(address);
    for round in 1..=3 {
        assert_eq!(text(upstream.send(request(Method::POST, "body")).await.unwrap()).await, "ok");
        closed.notified().await;
        // Lets the runtime see the end of the connection.
        yield_now().await;
        assert_eq!(count.load(Ordering::SeqCst), round);
    }
}

/// Answers the first request of the first connection only, and breaks at the second one after having read it.
async fn breaks_at_second() -> (SocketAddr, Arc<AtomicUsize>) {
    listen(move |mut tcp| async move {
        read_request(&mut tcp).await;
        tcp.write_all(OK.as_bytes()).await.unwrap();
        read_request(&mut tcp).await;
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn only_idempotent_requests_on_old_connections_are_sent_again() {
    let check = async |method: Method, rested: u64, is_served: bool, connections: usize| {
        let (address, count) = breaks_at_second().await;
        let upstream = to(address);
        assert_eq!(text(upstream.send(request(method.clone(), "")).await.unwrap()).await, "ok");
        tokio::time::advance(Duration::from_secs(rested)).await;
        let second = upstream.send(request(method.clone(), "")).await;
        assert_eq!(second.is_ok(), is_served, "{method} after {rested}");
        if let Err(error) = second {
            assert_eq!(error.reason(), Reason::UpstreamBroken);
        }
        assert_eq!(count.load(Ordering::SeqCst), connections, "{method} after {rested}");
    };
    check(Method::GET, 2, true, 2).await;
    check(Method::GET, 0, false, 1).await;
    check(Method::POST, 2, false, 1).await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_in_time() {
    let (address, _) = always(OK).await;
    let upstream = to(address);
    text(upstream.send(request(Method::GET, "")).await.unwrap()).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(upstream.idle_count(), 1);
    tokio::time::sleep(Duration::from_secs(17)).await;
    assert_eq!(upstream.idle_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_answer_times_out() {
    let (address, _) = always("").await;
    let begun = tokio::time::Instant::now();
    let error = to(address).send(request(Method::GET, "")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::UpstreamTimeout, "{error}");
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn silence_within_a_body_times_out() {
    let check = async |kind: &str, expected: BodyError, seconds: u64| {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        let (address, _) = listen(move |mut tcp| {
            let answer = answer.clone();
            async move {
                read_request(&mut tcp).await;
                tcp.write_all(answer.as_bytes()).await.unwrap();
                for _ in 0..3 {
                    tcp.write_all(b"2\r\nok\r\n").await.unwrap();
                    tokio::time::sleep(Duration::from_secs(25)).await;
                }
                read_request(&mut tcp).await;
            }
        })
        .await;
        let begun = tokio::time::Instant::now();
        let answer = to(address).send(request(Method::GET, "")).await.unwrap();
        let error = answer.into_body().collect().await.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string(), "{kind}");
        assert_eq!(begun.elapsed().as_secs(), seconds, "{kind}");
    };
    check("application/json", BodyError::Total, 60).await;
    // The last chunk comes after 50 s; from then on the stream is silent.
    check("Text/Event-Stream; charset=utf-8", BodyError::Idle, 110).await;
}

#[tokio::test]
async fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = to(address).send(request(Method::GET, "")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::UpstreamUnreachable, "{error}");
}

#[tokio::test]
async fn broken_answers_are_errors_and_never_a_clean_end() {
    let head = async |answer: &'static str| {
        let (address, _) = listen(move |mut tcp| async move {
            read_request(&mut tcp).await;
            tcp.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let upstream = to(address);
        let answer = upstream.send(request(Method::GET, "")).await;
        (upstream, answer)
    };
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    for answer in ["", "HTTP/1.1 200 OK\r\nx", "nonsense\r\n\r\n", switch] {
        let (_, answer) = head(answer).await;
        assert_eq!(answer.unwrap_err().reason(), Reason::UpstreamBroken);
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok";
    let unended: &'static str = format!("{chunked}2\r\nok\r\n").leak();
    let torn: &'static str = format!("{chunked}5\r\nok").leak();
    let bad: &'static str = format!("{chunked}2\r\nok\r\nxyz\r\n").leak();
    for answer in [short, unended, torn, bad] {
        let (upstream, answer) = head(answer).await;
        let mut body = answer.unwrap().into_body();
        let mut data = Vec::new();
        let error = loop {
            match body.frame().await {
                Some(Ok(frame)) => data.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(error)) => break error,
                None => panic!("ended cleanly"),
            }
        };
        assert!(matches!(error, BodyError::Broken(_)), "{error}");
        assert_eq!(data, b"ok");
        assert_eq!(upstream.idle_count(), 0);
    }
}

#[tokio::test]
async fn an_answer_may_come_late_early_or_in_pieces() {
    // Interim answers (RFC 9110 section 15.2) are not for the client, and there are not many.
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let (address, count) = always(format!("{interim}{interim}{OK}").leak()).await;
    let upstream = to(address);
    for _ in 0..2 {
        assert_eq!(text(upstream.send(request(Method::GET, "")).await.unwrap()).await, "ok");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let (address, _) = always(interim.repeat(17).leak()).await;
    assert_eq!(
        to(address).send(request(Method::GET, "")).await.unwrap_err().reason(),
        Reason::UpstreamBroken
    );

    // An upstream that refuses a large body answers before it has read it (RFC 9112 section 9.3).
    let (address, count) = listen(|mut tcp| async move {
        let mut first = [0; 64];
        let _ = tcp.read_exact(&mut first).await;
        tcp.write_all(OK.as_bytes()).await.unwrap();
        // Nothing more is read, until the client is gone.
        let _ = tokio::time::timeout(Duration::from_secs(5), tcp.writable()).await;
        std::future::pending::<()>().await;
    })
    .await;
    let upstream = to(address);
    for expected in 1..=2 {
        let mut large = request(Method::POST, "");
        *large.request.body_mut() = Bytes::from(vec![b'x'; 16 << 20]);
        large.request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(16 << 20));
        assert_eq!(text(upstream.send(large).await.unwrap()).await, "ok");
        // What was not written whole is not used again.
        assert_eq!(count.load(Ordering::SeqCst), expected);
    }

    // Byte by byte, heads and chunks and trailers.
    let whole = format!(
        "{interim}HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nx-end: 1\r\n\r\n"
    );
    let (address, count) = listen(move |mut tcp| {
        let whole = whole.clone();
        async move {
            tcp.set_nodelay(true).unwrap();
            while read_request(&mut tcp).await.is_some() {
                for byte in whole.as_bytes() {
                    tcp.write_all(&[*byte]).await.unwrap();
                    yield_now().await;
                }
            }
        }
    })
    .await;
    let upstream = to(address);
    for _ in 0..2 {
        let body =
            upstream.send(request(Method::GET, "")).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-end"], "1");
        assert_eq!(body.to_bytes(), "ok");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_nobody_asked_for_ends_the_connection() {
    // SMUGGLING: what follows an answer would be taken for the next one.
    let (address, count) =
        always(format!("{OK}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").leak()).await;
    let upstream = to(address);
    for expected in 1..=3 {
        assert_eq!(text(upstream.send(request(Method::GET, "")).await.unwrap()).await, "ok");
        assert_eq!(count.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn a_burst_of_chunks_leaves_in_few_frames() {
    let chunk = "data: {\"some\":\"event of a plausible length, as a model would stream it\"}\n\n";
    let burst = format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(500);
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer: &'static str = format!("{head}{burst}0\r\nx-sum: 1\r\n\r\n").leak();
    let (address, _) = always(answer).await;
    let upstream = to(address);
    let mut body = upstream.send(request(Method::GET, "")).await.unwrap().into_body();
    let (mut data, mut frames, mut trailers) = (Vec::new(), 0, None);
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(piece) => {
                data.extend_from_slice(&piece);
                frames += 1;
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    assert_eq!(data, chunk.repeat(500).as_bytes());
    assert!(frames <= 20, "{frames} frames");
    let expected: HeaderMap =
        [(header::HeaderName::from_static("x-sum"), HeaderValue::from_static("1"))].into_iter().collect();
    assert_eq!(trailers, Some(expected));
    assert_eq!(upstream.idle_count(), 1);
}

#[tokio::test]
async fn a_large_body_is_whole_and_keeps_its_length() {
    let whole = "0123456789abcdef".repeat(40_000);
    let answer: &'static str =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{whole}", whole.len()).leak();
    let (address, _) = always(answer).await;
    let upstream = to(address);
    let answer = upstream.send(request(Method::GET, "")).await.unwrap();
    let hint = http_body::Body::size_hint(answer.body());
    assert_eq!(hint.exact(), Some(whole.len() as u64));
    assert_eq!(text(answer).await, whole);
    assert_eq!(upstream.idle_count(), 1);
}

#[tokio::test]
async fn a_chunk_alone_leaves_at_once() {
    let go = Arc::new(Notify::new());
    let goes = Arc::clone(&go);
    let (address, _) = listen(move |mut tcp| {
        let goes = Arc::clone(&goes);
        async move {
            read_request(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            for _ in 0..3 {
                tcp.write_all(b"2\r\nok\r\n").await.unwrap();
                goes.notified().await;
            }
            tcp.write_all(b"0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let mut body = to(address).send(request(Method::GET, "")).await.unwrap().into_body();
    for _ in 0..3 {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
        go.notify_one();
    }
    assert!(body.frame().await.is_none());
}

/// A CA in a file, and a TLS configuration for `localhost` signed by it.
fn authority(alpn: &[&[u8]]) -> (tempfile::NamedTempFile, tokio_rustls::TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), root.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    (file, Arc::new(config).into())
}

#[tokio::test]
async fn certificates_are_verified() {
    let (ca, acceptor) = authority(&[b"http/1.1"]);
    let (address, _) = listen(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(tcp).await else { return };
            let mut inbox = [0; 1024];
            while tls.read(&mut inbox).await.is_ok_and(|count| count > 0) {
                tls.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let check = async |roots: Roots, server_name: Option<&str>, expected: Option<Reason>| {
        let mut rules = rules(address);
        rules.url = format!("https://localhost:{}", address.port()).parse().unwrap();
        rules.tls = TlsClientRules { roots, server_name: server_name.map(Into::into) };
        let sent = Upstream::compile(rules).unwrap().send(request(Method::GET, "")).await;
        assert_eq!(sent.err().map(|error| error.reason()), expected, "{server_name:?}");
    };
    let file = || Roots::File(ca.path().to_owned());
    let (other, _) = authority(&[]);
    check(file(), None, None).await;
    check(file(), Some("elsewhere.test"), Some(Reason::UpstreamUnreachable)).await;
    check(Roots::File(other.path().to_owned()), None, Some(Reason::UpstreamUnreachable)).await;
    check(Roots::Platform, None, Some(Reason::UpstreamUnreachable)).await;
}

#[test]
fn unusable_rules_make_no_upstream() {
    let check = |url: &'static str, file: Option<&str>, expected: &str| {
        let mut rules = UpstreamRules::new("test", url.parse().unwrap());
        if let Some(file) = file {
            rules.tls.roots = Roots::File(file.into());
        }
        let error = Upstream::compile(rules).unwrap_err().to_string();
        assert!(error.contains(expected), "{url}: {error}");
    };
    check("ftp://host", None, "http://");
    check("/path", None, "http://");
    check("http://user:pass@host/", None, "scheme, host");
    check("http://host/?query", None, "scheme, host");
    check("https://a_.b*c", None, "server name");
    check("https://host", Some("does-not-exist.pem"), "does-not-exist.pem");
    check("https://host", Some("Cargo.toml"), "no certificate");
}

/// An HTTP/2 upstream that echoes method, path and host; every connection serves `each` requests, then says goodbye.
async fn serve_h2(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    each: usize,
) {
    let done = Arc::new(Notify::new());
    let count = AtomicUsize::new(0);
    let counted = Arc::clone(&done);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        if count.fetch_add(1, Ordering::SeqCst) + 1 == each {
            counted.notify_one();
        }
        async move {
            assert!(!request.headers().contains_key(header::HOST));
            let line = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from([line.as_bytes(), b" ", &body].concat())))
        }
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => {}
        () = done.notified() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[tokio::test]
async fn http2_by_prior_knowledge_shares_a_connection() {
    let (address, count) = listen(|tcp| serve_h2(tcp, usize::MAX)).await;
    let upstream = Upstream::compile(UpstreamRules { http2: true, ..rules(address) }).unwrap();
    let upstream = Arc::new(upstream);
    let all: Vec<_> = (0..50)
        .map(|_| {
            let upstream = Arc::clone(&upstream);
            tokio::spawn(
                async move { text(upstream.send(request(Method::POST, "body")).await.unwrap()).await },
            )
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), "POST http://up.test/a?b body");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http2_connects_again_after_goodbye() {
    let (address, count) = listen(|tcp| serve_h2(tcp, 1)).await;
    let upstream = Upstream::compile(UpstreamRules { http2: true, ..rules(address) }).unwrap();
    // A goodbye takes a round trip, so that a connection may serve another request meanwhile; none may fail.
    for _ in 0..100 {
        assert_eq!(
            text(upstream.send(request(Method::GET, "")).await.unwrap()).await,
            "GET http://up.test/a?b "
        );
        yield_now().await;
    }
    assert!(count.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn http2_over_tls_is_agreed_on_by_alpn() {
    let check = async |alpn: &'static [&'static [u8]], is_h2: bool| {
        let (ca, acceptor) = authority(alpn);
        let (address, _) = listen(move |tcp| {
            let acceptor = acceptor.clone();
            async move {
                let mut tls = acceptor.accept(tcp).await.unwrap();
                if is_h2 {
                    return serve_h2(tls, usize::MAX).await;
                }
                let mut inbox = [0; 1024];
                while tls.read(&mut inbox).await.is_ok_and(|count| count > 0) {
                    tls.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        })
        .await;
        let mut rules = rules(address);
        rules.http2 = true;
        rules.url = format!("https://localhost:{}", address.port()).parse().unwrap();
        rules.tls.roots = Roots::File(ca.path().to_owned());
        let answer = Upstream::compile(rules).unwrap().send(request(Method::GET, "")).await.unwrap();
        assert_eq!(text(answer).await, if is_h2 { "GET https://up.test/a?b " } else { "ok" });
    };
    check(&[b"h2", b"http/1.1"], true).await;
    check(&[b"http/1.1"], false).await;
}

fn handshake() -> Box<Outgoing> {
    let mut outgoing = request(Method::GET, "");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        outgoing.request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    outgoing
}

#[tokio::test]
async fn websockets_pass_through_the_splice() {
    use futures_util::{SinkExt as _, StreamExt as _};
    let (address, _) = listen(|tcp| async move {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let Upgrade::Switched(answer, io, read) = to(address).upgrade(handshake()).await.unwrap() else {
        panic!("declined");
    };
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let (client, gate) = tokio::io::duplex(4096);
    let spliced = tokio::spawn(async move {
        splice(gate, io, read, &WebsocketRules::default(), std::future::pending()).await
    });
    let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        let message = tokio_tungstenite::tungstenite::Message::binary(vec![7; length]);
        client.send(message.clone()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), message, "{length}");
    }
    client.close(None).await.unwrap();
    while client.next().await.is_some() {}
    drop(client);
    assert!(matches!(spliced.await.unwrap().end, SpliceEnd::Closed));
}

#[tokio::test]
async fn handshakes_may_be_declined_but_not_forged() {
    let (address, _) = always("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    let Upgrade::Declined(answer) = to(address).upgrade(handshake()).await.unwrap() else {
        panic!("switched");
    };
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(answer).await, "no");
    let forged = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                  sec-websocket-accept: AAAA\r\n\r\n";
    let (address, _) = always(forged).await;
    let error = to(address).upgrade(handshake()).await.unwrap_err();
    assert!(matches!(error, ForwardError::Handshake), "{error}");
}

#[tokio::test]
async fn documents_are_fetched_within_bounds() {
    let (address, _) = always("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789").await;
    let (moved, _) = always("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    let fetcher = Fetcher::new(TlsClientRules::default(), Duration::from_secs(5));
    let url = format!("http://{address}/keys?a=b");
    assert_eq!(fetcher.get(&url, 10).await.unwrap(), Bytes::from_static(b"0123456789"));
    assert!(matches!(fetcher.get(&url, 9).await, Err(NotHad::TooLarge(9))));
    let redirect = fetcher.get(&format!("http://{moved}/"), 10).await;
    assert!(matches!(redirect, Err(NotHad::Status(302))), "{redirect:?}");
    let without_authority = "file:///etc/passwd";
    for (url, expected) in [
        ("http://192.0.2.1/", FetchError::Plain.to_string()),
        (
            without_authority,
            FetchError::from(without_authority.parse::<http::Uri>().unwrap_err()).to_string(),
        ),
    ] {
        let error = fetcher.get(url, 10).await.unwrap_err();
        assert!(matches!(&error, NotHad::Unreachable(why) if *why == expected), "{url}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn documents_that_do_not_come_time_out() {
    let (address, _) = always("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n012").await;
    let fetcher = Fetcher::new(TlsClientRules::default(), Duration::from_secs(5));
    assert!(matches!(fetcher.get(&format!("http://{address}/"), 10).await, Err(NotHad::TimedOut)));
}
