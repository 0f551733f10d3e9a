//! Behaviour over real sockets: one binary, a module per behaviour.

mod listen;
