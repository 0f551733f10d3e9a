//! The configuration file as it is written: these types are its shape, its JSON Schema and its reference.
//!
//! Keys that must be written are `Option` here as well, marked `x-required` and then `required` in the schema: a file that misses one
//! is reported and the rest of it is still read, so that all mistakes are found at once.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

pub(crate) use super::read::Either;
use super::read::{At, Named, OneOrMany};
use super::units::{self, Rate};

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident($value:ty) = $kind:literal, $pattern:literal, $example:literal, $read:path;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(pub(crate) $value);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(&text).map(Self).map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool { true }
            fn schema_name() -> Cow<'static, str> { $kind.into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "x-kind": $kind, "pattern": $pattern, "examples": [$example] })
            }
        }
    )+};
}

quantities! {
    /// A time span with its unit.
    Span(Duration) = "duration", "^[0-9]+ ?(ms|s|m|min|h|d)$", "30s", units::duration;
    /// A number of bytes with its unit.
    Size(usize) = "size", "^[0-9]+ ?(B|KB|kB|MB|GB|KiB|MiB|GiB)$", "64KiB", units::size;
    /// So many in so long.
    Per(Rate) = "rate", "^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)$", "100/min", units::rate;
}

/// A reference to a secret: `env:NAME` or `file:path`. The secret itself is never written here.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretReference(pub(crate) String);

impl std::fmt::Debug for SecretReference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretReference(…)")
    }
}

impl JsonSchema for SecretReference {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-kind": "secret", "pattern": "^(env:[A-Za-z0-9_]+|file:.+)$" })
    }
}

/// The configuration of one gate. Every path in it is relative to the file itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Version of this format: `1`.
    #[schemars(extend("x-required" = true, "const" = 1))]
    #[expect(dead_code, reason = "it is held against the schema, and there is only one")]
    pub(crate) version: Option<u32>,
    /// Where the gate listens.
    #[schemars(extend("x-required" = true))]
    pub(crate) listeners: Option<Listeners>,
    /// What one client may use up before anything is decided about it.
    pub(crate) limits: Option<Limits>,
    /// Networks whose `Forwarded` and `X-Forwarded-*` headers are believed. Empty: nobody's.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<At<String>>,
    /// Who may vouch for a caller.
    pub(crate) identity: Option<Identity>,
    /// HTTP APIs, each with its contract. The name is used in policies, records and metrics.
    #[serde(default)]
    pub(crate) apis: Named<Api>,
    /// Language models.
    #[serde(default)]
    pub(crate) models: Named<Model>,
    /// GraphQL APIs, each with its schema.
    #[serde(default)]
    pub(crate) graphs: Named<Graph>,
    /// Tool servers (Model Context Protocol).
    #[serde(default)]
    pub(crate) tools: Named<ToolServer>,
    /// Services of gRPC, each with its descriptor set.
    #[serde(default)]
    pub(crate) grpc: Named<Grpc>,
    /// Who may do what.
    pub(crate) policy: Option<At<Policy>>,
    /// PostgreSQL servers that know whose objects are, by the name that `lookup` and `ownership` use.
    #[serde(default)]
    pub(crate) postgres: Named<Postgres>,
    /// Judges outside, by the name that `judge` in a model's `prompt` and `answer` uses.
    #[serde(default)]
    pub(crate) judges: Named<Judge>,
    /// The threads that read prompts where a model's `prompt` says `encoder`.
    pub(crate) encoder: Option<At<Encoder>>,
    /// Where the gate remembers who created what, for objects whose owner is `created-by`: a file, or a table.
    pub(crate) ownership: Option<At<Ownership>>,
    /// Where the record of each request goes.
    #[schemars(extend("default" = "stdout"))]
    pub(crate) record: Option<Either<RecordWord, RecordFile>>,
}

/// The listeners.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listeners {
    /// For clients.
    #[schemars(extend("x-required" = true))]
    pub(crate) public: Option<PublicListener>,
    /// For operators: health, readiness and metrics. Not opened when absent.
    pub(crate) admin: Option<AdminListener>,
}

