//! Moves: sockets, files, clock, tasks; and the one path of a request, in [`pipeline`](crate::gate).

pub mod compile;
pub mod config;
pub mod coverage;
pub mod explain;
pub mod gate;
mod graphs;
mod random;
pub mod review;
pub mod routes;
pub mod server;

#[cfg(feature = "ml")]
pub mod encoder;
mod hearing;
pub mod judges;
mod pipeline;

pub mod forward;
pub mod keys;
pub mod listen;
pub mod owners;
pub mod screen;
mod screens;
pub mod switched;
pub mod tools;
pub mod websocket;

mod respond;
pub mod tracked;

mod admin;
pub mod record;
pub mod telemetry;
