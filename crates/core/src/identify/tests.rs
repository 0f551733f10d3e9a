use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod wycheproof;

const NOW: u64 = 1_800_000_000;
const ISS: &str = "https://login.example.com";
const AUD: &str = "https://api.example.com";

/// Keys for every family, made once.
struct Signer {
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer {
    p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    ed: Ed25519KeyPair::generate().unwrap(),
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
});

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "ES384" => self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            _ => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match kid {
            "p256" => ec_jwk("P-256", self.p256.public_key().as_ref()),
            "p384" => ec_jwk("P-384", self.p384.public_key().as_ref()),
            "ed" => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(self.ed.public_key())}),
            "rsa" => {
                // PKCS #1 DER: 8 bytes of lengths, a zero before the high bit, then 256 bytes of modulus.
                let n = &self.rsa.public_key().as_ref()[9..265];
                json!({"kty": "RSA", "n": b64(n), "e": "AQAB"})
            }
            other => panic!("no key {other}"),
        };
        jwk["kid"] = kid.into();
        jwk
    }
}

fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
}

fn key_set(jwks: &[Value]) -> KeySet {
    let (keys, skipped) = KeySet::from_jwks(json!({ "keys": jwks }).to_string().as_bytes()).unwrap();
    assert_eq!(skipped, [], "{jwks:?}");
    keys
}

