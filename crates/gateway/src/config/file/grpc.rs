//! Services of gRPC.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Authorize, Budget, Detectors, Either, Nothing, Object, OneOrMany, Operations, Requests, Size, Tolerance,
    Unbound, Upstream, Violations, Waiver,
};
use crate::config::read::At;

/// Services of gRPC. They are found by their names, `/package.Service/Method`, so there is no base path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grpc {
    /// The descriptor set: `protoc --descriptor_set_out=FILE --include_imports`, or `buf build -o FILE`. What it does
    /// not name cannot be called.
    #[schemars(extend("x-required" = true))]
    pub(crate) descriptors: Option<At<String>>,
    /// Services that may be called, as `package.Service`. Default: all of the set.
    pub(crate) services: Option<Vec<At<String>>>,
    /// Where its requests go, over HTTP/2: an address, or a mapping.
    #[schemars(extend("x-required" = true))]
    pub(crate) upstream: Option<At<Either<String, Upstream>>>,
    /// Names of issuers, or `anonymous`, or both. There is no default: who may come must be written.
    #[schemars(extend("x-required" = true))]
    pub(crate) identify: Option<At<OneOrMany<At<String>>>>,
    /// Whether the client's own credential is sent on to the upstream.
    #[schemars(extend("default" = false))]
    pub(crate) forward_credential: Option<bool>,
    /// Whether policy decides. Actions are called `name.package.Service.Method`; the scalar fields at the top of a
    /// request are in `context.path`.
    #[schemars(extend("default" = "policy"))]
    pub(crate) authorize: Option<Authorize>,
    /// Answers as if there were nothing in place of `PERMISSION_DENIED`, where existence is a secret.
    #[schemars(extend("default" = false))]
    pub(crate) hide: Option<bool>,
    /// Whose the objects must be that the scalar fields at the top of requests name: `claim:`, `tenant` and `lookup`.
    #[serde(default)]
    pub(crate) objects: Vec<At<Object>>,
    /// Fields that look as if they named an object and need no owner, each with its reason.
    #[serde(default)]
    pub(crate) waive: Vec<At<Waiver>>,
    /// What follows where a field names an object and is neither bound in `objects` nor in `waive`.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) unbound: Option<Unbound>,
    /// Budgets; a request takes from each that applies to it. Operations are called `package.Service.Method`.
    #[serde(default)]
    pub(crate) budgets: Vec<At<Budget>>,
    /// What happens to fields and values of enumerations that the descriptors do not name, in requests and answers.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) unknown: Option<Tolerance>,
    /// Whether messages of requests must meet the descriptors.
    #[schemars(extend("default" = "enforce"))]
    pub(crate) requests: Option<Requests>,
    /// Whether messages of answers must.
    #[schemars(extend("default" = "enforce"))]
    pub(crate) answers: Option<GrpcAnswers>,
    /// Who is told where a request breaks the descriptors (`grpc-status-details-bin`).
    #[schemars(extend("default" = "all"))]
    pub(crate) violations: Option<Violations>,
    /// Largest request.
    #[schemars(extend("default" = "4MiB"))]
    pub(crate) body_limit: Option<Size>,
    /// What differs for single methods, by `package.Service.Method`.
    #[serde(default)]
    pub(crate) operations: Operations,
    /// Detectors on texts in requests. Default: `injection` and `active_content` are observed. Nothing can be
    /// redacted in a message.
    pub(crate) inspect: Option<Either<Nothing, Detectors>>,
    /// Detectors on texts in answers. Default: `secrets` and `pii` are observed.
    pub(crate) screen: Option<Either<Nothing, Detectors>>,
}

/// Whether messages of answers must meet the descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GrpcAnswers {
    /// They must.
    Enforce,
    /// What does not is recorded and passes.
    Observe,
    /// They are not checked.
    None,
}
