//! APIs and models: contracts, paths, who may come, budgets, objects, detectors.

use http::Uri;
use portcullis_core::contract::server_path;
use portcullis_core::route::Dialect as SpokenDialect;
use portcullis_core::validate::Told;
use portcullis_inspect::coverage::Unread;
use portcullis_inspect::detect::Detector;
use portcullis_inspect::dialect::{answer_fields, prompt_fields};

use super::Checker;
use super::content::{level_of, levels};
use super::judges::Reads;
use super::upstream::Defaults;
use crate::config::contract::{Contract, Names};
use crate::config::diagnostic::one_of;
use crate::config::fields::fields;
use crate::config::file;
use crate::config::read::{At, Either, Named, OneOrMany};
use crate::config::settings::{
    Api, Budget, Check, ClientSystem, Detectors, Dialect, Fence, Graph, Identify, Level, Model, Offer, Per,
    ToolServer, Upstream,
};
use crate::config::tree::Span;

/// What the routes came to. Some are missing where something was reported.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) apis: Vec<Api>,
    pub(super) models: Vec<Model>,
    pub(super) graphs: Vec<Graph>,
    pub(super) tools: Vec<ToolServer>,
    /// Where policy is first asked to decide.
    pub(super) is_policy_asked: Option<Span>,
}

/// What all routes together have used so far.
pub(super) struct Used<'i> {
    issuers: &'i [At<String>],
    is_issuer_used: Vec<bool>,
    /// Base path, and the name and line of its route.
    base_paths: Vec<(String, String, u32)>,
    /// Service of gRPC, and the name and line of its route.
    pub(super) services: Vec<(String, String, u32)>,
}

impl Checker<'_, '_> {
    pub(super) fn routes(
        &mut self,
        apis: Named<file::Api>,
        models: Named<file::Model>,
        graphs: Named<file::Graph>,
        grpc: Named<file::Grpc>,
        tools: Named<file::ToolServer>,
        issuers: &[At<String>],
    ) -> Routes {
        let is_issuer_used = vec![false; issuers.len()];
        let mut used = Used { issuers, is_issuer_used, base_paths: Vec::new(), services: Vec::new() };
        let mut routes = Routes::default();
        let is_empty = apis.0.is_empty() && models.0.is_empty() && graphs.0.is_empty() && grpc.0.is_empty();
        let is_empty = is_empty && tools.0.is_empty();
        if is_empty && !self.report.has_errors() {
            self.warning("no-routes", Span { line: 1, column: 1, length: 1 }, "nothing is behind the gate")
                .help("add an entry to `apis`, `models` or `graphs`");
        }
        for model in &models.0 {
            if let Some(api) = apis.0.iter().find(|api| api.0.value == model.0.value) {
                let line = api.0.at.line;
                self.error("repeated-name", model.0.at, format!("`{}` is an API as well", model.0.value))
                    .help(format!("the API is on line {line}; names are shared in policies and records"));
            }
        }
        for (graph, _) in &graphs.0 {
            let others = apis.0.iter().map(|(name, _)| name).chain(models.0.iter().map(|(name, _)| name));
            if let Some(other) = others.into_iter().find(|other| other.value == graph.value) {
                let line = other.at.line;
                self.error("repeated-name", graph.at, format!("something else is called `{}`", graph.value))
                    .help(format!("it is on line {line}; names are shared in policies and records"));
            }
        }
        let taken = apis.0.iter().map(|(name, _)| name).chain(models.0.iter().map(|(name, _)| name));
        let taken = taken.chain(graphs.0.iter().map(|(name, _)| name));
        let taken: Vec<At<String>> = taken.chain(tools.0.iter().map(|(name, _)| name)).cloned().collect();
        for (name, _) in &tools.0 {
            self.expect_free(name, &taken);
        }
        for (name, api) in apis.0 {
            if api.authorize != Some(file::Authorize::None) {
                routes.is_policy_asked.get_or_insert(name.at);
            }
            routes.apis.extend(self.api(&name, api, &mut used));
        }
        for (name, model) in models.0 {
            if model.authorize != Some(file::Authorize::None) {
                routes.is_policy_asked.get_or_insert(name.at);
            }
            routes.models.extend(self.model(&name, model, &mut used));
        }
        for (name, graph) in graphs.0 {
            if graph.authorize != Some(file::Authorize::None) {
                routes.is_policy_asked.get_or_insert(name.at);
            }
            routes.graphs.extend(self.graph(&name, graph, &mut used));
        }
        for (name, server) in tools.0 {
            if server.authorize != Some(file::Authorize::None) {
                routes.is_policy_asked.get_or_insert(name.at);
            }
            routes.tools.extend(self.tool_server(&name, server, &mut used));
        }
        for (name, services) in grpc.0 {
            self.expect_free(&name, &taken);
            if services.authorize != Some(file::Authorize::None) {
                routes.is_policy_asked.get_or_insert(name.at);
            }
            routes.apis.extend(self.grpc(&name, services, &mut used));
        }
        for (issuer, _) in issuers.iter().zip(&used.is_issuer_used).filter(|(_, is_used)| !**is_used) {
            self.warning("unused-issuer", issuer.at, format!("nothing uses the issuer `{}`", issuer.value));
        }
        routes
    }

