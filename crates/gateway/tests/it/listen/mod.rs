//! The listener, with a handler that stops after `receive`.

mod behaviour;
mod malformed;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;
use portcullis_core::contract::{Contract, ContractOptions};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::receive::{ReceiveRules, receive};
use portcullis_core::request::Peer;
use portcullis_core::route::{Route, RouteId, Routes, Surface};
use portcullis_gateway::listen::tls::TlsRules;
use portcullis_gateway::listen::{Handler, Limits, ListenRules, Listener, Served, body, wire};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than any test takes; a deadline that is not under test.
const LONG: Duration = Duration::from_secs(20);

/// What the handler saw.
#[derive(Default)]
struct Seen {
    /// One line for each request, served or refused.
    records: Mutex<Vec<String>>,
    /// Requests that are being handled.
    running: AtomicUsize,
    /// Told when a handler's future is dropped before its end.
    abandoned: tokio::sync::Notify,
    /// Told when a request to `/slow` arrives.
    arrived: tokio::sync::Notify,
}

#[derive(Clone)]
struct Probe {
    routes: Arc<Routes>,
    seen: Arc<Seen>,
    /// Requests to `/slow` wait for a permit.
    gate: Arc<Semaphore>,
}

impl Probe {
    fn new() -> Self {
        let empty = json!({ "responses": { "200": { "description": "ok" } } });
        let mut with_body = empty.clone();
        with_body["requestBody"] = json!({ "content": { "application/json": {} } });
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": "all", "version": "1" },
            "paths": {
                "/a": { "get": empty, "post": with_body },
                "/slow": { "get": empty },
                "/large": { "get": empty },
                "/ws": { "get": empty },
            },
        });
        let contract = Contract::compile(document, &ContractOptions::default()).unwrap();
        let route = Route {
            id: RouteId(0),
            name: "all".into(),
            grpc: None,
            mcp: None,
            surface: Surface::Rest,
            graph: None,
            base_path: "".into(),
            contract,
            identify: Default::default(),
            budgets: Vec::new(),
            authorize: Default::default(),
            validate: Default::default(),
            body_limit: 1024,
            body_limits: Vec::new(),
            allows_websocket: true,
        };
        let routes = Arc::new(Routes::new(vec![Arc::new(route)]));
        Self { routes, seen: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(&self, peer: Peer, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Halt> {
        let (wire, incoming) = wire(peer, request);
        let upgrade = wire.parts.extensions.get::<hyper::upgrade::OnUpgrade>().cloned();
        let request = receive(&self.routes, &ReceiveRules::default(), wire)?;
        let progress = Duration::from_millis(100);
        let body =
            body::read(incoming, 1024, progress, LONG).await.map_err(|reason| Halt::new(reason, ""))?;
        let head = request.head();
        let (method, path) = (head.method.clone(), head.path.as_str());
        let text = format!("{method} {path} {} {:?} {}", head.authority, head.version, body.len());
        self.seen.records.lock().push(format!("passed {text}"));
        match path {
            "/slow" => {
                self.seen.arrived.notify_one();
                self.gate.acquire().await.unwrap().forget();
            }
            "/large" => return Ok(Response::new(Full::from(vec![b'x'; 64 << 20]))),
            "/ws" if head.is_upgrade => {
                let upgraded = upgrade.unwrap();
                tokio::spawn(async move {
                    let mut io = hyper_util::rt::TokioIo::new(upgraded.await.unwrap());
                    let mut bytes = [0; 7];
                    io.read_exact(&mut bytes).await.unwrap();
                    io.write_all(&bytes).await.unwrap();
                });
                let switching = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
                let switching = switching.header("connection", "upgrade").header("upgrade", "websocket");
                return Ok(switching.body(Full::default()).unwrap());
            }
            _ => {}
        }
        Ok(Response::new(Full::from(text)))
    }

    fn refuse(&self, reason: Reason, detail: &str) -> Response<Full<Bytes>> {
        self.seen.records.lock().push(format!("refused {}: {detail}", reason.code()));
        Response::builder().status(reason.status()).body(Full::from(reason.code())).unwrap()
    }

    fn records(&self) -> Vec<String> {
        self.seen.records.lock().clone()
    }
}

impl Handler for Probe {
    type Body = Full<Bytes>;

    async fn handle(self, peer: Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
        struct Running<'s>(&'s Seen, bool);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.running.fetch_sub(1, Ordering::SeqCst);
                if !self.1 {
                    self.0.abandoned.notify_one();
                }
            }
        }
        self.seen.running.fetch_add(1, Ordering::SeqCst);
        let mut running = Running(&self.seen, false);
        let result = self.pass(peer, request).await;
        running.1 = true;
        match result {
            Ok(response) => response,
            Err(Halt::Refusal(refusal) | Halt::Fault(refusal)) => {
                self.refuse(refusal.reason, &refusal.detail)
            }
            Err(Halt::Reply(reply)) => {
                Response::builder().status(reply.status).body(Full::default()).unwrap()
            }
        }
    }

    fn refused(&self, _: Peer, reason: Reason, detail: &'static str) -> Response<Full<Bytes>> {
        self.refuse(reason, detail)
    }
}

/// A running listener on a port of its own.
struct Site {
    address: SocketAddr,
    probe: Probe,
    stop: CancellationToken,
    served: JoinHandle<Served>,
}

impl Site {
    fn start(limits: Limits) -> Self {
        Self::with(limits, None)
    }

    fn with(limits: Limits, tls: Option<Arc<TlsRules>>) -> Self {
        let probe = Probe::new();
        let rules = ListenRules { address: ([127, 0, 0, 1], 0).into(), tls, limits };
        let listener = Listener::bind(rules).unwrap();
        let address = listener.address().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(listener.serve(probe.clone(), stop.clone()));
        Self { address, probe, stop, served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own and reads what comes until the other side closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }
}

/// Reads until the other side closes.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read =
        tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    read.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Reads until `end` came.
async fn until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        let read = tokio::time::timeout(LONG, stream.read(&mut byte)).await.expect("nothing comes").unwrap();
        assert_eq!(read, 1, "closed after {text}");
        text.push(char::from(byte[0]));
    }
    text
}
