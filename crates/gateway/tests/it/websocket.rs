//! WebSockets through the whole gate.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::support::{Files, Gate, LONG, stopped_at, until};

type Socket = WebSocketStream<TcpStream>;

/// An echo: every message comes back. Returns where it listens.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn start(allowed: bool) -> Gate {
    let address = echo().await;
    let more = format!("upstream: {{ url: \"http://{address}\" }}\nwebsocket: {allowed}\n");
    Gate::start(Files::open(&more, "limits: { websocket_frame: 64KiB }")).await
}

async fn open(gate: &Gate) -> Result<Socket, Error> {
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    client_async("ws://h.test/api/things", stream).await.map(|(socket, _)| socket)
}

async fn next(socket: &mut Socket) -> Option<Message> {
    let next = tokio::time::timeout(LONG, socket.next()).await.expect("nothing comes");
    next.and_then(Result::ok)
}

async fn close_code(socket: &mut Socket) -> Option<CloseCode> {
    loop {
        match next(socket).await? {
            Message::Close(frame) => return frame.map(|frame| frame.code),
            _ => continue,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_pass_both_ways_and_make_one_record() {
    let gate = start(true).await;
    let mut socket = open(&gate).await.unwrap();
    for text in ["one", "", "three"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(next(&mut socket).await, Some(Message::text(text)));
    }
    let large = Bytes::from(vec![7; 60_000]);
    socket.send(Message::Binary(large.clone())).await.unwrap();
    assert_eq!(next(&mut socket).await, Some(Message::Binary(large)));
    assert!(gate.records_now().is_empty(), "the record ends with the socket");
    socket.close(None).await.unwrap();
    while next(&mut socket).await.is_some() {}
    drop(socket);
    let records = gate.records(1).await;
    assert_eq!(records[0]["status"], 101);
    assert_eq!(records[0]["complete"], true, "{}", records[0]);
    assert_eq!(records[0]["stream"], true);
    assert!(records[0]["bytes_in"].as_u64().unwrap() > 60_000, "{}", records[0]);
    assert!(records[0]["bytes_out"].as_u64().unwrap() > 60_000, "{}", records[0]);
    assert_eq!(gate.stop().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_over_the_limit_closes_with_1009() {
    let gate = start(true).await;
    let mut socket = open(&gate).await.unwrap();
    // The gate may close before all of it is written.
    let _ = socket.send(Message::Binary(Bytes::from(vec![7; 70_000]))).await;
    assert_eq!(close_code(&mut socket).await, Some(CloseCode::Size));
    drop(socket);
    let records = gate.stop().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["reason"], "malformed_request", "{}", records[0]);
    assert_eq!(records[0]["status"], 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_is_refused_where_it_is_not_written() {
    let gate = start(false).await;
    match open(&gate).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 400),
        other => panic!("{other:?}"),
    }
    let records = gate.stop().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["reason"], "upgrade_refused");
    assert_eq!(stopped_at(&records[0]), ("receive".into(), "refused".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_the_upstream_declines_is_an_answer() {
    let gate = Gate::start(Files::open("websocket: true", "")).await;
    match open(&gate).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 200),
        other => panic!("{other:?}"),
    }
    // An upstream that switches without having read the handshake is not believed.
    gate.upstream
        .says("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    match open(&gate).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 502),
        other => panic!("{other:?}"),
    }
    let seen = &gate.upstream.seen()[0];
    assert_eq!(
        (seen.header("connection"), seen.header("upgrade")),
        (vec!["Upgrade".into()], vec!["websocket".into()])
    );
    assert_eq!(gate.stop().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_socket_with_1001() {
    let gate = start(true).await;
    let mut socket = open(&gate).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut socket).await, Some(Message::text("hello")));
    let stopping = tokio::spawn(gate.stop());
    assert_eq!(close_code(&mut socket).await, Some(CloseCode::Away));
    drop(socket);
    let records = tokio::time::timeout(LONG, stopping).await.expect("the stop ends").unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["complete"], true, "{}", records[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_ends_its_record() {
    let gate = start(true).await;
    let mut socket = open(&gate).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut socket).await, Some(Message::text("hello")));
    drop(socket);
    gate.records(1).await;
    until("nothing in flight", async || {
        gate.admin("/metrics").await.text().contains("portcullis_in_flight 0\n").then_some(())
    })
    .await;
    assert_eq!(gate.stop().await.len(), 1);
}
