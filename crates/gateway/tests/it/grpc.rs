//! gRPC from end to end: a client and an upstream that speak HTTP/2, and the gate between them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use portcullis_core::grpc::framed;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{Files, Gate, LONG, stopped_at};

const NOTES: &[u8] = include_bytes!("../../../../examples/grpc/notes.pb");
const READ: &str = "/notes.v1.Notes/Read";
const ADD: &str = "/notes.v1.Notes/Add";
const WATCH: &str = "/notes.v1.Notes/Watch";

/// What the upstream answers: status, headers, messages as they are on the wire, trailers.
#[derive(Clone)]
struct Script {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    frames: Vec<Bytes>,
    trailers: Option<Vec<(&'static str, &'static str)>>,
}

impl Script {
    fn new(messages: &[&[u8]], trailers: &[(&'static str, &'static str)]) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/grpc")],
            frames: messages.iter().map(|message| framed(message)).collect(),
            trailers: Some(trailers.to_vec()),
        }
    }

    /// A head alone.
    fn alone(headers: &[(&'static str, &'static str)]) -> Self {
        Self { headers: headers.to_vec(), trailers: None, ..Self::new(&[], &[]) }
    }
}

struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// What reached the upstream: path, headers, body.
type Seen = (String, HeaderMap, Bytes);

#[derive(Clone)]
struct Service {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    address: SocketAddr,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Script::new(&[b"\x0a\x02hi"], &[("grpc-status", "0")]);
        let service = Self { script: Arc::new(Mutex::new(script)), seen: Arc::default(), address };
        let theirs = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let theirs = theirs.clone();
                let answer = service_fn(move |request| theirs.clone().answer(request));
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
            }
        });
        service
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return std::future::pending().await };
        let body = body.to_bytes();
        self.seen.lock().push((parts.uri.path().to_owned(), parts.headers, body));
        let script = self.script.lock().clone();
        let mut frames: VecDeque<_> = script.frames.into_iter().map(Frame::data).collect();
        frames.extend(script.trailers.map(|trailers| Frame::trailers(map(&trailers))));
        let mut response = Response::new(Frames(frames));
        *response.status_mut() = script.status.try_into().unwrap();
        *response.headers_mut() = map(&script.headers);
        Ok(response)
    }

    fn plays(&self, script: Script) {
        *self.script.lock() = script;
    }

    fn count(&self) -> usize {
        self.seen.lock().len()
    }
}

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

/// What a client got.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    data: Bytes,
    trailers: HeaderMap,
}

impl Reply {
    /// `grpc-status`, wherever it stands; once only.
    fn code(&self) -> &str {
        let mut all = self.headers.get_all("grpc-status").iter().chain(self.trailers.get_all("grpc-status"));
        let code = all.next().unwrap_or_else(|| panic!("no status: {self:?}")).to_str().unwrap();
        assert!(all.next().is_none(), "two statuses: {self:?}");
        code
    }
}

