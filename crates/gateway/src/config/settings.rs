//! The configuration, checked and resolved: plain data, every file read, every default filled in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use ipnet::IpNet;
use portcullis_core::authorize::Who;
use portcullis_core::graph::GraphLimits;
use portcullis_core::grpc::Schema;
use portcullis_core::mcp::Callable;
use portcullis_core::record::Action;
use portcullis_core::roles::{Book, Mark};
use portcullis_core::validate::Told;
use smol_str::SmolStr;

use super::contract::Contract;
use super::diagnostic::Place;
use super::secret::Secret;
use super::units::Rate;

pub use self::content::{ContentKind, ContentRule, Field, Wider};
pub use self::detectors::{Detectors, Fence, Level};
pub(crate) use self::objects::over;
pub use self::objects::{Expose, List, Lookup, LookupSource, Object, ObjectOwner, Waiver};
pub use super::file::Algorithm;

mod content;
mod detectors;
mod objects;

/// Everything that a gate is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listeners: Listeners,
    /// What one client may use up.
    pub limits: Limits,
    /// Networks whose `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Issuers of access tokens, in the file's order; [`Identify::issuers`] are indices into it.
    pub issuers: Vec<Issuer>,
    /// HTTP APIs, in the file's order.
    pub apis: Vec<Api>,
    /// Models, in the file's order.
    pub models: Vec<Model>,
    /// Graphs, in the file's order.
    pub graphs: Vec<Graph>,
    /// Tool servers, in the file's order.
    pub tools: Vec<ToolServer>,
    /// Cedar policy files, sorted by path; empty when there is no `policy`.
    pub policies: Vec<SourceText>,
    /// Threads that read prompts.
    pub encoder: Encoder,
    /// Where the gate remembers who created what, when it does.
    pub ownership: Option<Ownership>,
    /// The roles file.
    pub roles: Option<Roles>,
    /// Where records go.
    pub record: RecordTarget,
    /// Judges outside, in the file's order.
    pub judges: Vec<Judge>,
}

/// Somebody outside who is asked about texts.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Its name in the configuration.
    pub name: String,
    /// What it speaks.
    pub kind: JudgeKind,
    /// Where it is.
    pub upstream: Upstream,
    /// For all texts of one request.
    pub timeout: Duration,
    /// Whether what it does not answer about passes.
    pub passes_unanswered: bool,
    /// What is done about what it objects to.
    pub action: Action,
    /// How many answers are remembered.
    pub memory: usize,
    /// How many questions are asked at once.
    pub concurrency: usize,
    /// Where it is written.
    pub place: Place,
}

/// What a judge speaks.
#[derive(Debug, Clone)]
pub enum JudgeKind {
    /// A webhook.
    Webhook,
    /// Chat completions.
    OpenAi {
        /// The model.
        model: String,
        /// What it is told, where it is not what the gate tells it.
        instructions: Option<SourceText>,
    },
}

/// Which judge is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeUse {
    /// Its index in [`Settings::judges`].
    pub judge: usize,
    /// Whether streams are held until they are judged.
    pub holds: bool,
}

/// Threads that read prompts, where a model's `prompt` asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    /// How many.
    pub threads: usize,
    /// How long the texts of one request may take.
    pub deadline: Duration,
    /// Whether a request is refused of which a text was not read in time; `None`: where an order would be blocked.
    pub refuses_unread: Option<bool>,
    /// How many verdicts are remembered.
    pub memory: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { threads: 2, deadline: Duration::from_secs(1), refuses_unread: None, memory: 16_384 }
    }
}

/// Where the gate remembers who created what.
#[derive(Debug, Clone)]
pub enum Ownership {
    /// A file of JSON lines.
    File {
        /// Where it is.
        path: PathBuf,
        /// How many objects are remembered.
        entries: usize,
    },
    /// A table of PostgreSQL, which several gates may share.
    Table(OwnersTable),
}

/// A table of who created what.
#[derive(Debug, Clone)]
pub struct OwnersTable {
    /// How its server is reached.
    pub server: Arc<Postgres>,
    /// Its schema: lower-case letters, digits and `_`.
    pub schema: String,
    /// Its name: lower-case letters, digits and `_`.
    pub name: String,
    /// For one question or one entry.
    pub timeout: Duration,
    /// Where it is written.
    pub place: Place,
}

/// How a PostgreSQL server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Its name in the configuration.
    pub name: String,
    /// Its host.
    pub host: PostgresHost,
    /// Its port; part of the name of a socket as well.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role that the gate has there.
    pub user: String,
    /// The role's password.
    pub password: Option<Secret>,
    /// How its certificate is verified; `None` is no TLS.
    pub tls: Option<PostgresTls>,
    /// How many connections are open at once.
    pub connections: usize,
    /// Until one is open, TLS and authentication included.
    pub connect_timeout: Duration,
}

