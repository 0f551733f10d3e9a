//! TLS towards clients: several certificates behind one address, replaced without a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use thiserror::Error;

/// A certificate chain with its key, in PEM, and the names it is shown for.
#[derive(Clone)]
pub struct Certificate {
    /// What it is called in errors: the path of its file.
    pub label: Box<str>,
    /// The chain, the server's own certificate first.
    pub chain: Vec<u8>,
    /// The private key.
    pub key: zeroize::Zeroizing<Vec<u8>>,
    /// Names, exact or `*.example.com`; empty: those in the certificate.
    pub names: Vec<Box<str>>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// No certificate at all.
    #[error("no certificate given")]
    None,
    /// A file that cannot be read.
    #[error("cannot read `{label}`")]
    Unreadable {
        /// The file.
        label: Box<str>,
        /// What the system said.
        source: std::io::Error,
    },
    /// No PEM certificate within.
    #[error("`{label}` holds no certificate in PEM")]
    NoCertificate {
        /// The file.
        label: Box<str>,
    },
    /// No PEM key within.
    #[error("the key of `{label}` is no private key in PEM")]
    NoKey {
        /// The certificate's file.
        label: Box<str>,
    },
    /// The key is of a kind that is not supported, or belongs to another certificate.
    #[error("the key does not belong to the certificate `{label}`")]
    KeyMismatch {
        /// The certificate's file.
        label: Box<str>,
    },
    /// Not a certificate that this program can use.
    #[error("the certificate `{label}` cannot be used: {source}")]
    Unusable {
        /// The certificate's file.
        label: Box<str>,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Past its time.
    #[error("the certificate `{label}` has expired")]
    Expired {
        /// The certificate's file.
        label: Box<str>,
    },
    /// Before its time.
    #[error("the certificate `{label}` is not valid yet")]
    NotYetValid {
        /// The certificate's file.
        label: Box<str>,
    },
    /// The provider has no usable cipher suite; a bug of the build.
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
}

/// Certificates of a listener.
#[derive(Debug)]
pub struct TlsRules {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl Certificate {
    /// Reads the chain and its key from files.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`] names the file.
    pub fn read(chain: &Path, key: &Path, names: Vec<Box<str>>) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|source| TlsError::Unreadable { label: path.display().to_string().into(), source })
        };
        Ok(Self {
            label: chain.display().to_string().into(),
            chain: read(chain)?,
            key: read(key)?.into(),
            names,
        })
    }
}

impl TlsRules {
    /// Takes the certificates; the first is shown to clients that name no host, or one that no certificate has.
    ///
    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, stateless resumption.
    ///
    /// # Errors
    /// [`TlsError`]: the first certificate that cannot be used, and why.
    pub fn new(certificates: &[Certificate], now: SystemTime) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let table = Table::new(certificates, &provider, now)?;
        let certificates =
            Arc::new(Certificates { table: ArcSwap::from_pointee(table), provider: Arc::clone(&provider) });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Provider)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Certificates>::clone(&certificates));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Provider)?;
        config.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(config), certificates })
    }

    /// Replaces the certificates for handshakes from now on; keeps the old ones where the new cannot be used.
    ///
    /// # Errors
    /// As [`TlsRules::new`].
    pub fn reload(&self, certificates: &[Certificate], now: SystemTime) -> Result<(), TlsError> {
        let table = Table::new(certificates, &self.certificates.provider, now)?;
        self.certificates.table.store(Arc::new(table));
        Ok(())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// Finds the certificate for a handshake.
#[derive(Debug)]
struct Certificates {
    table: ArcSwap<Table>,
    provider: Arc<CryptoProvider>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.table.load().find(hello.server_name()))
    }
}

/// Certificates by name.
#[derive(Debug)]
struct Table {
    default: Arc<CertifiedKey>,
    exact: FxHashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: FxHashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Table {
    fn new(
        certificates: &[Certificate],
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let mut default = None;
        let (mut exact, mut wildcard) = (FxHashMap::default(), FxHashMap::default());
        for certificate in certificates {
            let (key, names) = load(certificate, provider, now)?;
            for name in names {
                // The first certificate with a name has it.
                match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.into()).or_insert_with(|| Arc::clone(&key)),
                    None => exact.entry(name.into()).or_insert_with(|| Arc::clone(&key)),
                };
            }
            default.get_or_insert(key);
        }
        Ok(Self { default: default.ok_or(TlsError::None)?, exact, wildcard })
    }

    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let of_name = |name: &str| {
            let name = name.to_ascii_lowercase();
            let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(name.as_str()).or_else(parent)
        };
        Arc::clone(name.and_then(of_name).unwrap_or(&self.default))
    }
}

/// Parses one certificate, proves that it can be used now, and says for which names.
fn load(
    certificate: &Certificate,
    provider: &CryptoProvider,
    now: SystemTime,
) -> Result<(Arc<CertifiedKey>, Vec<String>), TlsError> {
    let label = || certificate.label.clone();
    let chain = CertificateDer::pem_slice_iter(&certificate.chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate { label: label() })?;
    let key =
        PrivateKeyDer::from_pem_slice(&certificate.key).map_err(|_| TlsError::NoKey { label: label() })?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|source| match source {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::KeyMismatch { label: label() }
        }
        source => TlsError::Unusable { label: label(), source },
    })?;
    let unusable = |source| TlsError::Unusable { label: label(), source };
    let der = key.end_entity_cert().map_err(unusable)?;
    let entity = webpki::EndEntityCert::try_from(der)
        .map_err(|_| unusable(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding)))?;
    match validity(&entity, now) {
        Some(webpki::Error::CertExpired { .. }) => return Err(TlsError::Expired { label: label() }),
        Some(webpki::Error::CertNotValidYet { .. }) => return Err(TlsError::NotYetValid { label: label() }),
        _ => {}
    }
    let names = match &*certificate.names {
        [] => entity.valid_dns_names().map(str::to_ascii_lowercase).collect(),
        names => names.iter().map(|name| name.to_ascii_lowercase()).collect(),
    };
    Ok((Arc::new(key), names))
}

/// The validity period is checked before any issuer is looked for; without issuers only that check matters.
fn validity(entity: &webpki::EndEntityCert<'_>, now: SystemTime) -> Option<webpki::Error> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let usage = webpki::KeyUsage::server_auth();
    entity.verify_for_usage(&[], &[], &[], UnixTime::since_unix_epoch(now), usage, None, None).err()
}
