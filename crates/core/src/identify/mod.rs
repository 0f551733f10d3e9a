//! identify: who calls.
//!
//! One bearer token is taken apart (`jws`), verified with a key of the issuer it claims (`keys`),
//! and its claims are judged by that issuer's rules (`claims`). What was verified is remembered by its hash.

mod algorithm;
mod claims;
mod credential;
mod fault;
mod issuer;
mod jws;
mod keys;
mod strict;
mod verified;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use fault::TokenFault;
pub use issuer::{DuplicateIssuer, Issuer, IssuerRules, Issuers, KeyCell, TOKEN_LIMIT, VERIFIED_TOKENS};
pub use jws::{Unverified, parse_unverified};
pub use keys::{KeySet, KeySetError, SkipReason, Skipped};

use crate::halt::{Halt, Reason};
use crate::receive::Received;
use crate::request::Request;
use credential::CredentialFault;
use verified::Verified;

/// Takes a received request; proves that one credential was verified for this route, or that the route takes
/// requests without.
///
/// `now` is in seconds since the epoch. A credential that was presented must be good, also where none is needed.
///
/// # Errors
/// 401 without or with a bad credential, 400 with more than one, 503 when the issuer's keys cannot be had.
pub fn identify(
    issuers: &Issuers,
    request: Request<Received>,
    now: u64,
) -> Result<Request<Identified>, Halt> {
    let head = request.head();
    let rules = &request.stage().route().identify;
    let principal = principal(issuers, rules, &head.headers, head.query.as_deref(), now)?;
    Ok(request.advance(|received| Identified { received, principal }))
}

/// The issuer whose keys should be fetched again before [`identify`]: the request's token claims to be its, and
/// names a key that it does not have.
///
/// Nothing is verified here, and nothing follows from it but a fetch that is limited elsewhere. Costs a few
/// nanoseconds for a token that was verified before.
pub fn unknown_key<'i>(issuers: &'i Issuers, request: &Request<Received>) -> Option<&'i Issuer> {
    let head = request.head();
    let rules = &request.stage().route().identify;
    find_unknown_key(issuers, rules, &head.headers, head.query.as_deref())
}

/// Who calls, proven.
#[derive(Debug, Clone)]
pub enum Principal {
    /// Nobody in particular; only where the route says so in writing.
    Anonymous,
    /// A verified credential.
    Identity(Arc<Identity>),
}

/// What a verified token says, kept as long as the token lives.
pub struct Identity {
    /// Name of the issuer in the configuration.
    pub issuer: Box<str>,
    /// `sub`.
    pub subject: Box<str>,
    /// All claims.
    pub claims: Map<String, Value>,
    /// `scope` or `scp`, split.
    pub scopes: Vec<Box<str>>,
    /// `roles` and `groups`, as written by the issuer.
    pub roles: Vec<Box<str>>,
    /// `exp`, seconds since the epoch.
    pub expires: u64,
    /// `nbf`, seconds since the epoch.
    pub not_before: Option<u64>,
    /// `jti`.
    pub token_id: Option<Box<str>>,
}

impl fmt::Debug for Identity {
    /// Leaves the claims out: they hold personal data.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity that a token with these claims would give, to ask what it could do. Nothing is verified, so nothing
    /// that serves requests may call it.
    ///
    /// # Errors
    /// Claims without a subject, or of a type that no token may have.
    pub fn supposed(issuer: &str, claims: Map<String, Value>) -> Result<Self, TokenFault> {
        claims::name(issuer, claims)
    }

    /// The claim at a path of names joined by dots (`address.country`).
    ///
    /// Names that hold dots themselves (`https://example.com/tenant`) are found too: at every level the longest
    /// name that exists is tried first.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        claim_in(&self.claims, path)
    }
}

fn claim_in<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    claims.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(dot, _)| {
            let (name, rest) = path.split_at_checked(dot)?;
            claim_in(claims.get(name)?.as_object()?, rest.strip_prefix('.')?)
        })
    })
}

/// Which credentials a route takes.
#[derive(Debug, Clone, Default)]
pub struct IdentifyRules {
    /// Names of the issuers whose tokens count here.
    pub issuers: Vec<Box<str>>,
    /// Whether a request without any credential is `Anonymous`.
    pub allows_anonymous: bool,
    /// The header in which clients may send their token instead, by itself, as SDKs of some providers do.
    pub key_header: Option<HeaderName>,
    /// Whether the client's credential goes on to the upstream.
    pub forwards_credential: bool,
}

impl IdentifyRules {
    fn counts(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|one| **one == *issuer)
    }
}

/// Proof that a credential was verified for this audience, or that none is needed.
#[derive(Debug)]
pub struct Identified {
    received: Received,
    principal: Principal,
}