/// Where a PostgreSQL server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresHost {
    /// A name or an address.
    Tcp(String),
    /// The folder of its socket.
    Socket(PathBuf),
}

/// How the certificate of a PostgreSQL server is verified: its chain, its dates and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresTls {
    /// Authorities to believe in place of the system's: the file, and what it says.
    pub ca: Option<(PathBuf, Arc<str>)>,
    /// The name in its certificate, where it is not the host.
    pub server_name: Option<String>,
}

/// Where the gate listens.
#[derive(Debug, Clone)]
pub struct Listeners {
    /// For clients.
    pub public: Listener,
    /// For operators, when there is one.
    pub admin: Option<Listener>,
}

/// One listener.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificates; empty means no TLS (loopback, or written `plain: true`).
    pub tls: Vec<TlsPair>,
}

/// A certificate and its key, both PEM, both parsed once already.
#[derive(Debug, Clone)]
pub struct TlsPair {
    /// The certificate chain.
    pub certificate: SourceText,
    /// The private key.
    pub key: Secret,
    /// Server names written for it; empty: those in the certificate.
    pub names: Vec<String>,
    /// Where the pair is written.
    pub place: Place,
}

/// A text file that was read, and how messages name it.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// The file.
    pub path: PathBuf,
    /// How messages name it.
    pub name: Arc<str>,
    /// What it says.
    pub text: Arc<str>,
    /// Where the configuration names it.
    pub place: Place,
}

impl SourceText {
    /// The place of `length` bytes at byte `offset`, for diagnostics about what the file says.
    pub fn at(&self, offset: usize, length: usize) -> Place {
        Place::in_text(&self.name, &self.text, offset, length)
    }
}

/// A roles file, read. Its names are looked up when the gate is compiled.
#[derive(Debug, Clone)]
pub struct Roles {
    /// The file.
    pub file: SourceText,
    /// What it says.
    pub book: Book,
    /// Where it says it, by [`Mark`].
    pub places: Vec<Place>,
}

impl Roles {
    /// Where something of the book is written.
    pub fn place(&self, mark: Mark) -> Place {
        let place = usize::try_from(mark.0).ok().and_then(|mark| self.places.get(mark));
        place.cloned().unwrap_or_else(|| Place { file: self.file.name.clone(), ..Place::default() })
    }
}

/// Limits of connections and heads. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Headers of one request.
    pub header_count: usize,
    /// All headers of one request together.
    pub header_size: usize,
    /// The request target.
    pub target: usize,
    /// Until the whole head has arrived.
    pub header_time: Duration,
    /// Until an idle connection is closed.
    pub idle_time: Duration,
    /// Longest pause while a request body arrives.
    pub body_progress: Duration,
    /// Longest pause while a client does not read.
    pub write_stall: Duration,
    /// Open connections in all.
    pub connections: usize,
    /// Open connections from one address.
    pub connections_per_address: usize,
    /// Concurrent streams on one HTTP/2 connection.
    pub streams_per_connection: u32,
    /// Streams that a client may reset on one HTTP/2 connection.
    pub resets_per_connection: usize,
    /// Decoded header list of one HTTP/2 request.
    pub header_list: usize,
    /// One WebSocket frame.
    pub websocket_frame: usize,
    /// What requests in flight get when the gate stops.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_count: 100,
            header_size: 32 << 10,
            target: 8 << 10,
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            body_progress: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            connections: 10_000,
            connections_per_address: 256,
            streams_per_connection: 100,
            resets_per_connection: 50,
            header_list: 32 << 10,
            websocket_frame: 1 << 20,
            drain_time: Duration::from_secs(30),
        }
    }
}

/// An issuer of access tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its name in the configuration.
    pub name: String,
    /// What `iss` must say.
    pub issuer: String,
    /// What `aud` must contain one of; never empty.
    pub audiences: Vec<String>,
    /// Its public keys.
    pub jwks: Jwks,
    /// Algorithms that its tokens may use; never empty, all asymmetric.
    pub algorithms: Vec<Algorithm>,
    /// Longest time between `iat` and `exp`.
    pub max_lifetime: Option<Duration>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// What `typ` may say, compared without case; never empty.
    pub types: Vec<String>,
    /// Where it is written.
    pub place: Place,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum Jwks {
    /// Fetched from `https://`, or `http://` on loopback.
    Url(Uri),
    /// Read with the configuration: a JSON object with `keys`.
    File(SourceText),
}

/// Who may call, as a matter of credentials. At least one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identify {
    /// Indices into [`Settings::issuers`].
    pub issuers: Vec<usize>,
    /// Whether a call without a credential passes as anonymous.
    pub anonymous: bool,
}

