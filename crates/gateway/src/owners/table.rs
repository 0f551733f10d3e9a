//! Who created what: remembered in a table of PostgreSQL, which several gates may share.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::OnceCell;

use super::postgres::{Mode, Pool, PostgresError, Statement};
use super::store::OwnersError;
use crate::config::settings::OwnersTable;

/// The lock that gates take which make the table at the same time; any number that nobody else takes.
const LOCK: i64 = 0x706f_7274_6375_6c6c;

/// Owners in a table. Nothing is kept in memory: what one gate remembers, the next question of another one finds.
#[derive(Debug)]
pub struct TableOwners {
    pool: Arc<Pool>,
    timeout: Duration,
    /// Quoted, schema and name.
    table: Box<str>,
    owner: Statement,
    remember: Statement,
    is_there: Statement,
    is_ready: Statement,
    made: OnceCell<()>,
}

impl TableOwners {
    /// Asks nothing yet.
    pub(crate) fn new(pool: Arc<Pool>, settings: &OwnersTable) -> Self {
        // The names are lower-case letters, digits and `_`: see `config::check`.
        let table = format!("\"{}\".\"{}\"", settings.schema, settings.name);
        let statement = |sql: String, mode| Statement { sql: sql.into(), mode };
        Self {
            pool,
            timeout: settings.timeout,
            owner: statement(format!("select owner from {table} where kind = $1 and id = $2"), Mode::Read),
            remember: statement(
                format!(
                    "insert into {table} (kind, id, owner) values ($1, $2, $3) on conflict (kind, id) do nothing \
                     returning owner"
                ),
                Mode::Write,
            ),
            is_there: statement("select 'yes' where to_regclass($1::text) is not null".into(), Mode::Read),
            is_ready: statement(
                "select 'yes' where not pg_is_in_recovery() and has_table_privilege($1::text, 'select') \
                 and has_table_privilege($1::text, 'insert')"
                    .into(),
                Mode::Read,
            ),
            table: table.into(),
            made: OnceCell::new(),
        }
    }

    /// Whether an entry could be made: the server can be reached, it is not a copy of another one, and the table is the
    /// gate's to write.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) async fn is_ready(&self) -> Result<bool, PostgresError> {
        self.make().await?;
        let rows = self.pool.ask(&self.is_ready, vec![(*self.table).into()], self.timeout).await?;
        Ok(!rows.is_empty())
    }

    pub(crate) async fn owner(&self, kind: &str, id: &str) -> Result<Option<SmolStr>, OwnersError> {
        self.make().await?;
        let rows = self.pool.ask(&self.owner, vec![kind.into(), id.into()], self.timeout).await?;
        Ok(rows.into_iter().next().flatten())
    }

    /// The first entry stays: whoever comes second, on this gate or another, reads it.
    pub(crate) async fn remember(&self, kind: &str, id: &str, owner: &str) -> Result<(), OwnersError> {
        self.make().await?;
        let entry = vec![kind.into(), id.into(), owner.into()];
        let made = self.pool.ask(&self.remember, entry, self.timeout).await?;
        if !made.is_empty() {
            return Ok(());
        }
        match self.owner(kind, id).await? {
            Some(known) if *known == *owner => Ok(()),
            Some(_) => Err(OwnersError::Taken),
            None => Err(OwnersError::Gone),
        }
    }

    /// Makes the table where there is none, once.
    async fn make(&self) -> Result<(), PostgresError> {
        let made = self.made.get_or_try_init(async || {
            let there = self.pool.ask(&self.is_there, vec![(*self.table).into()], self.timeout).await?;
            if !there.is_empty() {
                return Ok(());
            }
            let table = &self.table;
            let limit = self.timeout.as_millis().max(1);
            let statements = format!(
                "begin; set local statement_timeout = {limit}; select pg_advisory_xact_lock({LOCK}); \
                 create table if not exists {table} (kind text not null, id text not null, owner text not null, \
                 created_at timestamptz not null default now(), primary key (kind, id)); commit"
            );
            self.pool.execute(statements, self.timeout).await
        });
        made.await.copied()
    }
}