/// The listener for clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicListener {
    /// Address and port, as `0.0.0.0:8443` or `[::]:8443`.
    #[schemars(extend("x-required" = true))]
    pub(crate) address: Option<At<String>>,
    /// One certificate with its key, or a list of them; the client's server name (SNI) picks one.
    pub(crate) tls: Option<OneOrMany<At<Tls>>>,
    /// Says that there is no TLS. Must be written to listen without TLS anywhere but on loopback.
    #[schemars(extend("default" = false))]
    pub(crate) plain: Option<bool>,
}

/// The listener for operators.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminListener {
    /// Address and port, as `127.0.0.1:9443`.
    #[schemars(extend("x-required" = true))]
    pub(crate) address: Option<At<String>>,
    /// Says that the listener may be reached from other machines. Must be written for any address but loopback.
    #[schemars(extend("default" = false))]
    pub(crate) expose: Option<bool>,
    /// One certificate with its key, or a list of them.
    pub(crate) tls: Option<OneOrMany<At<Tls>>>,
    /// Says that there is no TLS. Must be written to listen without TLS anywhere but on loopback.
    #[schemars(extend("default" = false))]
    pub(crate) plain: Option<bool>,
}

/// A certificate and its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file with the certificate chain, the leaf first.
    #[schemars(extend("x-required" = true))]
    pub(crate) certificate: Option<At<String>>,
    /// PEM file with the private key.
    #[schemars(extend("x-required" = true))]
    pub(crate) key: Option<At<String>>,
    /// Server names it is used for. Empty: the names in the certificate.
    #[serde(default)]
    pub(crate) names: Vec<At<String>>,
}

/// Limits. All have safe defaults.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Headers of one request.
    #[schemars(range(min = 1, max = 1000), extend("default" = 100))]
    pub(crate) header_count: Option<usize>,
    /// All headers of one request together.
    #[schemars(extend("default" = "32KiB"))]
    pub(crate) header_size: Option<Size>,
    /// The request target.
    #[schemars(extend("default" = "8KiB"))]
    pub(crate) target: Option<Size>,
    /// Until the whole head of a request has arrived.
    #[schemars(extend("default" = "10s"))]
    pub(crate) header_time: Option<Span>,
    /// Until an idle connection is closed.
    #[schemars(extend("default" = "75s"))]
    pub(crate) idle_time: Option<Span>,
    /// Longest pause while a request body arrives.
    #[schemars(extend("default" = "10s"))]
    pub(crate) body_progress: Option<Span>,
    /// Longest pause while a client does not read its answer.
    #[schemars(extend("default" = "30s"))]
    pub(crate) write_stall: Option<Span>,
    /// Open connections in all.
    #[schemars(range(min = 1, max = 1000000), extend("default" = 10000))]
    pub(crate) connections: Option<usize>,
    /// Open connections from one address.
    #[schemars(range(min = 1, max = 1000000), extend("default" = 256))]
    pub(crate) connections_per_address: Option<usize>,
    /// Concurrent streams on one HTTP/2 connection.
    #[schemars(range(min = 1, max = 10000), extend("default" = 100))]
    pub(crate) streams_per_connection: Option<u32>,
    /// Streams that a client may reset on one HTTP/2 connection before it is closed.
    #[schemars(range(min = 1, max = 10000), extend("default" = 50))]
    pub(crate) resets_per_connection: Option<usize>,
    /// Decoded header list of one HTTP/2 request.
    #[schemars(extend("default" = "32KiB"))]
    pub(crate) header_list: Option<Size>,
    /// One WebSocket frame.
    #[schemars(extend("default" = "1MiB"))]
    pub(crate) websocket_frame: Option<Size>,
    /// What requests in flight get to finish when the gate stops.
    #[schemars(extend("default" = "30s"))]
    pub(crate) drain_time: Option<Span>,
}

