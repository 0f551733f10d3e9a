//! Listeners: addresses, certificates, and what must be written before anything is exposed.

use std::net::SocketAddr;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Checker;
use crate::config::file;
use crate::config::read::{At, OneOrMany};
use crate::config::settings::{Listener, Listeners, SourceText, TlsPair};
use crate::config::tree::Span;

impl Checker<'_, '_> {
    pub(super) fn listeners(&mut self, written: file::Listeners) -> Option<Listeners> {
        let public = written.public.and_then(|public| {
            let address = public.address?;
            self.listener(&address, public.tls, public.plain.unwrap_or(false))
        });
        let admin_at = written.admin.as_ref().and_then(|admin| admin.address.as_ref()).map(|at| at.at);
        let admin = written.admin.map(|admin| {
            let address = admin.address?;
            let listener = self.listener(&address, admin.tls, admin.plain.unwrap_or(false))?;
            if !listener.address.ip().is_loopback() && !admin.expose.unwrap_or(false) {
                self.error("exposed-admin", address.at, "the admin listener would be reachable from outside")
                    .help("listen on `127.0.0.1`, or write `expose: true` beside the address");
            }
            Some(listener)
        });
        if let (Some(public), Some(Some(admin)), Some(at)) = (&public, &admin, admin_at)
            && public.address.port() == admin.address.port()
            && admin.address.port() != 0
            && (public.address.ip() == admin.address.ip()
                || public.address.ip().is_unspecified()
                || admin.address.ip().is_unspecified())
        {
            self.error("repeated-address", at, "both listeners have the same port");
        }
        let admin = match admin {
            Some(admin) => Some(admin?),
            None => None,
        };
        Some(Listeners { public: public?, admin })
    }

    fn listener(
        &mut self,
        address: &At<String>,
        tls: Option<OneOrMany<At<file::Tls>>>,
        plain: bool,
    ) -> Option<Listener> {
        let has_tls = tls.is_some();
        let pairs: Vec<Option<TlsPair>> = tls
            .map(|OneOrMany(pairs)| pairs.into_iter().map(|pair| self.pair(pair)).collect())
            .unwrap_or_default();
        let parsed = self.address(address);
        if let Some(parsed) = parsed
            && !has_tls
            && !plain
            && !parsed.ip().is_loopback()
        {
            self.error("plain-listener", address.at, "the listener has no TLS and is not on loopback")
                .expected("`tls: { certificate: …, key: … }`")
                .help("write `plain: true` if something before the gate ends TLS");
        }
        if has_tls && plain {
            self.error("contradiction", address.at, "the listener has `tls` and is said to be `plain`");
        }
        Some(Listener { address: parsed?, tls: pairs.into_iter().collect::<Option<_>>()? })
    }

    fn address(&mut self, written: &At<String>) -> Option<SocketAddr> {
        if let Ok(address) = written.value.parse::<SocketAddr>() {
            return Some(address);
        }
        let problem = self.error("bad-address", written.at, format!("`{}` is not an address", written.value));
        problem.expected("an IP address and a port, such as `0.0.0.0:8443` or `[::]:8443`");
        if let Some(port) = written.value.strip_prefix("localhost:") {
            problem.help(format!("write `127.0.0.1:{port}`"));
        } else if written.value.starts_with(':') {
            problem.help(format!("write `0.0.0.0{}` for all addresses", written.value));
        } else if written.value.parse::<std::net::IpAddr>().is_ok() {
            problem.help(format!("the port is missing: `{}:8443`", written.value));
        }
        None
    }

    fn pair(&mut self, At { at, value }: At<file::Tls>) -> Option<TlsPair> {
        let certificate = value.certificate.and_then(|written| {
            let text = self.text(&written)?;
            self.certificates(&text, written.at).then_some(text)
        });
        let key = value.key.and_then(|written| {
            let key = self.loader.key(&written.value, written.at, self.report)?;
            if PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).is_err() {
                self.error("bad-key", written.at, format!("`{}` holds no private key in PEM", written.value));
                return None;
            }
            Some(key)
        });
        let names = value.names.into_iter().map(|name| name.value.to_ascii_lowercase()).collect();
        Some(TlsPair { certificate: certificate?, key: key?, names, place: self.report.place(at) })
    }

    /// Whether a text holds at least one certificate in PEM; reports where it does not.
    pub(super) fn certificates(&mut self, text: &SourceText, at: Span) -> bool {
        let mut count = 0_usize;
        for certificate in CertificateDer::pem_slice_iter(text.text.as_bytes()) {
            if certificate.is_err() {
                self.error("bad-certificate", at, format!("`{}` is not well-formed PEM", text.name));
                return false;
            }
            count = count.saturating_add(1);
        }
        if count == 0 {
            self.error("bad-certificate", at, format!("`{}` holds no certificate in PEM", text.name));
        }
        count > 0
    }
}
