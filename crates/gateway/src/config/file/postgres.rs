//! How a PostgreSQL server is reached, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SecretReference, Span};
use crate::config::read::At;

/// How a PostgreSQL server is reached. Nothing is opened before something is asked of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    /// A name, an address, or the folder of its socket, as `/var/run/postgresql`.
    #[schemars(extend("x-required" = true))]
    pub(crate) host: Option<At<String>>,
    /// Its port; a socket is named after it as well.
    #[schemars(range(min = 1, max = 65535), extend("default" = 5432))]
    pub(crate) port: Option<u16>,
    /// The database.
    #[schemars(extend("x-required" = true))]
    pub(crate) database: Option<At<String>>,
    /// The role that the gate has there.
    #[schemars(extend("x-required" = true))]
    pub(crate) user: Option<At<String>>,
    /// The role's password: `env:NAME` or `file:path`.
    pub(crate) password: Option<At<SecretReference>>,
    /// Default: `verify-full`; `none` for a socket, and for loopback without `ca` and `server_name`.
    pub(crate) tls: Option<At<PostgresTls>>,
    /// PEM file of authorities that are believed in place of the system's.
    pub(crate) ca: Option<At<String>>,
    /// The name in its certificate, where it is not the host.
    pub(crate) server_name: Option<At<String>>,
    /// How many connections are open at once.
    #[schemars(range(min = 1, max = 64), extend("default" = 4))]
    pub(crate) connections: Option<usize>,
    /// Until a connection is open, TLS and authentication included.
    #[schemars(extend("default" = "5s"))]
    pub(crate) connect_timeout: Option<Span>,
}

words! {
    /// Whether TLS is spoken with a PostgreSQL server. There is nothing between the two: a server is never spoken to in
    /// the clear because it has no TLS, nor believed without its certificate.
    PostgresTls {
        /// TLS, or no connection; the certificate's chain, dates and names are verified.
        #[serde(rename = "verify-full")]
        VerifyFull,
        /// No TLS.
        None,
    }
}
