//! From settings to a gate: everything is compiled before anything is swapped, and every problem is reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::{self, Buckets};
use portcullis_core::authorize::{AuthorizeRules, ObjectRules};
use portcullis_core::contract::{Contract, Kind, Location, Operation, OperationIndex, Parameter};
use portcullis_core::graph::Graph;
use portcullis_core::grpc::Grpc;
use portcullis_core::identify::{Algorithm, IdentifyRules, Issuer, IssuerRules, Issuers};
use portcullis_core::json::JsonLimits;
use portcullis_core::mcp::{Mcp, McpRules as McpOffers};
use portcullis_core::policy::{ActionKind, ActionSpec, Policy, PolicyProblem, Source, spoken_roles};
use portcullis_core::receive::ReceiveRules;
use portcullis_core::receive::strict::HeadLimits;
use portcullis_core::roles::{self, CompiledRoles};
use portcullis_core::route::{Dialect, Route, RouteId, Routes, Surface};
use portcullis_core::validate::{Answers, Unknown, ValidateRules};
use portcullis_inspect::dialect::Offer;
use portcullis_inspect::vault::TokenKey;
use smol_str::SmolStr;

use crate::config::settings::{self, Api, Check, Model, Settings};
use crate::config::{Diagnostic, Place};
use crate::coverage::{Coverage, Gap};
use crate::forward::{Roots, SecretHeader, TlsClientRules, Upstream, UpstreamRules};
use crate::gate::{BodyTimes, Gate, Pool};
use crate::graphs;
use crate::judges::Judge;
use crate::keys::{KeySource, Keyring};
use crate::owners::{Owners, Pools, Sources, TableOwners, bind};
use crate::switched::Lifetime;
use crate::tools::Sessions;
use crate::websocket::WebsocketRules;

mod contracts;
mod guards;

use contracts::contract_warnings;

/// How long a request body may take in all.
const BODY_TOTAL: Duration = Duration::from_secs(300);

/// What outlives a reload. The next gate is compiled with it and shares it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What has been spent.
    pub buckets: Arc<Buckets>,
    /// Keys of issuers.
    pub keyring: Arc<Keyring>,
    /// Connections that are no longer HTTP.
    pub lifetime: Lifetime,
    /// Whose the sessions with tool servers are.
    pub sessions: Arc<Sessions>,
    /// The file that remembers who created what, where one does.
    pub owners: Option<Owners>,
    /// With what tokens for personal data are made.
    pub tokens: TokenKey,
    /// The instant that budgets count from.
    pub origin: Instant,
    /// Upstreams of the gate before, to be used again where their rules did not change.
    pub upstreams: Vec<(UpstreamRules, Arc<Upstream>)>,
    /// Connections to databases of the gate before, likewise.
    pub pools: Pools,
    /// Threads that read prompts of the gate before, likewise, with what they remember.
    pub encoder: Option<(settings::Encoder, Arc<Pool>)>,
}

