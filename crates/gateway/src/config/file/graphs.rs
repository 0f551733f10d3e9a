//! Graphs, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answers, Authorize, Budget, Detectors, Nothing, Size, Tolerance, Unbound, Upstream, Violations};
use crate::config::read::{At, Either, OneOrMany};

/// A GraphQL API. Its root fields are operations of policy: `shop.query.orders`, `shop.mutation.cancelOrder`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Graph {
    /// The schema in SDL, one file or several. What it does not name does not exist.
    #[schemars(extend("x-required" = true))]
    pub(crate) schema: Option<At<OneOrMany<At<String>>>>,
    /// Its one path.
    #[schemars(extend("default" = "/graphql"))]
    pub(crate) path: Option<At<String>>,
    /// Where its requests go, always by `POST`: an address with the upstream's own path, or a mapping. An address
    /// without a path has that of the graph.
    #[schemars(extend("x-required" = true))]
    pub(crate) upstream: Option<At<Either<String, Upstream>>>,
    /// Names of issuers, or `anonymous`, or both. There is no default: who may come must be written.
    #[schemars(extend("x-required" = true))]
    pub(crate) identify: Option<At<OneOrMany<At<String>>>>,
    /// Whether the client's own credential is sent on to the upstream.
    #[schemars(extend("default" = false))]
    pub(crate) forward_credential: Option<bool>,
    /// Whether policy decides.
    #[schemars(extend("default" = "policy"))]
    pub(crate) authorize: Option<Authorize>,
    /// Answers 404 in place of 403.
    #[schemars(extend("default" = false))]
    pub(crate) hide: Option<bool>,
    /// How much one request may ask for.
    pub(crate) limits: Option<GraphLimits>,
    /// Whether `__schema` and `__type` may be asked for; they are operations of policy then (`shop.query.__schema`).
    #[schemars(extend("default" = "refuse"))]
    pub(crate) introspection: Option<Tolerance>,
    /// Files with one document each that clients may name by the SHA-256 of its text; `*` and `?` match within a name.
    pub(crate) operations: Option<OneOrMany<At<String>>>,
    /// What happens to operations that are in no such file. Default: `refuse` where `operations` is written.
    pub(crate) unlisted: Option<Tolerance>,
    /// Object-level authorization: whose the objects must be that arguments name.
    #[serde(default)]
    pub(crate) objects: Vec<At<GraphObject>>,
    /// Arguments that look as if they named an object and need no owner, each with its reason.
    #[serde(default)]
    pub(crate) waive: Vec<At<GraphWaiver>>,
    /// What follows where an argument names an object and is neither bound in `objects` nor in `waive`.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) unbound: Option<Unbound>,
    /// Budgets; a request takes from each.
    #[serde(default)]
    pub(crate) budgets: Vec<At<Budget>>,
    /// Whether answers must be execution results of what was asked for, in the types of the schema. `strip` takes out
    /// fields that nobody asked for, and `extensions`.
    #[schemars(extend("default" = "enforce"))]
    pub(crate) answers: Option<Answers>,
    /// Who is told where a request breaks the schema.
    #[schemars(extend("default" = "all"))]
    pub(crate) violations: Option<Violations>,
    /// Largest request body.
    #[schemars(extend("default" = "256KiB"))]
    pub(crate) body_limit: Option<Size>,
    /// Detectors on variables and literals. Default: `injection` and `active_content` are observed.
    pub(crate) inspect: Option<Either<Nothing, Detectors>>,
    /// Detectors on answers. Default: `secrets` and `pii` are observed.
    pub(crate) screen: Option<Either<Nothing, Detectors>>,
}

/// How much one request of a graph may ask for. Fragments count as often as they are spread.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphLimits {
    /// Tokens of a document, white space and commas among them.
    #[schemars(range(min = 1, max = 20000), extend("default" = 4000))]
    pub(crate) tokens: Option<usize>,
    /// Fields within fields.
    #[schemars(range(min = 1, max = 50), extend("default" = 12))]
    pub(crate) depth: Option<u32>,
    /// Aliases.
    #[schemars(range(min = 0, max = 1000), extend("default" = 15))]
    pub(crate) aliases: Option<u32>,
    /// Directives.
    #[schemars(range(min = 0, max = 1000), extend("default" = 20))]
    pub(crate) directives: Option<u32>,
    /// Root fields of one operation.
    #[schemars(range(min = 1, max = 1000), extend("default" = 10))]
    pub(crate) root_fields: Option<u32>,
    /// Cost of all operations of one request: each field counts 1, or what `@cost` says, for each element of the
    /// lists that it is in.
    #[schemars(range(min = 1, max = 1000000000), extend("default" = 1000))]
    pub(crate) cost: Option<u64>,
    /// How long a list is taken to be where neither `first`, `last`, `limit` nor `@listSize` says it.
    #[schemars(range(min = 1, max = 1000000), extend("default" = 10))]
    pub(crate) list_length: Option<u64>,
    /// Operations in one request.
    #[schemars(range(min = 1, max = 100), extend("default" = 1))]
    pub(crate) batch: Option<usize>,
}

/// Whose the object must be that an argument names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphObject {
    /// Name of an argument, at whatever depth of the operation its field stands; within an input object with a dot:
    /// `input.userId`. A field that has it must be given it.
    #[schemars(extend("x-required" = true))]
    pub(crate) argument: Option<At<String>>,
    /// `claim:NAME`: the value must be the caller's claim.
    #[schemars(extend("x-required" = true))]
    pub(crate) owner: Option<At<String>>,
    /// Only for these fields, each as `Type.field`. Default: for all that have the argument.
    pub(crate) fields: Option<Vec<At<String>>>,
    /// Callers who are not bound: `role:NAME`, `scope:NAME` or `claim:NAME=VALUE`, or a list of them.
    pub(crate) unless: Option<OneOrMany<At<String>>>,
}

/// An argument that needs no owner.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphWaiver {
    /// Its name; within an input object with a dot: `input.userId`.
    #[schemars(extend("x-required" = true))]
    pub(crate) argument: Option<At<String>>,
    /// Only for these fields, each as `Type.field`. Default: for all that have it.
    pub(crate) fields: Option<Vec<At<String>>>,
    /// Why nobody needs to own what it names.
    #[schemars(extend("x-required" = true))]
    pub(crate) reason: Option<At<String>>,
    /// Who wrote this and answers for it, as reviews show it.
    pub(crate) by: Option<At<String>>,
    /// The last day on which this holds (UTC), as `2027-01-31`. Default: no end. When it is over, the fields are
    /// closed, and the configuration is refused until the waiver is looked at again.
    pub(crate) until: Option<At<String>>,
}
