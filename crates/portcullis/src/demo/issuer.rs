//! A development issuer: one key, made at start, and three principals.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

/// Signs tokens for the demo. Its key lives as long as the process.
pub(crate) struct Issuer {
    key: EcdsaKeyPair,
    url: String,
    audience: String,
}

impl Issuer {
    pub(crate) fn new(url: String, audience: &str) -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self { key, url, audience: audience.to_owned() })
    }

    /// The public half, as a JWK set (RFC 7517).
    pub(crate) fn jwks(&self) -> Value {
        let point = self.key.public_key().as_ref();
        // An uncompressed point: 0x04, x, y (SEC 1, section 2.3.3).
        let half = |range| BASE64.encode(point.get(range).unwrap_or_default());
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "demo-1", "alg": "ES256", "use": "sig",
            "x": half(1..33), "y": half(33..65) }] })
    }

    /// Serves the JWK set.
    pub(crate) fn router(&self) -> Router {
        let jwks = self.jwks();
        Router::new().route("/jwks.json", get(move || std::future::ready(Json(jwks.clone()))))
    }

    /// A token for `subject` of the north (Bob is of the south) with `roles`, valid for an hour from `now` (seconds since the epoch).
    pub(crate) fn token(&self, subject: &str, roles: &[&str], now: u64) -> anyhow::Result<String> {
        let tenant = if subject == "bob" { "south" } else { "north" };
        let claims = json!({ "iss": self.url, "aud": self.audience, "sub": subject, "roles": roles,
            "tenant": tenant, "iat": now, "nbf": now, "exp": now + 3600, "jti": format!("{subject}-{now}") });
        self.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "demo-1" }), &claims)
    }

    /// Signs whatever it is given: the tour needs bad tokens too.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> anyhow::Result<String> {
        let head = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), head.as_bytes())?;
        Ok(format!("{head}.{}", BASE64.encode(signature)))
    }

    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