/// A gate, and what is worth knowing about it.
#[derive(Debug)]
pub struct Compiled {
    /// The gate.
    pub gate: Gate,
    /// Where its issuers' keys are.
    pub key_sources: Vec<KeySource>,
    /// Its upstreams with their rules, for the next reload.
    pub upstreams: Vec<(UpstreamRules, Arc<Upstream>)>,
    /// Its connections to databases, for the next reload.
    pub pools: Pools,
    /// Its threads that read prompts, for the next reload.
    pub encoder: Option<(settings::Encoder, Arc<Pool>)>,
    /// Warnings: policies that can never apply and the like.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles settings whole. Opens no connection and changes nothing that is in force.
///
/// # Errors
/// Every problem of every part, each with its place.
pub fn compile(settings: &Settings, kept: &Kept) -> Result<Compiled, Vec<Diagnostic>> {
    compile_on(settings, kept, today())
}

/// As [`compile`] would on another day: waivers that ended before `today` hold no more.
///
/// # Errors
/// Every problem of every part, each with its place.
pub(crate) fn compile_on(
    settings: &Settings,
    kept: &Kept,
    today: jiff::civil::Date,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut compiler = Compiler { today, ..Compiler::new(settings, kept) };
    let contracts = compiler.contracts();
    let (policy, mut warnings) = compiler.policy(&contracts);
    for (api, contract) in settings.apis.iter().zip(&contracts) {
        warnings.extend(contract.iter().flat_map(|contract| contract_warnings(api, contract)));
    }
    let (issuers, key_sources) = compiler.issuers();
    compiler.judges();
    let mut routes = Vec::new();
    let mut guards = Vec::new();
    for (index, (part, contract)) in parts(settings).zip(contracts).enumerate() {
        let id = RouteId(u16::try_from(index).unwrap_or(u16::MAX));
        guards.push(compiler.guards(part));
        compiler.upstream(part);
        if let (Some(contract), Some(policy)) = (contract, &policy) {
            routes.push(Arc::new(compiler.route(id, part, contract, policy)));
        }
    }
    let owners = compiler.owners();
    let encoder = compiler.encoder();
    let Compiler { problems, upstreams, sources, warnings: unbound, .. } = compiler;
    warnings.extend(unbound);
    let (Some(policy), Some(issuers), true) = (policy, issuers, problems.is_empty()) else {
        return Err(problems);
    };
    let gate = Gate {
        routes: Routes::new(routes),
        receive: receive_rules(settings),
        issuers: Arc::new(issuers),
        keyring: Arc::clone(&kept.keyring),
        policy,
        buckets: Arc::clone(&kept.buckets),
        guards,
        upstreams: upstreams.iter().map(|(_, upstream)| Arc::clone(upstream)).collect(),
        owners,
        encoder: encoder.as_ref().map(|(_, pool)| Arc::clone(pool)),
        lookups: sources.lookups,
        body_times: BodyTimes { progress: settings.limits.body_progress, total: BODY_TOTAL },
        websocket: WebsocketRules {
            max_frame: settings.limits.websocket_frame as u64,
            idle_timeout: settings.limits.idle_time,
            ..WebsocketRules::default()
        },
        lifetime: kept.lifetime.clone(),
        sessions: Arc::clone(&kept.sessions),
        origin: kept.origin,
    };
    let blind = blind(settings, &gate);
    if !blind.is_empty() {
        return Err(blind);
    }
    Ok(Compiled { gate, key_sources, upstreams, pools: sources.pools, encoder, warnings })
}

/// Guards that are configured where they cannot run.
fn blind(settings: &Settings, gate: &Gate) -> Vec<Diagnostic> {
    let coverage = Coverage::of(gate);
    let places: Vec<&Place> = parts(settings).map(Part::place).collect();
    let problem = |(id, gap): (RouteId, Gap)| {
        let place = places.get(usize::from(id.0)).copied().cloned().unwrap_or_default();
        let mut problem = place.error("guard-cannot-run", gap.message);
        problem.help(gap.help);
        problem
    };
    coverage.gaps().map(problem).collect()
}

/// The Cedar schema that the policies of these settings are checked against.
///
/// # Errors
/// Contracts that do not compile.
pub fn schema(settings: &Settings, kept: &Kept) -> Result<String, Vec<Diagnostic>> {
    let mut compiler = Compiler::new(settings, kept);
    let contracts = compiler.contracts();
    if !compiler.problems.is_empty() {
        return Err(compiler.problems);
    }
    Ok(portcullis_core::policy::schema(&compiler.actions(&contracts)))
}

/// A route's settings: an API's or a model's. Routes are numbered in this order.
#[derive(Debug, Clone, Copy)]
enum Part<'s> {
    Api(&'s Api),
    Model(&'s Model),
    Graph(&'s settings::Graph),
    Tools(&'s settings::ToolServer),
}

fn parts(settings: &Settings) -> impl Iterator<Item = Part<'_>> {
    settings
        .apis
        .iter()
        .map(Part::Api)
        .chain(settings.models.iter().map(Part::Model))
        .chain(settings.graphs.iter().map(Part::Graph))
        .chain(settings.tools.iter().map(Part::Tools))
}

impl<'s> Part<'s> {
    fn name(self) -> &'s str {
        match self {
            Self::Api(api) => &api.name,
            Self::Model(model) => &model.name,
            Self::Graph(graph) => &graph.name,
            Self::Tools(server) => &server.name,
        }
    }

    fn place(self) -> &'s Place {
        match self {
            Self::Api(api) => &api.place,
            Self::Model(model) => &model.place,
            Self::Graph(graph) => &graph.place,
            Self::Tools(server) => &server.place,
        }
    }

    fn upstream(self) -> &'s settings::Upstream {
        match self {
            Self::Api(api) => &api.upstream,
            Self::Model(model) => &model.upstream,
            Self::Graph(graph) => &graph.upstream,
            Self::Tools(server) => &server.upstream,
        }
    }

