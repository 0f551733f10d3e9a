//! Stop and reload: nobody is cut off, nothing is mixed, and what is broken is not taken.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::support::{Client, Files, Gate, Piece, until};

fn bytes(text: &str) -> Piece {
    Piece::Bytes(text.as_bytes().to_vec())
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
const GET: &str = "GET /api/things HTTP/1.1\nHost: h\n\n";

/// A request whose answer has begun and waits for a permit to go on.
async fn streaming(gate: &Gate) -> (Client, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let wait = Piece::Wait(Arc::clone(&permits));
    gate.upstream.plays(vec![bytes(&format!("{HEAD}5\r\nhello\r\n")), wait, bytes("3\r\nend\r\n0\r\n\r\n")]);
    let mut client = gate.connect().await;
    client.send(GET).await;
    let begun = client.until("hello").await;
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    (client, permits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_answers_finish_and_takes_no_more() {
    let gate = Gate::start(Files::open("", "")).await;
    assert_eq!(gate.admin("/readyz").await.status, 200);
    let (mut stream, end) = streaming(&gate).await;
    let slow_permits = Arc::new(Semaphore::new(0));
    let late = bytes("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
    gate.upstream.plays(vec![Piece::Wait(Arc::clone(&slow_permits)), late]);
    let mut slow = gate.connect().await;
    slow.send(GET).await;
    until("the slow request", async || (gate.upstream.count() == 2).then_some(())).await;
    let mut idle = gate.connect().await;

    let (address, admin) = (gate.address(), gate.server.addresses()[1].1);
    let Gate { server, folder, upstream, .. } = gate;
    let stopping = tokio::spawn(server.stop());
    until("no new connections", async || TcpStream::connect(address).await.err()).await;
    let mut client = Client::connect(admin).await;
    client.send("GET /readyz HTTP/1.1\nHost: admin\nConnection: close\n\n").await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.text()), (503, "stopping\n"));
    assert!(idle.rest().await.is_empty(), "an idle connection is closed");
    assert!(!stopping.is_finished());

    slow_permits.add_permits(1);
    let answer = slow.answer(false).await;
    assert_eq!((answer.status, answer.text()), (200, "late"));
    end.add_permits(1);
    assert!(String::from_utf8(stream.rest().await).unwrap().ends_with("3\r\nend\r\n0\r\n\r\n"));
    tokio::time::timeout(crate::support::LONG, stopping).await.expect("the stop ends").unwrap();
    let records = std::fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 2, "{records}");
    assert!(records.lines().all(|line| line.contains("\"complete\":true")), "{records}");
    drop(upstream);
}

/// Replaces a file at once, as editors do.
fn replace(folder: &Path, name: &str, text: &str) {
    let new = folder.join(format!(".{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, folder.join(name)).unwrap();
}

async fn reload_was(gate: &Gate, expected: &str) {
    let line = format!("portcullis_reload_successful {expected}\n");
    until(&line, async || gate.admin("/metrics").await.text().contains(&line).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_policy_holds_for_new_requests_and_old_streams_go_on() {
    let gate = Gate::start(Files::open("", "")).await;
    let (mut stream, end) = streaming(&gate).await;
    replace(gate.folder.path(), "policy.cedar", "@id(\"none\") forbid (principal, action, resource);");
    gate.upstream.answers("200 OK", "", "");
    until("the new policy", async || (gate.get("/api/things").await.status == 403).then_some(())).await;
    end.add_permits(1);
    stream.until("end\r\n0\r\n\r\n").await;
    // The very connection of the old stream is judged by the new policy from its next request on.
    stream.send(GET).await;
    assert_eq!(stream.answer(false).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_is_not_taken() {
    let gate = Gate::start(Files::open("", "")).await;
    reload_was(&gate, "1").await;
    let config = std::fs::read_to_string(gate.file("portcullis.yaml")).unwrap();
    let breakers: [(&str, String, String); 4] = [
        ("portcullis.yaml", config.clone(), format!("{config}nonsense: 1\n")),
        ("portcullis.yaml", config.clone(), "a: [".into()),
        ("policy.cedar", "permit (principal, action, resource);".into(), "permit (principal".into()),
        ("contract.yaml", crate::support::CONTRACT.into(), "openapi: 3.1.0\npaths: 7\n".into()),
    ];
    for (name, good, broken) in breakers {
        replace(gate.folder.path(), name, &broken);
        reload_was(&gate, "0").await;
        assert_eq!(gate.get("/api/things").await.status, 200, "{name}");
        assert_eq!(gate.admin("/readyz").await.status, 200, "{name}");
        replace(gate.folder.path(), name, &good);
        reload_was(&gate, "1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spent_stays_spent_over_a_reload() {
    let gate = Gate::start(Files::open("budgets: [{ per: address, limit: 2/h }]", "")).await;
    for expected in [200, 200, 429] {
        assert_eq!(gate.get("/api/things").await.status, expected);
    }
    let reloads = || async {
        let metrics = gate.admin("/metrics").await;
        metrics.text().lines().find(|line| line.starts_with("portcullis_reloads_total")).unwrap().to_owned()
    };
    let before = reloads().await;
    replace(gate.folder.path(), "policy.cedar", "@id(\"new\") permit (principal, action, resource);");
    until("the reload", async || (reloads().await != before).then_some(())).await;
    reload_was(&gate, "1").await;
    assert_eq!(gate.get("/api/things").await.status, 429);
}

/// A self-signed certificate for `h.test`: its PEM, its key's and itself.
fn issue() -> (String, String, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["h.test".into()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem(), certificate.der().clone())
}

/// Whether a handshake that trusts only `root` succeeds.
async fn is_trusted(gate: &Gate, root: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    let name = ServerName::try_from("h.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_from_the_next_handshake_on() {
    let mut files = Files::open("", "");
    let plain = "public: { address: \"127.0.0.1:0\" }";
    let tls = "public: { address: \"127.0.0.1:0\", tls: { certificate: c.pem, key: k.pem } }";
    assert!(files.config.contains(plain));
    files.config = files.config.replace(plain, tls);
    let (old, new) = (issue(), issue());
    let gate = Gate::start_with(files, |folder| {
        replace(folder, "c.pem", &old.0);
        replace(folder, "k.pem", &old.1);
    })
    .await;
    assert!(is_trusted(&gate, &old.2).await);
    assert!(!is_trusted(&gate, &new.2).await);
    // A certificate with another's key is not taken; the pair is.
    replace(gate.folder.path(), "c.pem", &new.0);
    reload_was(&gate, "0").await;
    assert!(is_trusted(&gate, &old.2).await);
    replace(gate.folder.path(), "k.pem", &new.1);
    until("the new certificate", async || is_trusted(&gate, &new.2).await.then_some(())).await;
    assert!(!is_trusted(&gate, &old.2).await);
}
