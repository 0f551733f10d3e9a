//! Decides. Everything in this crate is synchronous and pure: no sockets, files or clock; `now` is an input.
//!
//! A request moves through the phases in this order, and each step's type is the proof of the one before:
//! [`receive`] → [`identify`] → [`admit`] → [`authorize`] → [`validate`]; the crates above add `inspect`,
//! `forward` and `screen`. [`halt`] is how any of them says no, [`record`] is what is remembered of it, [`guard`] names what must run.
//!
//! The engines that the phases ask: [`route`], [`contract`], [`graph`] and [`mcp`] (what exists, what it takes), [`policy`] and [`roles`] (who may).

pub mod request;
pub mod route;

pub mod admit;
pub mod authorize;
pub mod identify;
pub mod receive;
pub mod validate;

pub mod contract;
pub mod graph;
pub mod grpc;
pub mod json;
pub mod mcp;
pub mod policy;
pub mod roles;

pub mod guard;
pub mod halt;
pub mod record;