    fn budgets(self) -> &'s [settings::Budget] {
        match self {
            Self::Api(api) => &api.budgets,
            Self::Model(model) => &model.budgets,
            Self::Graph(graph) => &graph.budgets,
            Self::Tools(server) => &server.budgets,
        }
    }
}

struct Compiler<'s> {
    settings: &'s Settings,
    kept: &'s Kept,
    problems: Vec<Diagnostic>,
    upstreams: Vec<(UpstreamRules, Arc<Upstream>)>,
    sources: Sources,
    warnings: Vec<Diagnostic>,
    graphs: Vec<(&'s str, Arc<Graph>)>,
    today: jiff::civil::Date,
    judges: Vec<Option<Arc<Judge>>>,
}

impl<'s> Compiler<'s> {
    fn new(settings: &'s Settings, kept: &'s Kept) -> Self {
        let (problems, warnings) = (Vec::new(), Vec::new());
        Self {
            settings,
            kept,
            problems,
            upstreams: Vec::new(),
            sources: Sources { pools: kept.pools.next(), ..Sources::default() },
            warnings,
            graphs: Vec::new(),
            today: today(),
            judges: Vec::new(),
        }
    }

    /// What remembers who created what. A file is opened once and kept; a table is asked anew by each gate.
    fn owners(&mut self) -> Option<Owners> {
        let Some(settings::Ownership::Table(table)) = &self.settings.ownership else {
            return self.kept.owners.clone();
        };
        match self.sources.pools.of(&table.server) {
            Ok(pool) => Some(Owners::Table(Arc::new(TableOwners::new(pool, table)))),
            Err(error) => {
                self.problems.push(table.place.error("bad-server", error.to_string()));
                None
            }
        }
    }

    /// The graph is kept by its name for its route.
    fn graph(&mut self, graph: &'s settings::Graph) -> Option<()> {
        match graphs::compile(graph, self.today) {
            Ok((compiled, warnings)) => {
                self.warnings.extend(warnings);
                self.graphs.push((&graph.name, Arc::new(compiled)));
            }
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        }
        Some(())
    }

    fn graph_of(&self, part: Part<'_>) -> Option<&Arc<Graph>> {
        let Part::Graph(graph) = part else { return None };
        self.graphs.iter().find(|(name, _)| **name == *graph.name).map(|(_, compiled)| compiled)
    }

    fn actions(&self, contracts: &[Option<Contract>]) -> Vec<ActionSpec> {
        let mut actions = Vec::new();
        for (part, contract) in parts(self.settings).zip(contracts) {
            if let Part::Graph(_) = part {
                let fields = self.graph_of(part).into_iter().flat_map(|graph| graph.fields());
                actions.extend(fields.map(|field| ActionSpec {
                    api: part.name().into(),
                    operation: field.id.clone(),
                    reads: field.reads,
                    // Arguments may be left out, as parameters of a query may.
                    kind: ActionKind::Rest { path: Vec::new(), query: field.arguments.clone() },
                }));
                continue;
            }
            if let Part::Tools(server) = part {
                actions.extend(mcp_of(server).actions().iter().map(|action| ActionSpec {
                    api: part.name().into(),
                    operation: action.id.clone(),
                    reads: action.reads,
                    kind: ActionKind::Rest {
                        path: action.fact.into_iter().map(SmolStr::new).collect(),
                        query: Vec::new(),
                    },
                }));
                continue;
            }
            for operation in contract.iter().flat_map(Contract::operations) {
                let kind = match part {
                    Part::Model(_) if operation.method == http::Method::POST => ActionKind::Model,
                    Part::Api(Api { grpc: Some(schema), .. }) => {
                        ActionKind::Rest { path: schema.facts(&operation.id), query: Vec::new() }
                    }
                    Part::Model(_) | Part::Api(_) | Part::Graph(_) | Part::Tools(_) => ActionKind::Rest {
                        path: names(operation, |one| one.location == Location::Path),
                        query: names(operation, is_scalar_query),
                    },
                };
                actions.push(ActionSpec {
                    api: part.name().into(),
                    operation: (&*operation.id).into(),
                    reads: reads(part, operation),
                    kind,
                });
            }
        }
        actions
    }

