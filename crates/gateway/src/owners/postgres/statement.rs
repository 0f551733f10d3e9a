//! One statement: prepared, its parameters bound and never part of its text, in a transaction with a time limit.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::TryStreamExt as _;
use smol_str::{SmolStr, ToSmolStr as _};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::PostgresError;

/// So many rows are read: two are one too many already.
const ROWS: usize = 2;

/// A statement that gives one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its text.
    pub(crate) sql: Arc<str>,
    /// What it may do.
    pub(crate) mode: Mode,
}

/// What a statement may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It may read.
    Read,
    /// It may write.
    Write,
}

/// Why a statement cannot be asked here, though the server takes it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitError {
    /// It has another number of parameters.
    #[error("the query has {0} parameters")]
    Parameters(usize),
    /// It has another number of columns.
    #[error("the query gives {0} columns, not one")]
    Columns(usize),
    /// A parameter of a type that has more than one way to write a value.
    #[error(
        "${0} is of type `{1}`, not text, an integer or a UUID; cast what it is compared with, as `id::text`"
    )]
    Parameter(usize, Box<str>),
    /// A column of another type.
    #[error("the column is of type `{0}`, not text, an integer or a UUID; cast it, as `owner::text`")]
    Column(Box<str>),
    /// A value that is not of the type that was promised.
    #[error("a value is not of its type")]
    Value,
}

/// The types whose values have one way to be written, so that two readers read the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Int2,
    Int4,
    Int8,
    Uuid,
}

impl Form {
    fn of(kind: &Type) -> Option<Self> {
        match *kind {
            Type::TEXT | Type::VARCHAR => Some(Self::Text),
            Type::INT2 => Some(Self::Int2),
            Type::INT4 => Some(Self::Int4),
            Type::INT8 => Some(Self::Int8),
            Type::UUID => Some(Self::Uuid),
            _ => None,
        }
    }

    /// SMUGGLING: PostgreSQL reads ` 7`, `07` and, later, `0x7` as 7; the upstream may read another number. Only what
    /// is written as PostgreSQL itself would write it is that value.
    fn holds(self, text: &str) -> bool {
        fn is<T: std::str::FromStr + ToString>(text: &str) -> bool {
            text.parse::<T>().is_ok_and(|value| value.to_string() == text)
        }
        match self {
            Self::Text => !text.contains('\0'),
            Self::Int2 => is::<i16>(text),
            Self::Int4 => is::<i32>(text),
            Self::Int8 => is::<i64>(text),
            Self::Uuid => Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string().eq_ignore_ascii_case(text)),
        }
    }

    /// A value as the server sends it (binary format).
    fn read(self, bytes: &[u8]) -> Option<SmolStr> {
        Some(match self {
            Self::Text => std::str::from_utf8(bytes).ok()?.into(),
            Self::Int2 => i16::from_be_bytes(bytes.try_into().ok()?).to_smolstr(),
            Self::Int4 => i32::from_be_bytes(bytes.try_into().ok()?).to_smolstr(),
            Self::Int8 => i64::from_be_bytes(bytes.try_into().ok()?).to_smolstr(),
            Self::Uuid => Uuid::from_slice(bytes).ok()?.to_smolstr(),
        })
    }
}

/// A statement that the server of one connection has taken.
#[derive(Debug)]
pub(super) struct Prepared {
    of: Statement,
    taken: tokio_postgres::Statement,
    takes: Vec<Form>,
    gives: Form,
}

impl Prepared {
    /// Prepares on this connection.
    ///
    /// # Errors
    /// The server does not take it, or it is none that can be asked here.
    pub(super) async fn new(
        client: &Client,
        of: &Statement,
        parameters: usize,
    ) -> Result<Self, PostgresError> {
        let taken = client.prepare(&of.sql).await.map_err(PostgresError::Statement)?;
        if taken.params().len() != parameters {
            return Err(UnfitError::Parameters(taken.params().len()).into());
        }
        let takes = taken.params().iter().enumerate().map(|(index, kind)| {
            Form::of(kind).ok_or_else(|| UnfitError::Parameter(index.saturating_add(1), kind.name().into()))
        });
        let takes = takes.collect::<Result<Vec<_>, _>>()?;
        let [column] = taken.columns() else { return Err(UnfitError::Columns(taken.columns().len()).into()) };
        let gives =
            Form::of(column.type_()).ok_or_else(|| UnfitError::Column(column.type_().name().into()))?;
        Ok(Self { of: of.clone(), taken, takes, gives })
    }