impl Identified {
    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl Deref for Identified {
    type Target = Received;
    fn deref(&self) -> &Received {
        &self.received
    }
}

fn principal(
    issuers: &Issuers,
    rules: &IdentifyRules,
    headers: &HeaderMap,
    query: Option<&str>,
    now: u64,
) -> Result<Principal, Halt> {
    match credential::bearer(headers, query, rules.key_header.as_ref()) {
        Ok(None) if rules.allows_anonymous => Ok(Principal::Anonymous),
        Ok(None) => {
            Err(challenge(Reason::CredentialMissing, "no credential", r#"Bearer realm="portcullis""#))
        }
        Ok(Some(token)) => verify(issuers, rules, token, now).map(Principal::Identity).map_err(refuse),
        Err(CredentialFault::Ambiguous(detail)) => Err(challenge(
            Reason::CredentialAmbiguous,
            detail,
            r#"Bearer realm="portcullis", error="invalid_request""#,
        )),
        Err(CredentialFault::Unreadable(detail)) => {
            Err(challenge(Reason::CredentialInvalid, detail, INVALID_TOKEN))
        }
    }
}

const INVALID_TOKEN: &str = r#"Bearer realm="portcullis", error="invalid_token""#;

#[expect(clippy::needless_pass_by_value, reason = "used as the function of a map_err")]
fn refuse(fault: TokenFault) -> Halt {
    let halt = Halt::new(fault.reason(), fault.to_string());
    match fault {
        // The token may be good, so the client must not throw it away.
        TokenFault::KeysUnavailable(_) => halt,
        _ => halt.with_header(WWW_AUTHENTICATE, HeaderValue::from_static(INVALID_TOKEN)),
    }
}

fn challenge(reason: Reason, detail: &'static str, header: &'static str) -> Halt {
    Halt::new(reason, detail).with_header(WWW_AUTHENTICATE, HeaderValue::from_static(header))
}

/// Verifies a token for a route: remembered, or from the start.
fn verify(
    issuers: &Issuers,
    rules: &IdentifyRules,
    token: &[u8],
    now: u64,
) -> Result<Arc<Identity>, TokenFault> {
    if token.len() > issuers.token_limit {
        return Err(TokenFault::TooLarge { length: token.len(), limit: issuers.token_limit });
    }
    let hash = verified::hash(token);
    if let Some(Verified { identity, generation }) = issuers.verified.find(&hash)
        && rules.counts(&identity.issuer)
        && let Some(issuer) = issuers.find(&identity.issuer)
        && issuer.cell.generation() == generation
    {
        return claims::check_again(&issuer.rules, &identity, now).map(|()| identity);
    }
    // Read before the keys are: should one go away meanwhile, the mark is already worthless.
    let all = issuers.generation();
    let verified = verify_anew(issuers, rules, token, now)?;
    let identity = Arc::clone(&verified.identity);
    issuers.verified.insert(token, hash, verified, all);
    Ok(identity)
}

fn verify_anew(
    issuers: &Issuers,
    rules: &IdentifyRules,
    token: &[u8],
    now: u64,
) -> Result<Verified, TokenFault> {
    let unverified = parse_unverified(token, issuers.token_limit)?;
    let claims = unverified.claims()?;
    let claimed = claimed_issuer(&claims)?;
    // Two configured issuers may share one `iss` and differ in audience or keys; each is tried in turn.
    let mut candidates = named_issuers(issuers, rules, claimed).peekable();
    let mut last = TokenFault::unknown_issuer(claimed);
    while let Some(issuer) = candidates.next() {
        let snapshot = issuer.cell.snapshot();
        let judged = match &snapshot.keys {
            None => Err(TokenFault::KeysUnavailable(issuer.rules.name.clone())),
            Some(keys) => unverified
                .verify(keys, &issuer.rules.algorithms)
                .and_then(|()| claims::judge(&issuer.rules, unverified.header(), claims.clone(), now)),
        };
        match judged {
            Ok(identity) => {
                return Ok(Verified { identity: Arc::new(identity), generation: snapshot.generation });
            }
            Err(fault) if candidates.peek().is_none() => return Err(fault),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

fn claimed_issuer(claims: &Map<String, Value>) -> Result<&str, TokenFault> {
    match claims.get("iss") {
        None => Err(TokenFault::ClaimMissing("iss")),
        Some(Value::String(issuer)) => Ok(issuer),
        Some(_) => Err(TokenFault::ClaimMalformed("iss")),
    }
}

fn named_issuers<'i>(
    issuers: &'i Issuers,
    rules: &IdentifyRules,
    claimed: &str,
) -> impl Iterator<Item = &'i Issuer> {
    issuers.iter().filter(move |issuer| rules.counts(&issuer.rules.name) && *issuer.rules.issuer == *claimed)
}

fn find_unknown_key<'i>(
    issuers: &'i Issuers,
    rules: &IdentifyRules,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Option<&'i Issuer> {
    if rules.issuers.is_empty() {
        return None;
    }
    let token = credential::bearer(headers, query, rules.key_header.as_ref()).ok()??;
    if issuers.verified.has_end(token, issuers.generation()) {
        return None;
    }
    let unverified = parse_unverified(token, issuers.token_limit).ok()?;
    let claims = unverified.claims().ok()?;
    let header = unverified.header();
    let mut candidates = named_issuers(issuers, rules, claimed_issuer(&claims).ok()?);
    candidates.find(|issuer| {
        let lacks_key = match (issuer.cell.snapshot().keys, &header.kid) {
            (None, _) => true,
            (Some(keys), Some(kid)) => !keys.has_key(kid),
            (Some(keys), None) => !keys.can_verify(header.algorithm),
        };
        lacks_key && issuer.rules.algorithms.contains(&header.algorithm)
    })
}

#[cfg(test)]
mod tests;