    fn policy(&mut self, contracts: &[Option<Contract>]) -> (Option<Policy>, Vec<Diagnostic>) {
        if contracts.iter().any(Option::is_none) {
            // Policies that name operations of a broken contract would only repeat that it is broken.
            return (None, Vec::new());
        }
        let sources: Vec<Source> = self
            .settings
            .policies
            .iter()
            .map(|file| Source { name: file.name.to_string(), text: file.text.to_string() })
            .collect();
        let actions = self.actions(contracts);
        let roles = self.roles(&sources, &actions);
        match Policy::load_with_roles(&sources, &actions, &roles) {
            Ok((policy, loaded)) => {
                let warnings =
                    loaded.warnings.iter().map(|problem| self.policy_problem(problem, false)).collect();
                (Some(policy), warnings)
            }
            Err(problems) => {
                let problems: Vec<_> =
                    problems.iter().map(|problem| self.policy_problem(problem, true)).collect();
                self.problems.extend(problems);
                (None, Vec::new())
            }
        }
    }

    /// What the roles file comes to; nothing of it where something is wrong with it.
    fn roles(&mut self, sources: &[Source], actions: &[ActionSpec]) -> CompiledRoles {
        let Some(file) = &self.settings.roles else { return CompiledRoles::default() };
        let issuers: Vec<SmolStr> =
            self.settings.issuers.iter().map(|one| one.name.as_str().into()).collect();
        let spoken_of = spoken_roles(sources);
        let known = roles::Known { actions, issuers: &issuers, spoken_of: &spoken_of };
        let problems = roles::check(&file.book, known);
        for problem in &problems {
            let mut diagnostic = file.place(problem.mark).error(problem.code, problem.message.clone());
            if let Some((wrong, names)) = &problem.unknown {
                diagnostic.nearest(wrong, names.iter().map(SmolStr::as_str));
            }
            if let Some(help) = &problem.help {
                diagnostic.help(help.clone());
            }
            self.problems.push(diagnostic);
        }
        let compiled = roles::compile(&file.book, actions);
        // Its policies would only be said to be wrong once more.
        if problems.is_empty() { compiled } else { CompiledRoles { policies: Vec::new(), ..compiled } }
    }

    fn policy_problem(&self, problem: &PolicyProblem, is_error: bool) -> Diagnostic {
        let file = self.settings.policies.iter().find(|file| *file.name == *problem.source);
        let offset = problem.offset.clone().unwrap_or_default();
        let marked = self.settings.roles.as_ref().zip(problem.mark).map(|(roles, mark)| roles.place(mark));
        let in_file = file.map(|file| file.at(offset.start, offset.len()));
        let place = marked.or(in_file).unwrap_or_default();
        let mut diagnostic = if is_error {
            place.error("bad-policy", problem.message.clone())
        } else {
            place.warning("policy", problem.message.clone())
        };
        if let Some(help) = &problem.help {
            diagnostic.help(help.clone());
        }
        diagnostic
    }

