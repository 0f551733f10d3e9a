//! Tokens and key sets as strangers send them: nothing counts that was not signed.

#[path = "world.rs"]
mod world;

use std::sync::LazyLock;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use portcullis_core::halt::Reason;
use portcullis_core::identify::{
    Issuer, IssuerRules, Issuers, KeySet, TOKEN_LIMIT, identify, parse_unverified, unknown_key,
};
use portcullis_core::receive::{ReceiveRules, receive};
use portcullis_core::request::{Peer, Wire};
use portcullis_core::route::Routes;

const NOW: u64 = 1_750_000_000;
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","use":"sig","alg":"EdDSA",
    "x":"UYh78UHrmcEBD5ZlJvHuUNVd-OPkOFFiHg6HbeeVR-c"}]}"#;
/// The tokens with a signature that count.
const GOOD: [&[u8]; 2] = [include_bytes!("../corpus/jwt/good"), include_bytes!("../corpus/jwt/float-exp")];

static ROUTES: LazyLock<Routes> = LazyLock::new(world::routes);
static ISSUERS: LazyLock<Issuers> = LazyLock::new(|| {
    let issuer = Issuer::new(IssuerRules::new("corp", "https://issuer.test", "shop"));
    issuer.replace_keys(KeySet::from_jwks(KEYS.as_bytes()).expect("a key set").0);
    Issuers::new(vec![issuer]).expect("one issuer").with_cache(64)
});

pub fn run(bytes: &[u8]) {
    keys(bytes);
    let Ok(mut header) = HeaderValue::from_bytes(&[b"Bearer ", bytes].concat()) else { return };
    header.set_sensitive(true);
    let first = verdict(&header);
    assert_eq!(first, verdict(&header), "the second time it is judged otherwise");
    let token = bytes.trim_ascii();
    if first.is_ok() {
        assert!(parse_unverified(token, TOKEN_LIMIT).is_ok(), "what is no token counts");
        assert!(GOOD.contains(&token), "a forged token counts");
    } else {
        assert!(!GOOD.contains(&bytes), "a good token does not count");
    }
}

/// Identifies a request with this credential.
fn verdict(header: &HeaderValue) -> Result<String, Option<Reason>> {
    let request = Request::get("/api/thing").header("host", "gate.test").header(AUTHORIZATION, header);
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let peer = Peer { address: [192, 0, 2, 1].into(), is_tls: true };
    let received = receive(&ROUTES, &ReceiveRules::default(), Wire { parts, peer, has_body: false });
    let received = received.map_err(|halt| halt.reason())?;
    let _ = unknown_key(&ISSUERS, &received);
    let identified = identify(&ISSUERS, received, NOW).map_err(|halt| halt.reason())?;
    Ok(format!("{:?}", identified.stage().principal()))
}

/// Every key of a set is taken or left out with a reason.
fn keys(bytes: &[u8]) {
    let Ok((set, skipped)) = KeySet::from_jwks(bytes) else { return };
    let document: serde_json::Value = serde_json::from_slice(bytes).expect("a key set is JSON");
    let count = document.get("keys").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    assert_eq!(set.len() + skipped.len(), count, "a key is neither taken nor left out");
}
