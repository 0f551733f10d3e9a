//! Upstreams: where requests go, how long they may take, and the gate's own credential.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use zeroize::Zeroizing;

use super::Checker;
use crate::config::file;
use crate::config::read::{At, Either};
use crate::config::secret::Secret;
use crate::config::settings::{Credential, Upstream};

/// What differs between APIs and models, and between models.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    total: Duration,
    first_byte: Duration,
    /// The header that carries the gate's own credential.
    credential: &'static str,
}

impl Defaults {
    pub(super) const API: Self = Self {
        total: Duration::from_secs(60),
        first_byte: Duration::from_secs(30),
        credential: "authorization",
    };

    /// Those of a model of this dialect.
    pub(super) fn model(dialect: file::Dialect) -> Self {
        let (total, first_byte) = (Duration::from_secs(600), Duration::from_secs(120));
        let credential = match dialect {
            file::Dialect::Anthropic => "x-api-key",
            _ => "authorization",
        };
        Self { total, first_byte, credential }
    }
}

/// Headers that frame a message or that the gate writes itself.
const NOT_FOR_CREDENTIALS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "upgrade",
    "trailer",
    "forwarded",
    "content-type",
];

impl Checker<'_, '_> {
    pub(super) fn upstream(
        &mut self,
        written: At<Either<String, file::Upstream>>,
        default: Defaults,
    ) -> Option<Upstream> {
        let place = self.report.place(written.at);
        let written = match written.value {
            Either::Short(url) => {
                file::Upstream { url: Some(At { at: written.at, value: url }), ..file::Upstream::default() }
            }
            Either::Long(upstream) => upstream,
        };
        let url = written.url.as_ref().and_then(|url| self.url(url));
        let ca = written.ca.as_ref().map(|ca| {
            let text = self.text(ca)?;
            self.certificates(&text, ca.at).then_some(text)
        });
        if let (Some(url), Some(at)) = (&url, written.ca.as_ref().or(written.server_name.as_ref()))
            && url.scheme_str() == Some("http")
        {
            self.warning("unused-key", at.at, "there is no TLS to this upstream, so this has no effect");
        }
        let credential_at = written.credential.as_ref().map(|credential| credential.at);
        let credential = written.credential.map(|credential| self.credential(credential, default));
        if let (Some(url), Some(at)) = (&url, credential_at)
            && url.scheme_str() == Some("http")
            && !url.host().is_some_and(is_loopback)
        {
            self.warning("plain-credential", at, "the credential would travel unencrypted")
                .help("use an `https://` address for the upstream");
        }
        let span = |written: Option<file::Span>, default| written.map_or(default, |span| span.0);
        let timeout = span(written.timeout, default.total);
        Some(Upstream {
            url: url?,
            timeout,
            connect_timeout: span(written.connect_timeout, Duration::from_secs(5)).min(timeout),
            first_byte_timeout: span(written.first_byte_timeout, default.first_byte).min(timeout),
            idle_timeout: span(written.idle_timeout, Duration::from_secs(60)).min(timeout),
            http2: written.http2.unwrap_or(false),
            ca: flatten(ca)?,
            server_name: written.server_name.map(|name| name.value),
            credential: flatten(credential)?,
            preserve_host: written.preserve_host.unwrap_or(false),
            place,
        })
    }

    fn url(&mut self, written: &At<String>) -> Option<Uri> {
        let text = &written.value;
        // A credential may stand before the `@`, so the line is masked before anything is said.
        if text
            .split_once("://")
            .is_some_and(|(_, rest)| rest.split('/').next().unwrap_or(rest).contains('@'))
        {
            self.report.mask(written.at);
            self.error("inline-secret", written.at, "the address must not hold a user or password")
                .help("use `credential` with a reference to a secret");
            return None;
        }
        let url = text.parse::<Uri>().ok();
        let expected = "an address such as `http://127.0.0.1:9001` or `https://api.example.com`";
        let scheme = url.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
        let Some(url) = url.as_ref().filter(|url| url.host().is_some_and(|host| !host.is_empty())) else {
            self.error("bad-address", written.at, "the upstream's address cannot be read").expected(expected);
            return None;
        };
        if !matches!(scheme, "http" | "https") {
            self.error("bad-address", written.at, "the upstream's address needs a scheme").expected(expected);
            return None;
        }
        if url.query().is_some() || text.contains('#') {
            self.error("bad-address", written.at, "the upstream's address must end with its path")
                .help("leave out everything from the `?` or `#`");
            return None;
        }
        let has_port = url.authority().is_some_and(|authority| authority.as_str().ends_with(':'));
        if has_port || url.port().is_some_and(|port| port.as_str().parse::<u16>().is_err()) {
            self.error("bad-address", written.at, "the port cannot be read").expected("1 to 65535");
            return None;
        }
        Some(url.clone())
    }

    fn credential(
        &mut self,
        written: At<Either<file::SecretReference, file::Credential>>,
        default: Defaults,
    ) -> Option<Credential> {
        let at = written.at;
        let (header, value, scheme) = match written.value {
            Either::Short(value) => (None, At { at, value }, None),
            Either::Long(long) => (long.header, long.value?, long.scheme),
        };
        let header = match header {
            None => HeaderName::from_static(default.credential),
            Some(written) => self.credential_header(&written)?,
        };
        let scheme = match scheme {
            Some(scheme) => scheme.value,
            None if header == http::header::AUTHORIZATION => "Bearer".to_owned(),
            None => String::new(),
        };
        let secret = self.loader.secret(&value.value.0, value.at, self.report)?;
        let blank = if scheme.is_empty() { "" } else { " " };
        let whole = Zeroizing::new(format!("{scheme}{blank}{}", secret.expose()));
        let is_visible = whole.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_visible || HeaderValue::from_str(&whole).is_err() {
            self.error("bad-secret", value.at, "the secret holds characters that a header cannot carry");
            return None;
        }
        Some(Credential { header, value: Secret::new(whole.to_string()) })
    }

    fn credential_header(&mut self, written: &At<String>) -> Option<HeaderName> {
        let name = written.value.parse::<HeaderName>().ok();
        let name = name.filter(|name| !NOT_FOR_CREDENTIALS.contains(&name.as_str()));
        if name.is_none() {
            self.error("bad-value", written.at, "this header cannot carry a credential")
                .expected("a header such as `authorization` or `x-api-key`");
        }
        name
    }
}

/// Whether a host of an address is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `Some(None)` when it was written and wrong, so that the outer `?` gives up.
fn flatten<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        None => Some(None),
        Some(None) => None,
        Some(Some(right)) => Some(Some(right)),
    }
}