    fn issuers(&mut self) -> (Option<Issuers>, Vec<KeySource>) {
        let mut sources = Vec::new();
        let mut issuers = Vec::new();
        for one in &self.settings.issuers {
            let source = match &one.jwks {
                settings::Jwks::Url(url) => KeySource::Url(url.to_string().into()),
                settings::Jwks::File(file) => KeySource::File(file.path.clone()),
            };
            let rules = IssuerRules {
                name: one.name.as_str().into(),
                issuer: one.issuer.as_str().into(),
                audiences: one.audiences.iter().map(|audience| audience.as_str().into()).collect(),
                algorithms: one.algorithms.iter().map(|algorithm| self::algorithm(*algorithm)).collect(),
                max_lifetime: one.max_lifetime,
                leeway: one.leeway,
                required_type: match one.types.as_slice() {
                    [only] => Some(only.as_str().into()),
                    _ => None,
                },
            };
            issuers.push(Issuer::with_cell(rules, self.kept.keyring.cell(&source)));
            sources.push(source);
        }
        match Issuers::new(issuers) {
            Ok(issuers) => (Some(issuers), sources),
            Err(error) => {
                let place = self.settings.issuers.first().map(|one| one.place.clone()).unwrap_or_default();
                self.problems.push(place.error("duplicate-issuer", error.to_string()));
                (None, sources)
            }
        }
    }

    fn upstream(&mut self, part: Part<'_>) {
        let settings = part.upstream();
        let rules = upstream_rules(part.name(), settings);
        let known = self.kept.upstreams.iter().find(|(known, _)| *known == rules);
        if let Some((rules, upstream)) = known {
            self.upstreams.push((rules.clone(), Arc::clone(upstream)));
            return;
        }
        match Upstream::compile(rules.clone()) {
            Ok(upstream) => self.upstreams.push((rules, Arc::new(upstream))),
            Err(error) => self.problems.push(settings.place.error("bad-upstream", error.to_string())),
        }
    }

    fn route(&mut self, id: RouteId, part: Part<'_>, contract: Contract, policy: &Policy) -> Route {
        let name = part.name();
        let budgets = part.budgets().iter().filter_map(|budget| self.budget(budget, &contract)).collect();
        let actions =
            contract.operations().iter().map(|operation| policy.action(name, &operation.id)).collect();
        let graph = self.graph_of(part).cloned();
        let mcp = match part {
            Part::Tools(server) => Some(Arc::new(mcp_of(server))),
            _ => None,
        };
        let fields = graph.iter().flat_map(|graph| graph.fields()).map(|field| &field.id);
        let called = mcp.iter().flat_map(|mcp| mcp.actions()).map(|action| &action.id);
        let fields = fields.chain(called).map(|id| policy.action(name, id)).collect();
        let (identify, enforced, hides) = match part {
            Part::Api(api) => (&api.identify, api.authorize, api.hide),
            Part::Model(model) => (&model.identify, model.authorize, model.hide),
            Part::Graph(graph) => (&graph.identify, graph.authorize, graph.hide),
            Part::Tools(server) => (&server.identify, server.authorize, server.hide),
        };
        let objects = match part {
            Part::Api(api) => {
                let bound = bind(api, &contract, &mut self.sources, self.today);
                self.problems.extend(bound.problems);
                self.warnings.extend(bound.warnings);
                bound.rules
            }
            Part::Model(_) | Part::Graph(_) | Part::Tools(_) => ObjectRules::default(),
        };
        let identify = self.identify(part, identify);
        let mut route = Route {
            id,
            name: name.into(),
            surface: Surface::Rest,
            grpc: None,
            mcp,
            base_path: "".into(),
            identify,
            budgets,
            authorize: AuthorizeRules { enforced, hides, objects, actions, fields },
            graph,
            validate: ValidateRules::default(),
            body_limit: 0,
            body_limits: Vec::new(),
            allows_websocket: false,
            contract,
        };
        match part {
            Part::Api(api) => self.finish_api(&mut route, api),
            Part::Model(model) => {
                route.surface = Surface::Model(spoken(model).0);
                route.base_path = model.base_path.as_str().into();
                route.body_limit = model.body_limit;
                route.validate.answers = Answers::Off;
                if model.allow_unknown {
                    route.validate.unknown_fields = Unknown::Allow;
                }
            }
            Part::Graph(graph) => {
                route.surface = Surface::GraphQl;
                route.base_path = graph.path.as_str().into();
                route.body_limit = graph.body_limit;
                route.validate.violations = graph.violations;
                route.validate.answers = match graph.answers {
                    Check::Enforce => Answers::Enforce,
                    Check::Strip => Answers::Strip,
                    Check::Observe => Answers::Observe,
                    Check::None => Answers::Off,
                };
            }
            Part::Tools(_) => {}
        }
        if let Part::Tools(server) = part {
            route.surface = Surface::Mcp;
            route.base_path = server.path.as_str().into();
            route.body_limit = server.body_limit;
            route.validate.violations = server.violations;
            route.validate.answers = Answers::Off;
        }
        route.validate.json = JsonLimits { size: usize::MAX, ..route.validate.json };
        route
    }

