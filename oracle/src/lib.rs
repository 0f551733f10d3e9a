//! Makes requests out of OpenAPI documents, and asks two judges about each: the gate's `receive` and `validate`, and
//! `roas-http-validator`, which shares no code with them. What they disagree about is explained, or a defect.

pub mod calls;
pub mod dice;
pub mod document;
pub mod encode;
pub mod evidence;
pub mod explain;
pub mod fields;
pub mod judges;
pub mod plain;
pub mod sample;
pub mod spoil;