/// Who may vouch for a caller.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Issuers of access tokens (JWT, RFC 9068), by the name that `identify` uses.
    #[serde(default)]
    pub(crate) issuers: Named<Issuer>,
}

/// An issuer of access tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issuer {
    /// What the claim `iss` must say, exactly.
    #[schemars(extend("x-required" = true))]
    pub(crate) issuer: Option<At<String>>,
    /// What the claim `aud` must contain: one of these.
    #[schemars(extend("x-required" = true))]
    pub(crate) audience: Option<OneOrMany<At<String>>>,
    /// The issuer's public keys: an `https://` address, or `file:` and a path.
    #[schemars(extend("x-required" = true))]
    pub(crate) jwks: Option<At<String>>,
    /// Algorithms that its tokens may use. Default: all that are asymmetric.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// Longest time between the claims `iat` and `exp`. Default: no limit.
    pub(crate) max_lifetime: Option<Span>,
    /// How far clocks may differ.
    #[schemars(extend("default" = "30s"))]
    pub(crate) leeway: Option<Span>,
    /// What the header `typ` must say. Default: `at+jwt` or `JWT`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<At<String>>,
}

/// A signature algorithm (RFC 7518, RFC 8037). There is no `none` and no HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    ES256,
    ES384,
    EdDSA,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
}

/// An HTTP API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    /// The OpenAPI 2.0, 3.0 or 3.1 document, YAML or JSON. What it does not name cannot be reached.
    #[schemars(extend("x-required" = true))]
    pub(crate) contract: Option<At<String>>,
    /// Path before the contract's own paths. Default: that of the contract's first server, which an upstream without
    /// a path of its own then has as well; else `/`.
    pub(crate) base_path: Option<At<String>>,
    /// Where its requests go: an address, or a mapping.
    #[schemars(extend("x-required" = true))]
    pub(crate) upstream: Option<At<Either<String, Upstream>>>,
    /// Names of issuers, or `anonymous`, or both. There is no default: who may come must be written.
    #[schemars(extend("x-required" = true))]
    pub(crate) identify: Option<At<OneOrMany<At<String>>>>,
    /// Whether `identify` must be able to take what the contract's security schemes ask callers for.
    #[schemars(extend("default" = "require"))]
    pub(crate) security: Option<Security>,
    /// Whether the client's own credential is sent on to the upstream.
    #[schemars(extend("default" = false))]
    pub(crate) forward_credential: Option<bool>,
    /// Whether policy decides.
    #[schemars(extend("default" = "policy"))]
    pub(crate) authorize: Option<Authorize>,
    /// Answers 404 in place of 403, where existence is a secret.
    #[schemars(extend("default" = false))]
    pub(crate) hide: Option<bool>,
    /// Object-level authorization: whose the objects must be that requests name and answers list.
    #[serde(default)]
    pub(crate) objects: Vec<At<Object>>,
    /// Parameters that look as if they named an object and need no owner, each with its reason.
    #[serde(default)]
    pub(crate) waive: Vec<At<Waiver>>,
    /// What follows where a parameter names an object and is neither bound in `objects` nor in `waive`.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) unbound: Option<Unbound>,
    /// Which properties of requests and answers a caller may send and see. An operation that is named here is closed
    /// to whom no entry names; a caller whom several name has all that they say.
    #[serde(default)]
    pub(crate) expose: Vec<At<Expose>>,
    /// Budgets; a request takes from each that applies to it.
    #[serde(default)]
    pub(crate) budgets: Vec<At<Budget>>,
    /// What happens to what the contract does not name.
    pub(crate) unknown: Option<Unknown>,
    /// Whether requests must meet the contract.
    #[schemars(extend("default" = "enforce"))]
    pub(crate) requests: Option<Requests>,
    /// Whether answers must meet the contract.
    #[schemars(extend("default" = "enforce"))]
    pub(crate) answers: Option<Answers>,
    /// Who is told where a request breaks the contract, each place with a JSON pointer.
    #[schemars(extend("default" = "all"))]
    pub(crate) violations: Option<Violations>,
    /// Largest request body.
    #[schemars(extend("default" = "1MiB"))]
    pub(crate) body_limit: Option<Size>,
    /// What differs for single operations, by `operationId` (where there is none: method and path, as `getUsersId`).
    #[serde(default)]
    pub(crate) operations: Operations,
    /// Whether a client may ask for a WebSocket.
    #[schemars(extend("default" = false))]
    pub(crate) websocket: Option<bool>,
    /// Detectors on requests. Default: `injection`, `roles` and `active_content` are observed.
    pub(crate) inspect: Option<Either<Nothing, Detectors>>,
    /// Detectors on answers. Default: `secrets` and `pii` are observed.
    pub(crate) screen: Option<Either<Nothing, Detectors>>,
}

