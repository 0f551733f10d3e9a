//! The file held against the world: files are read, names are looked up, defaults filled in. Everything that is
//! wrong is reported; what is right is handed on.

mod content;
mod graphs;
mod grpc;
mod identity;
mod judges;
mod listeners;
mod lookups;
mod objects;
mod postgres;
mod routes;
mod tools;
mod upstream;

use super::diagnostic::{Diagnostic, Report};
use super::file;
use super::read::{At, Either};
use super::settings::{Encoder, Limits, RecordTarget, Roles, Settings, SourceText};
use super::source::Loader;
use super::tree::Span;
use postgres::Servers;

/// What the checks share.
pub(crate) struct Checker<'c, 'f> {
    pub(crate) report: &'c mut Report,
    pub(crate) loader: &'c mut Loader<'f>,
    /// PostgreSQL servers, once they were checked.
    pub(crate) postgres: Servers,
    /// Names of the judges, and where they are listened for; whether each is used.
    pub(crate) judges: Vec<(String, Span, bool)>,
}

impl Checker<'_, '_> {
    /// Checks everything. `None` only where something was reported.
    pub(crate) fn settings(&mut self, file: file::File) -> Option<Settings> {
        let listeners = file.listeners.and_then(|listeners| self.listeners(listeners));
        let limits = limits(&file.limits.unwrap_or_default());
        let encoder = self.encoder(file.encoder);
        let trusted_proxies = self.networks(&file.trusted_proxies);
        let issuers = self.issuers(file.identity.unwrap_or_default().issuers);
        let names: Vec<At<String>> = issuers.iter().map(|(name, _)| name.clone()).collect();
        self.postgres = self.servers(file.postgres);
        let own = listeners.as_ref().map(|listeners| listeners.public.address);
        let judges = self.judges(file.judges, own);
        let routes = self.routes(file.apis, file.models, file.graphs, file.grpc, file.tools, &names);
        let roles = self.roles(file.policy.as_ref());
        let has_roles = roles.as_ref().is_some_and(|roles| !roles.book.roles.is_empty());
        let asked = routes.is_policy_asked.filter(|_| !has_roles);
        let policies = self.policies(file.policy.as_ref(), asked);
        let ownership = file.ownership.and_then(|written| self.ownership(written));
        self.expect_ownership(&routes.apis, ownership.is_some());
        self.report_unused_servers();
        self.report_unused_judges();
        let record = match file.record {
            None | Some(Either::Short(file::RecordWord::Stdout)) => Some(RecordTarget::Stdout),
            Some(Either::Short(file::RecordWord::None)) => Some(RecordTarget::None),
            Some(Either::Long(record)) => {
                record.path.map(|path| RecordTarget::File(self.loader.path(&path.value)))
            }
        };
        Some(Settings {
            listeners: listeners?,
            limits,
            trusted_proxies,
            issuers: issuers.into_iter().map(|(_, issuer)| issuer).collect::<Option<_>>()?,
            apis: routes.apis,
            models: routes.models,
            graphs: routes.graphs,
            tools: routes.tools,
            policies,
            encoder,
            ownership,
            roles,
            record: record?,
            judges: judges.into_iter().collect::<Option<_>>()?,
        })
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report.error(code, at, message)
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        at: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report.warning(code, at, message)
    }

    pub(crate) fn text(&mut self, written: &At<String>) -> Option<SourceText> {
        self.loader.text(&written.value, written.at, self.report)
    }

    /// The threads that read prompts, if this program has any.
    fn encoder(&mut self, written: Option<At<file::Encoder>>) -> Encoder {
        let default = Encoder::default();
        let Some(At { value, at }) = written else { return default };
        self.expect_encoder(at);
        if let Some(threads) = value.threads.as_ref().filter(|threads| !(1..=256).contains(&threads.value)) {
            self.error("bad-value", threads.at, format!("`{}` threads", threads.value)).expected("1 to 256");
        }
        Encoder {
            threads: value.threads.map_or(default.threads, |threads| threads.value),
            deadline: value.deadline.map_or(default.deadline, |span| span.0),
            refuses_unread: value.on_timeout.map(|word| word == file::OnTimeout::Refuse),
            memory: value.memory.unwrap_or(default.memory),
        }
    }