    fn api(&mut self, name: &At<String>, written: file::Api, used: &mut Used<'_>) -> Option<Api> {
        let contract = written.contract.and_then(|contract| self.contract(&contract));
        let server_path = contract.as_ref().map(|contract| server_path(&contract.document));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let server_path = server_path
            .filter(|path| written.base_path.is_none() && !path.is_empty() && path.bytes().all(is_plain));
        let derived = server_path.as_deref().map(|path| At { at: name.at, value: path.to_owned() });
        let base_path = written.base_path.or(derived);
        let base_path = self.base_path(name, base_path, used);
        let identify = written.identify.and_then(|identify| self.identify(identify, used));
        let names = contract.as_ref().map(Contract::names);
        let upstream = written.upstream.and_then(|upstream| self.upstream(upstream, Defaults::API));
        let upstream = upstream.map(|upstream| match &server_path {
            Some(path) => Upstream { url: below(&upstream.url, path), ..upstream },
            None => upstream,
        });
        let forwards = written.forward_credential.unwrap_or(false);
        let own = upstream.as_ref().and_then(|upstream| upstream.credential.as_ref());
        if forwards && own.is_some_and(|own| own.header == http::header::AUTHORIZATION) {
            self.error("contradiction", name.at, "both the client's and the gate's credential would be sent")
                .help("leave out `forward_credential`, or name another `header` in `credential`");
        }
        let (asked, answered) =
            contract.as_ref().map(|contract| fields(&contract.document)).unwrap_or_default();
        let objects = self.objects(written.objects, names.as_ref());
        let waivers = self.waivers(written.waive, names.as_ref());
        let exposures = self.exposures(written.expose, names.as_ref());
        let budgets = self.budgets(written.budgets, names.as_ref(), identify.as_ref());
        let body_limits = written.operations.0.0.into_iter().filter_map(|(operation, rules)| {
            self.operation(&operation, names.as_ref());
            Some((operation.value, rules.body_limit?.0))
        });
        let body_limits = body_limits.collect();
        let unknown = written.unknown.unwrap_or_default();
        Some(Api {
            name: name.value.clone(),
            contract: contract?,
            grpc: None,
            base_path: base_path?,
            upstream: upstream?,
            identify: identify?,
            forward_credential: forwards,
            authorize: written.authorize != Some(file::Authorize::None),
            hide: written.hide.unwrap_or(false),
            objects,
            waivers,
            allows_unbound: written.unbound == Some(file::Unbound::Allow),
            exposures,
            budgets,
            allow_unknown_fields: unknown.fields == Some(file::Tolerance::Allow),
            allow_unknown_parameters: unknown.parameters == Some(file::Tolerance::Allow),
            allow_unknown_answers: unknown.answers != Some(file::Tolerance::Refuse),
            ignore_security: written.security == Some(file::Security::Ignore),
            violations: match written.violations {
                None | Some(file::Violations::All) => Told::All,
                Some(file::Violations::Identified) => Told::Identified,
                Some(file::Violations::None) => Told::Nobody,
            },
            validate_requests: written.requests != Some(file::Requests::None),
            answers: match written.answers {
                None | Some(file::Answers::Enforce) => Check::Enforce,
                Some(file::Answers::Strip) => Check::Strip,
                Some(file::Answers::Observe) => Check::Observe,
                Some(file::Answers::None) => Check::None,
            },
            body_limit: written.body_limit.map_or(1 << 20, |size| size.0),
            body_limits,
            websocket: written.websocket.unwrap_or(false),
            inspect: self.detectors_of(written.inspect.as_ref(), Detectors::INSPECT, &asked, Reads::Bodies),
            screen: self.detectors_of(written.screen.as_ref(), Detectors::SCREEN, &answered, Reads::Bodies),
            place: self.report.place(name.at),
        })
    }

