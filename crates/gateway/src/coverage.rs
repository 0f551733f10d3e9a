//! Which guard runs where: every route, both ways, streamed and not, site by site, read from the gate that would serve
//! and from the tables that its phases ask.
//!
//! A guard that is configured where it cannot run is a [`Gap`], and a gate with a gap is not compiled.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::contract::{MediaType, Operation};
use portcullis_core::guard::{Guard, GuardSet, Way};
use portcullis_core::record::Action;
use portcullis_core::route::{Route, RouteId, Surface};
use portcullis_core::validate::Answers;
use portcullis_inspect::coverage::{self, Reach, Site, Unread, Why};
use portcullis_inspect::dialect::{ClientSystem, Endpoint, Field, mcp};
use serde::Serialize;

use crate::gate::{Gate, Guards};

mod text;

/// The whole matrix of a gate.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// A table for each route, endpoint, way and manner.
    pub tables: Vec<Table>,
}

/// The guards of one way through one endpoint.
#[derive(Debug, Serialize)]
pub struct Table {
    /// The route.
    pub route: Box<str>,
    #[serde(skip)]
    id: RouteId,
    /// What is spoken there: `rest`, `graphql`, `grpc`, `openai`.
    pub dialect: &'static str,
    /// The operation, where a dialect has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<&'static str>,
    /// Requests or answers.
    pub way: &'static str,
    /// Whether what passes is judged while it comes.
    pub stream: bool,
    /// A row for each kind of place.
    pub rows: Vec<Row>,
}

/// One kind of place.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What it is called.
    pub surface: &'static str,
    #[serde(skip)]
    site: Site,
    /// The fields that it stands for, where a table names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// A cell for each guard.
    pub cells: BTreeMap<&'static str, Cell>,
}

/// What one guard does at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// What comes of it.
    pub state: State,
    /// What is done about findings, where it runs: `observe`, `redact`, `block`, `enforce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    /// Why it does not run, or what is different where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What comes of a guard at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Runs,
    /// It is not configured.
    Off,
    /// It has nothing to do there.
    Outside,
    /// It cannot run there, and nothing passes there.
    Refused,
    /// It cannot run there, and what stands there passes: by default, or because it is written.
    Unread,
    /// It is configured there and cannot run, and what stands there is said to pass.
    Gap,
}

/// A guard that is configured where it cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What is wrong.
    pub message: String,
    /// What can be written.
    pub help: String,
}

impl Coverage {
    /// Reads it from a gate.
    pub fn of(gate: &Gate) -> Self {
        let mut tables = Vec::new();
        let mut routes: Vec<_> = gate.routes.iter().collect();
        routes.sort_by_key(|route| route.id);
        for route in routes {
            let guards = gate.guards(route.id);
            match route.surface {
                Surface::Model(_) => model(route, guards, &mut tables),
                Surface::Rest => rest(route, guards, &mut tables),
                Surface::GraphQl => graph(route, guards, &mut tables),
                Surface::Grpc => grpc(route, guards, &mut tables),
                Surface::Mcp => tools(route, guards, &mut tables),
            }
        }
        Self { tables }
    }

