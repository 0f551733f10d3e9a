//! Tool servers, as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Authorize, Budget, Detectors, Nothing, Size, Tolerance, Upstream, Violations};
use crate::config::read::{At, Either, Named, OneOrMany};

/// A server of tools, resources and prompts (Model Context Protocol, Streamable HTTP). Operations of policy: `session`,
/// which opens, keeps and ends one; `tools.list`, `prompts.list` and `resources.list`; `resources.read` and
/// `resources.subscribe`, with `context.path.uri`; `completion.complete`; and for each tool and prompt that is listed
/// here `tools.call.NAME` and `prompts.get.NAME`. What a caller may not call is not in the lists that it gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolServer {
    /// Its one path.
    #[schemars(extend("default" = "/mcp"))]
    pub(crate) path: Option<At<String>>,
    /// Where its requests go: an address with the upstream's own path, or a mapping. An address without a path has that
    /// of the gate.
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
    /// Its tools, by their names.
    #[serde(default)]
    pub(crate) tools: Offers,
    /// Its prompts, by their names.
    #[serde(default)]
    pub(crate) prompts: Offers,
    /// What happens to tools and prompts that are not listed. With `allow` they are called by the operations
    /// `tools.call` and `prompts.get`, with `context.path.name`.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) unlisted: Option<Tolerance>,
    /// What happens to what the protocol does not name.
    pub(crate) unknown: Option<UnknownMessages>,
    /// Web origins whose pages may call it: `https://app.example.com`. Pages of the same machine may, where the gate
    /// is called by a name of that machine.
    #[serde(default)]
    pub(crate) origins: Vec<At<String>>,
    /// Budgets; a request takes from each.
    #[serde(default)]
    pub(crate) budgets: Vec<At<Budget>>,
    /// Who is told where a message breaks the protocol.
    #[schemars(extend("default" = "all"))]
    pub(crate) violations: Option<Violations>,
    /// Largest message of a client.
    #[schemars(extend("default" = "1MiB"))]
    pub(crate) body_limit: Option<Size>,
    /// Detectors on what goes to the server: arguments, and what its questions are answered with. Default: `secrets`,
    /// `injection` and `active_content` are observed.
    pub(crate) arguments: Option<Either<Nothing, Detectors>>,
    /// Detectors on what it says: results, resources, prompts, questions, and the descriptions of all of them. Default:
    /// `injection` is blocked, `secrets` and `links` are redacted, `pii`, `active_content` and what the classifier finds
    /// are observed.
    pub(crate) results: Option<Either<Nothing, Detectors>>,
}

/// Tools or prompts by name: their names are the server's, so any text is a key.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Offers(pub(crate) Named<Offer>);

impl JsonSchema for Offers {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "offers".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Offer>();
        json_schema!({ "type": "object", "additionalProperties": one })
    }
}

/// A tool or a prompt that may be called.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// Whether it only reads, and so belongs to the group `NAME.read`. Default: `false` for tools, `true` for prompts.
    pub(crate) reads: Option<bool>,
}

/// What happens to what the protocol does not name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnknownMessages {
    /// Methods that pass, of clients and of the server, such as `tasks/get`. A client's are operations of policy, with
    /// dots for slashes.
    pub(crate) methods: Option<Vec<At<String>>>,
    /// Members of a client's messages.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) fields: Option<Tolerance>,
}