    /// Reports a name that something else has, which is written before it.
    fn expect_free(&mut self, name: &At<String>, taken: &[At<String>]) {
        let other = taken.iter().find(|other| other.value == name.value && other.at.line != name.at.line);
        if let Some(other) = other {
            let help =
                format!("the other is on line {}; names are shared in policies and records", other.at.line);
            self.error("repeated-name", name.at, format!("something else is called `{}`", name.value))
                .help(help);
        }
    }

    fn model(&mut self, name: &At<String>, written: file::Model, used: &mut Used<'_>) -> Option<Model> {
        let base_path = self.base_path(name, written.base_path, used);
        let identify = written.identify.and_then(|identify| self.identify(identify, used));
        let default = Defaults::model(written.dialect.unwrap_or(file::Dialect::OpenAi));
        let upstream = written.upstream.and_then(|upstream| self.upstream(upstream, default));
        let system = match written.system {
            None => Some(None),
            Some(written) => self.text(&written).map(Some),
        };
        let budgets = self.budgets(written.budgets, None, identify.as_ref());
        let (dialect, offer) = match written.dialect? {
            file::Dialect::OpenAi => (Dialect::OpenAi, Offer::All),
            file::Dialect::Anthropic => (Dialect::Anthropic, Offer::All),
            file::Dialect::OpenAiChat => (Dialect::OpenAi, Offer::Chat),
            file::Dialect::OpenAiResponses => (Dialect::OpenAi, Offer::Responses),
            file::Dialect::OpenAiEmbeddings | file::Dialect::Embeddings => {
                (Dialect::OpenAi, Offer::Embeddings)
            }
        };
        let betas = self.betas(&written.betas, written.dialect);
        let spoken = match dialect {
            Dialect::OpenAi => SpokenDialect::OpenAi,
            Dialect::Anthropic => SpokenDialect::Anthropic,
        };
        let (asked, answered) = (prompt_fields(spoken), answer_fields(spoken));
        let unread = written.unread.unwrap_or_default();
        Some(Model {
            name: name.value.clone(),
            dialect,
            offer,
            base_path: base_path?,
            upstream: upstream?,
            system: system?,
            client_system: match written.client_system {
                None | Some(file::ClientSystem::Refuse) => ClientSystem::Refuse,
                Some(file::ClientSystem::Demote) => ClientSystem::Demote,
                Some(file::ClientSystem::Allow) => ClientSystem::Allow,
            },
            betas,
            allow_unknown: written.unknown == Some(file::Tolerance::Allow),
            allow_stored: unread.contains(&file::Unread::Stored),
            allow_tokens: unread.contains(&file::Unread::Tokens),
            identify: identify?,
            authorize: written.authorize != Some(file::Authorize::None),
            hide: written.hide.unwrap_or(false),
            budgets,
            body_limit: written.body_limit.map_or(4 << 20, |size| size.0),
            prompt: self.detectors_of(written.prompt.as_ref(), Detectors::PROMPT, &asked, Reads::Prompts),
            answer: self.detectors_of(written.answer.as_ref(), Detectors::ANSWER, &answered, Reads::Answers),
            place: self.report.place(name.at),
        })
    }

    fn betas(&mut self, written: &[At<String>], dialect: Option<file::Dialect>) -> Vec<String> {
        if let (Some(first), true) = (written.first(), dialect != Some(file::Dialect::Anthropic)) {
            self.error("bad-value", first.at, "this dialect has no betas")
                .expected("`betas` of an `anthropic` model");
        }
        for beta in written {
            if beta.value.is_empty()
                || !beta.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            {
                self.error("bad-value", beta.at, format!("`{}` is no beta", beta.value))
                    .expected("a name such as `files-api-2025-04-14`");
            }
        }
        written.iter().map(|beta| beta.value.clone()).collect()
    }

    /// What is done about findings: what is written, and the default for the rest.
    pub(super) fn detectors(
        &mut self,
        written: Option<&Either<file::Nothing, file::Detectors>>,
        default: Detectors,
        reads: Reads,
    ) -> Detectors {
        self.detectors_of(written, default, &[], reads)
    }

