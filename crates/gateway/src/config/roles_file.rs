//! The roles file as it is written: its shape, its part of the JSON Schema and of the reference.

use schemars::JsonSchema;
use serde::Deserialize;

use super::read::{At, Either, Named, OneOrMany};

/// Who has which role, and what each role may call. Named by `policy: { roles: … }`; nothing that no role and no
/// Cedar policy names can be called. Its schema is `portcullis.schema.json#/$defs/RolesFile`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolesFile {
    /// Version of the format.
    #[schemars(extend("x-required" = true, "const" = 1))]
    #[expect(dead_code, reason = "it is held against the schema, and there is only one")]
    pub(crate) version: Option<u32>,
    /// The roles. Cedar policies speak of them as `Role::"name"`; what an issuer calls a role is only a sign of one.
    #[serde(default)]
    pub(crate) roles: Named<Role>,
}

/// One role.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    /// Why there is such a role. Required where it allows every operation.
    pub(crate) reason: Option<At<String>>,
    /// Who wrote this and answers for it, as reviews show it.
    pub(crate) by: Option<At<String>>,
    /// Who has it. Without it, only by way of a role that includes it.
    pub(crate) held_by: Option<OneOrMany<At<Either<HolderWord, Holder>>>>,
    /// Roles whose grants it has as well.
    pub(crate) includes: Option<OneOrMany<At<String>>>,
    /// What it may call: `api.operation`, the groups `api.read`, `api.write` and `api`, a model's name, or `*`.
    pub(crate) may: Option<OneOrMany<At<Either<String, Grant>>>>,
}

/// A caller who needs to show nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HolderWord {
    /// A call without credentials.
    Anonymous,
}

/// What shows that a caller has a role: one of `group`, `scope`, `subject` and `claim`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holder {
    /// The issuer whose word counts. May be left out where there is only one.
    pub(crate) issuer: Option<At<String>>,
    /// One of the token's `roles` or `groups`.
    pub(crate) group: Option<At<String>>,
    /// One of the token's scopes.
    pub(crate) scope: Option<At<String>>,
    /// The token's `sub`.
    pub(crate) subject: Option<At<String>>,
    /// A claim by its name, or its path with dots; with `value`.
    pub(crate) claim: Option<At<String>>,
    /// What the claim must be, or hold when it is a list.
    pub(crate) value: Option<At<String>>,
}

/// What a role may call, and when. Conditions only narrow: without the role they grant nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// Operations and groups of them, as in `may`.
    #[schemars(extend("x-required" = true))]
    pub(crate) action: Option<OneOrMany<At<String>>>,
    /// Networks from which alone it holds. The network never grants anything.
    pub(crate) from: Option<OneOrMany<At<String>>>,
    /// A Cedar condition without which it does not hold, such as `context.tls`.
    pub(crate) when: Option<At<String>>,
    /// The last day on which it holds (UTC), as `2027-03-31`, or the moment at which it ends, as
    /// `2027-03-31T12:00:00Z`.
    pub(crate) until: Option<At<String>>,
    /// Why it was given.
    pub(crate) reason: Option<At<String>>,
    /// Who wrote this and answers for it, as reviews show it.
    pub(crate) by: Option<At<String>>,
}