    fn identify(&self, part: Part<'_>, identify: &settings::Identify) -> IdentifyRules {
        IdentifyRules {
            issuers: identify
                .issuers
                .iter()
                .filter_map(|index| self.settings.issuers.get(*index))
                .map(|issuer| issuer.name.as_str().into())
                .collect(),
            allows_anonymous: identify.anonymous,
            key_header: key_header(part),
            forwards_credential: match part {
                Part::Api(api) => api.forward_credential,
                Part::Graph(graph) => graph.forward_credential,
                Part::Tools(server) => server.forward_credential,
                Part::Model(_) => false,
            },
        }
    }

    fn finish_api(&mut self, route: &mut Route, api: &Api) {
        route.base_path = api.base_path.as_str().into();
        route.body_limit = api.body_limit;
        for (name, limit) in &api.body_limits {
            let found = operation(&route.contract, name);
            match found {
                Some(index) => route.body_limits.push((index, *limit)),
                None => self.problems.push(unknown_operation(&api.place, name)),
            }
        }
        let unknown = |is_allowed| if is_allowed { Unknown::Allow } else { Unknown::Refuse };
        route.validate.unknown_fields = unknown(api.allow_unknown_fields);
        route.validate.unknown_parameters = unknown(api.allow_unknown_parameters);
        route.validate.unknown_answers = unknown(api.allow_unknown_answers);
        route.validate.violations = api.violations;
        route.validate.request = api.validate_requests;
        route.validate.answers = match api.answers {
            Check::Enforce => Answers::Enforce,
            Check::Strip => Answers::Strip,
            Check::Observe => Answers::Observe,
            Check::None => Answers::Off,
        };
        route.allows_websocket = api.websocket;
        if let Some(schema) = &api.grpc {
            route.surface = Surface::Grpc;
            route.grpc = Some(Grpc::new((**schema).clone(), &route.contract));
        }
    }

    fn budget(&mut self, budget: &settings::Budget, contract: &Contract) -> Option<admit::Budget> {
        let mut operations = Vec::new();
        for name in &budget.operations {
            match operation(contract, name) {
                Some(index) => operations.push(index),
                None => {
                    self.problems.push(unknown_operation(&budget.place, name));
                    return None;
                }
            }
        }
        let limit = admit::Rate::new(budget.limit.count, budget.limit.period)
            .map_err(|error| self.problems.push(budget.place.error("bad-budget", error.to_string())))
            .ok()?;
        Some(admit::Budget {
            name: budget.name.as_str().into(),
            per: match budget.per {
                settings::Per::Principal => admit::Per::Principal,
                settings::Per::Address => admit::Per::Address,
                settings::Per::Route => admit::Per::Route,
            },
            limit,
            burst: budget.burst,
            operations: (!operations.is_empty()).then(|| operations.into()),
        })
    }
}

/// What a tool server may be asked for.
fn mcp_of(server: &settings::ToolServer) -> Mcp {
    Mcp::new(McpOffers {
        tools: server.tools.clone(),
        prompts: server.prompts.clone(),
        lets_unlisted: server.lets_unlisted,
        methods: server.methods.clone(),
        lets_unknown_fields: server.lets_unknown_fields,
        origins: server.origins.clone(),
    })
}

/// The day, on which waivers hold or not.
fn today() -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date()
}

