//! identify: who calls.

use std::ops::Deref;
use std::sync::Arc;

use crate::receive::Received;

/// Who calls, proven.
#[derive(Debug, Clone)]
pub enum Principal {
    /// Nobody in particular; only where the route says so in writing.
    Anonymous,
    /// A verified credential.
    Identity(Arc<Identity>),
}

/// What a verified token says, kept as long as the token lives.
#[derive(Debug)]
pub struct Identity {
    /// Name of the issuer in the configuration.
    pub issuer: Box<str>,
    /// `sub`.
    pub subject: Box<str>,
    /// All claims.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// `scope` or `scp`, split.
    pub scopes: Vec<Box<str>>,
    /// `roles` and `groups`, as written by the issuer.
    pub roles: Vec<Box<str>>,
    /// `exp`, seconds since the epoch.
    pub expires: u64,
}

/// Which credentials a route takes.
#[derive(Debug, Clone, Default)]
pub struct IdentifyRules {
    /// Names of the issuers whose tokens count here.
    pub issuers: Vec<Box<str>>,
    /// Whether a request without any credential is `Anonymous`.
    pub allows_anonymous: bool,
    /// Whether `Authorization` goes on to the upstream.
    pub forwards_credential: bool,
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
