//! authorize: may they do this.

use std::ops::Deref;

use crate::admit::Admitted;

/// What authorization a route has.
#[derive(Debug, Clone, Default)]
pub struct AuthorizeRules {}

/// Proof that policy said Allow.
#[derive(Debug)]
pub struct Authorized {
    admitted: Admitted,
}

impl Deref for Authorized {
    type Target = Admitted;
    fn deref(&self) -> &Admitted {
        &self.admitted
    }
}