    /// Every gap, with its route.
    pub fn gaps(&self) -> impl Iterator<Item = (RouteId, Gap)> {
        self.tables.iter().flat_map(|table| {
            table.rows.iter().filter_map(|row| {
                let is_gap = |cell: &&Cell| cell.state == State::Gap;
                let mut names = row.cells.iter().filter(|(_, cell)| is_gap(cell)).map(|(name, _)| *name);
                let first = names.next()?;
                let all: Vec<_> = std::iter::once(first).chain(names).collect();
                let why = row.cells.get(first)?.why.clone().unwrap_or_default();
                let message = format!(
                    "`{}` cannot run on {} of {}s of `{}`: {why}",
                    all.join("`, `"),
                    row.surface,
                    table.way,
                    table.route
                );
                let help = match row.site {
                    Site::Frames => "write `unread: [websocket]`, or leave `websocket` out",
                    _ => "write in `unread` which media types may pass although nothing reads them",
                };
                Some((table.id, Gap { message, help: help.to_owned() }))
            })
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        text::write(self)
    }
}

/// By what the cells of one way of a route are filled.
struct Filling<'a> {
    route: &'a Route,
    guards: &'a Guards,
    way: Way,
    stream: bool,
    on: GuardSet,
    unread: &'a Unread,
}

impl<'a> Filling<'a> {
    fn new(route: &'a Route, guards: &'a Guards, way: Way) -> Self {
        let objects = route.contract.operations().iter().zip(0..).filter_map(|(_, index)| {
            route.authorize.objects.of(portcullis_core::contract::OperationIndex(index))
        });
        let (mut binds, mut exposes) = (false, false);
        for rules in objects {
            binds |= !rules.is_empty();
            exposes |= rules.exposes();
        }
        binds |= route.graph.as_ref().is_some_and(|graph| !graph.rules().bound.is_empty());
        let (on, unread) = match way {
            Way::Request => (guards.due_of_request(route), &guards.screens.request_unread),
            Way::Answer => (guards.due_of_answer(route), &guards.screens.answer_unread),
        };
        let on = on.with_if(Guard::Objects, binds).with_if(Guard::Expose, exposes);
        Self { route, guards, way, stream: false, on, unread }
    }

    fn table(&self, dialect: &'static str, endpoint: Option<&'static str>, rows: Vec<Row>) -> Table {
        Table {
            route: self.route.name.clone(),
            id: self.route.id,
            dialect,
            endpoint,
            way: self.way.as_str(),
            stream: self.stream,
            rows,
        }
    }

    fn row(&self, site: Site) -> Row {
        self.named(site.as_str(), site, Vec::new(), false)
    }

    /// `declared`: the contract names it, so it is said to pass.
    fn named(&self, surface: &'static str, site: Site, fields: Vec<String>, declared: bool) -> Row {
        let cells = Guard::ALL.into_iter().map(|guard| (guard.id(), self.cell(guard, site, declared)));
        Row { surface, site, fields, cells: cells.collect() }
    }

    fn cell(&self, guard: Guard, site: Site, declared: bool) -> Cell {
        let quiet = |state, why: Why| Cell { state, action: None, why: Some(why.as_str().to_owned()) };
        if !self.on.has(guard) {
            return Cell { state: State::Off, action: None, why: None };
        }
        match coverage::reach(guard, site) {
            Reach::Reads => self.runs(guard, None),
            Reach::ReadsOnly => self.runs(guard, Some("what would be redacted is blocked")),
            Reach::Outside(why) => quiet(State::Outside, why),
            Reach::Blind(why) if !self.unread.is_claimed() => Cell {
                why: Some(format!(
                    "{}; no detectors are written, and the defaults claim text only",
                    why.as_str()
                )),
                ..quiet(State::Unread, why)
            },
            // Which media type it will be nobody knows before it comes.
            Reach::Blind(why) if site == Site::Encoded && *self.unread != Unread::only([""; 0]) => Cell {
                why: Some("`unread` lists some of it; the rest is refused".to_owned()),
                ..quiet(State::Unread, why)
            },
            Reach::Blind(why) if declared && site != Site::Encoded => quiet(State::Gap, why),
            Reach::Blind(why) => quiet(State::Refused, why),
        }
    }

    fn runs(&self, guard: Guard, limit: Option<&str>) -> Cell {
        let action = self.action(guard);
        let rewrites = matches!(action, Some("mask" | "tokenise" | "redact"));
        let why = limit.filter(|_| rewrites).map(str::to_owned);
        Cell { state: State::Runs, action, why }
    }