/// A language model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// Which interface its clients and its provider speak.
    #[schemars(extend("x-required" = true))]
    pub(crate) dialect: Option<Dialect>,
    /// Path before the dialect's own paths.
    #[schemars(extend("default" = "/"))]
    pub(crate) base_path: Option<At<String>>,
    /// Where its requests go: an address, or a mapping.
    #[schemars(extend("x-required" = true))]
    pub(crate) upstream: Option<At<Either<String, Upstream>>>,
    /// A text file with the operator's rules, put before every conversation.
    pub(crate) system: Option<At<String>>,
    /// What happens to system messages that a client sends.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) client_system: Option<ClientSystem>,
    /// Betas that clients of an `anthropic` model may ask for in `anthropic-beta`.
    #[serde(default)]
    pub(crate) betas: Vec<At<String>>,
    /// Names of issuers, or `anonymous`, or both. There is no default: who may come must be written.
    #[schemars(extend("x-required" = true))]
    pub(crate) identify: Option<At<OneOrMany<At<String>>>>,
    /// Fields, kinds of messages and parts, and events of a stream that the dialect does not have. What passes is read
    /// string by string.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) unknown: Option<Tolerance>,
    /// What clients may send although nobody can read it here. Default: nothing.
    pub(crate) unread: Option<Vec<Unread>>,
    /// Whether policy decides.
    #[schemars(extend("default" = "policy"))]
    pub(crate) authorize: Option<Authorize>,
    /// Answers 404 in place of 403.
    #[schemars(extend("default" = false))]
    pub(crate) hide: Option<bool>,
    /// Budgets; a request takes from each.
    #[serde(default)]
    pub(crate) budgets: Vec<At<Budget>>,
    /// Largest request body.
    #[schemars(extend("default" = "4MiB"))]
    pub(crate) body_limit: Option<Size>,
    /// Detectors on what goes to the model. Default: `injection` is blocked, `roles` are redacted.
    pub(crate) prompt: Option<Either<Nothing, Detectors>>,
    /// Detectors on what the model answers. Default: `pii`, `secrets`, `active_content` and `leak` are redacted.
    pub(crate) answer: Option<Either<Nothing, Detectors>>,
}

/// Where requests go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// `http://` or `https://` address, perhaps with a path that is put before each request's own.
    #[schemars(extend("x-required" = true))]
    pub(crate) url: Option<At<String>>,
    /// For the whole exchange. Default: `60s` for an API, `10m` for a model or a tool server.
    pub(crate) timeout: Option<Span>,
    /// Until it is connected, TLS included.
    #[schemars(extend("default" = "5s"))]
    pub(crate) connect_timeout: Option<Span>,
    /// Until the answer begins. Default: `30s` for an API, `2m` for a model.
    pub(crate) first_byte_timeout: Option<Span>,
    /// Longest pause within an answer.
    #[schemars(extend("default" = "60s"))]
    pub(crate) idle_timeout: Option<Span>,
    /// Whether HTTP/2 is spoken to it: negotiated with TLS, from the start without.
    #[schemars(extend("default" = false))]
    pub(crate) http2: Option<bool>,
    /// PEM file with the authorities to believe, in place of the system's.
    pub(crate) ca: Option<At<String>>,
    /// The name in its certificate, where it is not the host of the address.
    pub(crate) server_name: Option<At<String>>,
    /// The gate's own credential for it: a reference to a secret, sent as `Authorization: Bearer` (to an
    /// `anthropic` model as `x-api-key`), or a mapping.
    pub(crate) credential: Option<At<Either<SecretReference, Credential>>>,
    /// Sends the client's `Host` in place of the upstream's.
    #[schemars(extend("default" = false))]
    pub(crate) preserve_host: Option<bool>,
}

