//! Moves: sockets, files, clock, tasks; and the one path of a request, in `pipeline`.

pub mod config;
pub mod forward;
pub mod keys;
pub mod websocket;
pub mod listen;