    /// The strictest that is done about what a guard finds.
    fn action(&self, guard: Guard) -> Option<&'static str> {
        let word = Action::as_str;
        let rules = self.guards.model.as_ref();
        match guard {
            Guard::Contract if self.way == Way::Request => Some("enforce"),
            Guard::Contract => Some(match self.route.validate.answers {
                Answers::Off => return None,
                Answers::Observe => "observe",
                Answers::Strip => "strip",
                Answers::Enforce => "enforce",
            }),
            Guard::Objects | Guard::Expose => Some("enforce"),
            Guard::Roles => rules.map(|rules| match rules.client_system {
                ClientSystem::Refuse => "block",
                ClientSystem::Allow => "allow",
                ClientSystem::Demote => "demote",
            }),
            Guard::Classifier => rules.and_then(|rules| rules.orders).map(word),
            Guard::Judge if self.way == Way::Answer => self.guards.answer_judge.as_ref().map(|judge| {
                // An answer is judged as one, and nothing can be taken out of it.
                if judge.action == Action::Observe { "observe" } else { "block" }
            }),
            Guard::Encoder | Guard::Judge => rules.and_then(|rules| {
                let tier = rules.tiers.iter().find(|one| one.tier.guard() == guard)?;
                Some(word(tier.action))
            }),
            Guard::Fence => Some("enforce"),
            Guard::Rules => Some("as written"),
            Guard::Leak => rules.and_then(|rules| rules.answer.leak()).map(word),
            Guard::Pii
            | Guard::Secrets
            | Guard::Injection
            | Guard::ActiveContent
            | Guard::Links
            | Guard::Code
            | Guard::ForgedRoles => {
                let screens = &self.guards.screens;
                let screen = if self.way == Way::Request { &screens.request } else { &screens.answer };
                let own = screen.rules().filter(|(one, _)| coverage::guard(one.group()) == guard);
                own.map(|(_, action)| action).max().map(word)
            }
        }
    }

    /// What a body of these kinds is read as.
    fn bodies(&self, declared: &Declared<'_>) -> Vec<Row> {
        let mut rows: Vec<Row> = declared.sites.iter().map(|site| self.row(*site)).collect();
        let opaque: Vec<&&str> = declared.opaque.iter().filter(|one| !self.unread.allows(one)).collect();
        let is_waived = declared.opaque.iter().any(|one| self.unread.is_claimed() && self.unread.allows(one));
        if let (true, true) = (is_waived, opaque.is_empty()) {
            let mut row = self.row(Site::Opaque);
            for cell in row.cells.values_mut().filter(|cell| cell.state == State::Refused) {
                (cell.state, cell.why) = (State::Unread, Some("`unread` lists it".to_owned()));
            }
            rows.push(row);
        } else {
            rows.push(self.named(Site::Opaque.as_str(), Site::Opaque, Vec::new(), !opaque.is_empty()));
        }
        rows
    }

    /// Messages of a WebSocket, where one may be asked for.
    fn frames(&self) -> Option<Row> {
        self.route.allows_websocket.then(|| {
            let is_waived = self.unread.is_claimed() && self.unread.allows(Unread::WEBSOCKET);
            let mut row = self.named(Site::Frames.as_str(), Site::Frames, Vec::new(), !is_waived);
            for cell in row.cells.values_mut().filter(|cell| cell.state == State::Refused) {
                (cell.state, cell.why) = (State::Unread, Some("`unread` lists `websocket`".to_owned()));
            }
            row
        })
    }
}

/// What the contract says that bodies may be.
#[derive(Default)]
struct Declared<'c> {
    sites: BTreeSet<Site>,
    opaque: BTreeSet<&'c str>,
}

impl<'c> Declared<'c> {
    fn add(&mut self, content: &'c [MediaType]) {
        for media in content {
            let range = &*media.range;
            match Site::of_body(range) {
                _ if range == "*/*" => self.everything(),
                Site::Opaque => {
                    self.opaque.insert(range);
                }
                site => {
                    self.sites.insert(site);
                }
            }
        }
    }

    fn everything(&mut self) {
        self.sites.extend([Site::Json, Site::Form, Site::Text, Site::Parts, Site::Bytes]);
    }

