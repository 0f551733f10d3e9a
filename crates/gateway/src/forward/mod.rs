//! forward: the upstream side. One [`Upstream`] per configured upstream, compiled from its rules.
//!
//! [`outbound`](outbound::outbound) builds the upstream request from what was judged, [`Upstream::send`] sends it
//! over a pooled connection, and [`UpstreamBody`] gives the answer, with what is ready joined into few frames.
//! [`Upstream::upgrade`] asks for a WebSocket; [`Fetcher`] gets small documents such as key sets.

pub(crate) mod asked;
mod body;
mod connect;
mod error;
mod fetch;
mod grpc;
pub mod h1;
mod h2;
mod joined;
pub mod outbound;
pub(crate) mod phase;
mod pool;
mod rules;
mod stream;
mod upstream;
pub(crate) mod watchdog;

#[cfg(test)]
mod tests;

pub(crate) use connect::client_config;

pub use body::{BodyError, UpstreamBody};
pub use error::{Broken, ForwardError};
pub use fetch::{FetchError, Fetcher};
pub use rules::{Roots, SecretHeader, TlsClientRules, UpstreamRules, UpstreamRulesError};
pub use stream::Stream;
pub use upstream::{OutBody, Outgoing, Upgrade, Upstream};
