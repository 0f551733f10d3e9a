//! Deadlines, limits, pipelining, upgrades and the end of a listener.

use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_CLOSE: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const ANSWER: &str = "GET /a a HTTP/1.1 0";

#[tokio::test]
async fn requests_in_one_canonical_form_pass() {
    let site = Site::start(Limits::default());
    let check = async |request: &str, expected: &str| {
        let answer = site.say(request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"),
            "{request}: {answer}"
        );
        assert!(answer.ends_with(expected), "{request}: {answer}");
    };
    check("GET /a HTTP/1.1\r\nHost: A\r\nConnection: close\r\n\r\n", ANSWER).await;
    check("\r\nGET http://A/%61?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", ANSWER).await;
    check("GET /a HTTP/1.0\r\nHost: a\r\n\r\n", "GET /a a HTTP/1.0 0").await;
    let post = "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    check(&format!("{post}Content-Length: 5\r\n\r\nhello"), "POST /a a HTTP/1.1 5").await;
    check(
        &format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        "POST /a a HTTP/1.1 5",
    )
    .await;
}

#[tokio::test]
async fn a_head_in_many_pieces_is_one_head() {
    let site = Site::start(Limits::default());
    let mut stream = site.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in GET_CLOSE {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(rest(&mut stream).await.ends_with(ANSWER));
}

#[tokio::test]
async fn a_pipelined_attack_is_refused_after_the_answers_before_it() {
    let site = Site::start(Limits::default());
    let answers = site.say(&[GET, GET, b"GET /a HTTP/1.1\nHost: a\r\n\r\n", GET].concat()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 Bad Request\r\n").count(), 1, "{answers}");
    assert!(answers.contains("connection: close") && answers.ends_with("malformed_request"), "{answers}");
    assert_eq!(site.probe.records().len(), 3);
}

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let site = Site::start(Limits { head_deadline: Duration::from_millis(50), ..Limits::default() });
    let answer = site.say(b"GET /a HTTP/1.1\r\nHost: a\r\nX: ").await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.ends_with("head_timeout"), "{answer}");
    assert_eq!(site.probe.records(), ["refused head_timeout: head did not arrive in time"]);
}

#[tokio::test]
async fn a_slow_body_is_answered_408() {
    let site = Site::start(Limits::default());
    let answer = site.say(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel").await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.ends_with("body_timeout"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let site = Site::start(Limits { idle: Duration::from_millis(100), ..Limits::default() });
    let mut silent = site.connect().await;
    let mut idle = site.connect().await;
    let mut busy = site.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    idle.write_all(GET).await.unwrap();
    assert!(rest(&mut idle).await.ends_with(ANSWER));
    assert_eq!(rest(&mut silent).await, "");
    // All others had their time by now; the busy one had as much.
    site.probe.gate.add_permits(1);
    assert!(rest(&mut busy).await.ends_with("GET /slow a HTTP/1.1 0"));
    assert_eq!(site.probe.records().len(), 2);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let limits = Limits { write_stall: Duration::from_millis(50), drain: LONG, ..Limits::default() };
    let site = Site::start(limits);
    let mut stream = site.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut stream, "\r\n\r\n").await;
    site.stop.cancel();
    // The stalled connection ends by itself, long before the drain time.
    let served = tokio::time::timeout(Duration::from_secs(10), site.served).await.unwrap().unwrap();
    assert_eq!(served, Served { accepted: 1, turned_away: 0, cut: 0 });
}

#[tokio::test]
async fn connections_are_counted_by_address_and_in_all() {
    for limits in [
        Limits { connections_per_address: 2, ..Limits::default() },
        Limits { connections: 2, ..Limits::default() },
    ] {
        let site = Site::start(limits);
        let (mut first, mut second, mut third) =
            (site.connect().await, site.connect().await, site.connect().await);
        // The third is closed without a word; the others are served, and leave their place.
        let mut byte = [0];
        assert!(matches!(third.read(&mut byte).await, Ok(0) | Err(_)));
        for stream in [&mut first, &mut second] {
            stream.write_all(GET_CLOSE).await.unwrap();
            assert!(rest(stream).await.ends_with(ANSWER));
        }
        site.stop.cancel();
        assert_eq!(site.served.await.unwrap(), Served { accepted: 2, turned_away: 1, cut: 0 });
    }
}

#[tokio::test]
async fn a_request_of_a_client_that_left_is_abandoned() {
    let site = Site::start(Limits::default());
    let mut stream = site.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    site.probe.seen.arrived.notified().await;
    drop(stream);
    tokio::time::timeout(LONG, site.probe.seen.abandoned.notified()).await.unwrap();
    assert_eq!(site.probe.seen.running.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stopping_listener_finishes_what_is_in_flight() {
    let site = Site::start(Limits { drain: LONG, ..Limits::default() });
    let mut idle = site.connect().await;
    idle.write_all(GET).await.unwrap();
    until(&mut idle, ANSWER).await;
    let mut busy = site.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    site.probe.seen.arrived.notified().await;
    site.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert!(!site.served.is_finished());
    assert!(TcpStream::connect(site.address).await.is_err());
    site.probe.gate.add_permits(1);
    let answer = rest(&mut busy).await;
    assert!(answer.contains("connection: close") && answer.ends_with("GET /slow a HTTP/1.1 0"), "{answer}");
    assert_eq!(site.served.await.unwrap(), Served { accepted: 2, turned_away: 0, cut: 0 });
}

#[tokio::test]
async fn what_does_not_finish_within_the_drain_time_is_cut() {
    let site = Site::start(Limits { drain: Duration::from_millis(50), ..Limits::default() });
    let mut busy = site.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    site.probe.seen.arrived.notified().await;
    site.stop.cancel();
    assert_eq!(site.served.await.unwrap(), Served { accepted: 1, turned_away: 0, cut: 1 });
    assert_eq!(site.probe.seen.running.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_upgraded_connection_carries_any_bytes() {
    let site = Site::start(Limits::default());
    let mut stream = site.connect().await;
    let handshake = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(handshake).await.unwrap();
    assert!(until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    stream.write_all(b"\0\n\r\n\xff\x01\x02").await.unwrap();
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\0\n\r\n\xff\x01\x02");
}

#[tokio::test]
async fn bytes_sent_before_an_upgrade_was_granted_stay_checked() {
    let site = Site::start(Limits::default());
    let answer = site
        .say(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\nGET /a\nX",
        )
        .await;
    assert!(answer.contains("upgrade_refused") && answer.ends_with("malformed_request"), "{answer}");
    assert_eq!(site.probe.records().len(), 2);
}

#[tokio::test]
async fn http2_is_spoken_in_clear_with_those_who_know() {
    let site = Site::start(Limits::default());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(site.connect().await),
    )
    .await
    .unwrap();
    let connection = tokio::spawn(connection);
    let request = |uri: &str, host: Option<&str>| {
        let request = Request::get(uri);
        host.into_iter()
            .fold(request, |request, host| request.header("host", host))
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let response = sender.send_request(request("http://A/a", None)).await.unwrap();
    assert_eq!(response.status(), 200);
    let response = sender.send_request(request("http://a/a", Some("b"))).await.unwrap();
    assert_eq!(response.status(), 400);
    let response = sender.send_request(request("http://a/a//b", None)).await.unwrap();
    assert_eq!(response.status(), 400);
    site.stop.cancel();
    connection.await.unwrap().unwrap();
    assert_eq!(site.served.await.unwrap(), Served { accepted: 1, turned_away: 0, cut: 0 });
    assert_eq!(site.probe.records()[0], "passed GET /a a HTTP/2.0 0");
}
