//! An issuer with one key.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

pub(crate) struct Issuer(EcdsaKeyPair);

impl Issuer {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The public half, as a JWK set (RFC 7517).
    pub(crate) fn jwks(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256", "use": "sig",
            "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..65]) }] })
    }

    pub(crate) fn token(&self, subject: &str) -> String {
        self.token_with(subject, "https://api.test", 600)
    }

    /// Valid for `seconds` from now, or expired where that is negative.
    pub(crate) fn token_with(&self, subject: &str, audience: &str, seconds: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "one" });
        let claims = json!({ "iss": "https://issuer.test", "aud": audience, "sub": subject,
            "roles": ["reader"], "iat": now - 1000, "exp": now + seconds, "jti": "secret-claim" });
        let head = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), head.as_bytes()).unwrap();
        format!("{head}.{}", BASE64.encode(signature))
    }
}
