//! Detects. Reads text that a client, a document or a model wrote, whole or streamed, and says what may not pass.
//!
//! Like the core it is synchronous and pure: bytes in, findings and bytes out.

pub mod dialect;
pub mod machine;
pub mod sse;
