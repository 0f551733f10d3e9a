//! What can be wrong with a token, in words for the record.

use thiserror::Error;

use super::algorithm::Algorithm;
use crate::halt::Reason;

/// Why a token does not count. Its text goes to the record, never to the client.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum TokenFault {
    #[error("the token has {length} bytes, more than {limit}")]
    TooLarge { length: usize, limit: usize },
    #[error("the token is not a compact JWS of three segments")]
    NotThreeSegments,
    #[error("a segment is not base64url without padding")]
    Base64,
    #[error("the token has no signature")]
    NoSignature,
    #[error("the header is not one JSON object: {0}")]
    Header(#[source] serde_json::Error),
    #[error("the claims are not one JSON object: {0}")]
    Claims(#[source] serde_json::Error),
    #[error("the header has `{0}`, which is not allowed")]
    HeaderNotAllowed(&'static str),
    #[error("`{0}` of the header is missing or no string")]
    HeaderMember(&'static str),
    #[error("algorithm {0} does not count here")]
    UnknownAlgorithm(Box<str>),
    #[error("algorithm {} is not allowed for the issuer", .0.as_str())]
    AlgorithmNotAllowed(Algorithm),
    #[error("the issuer has no key {0}")]
    UnknownKey(Box<str>),
    #[error("no key of that id is for {}", .0.as_str())]
    NoFittingKey(Algorithm),
    #[error("more than one key fits {}", .0.as_str())]
    AmbiguousKey(Algorithm),
    #[error("the signature does not verify")]
    Signature,
    #[error("issuer {0} does not count on this route")]
    UnknownIssuer(Box<str>),
    #[error("the keys of issuer `{0}` cannot be had")]
    KeysUnavailable(Box<str>),
    #[error("`typ` is {0}, which the issuer may not use")]
    Type(Box<str>),
    #[error("claim `{0}` is missing")]
    ClaimMissing(&'static str),
    #[error("claim `{0}` has the wrong type or range")]
    ClaimMalformed(&'static str),
    #[error("`aud` names none of the configured audiences")]
    Audience,
    #[error("expired at {expires}, now {now}")]
    Expired { expires: u64, now: u64 },
    #[error("not valid before {not_before}, now {now}")]
    NotYet { not_before: u64, now: u64 },
    #[error("issued in the future, at {issued}, now {now}")]
    IssuedLater { issued: u64, now: u64 },
    #[error("lives {lifetime} s, longer than {limit} s")]
    Lifetime { lifetime: u64, limit: u64 },
}

impl TokenFault {
    /// The row of the table that this cause stands for.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Expired { .. } => Reason::CredentialExpired,
            Self::KeysUnavailable(_) => Reason::KeysUnavailable,
            _ => Reason::CredentialInvalid,
        }
    }

    pub(super) fn unknown_key(kid: Option<&str>) -> Self {
        Self::UnknownKey(quote(kid.unwrap_or_default()))
    }

    pub(super) fn unknown_algorithm(name: &str) -> Self {
        Self::UnknownAlgorithm(quote(name))
    }

    pub(super) fn unknown_issuer(name: &str) -> Self {
        Self::UnknownIssuer(quote(name))
    }

    pub(super) fn wrong_type(typ: Option<&str>) -> Self {
        Self::Type(typ.map_or_else(|| "absent".into(), quote))
    }
}

/// What a client wrote, made safe for a log line: escaped and short.
fn quote(text: &str) -> Box<str> {
    const LONGEST: usize = 80;
    let mut escaped = String::from("`");
    escaped.extend(text.chars().take(LONGEST).flat_map(char::escape_debug));
    if text.chars().nth(LONGEST).is_some() {
        escaped.push('…');
    }
    escaped.push('`');
    escaped.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wrote_is_escaped_and_cut() {
        assert_eq!(&*quote("a\nb"), "`a\\nb`");
        assert_eq!(quote(&"x".repeat(500)).chars().count(), 83);
    }
}