    fn requests(operations: &'c [Operation], is_held: bool) -> Self {
        let mut all = Self::default();
        operations.iter().filter_map(|one| one.body.as_ref()).for_each(|body| all.add(&body.content));
        if !is_held {
            all.everything();
        }
        all
    }

    fn answers(operations: &'c [Operation], is_held: bool) -> Self {
        let mut all = Self::default();
        for answer in operations.iter().flat_map(|one| &one.answers) {
            all.add(&answer.content);
        }
        if !is_held {
            all.everything();
            all.sites.remove(&Site::Parts);
        }
        all
    }
}

/// What has a role.
const MESSAGES: &str = "messages and tool results";

const HEAD: [Site; 4] = [Site::Path, Site::Query, Site::Fields, Site::Protocol];

fn rest(route: &Route, guards: &Guards, tables: &mut Vec<Table>) {
    let filling = Filling::new(route, guards, Way::Request);
    let mut rows: Vec<Row> = HEAD.into_iter().map(|site| filling.row(site)).collect();
    let operations = route.contract.operations();
    rows.extend(filling.bodies(&Declared::requests(operations, route.validate.request)));
    rows.extend(filling.frames());
    tables.push(filling.table("rest", None, rows));
    let mut filling = Filling::new(route, guards, Way::Answer);
    let declared = Declared::answers(operations, route.validate.answers != Answers::Off);
    let mut whole = vec![filling.row(Site::Fields), filling.row(Site::Protocol)];
    if declared.sites.contains(&Site::Json) {
        whole.push(filling.row(Site::Json));
    }
    tables.push(filling.table("rest", None, whole));
    filling.stream = true;
    let (sites, opaque) = (declared.sites.clone(), declared.opaque);
    let chunked = Declared { sites: sites.into_iter().filter(|site| *site != Site::Json).collect(), opaque };
    let mut rows = filling.bodies(&chunked);
    rows.extend(filling.frames());
    tables.push(filling.table("rest", None, rows));
}

fn graph(route: &Route, guards: &Guards, tables: &mut Vec<Table>) {
    let filling = Filling::new(route, guards, Way::Request);
    let sites = [Site::Variables, Site::Literals, Site::Fields, Site::Protocol];
    tables.push(filling.table("graphql", None, sites.map(|site| filling.row(site)).into()));
    let filling = Filling::new(route, guards, Way::Answer);
    let sites = [Site::Json, Site::Fields, Site::Protocol];
    tables.push(filling.table("graphql", None, sites.map(|site| filling.row(site)).into()));
}

fn grpc(route: &Route, guards: &Guards, tables: &mut Vec<Table>) {
    let methods = || {
        let all = route.contract.operations().iter().zip(0..);
        let of = |index| route.grpc.as_ref().and_then(|grpc| grpc.method(index));
        all.filter_map(move |(_, index)| of(portcullis_core::contract::OperationIndex(index)))
    };
    for stream in [false, true] {
        for way in [Way::Request, Way::Answer] {
            let is_any = methods().any(|method| match way {
                Way::Request => method.streams_requests == stream,
                Way::Answer => method.streams_answers == stream,
            });
            if !is_any {
                continue;
            }
            let filling = Filling { stream, ..Filling::new(route, guards, way) };
            let mut sites = vec![Site::Message, Site::Fields, Site::Protocol];
            if way == Way::Answer {
                sites.push(Site::Status);
            }
            let rows = sites.into_iter().map(|site| filling.row(site)).collect();
            tables.push(filling.table("grpc", None, rows));
        }
    }
}