/// The gate's own credential for an upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    /// The header that carries it. Default: `authorization`, and `x-api-key` for an `anthropic` model.
    pub(crate) header: Option<At<String>>,
    /// `env:NAME` or `file:path`.
    #[schemars(extend("x-required" = true))]
    pub(crate) value: Option<At<SecretReference>>,
    /// The word before it. Default: `Bearer` in `authorization`, nothing in other headers; `""` for nothing.
    pub(crate) scheme: Option<At<String>>,
}

/// A limit on requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Whose budget it is.
    #[schemars(extend("x-required" = true))]
    pub(crate) per: Option<BudgetPer>,
    /// How many requests in how long.
    #[schemars(extend("x-required" = true))]
    pub(crate) limit: Option<Per>,
    /// How many may come at once. Default: as many as `limit` counts.
    #[schemars(range(min = 1, max = 1000000))]
    pub(crate) burst: Option<u32>,
    /// Only for these operations (`operationId`). Default: for all, together.
    pub(crate) operations: Option<Vec<At<String>>>,
    /// How headers and records call it. Default: what it is per, numbered when there are several.
    pub(crate) name: Option<At<String>>,
}

/// What happens to what the contract does not name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unknown {
    /// Fields of a JSON object, also where the schema is silent.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) fields: Option<Tolerance>,
    /// Query parameters.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) parameters: Option<Tolerance>,
    /// Fields of an answer, where `answers` is `enforce` or `observe`; with `strip` they are taken out.
    #[schemars(extend("default" = "allow"))]
    pub(crate) answers: Option<Tolerance>,
}

/// Operations by name: their names are the contract's, so any text is a key.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Operations(pub(crate) Named<Operation>);

impl JsonSchema for Operations {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "operations".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Operation>();
        json_schema!({ "type": "object", "additionalProperties": one })
    }
}

/// What differs for one operation.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// Largest request body.
    pub(crate) body_limit: Option<Size>,
}