    /// Whether it was made of this statement.
    pub(super) fn is_of(&self, statement: &Statement) -> bool {
        self.of == *statement
    }

    /// Runs it on the connection that it was prepared on. The server stops it after `limit`.
    pub(super) async fn run(
        &self,
        client: &Client,
        parameters: &[SmolStr],
        limit: Duration,
    ) -> Result<Vec<Option<SmolStr>>, PostgresError> {
        if !self.takes.iter().zip(parameters).all(|(form, parameter)| form.holds(parameter)) {
            return Ok(Vec::new());
        }
        let access = match self.of.mode {
            Mode::Read => "read only",
            Mode::Write => "read write",
        };
        let limit = limit.as_millis().clamp(1, 3_600_000);
        let begin = format!("begin {access}; set local statement_timeout = {limit}");
        // PERF: all three are sent at once and cost one exchange; a statement after one that failed does nothing.
        let (began, rows, ended) = tokio::join!(
            biased;
            client.batch_execute(&begin),
            self.rows(client, parameters),
            client.batch_execute("commit"),
        );
        let fault = |error: tokio_postgres::Error| match error.code() {
            Some(&SqlState::QUERY_CANCELED) => PostgresError::Timeout,
            _ => PostgresError::Statement(error),
        };
        began.map_err(fault)?;
        let rows = rows.map_err(fault)?;
        ended.map_err(fault)?;
        rows.iter().map(|row| self.value(row)).collect()
    }

    async fn rows(&self, client: &Client, parameters: &[SmolStr]) -> Result<Vec<Row>, tokio_postgres::Error> {
        let stream = client.query_raw(&self.taken, parameters.iter().map(|text| Written(text))).await?;
        let mut stream = std::pin::pin!(stream);
        let mut rows = Vec::new();
        while rows.len() < ROWS
            && let Some(row) = stream.try_next().await?
        {
            rows.push(row);
        }
        Ok(rows)
    }

    fn value(&self, row: &Row) -> Result<Option<SmolStr>, PostgresError> {
        let value = row.try_get::<_, Option<Raw<'_>>>(0).map_err(PostgresError::Statement)?;
        value.map(|Raw(bytes)| self.gives.read(bytes).ok_or(UnfitError::Value.into())).transpose()
    }
}

/// A parameter that travels as the text it is; the server reads it by its type.
#[derive(Debug)]
struct Written<'t>(&'t str);

impl ToSql for Written<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A value as it was sent.
struct Raw<'r>(&'r [u8]);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_in_one_way() {
        let check = |form: Form, rights: &[&str], wrongs: &[&str]| {
            for text in rights {
                assert!(form.holds(text), "{form:?} {text}");
            }
            for text in wrongs {
                assert!(!form.holds(text), "{form:?} {text}");
            }
        };
        check(Form::Text, &["", "a", "'; drop table x; --", "07", "é"], &["a\0", "\0"]);
        let wrongs = ["", " 7", "7 ", "07", "+7", "-0", "0x7", "7.0", "7e0", "1_0", "٧", "7\0", "$1"];
        check(Form::Int2, &["0", "7", "-7", "32767"], &wrongs);
        check(Form::Int2, &[], &["32768"]);
        check(Form::Int4, &["2147483647", "-2147483648"], &["2147483648"]);
        check(Form::Int8, &["9223372036854775807"], &["9223372036854775808", "07"]);
        let uuid = "0f3ae1c2-7d84-4f0a-9a35-1b2c3d4e5f60";
        let simple = uuid.replace('-', "");
        let braced = format!("{{{uuid}}}");
        check(
            Form::Uuid,
            &[uuid, &uuid.to_uppercase()],
            &[&simple, &braced, &format!("urn:uuid:{uuid}"), "x"],
        );
    }

    #[test]
    fn what_the_server_sends_is_read() {
        let check = |form: Form, bytes: &[u8], expected: Option<&str>| {
            assert_eq!(form.read(bytes).as_deref(), expected, "{form:?} {bytes:?}");
        };
        check(Form::Text, b"alice", Some("alice"));
        check(Form::Text, b"\xff", None);
        check(Form::Int2, &[0xff, 0xfe], Some("-2"));
        check(Form::Int4, &[0, 0, 1, 0], Some("256"));
        check(Form::Int8, &[0, 0, 0, 0, 0, 0, 1, 0], Some("256"));
        check(Form::Int8, &[0, 0, 1, 0], None);
        check(Form::Uuid, &[0x11; 16], Some("11111111-1111-1111-1111-111111111111"));
        check(Form::Uuid, &[0x11; 15], None);
    }
}