async fn call(gate: &Gate, path: &str, more: &[(&'static str, &str)], body: impl Into<Bytes>) -> Reply {
    send(gate, path, more, Full::new(body.into())).await
}

async fn send<B>(gate: &Gate, path: &str, more: &[(&'static str, &str)], body: B) -> Reply
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://api.test{path}")).body(body).unwrap();
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    for (name, value) in more {
        headers.insert(*name, value.parse().unwrap());
    }
    let answer = timeout(LONG, sender.send_request(request)).await.unwrap().unwrap();
    let (parts, body) = answer.into_parts();
    let body = timeout(LONG, body.collect()).await.unwrap().expect("a well-formed end");
    let trailers = body.trailers().cloned().unwrap_or_default();
    Reply { status: parts.status.as_u16(), headers: parts.headers, data: body.to_bytes(), trailers }
}

async fn gate(service: &Service, more: &str, policy: &str) -> Gate {
    let indented: String = more.lines().map(|line| format!("    {line}\n")).collect();
    let config = format!(
        "grpc:\n  notes:\n    descriptors: notes.pb\n    upstream: {{ url: \"http://{}\" }}\n    identify: [corp, anonymous]\n{indented}",
        service.address
    );
    let files = Files::of(&config, "", policy);
    Gate::start_with(files, |folder| std::fs::write(folder.join("notes.pb"), NOTES).unwrap()).await
}

const ALL: &str = "@id(\"all\") permit (principal, action, resource);";
const OPEN: &str = "unbound: allow";

/// A field of bytes.
fn put(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn read(user: &str) -> Bytes {
    framed(&[put(1, user), put(2, "n1")].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unary_call_passes_with_its_trailers() {
    let service = Service::start().await;
    let gate = gate(&service, OPEN, ALL).await;
    let trailers = [("grpc-status", "0"), ("x-cost", "3"), ("x-portcullis-role", "root")];
    service.plays(Script::new(&[b"\x0a\x02hi"], &trailers));
    let reply = call(&gate, READ, &[("grpc-timeout", "2H"), ("x-kept", "yes")], read("alice")).await;
    assert_eq!((reply.status, reply.code()), (200, "0"));
    assert_eq!(reply.data, framed(b"\x0a\x02hi"));
    assert_eq!(reply.trailers.get("x-cost").unwrap(), "3");
    assert!(reply.trailers.get("x-portcullis-role").is_none());
    assert!(reply.headers.contains_key("x-request-id"));
    let (path, headers, body) = service.seen.lock().pop().unwrap();
    assert_eq!((&*path, body), (READ, read("alice")));
    for (name, value) in [("te", "trailers"), ("grpc-timeout", "60000m"), ("x-kept", "yes")] {
        assert_eq!(headers.get(name).unwrap(), value, "{name}");
    }
    let record = gate.stop().await.pop().unwrap();
    assert_eq!(record["operation"], "notes.v1.Notes.Read", "{record}");
    assert_eq!(record["phases"]["screen"]["outcome"], "passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_in_the_head_passes() {
    let service = Service::start().await;
    let gate = gate(&service, OPEN, ALL).await;
    let headers = [("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "no note")];
    service.plays(Script::alone(&headers));
    let reply = call(&gate, READ, &[], read("alice")).await;
    assert_eq!((reply.status, reply.code()), (200, "5"));
    assert_eq!(reply.headers.get("grpc-message").unwrap(), "no note");
    // After messages, an error is one in the trailers.
    service.plays(Script::new(&[b""], &[("grpc-status", "13")]));
    assert_eq!(call(&gate, WATCH, &[], framed(b"")).await.code(), "13");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_answers_passes() {
    let service = Service::start().await;
    let gate = gate(&service, OPEN, ALL).await;
    let messages: [&[u8]; 3] = [b"\x0a\x01a", b"", b"\x0a\x01c"];
    service.plays(Script::new(&messages, &[("grpc-status", "0")]));
    let reply = call(&gate, WATCH, &[], framed(b"")).await;
    assert_eq!((reply.data, reply.trailers.len()), (messages.map(framed).concat().into(), 1));
}

/// What the gate refuses of a request: nothing reaches the upstream, and one record says where it stopped.
async fn refused(
    more: &str,
    policy: &str,
    path: &str,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
    expected: (&str, &str),
) -> Reply {
    let service = Service::start().await;
    let gate = gate(&service, more, policy).await;
    let reply = call(&gate, path, headers, body).await;
    assert_eq!((reply.status, reply.code()), (200, expected.0), "{path} {headers:?} {reply:?}");
    assert_eq!(reply.headers.get("content-type").unwrap(), "application/grpc");
    assert!(reply.data.is_empty() && reply.headers.contains_key("x-request-id"));
    assert_eq!(service.count(), 0, "{path} {headers:?}");
    let records = gate.stop().await;
    assert_eq!(records.len(), 1);
    assert_eq!(stopped_at(&records[0]).0, expected.1, "{}", records[0]);
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_in_the_descriptors_does_not_exist() {
    for path in ["/notes.v1.Notes/Drop", "/notes.v1.Other/Read", "/notes.v1.Notes/read", "/"] {
        refused(OPEN, ALL, path, &[], framed(b""), ("12", "receive")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_break_the_contract_are_refused() {
    let reply = refused(OPEN, ALL, READ, &[], framed(&put(9, "x")), ("3", "validate")).await;
    assert!(reply.headers.contains_key("grpc-status-details-bin"));
    refused("unbound: allow\nviolations: none", ALL, READ, &[], framed(&put(9, "x")), ("3", "validate"))
        .await;
    // Two readings, no reading, no message, two of them.
    let twice = framed(&[put(1, "alice"), put(1, "bob")].concat());
    refused(OPEN, ALL, READ, &[], twice, ("3", "validate")).await;
    refused(OPEN, ALL, READ, &[], framed(b"\x0a\x05a"), ("3", "validate")).await;
    refused(OPEN, ALL, READ, &[], Bytes::new(), ("3", "validate")).await;
    refused(OPEN, ALL, READ, &[], [read("a"), read("b")].concat(), ("3", "validate")).await;
    refused(OPEN, ALL, "/notes.v1.Notes/Read?x=1", &[], read("a"), ("3", "validate")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compressed_or_another_codec_is_refused() {
    let reply = refused(OPEN, ALL, READ, &[("grpc-encoding", "gzip")], read("a"), ("12", "validate")).await;
    assert_eq!(reply.headers.get("grpc-accept-encoding").unwrap(), "identity");
    refused(OPEN, ALL, READ, &[], b"\x01\0\0\0\0".to_vec(), ("12", "validate")).await;
    refused(OPEN, ALL, READ, &[("content-type", "application/grpc+json")], read("a"), ("12", "validate"))
        .await;
    let large = framed(&vec![0; 2000]);
    refused("unbound: allow\nbody_limit: 1KiB", ALL, READ, &[], large, ("8", "receive")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_speak_grpc_is_told_otherwise() {
    let service = Service::start().await;
    let gate = gate(&service, OPEN, ALL).await;
    let reply = call(&gate, READ, &[("content-type", "application/json")], "{}").await;
    assert_eq!(reply.status, 415);
    assert_eq!(reply.headers.get("content-type").unwrap(), "application/problem+json");
    let answer = gate
        .ask(&format!(
            "POST {READ} HTTP/1.1\nHost: h\nContent-Type: application/grpc\nContent-Length: 5\n\n\0\0\0\0\0"
        ))
        .await;
    assert_eq!(answer.status, 415, "{answer:?}");
    assert_eq!(service.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_identified_and_policy_decides() {
    let policy = "permit (principal is User, action in Action::\"notes.read\", resource);\n\
        permit (principal is User, action == Action::\"notes.notes.v1.Notes.Add\", resource)\n\
        when { context.path.pinned == \"false\" };";
    let own = "objects: [ { parameter: user_id, owner: \"claim:sub\" } ]\n\
        waive: [ { parameter: note_id, reason: \"below user_id\" } ]";
    let reply =
        refused(own, policy, READ, &[("authorization", "Bearer x")], read("a"), ("16", "identify")).await;
    assert!(reply.headers.contains_key("www-authenticate"));
    refused(own, policy, READ, &[], read("alice"), ("7", "authorize")).await;
    let service = Service::start().await;
    let gate = gate(&service, own, policy).await;
    let token = format!("Bearer {}", gate.issuer.token("alice"));
    let with = [("authorization", token.as_str())];
    for (path, body, expected) in [
        (READ, read("alice"), "0"),
        (READ, read("bob"), "7"),
        (READ, framed(b""), "7"),
        (ADD, framed(&put(1, "alice")), "0"),
        (ADD, framed(&[put(1, "alice"), vec![3 << 3, 1]].concat()), "7"),
        (WATCH, framed(&put(1, "alice")), "0"),
        (WATCH, framed(&put(1, "bob")), "7"),
    ] {
        assert_eq!(call(&gate, path, &with, body).await.code(), expected, "{path}");
    }
    assert!(service.seen.lock().iter().all(|(_, headers, _)| !headers.contains_key("authorization")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hidden_reads_as_if_it_were_not_there() {
    let own = "hide: true\nobjects: [ { parameter: user_id, owner: \"claim:sub\" } ]\nunbound: allow";
    let service = Service::start().await;
    let gate =
        gate(&service, own, "permit (principal is User, action in Action::\"notes.read\", resource);").await;
    let token = format!("Bearer {}", gate.issuer.token("alice"));
    let with = [("authorization", token.as_str())];
    assert_eq!(call(&gate, READ, &with, read("bob")).await.code(), "5");
    let hidden = call(&gate, ADD, &with, framed(&put(1, "alice"))).await;
    let missing = call(&gate, "/notes.v1.Notes/Drop", &with, framed(b"")).await;
    assert_eq!((hidden.code(), missing.code()), ("12", "12"));
    assert_eq!(hidden.headers.get("grpc-message"), missing.headers.get("grpc-message"));
}

/// What the client gets of an answer: its code and how much of the messages.
async fn answered(more: &str, path: &str, script: Script, expected: (&str, usize)) -> serde_json::Value {
    let service = Service::start().await;
    let gate = gate(&service, &format!("unbound: allow\n{more}"), ALL).await;
    service.plays(script);
    let reply = call(&gate, path, &[], framed(b"")).await;
    assert_eq!(
        (reply.status, reply.code(), reply.data.len()),
        (200, expected.0, expected.1),
        "{more}: {reply:?}"
    );
    gate.stop().await.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_held_to_the_descriptors() {
    let ok = [("grpc-status", "0")];
    let excess = put(15, "x");
    let script = Script::new(&[&excess], &ok);
    let record = answered("", READ, script.clone(), ("13", 0)).await;
    assert_eq!(stopped_at(&record), ("screen".to_owned(), "fault".to_owned()));
    let record = answered("answers: observe", READ, script.clone(), ("0", 8)).await;
    assert!(record["notes"][0].as_str().unwrap().contains("/15: is not in the contract"), "{record}");
    answered("answers: none", READ, script.clone(), ("0", 8)).await;
    answered("answers: none\nscreen: none", READ, script.clone(), ("0", 8)).await;
    answered("unknown: allow", READ, script, ("0", 8)).await;
    // A stream ends where it offends; what came before was judged and has left.
    answered("", WATCH, Script::new(&[b"\x0a\x01a", &excess, b"\x0a\x01c"], &ok), ("13", 8)).await;
    answered("", READ, Script::new(&[b"", b""], &ok), ("13", 5)).await;
    answered("", READ, Script::new(&[], &ok), ("13", 0)).await;
    answered("", WATCH, Script::new(&[], &ok), ("0", 0)).await;
    answered("", READ, Script::new(&[b""], &[]), ("13", 5)).await;
    answered("", READ, Script::new(&[b""], &[("grpc-status", "0"), ("grpc-status", "1")]), ("13", 5)).await;
    answered("", READ, Script { trailers: None, ..Script::new(&[b""], &ok) }, ("13", 5)).await;
    let cut = Script { frames: vec![Bytes::from_static(b"\0\0\0\0\x05a")], ..Script::new(&[], &ok) };
    answered("", READ, cut, ("13", 0)).await;
    let compressed = Script { frames: vec![Bytes::from_static(b"\x01\0\0\0\0")], ..Script::new(&[], &ok) };
    answered("", READ, compressed, ("13", 0)).await;
    let headers = vec![("content-type", "application/grpc"), ("grpc-encoding", "gzip")];
    answered("", READ, Script { headers, ..Script::new(&[b""], &ok) }, ("13", 0)).await;
    answered("", READ, Script::alone(&[("content-type", "text/html")]), ("13", 0)).await;
    answered("", READ, Script { status: 503, ..Script::alone(&[]) }, ("14", 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detectors_read_messages_and_statuses() {
    let block = "inspect: { secrets: block }\nscreen: { secrets: block }";
    let secret = "AKIAIOSFODNN7EXAMPLE";
    let body = framed(&put(1, secret));
    refused(&format!("unbound: allow\n{block}"), ALL, READ, &[], body, ("7", "inspect")).await;
    let ok = [("grpc-status", "0")];
    let nested = put(11, put(1, secret));
    let record = answered(block, READ, Script::new(&[&nested], &ok), ("13", 0)).await;
    assert_eq!(record["findings"][0]["at"], "/parent/text", "{record}");
    let said = Script::new(&[], &[("grpc-status", "2"), ("grpc-message", "key%20AKIAIOSFODNN7EXAMPLE")]);
    answered(block, READ, said, ("13", 0)).await;
    let head = Script::alone(&[
        ("content-type", "application/grpc"),
        ("grpc-status", "2"),
        ("grpc-message", "key AKIAIOSFODNN7EXAMPLE"),
    ]);
    answered(block, READ, head, ("13", 0)).await;
    answered("", READ, Script::new(&[&nested], &ok), ("0", 29)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_and_lost_upstreams_speak_grpc() {
    let service = Service::start().await;
    let more = "unbound: allow\nbudgets: [ { per: address, limit: 1/h, operations: [notes.v1.Notes.Read] } ]";
    let gate = gate(&service, more, ALL).await;
    assert_eq!(call(&gate, READ, &[], read("a")).await.code(), "0");
    let reply = call(&gate, READ, &[], read("a")).await;
    assert_eq!(reply.code(), "8");
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(call(&gate, WATCH, &[], framed(b"")).await.code(), "0");

    let nobody = Service { address: "127.0.0.1:1".parse().unwrap(), ..service.clone() };
    let gate = self::gate(&nobody, OPEN, ALL).await;
    assert_eq!(call(&gate, READ, &[], read("a")).await.code(), "14");
}

/// What `check` says of a configuration whose `grpc` has these lines: the place and message of each error and warning.
fn said(grpc: &str) -> Vec<String> {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("portcullis.yaml");
    let config = format!(
        "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:0\" }} }}\npolicy: {{ cedar: [\"p.cedar\"] }}\n\
         grpc:\n  notes:\n    identify: anonymous\n    upstream: \"http://127.0.0.1:1\"\n{grpc}"
    );
    std::fs::write(&path, config).unwrap();
    std::fs::write(folder.path().join("notes.pb"), NOTES).unwrap();
    std::fs::write(folder.path().join("half.pb"), &NOTES[..900]).unwrap();
    std::fs::write(folder.path().join("p.cedar"), ALL).unwrap();
    let checked = portcullis_gateway::server::check(&path);
    let all = checked.diagnostics.0.iter();
    all.map(|one| format!("{}:{} {}", one.place.at.line, one.place.at.column, one.message)).collect()
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |grpc: &str, expected: &str| {
        let said = said(grpc);
        assert!(said.iter().any(|one| one.contains(expected)), "{grpc}: {expected}: {said:#?}");
    };
    let set = "    descriptors: notes.pb\n";
    check("    unbound: allow\n", "5:3 `descriptors` is missing");
    check("    descriptors: none.pb\n", "8:18 `");
    check("    descriptors: half.pb\n", "8:18 `half.pb`: it is no descriptor set: it ends within a field");
    check("    descriptors: p.cedar\n", "it is no descriptor set");
    check(set, "8:18 `user_id` names an object and is bound to no owner");
    let open = format!("{set}    unbound: allow\n");
    check(&format!("{open}    services: [notes.v1.Note]\n"), "10:16 the descriptor set has no service");
    check(&format!("{open}    services: []\n"), "no service may be called");
    check(
        &format!("{open}    objects: [ {{ parameter: owner, owner: \"claim:sub\" }} ]\n"),
        "no parameter `owner`",
    );
    check(
        &format!("{open}    objects: [ {{ parameter: user_id, owner: \"response:/owner\" }} ]\n"),
        "10:16 an object of gRPC is proven by the request itself",
    );
    check(&format!("{open}    inspect: {{ secrets: redact }}\n"), "nothing can be redacted");
    check(
        &format!("{open}    budgets: [ {{ per: route, limit: 1/h, operations: [notes.v1.Notes.Reed] }} ]\n"),
        "no operation `notes.v1.Notes.Reed`",
    );
    check(
        &format!("{open}  more:\n    identify: anonymous\n    upstream: \"http://h\"\n{set}"),
        "`notes` has the service",
    );
    check(&format!("{open}    answers: strip\n"), "strip");
    let all = said(&open);
    assert!(all.iter().all(|one| one.contains("is not bound")), "{all:#?}");
    let lookup = "{ upstream: \"http://127.0.0.1:1\", path: \"/o/{}\", owner: /owner }";
    let own = format!("{open}    objects: [ {{ parameter: user_id, lookup: {lookup} }} ]\n");
    check(&own, "10:16 every call of `notes.v1.Notes.Import` is refused");
    let waiver = "{ parameter: user_id, operations: [notes.v1.Notes.Import], reason: \"the service looks\" }";
    let all = said(&format!("{own}    waive: [ {waiver} ]\n"));
    assert!(!all.iter().any(|one| one.contains("Import` is refused")), "{all:#?}");
}

const IMPORT: &str = "/notes.v1.Notes/Import";

fn messages(all: &[Bytes]) -> Frames {
    Frames(all.iter().cloned().map(Frame::data).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_requests_passes() {
    let service = Service::start().await;
    let gate = gate(&service, OPEN, ALL).await;
    let sent = [framed(&put(1, "alice")), framed(b""), framed(&put(1, "bob"))];
    // Cut anywhere.
    let whole = sent.concat();
    let pieces: Vec<Bytes> = whole.chunks(3).map(Bytes::copy_from_slice).collect();
    let reply = send(&gate, IMPORT, &[], messages(&pieces)).await;
    assert_eq!((reply.code(), &reply.data), ("0", &framed(b"\x0a\x02hi")));
    let (_, headers, body) = service.seen.lock().pop().unwrap();
    assert_eq!(body, whole);
    assert!(!headers.contains_key("content-length"));
    let record = gate.stop().await.pop().unwrap();
    assert_eq!((record["bytes_in"].as_u64(), &record["complete"]), (Some(27), &true.into()), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_requests_ends_where_it_offends() {
    let more = "unbound: allow\nbody_limit: 64B\ninspect: { secrets: block }";
    let secret = framed(&put(1, "AKIAIOSFODNN7EXAMPLE"));
    for (last, code, phase) in [
        (framed(&put(9, "x")), "3", "validate"),
        (framed(&[put(1, "a"), put(1, "b")].concat()), "3", "validate"),
        (Bytes::from_static(b"\x01\0\0\0\0"), "12", "validate"),
        (Bytes::from_static(b"\0\0\0\0\x05a"), "3", "validate"),
        (framed(&[0; 65]), "8", "receive"),
        (secret, "7", "inspect"),
    ] {
        let service = Service::start().await;
        let gate = gate(&service, more, ALL).await;
        let reply = send(&gate, IMPORT, &[], messages(&[framed(b""), last.clone()])).await;
        assert_eq!((reply.status, reply.code()), (200, code), "{last:?} {reply:?}");
        let record = gate.stop().await.pop().unwrap();
        assert_eq!(stopped_at(&record).0, phase, "{record}");
        assert_eq!(record["findings"].is_array(), phase == "inspect", "{record}");
        // The upstream reads a body to its end before it counts it.
        assert_eq!(service.count(), 0, "{last:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_a_stream_names_the_callers_objects() {
    let own = "objects: [ { parameter: user_id, owner: \"claim:sub\" } ]\nunbound: allow";
    let alice = framed(&put(1, "alice"));
    for (sent, code, reached) in [
        (vec![alice.clone(), alice.clone()], "0", 1),
        (vec![framed(&put(1, "bob"))], "7", 0),
        (vec![framed(b"")], "7", 0),
        (vec![alice.clone(), framed(&put(1, "bob"))], "7", 0),
        (vec![], "3", 0),
    ] {
        let service = Service::start().await;
        let gate = gate(&service, own, ALL).await;
        let token = format!("Bearer {}", gate.issuer.token("alice"));
        let reply = send(&gate, IMPORT, &[("authorization", &token)], messages(&sent)).await;
        assert_eq!((reply.code(), service.count()), (code, reached), "{sent:?} {reply:?}");
        let record = gate.stop().await.pop().unwrap();
        if code == "7" {
            assert_eq!(stopped_at(&record).0, "authorize", "{record}");
        }
    }
}
