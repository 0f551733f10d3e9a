//! validate: is it what the contract says.

use std::ops::Deref;

use crate::authorize::Authorized;

/// How strictly a route takes its contract.
#[derive(Debug, Clone, Default)]
pub struct ValidateRules {}

/// Proof that path, query, headers and body meet the contract.
#[derive(Debug)]
pub struct Validated {
    authorized: Authorized,
}

impl Deref for Validated {
    type Target = Authorized;
    fn deref(&self) -> &Authorized {
        &self.authorized
    }
}
