//! Moves: sockets, files, clock, tasks; and the one path of a request, in `pipeline`.

pub mod listen;
