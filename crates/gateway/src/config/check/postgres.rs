//! PostgreSQL servers: where they are, who the gate is there, and whether TLS is spoken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;

use super::Checker;
use super::upstream::is_loopback;
use crate::config::file;
use crate::config::read::{At, Named};
use crate::config::settings::{Postgres, PostgresHost, PostgresTls};
use crate::config::tree::Span;

/// Servers by name, and whether something is asked of them.
#[derive(Debug, Default)]
pub(crate) struct Servers(Vec<Server>);

#[derive(Debug)]
struct Server {
    name: At<String>,
    /// `None` where something about it was reported.
    checked: Option<Arc<Postgres>>,
    is_used: bool,
}

impl Checker<'_, '_> {
    pub(super) fn servers(&mut self, written: Named<file::Postgres>) -> Servers {
        let servers = written.0.into_iter().map(|(name, server)| {
            let checked = self.postgres(&name.value, server).map(Arc::new);
            Server { name, checked, is_used: false }
        });
        Servers(servers.collect())
    }

    /// The server that a lookup or the gate's memory names.
    pub(super) fn server(&mut self, written: &At<String>) -> Option<Arc<Postgres>> {
        if let Some(server) = self.postgres.0.iter_mut().find(|server| server.name.value == written.value) {
            server.is_used = true;
            return server.checked.clone();
        }
        let known: Vec<String> = self.postgres.0.iter().map(|server| server.name.value.clone()).collect();
        self.error("unknown-server", written.at, format!("there is no server `{}`", written.value))
            .nearest(&written.value, known.iter().map(String::as_str))
            .expected("a name of `postgres` at the top of the file");
        None
    }

    pub(super) fn report_unused_servers(&mut self) {
        let unused: Vec<At<String>> = self
            .postgres
            .0
            .iter()
            .filter(|server| !server.is_used)
            .map(|server| server.name.clone())
            .collect();
        for name in unused {
            self.warning("unused-server", name.at, format!("nothing is asked of `{}`", name.value));
        }
    }

    fn postgres(&mut self, name: &str, written: file::Postgres) -> Option<Postgres> {
        let host = written.host.as_ref().and_then(|host| self.host(host));
        let database = written.database.and_then(|database| self.filled(database, "database"));
        let user = written.user.and_then(|user| self.filled(user, "user"));
        let password = match &written.password {
            None => Some(None),
            Some(password) => self.loader.secret(&password.value.0, password.at, self.report).map(Some),
        };
        let ca = written.ca.as_ref().map(|ca| {
            let text = self.text(ca)?;
            self.certificates(&text, ca.at).then_some((text.path, text.text))
        });
        if matches!(ca, Some(None)) {
            return None;
        }
        let server_name = match &written.server_name {
            Some(name) if ServerName::try_from(name.value.as_str()).is_err() => {
                self.error("bad-value", name.at, "this is no name that a certificate can carry");
                return None;
            }
            name => name.as_ref().map(|name| name.value.clone()),
        };
        let is_near = match host.as_ref()? {
            PostgresHost::Socket(_) => true,
            PostgresHost::Tcp(host) => is_loopback(host),
        };
        let is_socket = matches!(host, Some(PostgresHost::Socket(_)));
        let for_tls = written.ca.as_ref().or(written.server_name.as_ref()).map(|key| key.at);
        let has_tls = self.speaks_tls(written.tls.as_ref(), for_tls, is_socket, is_near)?;
        if let (false, false, Some(at)) = (has_tls, is_near, written.tls.as_ref().map(|tls| tls.at)) {
            self.warning("plain-credential", at, "the password and what is asked would travel unencrypted")
                .help("leave out `tls: none`, or reach the server over loopback");
        }
        Some(Postgres {
            name: name.to_owned(),
            host: host?,
            port: written.port.unwrap_or(5432),
            database: database?,
            user: user?,
            password: password?,
            tls: has_tls.then(|| PostgresTls { ca: ca.flatten(), server_name }),
            connections: written.connections.unwrap_or(4),
            connect_timeout: written.connect_timeout.map_or(Duration::from_secs(5), |span| span.0),
        })
    }

    /// `for_tls` is where something stands that only TLS needs.
    fn speaks_tls(
        &mut self,
        written: Option<&At<file::PostgresTls>>,
        for_tls: Option<Span>,
        is_socket: bool,
        is_near: bool,
    ) -> Option<bool> {
        let asked = written.map(|tls| (tls.value == file::PostgresTls::VerifyFull, tls.at));
        let has_tls = match asked {
            Some((true, at)) if is_socket => {
                self.error("contradiction", at, "no TLS is spoken over a socket");
                return None;
            }
            Some((asked, _)) => asked,
            None => !is_near || (for_tls.is_some() && !is_socket),
        };
        if let (Some(at), false) = (for_tls, has_tls) {
            self.warning("unused-key", at, "there is no TLS to this server, so this has no effect");
        }
        Some(has_tls)
    }

    fn host(&mut self, written: &At<String>) -> Option<PostgresHost> {
        let text = written.value.as_str();
        if text.contains("://") || text.contains('@') {
            // A password may stand before the `@`, so the line is masked before anything is said.
            self.report.mask(written.at);
            self.error("bad-address", written.at, "the server is named by its parts, not by one address")
                .expected("`host`, `port`, `database`, `user`, and `password` as a reference to a secret");
            return None;
        }
        if text.starts_with('/') {
            return Some(PostgresHost::Socket(Path::new(text).to_owned()));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if ServerName::try_from(bare).is_err() {
            self.error("bad-address", written.at, format!("`{text}` is not the name of a host"))
                .expected("a name, an address, or the folder of a socket; the port is written in `port`");
            return None;
        }
        Some(PostgresHost::Tcp(bare.to_owned()))
    }

    fn filled(&mut self, written: At<String>, what: &str) -> Option<String> {
        if written.value.is_empty() || written.value.contains('\0') {
            self.error("bad-value", written.at, format!("this is not the name of a {what}"));
            return None;
        }
        Some(written.value)
    }
}