    /// The same where there are fields, which `known` names.
    pub(super) fn detectors_of(
        &mut self,
        written: Option<&Either<file::Nothing, file::Detectors>>,
        default: Detectors,
        known: &[String],
        reads: Reads,
    ) -> Detectors {
        let level = |written: Option<file::DetectorLevel>, default| written.map_or(default, level_of);
        let is_prompt = default.classifier != Level::Off;
        match written {
            None => default,
            Some(Either::Short(file::Nothing::None)) => Detectors::NONE,
            Some(Either::Long(written)) => {
                let detectors = Detectors {
                    classifier: self.reader(
                        written.classifier.as_ref(),
                        "classifier",
                        default.classifier,
                        level,
                    ),
                    encoder: self.encoder_level(written.encoder.as_ref(), default.encoder, reads),
                    roles: level(written.roles, default.roles),
                    fence: self.fence(written.fence.as_ref(), &default),
                    canary: self.canary(written.canary.as_ref(), &default),
                    leak: self.leak(written.leak.as_ref(), &default, level),
                    pii: level(written.pii.as_ref().map(|one| one.value), default.pii),
                    secrets: level(written.secrets, default.secrets),
                    injection: level(written.injection, default.injection),
                    active_content: level(written.active_content, default.active_content),
                    links: level(written.links, default.links),
                    code: level(written.code, default.code),
                    except: written.except.iter().flatten().filter_map(|name| self.detector(name)).collect(),
                    hosts: written.hosts.iter().flatten().filter_map(|host| self.link_host(host)).collect(),
                    allow: self.allow(written.allow.as_ref()),
                    fields: Vec::new(),
                    rules: self.content_rules(&written.rules),
                    judge: self.judge_use(written.judge.as_ref(), reads),
                    unread: Some(written.unread.iter().flatten().filter_map(|one| self.media(one)).collect()),
                };
                let at = written.pii.as_ref().map(|one| one.at);
                self.possible(
                    at.unwrap_or(Span { line: 1, column: 1, length: 1 }),
                    levels(&detectors),
                    is_prompt,
                );
                let fields = self.fields(&written.fields, levels(&detectors), known, is_prompt);
                Detectors { fields, ..detectors }
            }
        }
    }

    /// Classifiers read prompts; elsewhere nobody says who wrote what.
    fn reader(
        &mut self,
        written: Option<&At<file::DetectorLevel>>,
        name: &str,
        default: Level,
        level: impl FnOnce(Option<file::DetectorLevel>, Level) -> Level,
    ) -> Level {
        let Some(written) = written else { return default };
        let level = self.of_orders(level(Some(written.value), default), written.at);
        if default == Level::Off && level != Level::Off {
            let read = if name == "encoder" { "" } else { " and results of tools" };
            self.error("bad-value", written.at, format!("the {name} reads the prompts of models{read} only"))
                .expected(format!("`{name}` in a model's `prompt`"));
        }
        level
    }

    /// What gives orders or says the operator's text is found whole, and is no personal data.
    fn of_orders(&mut self, level: Level, at: Span) -> Level {
        if matches!(level, Level::Mask | Level::Tokenise) {
            self.error("unsupported", at, "an order is no personal data")
                .expected("`off`, `observe`, `redact` or `block`");
        }
        level
    }

    /// The encoder takes its time, which only a prompt has; and not every program has one.
    fn encoder_level(
        &mut self,
        written: Option<&At<file::DetectorLevel>>,
        default: Level,
        reads: Reads,
    ) -> Level {
        let Some(written) = written else { return default };
        let level = self.of_orders(level_of(written.value), written.at);
        if level != Level::Off && reads != Reads::Prompts {
            self.error("bad-value", written.at, "the encoder reads the prompts of models only")
                .expected("`encoder` in a model's `prompt`");
        } else if level != Level::Off {
            self.expect_encoder(written.at);
        }
        level
    }

    /// Only prompts of models have somebody who gives orders and somebody who does not.
    fn fence(&mut self, written: Option<&At<file::FenceWord>>, default: &Detectors) -> Fence {
        let Some(written) = written else { return default.fence };
        let fence = match written.value {
            file::FenceWord::Off => Fence::Off,
            file::FenceWord::On => Fence::On,
            file::FenceWord::Mark => Fence::Mark,
        };
        if *default != Detectors::PROMPT && fence != Fence::Off {
            self.error("bad-value", written.at, "only prompts of models can be fenced")
                .expected("`fence` in a model's `prompt`");
        }
        fence
    }

