//! Opens connections to one upstream: name, address, TCP, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::ForwardError;
use super::rules::{Roots, TlsClientRules, UpstreamRulesError};
use super::stream::Stream;

/// Opens connections to one upstream.
pub(super) struct Connector {
    host: Host,
    port: u16,
    tls: Option<Tls>,
    connect_timeout: Duration,
}

enum Host {
    Address(IpAddr),
    Name(Box<str>),
}

struct Tls {
    name: ServerName<'static>,
    h1: TlsConnector,
    h2: Option<TlsConnector>,
}

impl Connector {
    /// Takes an absolute URL, how to verify, and whether HTTP/2 is offered.
    pub(super) fn compile(
        url: &Uri,
        tls: &TlsClientRules,
        http2: bool,
        connect_timeout: Duration,
    ) -> Result<Self, UpstreamRulesError> {
        let is_tls = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(UpstreamRulesError::Scheme),
        };
        let authority = url.authority().ok_or(UpstreamRulesError::Url)?;
        let host = authority.host();
        if host.is_empty() || authority.as_str().contains('@') || url.query().is_some() {
            return Err(UpstreamRulesError::Url);
        }
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls { Some(Tls::compile(bare, tls, http2)?) } else { None };
        let host = bare.parse().map_or_else(|_| Host::Name(bare.into()), Host::Address);
        Ok(Self { host, port, tls, connect_timeout })
    }

    /// Whether connections are TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the name or address is this machine's own.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Opens a connection; the name is resolved anew each time, and its addresses are tried in turn.
    pub(super) async fn connect(&self, offer_h2: bool) -> Result<Stream, ForwardError> {
        let tcp = self.tcp().await?;
        // Delayed acknowledgements of small segments would cost a first token 40 ms.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let connector = tls.h2.as_ref().filter(|_| offer_h2).unwrap_or(&tls.h1);
        match timeout(self.connect_timeout, connector.connect(tls.name.clone(), tcp)).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(ForwardError::Tls(error)),
            Err(_) => Err(ForwardError::ConnectTimeout),
        }
    }

    async fn tcp(&self) -> Result<TcpStream, ForwardError> {
        let name = match &self.host {
            Host::Address(address) => return self.first_of([SocketAddr::new(*address, self.port)]).await,
            Host::Name(name) => name,
        };
        match timeout(self.connect_timeout, lookup_host((&**name, self.port))).await {
            Ok(Ok(addresses)) => self.first_of(addresses).await,
            Ok(Err(error)) => Err(ForwardError::Resolve(error)),
            Err(_) => Err(ForwardError::ConnectTimeout),
        }
    }

    async fn first_of(&self, all: impl IntoIterator<Item = SocketAddr>) -> Result<TcpStream, ForwardError> {
        let mut last = ForwardError::Resolve(io::ErrorKind::NotFound.into());
        for address in all {
            match timeout(self.connect_timeout, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => last = ForwardError::Connect(error),
                Err(_) => last = ForwardError::ConnectTimeout,
            }
        }
        Err(last)
    }
}

impl Tls {
    fn compile(host: &str, rules: &TlsClientRules, http2: bool) -> Result<Self, UpstreamRulesError> {
        let name = rules.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| UpstreamRulesError::ServerName)?;
        let mut config = client_config(&rules.roots)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let h2 = http2.then(|| {
            let mut config = config.clone();
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Ok(Self { name, h1: TlsConnector::from(Arc::new(config)), h2 })
    }
}

/// TLS 1.2 and 1.3 with an explicit provider; sessions are resumed, certificates always verified.
pub(crate) fn client_config(roots: &Roots) -> Result<ClientConfig, UpstreamRulesError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    match roots {
        Roots::Platform => Ok(builder.with_platform_verifier()?.with_no_client_auth()),
        Roots::File(path) => {
            let fault = |cause: String| UpstreamRulesError::CaFile { path: path.clone(), cause };
            let mut store = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| fault(e.to_string()))? {
                let certificate = certificate.map_err(|e| fault(e.to_string()))?;
                store.add(certificate).map_err(|e| fault(e.to_string()))?;
            }
            if store.is_empty() {
                return Err(fault("no certificate in it".to_owned()));
            }
            Ok(builder.with_root_certificates(store).with_no_client_auth())
        }
    }
}
