//! A whole gate on ports of its own: configuration in a folder, an upstream that counts, an issuer, the record.

mod client;
mod issuer;
mod postgres;
mod upstream;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_gateway::server::Server;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use client::{Answer, Client};
pub(crate) use issuer::Issuer;
pub(crate) use postgres::Postgres;
pub(crate) use upstream::{Piece, Seen, Upstream};

/// Longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Files of a configuration, before `UPSTREAM` in them is replaced by the upstream's address.
pub(crate) struct Files {
    pub(crate) config: String,
    pub(crate) contract: String,
    pub(crate) policy: String,
}

const HEAD: &str = r#"version: 1
listeners: { public: { address: "127.0.0.1:0" }, admin: { address: "127.0.0.1:0" } }
identity:
  issuers:
    corp: { issuer: "https://issuer.test", audience: "https://api.test", jwks: "file:jwks.json" }
policy: { cedar: ["policy.cedar"] }
record: { path: records.jsonl }
"#;

/// `GET` and `POST /things`, `GET /things/{id}`, nothing said about bodies.
pub(crate) const CONTRACT: &str = r##"openapi: 3.1.0
info: { title: Things, version: "1" }
paths:
  /things:
    get: { operationId: listThings, responses: { default: { description: any } } }
    head: { operationId: headThings, responses: { default: { description: any } } }
    post:
      operationId: makeThing
      requestBody: { content: { application/json: {}, application/octet-stream: {} } }
      responses: { default: { description: any } }
  /things/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
    get: { operationId: readThing, responses: { default: { description: any } } }
"##;

impl Files {
    /// One API `/api`, open to everybody, without guards; `more` is put under it, `top` at the top.
    pub(crate) fn open(more: &str, top: &str) -> Self {
        let more: String = more.lines().map(|line| format!("    {line}\n")).collect();
        let config = format!(
            "{HEAD}{top}\napis:\n  things:\n    contract: contract.yaml\n    base_path: /api\n    \
             identify: [corp, anonymous]\n    answers: none\n    inspect: none\n    screen: none\n    unbound: allow\n{more}"
        );
        let config = if more.contains("upstream:") {
            config
        } else {
            config.replace(
                "    base_path: /api\n",
                "    base_path: /api\n    upstream: { url: \"http://UPSTREAM\" }\n",
            )
        };
        Self {
            config,
            contract: CONTRACT.to_owned(),
            policy: "@id(\"all\") permit (principal, action, resource);".to_owned(),
        }
    }

    /// Configurations of one's own, after the common head.
    pub(crate) fn of(rest: &str, contract: &str, policy: &str) -> Self {
        Self { config: format!("{HEAD}{rest}"), contract: contract.to_owned(), policy: policy.to_owned() }
    }
}

/// A running gate and all that is around it.
pub(crate) struct Gate {
    pub(crate) folder: TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) issuer: Issuer,
    pub(crate) server: Server,
}

impl Gate {
    pub(crate) async fn start(files: Files) -> Self {
        Self::start_with(files, |_| {}).await
    }

    /// `prepare` may put more files into the folder.
    pub(crate) async fn start_with(files: Files, prepare: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        let upstream = Upstream::start().await;
        let issuer = Issuer::new();
        let put = |name: &str, text: &str| {
            let text = text.replace("UPSTREAM", &upstream.address().to_string());
            fs::write(folder.path().join(name), text).unwrap();
        };
        put("portcullis.yaml", &files.config);
        put("contract.yaml", &files.contract);
        put("policy.cedar", &files.policy);
        put("jwks.json", &issuer.jwks().to_string());
        prepare(folder.path());
        let server = match Server::start(&folder.path().join("portcullis.yaml")).await {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        };
        Self { folder, upstream, issuer, server }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener("public")
    }

    fn listener(&self, name: &str) -> SocketAddr {
        self.server.addresses().iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// Sends one request, lines ending in `\n`, on a connection of its own; reads its answer.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer(request.starts_with("HEAD ")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\nHost: api.test\n\n")).await
    }

    /// Asks the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let mut client = Client::connect(self.listener("admin")).await;
        client.send(&format!("GET {path} HTTP/1.1\nHost: admin\n\n")).await;
        client.answer(false).await
    }

    pub(crate) fn records_now(&self) -> Vec<Value> {
        lines(&self.file("records.jsonl"))
    }

    /// Waits until there are `count` records.
    pub(crate) async fn records(&self, count: usize) -> Vec<Value> {
        until("records", async || {
            let records = self.records_now();
            (records.len() >= count).then_some(records)
        })
        .await
    }

    /// Stops the gate, which writes out all records, and reads them.
    pub(crate) async fn stop(self) -> Vec<Value> {
        let Self { folder, server, upstream, .. } = self;
        server.stop().await;
        drop(upstream);
        lines(&folder.path().join("records.jsonl"))
    }
}

/// Whole lines only: the last one may be under way.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Exactly one phase did not pass: its name and its outcome.
pub(crate) fn stopped_at(record: &Value) -> (String, String) {
    let phases = record["phases"].as_object().unwrap();
    let stopped: Vec<_> = phases
        .iter()
        .filter(|(_, one)| one["outcome"] != "passed" && one["outcome"] != "none")
        .map(|(phase, one)| (phase.clone(), one["outcome"].as_str().unwrap().to_owned()))
        .collect();
    match <[_; 1]>::try_from(stopped) {
        Ok([stopped]) => stopped,
        Err(others) => panic!("{others:?} in {record}"),
    }
}