    /// What asks for the encoder needs a program that has one.
    fn expect_encoder(&mut self, at: Span) {
        if !cfg!(feature = "ml") {
            self.error("bad-value", at, "this program was built without the encoder")
                .help("build it with `--features ml`");
        }
    }

    fn networks(&mut self, written: &[At<String>]) -> Vec<ipnet::IpNet> {
        let mut networks = Vec::new();
        for one in written {
            let address = one.value.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
            match one.value.parse::<ipnet::IpNet>().or(address) {
                Ok(network) if network.prefix_len() == 0 => {
                    self.warning("trusts-everybody", one.at, "everybody's `Forwarded` headers are believed")
                        .help("name the networks of your own proxies");
                    networks.push(network);
                }
                Ok(network) => networks.push(network.trunc()),
                Err(_) => {
                    self.error("bad-address", one.at, format!("`{}` is not a network", one.value))
                        .expected("an address or a network such as `10.0.0.0/8` or `fd00::/8`");
                }
            }
        }
        networks
    }

    fn roles(&mut self, policy: Option<&At<file::Policy>>) -> Option<Roles> {
        let policy = policy?;
        if policy.value.roles.is_none() && policy.value.cedar.is_none() {
            let problem = self.error("missing-key", policy.at, "it is not said who may do what");
            problem.expected("`roles`, `cedar` or both");
        }
        let text = self.text(policy.value.roles.as_ref()?)?;
        match super::roles::read(text) {
            Ok(roles) => Some(roles),
            Err(problems) => {
                problems.0.into_iter().for_each(|problem| {
                    self.report.add(problem);
                });
                None
            }
        }
    }

    /// `asked` is where an API first says that policy decides.
    fn policies(&mut self, policy: Option<&At<file::Policy>>, asked: Option<Span>) -> Vec<SourceText> {
        let mut texts: Vec<SourceText> = Vec::new();
        let patterns = policy.and_then(|policy| policy.value.cedar.as_deref()).unwrap_or_default();
        for pattern in patterns {
            for written in self.loader.expand(&pattern.value, pattern.at, self.report) {
                let text = self.loader.text(&written, pattern.at, self.report);
                texts.extend(text.filter(|text| !texts.iter().any(|other| other.path == text.path)));
            }
        }
        let is_empty = texts.iter().all(|text| !has_statement(&text.text));
        if let (Some(asked), true, false) = (asked, is_empty, self.report.has_errors()) {
            let at = policy.map_or(asked, |policy| policy.at);
            self.warning("nothing-allowed", at, "there is no policy, so nothing will be allowed").help(
                "add a role in `policy: { roles: roles.yaml }` or a policy in `policy: { cedar: [\"policy/*.cedar\"] }`, or \
                 write `authorize: none`",
            );
        }
        texts
    }
}

/// Whether a Cedar text says anything besides comments.
fn has_statement(text: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| !line.is_empty() && !line.starts_with("//"))
}

fn limits(written: &file::Limits) -> Limits {
    let default = Limits::default();
    let size = |written: Option<file::Size>, default| written.map_or(default, |size| size.0);
    let span = |written: Option<file::Span>, default| written.map_or(default, |span| span.0);
    Limits {
        header_count: written.header_count.unwrap_or(default.header_count),
        header_size: size(written.header_size, default.header_size),
        target: size(written.target, default.target),
        header_time: span(written.header_time, default.header_time),
        idle_time: span(written.idle_time, default.idle_time),
        body_progress: span(written.body_progress, default.body_progress),
        write_stall: span(written.write_stall, default.write_stall),
        connections: written.connections.unwrap_or(default.connections),
        connections_per_address: written.connections_per_address.unwrap_or(default.connections_per_address),
        streams_per_connection: written.streams_per_connection.unwrap_or(default.streams_per_connection),
        resets_per_connection: written.resets_per_connection.unwrap_or(default.resets_per_connection),
        header_list: size(written.header_list, default.header_list),
        websocket_frame: size(written.websocket_frame, default.websocket_frame),
        drain_time: span(written.drain_time, default.drain_time),
    }
}
