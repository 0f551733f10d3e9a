//! Behaviour over real sockets: one binary, a module per behaviour.

#[cfg(test)]
mod bypass;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod support;
