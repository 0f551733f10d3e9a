//! Detects. Reads text that a client, a document or a model wrote, whole or streamed, and says what may not pass.
//!
//! Like the core it is synchronous and pure: bytes in, findings and bytes out. [`mod@inspect`] is the phase that reads
//! requests, [`answer`] reads what upstreams answer. Both run their texts through a [`machine`], which asks the
//! detectors in [`detect`]. What is wrapped, [`normal`] unwraps; what no pattern describes, [`linear`] weighs; what takes
//! longer is asked [`elsewhere`]. What a model was told and may not repeat, [`told`] listens for; [`vault`] knows what tokens
//! stand for. What follows from their findings is decided in [`mod@judge`] and nowhere else. Where each of
//! them runs is said in [`coverage`], which they ask.

pub mod answer;
pub mod inspect;

pub mod content;
pub mod coverage;
pub mod detect;
pub mod dialect;
pub mod elsewhere;
#[cfg(feature = "ml")]
pub mod encoder;
pub mod judge;
pub mod linear;
pub mod machine;
pub mod normal;
pub mod sse;
pub mod told;
pub mod vault;

mod fields;
mod graph;
mod json;
mod media;
mod text;
mod tokens;
mod unread;