/// What is done about each kind of finding. What is not written keeps the default.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detectors {
    /// Personal data: addresses, telephone numbers, cards, accounts, national identifiers, dates of birth.
    pub(crate) pii: Option<At<DetectorLevel>>,
    /// Keys and tokens by their shapes, credentials in URLs, and what a name calls a secret.
    pub(crate) secrets: Option<DetectorLevel>,
    /// Phrases that try to override a model's instructions.
    pub(crate) injection: Option<DetectorLevel>,
    /// Signs of a role that the writer does not have: control tokens of chat templates, forged headings, tags and turns.
    pub(crate) roles: Option<DetectorLevel>,
    /// Scripts, event handlers, escape sequences and the like in text.
    pub(crate) active_content: Option<DetectorLevel>,
    /// Links and images that carry data out, and hosts that look like others.
    pub(crate) links: Option<DetectorLevel>,
    /// Lines of code that are dangerous to run.
    pub(crate) code: Option<DetectorLevel>,
    /// Text that tries to give a model orders, as a classifier sees it. It reads what users and documents
    /// say in a model's `prompt`, and the `results` of tool servers. It is wrong about one ordinary text in a hundred, so
    /// its default there is `observe`.
    pub(crate) classifier: Option<At<DetectorLevel>>,
    /// The judge of `judges` that is asked about prompts, or about answers, of a model: its name, or a mapping.
    pub(crate) judge: Option<At<Either<String, JudgeUse>>>,
    /// Text that tries to give a model orders, as a small transformer in this process sees it, in many languages, within
    /// the time that [`encoder`](#encoder) gives. It reads what `classifier` reads. Only in programs that were built
    /// with the feature `ml`; its default there is `observe`.
    pub(crate) encoder: Option<At<DetectorLevel>>,
    /// What documents and tools wrote is fenced by tags with a code that is drawn for each request, and the operator's
    /// text says what that means. Only in a model's `prompt`; its default is `off`.
    pub(crate) fence: Option<At<FenceWord>>,
    /// A random word is put behind the operator's text, so that `leak` knows the text in every spelling. Only in a
    /// model's `prompt` with `system`; its default is `false`.
    pub(crate) canary: Option<At<bool>>,
    /// The operator's text in what the model says: twelve words in a row, most of a sentence, the canary. Only in a
    /// model's `answer`; its default there is `redact`.
    pub(crate) leak: Option<At<DetectorLevel>>,
    /// Single detectors that do not run, though their kind does: `phone`, `mac-address`.
    pub(crate) except: Option<Vec<At<String>>>,
    /// Hosts that links and images may lead to: `example.com`, `*.example.com`. Others are found by `links` then.
    pub(crate) hosts: Option<Vec<At<String>>>,
    /// Values that are no finding of personal data or secrets: `*@example.com`, `+49 30 1234567`, `10.0.0.0/8`.
    pub(crate) allow: Option<Vec<At<String>>>,
    /// Fields where something else is done. A field has the levels that it names, and the others as everywhere.
    #[serde(default)]
    pub(crate) fields: Vec<At<Field>>,
    /// The operator's own rules: topics, phrases, languages, length, the schema of structured answers.
    #[serde(default)]
    pub(crate) rules: Vec<At<ContentRule>>,
    /// What may pass although no detector can read it: media types such as `image/*` or `application/pdf`, and
    /// `websocket`. Where detectors are written, anything else that is compressed, drawn or spoken is refused.
    pub(crate) unread: Option<Vec<At<String>>>,
}

/// The threads that read prompts where a model's `prompt` says `encoder`. They read all texts of a request at once;
/// a thread reads a window of about 300 characters in some ten milliseconds, so that a second is enough for 20,000 characters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoder {
    /// How many threads.
    #[schemars(extend("default" = 2, "minimum" = 1, "maximum" = 256))]
    pub(crate) threads: Option<At<usize>>,
    /// How long a request waits for its texts to be read.
    #[schemars(extend("default" = "1s"))]
    pub(crate) deadline: Option<Span>,
    /// What becomes of a request of which a text was not read: because it was late, too long, or too many waited. The
    /// record says so either way. Default: `refuse` where an order would be blocked, `pass` elsewhere.
    pub(crate) on_timeout: Option<OnTimeout>,
    /// How many verdicts are remembered, so that texts which come again are not read again.
    #[schemars(extend("default" = 16384))]
    pub(crate) memory: Option<usize>,
}

/// What becomes of a request of which a text was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnTimeout {
    /// It is refused.
    Refuse,
    /// It passes, and the record says what was not read.
    Pass,
}

/// Where records go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordFile {
    /// A file of JSON lines, appended to.
    #[schemars(extend("x-required" = true))]
    pub(crate) path: Option<At<String>>,
}

/// Who may do what.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// The roles file: who has which role, and what each may call.
    pub(crate) roles: Option<At<String>>,
    /// Files of Cedar policies; `*` and `?` match within a name.
    pub(crate) cedar: Option<Vec<At<String>>>,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub(crate) enum $name { $($(#[$word_doc])* $word,)+ }
    )+};
}

