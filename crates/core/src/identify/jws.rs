//! Compact JWS (RFC 7515 section 7.1): taken apart strictly, verified with one chosen key.

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::keys::{ChooseError, KeySet};
use super::strict;

/// A token taken apart, its signature not checked: nothing in it may be believed.
pub struct Unverified<'t> {
    header: UnverifiedHeader,
    signed: &'t [u8],
    payload: &'t [u8],
    signature: Vec<u8>,
}

/// What the header claims.
pub(super) struct UnverifiedHeader {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Box<str>>,
    pub(super) typ: Option<Box<str>>,
}

/// Takes a compact JWS apart; `limit` bytes at most are looked at.
///
/// Nothing is verified: this is the part that meets hostile bytes first, open for fuzzing and for `unknown_key`.
///
/// # Errors
/// Whatever makes the token ambiguous, nested, detached or of an algorithm that does not count.
pub fn parse_unverified(token: &[u8], limit: usize) -> Result<Unverified<'_>, TokenFault> {
    if token.len() > limit {
        return Err(TokenFault::TooLarge { length: token.len(), limit });
    }
    let mut segments = token.splitn(4, |byte| *byte == b'.');
    let (Some(header), Some(payload), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(TokenFault::NotThreeSegments);
    };
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(TokenFault::NotThreeSegments)?;
    let signature = decode(signature)?;
    if signature.is_empty() {
        return Err(TokenFault::NoSignature);
    }
    let header = UnverifiedHeader::parse(&decode(header)?)?;
    Ok(Unverified { header, signed, payload, signature })
}

impl Unverified<'_> {
    pub(super) fn header(&self) -> &UnverifiedHeader {
        &self.header
    }

    /// The claims as the token states them.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenFault> {
        strict::parse_object(&decode(self.payload)?).map_err(TokenFault::Claims)
    }

    /// Checks the signature with the one key that the header names, under an algorithm that the issuer may use.
    pub(super) fn verify(&self, keys: &KeySet, algorithms: &[Algorithm]) -> Result<(), TokenFault> {
        let UnverifiedHeader { algorithm, kid, .. } = &self.header;
        if !algorithms.contains(algorithm) {
            return Err(TokenFault::AlgorithmNotAllowed(*algorithm));
        }
        let key: &ParsedPublicKey = keys.choose(kid.as_deref(), *algorithm).map_err(|error| match error {
            ChooseError::UnknownKey => TokenFault::unknown_key(kid.as_deref()),
            ChooseError::NoneFits => TokenFault::NoFittingKey(*algorithm),
            ChooseError::Ambiguous => TokenFault::AmbiguousKey(*algorithm),
        })?;
        key.verify_sig(self.signed, &self.signature).map_err(|_| TokenFault::Signature)
    }
}

impl UnverifiedHeader {
    fn parse(bytes: &[u8]) -> Result<Self, TokenFault> {
        let header = strict::parse_object(bytes).map_err(TokenFault::Header)?;
        // RFC 7515 section 4.1.11: an extension that is not understood must be refused, and none is understood.
        // `b64` changes what is signed (RFC 7797), `enc` and `zip` make it a JWE, `cty` says it is nested.
        for name in ["crit", "b64", "enc", "zip", "cty"] {
            if header.contains_key(name) {
                return Err(TokenFault::HeaderNotAllowed(name));
            }
        }
        let algorithm = text(&header, "alg")?.ok_or(TokenFault::HeaderMember("alg"))?;
        Ok(Self {
            algorithm: algorithm.parse().map_err(|_| TokenFault::unknown_algorithm(algorithm))?,
            kid: text(&header, "kid")?.map(Box::from),
            typ: text(&header, "typ")?.map(Box::from),
        })
    }
}

fn text<'h>(header: &'h Map<String, Value>, name: &'static str) -> Result<Option<&'h str>, TokenFault> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenFault::HeaderMember(name)),
    }
}

/// Base64url without padding, white space or stray bits (RFC 7515 section 2).
fn decode(segment: &[u8]) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenFault::Base64)
}
