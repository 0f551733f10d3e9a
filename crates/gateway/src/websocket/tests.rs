use std::future::pending;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::oneshot;

use super::*;

#[test]
fn handshakes_are_proven() {
    let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
    let good = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];
    let check =
        |change: Option<(usize, (&'static str, &'static str))>, extra: &'static str, expected: bool| {
            let mut fields = good;
            if let Some((at, field)) = change {
                fields[at] = field;
            }
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name, HeaderValue::from_static(value));
            }
            if !extra.is_empty() {
                headers.append(extra, HeaderValue::from_static("x"));
            }
            assert_eq!(proves_handshake(&key, &headers), expected, "{change:?} {extra}");
        };
    check(None, "", true);
    check(None, "sec-websocket-protocol", true);
    check(None, "sec-websocket-extensions", false);
    check(None, "sec-websocket-accept", false);
    check(Some((0, ("upgrade", "h2c"))), "", false);
    check(Some((1, ("connection", "close"))), "", false);
    check(Some((2, ("sec-websocket-accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="))), "", false);
}

/// A splice between two in-memory connections: the ends of client and upstream, and the outcome.
struct Site {
    client: DuplexStream,
    upstream: DuplexStream,
    stop: Option<oneshot::Sender<()>>,
    spliced: tokio::task::JoinHandle<Spliced>,
}

fn site(rules: WebsocketRules, already_read: &'static [u8]) -> Site {
    let (client, gate_client) = duplex(1 << 16);
    let (upstream, gate_upstream) = duplex(1 << 16);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        if stopped.await.is_err() {
            pending::<()>().await;
        }
    };
    let spliced = tokio::spawn(async move {
        splice(gate_client, gate_upstream, Bytes::from_static(already_read), &rules, stopped).await
    });
    Site { client, upstream, stop: Some(stop), spliced }
}

const HELLO_MASKED: &[u8] = &[0x81, 0x82, 1, 2, 3, 4, b'h', b'i'];
const HELLO: &[u8] = &[0x81, 2, b'h', b'i'];

async fn expect(stream: &mut DuplexStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(got, expected);
}

async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    got
}

#[tokio::test(start_paused = true)]
async fn frames_pass_both_ways_and_a_half_close_is_kept() {
    let mut site = site(WebsocketRules::default(), HELLO);
    expect(&mut site.client, HELLO).await;
    site.client.write_all(HELLO_MASKED).await.unwrap();
    expect(&mut site.upstream, HELLO_MASKED).await;
    site.client.shutdown().await.unwrap();
    assert_eq!(rest(&mut site.upstream).await, b"");
    site.upstream.write_all(HELLO).await.unwrap();
    expect(&mut site.client, HELLO).await;
    drop(site.upstream);
    assert_eq!(rest(&mut site.client).await, b"");
    let spliced = site.spliced.await.unwrap();
    assert!(matches!(spliced.end, SpliceEnd::Closed), "{spliced:?}");
    assert_eq!((spliced.client_bytes, spliced.upstream_bytes), (8, 8));
}

#[tokio::test(start_paused = true)]
async fn violations_close_both_sides() {
    let rules = || WebsocketRules { max_frame: 10, ..WebsocketRules::default() };
    let check = async |bytes: &'static [u8], code: u16| {
        let mut site = site(rules(), b"");
        site.client.write_all(HELLO_MASKED).await.unwrap();
        site.client.write_all(bytes).await.unwrap();
        let to_upstream = [HELLO_MASKED, &close_frame(Sender::Client, code)].concat();
        assert_eq!(rest(&mut site.upstream).await, to_upstream);
        assert_eq!(rest(&mut site.client).await, close_frame(Sender::Upstream, code));
        let spliced = site.spliced.await.unwrap();
        assert!(matches!(spliced.end, SpliceEnd::Violation(Sender::Client, _)), "{spliced:?}");
        assert_eq!(spliced.client_bytes, 8);
    };
    check(HELLO, 1002).await;
    check(&[0x81, 0x8b], 1009).await;
    check(&[0xf1, 0x81], 1002).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_end_of_a_frame() {
    let mut site = site(WebsocketRules::default(), b"");
    site.upstream.write_all(&HELLO[..3]).await.unwrap();
    expect(&mut site.client, &HELLO[..3]).await;
    site.stop.take().unwrap().send(()).unwrap();
    site.upstream.write_all(&HELLO[3..]).await.unwrap();
    site.upstream.write_all(HELLO).await.unwrap();
    let to_client = [&HELLO[3..], &close_frame(Sender::Upstream, 1001)].concat();
    assert_eq!(rest(&mut site.client).await, to_client);
    assert_eq!(rest(&mut site.upstream).await, close_frame(Sender::Client, 1001));
    drop(site.client);
    assert!(matches!(site.spliced.await.unwrap().end, SpliceEnd::Stopped));
}

#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let site = site(WebsocketRules::default(), b"");
    let begun = Instant::now();
    assert!(matches!(site.spliced.await.unwrap().end, SpliceEnd::Idle));
    assert!(begun.elapsed() >= Duration::from_secs(60));
}