fn token_of(header: &str, claims: &str) -> String {
    let algorithm =
        serde_json::from_str::<Value>(header).ok().and_then(|h| Some(h["alg"].as_str()?.to_owned()));
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = SIGNER.sign(algorithm.as_deref().unwrap_or("ES256"), signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

fn claims() -> Value {
    json!({"iss": ISS, "aud": AUD, "sub": "alice", "exp": NOW + 600, "iat": NOW - 10})
}

/// Good claims with `changes` put over them; null takes a claim away.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn token(claims: &Value) -> String {
    token_of(r#"{"alg":"ES256","kid":"p256","typ":"at+jwt"}"#, &claims.to_string())
}

fn corp() -> IssuerRules {
    IssuerRules { leeway: Duration::from_secs(5), ..IssuerRules::new("corp", ISS, AUD) }
}

fn issuers_of(rules: IssuerRules) -> Issuers {
    let issuer = Issuer::new(rules);
    issuer.replace_keys(key_set(&["p256", "p384", "ed", "rsa"].map(|kid| SIGNER.jwk(kid))));
    Issuers::new(vec![issuer]).unwrap()
}

fn route() -> IdentifyRules {
    IdentifyRules { issuers: vec!["corp".into()], ..IdentifyRules::default() }
}

fn headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    headers
}

fn ask(issuers: &Issuers, token: &str, now: u64) -> Result<Arc<Identity>, (Reason, String)> {
    match principal(issuers, &route(), &headers(token), None, now) {
        Ok(Principal::Identity(identity)) => Ok(identity),
        Ok(Principal::Anonymous) => panic!("anonymous"),
        Err(Halt::Refusal(refusal) | Halt::Fault(refusal)) => {
            Err((refusal.reason, refusal.detail.into_owned()))
        }
        Err(Halt::Reply(_)) => panic!("reply"),
    }
}

/// `expected` is `"ok"`, or a part of the private detail.
fn check(rules: IssuerRules, token: &str, expected: &str) {
    let detail = match ask(&issuers_of(rules), token, NOW) {
        Ok(_) => "ok".to_owned(),
        Err((_, detail)) => detail,
    };
    assert!(
        detail == expected || (expected != "ok" && detail.contains(expected)),
        "{detail:?} for {expected:?}"
    );
}

#[test]
fn every_algorithm_verifies_with_its_own_key_only() {
    for algorithm in Algorithm::ALL {
        let own = match algorithm {
            Algorithm::Es256 => "p256",
            Algorithm::Es384 => "p384",
            Algorithm::EdDsa => "ed",
            _ => "rsa",
        };
        for kid in ["p256", "p384", "ed", "rsa"] {
            let header = json!({"alg": algorithm.as_str(), "kid": kid}).to_string();
            let expected = if kid == own { "ok" } else { "no key of that id is for" };
            check(corp(), &token_of(&header, &claims().to_string()), expected);
        }
        let header = json!({"alg": algorithm.as_str(), "kid": own}).to_string();
        let others = Algorithm::ALL.into_iter().filter(|one| *one != algorithm).collect();
        let rules = IssuerRules { algorithms: others, ..corp() };
        check(rules, &token_of(&header, &claims().to_string()), "is not allowed for the issuer");
    }
}

#[test]
fn header_rules() {
    let good = claims().to_string();
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"p256"}"#, "ok"),
        (r#"{"alg":"ES256"}"#, "ok"),
        (r#"{"alg":"RS256"}"#, "ok"),
        (r#"{"alg":"ES256","typ":"JWT"}"#, "ok"),
        (r#"{"alg":"ES256","typ":"jwt"}"#, "ok"),
        (r#"{"alg":"ES256","typ":"application/at+jwt"}"#, "ok"),
        (r#"{"alg":"ES256","jku":"https://evil.example","x5t":"aa"}"#, "ok"),
        (r#"{"alg":"ES256","typ":"dpop+jwt"}"#, "`typ` is `dpop+jwt`"),
        (r#"{"alg":"ES256","typ":"logout+jwt"}"#, "`typ` is"),
        (r#"{"alg":"ES256","typ":7}"#, "`typ` of the header"),
        (r#"{"alg":"ES256","kid":"p257"}"#, "the issuer has no key `p257`"),
        (r#"{"alg":"ES256","kid":""}"#, "the issuer has no key ``"),
        (r#"{"alg":"ES256","kid":null}"#, "`kid` of the header"),
        (r#"{"alg":"none"}"#, "algorithm `none` does not count"),
        (r#"{"alg":"None"}"#, "does not count"),
        (r#"{"alg":"HS256","kid":"p256"}"#, "algorithm `HS256` does not count"),
        (r#"{"alg":"es256"}"#, "does not count"),
        (r#"{"alg":""}"#, "does not count"),
        (r#"{"alg":["ES256"]}"#, "`alg` of the header"),
        (r#"{"kid":"p256"}"#, "`alg` of the header"),
        (r#"{"alg":"ES256","crit":["exp"],"exp":1}"#, "`crit`"),
        (r#"{"alg":"ES256","crit":[]}"#, "`crit`"),
        (r#"{"alg":"ES256","b64":false}"#, "`b64`"),
        (r#"{"alg":"ES256","b64":true}"#, "`b64`"),
        (r#"{"alg":"ES256","cty":"JWT"}"#, "`cty`"),
        (r#"{"alg":"ES256","enc":"A128GCM"}"#, "`enc`"),
        (r#"{"alg":"ES256","zip":"DEF"}"#, "`zip`"),
        (r#"{"alg":"ES256","alg":"ES256"}"#, "the header is not one JSON object"),
        (r#"{"alg":"none","alg":"ES256"}"#, "the header is not one JSON object"),
        (r#"{"alg":"ES256"} "#, "ok"),
        (r#"{"alg":"ES256"}x"#, "the header is not one JSON object"),
        (r#"["ES256"]"#, "the header is not one JSON object"),
        ("", "the header is not one JSON object"),
    ] {
        check(corp(), &token_of(header, &good), expected);
    }
}

#[test]
fn a_required_type_must_be_there() {
    let rules = IssuerRules { required_type: Some("at+jwt".into()), ..corp() };
    for (header, expected) in [
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, "ok"),
        (r#"{"alg":"ES256","typ":"application/AT+JWT"}"#, "ok"),
        (r#"{"alg":"ES256","typ":"JWT"}"#, "`typ` is `JWT`"),
        (r#"{"alg":"ES256"}"#, "`typ` is absent"),
    ] {
        check(rules.clone(), &token_of(header, &claims().to_string()), expected);
    }
}

#[test]
fn claim_rules() {
    for (changes, expected) in [
        (json!({}), "ok"),
        (json!({"iss": null}), "claim `iss` is missing"),
        (json!({"iss": [ISS]}), "claim `iss` has the wrong type"),
        (json!({"iss": "https://login.example.com/"}), "does not count on this route"),
        (json!({"iss": "HTTPS://login.example.com"}), "does not count on this route"),
        (json!({"aud": null}), "claim `aud` is missing"),
        (json!({"aud": "https://api.example.com/"}), "`aud` names none"),
        (json!({"aud": [AUD]}), "ok"),
        (json!({"aud": ["other", AUD]}), "ok"),
        (json!({"aud": []}), "`aud` names none"),
        (json!({"aud": ["other"]}), "`aud` names none"),
        (json!({"aud": [AUD, 7]}), "claim `aud` has the wrong type"),
        (json!({"aud": {"a": AUD}}), "claim `aud` has the wrong type"),
        (json!({"sub": null}), "claim `sub` is missing"),
        (json!({"sub": ""}), "claim `sub` has the wrong type"),
        (json!({"sub": 7}), "claim `sub` has the wrong type"),
        (json!({"exp": null}), "claim `exp` is missing"),
        (json!({"exp": "1800000600"}), "claim `exp` has the wrong type"),
        (json!({"exp": -1}), "claim `exp` has the wrong type"),
        (json!({"exp": 1e30}), "claim `exp` has the wrong type"),
        (json!({"exp": u64::MAX}), "claim `exp` has the wrong type"),
        (json!({"exp": NOW - 4}), "ok"),
        (json!({"exp": NOW - 5}), "expired at"),
        (json!({"exp": (NOW - 4) as f64 + 0.9}), "ok"),
        (json!({"exp": (NOW - 5) as f64 + 0.9}), "expired at"),
        (json!({"nbf": NOW + 5}), "ok"),
        (json!({"nbf": NOW + 6}), "not valid before"),
        (json!({"nbf": NOW as f64 + 5.1}), "not valid before"),
        (json!({"nbf": "now"}), "claim `nbf` has the wrong type"),
        (json!({"iat": null}), "ok"),
        (json!({"iat": NOW + 5}), "ok"),
        (json!({"iat": NOW + 6}), "issued in the future"),
        (json!({"iat": true}), "claim `iat` has the wrong type"),
        (json!({"jti": 7}), "claim `jti` has the wrong type"),
        (json!({"scope": 7}), "claim `scope` has the wrong type"),
        (json!({"roles": {"admin": true}}), "claim `roles` has the wrong type"),
        (json!({"groups": [7]}), "claim `groups` has the wrong type"),
    ] {
        check(corp(), &token(&with(&changes)), expected);
    }
}

#[test]
fn a_maximum_lifetime_needs_a_beginning() {
    let rules = IssuerRules { max_lifetime: Some(Duration::from_secs(900)), ..corp() };
    for (changes, expected) in [
        (json!({"iat": NOW - 300}), "ok"),
        (json!({"iat": NOW - 301}), "lives 901 s, longer than 900 s"),
        (json!({"iat": null}), "claim `iat` is missing"),
        (json!({"iat": NOW + 2, "exp": NOW + 1}), "claim `exp` has the wrong type or range"),
    ] {
        check(rules.clone(), &token(&with(&changes)), expected);
    }
}

#[test]
fn claims_with_two_readings_are_refused() {
    let good = claims().to_string();
    let header = r#"{"alg":"ES256","kid":"p256"}"#;
    for claims in [
        good.replacen('{', r#"{"sub":"root","#, 1),
        good.replacen('{', r#"{"o":{"a":1,"a":2},"#, 1),
        format!("{good}{{}}"),
        format!("[{good}]"),
        "foo".to_owned(),
        String::new(),
    ] {
        check(corp(), &token_of(header, &claims), "the claims are not one JSON object");
    }
}

#[test]
fn shape_rules() {
    let good = token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    for (token, expected) in [
        (signed.to_owned(), "three segments"),
        (format!("{good}.{signature}"), "three segments"),
        (format!("{good}."), "three segments"),
        (format!("{header}.{payload}.{signature}.{signature}.{signature}"), "three segments"),
        (format!("{signed}."), "no signature"),
        (format!("{header}..{signature}"), "the claims are not one JSON object"),
        (format!(".{payload}.{signature}"), "the header is not one JSON object"),
        (format!("{good}="), "base64url"),
        (format!("{good} "), "base64url"),
        (format!("{header}=.{payload}.{signature}"), "base64url"),
        (format!("{header}.{payload}=.{signature}"), "base64url"),
        (format!("{signed}.{}", signature.split_at(signature.len() - 2).0), "does not verify"),
        (format!("{signed}.AA{}", signature.split_at(2).1), "does not verify"),
        (
            format!("{header}.{}.{signature}", b64(with(&json!({"sub": "root"})).to_string())),
            "does not verify",
        ),
        ("a".repeat(9000), "9000 bytes, more than 8192"),
    ] {
        check(corp(), &token, expected);
    }
}

#[test]
fn key_choice() {
    let p256 = SIGNER.jwk("p256");
    let mut other = ec_jwk(
        "P-256",
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().public_key().as_ref(),
    );
    let choose = |keys: &[Value], kid, expected: Result<(), keys::ChooseError>| {
        assert_eq!(key_set(keys).choose(kid, Algorithm::Es256).map(|_| ()), expected, "{kid:?} {keys:?}");
    };
    use keys::ChooseError::{Ambiguous, NoneFits, UnknownKey};
    other["kid"] = "p256".into();
    choose(std::slice::from_ref(&p256), Some("p256"), Ok(()));
    choose(std::slice::from_ref(&p256), None, Ok(()));
    choose(&[p256.clone(), other.clone()], Some("p256"), Err(Ambiguous));
    other["kid"] = "x".into();
    choose(&[p256.clone(), other.clone()], Some("p256"), Ok(()));
    choose(&[p256.clone(), other.clone()], None, Err(Ambiguous));
    choose(&[p256.clone(), other], Some("y"), Err(UnknownKey));
    let mut rsa = SIGNER.jwk("rsa");
    rsa["kid"] = "p256".into();
    choose(&[p256.clone(), rsa.clone()], Some("p256"), Ok(()));
    choose(std::slice::from_ref(&rsa), Some("p256"), Err(NoneFits));
    choose(&[rsa], None, Err(NoneFits));
    choose(&[], None, Err(NoneFits));
    // A second key of the same id that is for encryption does not make the choice ambiguous.
    let mut encrypting = p256.clone();
    encrypting["use"] = "enc".into();
    let (keys, skipped) =
        KeySet::from_jwks(json!({"keys": [p256, encrypting]}).to_string().as_bytes()).unwrap();
    assert!(keys.choose(Some("p256"), Algorithm::Es256).is_ok());
    assert_eq!(skipped.len(), 1);
}

#[test]
fn keys_that_are_skipped() {
    let edit = |kid: &str, changes: Value| {
        let mut jwk = SIGNER.jwk(kid);
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    };
    let n = SIGNER.jwk("rsa")["n"].as_str().unwrap().to_owned();
    let raw = URL_SAFE_NO_PAD.decode(&n).unwrap();
    for (jwk, expected) in [
        (json!({"kty": "oct", "k": "AAAA"}), SkipReason::Symmetric),
        (edit("p256", json!({"d": "AAAA"})), SkipReason::Private),
        (edit("rsa", json!({"d": "AAAA"})), SkipReason::Private),
        (edit("p256", json!({"use": "enc"})), SkipReason::NotForSignatures),
        (edit("p256", json!({"key_ops": ["sign"]})), SkipReason::NotForSignatures),
        (edit("p256", json!({"key_ops": "verify"})), SkipReason::Malformed),
        (edit("p256", json!({"use": 1})), SkipReason::Malformed),
        (edit("p256", json!({"kid": 1})), SkipReason::Malformed),
        (edit("p256", json!({"alg": "ES384"})), SkipReason::UnsupportedAlgorithm),
        (edit("p256", json!({"alg": "HS256"})), SkipReason::UnsupportedAlgorithm),
        (edit("rsa", json!({"alg": "ES256"})), SkipReason::UnsupportedAlgorithm),
        (edit("p256", json!({"crv": "secp256k1"})), SkipReason::UnsupportedType),
        (edit("ed", json!({"crv": "Ed448"})), SkipReason::UnsupportedType),
        (json!({"kty": "AKP"}), SkipReason::UnsupportedType),
        (json!({}), SkipReason::Malformed),
        (json!(7), SkipReason::Malformed),
        (edit("p256", json!({"crv": "P-384"})), SkipReason::InvalidMaterial),
        (edit("p256", json!({"x": SIGNER.jwk("p256")["y"].clone()})), SkipReason::InvalidMaterial),
        (edit("ed", json!({"x": "AAAA"})), SkipReason::InvalidMaterial),
        (edit("rsa", json!({"n": format!("{n}=")})), SkipReason::InvalidMaterial),
        (edit("rsa", json!({"n": b64([&[0], &raw[..]].concat())})), SkipReason::InvalidMaterial),
        (edit("rsa", json!({"n": b64(&raw[..255])})), SkipReason::WeakModulus),
        (edit("rsa", json!({"n": b64([&[1], &raw[1..]].concat())})), SkipReason::WeakModulus),
        (edit("rsa", json!({"n": b64(raw.repeat(5))})), SkipReason::WeakModulus),
        (edit("rsa", json!({"e": "AQ"})), SkipReason::WeakExponent),
        (edit("rsa", json!({"e": "AQAA"})), SkipReason::WeakExponent),
    ] {
        let (keys, skipped) =
            KeySet::from_jwks(json!({"keys": [jwk, SIGNER.jwk("ed")]}).to_string().as_bytes()).unwrap();
        assert_eq!(keys.len(), 1, "{jwk}");
        assert_eq!(skipped.len(), 1, "{jwk}");
        assert_eq!(skipped[0].reason, expected, "{jwk}");
    }
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[]}x"#] {
        assert!(KeySet::from_jwks(document.as_bytes()).is_err(), "{document}");
    }
    assert!(KeySet::from_jwks(br#"{"keys":[]}"#).unwrap().0.is_empty());
}

#[test]
fn the_identity_says_what_the_token_says() {
    let token = token(&with(&json!({
        "scope": "read write", "scp": ["admin"], "roles": ["r1"], "groups": "g1", "jti": "j", "nbf": NOW,
        "address": {"country": "CH", "a.b": {"c": 1}}, "https://x.example/tenant.id": "t",
    })));
    let identity = ask(&issuers_of(corp()), &token, NOW).unwrap();
    assert_eq!((&*identity.issuer, &*identity.subject), ("corp", "alice"));
    assert_eq!(identity.scopes.iter().map(|s| &**s).collect::<Vec<_>>(), ["read", "write", "admin"]);
    assert_eq!(identity.roles.iter().map(|s| &**s).collect::<Vec<_>>(), ["r1", "g1"]);
    assert_eq!((identity.expires, identity.not_before), (NOW + 600, Some(NOW)));
    assert_eq!(identity.token_id.as_deref(), Some("j"));
    for (path, expected) in [
        ("sub", Some(json!("alice"))),
        ("address.country", Some(json!("CH"))),
        ("address.a.b.c", Some(json!(1))),
        ("https://x.example/tenant.id", Some(json!("t"))),
        ("address.", None),
        (".address", None),
        ("address.country.x", None),
        ("", None),
    ] {
        assert_eq!(identity.claim(path), expected.as_ref(), "{path}");
    }
    assert!(!format!("{identity:?}").contains("CH"));
}

#[test]
fn without_a_credential_only_where_the_route_says_so() {
    let issuers = issuers_of(corp());
    let public = IdentifyRules { allows_anonymous: true, ..route() };
    let none = HeaderMap::new();
    assert!(matches!(principal(&issuers, &public, &none, None, NOW), Ok(Principal::Anonymous)));
    let challenge = |rules: &IdentifyRules, headers: &HeaderMap, query| {
        let Err(Halt::Refusal(refusal)) = principal(&issuers, rules, headers, query, NOW) else {
            panic!("passed");
        };
        assert_eq!(refusal.headers.len(), 1);
        (refusal.reason, refusal.headers[0].1.to_str().unwrap().to_owned())
    };
    let bare = r#"Bearer realm="portcullis""#.to_owned();
    let invalid = r#"Bearer realm="portcullis", error="invalid_token""#.to_owned();
    let request = r#"Bearer realm="portcullis", error="invalid_request""#.to_owned();
    assert_eq!(challenge(&route(), &none, None), (Reason::CredentialMissing, bare));
    assert_eq!(challenge(&public, &headers("bad"), None), (Reason::CredentialInvalid, invalid.clone()));
    assert_eq!(
        challenge(&public, &none, Some("access_token=x")),
        (Reason::CredentialInvalid, invalid.clone())
    );
    let expired = headers(&token(&with(&json!({"exp": NOW - 60}))));
    assert_eq!(challenge(&public, &expired, None), (Reason::CredentialExpired, invalid));
    let mut twice = headers("a");
    twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
    assert_eq!(challenge(&route(), &twice, None), (Reason::CredentialAmbiguous, request));
}

#[test]
fn only_issuers_of_the_route_count_also_when_remembered() {
    let issuers = issuers_of(corp());
    let token = token(&claims());
    assert!(ask(&issuers, &token, NOW).is_ok());
    let other = IdentifyRules { issuers: vec!["partner".into()], allows_anonymous: true, ..route() };
    let halt = principal(&issuers, &other, &headers(&token), None, NOW).unwrap_err();
    assert_eq!(halt.reason(), Some(Reason::CredentialInvalid));
}

#[test]
fn two_names_of_one_issuer_are_tried_in_turn() {
    let make = |name, audience| {
        let issuer = Issuer::new(IssuerRules::new(name, ISS, audience));
        issuer.replace_keys(key_set(&[SIGNER.jwk("p256")]));
        issuer
    };
    let issuers = Issuers::new(vec![make("first", "other"), make("second", AUD)]).unwrap();
    let both = IdentifyRules { issuers: vec!["first".into(), "second".into()], ..route() };
    let token = token(&claims());
    for _ in 0..2 {
        match principal(&issuers, &both, &headers(&token), None, NOW) {
            Ok(Principal::Identity(identity)) => assert_eq!(&*identity.issuer, "second"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(Issuers::new(vec![make("x", "a"), make("x", "b")]).unwrap_err(), DuplicateIssuer("x".into()));
}

#[test]
fn a_remembered_token_dies_with_its_time_and_its_key() {
    let issuers = issuers_of(corp());
    let token = token(&claims());
    let first = ask(&issuers, &token, NOW).unwrap();
    assert!(
        Arc::ptr_eq(&first, &ask(&issuers, &token, NOW + 604).unwrap()),
        "remembered, not verified again"
    );
    assert_eq!(ask(&issuers, &token, NOW + 605).unwrap_err().0, Reason::CredentialExpired);

    let issuer = issuers.find("corp").unwrap();
    issuer.replace_keys(key_set(&["p256", "p384", "ed", "rsa"].map(|kid| SIGNER.jwk(kid))));
    assert!(Arc::ptr_eq(&first, &ask(&issuers, &token, NOW).unwrap()), "the same keys: still remembered");

    issuer.replace_keys(key_set(&[SIGNER.jwk("ed")]));
    assert!(ask(&issuers, &token, NOW).unwrap_err().1.contains("no key `p256`"));
    issuer.replace_keys(key_set(&[SIGNER.jwk("ed"), SIGNER.jwk("p256")]));
    assert!(!Arc::ptr_eq(&first, &ask(&issuers, &token, NOW).unwrap()), "verified again");

    issuer.cell().forget();
    assert_eq!(ask(&issuers, &token, NOW).unwrap_err().0, Reason::KeysUnavailable);
}

#[test]
fn unknown_keys_are_seen_before_identify() {
    let issuers = issuers_of(corp());
    let good = token(&claims());
    let find = |token: &str| {
        find_unknown_key(&issuers, &route(), &headers(token), None)
            .map(|issuer| issuer.rules().name.to_string())
    };
    let corp = Some("corp".to_owned());
    assert_eq!(find(&good), None);
    let header = |header: &str| token_of(header, &claims().to_string());
    assert_eq!(find(&header(r#"{"alg":"ES256","kid":"new"}"#)), corp);
    assert_eq!(find(&header(r#"{"alg":"ES256"}"#)), None);
    assert_eq!(find(&header(r#"{"alg":"HS256","kid":"new"}"#)), None);
    assert_eq!(find(&token_of(r#"{"alg":"ES256","kid":"new"}"#, r#"{"iss":"https://other.example"}"#)), None);
    assert_eq!(find("garbage"), None);

    ask(&issuers, &good, NOW).unwrap();
    assert_eq!(find(&good), None);
    let issuer = issuers.find("corp").unwrap();
    issuer.replace_keys(key_set(&[SIGNER.jwk("ed")]));
    assert_eq!(find(&good), corp, "what was verified by a key that is gone is looked at again");
    issuer.cell().forget();
    assert_eq!(find(&good), corp);
}

proptest! {
    #[test]
    fn random_tokens_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_unverified(&bytes, TOKEN_LIMIT);
        let _ = KeySet::from_jwks(&bytes);
    }

    #[test]
    fn random_claims_never_panic_and_never_pass(header in "\\PC{0,40}", claims in "\\PC{0,80}") {
        let issuers = issuers_of(corp());
        prop_assert!(ask(&issuers, &token_of(&header, &claims), NOW).is_err());
        let header = r#"{"alg":"ES256"}"#;
        prop_assert!(ask(&issuers, &token_of(header, &claims), NOW).is_err());
    }

    #[test]
    fn a_changed_bit_never_passes(at in 0usize..10_000, bit in 0u32..8) {
        let issuers = issuers_of(corp());
        let mut bytes = token(&claims()).into_bytes();
        let index = at % bytes.len();
        bytes[index] ^= 1 << bit;
        let passed = verify(&issuers, &route(), &bytes, NOW).is_ok();
        prop_assert!(!passed);
    }
}
