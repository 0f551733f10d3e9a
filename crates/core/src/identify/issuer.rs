//! Issuers: whose tokens count, by which rules, with which keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use thiserror::Error;

use super::algorithm::Algorithm;
use super::keys::KeySet;
use super::verified::VerifiedTokens;

/// Largest token that is looked at, in bytes, unless [`Issuers::with_token_limit`] says otherwise.
pub const TOKEN_LIMIT: usize = 8 * 1024;

/// How many verified tokens are remembered, unless [`Issuers::with_cache`] says otherwise.
pub const VERIFIED_TOKENS: usize = 50_000;

/// What a token of one issuer must meet.
#[derive(Debug, Clone)]
pub struct IssuerRules {
    /// Name in the configuration.
    pub name: Box<str>,
    /// `iss`, compared byte for byte.
    pub issuer: Box<str>,
    /// `aud` must name one of these. An empty list accepts nothing.
    pub audiences: Vec<Box<str>>,
    /// Algorithms the issuer may sign with. An empty list accepts nothing.
    pub algorithms: Vec<Algorithm>,
    /// Longest `exp` − `iat`; with it `iat` is required.
    pub max_lifetime: Option<Duration>,
    /// Tolerated difference of clocks, for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
    /// `typ` that a token must have (`at+jwt`, RFC 9068); without it, absent, `JWT` and `at+jwt` are taken.
    pub required_type: Option<Box<str>>,
}

impl IssuerRules {
    /// Rules with every algorithm that counts, a leeway of 30 s and no maximum lifetime.
    pub fn new(name: &str, issuer: &str, audience: &str) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            algorithms: Algorithm::ALL.to_vec(),
            max_lifetime: None,
            leeway: Duration::from_secs(30),
            required_type: None,
        }
    }
}

/// The place where an issuer's keys are kept and swapped. It may outlive a configuration: the next snapshot's
/// issuer is given the same cell when its keys come from the same source.
#[derive(Debug, Default)]
pub struct KeyCell {
    snapshot: RwLock<KeySnapshot>,
    /// The snapshot's generation, readable without the lock.
    generation: AtomicU64,
}

/// Keys at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySnapshot {
    /// Rises whenever a key goes away, so that what it verified no longer counts.
    pub(super) generation: u64,
    /// `None` until the first set came, and after the last one grew too old.
    pub(super) keys: Option<Arc<KeySet>>,
}

impl KeyCell {
    /// Takes the new set in place of the old. Tokens verified by a key that is gone no longer count.
    pub fn replace(&self, keys: KeySet) {
        self.swap(Some(Arc::new(keys)));
    }

    /// Drops the keys: they are too old to be trusted. Every token is refused until new ones come.
    pub fn forget(&self) {
        self.swap(None);
    }

    /// Whether there is a set with at least one key.
    pub fn has_keys(&self) -> bool {
        self.snapshot.read().keys.as_ref().is_some_and(|keys| !keys.is_empty())
    }

    pub(super) fn snapshot(&self) -> KeySnapshot {
        self.snapshot.read().clone()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn swap(&self, keys: Option<Arc<KeySet>>) {
        let mut snapshot = self.snapshot.write();
        let keeps_all = match (&snapshot.keys, &keys) {
            (Some(old), Some(new)) => new.contains(old),
            _ => false,
        };
        // INVARIANT: a token verified under generation g counts only while the generation is g.
        if !keeps_all {
            snapshot.generation += 1;
        }
        snapshot.keys = keys;
        self.generation.store(snapshot.generation, Ordering::Release);
    }
}

/// One issuer: rules and keys.
#[derive(Debug)]
pub struct Issuer {
    pub(super) rules: IssuerRules,
    pub(super) cell: Arc<KeyCell>,
}

impl Issuer {
    /// An issuer with a cell of its own, without keys yet.
    pub fn new(rules: IssuerRules) -> Self {
        Self::with_cell(rules, Arc::default())
    }

    /// An issuer whose keys are kept in `cell`.
    pub fn with_cell(rules: IssuerRules, cell: Arc<KeyCell>) -> Self {
        Self { rules, cell }
    }

    /// The rules.
    pub fn rules(&self) -> &IssuerRules {
        &self.rules
    }

    /// Where the keys are kept.
    pub fn cell(&self) -> &Arc<KeyCell> {
        &self.cell
    }

    /// Takes the new set in place of the old; see [`KeyCell::replace`].
    pub fn replace_keys(&self, keys: KeySet) {
        self.cell.replace(keys);
    }
}

/// Two issuers of one name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("issuer `{0}` is configured twice")]
pub struct DuplicateIssuer(pub Box<str>);

/// All issuers of a snapshot, and the tokens they verified.
///
/// The cache belongs to the snapshot: a reload starts an empty one, so that a token is always judged by the
/// rules in force.
#[derive(Debug)]
pub struct Issuers {
    issuers: Vec<Issuer>,
    pub(super) token_limit: usize,
    pub(super) verified: VerifiedTokens,
}

impl Default for Issuers {
    fn default() -> Self {
        Self { issuers: Vec::new(), token_limit: TOKEN_LIMIT, verified: VerifiedTokens::new(VERIFIED_TOKENS) }
    }
}

impl Issuers {
    /// Takes the issuers, in any order.
    ///
    /// # Errors
    /// When a name occurs twice.
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, DuplicateIssuer> {
        for (index, one) in issuers.iter().enumerate() {
            if issuers.iter().skip(index + 1).any(|other| other.rules.name == one.rules.name) {
                return Err(DuplicateIssuer(one.rules.name.clone()));
            }
        }
        Ok(Self { issuers, ..Self::default() })
    }

    /// Looks at tokens up to `bytes`.
    #[must_use]
    pub fn with_token_limit(mut self, bytes: usize) -> Self {
        self.token_limit = bytes;
        self
    }

    /// Remembers up to `tokens` verified tokens.
    #[must_use]
    pub fn with_cache(mut self, tokens: usize) -> Self {
        self.verified = VerifiedTokens::new(tokens);
        self
    }

    /// The issuer of that name.
    pub fn find(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| *issuer.rules.name == *name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.iter()
    }

    /// Changes whenever any issuer loses a key: generations only rise, so their sum moves with each.
    pub(super) fn generation(&self) -> u64 {
        self.issuers.iter().fold(0, |sum, issuer| issuer.cell.generation().wrapping_add(sum))
    }
}
