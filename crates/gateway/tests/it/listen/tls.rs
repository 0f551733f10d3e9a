//! TLS: names, versions, protocols, replacement of certificates, and what cannot be loaded.

use std::time::SystemTime;

use portcullis_gateway::listen::tls::{Certificate, TlsError};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// A self-signed certificate, which serves as its own root.
struct Issued {
    rules: Certificate,
    root: CertificateDer<'static>,
}

fn issue(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut params =
        CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let rules = Certificate {
        label: names.join(",").into(),
        chain: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes().into(),
        names: Vec::new(),
    };
    Issued { rules, root: certificate.der().clone() }
}

fn simple(names: &[&str]) -> Issued {
    issue(names, |_| {})
}

/// Handshakes trusting only `root`; says which protocol was chosen.
async fn handshake(
    site: &Site,
    root: &Issued,
    name: &str,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, site.connect().await).await
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_reload_replaces_them() {
    let (first, exact, wild) = (simple(&["first.test"]), simple(&["exact.test"]), simple(&["*.wild.test"]));
    let rules = [&first, &exact, &wild].map(|issued| issued.rules.clone());
    let tls = Arc::new(TlsRules::new(&rules, SystemTime::now()).unwrap());
    let site = Site::with(Limits::default(), Some(Arc::clone(&tls)));
    assert!(handshake(&site, &first, "first.test", &[]).await.is_ok());
    assert!(handshake(&site, &exact, "exact.test", &[]).await.is_ok());
    assert!(handshake(&site, &wild, "a.wild.test", &[]).await.is_ok());
    assert!(handshake(&site, &wild, "a.b.wild.test", &[]).await.is_err());
    // A name that nobody has gets the first certificate, which is not its own.
    assert!(handshake(&site, &exact, "other.test", &[]).await.is_err());

    let renewed = simple(&["exact.test"]);
    assert!(handshake(&site, &renewed, "exact.test", &[]).await.is_err());
    tls.reload(std::slice::from_ref(&renewed.rules), SystemTime::now()).unwrap();
    assert!(handshake(&site, &renewed, "exact.test", &[]).await.is_ok());
    assert!(handshake(&site, &exact, "exact.test", &[]).await.is_err());
    // What cannot be used changes nothing.
    assert!(matches!(tls.reload(&[], SystemTime::now()), Err(TlsError::None)));
    assert!(handshake(&site, &renewed, "exact.test", &[]).await.is_ok());
}

#[tokio::test]
async fn the_protocol_is_chosen_by_alpn() {
    let issued = simple(&["a"]);
    let tls = Arc::new(TlsRules::new(std::slice::from_ref(&issued.rules), SystemTime::now()).unwrap());
    let site = Site::with(Limits::default(), Some(tls));
    let mut stream = handshake(&site, &issued, "a", &["http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("GET /a a HTTP/1.1 0"));

    let stream = handshake(&site, &issued, "a", &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://a/a").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);

    // Malformed bytes are refused behind TLS as well.
    let mut stream = handshake(&site, &issued, "a", &["http/1.1"]).await.unwrap();
    stream.write_all(b"GET /a HTTP/1.1\nHost: a\n\n").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("malformed_request"));
}

#[tokio::test]
async fn a_handshake_that_drips_is_cut() {
    let issued = simple(&["a"]);
    let tls = Arc::new(TlsRules::new(std::slice::from_ref(&issued.rules), SystemTime::now()).unwrap());
    let site = Site::with(Limits { handshake: Duration::from_millis(50), ..Limits::default() }, Some(tls));
    assert_eq!(site.say(b"\x16\x03\x01").await, "");
}

#[test]
fn what_cannot_be_used_is_named_at_load() {
    let check = |certificate: Certificate, expected: &str| {
        let error = TlsRules::new(&[certificate], SystemTime::now()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let good = simple(&["a"]).rules;
    let old = issue(&["a"], |params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = issue(&["a"], |params| params.not_before = date_time_ymd(2999, 1, 1));
    check(old.rules, "the certificate `a` has expired");
    check(early.rules, "the certificate `a` is not valid yet");
    check(
        Certificate { key: simple(&["b"]).rules.key, ..good.clone() },
        "the key does not belong to the certificate `a`",
    );
    check(Certificate { chain: b"rubbish".to_vec(), ..good.clone() }, "`a` holds no certificate in PEM");
    check(
        Certificate { key: b"rubbish".to_vec().into(), ..good.clone() },
        "the key of `a` is no private key in PEM",
    );
    let error = Certificate::read("none.pem".as_ref(), "none.key".as_ref(), Vec::new()).err().unwrap();
    assert_eq!(error.to_string(), "cannot read `none.pem`");
}
