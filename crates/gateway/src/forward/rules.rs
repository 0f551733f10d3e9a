//! What the configuration says about an upstream.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

/// Rules of one upstream. [`UpstreamRules::new`] gives the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRules {
    /// Its name in the configuration and in records.
    pub name: Box<str>,
    /// `http` or `https`, host, optional port, optional base path; no query, no userinfo.
    pub url: Uri,
    /// Longest wait for one address to connect, and for the TLS handshake (2 s).
    pub connect_timeout: Duration,
    /// Longest wait from the request to the head of the answer (30 s).
    pub first_byte_timeout: Duration,
    /// Longest time for the whole exchange (60 s); event streams and upgrades are exempt. `None` is no limit.
    pub total_timeout: Option<Duration>,
    /// Longest silence within a body (60 s).
    pub idle_timeout: Duration,
    /// Idle connections kept (512).
    pub max_idle: usize,
    /// How long an idle connection is kept (30 s).
    pub keep_alive: Duration,
    /// HTTP/2: by ALPN over TLS, else by prior knowledge.
    pub http2: bool,
    /// Forward the client's `Host` instead of the upstream's authority.
    pub preserve_host: bool,
    /// How the upstream's certificate is verified. There is no rule that does not verify.
    pub tls: TlsClientRules,
    /// The gate's own credential for the upstream.
    pub credential: Option<(HeaderName, SecretHeader)>,
}

impl UpstreamRules {
    /// The defaults for an upstream of this name at this address.
    pub fn new(name: impl Into<Box<str>>, url: Uri) -> Self {
        Self {
            name: name.into(),
            url,
            connect_timeout: Duration::from_secs(2),
            first_byte_timeout: Duration::from_secs(30),
            total_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Duration::from_secs(60),
            max_idle: 512,
            keep_alive: Duration::from_secs(30),
            http2: false,
            preserve_host: false,
            tls: TlsClientRules::default(),
            credential: None,
        }
    }
}

/// How an upstream's certificate is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsClientRules {
    /// Which roots are trusted.
    pub roots: Roots,
    /// The name to verify and to send as SNI, if not the host of the URL.
    pub server_name: Option<Box<str>>,
}

/// Which roots are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// What the platform trusts.
    #[default]
    Platform,
    /// Only the certificates of this PEM file.
    File(PathBuf),
}

/// A header value that is not shown by `Debug` nor indexed by HTTP/2's header compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader(HeaderValue);

impl SecretHeader {
    /// Marks the value as sensitive.
    pub fn new(mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self(value)
    }

    pub(crate) fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// Why rules make no upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamRulesError {
    /// Neither `http` nor `https`.
    #[error("upstream url must begin with `http://` or `https://`")]
    Scheme,
    /// Userinfo, query, or no host.
    #[error("upstream url must be scheme, host, optional port and optional path")]
    Url,
    /// Not a name that a certificate can carry.
    #[error("upstream host is not a valid TLS server name")]
    ServerName,
    /// The CA file cannot be read, or holds no usable certificate.
    #[error("CA file `{path}` cannot be used: {cause}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
