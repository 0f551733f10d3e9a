//! Key sets: what an issuer publishes (RFC 7517), reduced to keys that may verify.

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use thiserror::Error;

use super::algorithm::Algorithm;
use super::strict;

/// The usable keys of one issuer, parsed.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// One key with everything it may verify.
pub(super) struct Key {
    id: Option<Box<str>>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
    /// SHA-256 over the id, the algorithms and the public material: equal means the same key.
    fingerprint: [u8; 32],
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.verifiers.iter().map(|(algorithm, _)| *algorithm).collect();
        formatter.debug_struct("Key").field("id", &self.id).field("algorithms", &algorithms).finish()
    }
}

/// A document that is not a key set at all.
#[derive(Debug, Error)]
pub enum KeySetError {
    /// Not one JSON object with one reading.
    #[error("the key set is not well-formed JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// `keys` is missing or no array (RFC 7517 section 5).
    #[error("the key set has no `keys` array")]
    NoKeys,
}

/// A key of the document that is not used, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in `keys`.
    pub index: usize,
    /// Its `kid`, if it has a readable one.
    pub kid: Option<Box<str>>,
    /// Why it is not used.
    pub reason: SkipReason,
}

/// Why a key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// Not an object, or a member has the wrong type.
    #[error("not a well-formed key")]
    Malformed,
    /// A secret in a public document: whoever read it can sign.
    #[error("holds private parts, which everybody can read now")]
    Private,
    /// `oct`: shared secrets never verify here.
    #[error("a shared secret")]
    Symmetric,
    /// A key type or curve without an algorithm that counts.
    #[error("key type or curve not supported")]
    UnsupportedType,
    /// An `alg` that does not count, or that the key's type cannot do.
    #[error("algorithm not supported, or not of this key's type")]
    UnsupportedAlgorithm,
    /// `use` or `key_ops` say that it is not for signatures.
    #[error("not for verifying signatures")]
    NotForSignatures,
    /// RSA below 2048 or above 8192 bits.
    #[error("RSA modulus must have 2048 to 8192 bits")]
    WeakModulus,
    /// RSA exponent even or below 3.
    #[error("RSA exponent must be odd and at least 3")]
    WeakExponent,
    /// A modulus of the vulnerable shape of CVE-2017-15361.
    #[error("RSA modulus made by a generator with the ROCA weakness")]
    Roca,
    /// The material is not a key: not on the curve, wrong length, padded.
    #[error("the key material is not valid")]
    InvalidMaterial,
}

impl KeySet {
    /// Takes a JWK Set document; returns the keys that can verify, and those left out with the reason.
    ///
    /// A set without any usable key is a set: the issuer may have withdrawn all of them.
    ///
    /// # Errors
    /// When the document is no key set at all.
    pub fn from_jwks(document: &[u8]) -> Result<(Self, Vec<Skipped>), KeySetError> {
        let document = strict::parse_object(document).map_err(KeySetError::Json)?;
        let Some(Value::Array(members)) = document.get("keys") else {
            return Err(KeySetError::NoKeys);
        };
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        for (index, member) in members.iter().enumerate() {
            match Key::from_jwk(member) {
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(Skipped { index, kid: kid_of(member), reason }),
            }
        }
        Ok((Self { keys }, skipped))
    }

    /// How many keys can verify.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether some key has this id.
    pub fn has_key(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(kid))
    }

    /// Whether some key can do this algorithm.
    pub(super) fn can_verify(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.verifier(algorithm).is_some())
    }

    /// Whether every key of `older` is still in this set.
    pub(super) fn contains(&self, older: &Self) -> bool {
        older.keys.iter().all(|old| self.keys.iter().any(|key| key.fingerprint == old.fingerprint))
    }

    /// The one key that `kid` and `algorithm` name.
    pub(super) fn choose(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&ParsedPublicKey, ChooseError> {
        if let Some(kid) = kid
            && !self.has_key(kid)
        {
            return Err(ChooseError::UnknownKey);
        }
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| kid.is_none() || key.id.as_deref() == kid)
            .filter_map(|key| key.verifier(algorithm));
        let only = fitting.next().ok_or(ChooseError::NoneFits)?;
        match fitting.next() {
            None => Ok(only),
            Some(_) => Err(ChooseError::Ambiguous),
        }
    }
}

/// Why no key was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChooseError {
    UnknownKey,
    NoneFits,
    Ambiguous,
}

impl Key {
    fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(one, _)| *one == algorithm).map(|(_, key)| key)
    }

    fn from_jwk(jwk: &Value) -> Result<Self, SkipReason> {
        let jwk = jwk.as_object().ok_or(SkipReason::Malformed)?;
        let kty = text(jwk, "kty")?.ok_or(SkipReason::Malformed)?;
        if kty == "oct" {
            return Err(SkipReason::Symmetric);
        }
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].iter().any(|name| jwk.contains_key(*name)) {
            return Err(SkipReason::Private);
        }
        if !is_for_signatures(jwk)? {
            return Err(SkipReason::NotForSignatures);
        }
        let only = text(jwk, "alg")?
            .map(|name| name.parse::<Algorithm>().map_err(|_| SkipReason::UnsupportedAlgorithm))
            .transpose()?;
        let (material, algorithms) = Material::from_jwk(kty, jwk)?;
        let verifiers: Vec<_> = algorithms
            .iter()
            .filter(|algorithm| only.is_none_or(|only| only == **algorithm))
            .map(|algorithm| Ok((*algorithm, material.parse(*algorithm)?)))
            .collect::<Result<_, SkipReason>>()?;
        if verifiers.is_empty() {
            return Err(SkipReason::UnsupportedAlgorithm);
        }
        let id = text(jwk, "kid")?.map(Box::from);
        let fingerprint = material.fingerprint(id.as_deref(), only);
        Ok(Self { id, verifiers, fingerprint })
    }
}

