//! What a policy is told of a token, apart from Cedar's own types: one table for the engine and the oracle.

use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};

use crate::identify::Identity;

/// The id of the one principal without credentials.
pub(super) const ANONYMOUS: &str = "anonymous";

/// Claims that a token may or may not have.
#[derive(Debug)]
pub(super) struct OptionalFacts<'i> {
    /// Attribute and its value.
    pub(super) texts: [(&'static str, Option<&'i str>); 3],
    /// The issuer's word that the address was verified.
    pub(super) email_verified: Option<bool>,
}

/// `<issuer>/<subject>`: two issuers may know the same subject.
pub(super) fn user_id(identity: &Identity) -> SmolStr {
    format_smolstr!("{}/{}", identity.issuer, identity.subject)
}

/// `client` is `client_id` (RFC 9068), else `azp` (OpenID Connect Core). A claim of another type is left out.
pub(super) fn optional_facts(identity: &Identity) -> OptionalFacts<'_> {
    let text = |name: &str| identity.claims.get(name).and_then(Value::as_str);
    OptionalFacts {
        texts: [
            ("tenant", text("tenant")),
            ("email", text("email")),
            ("client", text("client_id").or_else(|| text("azp"))),
        ],
        email_verified: identity.claims.get("email_verified").and_then(Value::as_bool),
    }
}