/// An HTTP API.
#[derive(Debug, Clone)]
pub struct Api {
    /// Its name in the configuration.
    pub name: String,
    /// Its contract, read and parsed.
    pub contract: Contract,
    /// What messages are held to, where it is gRPC; `contract` is then made of it.
    pub grpc: Option<Arc<Schema>>,
    /// Empty, or `/orders` without a final slash.
    pub base_path: String,
    /// Where its requests go.
    pub upstream: Upstream,
    /// Who may call.
    pub identify: Identify,
    /// Whether the client's credential is sent on.
    pub forward_credential: bool,
    /// Whether policy decides; otherwise every identified caller may call every operation.
    pub authorize: bool,
    /// 404 in place of 403.
    pub hide: bool,
    /// Object rules.
    pub objects: Vec<Object>,
    /// Parameters that need no owner.
    pub waivers: Vec<Waiver>,
    /// Whether a parameter that names an object may be neither bound nor waived.
    pub allows_unbound: bool,
    /// Property filters.
    pub exposures: Vec<Expose>,
    /// Budgets, in the file's order.
    pub budgets: Vec<Budget>,
    /// Whether unknown fields of JSON objects pass.
    pub allow_unknown_fields: bool,
    /// Whether unknown query parameters pass.
    pub allow_unknown_parameters: bool,
    /// Whether fields of an answer that the contract does not name pass, where nothing is stripped.
    pub allow_unknown_answers: bool,
    /// Whether what the contract says of credentials is not read.
    pub ignore_security: bool,
    /// Who is told where a request breaks the contract.
    pub violations: Told,
    /// Whether requests must meet the contract.
    pub validate_requests: bool,
    /// Whether answers must.
    pub answers: Check,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Operations with a limit of their own: name (`operationId`, or made of method and path) and bytes.
    pub body_limits: Vec<(String, usize)>,
    /// Whether a WebSocket may be asked for.
    pub websocket: bool,
    /// Detectors on requests.
    pub inspect: Detectors,
    /// Detectors on answers.
    pub screen: Detectors,
    /// Where it is written.
    pub place: Place,
}

/// A language model.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name in the configuration.
    pub name: String,
    /// What its clients and its provider speak.
    pub dialect: Dialect,
    /// Which of its endpoints there are.
    pub offer: Offer,
    /// Empty, or `/v1` without a final slash.
    pub base_path: String,
    /// Where its requests go.
    pub upstream: Upstream,
    /// The operator's rules.
    pub system: Option<SourceText>,
    /// What happens to system messages of a client.
    pub client_system: ClientSystem,
    /// Betas that its clients may ask for.
    pub betas: Vec<String>,
    /// Whether what the dialect does not have passes.
    pub allow_unknown: bool,
    /// Whether what the provider stored may be spoken of.
    pub allow_stored: bool,
    /// Whether texts may come as numbers of tokens.
    pub allow_tokens: bool,
    /// Who may call.
    pub identify: Identify,
    /// Whether policy decides.
    pub authorize: bool,
    /// 404 in place of 403.
    pub hide: bool,
    /// Budgets, in the file's order.
    pub budgets: Vec<Budget>,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Detectors on what goes to the model.
    pub prompt: Detectors,
    /// Detectors on what it answers.
    pub answer: Detectors,
    /// Where it is written.
    pub place: Place,
}

/// A tool server.
#[derive(Debug, Clone)]
pub struct ToolServer {
    /// Its name in the configuration.
    pub name: String,
    /// Its one path.
    pub path: String,
    /// Where its requests go.
    pub upstream: Upstream,
    /// Who may call.
    pub identify: Identify,
    /// Whether the client's credential is sent on.
    pub forward_credential: bool,
    /// Whether policy decides.
    pub authorize: bool,
    /// 404 in place of 403.
    pub hide: bool,
    /// Its tools.
    pub tools: Vec<Callable>,
    /// Its prompts.
    pub prompts: Vec<Callable>,
    /// Whether other tools and prompts may be called.
    pub lets_unlisted: bool,
    /// Methods that pass though the protocol does not name them.
    pub methods: Vec<SmolStr>,
    /// Whether members pass that the protocol does not name.
    pub lets_unknown_fields: bool,
    /// Web origins that may call, in lower case.
    pub origins: Vec<Box<str>>,
    /// Budgets, in the file's order; their `operations` are empty.
    pub budgets: Vec<Budget>,
    /// Who is told where a message breaks the protocol.
    pub violations: Told,
    /// Largest message in bytes.
    pub body_limit: usize,
    /// Detectors on what goes to it.
    pub arguments: Detectors,
    /// Detectors on what it says.
    pub results: Detectors,
    /// Where it is written.
    pub place: Place,
}