    fn canary(&mut self, written: Option<&At<bool>>, default: &Detectors) -> bool {
        let Some(written) = written else { return default.canary };
        if *default != Detectors::PROMPT && written.value {
            self.error("bad-value", written.at, "a canary is put into the system text of models only")
                .expected("`canary` in a model's `prompt`");
        }
        written.value
    }

    fn leak(
        &mut self,
        written: Option<&At<file::DetectorLevel>>,
        default: &Detectors,
        level: impl FnOnce(Option<file::DetectorLevel>, Level) -> Level,
    ) -> Level {
        let Some(written) = written else { return default.leak };
        let level = self.of_orders(level(Some(written.value), default.leak), written.at);
        if *default != Detectors::ANSWER && level != Level::Off {
            self.error("bad-value", written.at, "only answers of models can leak a system text")
                .expected("`leak` in a model's `answer`");
        }
        level
    }

    fn detector(&mut self, name: &At<String>) -> Option<Detector> {
        let found = Detector::ALL.into_iter().find(|detector| detector.id() == name.value);
        if found.is_none() {
            self.error("bad-value", name.at, format!("there is no detector `{}`", name.value))
                .nearest(&name.value, Detector::ALL.into_iter().map(Detector::id));
        }
        found
    }

    /// A media type or a range of them in lower case, or the word for WebSockets.
    fn media(&mut self, written: &At<String>) -> Option<String> {
        let media = written.value.to_ascii_lowercase();
        let is_token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let is_media = media
            .split_once('/')
            .is_some_and(|(kind, name)| is_token(kind) && (name == "*" || is_token(name)));
        if !is_media && media != Unread::WEBSOCKET {
            self.error("bad-value", written.at, format!("`{}` is no media type", written.value))
                .expected("a media type such as `application/pdf` or `image/*`, or `websocket`");
            return None;
        }
        Some(media)
    }

    /// A host in lower case, perhaps behind `*.`.
    fn link_host(&mut self, host: &At<String>) -> Option<String> {
        let name = host.value.strip_prefix("*.").unwrap_or(&host.value);
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if !name.split('.').all(is_label) {
            self.error("bad-value", host.at, format!("`{}` is no host", host.value))
                .expected("a host such as `example.com` or `*.example.com`");
            return None;
        }
        Some(host.value.to_ascii_lowercase())
    }

    fn contract(&mut self, written: &At<String>) -> Option<Contract> {
        let text = self.text(written)?;
        match Contract::parse(text) {
            Ok(contract) => Some(contract),
            Err(problem) => {
                self.report.add(*problem);
                None
            }
        }
    }

    pub(super) fn base_path(
        &mut self,
        name: &At<String>,
        written: Option<At<String>>,
        used: &mut Used<'_>,
    ) -> Option<String> {
        let written = written.unwrap_or(At { at: name.at, value: "/".to_owned() });
        let path = written.value.trim_end_matches('/');
        let is_plain = |segment: &str| {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(is_plain)
        };
        let is_canonical = written.value.starts_with('/') && path.split('/').skip(1).all(is_plain);
        if !is_canonical {
            self.error("bad-path", written.at, format!("`{}` is not a base path", written.value))
                .expected("a path such as `/orders` or `/v1/orders`, without encoding and without `..`");
            return None;
        }
        if let Some((_, other, line)) = used.base_paths.iter().find(|(other, _, _)| other == path) {
            let message = format!("`{other}` has the base path `{}/` as well", path.trim_end_matches('/'));
            let help = format!("it is on line {line}; a path can lead to one place only");
            self.error("repeated-base-path", written.at, message).help(help);
            return None;
        }
        used.base_paths.push((path.to_owned(), name.value.clone(), written.at.line));
        Some(path.to_owned())
    }

