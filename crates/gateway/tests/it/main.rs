//! Behaviour over real sockets: one binary, a module per behaviour.

#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod bypass;
#[cfg(test)]
mod content;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod functions;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod prompts;
#[cfg(test)]
mod record;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod websocket;
