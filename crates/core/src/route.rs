//! Routes: what is reachable, and the rules of each phase for it.

use std::sync::Arc;

use crate::admit::Budget;
use crate::authorize::AuthorizeRules;
use crate::contract::{Contract, OperationIndex};
use crate::graph::Graph;
use crate::grpc::Grpc;
use crate::identify::IdentifyRules;
use crate::mcp::Mcp;
use crate::validate::ValidateRules;

/// Index of a route in its gate's snapshot; what other crates keep per route is indexed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

/// What kind of traffic a route carries: decides the dialect of refusals and of screening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// An HTTP API with a contract of its own.
    Rest,
    /// A language model, in the dialect of its provider.
    Model(Dialect),
    /// GraphQL over HTTP.
    GraphQl,
    /// gRPC, by a descriptor set.
    Grpc,
    /// Tools, prompts and resources by the Model Context Protocol.
    Mcp,
}

/// Whose interface a model speaks: decides how requests, answers, streams and refusals look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic's messages.
    Anthropic,
    /// OpenAI's, which many others speak.
    OpenAi,
}

impl Dialect {
    /// As the configuration calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
        }
    }
}

/// One configured API or model, compiled.
#[derive(Debug)]
pub struct Route {
    /// Its index.
    pub id: RouteId,
    /// Its name in the configuration.
    pub name: Box<str>,
    /// REST or a model's dialect.
    pub surface: Surface,
    /// Canonical path before the contract's own paths: empty, or `/orders` without a final slash.
    pub base_path: Box<str>,
    /// Operations, parameters, schemas.
    pub contract: Contract,
    /// The schema and the limits of a graph, where this is one.
    pub graph: Option<Arc<Graph>>,
    /// Who may call, as a matter of credentials.
    pub identify: IdentifyRules,
    /// Budgets, strictest first in the file's order.
    pub budgets: Vec<Budget>,
    /// Policy on or off, object rules.
    pub authorize: AuthorizeRules,
    /// How strict the contract is taken.
    pub validate: ValidateRules,
    /// Largest request body in bytes, unless an operation says otherwise.
    pub body_limit: usize,
    /// Operations with a limit of their own.
    pub body_limits: Vec<(OperationIndex, usize)>,
    /// Whether a WebSocket upgrade may be asked for.
    pub allows_websocket: bool,
    /// What messages are held to, where the surface is gRPC.
    pub grpc: Option<Grpc>,
    /// What may be asked for, where the surface is MCP.
    pub mcp: Option<Arc<Mcp>>,
}

impl Route {
    /// Largest request body of an operation, in bytes.
    pub fn body_limit(&self, operation: OperationIndex) -> usize {
        let own = self.body_limits.iter().find(|(index, _)| *index == operation);
        own.map_or(self.body_limit, |(_, limit)| *limit)
    }
}

/// All routes of a gate: those of gRPC, then the others, longest base path first.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
}

impl Routes {
    /// Takes the routes in any order; each [`RouteId`] must be its index in `routes`.
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        // A route of gRPC is found by the names of its services, which go before any base path.
        routes.sort_by_key(|route| (route.grpc.is_none(), std::cmp::Reverse(route.base_path.len())));
        Self { routes }
    }

    /// All routes: those of gRPC, then the others, longest base path first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// The route whose base path is a prefix of `path` at a segment border, and the rest of the path.
    ///
    /// The rest starts with `/`: the base path without a slash after it is no path of any contract. A graph and a tool
    /// server have one path, the base path itself, and `/` is its rest.
    pub fn find<'p>(&self, path: &'p str) -> Option<(&Arc<Route>, &'p str)> {
        self.routes.iter().find_map(|route| {
            let rest = path.strip_prefix(&*route.base_path)?;
            if route.grpc.as_ref().is_some_and(|grpc| !grpc.has_path(rest)) {
                return None;
            }
            match route.surface {
                Surface::GraphQl | Surface::Mcp => rest.is_empty().then_some((route, "/")),
                Surface::Rest | Surface::Model(_) | Surface::Grpc => {
                    rest.starts_with('/').then_some((route, rest))
                }
            }
        })
    }
}