/// Whether an operation only reads: by its method, or by what its descriptor says of side effects.
fn reads(part: Part<'_>, operation: &Operation) -> bool {
    match part {
        Part::Api(Api { grpc: Some(schema), .. }) => {
            schema.methods().iter().any(|method| method.reads && method.id() == *operation.id)
        }
        _ => operation.method == http::Method::GET || operation.method == http::Method::HEAD,
    }
}

fn unknown_operation(place: &Place, name: &str) -> Diagnostic {
    place.error("unknown-operation", format!("the contract has no operation `{name}`"))
}

/// By `operationId`, or as `GET /path`.
fn operation(contract: &Contract, name: &str) -> Option<OperationIndex> {
    let found = contract.operations().iter().position(|operation| {
        let is_pair = name.split_once(' ').is_some_and(|(method, path)| {
            operation.method.as_str().eq_ignore_ascii_case(method) && *operation.template == *path
        });
        *operation.id == *name || is_pair
    });
    found.and_then(|index| u32::try_from(index).ok()).map(OperationIndex)
}

fn names(operation: &Operation, is_meant: impl Fn(&Parameter) -> bool) -> Vec<SmolStr> {
    operation.parameters.iter().filter(|one| is_meant(one)).map(|one| (&*one.name).into()).collect()
}

fn is_scalar_query(parameter: &Parameter) -> bool {
    parameter.location == Location::Query && !matches!(parameter.kind, Kind::Array | Kind::Object)
}

/// The header in which SDKs of a model's provider send what they call a key: here it is a token.
fn key_header(part: Part<'_>) -> Option<http::HeaderName> {
    match part {
        Part::Model(model) if model.dialect == settings::Dialect::Anthropic => {
            Some(http::HeaderName::from_static("x-api-key"))
        }
        Part::Api(_) | Part::Model(_) | Part::Graph(_) | Part::Tools(_) => None,
    }
}

fn receive_rules(settings: &Settings) -> ReceiveRules {
    ReceiveRules {
        trusted_proxies: settings.trusted_proxies.clone(),
        limits: HeadLimits {
            target: settings.limits.target,
            headers: settings.limits.header_count,
            header_bytes: settings.limits.header_size,
        },
    }
}

fn spoken(model: &Model) -> (Dialect, Offer) {
    let dialect = match model.dialect {
        settings::Dialect::Anthropic => Dialect::Anthropic,
        settings::Dialect::OpenAi => Dialect::OpenAi,
    };
    let offer = match model.offer {
        settings::Offer::All => Offer::All,
        settings::Offer::Chat => Offer::Chat,
        settings::Offer::Responses => Offer::Responses,
        settings::Offer::Embeddings => Offer::Embeddings,
    };
    (dialect, offer)
}

pub(crate) fn upstream_rules(name: &str, settings: &settings::Upstream) -> UpstreamRules {
    let mut rules = UpstreamRules::new(name, settings.url.clone());
    rules.total_timeout = Some(settings.timeout);
    rules.connect_timeout = settings.connect_timeout;
    rules.first_byte_timeout = settings.first_byte_timeout;
    rules.idle_timeout = settings.idle_timeout;
    rules.http2 = settings.http2;
    rules.preserve_host = settings.preserve_host;
    rules.tls = TlsClientRules {
        roots: settings.ca.as_ref().map_or(Roots::Platform, |file| Roots::File(file.path.clone())),
        server_name: settings.server_name.as_deref().map(Into::into),
    };
    rules.credential = settings.credential.as_ref().and_then(|credential| {
        let value = http::HeaderValue::from_str(credential.value.expose()).ok()?;
        Some((credential.header.clone(), SecretHeader::new(value)))
    });
    rules
}

fn algorithm(algorithm: settings::Algorithm) -> Algorithm {
    use settings::Algorithm as Written;
    match algorithm {
        Written::ES256 => Algorithm::Es256,
        Written::ES384 => Algorithm::Es384,
        Written::EdDSA => Algorithm::EdDsa,
        Written::RS256 => Algorithm::Rs256,
        Written::RS384 => Algorithm::Rs384,
        Written::RS512 => Algorithm::Rs512,
        Written::PS256 => Algorithm::Ps256,
        Written::PS384 => Algorithm::Ps384,
        Written::PS512 => Algorithm::Ps512,
    }
}