fn tools(route: &Route, guards: &Guards, tables: &mut Vec<Table>) {
    let ways = [(Way::Request, false), (Way::Answer, false), (Way::Answer, true)];
    for (way, stream) in ways {
        let filling = Filling { stream, ..Filling::new(route, guards, way) };
        let mut families: BTreeMap<(&'static str, Site), Vec<String>> = BTreeMap::new();
        let fields: Vec<_> = match way {
            Way::Request => mcp::sent_fields().collect(),
            Way::Answer => mcp::said_fields().collect(),
        };
        for (path, field, origin) in fields {
            let family = match (way, Site::of_field(field, origin)) {
                // What the permit was given for cannot be rewritten.
                (Way::Request, Site::Setting) => ("names and settings", Site::Literals),
                (Way::Request, Site::Prose) => ("arguments, answers of clients", Site::Prose),
                (Way::Answer, Site::Prose) => ("results, descriptions, prompts, resources", Site::Prose),
                (_, site) => (site.as_str(), site),
            };
            families.entry(family).or_default().push(path.to_owned());
            if field == Field::Data {
                let encoded = (Site::Encoded.as_str(), Site::Encoded);
                families.entry(encoded).or_default().push(path.to_owned());
            }
        }
        let mut rows: Vec<Row> = [Site::Fields, Site::Protocol].map(|site| filling.row(site)).into();
        let named = |((surface, site), fields)| filling.named(surface, site, fields, false);
        rows.extend(families.into_iter().map(named));
        tables.push(filling.table("mcp", None, rows));
    }
}

fn model(route: &Route, guards: &Guards, tables: &mut Vec<Table>) {
    let Surface::Model(dialect) = route.surface else { return };
    let operations = route.contract.operations();
    let is_offered = |(of, id): &&(_, &str)| *of == dialect && operations.iter().any(|one| *one.id == **id);
    for endpoint in Endpoint::ALL {
        // A route may offer less than its dialect has.
        let Some((_, name)) = endpoint.spoken().iter().find(is_offered) else { continue };
        let name = Some(*name);
        let filling = Filling::new(route, guards, Way::Request);
        let mut rows: Vec<Row> =
            [Site::Fields, Site::Protocol].into_iter().map(|site| filling.row(site)).collect();
        rows.extend(families(endpoint).into_iter().map(|((surface, site), fields)| {
            let mut row = filling.named(surface, site, fields, false);
            // Roles are those of messages; other prose has an author and no role.
            if surface != MESSAGES
                && let Some(cell) = row.cells.get_mut(Guard::Roles.id())
                && cell.state == State::Runs
            {
                let why = Some(Why::NoRole.as_str().to_owned());
                *cell = Cell { state: State::Outside, action: None, why };
            }
            row
        }));
        tables.push(filling.table(dialect.as_str(), name, rows));
        for stream in [false, true] {
            if stream && !endpoint.has_streams() {
                continue;
            }
            let filling = Filling { stream, ..Filling::new(route, guards, Way::Answer) };
            let mut rows = vec![filling.row(Site::Fields)];
            rows.extend(
                endpoint
                    .answer_fields()
                    .iter()
                    .map(|(surface, at)| filling.named(surface, Site::Said, vec![(*at).to_owned()], false)),
            );
            tables.push(filling.table(dialect.as_str(), name, rows));
        }
    }
}

/// The fields of a request, grouped by what they are called and where they are.
fn families(endpoint: Endpoint) -> BTreeMap<(&'static str, Site), Vec<String>> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (path, field, origin) in endpoint.request_fields() {
        let site = Site::of_field(field, origin);
        let is_tool = ["/tools", "/functions"].iter().any(|start| path.starts_with(start));
        let family = match (site, field) {
            (Site::Prose, Field::JsonText) => "tool arguments",
            (Site::Prose, _) if is_tool => "tool definitions",
            (Site::Prose, _) => match origin {
                portcullis_inspect::dialect::Origin::Author => MESSAGES,
                portcullis_inspect::dialect::Origin::User => "other text of the user",
                portcullis_inspect::dialect::Origin::Document
                | portcullis_inspect::dialect::Origin::Setting => "documents and descriptions",
            },
            (site, _) => site.as_str(),
        };
        all.entry((family, site)).or_default().push(path.clone());
        if matches!(field, Field::Link | Field::Data | Field::Source) {
            all.entry((Site::Encoded.as_str(), Site::Encoded)).or_default().push(path);
        }
    }
    all
}
