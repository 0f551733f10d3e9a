//! A lookup in SQL: one statement, whose parameter is the identifier and whose one row is the owner.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::{LARGEST, LookupError};
use crate::owners::postgres::{Mode, Pool, Statement};

/// What is asked of a database.
#[derive(Debug)]
pub(super) struct SqlSource {
    pool: Arc<Pool>,
    statement: Statement,
}

impl SqlSource {
    /// The statement has one parameter.
    pub(super) fn new(pool: Arc<Pool>, query: Arc<str>) -> Self {
        Self { pool, statement: Statement { sql: query, mode: Mode::Read } }
    }

    /// The owner that the one row names; `None` where there is no row.
    pub(super) async fn owner(
        &self,
        identifier: &str,
        timeout: Duration,
    ) -> Result<Option<SmolStr>, LookupError> {
        let rows = self.pool.ask(&self.statement, vec![identifier.into()], timeout).await?;
        match rows.as_slice() {
            [] => Ok(None),
            [Some(owner)] if owner.len() > LARGEST => Err(LookupError::TooLong),
            [Some(owner)] if !owner.is_empty() => Ok(Some(owner.clone())),
            [_] => Err(LookupError::Unreadable),
            _ => Err(LookupError::Several),
        }
    }

    /// Whether the server takes the statement.
    pub(super) async fn rehearse(&self, timeout: Duration) -> Result<(), LookupError> {
        Ok(self.pool.rehearse(&self.statement, 1, timeout).await?)
    }
}
