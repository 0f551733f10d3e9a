//! Behaviour over real sockets: one binary, a module per behaviour.

#[cfg(test)]
mod listen;
