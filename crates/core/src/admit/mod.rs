//! admit: may they spend.

use std::ops::Deref;

use crate::identify::Identified;

/// One budget of a route.
#[derive(Debug, Clone)]
pub struct Budget {}

/// Proof that a budget was taken before any costly work.
#[derive(Debug)]
pub struct Admitted {
    identified: Identified,
}

impl Deref for Admitted {
    type Target = Identified;
    fn deref(&self) -> &Identified {
        &self.identified
    }
}
