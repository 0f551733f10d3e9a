//! Another server that knows whose an object is: asked over HTTP or in SQL, and remembered for a while.

mod http;
mod sql;

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use smol_str::SmolStr;

use self::http::HttpSource;
use self::sql::SqlSource;
use super::known::Known;
use super::postgres::{Pools, PostgresError};
use crate::config::settings;
use crate::forward::{ForwardError, UpstreamRulesError};

/// Longest answer that is read, and longest name of an owner.
const LARGEST: usize = 64 << 10;

/// A compiled lookup.
#[derive(Debug)]
pub struct Lookup {
    source: Source,
    timeout: Duration,
    known: Known,
}

#[derive(Debug)]
enum Source {
    Http(Box<HttpSource>),
    Sql(SqlSource),
}

/// Why nobody can say whose an object is.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The server cannot be reached or broke the exchange.
    #[error("lookup: {0}")]
    Forward(#[from] ForwardError),
    /// Its answer broke off.
    #[error("lookup: {0}")]
    Body(#[from] crate::forward::BodyError),
    /// The database cannot be asked, or cannot answer.
    #[error("lookup: {0}")]
    Postgres(#[from] PostgresError),
    /// It took too long.
    #[error("lookup: no answer in time")]
    Timeout,
    /// Neither 200 nor 404.
    #[error("lookup: answered {0}")]
    Status(StatusCode),
    /// Longer than is read.
    #[error("lookup: the answer is longer than {LARGEST} bytes")]
    TooLong,
    /// The answer has no owner where one should be.
    #[error("lookup: the answer names no owner")]
    Unreadable,
    /// The answer has more than one row.
    #[error("lookup: the answer names more than one owner")]
    Several,
    /// The identifier has no form in a path.
    #[error("lookup: the identifier has no form in a path")]
    Identifier,
}

impl Lookup {
    /// Compiles; opens no connection.
    pub(crate) fn compile(
        settings: &settings::Lookup,
        pools: &mut Pools,
    ) -> Result<Self, UpstreamRulesError> {
        let source = match &settings.source {
            settings::LookupSource::Http { upstream, path, owner } => {
                Source::Http(Box::new(HttpSource::compile(upstream, path, owner)?))
            }
            settings::LookupSource::Postgres { server, query } => {
                Source::Sql(SqlSource::new(pools.of(server)?, Arc::clone(query)))
            }
        };
        let known = Known::new(settings.ttl, settings.entries);
        Ok(Self { source, timeout: settings.timeout, known })
    }

    /// The owner of an object; `None` where the server knows of no such object.
    ///
    /// # Errors
    /// The server cannot say. That is not remembered.
    pub async fn owner(&self, identifier: &str) -> Result<Option<SmolStr>, LookupError> {
        let ask = async {
            match &self.source {
                Source::Http(source) => source.owner(identifier).await,
                Source::Sql(source) => source.owner(identifier, self.timeout).await,
            }
        };
        let asked = self.known.or_ask(identifier, ask);
        tokio::time::timeout(self.timeout, asked).await.map_err(|_| LookupError::Timeout)?
    }

    /// Whether a database is asked.
    pub(crate) fn is_sql(&self) -> bool {
        matches!(self.source, Source::Sql(_))
    }

    /// Asks what shows before any request does that it can be asked: whether its statement is one. Nothing over HTTP.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) async fn rehearse(&self) -> Result<(), LookupError> {
        match &self.source {
            Source::Http(_) => Ok(()),
            Source::Sql(source) => source.rehearse(self.timeout).await,
        }
    }
}
