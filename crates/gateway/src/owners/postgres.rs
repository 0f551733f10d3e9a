//! PostgreSQL: few connections, opened when something is asked, and one statement in a transaction of its own.

mod statement;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, NoTls};

use self::statement::Prepared;
pub use self::statement::UnfitError;
pub(crate) use self::statement::{Mode, Statement};
use self::tls::Tls;
use crate::config::settings::{Postgres, PostgresHost};
use crate::forward::UpstreamRulesError;

/// A connection that was idle for so long is not used again: something on the way may have forgotten it.
const LONGEST_IDLE: Duration = Duration::from_secs(300);
/// An idle connection is asked whether it lives after so long; one whose peer is gone would cost a time-out.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Of the time that is left, so much is the server's: it stops its work before the gate stops waiting for it, and the
/// connection can be used again.
const SERVERS_PART: f64 = 0.9;

/// Why PostgreSQL does not answer. The text is for the record, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No connection became free in time.
    #[error("postgres: all connections are in use")]
    Busy,
    /// No connection could be opened.
    #[error("postgres: cannot connect: {}", chain(.0))]
    Connect(#[source] tokio_postgres::Error),
    /// None could be opened in time.
    #[error("postgres: cannot connect in time")]
    ConnectTimeout,
    /// There was no answer in time.
    #[error("postgres: no answer in time")]
    Timeout,
    /// The server refused the statement, or the connection was lost.
    #[error("postgres: {}", chain(.0))]
    Statement(#[source] tokio_postgres::Error),
    /// The statement is none that can be asked here.
    #[error("postgres: {0}")]
    Unfit(#[from] UnfitError),
    /// The task that asked is gone.
    #[error("postgres: the question was dropped")]
    Dropped,
}

/// The driver's errors say little without their causes.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Connections to the servers of one gate, and those of the gate before.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    before: Vec<Arc<Pool>>,
    used: Vec<Arc<Pool>>,
}

impl Pools {
    /// For the next gate: what this one uses may be used again.
    pub(crate) fn next(&self) -> Self {
        Self { before: self.used.clone(), used: Vec::new() }
    }

    /// The connections to a server; those of the gate before where nothing about it changed.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn of(&mut self, server: &Arc<Postgres>) -> Result<Arc<Pool>, UpstreamRulesError> {
        let is_same = |pool: &&Arc<Pool>| *pool.server == **server;
        if let Some(pool) = self.used.iter().find(is_same) {
            return Ok(Arc::clone(pool));
        }
        let pool = match self.before.iter().find(is_same) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::compile(server)?),
        };
        self.used.push(Arc::clone(&pool));
        Ok(pool)
    }
}

/// Connections to one server.
#[derive(Debug)]
pub(crate) struct Pool {
    server: Arc<Postgres>,
    tls: Option<Tls>,
    /// As many as there may be connections.
    places: Arc<Semaphore>,
    idle: Mutex<Vec<(Open, Instant)>>,
}

/// An open connection and what was prepared on it.
#[derive(Debug)]
struct Open {
    client: Client,
    task: AbortHandle,
    prepared: Vec<Arc<Prepared>>,
}

impl Pool {
    fn compile(server: &Arc<Postgres>) -> Result<Self, UpstreamRulesError> {
        Ok(Self {
            server: Arc::clone(server),
            tls: server.tls.as_ref().map(Tls::compile).transpose()?,
            places: Arc::new(Semaphore::new(server.connections)),
            idle: Mutex::default(),
        })
    }

