//! Issuers: who may vouch for a caller, and with which keys.

use std::time::Duration;

use http::Uri;

use super::Checker;
use crate::config::file::{self, Algorithm};
use crate::config::read::{At, Named};
use crate::config::settings::{Issuer, Jwks};

const ALL_ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

impl Checker<'_, '_> {
    /// Each issuer by its name; `None` beside a name when something about it was reported.
    pub(super) fn issuers(&mut self, written: Named<file::Issuer>) -> Vec<(At<String>, Option<Issuer>)> {
        let mut issuers: Vec<(At<String>, Option<Issuer>)> = Vec::new();
        for (name, issuer) in written.0 {
            if name.value == "anonymous" {
                self.error("bad-name", name.at, "no issuer can be called `anonymous`")
                    .help("`anonymous` in `identify` means: without a credential");
            }
            let issuer_at = issuer.issuer.as_ref().map(|at| at.at);
            let issuer = self.issuer(&name, issuer);
            let twin = issuers.iter().filter_map(|(_, other)| other.as_ref()).find(|other| {
                issuer.as_ref().is_some_and(|issuer| {
                    issuer.issuer == other.issuer
                        && issuer.audiences.iter().any(|one| other.audiences.contains(one))
                })
            });
            if let (Some(twin), Some(at)) = (twin.map(|twin| twin.name.clone()), issuer_at) {
                self.error("repeated-issuer", at, format!("`{twin}` has the same issuer and audience"));
            }
            issuers.push((name, issuer));
        }
        issuers
    }

    fn issuer(&mut self, name: &At<String>, written: file::Issuer) -> Option<Issuer> {
        let issuer = written.issuer;
        if let Some(empty) = issuer.as_ref().filter(|issuer| issuer.value.is_empty()) {
            self.error("bad-value", empty.at, "the issuer is empty");
        }
        let audiences = written.audience.map(|audiences| audiences.0);
        for empty in audiences.iter().flatten().filter(|audience| audience.value.is_empty()) {
            self.error("bad-value", empty.at, "the audience is empty");
        }
        let jwks = written.jwks.as_ref().and_then(|jwks| self.jwks(jwks));
        let algorithms = written.algorithms.unwrap_or_else(|| ALL_ALGORITHMS.to_vec());
        if algorithms.is_empty() {
            self.error("empty-list", name.at, "no algorithm is allowed, so no token could pass");
        }
        let types = match written.kind {
            Some(kind) => vec![kind.value],
            None => vec!["at+jwt".to_owned(), "JWT".to_owned()],
        };
        Some(Issuer {
            name: name.value.clone(),
            issuer: issuer?.value,
            audiences: audiences?.into_iter().map(|audience| audience.value).collect(),
            jwks: jwks?,
            algorithms,
            max_lifetime: written.max_lifetime.map(|span| span.0),
            leeway: written.leeway.map_or(Duration::from_secs(30), |span| span.0),
            types,
            place: self.report.place(name.at),
        })
    }

    fn jwks(&mut self, written: &At<String>) -> Option<Jwks> {
        if let Some(path) = written.value.strip_prefix("file:") {
            let text = self.loader.text(path, written.at, self.report)?;
            let keys = serde_json::from_str::<serde_json::Value>(&text.text).ok();
            let count = keys.as_ref().and_then(|set| set.get("keys")?.as_array()).map(Vec::len);
            if count.unwrap_or(0) == 0 {
                self.error("bad-keys", written.at, format!("`{}` is not a set of keys", text.name))
                    .expected("a JSON object with a list `keys` that is not empty (RFC 7517)");
                return None;
            }
            return Some(Jwks::File(text));
        }
        let expected = "an `https://` address, or `file:` and a path";
        let Ok(url) = written.value.parse::<Uri>() else {
            self.error("bad-address", written.at, "the address of the keys cannot be read")
                .expected(expected);
            return None;
        };
        match (url.scheme_str(), url.host()) {
            (Some("https"), Some(_)) => Some(Jwks::Url(url)),
            (Some("http"), Some(host)) if super::upstream::is_loopback(host) => Some(Jwks::Url(url)),
            (Some("http"), Some(_)) => {
                self.error("plain-keys", written.at, "keys must not be fetched without TLS")
                    .expected(expected)
                    .help("whoever can change the answer on its way can sign tokens");
                None
            }
            _ => {
                let problem = self.error("bad-address", written.at, "this does not say where the keys are");
                problem.expected(expected);
                if !written.value.contains("://") {
                    problem.help(format!("for a file, write `file:{}`", written.value));
                }
                None
            }
        }
    }
}