words! {
    /// How what documents and tools wrote goes to a model.
    FenceWord {
        /// As it is.
        Off,
        /// Behind a fence.
        On,
        /// Behind a fence, its words joined by a mark in place of spaces.
        Mark,
    }
    /// Nothing is done, and the record says so.
    Nothing {
        /// No detector runs.
        None,
    }
    /// Where records go.
    RecordWord {
        /// JSON lines on standard output.
        Stdout,
        /// Nowhere.
        None,
    }
    /// Whether policy decides.
    Authorize {
        /// Only what policy permits.
        Policy,
        /// Everybody who was identified may call every operation.
        None,
    }
    /// Whose budget it is.
    BudgetPer {
        /// The identified caller's.
        Principal,
        /// The client address's.
        Address,
        /// Everybody's together.
        Route,
    }
    /// What happens to what the contract does not name.
    Tolerance {
        /// The request is refused.
        Refuse,
        /// It passes, unchecked.
        Allow,
    }
    /// Whether requests must meet the contract.
    Requests {
        /// They must.
        Enforce,
        /// They are not checked.
        None,
    }
    /// Whether answers must meet the contract.
    Answers {
        /// They must.
        Enforce,
        /// Fields and headers that the contract does not name are taken out, but for the headers of HTTP itself; what
        /// else breaks the contract does not leave.
        Strip,
        /// What does not is recorded and passes.
        Observe,
        /// They are not checked.
        None,
    }
    /// Whether the contract's security schemes must be met.
    Security {
        /// An operation that asks for a credential which `identify` cannot take is an error.
        Require,
        /// What the contract says of credentials is not read.
        Ignore,
    }
    /// Who is told where a request breaks the contract.
    Violations {
        /// Every caller who may call the operation.
        All,
        /// Those among them who were identified.
        Identified,
        /// Nobody: only the record says it.
        None,
    }
    /// What is done about findings.
    DetectorLevel {
        /// The detector does not run.
        Off,
        /// Findings are recorded.
        Observe,
        /// Findings are replaced by a part of themselves, as `**** 4242`: personal data only.
        Mask,
        /// Findings are replaced by tokens, which the model's answer has back as they were: personal data in a model's `prompt` only.
        Tokenise,
        /// Findings are replaced by a placeholder.
        Redact,
        /// The request or answer is stopped.
        Block,
        /// The same as `block`.
        Enforce,
    }
    /// Which interface a model speaks.
    Dialect {
        /// OpenAI: chat completions, responses, embeddings and the list of models.
        OpenAi,
        /// Anthropic messages.
        Anthropic,
        /// Only chat completions, and the list of models.
        #[serde(rename = "openai-chat")]
        OpenAiChat,
        /// Only responses, and the list of models.
        #[serde(rename = "openai-responses")]
        OpenAiResponses,
        /// Only embeddings, and the list of models.
        #[serde(rename = "openai-embeddings")]
        OpenAiEmbeddings,
        /// The same as `openai-embeddings`.
        Embeddings,
    }
    /// What a model is asked with although it cannot be read here.
    Unread {
        /// Earlier responses, conversations, prompts and items that the provider stored; it may store more.
        Stored,
        /// Texts for embeddings as numbers of tokens.
        Tokens,
    }
    /// What happens to system messages that a client sends.
    ClientSystem {
        /// The request is refused.
        Refuse,
        /// They become user messages.
        Demote,
        /// They pass.
        Allow,
    }
}

mod content;
mod graphs;
mod grpc;
mod judges;
mod objects;
mod postgres;
mod tools;

pub(crate) use content::{ContentRule, Field, RuleAction, Wider};
pub(crate) use graphs::{Graph, GraphLimits, GraphObject, GraphWaiver};
pub(crate) use grpc::{Grpc, GrpcAnswers};
pub(crate) use judges::{Judge, JudgeAction, JudgeFailure, JudgeKind, JudgeStreams, JudgeUse};
pub(crate) use objects::{
    Created, Excess, Expose, List, Lookup, Object, Ownership, Unbound, Waiver, WaiverPlace,
};
pub(crate) use postgres::{Postgres, PostgresTls};
pub(crate) use tools::{Offers, ToolServer};