    /// Runs a statement with these parameters in a transaction of its own; gives the first column of at most two rows.
    /// A parameter that its type cannot hold, or does not write so, is that of no row.
    ///
    /// # Errors
    /// No answer, or none that is an answer, within the time.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        statement: &Statement,
        parameters: Vec<SmolStr>,
        timeout: Duration,
    ) -> Result<Vec<Option<SmolStr>>, PostgresError> {
        self.lend(Question::Ask(statement.clone(), parameters), timeout).await
    }

    /// Whether the server can be reached and takes a statement with so many parameters.
    ///
    /// # Errors
    /// It cannot be reached, or does not.
    pub(crate) async fn rehearse(
        self: &Arc<Self>,
        statement: &Statement,
        parameters: usize,
        timeout: Duration,
    ) -> Result<(), PostgresError> {
        self.lend(Question::Rehearse(statement.clone(), parameters), timeout).await.map(drop)
    }

    /// Runs statements that give nothing and take no parameters, such as those that make a table.
    ///
    /// # Errors
    /// One of them failed.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        statements: String,
        timeout: Duration,
    ) -> Result<(), PostgresError> {
        self.lend(Question::Execute(statements), timeout).await.map(drop)
    }

    /// Asks with a connection of its own, within the time.
    async fn lend(
        self: &Arc<Self>,
        question: Question,
        timeout: Duration,
    ) -> Result<Vec<Option<SmolStr>>, PostgresError> {
        let deadline = Instant::now() + timeout;
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| PostgresError::Busy)?.map_err(|_| PostgresError::Dropped)?;
        let mut lent = Lent { pool: Arc::clone(self), open: None, is_clean: false, _place: place };
        // A caller who goes away does not take a connection along, which the next one would have to open again. There
        // are no more such tasks than places.
        let asked = tokio::spawn(async move {
            let asked = timeout_at(deadline, lent.answer(question, deadline)).await;
            let asked = asked.unwrap_or(Err(PostgresError::Timeout));
            lent.judge(&asked);
            asked
        });
        asked.await.unwrap_or(Err(PostgresError::Dropped))
    }

    async fn connect(&self) -> Result<Open, PostgresError> {
        let connected = tokio::time::timeout(self.server.connect_timeout, self.handshake()).await;
        let (client, task) =
            connected.map_err(|_| PostgresError::ConnectTimeout)?.map_err(PostgresError::Connect)?;
        Ok(Open { client, task, prepared: Vec::new() })
    }

    async fn handshake(&self) -> Result<(Client, AbortHandle), tokio_postgres::Error> {
        let server = &*self.server;
        let mut config = Config::new();
        config.port(server.port).dbname(&server.database).user(&server.user);
        config.application_name("portcullis").connect_timeout(server.connect_timeout);
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
        match &server.host {
            PostgresHost::Tcp(host) => config.host(host),
            PostgresHost::Socket(folder) => config.host_path(folder),
        };
        if let Some(password) = &server.password {
            config.password(password.expose());
        }
        // `prefer` is not among them: whoever stands between could say that the server has no TLS.
        match &self.tls {
            None => {
                let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
                Ok((client, tokio::spawn(drive(connection)).abort_handle()))
            }
            Some(tls) => {
                let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls.clone()).await?;
                Ok((client, tokio::spawn(drive(connection)).abort_handle()))
            }
        }
    }
}

/// Drives a connection until it ends.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = chain(&error), "a connection to postgres ended");
    }
}

impl Open {
    async fn prepare(
        &mut self,
        statement: &Statement,
        parameters: usize,
    ) -> Result<Arc<Prepared>, PostgresError> {
        if let Some(prepared) = self.prepared.iter().find(|prepared| prepared.is_of(statement)) {
            return Ok(Arc::clone(prepared));
        }
        let prepared = Arc::new(Prepared::new(&self.client, statement, parameters).await?);
        self.prepared.push(Arc::clone(&prepared));
        Ok(prepared)
    }
}

/// What is done with a connection.
enum Question {
    Ask(Statement, Vec<SmolStr>),
    Rehearse(Statement, usize),
    Execute(String),
}

/// A connection, or the right to open one, until it is dropped.
struct Lent {
    pool: Arc<Pool>,
    open: Option<Open>,
    /// Whether nothing on it is under way.
    is_clean: bool,
    _place: OwnedSemaphorePermit,
}

impl Lent {
    async fn answer(
        &mut self,
        question: Question,
        deadline: Instant,
    ) -> Result<Vec<Option<SmolStr>>, PostgresError> {
        let open = self.open().await?;
        match question {
            Question::Ask(statement, parameters) => {
                let prepared = open.prepare(&statement, parameters.len()).await?;
                let left = deadline.saturating_duration_since(Instant::now()).mul_f64(SERVERS_PART);
                prepared.run(&open.client, &parameters, left).await
            }
            Question::Rehearse(statement, parameters) => {
                open.prepare(&statement, parameters).await.map(|_| Vec::new())
            }
            Question::Execute(statements) => {
                let done = open.client.batch_execute(&statements).await;
                if done.is_err() {
                    // INVARIANT: a connection that is lent again is in no transaction.
                    open.client.batch_execute("rollback").await.map_err(PostgresError::Statement)?;
                }
                done.map(|()| Vec::new()).map_err(PostgresError::Statement)
            }
        }
    }

    async fn open(&mut self) -> Result<&mut Open, PostgresError> {
        let idle = || {
            let (open, since) = self.pool.idle.lock().pop()?;
            Some(open).filter(|open| !open.client.is_closed() && since.elapsed() < LONGEST_IDLE)
        };
        let open = match std::iter::repeat_with(idle).take(self.pool.server.connections).flatten().next() {
            Some(open) => open,
            None => self.pool.connect().await?,
        };
        Ok(self.open.insert(open))
    }

    /// Whether the connection can be used again after this.
    fn judge<T>(&mut self, asked: &Result<T, PostgresError>) {
        self.is_clean = match asked {
            Ok(_) => true,
            Err(PostgresError::Statement(error)) => {
                // The transaction is rolled back by now. What was prepared may be what is wrong.
                if let Some(open) = &mut self.open {
                    open.prepared.clear();
                }
                error.as_db_error().is_some_and(|error| error.parsed_severity() == Some(Severity::Error))
            }
            Err(PostgresError::Unfit(_)) => true,
            Err(_) => false,
        };
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        if self.is_clean && !open.client.is_closed() {
            self.pool.idle.lock().push((open, Instant::now()));
        } else {
            // Whatever is under way on it, nobody waits for it any more.
            open.task.abort();
        }
    }
}
