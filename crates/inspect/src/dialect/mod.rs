//! Model traffic: where text stands in a provider's requests, answers and streams, and how a refusal looks there.

pub mod openai;

mod escape;
mod prompt;
mod tape;
mod text;

#[cfg(test)]
mod double;

// Tests that need to know what is held back run against a screen of two fixed words.
#[cfg(test)]
pub(crate) use double::{Machine, Screen};

#[cfg(not(test))]
pub(crate) use crate::machine::{Machine, Screen};

pub use tape::TapeError;
