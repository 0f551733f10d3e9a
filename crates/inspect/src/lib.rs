//! Detects. Reads text that a client, a document or a model wrote, whole or streamed, and says what may not pass.
//!
//! Like the core it is synchronous and pure: bytes in, findings and bytes out. [`detect`] knows what things look
//! like, [`machine`] runs the detectors over text that may still be arriving, [`judge`](mod@judge) says what follows.

pub mod detect;
pub mod dialect;
pub mod judge;
pub mod machine;
pub mod sse;