    pub(super) fn identify(
        &mut self,
        written: At<OneOrMany<At<String>>>,
        used: &mut Used<'_>,
    ) -> Option<Identify> {
        let mut identify = Identify { issuers: Vec::new(), anonymous: false };
        let mut is_right = true;
        for name in written.value.0 {
            if name.value == "anonymous" {
                identify.anonymous = true;
                continue;
            }
            let Some(index) = used.issuers.iter().position(|issuer| issuer.value == name.value) else {
                is_right = false;
                let known = used.issuers.iter().map(|issuer| issuer.value.as_str()).chain(["anonymous"]);
                self.error("unknown-issuer", name.at, format!("there is no issuer `{}`", name.value))
                    .expected(one_of(known.clone()))
                    .nearest(&name.value, known);
                // An issuer that was probably meant is not also called unused.
                let near = crate::config::diagnostic::nearest(
                    &name.value,
                    used.issuers.iter().map(|issuer| issuer.value.as_str()),
                );
                for (issuer, is_used) in used.issuers.iter().zip(&mut used.is_issuer_used) {
                    *is_used |= Some(issuer.value.as_str()) == near;
                }
                continue;
            };
            used.is_issuer_used.iter_mut().skip(index).take(1).for_each(|is_used| *is_used = true);
            if identify.issuers.contains(&index) {
                self.warning("repeated-name", name.at, format!("`{}` is written twice", name.value));
            } else {
                identify.issuers.push(index);
            }
        }
        is_right.then_some(identify)
    }

    pub(super) fn operation(&mut self, operation: &At<String>, names: Option<&Names>) {
        let Some(names) = names else { return };
        if !names.operations.contains(&operation.value) {
            let message = format!("the contract has no operation `{}`", operation.value);
            self.error("unknown-operation", operation.at, message)
                .nearest(&operation.value, names.operations.iter().map(String::as_str));
        }
    }

    pub(super) fn budgets(
        &mut self,
        written: Vec<At<file::Budget>>,
        names: Option<&Names>,
        identify: Option<&Identify>,
    ) -> Vec<Budget> {
        let mut budgets: Vec<Budget> = Vec::new();
        for At { at, value } in written {
            for operation in value.operations.iter().flatten() {
                self.operation(operation, names);
            }
            if value.operations.as_ref().is_some_and(Vec::is_empty) {
                self.error("empty-list", at, "the budget is for no operation")
                    .help("leave `operations` out to mean all of them");
            }
            let (Some(per), Some(limit)) = (value.per, value.limit) else { continue };
            let (per, word) = match per {
                file::BudgetPer::Principal => (Per::Principal, "principal"),
                file::BudgetPer::Address => (Per::Address, "address"),
                file::BudgetPer::Route => (Per::Route, "route"),
            };
            if per == Per::Principal && identify.is_some_and(|identify| identify.issuers.is_empty()) {
                self.warning("shared-budget", at, "nobody is identified here, so all share this budget")
                    .help("count `per: address`");
            }
            let Some(name) = self.budget_name(value.name, word, &budgets) else { continue };
            budgets.push(Budget {
                name,
                per,
                limit: limit.0,
                burst: value.burst.unwrap_or(limit.0.count),
                operations: value.operations.unwrap_or_default().into_iter().map(|one| one.value).collect(),
                place: self.report.place(at),
            });
        }
        budgets
    }

    fn budget_name(&mut self, written: Option<At<String>>, word: &str, others: &[Budget]) -> Option<String> {
        let is_taken = |name: &str| others.iter().any(|other| other.name == name);
        let Some(name) = written else {
            let numbered = (2..=9_999_u32).map(|number| format!("{word}-{number}"));
            return std::iter::once(word.to_owned()).chain(numbered).find(|name| !is_taken(name));
        };
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.value.is_empty() || name.value.len() > 63 || !name.value.bytes().all(is_plain) {
            self.error("bad-name", name.at, format!("`{}` cannot be a name", name.value))
                .expected("at most 63 of a-z, 0-9, `-` and `_`");
            return None;
        }
        if is_taken(&name.value) {
            self.error("repeated-name", name.at, format!("another budget is called `{}`", name.value));
            return None;
        }
        Some(name.value)
    }
}

/// `url` with the path of the contract's server, unless it has one of its own: the upstream is that server.
pub(super) fn below(url: &Uri, path: &str) -> Uri {
    let mut parts = url.clone().into_parts();
    if parts.path_and_query.as_ref().is_none_or(|own| own.path() == "/") {
        parts.path_and_query = path.parse().ok();
    }
    Uri::from_parts(parts).unwrap_or_else(|_| url.clone())
}
