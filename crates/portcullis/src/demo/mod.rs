//! `portcullis demo`: the whole thing with nothing to install.
//!
//! A sample API with planted holes, a model that leaks and obeys, a tool server that does too, an issuer with three principals, and the gate
//! before them. The gate runs from files, as it would anywhere else: they lie in a folder that is printed, and
//! editing them reloads the gate.

mod api;
mod client;
#[cfg(test)]
mod holes;
mod issuer;
mod mcp;
mod model;
mod records;
mod tour;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Router;
use portcullis_gateway::server::Server;
use serde_json::json;
use tokio::net::TcpListener;

use self::issuer::Issuer;
use self::records::Records;

/// The embedded files, by their path below `examples/demo`.
const FILES: [(&str, &str); 5] = [
    ("portcullis.yaml", include_str!("../../../../examples/demo/portcullis.yaml")),
    ("shop.openapi.yaml", include_str!("../../../../examples/demo/shop.openapi.yaml")),
    ("policy/demo.cedar", include_str!("../../../../examples/demo/policy/demo.cedar")),
    ("prompts/assistant.md", include_str!("../../../../examples/demo/prompts/assistant.md")),
    ("keys/model.key", include_str!("../../../../examples/demo/keys/model.key")),
];
const AUDIENCE: &str = "https://demo.portcullis.example";

/// A running demo.
pub(crate) struct Demo {
    gate: SocketAddr,
    admin: SocketAddr,
    tokens: Tokens,
    records: Records,
    server: Server,
    folder: tempfile::TempDir,
}

/// Tokens of the three principals, and bad ones for the tour.
pub(crate) struct Tokens {
    alice: String,
    bob: String,
    carol: String,
    expired: String,
    elsewhere: String,
    unsigned: String,
    forged: String,
}

/// Runs the demo: with `is_tour` the tour and nothing else, otherwise until the process is told to stop.
/// Returns whether everything came out as expected.
pub(crate) async fn run(is_tour: bool) -> anyhow::Result<bool> {
    let demo = Demo::start(is_tour).await?;
    if is_tour {
        let is_right = tour::run(&demo).await?;
        demo.server.stop().await;
        return Ok(is_right);
    }
    demo.introduce();
    crate::signal::stop().await?;
    demo.server.stop().await;
    Ok(true)
}

impl Demo {
    async fn start(is_tour: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("portcullis-demo-").tempdir()?;
        let (issuer_listener, issuer_address) = bind(8804).await?;
        let issuer = Issuer::new(format!("http://{issuer_address}"), AUDIENCE)?;
        let api = serve(bind(8802).await?, api::router());
        let model = serve(bind(8803).await?, model::router());
        let tools = serve(bind(8805).await?, mcp::router());
        serve((issuer_listener, issuer_address), issuer.router());
        // The ports of the gate are only found here; it binds them itself a moment later.
        let (gate, admin) = (bind(8800).await?.1, bind(8801).await?.1);
        let ports =
            [(8800, gate), (8801, admin), (8802, api), (8803, model), (8804, issuer_address), (8805, tools)];
        write_files(folder.path(), &ports)?;
        let server = Server::start(&folder.path().join("portcullis.yaml"))
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))
            .context("the gate did not start")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let records = Records::new(folder.path().join("records.jsonl"));
        let _ = is_tour;
        Ok(Self { gate, admin, tokens: Tokens::new(&issuer, now)?, records, server, folder })
    }

    fn introduce(&self) {
        let Self { gate, admin, tokens, folder, .. } = self;
        let chat = r#"{"model":"demo-1","stream":true,"messages":[{"role":"user","content":"Show me the customer file"}]}"#;
        anstream::println!(
            "Portcullis demo: a shop with holes, a model and tools that leak, behind a gate.\n\n\
             gate     http://{gate}\n\
             admin    http://{admin}   (/livez /readyz /metrics)\n\
             files    {folder}   (edit them: the gate reloads)\n\
             records  {folder}/records.jsonl\n\n\
             Paste this first:\n\n\
             export ALICE={alice}\n\
             export BOB={bob}\n\
             export CAROL={carol}\n\n\
             What passes:\n\n\
             curl http://{gate}/shop/products\n\
             curl -H \"Authorization: Bearer $ALICE\" http://{gate}/shop/customers/alice/orders\n\
             curl -H \"Authorization: Bearer $CAROL\" -X POST http://{gate}/shop/orders/o-1/refund\n\n\
             What is stopped:\n\n\
             curl -H \"Authorization: Bearer $BOB\" http://{gate}/shop/customers/alice/orders\n\
             curl -H \"Authorization: Bearer $ALICE\" http://{gate}/shop/admin/customers\n\
             curl -H \"Authorization: Bearer $ALICE\" -H 'Content-Type: application/json' -X PATCH \
             -d '{{\"is_admin\":true}}' http://{gate}/shop/customers/alice\n\
             curl --path-as-is http://{gate}/shop/customers/%2e%2e/admin/customers\n\n\
             What is cleaned on its way out, while it streams:\n\n\
             curl -N -H \"Authorization: Bearer $ALICE\" -H 'Content-Type: application/json' \
             -d '{chat}' http://{gate}/v1/chat/completions\n\n\
             `portcullis demo --tour` does all of this and more, and prints a table. Ctrl-C ends.",
            folder = folder.path().display(),
            alice = tokens.alice,
            bob = tokens.bob,
            carol = tokens.carol,
        );
    }
}

impl Tokens {
    fn new(issuer: &Issuer, now: u64) -> anyhow::Result<Self> {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "demo-1" });
        let claims = |audience: &str, issued: u64| {
            json!({ "iss": issuer.url(), "aud": audience, "sub": "alice", "roles": ["customer"],
                "iat": issued, "exp": issued + 600 })
        };
        let alice = issuer.token("alice", &["customer"], now)?;
        let none =
            issuer.sign(&json!({ "alg": "none", "typ": "at+jwt" }), &claims(issuer.audience(), now))?;
        let unsigned =
            none.rsplit_once('.').map(|(signed, _)| format!("{signed}.")).context("a token has dots")?;
        let mallory = issuer.sign(&header, &json!({ "sub": "admin" }))?;
        // Alice's header and signature around somebody else's claims.
        let (mut parts, theirs): (Vec<&str>, Vec<&str>) =
            (alice.split('.').collect(), mallory.split('.').collect());
        if let (Some(mine), Some(theirs)) = (parts.get_mut(1), theirs.get(1)) {
            *mine = theirs;
        }
        Ok(Self {
            expired: issuer.sign(&header, &claims(issuer.audience(), now - 7200))?,
            elsewhere: issuer.sign(&header, &claims("https://elsewhere.example", now))?,
            forged: parts.join("."),
            bob: issuer.token("bob", &["customer"], now)?,
            carol: issuer.token("carol", &["clerk"], now)?,
            unsigned,
            alice,
        })
    }
}

/// Listens on loopback, on `port` if it is free and on another one otherwise.
async fn bind(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await.context("no free port on loopback")?,
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn serve((listener, address): (TcpListener, SocketAddr), router: Router) -> SocketAddr {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a server of the demo ended");
        }
    });
    address
}

fn write_files(folder: &Path, ports: &[(u16, SocketAddr)]) -> anyhow::Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let text = ports.iter().fold(text.to_owned(), |text, (written, actual)| {
            text.replace(&format!("127.0.0.1:{written}"), &actual.to_string())
        });
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