/// A GraphQL API.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Its name in the configuration.
    pub name: String,
    /// The files of its schema, read and not yet parsed.
    pub schema: Vec<SourceText>,
    /// Its one path.
    pub path: String,
    /// Where its requests go.
    pub upstream: Upstream,
    /// Who may call.
    pub identify: Identify,
    /// Whether the client's credential is sent on.
    pub forward_credential: bool,
    /// Whether policy decides.
    pub authorize: bool,
    /// 404 in place of 403.
    pub hide: bool,
    /// How much one request may ask for.
    pub limits: GraphLimits,
    /// Whether its schema may be asked for.
    pub introspection: bool,
    /// Listed operations, a document each.
    pub operations: Vec<SourceText>,
    /// Whether no other operation passes.
    pub listed_only: bool,
    /// Object rules.
    pub objects: Vec<GraphObject>,
    /// Arguments that need no owner.
    pub waivers: Vec<GraphWaiver>,
    /// Whether an argument that names an object may be neither bound nor waived.
    pub allows_unbound: bool,
    /// Budgets, in the file's order; their `operations` are empty.
    pub budgets: Vec<Budget>,
    /// Whether answers must be execution results of what was asked for.
    pub answers: Check,
    /// Who is told where a request breaks the schema.
    pub violations: Told,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Detectors on variables and literals.
    pub inspect: Detectors,
    /// Detectors on answers.
    pub screen: Detectors,
    /// Where it is written.
    pub place: Place,
}

/// Whose the object must be that an argument names.
#[derive(Debug, Clone)]
pub struct GraphObject {
    /// The argument, and where it is written.
    pub argument: (String, Place),
    /// The claim that must say the same.
    pub equals: String,
    /// Only for these fields, `Type.field`, and where each is written; empty: for all.
    pub fields: Vec<(String, Place)>,
    /// Who is not bound.
    pub unless: Vec<Who>,
    /// Where it is written.
    pub place: Place,
}

/// An argument that needs no owner.
#[derive(Debug, Clone)]
pub struct GraphWaiver {
    /// The argument, and where it is written.
    pub argument: (String, Place),
    /// Only for these fields, `Type.field`, and where each is written; empty: for all.
    pub fields: Vec<(String, Place)>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub by: Option<String>,
    /// The last day on which it holds.
    pub until: Option<jiff::civil::Date>,
    /// Where it is written.
    pub place: Place,
}

/// Which interface a model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

/// Which endpoints of its dialect a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// All of them.
    All,
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
    /// Embeddings.
    Embeddings,
}

/// What happens to system messages of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSystem {
    /// The request is refused.
    Refuse,
    /// They become user messages.
    Demote,
    /// They pass.
    Allow,
}

/// How a check is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It runs and decides.
    Enforce,
    /// It runs, decides, and takes out what is too much.
    Strip,
    /// It runs and is recorded.
    Observe,
    /// It does not run.
    None,
}

/// Where requests go.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `http` or `https`, a host, perhaps a port and a path without a final slash; no userinfo, query, fragment.
    pub url: Uri,
    /// For the whole exchange.
    pub timeout: Duration,
    /// Until it is connected.
    pub connect_timeout: Duration,
    /// Until the answer begins.
    pub first_byte_timeout: Duration,
    /// Longest pause within an answer.
    pub idle_timeout: Duration,
    /// Whether HTTP/2 is spoken to it.
    pub http2: bool,
    /// Authorities to believe in place of the system's, PEM, parsed once already.
    pub ca: Option<SourceText>,
    /// The name in its certificate.
    pub server_name: Option<String>,
    /// The gate's own credential for it.
    pub credential: Option<Credential>,
    /// Sends the client's `Host`.
    pub preserve_host: bool,
    /// Where it is written.
    pub place: Place,
}

/// The gate's own credential for an upstream.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The header that carries it.
    pub header: HeaderName,
    /// The header's whole value, scheme included; always a valid header value.
    pub value: Secret,
}

/// Whose a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// The identified caller's.
    Principal,
    /// The client address's.
    Address,
    /// Everybody's together.
    Route,
}

/// A limit on requests.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Unique within its API or model: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Whose it is.
    pub per: Per,
    /// How many in how long.
    pub limit: Rate,
    /// How many at once; at least 1.
    pub burst: u32,
    /// Only for these operations; empty: for all.
    pub operations: Vec<String>,
    /// Where it is written.
    pub place: Place,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordTarget {
    /// JSON lines on standard output.
    Stdout,
    /// Nowhere.
    None,
    /// JSON lines appended to a file.
    File(PathBuf),
}
