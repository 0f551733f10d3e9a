//! Who is asked whose objects are, and where the gate remembers it.

use std::time::Duration;

use super::Checker;
use super::upstream::Defaults;
use crate::config::file;
use crate::config::read::At;
use crate::config::settings::{Api, Lookup, LookupSource, Object, ObjectOwner, OwnersTable, Ownership};
use crate::config::sql;
use crate::config::tree::Span;

/// How long another server may take to say whose an object is.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Where who created what is remembered, unless another table is named.
const TABLE: (&str, &str) = ("public", "portcullis_owners");
/// The longest name that PostgreSQL keeps.
const LONGEST_NAME: usize = 63;

impl Checker<'_, '_> {
    pub(super) fn lookup(&mut self, written: At<file::Lookup>) -> Option<Lookup> {
        let At { at, value: written } = written;
        let http = written.upstream.as_ref().map(|upstream| upstream.at);
        let postgres = written.postgres.as_ref().map(|postgres| postgres.at);
        let span = |written: Option<file::Span>, default| written.map_or(default, |span| span.0);
        let timeout = span(written.timeout, TIMEOUT);
        let ttl = span(written.ttl, Duration::from_secs(30));
        let entries = written.entries.unwrap_or(10_000);
        let source = match (http, postgres) {
            (Some(_), Some(second)) => {
                self.error("contradiction", second, "one server says whose an object is")
                    .expected("`upstream` with `path` and `owner`, or `postgres` with `query`");
                return None;
            }
            (None, None) => {
                self.error("missing-key", at, "`upstream` is missing")
                    .expected("`upstream` with `path` and `owner`, or `postgres` with `query`");
                return None;
            }
            (Some(_), None) => self.http_lookup(at, written),
            (None, Some(_)) => self.sql_lookup(at, written),
        };
        Some(Lookup { source: source?, timeout, ttl, entries })
    }

    fn http_lookup(&mut self, at: Span, written: file::Lookup) -> Option<LookupSource> {
        self.stray("query", written.query.map(|query| query.at), "postgres");
        let missing = [("path", written.path.is_none()), ("owner", written.owner.is_none())];
        self.missing(at, missing);
        let upstream = written.upstream.and_then(|upstream| self.upstream(upstream, Defaults::API));
        let path = written.path?;
        if !path.value.starts_with('/') || path.value.matches("{}").count() != 1 {
            self.error("bad-path", path.at, format!("`{}` is not a path to look up", path.value))
                .expected("a path with `{}` once, as `/orders/{}/owner`");
            return None;
        }
        Some(LookupSource::Http {
            upstream: Box::new(upstream?),
            path: path.value,
            owner: self.pointer(&written.owner?)?,
        })
    }

    fn sql_lookup(&mut self, at: Span, written: file::Lookup) -> Option<LookupSource> {
        self.stray("path", written.path.map(|path| path.at), "upstream");
        self.stray("owner", written.owner.map(|owner| owner.at), "upstream");
        self.missing(at, [("query", written.query.is_none())]);
        let server = self.server(&written.postgres?);
        let query = written.query?;
        if let Err(error) = sql::expect_lookup(&query.value) {
            self.error("bad-query", query.at, error.to_string())
                .expected("one statement with `$1`, as `select owner from orders where id = $1`");
            return None;
        }
        Some(LookupSource::Postgres { server: server?, query: query.value.trim().into() })
    }

    pub(super) fn ownership(&mut self, written: At<file::Ownership>) -> Option<Ownership> {
        let At { at, value: written } = written;
        match (&written.path, &written.postgres) {
            (Some(_), Some(second)) => {
                self.error("contradiction", second.at, "there is one place where the gate remembers")
                    .expected("`path` or `postgres`");
                None
            }
            (None, None) => {
                self.error("missing-key", at, "it is not said where the gate remembers")
                    .expected("`path` with a file, or `postgres` with a server");
                None
            }
            (Some(path), None) => {
                self.stray("table", written.table.map(|table| table.at), "postgres");
                self.stray("timeout", written.timeout.map(|timeout| timeout.at), "postgres");
                let entries = written.entries.map_or(1_000_000, |entries| entries.value);
                Some(Ownership::File { path: self.loader.path(&path.value), entries })
            }
            (None, Some(server)) => {
                self.stray("entries", written.entries.map(|entries| entries.at), "path");
                let server = self.server(server);
                let (schema, name) = match &written.table {
                    None => (TABLE.0.to_owned(), TABLE.1.to_owned()),
                    Some(table) => self.table(table)?,
                };
                let place = self.report.place(at);
                let timeout = written.timeout.map_or(TIMEOUT, |timeout| timeout.value.0);
                Some(Ownership::Table(OwnersTable { server: server?, schema, name, timeout, place }))
            }
        }
    }

    fn table(&mut self, written: &At<String>) -> Option<(String, String)> {
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
                && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && name.len() <= LONGEST_NAME
        };
        let (schema, name) = written.value.split_once('.').unwrap_or(("", ""));
        if !is_name(schema) || !is_name(name) {
            self.error("bad-value", written.at, format!("`{}` is not the name of a table", written.value))
                .expected("`schema.table` of lower-case letters, digits and `_`");
            return None;
        }
        Some((schema.to_owned(), name.to_owned()))
    }

    /// What is created is remembered somewhere, or the configuration is no good.
    pub(super) fn expect_ownership(&mut self, apis: &[Api], is_there: bool) {
        let is_created = |object: &&Object| matches!(object.owner, Some(ObjectOwner::Created { .. }));
        let first = apis.iter().flat_map(|api| &api.objects).find(is_created);
        if let (Some(object), false) = (first, is_there) {
            let at = object.place.at;
            self.error("missing-key", at, "`created-by` needs a place where the gate remembers")
                .expected("`ownership: { path: data/owners.jsonl }` at the top of the file");
        }
    }

    /// A key that has a meaning only beside another one.
    pub(super) fn stray(&mut self, key: &str, at: Option<Span>, beside: &str) {
        if let Some(at) = at {
            self.error("contradiction", at, format!("`{key}` goes with `{beside}`"));
        }
    }

    pub(super) fn missing<const N: usize>(&mut self, at: Span, keys: [(&str, bool); N]) {
        for (key, _) in keys.into_iter().filter(|(_, is_missing)| *is_missing) {
            self.error("missing-key", at, format!("`{key}` is missing"));
        }
    }
}
