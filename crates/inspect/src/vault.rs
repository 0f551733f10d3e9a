//! Tokens in the place of personal data: what a model is shown, and what its answer is given back.
//!
//! A token is derived by a keyed hash from the value it stands for, so that one caller's conversation, sent again with every
//! request, has the same tokens each time, and nobody else can tell or make them. What stands for what is known for one
//! request and its answer and wiped after it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use rustc_hash::FxHashMap;
use zeroize::Zeroizing;

use crate::detect::Detector;

/// Most values of one request; what is found beyond is redacted.
const VALUES: usize = 4096;
/// Digits of a token.
const DIGITS: &[u8; 10] = b"0123456789";
/// Its letters: none that is taken for a digit, none that spells words.
const LETTERS: &[u8; 22] = b"ABCDEFGHJKMNPQRSTVWXYZ";
/// Signs behind the underscore: no two digits beside each other, so that no number can be seen in them.
pub(crate) const PATTERN: &[u8; 10] = b"dllldllldl";
/// What a token may begin with, the longer of two that end alike first.
pub(crate) const KINDS: [&str; 13] = [
    "CARD",
    "IBAN",
    "SSN",
    "IP",
    "MAC",
    "WALLET",
    "DOCUMENT",
    "ID",
    "BIRTHDATE",
    "PHONE",
    "ADDRESS",
    "EMAIL",
    "TEXT",
];
/// The kind of text of a client's that looks like a token.
pub(crate) const TEXT: &str = "TEXT";

/// The gate's own key, made when it starts. From it each caller's is derived.
#[derive(Clone)]
pub struct TokenKey(hmac::Key);

/// What the tokens of one request stand for.
pub struct Vault {
    key: hmac::Key,
    values: Mutex<FxHashMap<Box<str>, Zeroizing<String>>>,
}

impl TokenKey {
    /// A key from random bytes.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }

    /// A vault for a request of a caller, who is told from others by `who`.
    pub fn vault(&self, who: &[&str]) -> Vault {
        let key = keyed(&self.0, who);
        Vault { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), values: Mutex::default() }
    }
}

impl Vault {
    /// Whether nothing was replaced.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The token for what a detector found; `None` when there are too many.
    pub(crate) fn found(&self, detector: Detector, value: &str) -> Option<Box<str>> {
        self.token(detector.token_kind()?, value)
    }

    /// The token that stands for `value`, the same each time; `None` when there are too many.
    pub(crate) fn token(&self, kind: &'static str, value: &str) -> Option<Box<str>> {
        let mut values = self.lock();
        // Two values of one caller could come to the same token: then the later has another.
        for attempt in ["", "1", "2", "3"] {
            let token = spelled(kind, keyed(&self.key, &[kind, value, attempt]).as_ref());
            match values.get(&token) {
                Some(known) if **known == *value => return Some(token),
                Some(_) => {}
                None if values.len() == VALUES => return None,
                None => {
                    values.insert(token.clone(), Zeroizing::new(value.to_owned()));
                    return Some(token);
                }
            }
        }
        None
    }

    /// What a token stands for; it may be written in either case.
    pub(crate) fn value(&self, token: &str) -> Option<Zeroizing<String>> {
        self.lock().get(token.to_ascii_uppercase().as_str()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Box<str>, Zeroizing<String>>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keyed hash of parts, none of which can end where another begins.
fn keyed(key: &hmac::Key, parts: &[&str]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.sign()
}

fn spelled(kind: &str, hash: &[u8]) -> Box<str> {
    let (mut token, mut rest) = (String::with_capacity(kind.len() + 11), 0_u128);
    token.push_str(kind);
    token.push('_');
    for byte in hash.iter().take(16) {
        rest = rest << 8 | u128::from(*byte);
    }
    for sign in PATTERN {
        let alphabet = if *sign == b'd' { &DIGITS[..] } else { &LETTERS[..] };
        let nth = usize::try_from(rest % alphabet.len() as u128).unwrap_or(0);
        rest /= alphabet.len() as u128;
        token.push(alphabet.get(nth).copied().map_or('0', char::from));
    }
    token.into()
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl std::fmt::Debug for Vault {
    /// Leaves out what is in it: it is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_token_for_each_caller() {
        let key = TokenKey::new(&[7; 32]);
        let (ann, again, bob) =
            (key.vault(&["m", "ann"]), key.vault(&["m", "ann"]), key.vault(&["m", "bob"]));
        let token = ann.found(Detector::Email, "a@example.com").unwrap();
        assert_eq!(again.found(Detector::Email, "a@example.com").unwrap(), token);
        assert_ne!(bob.found(Detector::Email, "a@example.com").unwrap(), token);
        assert_ne!(key.vault(&["ma", "nn"]).found(Detector::Email, "a@example.com").unwrap(), token);
        assert_ne!(ann.found(Detector::Email, "b@example.com").unwrap(), token);
        assert_eq!(ann.value(&token).unwrap().as_str(), "a@example.com");
        assert_eq!(ann.value(&token.to_lowercase()).unwrap().as_str(), "a@example.com");
        assert!(bob.value(&token).is_none() && !format!("{ann:?}{key:?}").contains("example"));
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let vault = TokenKey::new(&[7; 32]).vault(&[]);
        assert!((0..VALUES).all(|nth| vault.token("ID", &nth.to_string()).is_some()));
        assert_eq!(vault.token("ID", "one more"), None);
        assert!(vault.token("ID", "5").is_some());
    }

    #[test]
    fn every_kind_of_personal_data_has_a_name() {
        for detector in Detector::ALL {
            let is_personal = detector.group() == crate::detect::Group::Pii;
            assert_eq!(
                detector.token_kind().is_some_and(|kind| KINDS.contains(&kind)),
                is_personal,
                "{detector:?}"
            );
        }
    }
}
