//! Project Wycheproof's JWS vectors, at the level of the signature: most payloads are no claims.
//!
//! The data lie beside the repository; where they are absent the test says so and passes.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors from files")]

use std::path::Path;

use serde_json::Value;

use super::super::*;

/// Vectors where this gate differs on purpose, with the reason.
const WAIVED: &[(&str, u64, &str)] = &[
    (
        "json_web_signature_test.json",
        346,
        "PS384 with a key whose `alg` is PS256: RFC 7517 section 4.4 binds the key",
    ),
    (
        "json_web_signature_test.json",
        350,
        "PS384 with a key whose `alg` is PS256: RFC 7517 section 4.4 binds the key",
    ),
];

fn passes(group: &Value, token: &str) -> bool {
    let Some(public) = group.get("public") else { return false };
    let document = match public.get("keys") {
        Some(_) => public.clone(),
        None => serde_json::json!({ "keys": [public] }),
    };
    let (keys, _) = KeySet::from_jwks(document.to_string().as_bytes()).unwrap();
    parse_unverified(token.as_bytes(), TOKEN_LIMIT)
        .is_ok_and(|unverified| unverified.verify(&keys, &Algorithm::ALL).is_ok())
}

/// Whether a valid vector uses an algorithm that counts here.
fn is_supported(token: &str) -> bool {
    let header = token.split('.').next().unwrap();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header);
    header.is_ok_and(|header| {
        let header: Value = serde_json::from_slice(&header).unwrap();
        header["alg"].as_str().is_some_and(|name| name.parse::<Algorithm>().is_ok())
    })
}

fn check(file: &str, least: usize) {
    // Beside the repository, or beside what holds its worktrees.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(3).take(3);
    let text = above
        .map(|folder| folder.join("shared/data/jose").join(file))
        .find_map(|path| std::fs::read(path).ok());
    let Some(text) = text else {
        eprintln!("SKIPPED: no {file}, the Wycheproof vectors are not on this machine");
        return;
    };
    let document: Value = serde_json::from_slice(&text).unwrap();
    let (mut checked, mut accepted) = (0, 0);
    for group in document["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let Some(token) = test["jws"].as_str() else { continue };
            let is_waived = WAIVED.iter().any(|(name, waived, _)| *name == file && *waived == id);
            let expected = test["result"] == "valid" && is_supported(token) && !is_waived;
            assert_eq!(passes(group, token), expected, "{file} {id} {}", test["comment"]);
            checked += 1;
            accepted += usize::from(expected);
        }
    }
    assert!(checked >= least && accepted > 0, "{checked} vectors, {accepted} of them valid");
}

#[test]
fn signatures() {
    check("json_web_signature_test.json", 400);
}

#[test]
fn keys() {
    check("json_web_key_test.json", 20);
}

#[test]
fn crypto() {
    check("json_web_crypto_test.json", 40);
}