/// `use` must be `sig` and `key_ops` must hold `verify`, where they are given (RFC 7517 sections 4.2, 4.3).
fn is_for_signatures(jwk: &Map<String, Value>) -> Result<bool, SkipReason> {
    let by_use = text(jwk, "use")?.is_none_or(|one| one == "sig");
    let by_operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|one| one == "verify"),
        Some(_) => return Err(SkipReason::Malformed),
    };
    Ok(by_use && by_operations)
}

/// Public material, decoded and checked, not yet bound to an algorithm.
enum Material {
    /// Modulus and exponent, big-endian.
    Rsa(Vec<u8>, Vec<u8>),
    /// An uncompressed point (SEC 1).
    Ec(Vec<u8>),
    /// An Ed25519 public key.
    Ed25519(Vec<u8>),
}

impl Material {
    fn from_jwk(kty: &str, jwk: &Map<String, Value>) -> Result<(Self, &'static [Algorithm]), SkipReason> {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match (kty, text(jwk, "crv")?) {
            ("RSA", _) => Ok((Self::rsa(jwk)?, &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512])),
            ("EC", Some("P-256")) => Ok((Self::point(jwk, 32)?, &[Es256])),
            ("EC", Some("P-384")) => Ok((Self::point(jwk, 48)?, &[Es384])),
            ("OKP", Some("Ed25519")) => Ok((Self::Ed25519(octets(jwk, "x", Some(32))?), &[EdDsa])),
            _ => Err(SkipReason::UnsupportedType),
        }
    }

    fn rsa(jwk: &Map<String, Value>) -> Result<Self, SkipReason> {
        let (n, e) = (octets(jwk, "n", None)?, octets(jwk, "e", None)?);
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if n.first() == Some(&0) || e.first() == Some(&0) {
            return Err(SkipReason::InvalidMaterial);
        }
        if !(2048..=8192).contains(&bits) {
            return Err(SkipReason::WeakModulus);
        }
        if e.last().is_none_or(|byte| byte % 2 == 0) || e == [1] {
            return Err(SkipReason::WeakExponent);
        }
        if has_roca_shape(&n) {
            return Err(SkipReason::Roca);
        }
        Ok(Self::Rsa(n, e))
    }

    /// Coordinates must have the full length of the field (RFC 7518 section 6.2.1.2).
    fn point(jwk: &Map<String, Value>, length: usize) -> Result<Self, SkipReason> {
        let mut point = vec![4];
        point.extend(octets(jwk, "x", Some(length))?);
        point.extend(octets(jwk, "y", Some(length))?);
        Ok(Self::Ec(point))
    }

    fn parse(&self, algorithm: Algorithm) -> Result<ParsedPublicKey, SkipReason> {
        match self {
            Self::Rsa(n, e) => {
                let parameters = rsa_parameters(algorithm).ok_or(SkipReason::UnsupportedAlgorithm)?;
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters)
            }
            Self::Ec(point) if algorithm == Algorithm::Es256 => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).parse()
            }
            Self::Ec(point) => UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).parse(),
            Self::Ed25519(x) => UnparsedPublicKey::new(&signature::ED25519, x).parse(),
        }
        .map_err(|_| SkipReason::InvalidMaterial)
    }

    fn fingerprint(&self, id: Option<&str>, only: Option<Algorithm>) -> [u8; 32] {
        let (kind, first, second): (u8, &[u8], &[u8]) = match self {
            Self::Rsa(n, e) => (0, n, e),
            Self::Ec(point) => (1, point, &[]),
            Self::Ed25519(x) => (2, x, &[]),
        };
        let mut context = digest::Context::new(&SHA256);
        context.update(&[kind, u8::from(id.is_some())]);
        for part in
            [id.unwrap_or_default().as_bytes(), only.map_or("", Algorithm::as_str).as_bytes(), first, second]
        {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// Whether the modulus is a power of 65537 modulo every one of these primes, as the moduli of CVE-2017-15361 are.
///
/// The primes are those where 65537 does not generate the whole group; a sound modulus passes all of them with a
/// probability of about 2⁻²⁷ (Nemec and others, "The Return of Coppersmith's Attack", CCS 2017, section 2.3).
fn has_roca_shape(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let remainder = modulus.iter().fold(0, |sum, byte| (sum * 256 + u32::from(*byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * (65537 % prime) % prime));
        powers.take(*prime as usize).any(|power| power == remainder)
    })
}

fn text<'j>(jwk: &'j Map<String, Value>, name: &str) -> Result<Option<&'j str>, SkipReason> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SkipReason::Malformed),
    }
}

fn octets(jwk: &Map<String, Value>, name: &str, length: Option<usize>) -> Result<Vec<u8>, SkipReason> {
    let text = text(jwk, name)?.ok_or(SkipReason::Malformed)?;
    let octets = URL_SAFE_NO_PAD.decode(text).map_err(|_| SkipReason::InvalidMaterial)?;
    if octets.is_empty() || length.is_some_and(|length| length != octets.len()) {
        return Err(SkipReason::InvalidMaterial);
    }
    Ok(octets)
}

fn kid_of(jwk: &Value) -> Option<Box<str>> {
    jwk.get("kid").and_then(Value::as_str).map(Box::from)
}
