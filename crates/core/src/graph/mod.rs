//! GraphQL: a schema (SDL) as the contract, and what an operation asks of it.
//!
//! A [`Graph`] is compiled once. For a request, [`Graph::read`] finds the operations and the root fields that they
//! name, which are the actions that policy is asked about; [`Graph::judge`] holds them to the limits and to the
//! schema, and their arguments to the object rules. What is sent on is written from what was judged
//! ([`Judged::body`]): a client's own bytes never are.
//!
//! What is costly is bounded before it begins: tokens and nesting while the text is read, what it comes to once
//! fragments are spread before it is validated, and cost before anything is sent.

mod answer;
mod arguments;
mod cost;
mod document;
mod envelope;
mod measure;
mod sites;

use std::ops::Range;
use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::ast::OperationType;
use apollo_compiler::diagnostic::Diagnostic;
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::{ExtendedType, FieldDefinition};
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid};
use http::HeaderMap;
use quick_cache::sync::Cache;
use rustc_hash::FxHashMap;
use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};

pub use answer::Expected;
pub use envelope::{Asked, Call, Given, RootCall};
pub use sites::Site;

use crate::authorize::{Bound, ObjectError};
use crate::halt::{Halt, Reason, Violation};
use crate::identify::Principal;
use document::Document;

/// The transport of a graph as a contract: one path, `POST` and `GET`.
pub const TRANSPORT: &str = include_str!("transport.json");

/// Documents that are kept parsed.
const KEPT_DOCUMENTS: usize = 256;
/// Longer documents are not kept.
const KEPT_LENGTH: usize = 16 << 10;
/// How deep input types are looked into for names of arguments.
const ARGUMENT_DEPTH: usize = 4;

/// How much one request may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLimits {
    /// Tokens of a document, white space and commas among them.
    pub tokens: usize,
    /// Fields within fields.
    pub depth: u32,
    /// Aliases, those in fragments as often as they are spread.
    pub aliases: u32,
    /// Directives, counted likewise.
    pub directives: u32,
    /// Root fields of an operation.
    pub root_fields: u32,
    /// Cost: each field 1, times the length of the lists that it is in.
    pub cost: u64,
    /// Length of a list where nothing says it.
    pub list_length: u64,
    /// Operations in one request.
    pub batch: usize,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self {
            tokens: 4_000,
            depth: 12,
            aliases: 15,
            directives: 20,
            root_fields: 10,
            cost: 1_000,
            list_length: 10,
            batch: 1,
        }
    }
}

/// What a graph allows besides its schema.
#[derive(Debug, Clone, Default)]
pub struct GraphRules {
    /// How much one request may ask for.
    pub limits: GraphLimits,
    /// Whether `__schema` and `__type` may be asked for, as actions of their own.
    pub allows_introspection: bool,
    /// Whether only operations that were listed pass.
    pub listed_only: bool,
    /// Whose the objects must be that arguments name.
    pub bound: Vec<BoundArgument>,
    /// Arguments that name objects and need no owner for a while.
    pub waived: Vec<WaivedArgument>,
}

/// An argument that needs no owner until a moment. From then on its field cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaivedArgument {
    /// Its name; within input objects with dots between.
    pub argument: Box<str>,
    /// `Type.field`.
    pub field: Box<str>,
    /// When the waiver ends, in seconds since the epoch.
    pub until: i64,
}

/// An argument that names an object.
#[derive(Debug, Clone)]
pub struct BoundArgument {
    /// The rule; its one place is a path parameter of the argument's name.
    pub rule: Bound,
    /// `Type.field`, each; empty: every field with such an argument.
    pub fields: Vec<Box<str>>,
}

/// A schema, compiled, with its rules.
#[derive(Debug)]
pub struct Graph {
    schema: Valid<Schema>,
    rules: GraphRules,
    fields: Vec<RootField>,
    index: FxHashMap<SmolStr, usize>,
    /// Listed documents by their canonical text, and by the SHA-256 of the text they were given as.
    listed: FxHashMap<Box<str>, Arc<Document>>,
    hashes: FxHashMap<[u8; 32], Arc<Document>>,
    documents: Cache<Box<str>, Arc<Document>>,
}

/// A field of a root type: an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootField {
    /// `query.orders`, `mutation.cancelOrder`.
    pub id: SmolStr,
    /// Whether it only reads.
    pub reads: bool,
    /// Names of its arguments; those within input objects with dots between.
    pub arguments: Vec<SmolStr>,
}

/// Something wrong with a schema or a listed operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphProblem {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What.
    pub message: String,
}

/// Why an operation goes no further, to be told to whom may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    reason: Reason,
    detail: String,
    violations: Vec<Violation>,
}

impl Fault {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), violations: Vec::new() }
    }

    fn at(reason: Reason, at: &str, message: &str) -> Self {
        let violations = vec![Violation { at: at.to_owned(), message: message.to_owned() }];
        Self { reason, detail: format!("{at} {message}"), violations }
    }

    /// More than a limit.
    fn limit(at: &str, message: impl Into<String>) -> Self {
        Self::at(Reason::OperationTooLarge, at, &message.into())
    }

    /// As a halt; the client is told of the places where it may know.
    pub fn halt(&self, is_told: bool) -> Halt {
        let halt = Halt::new(self.reason, self.detail.clone());
        if is_told { halt.with_violations(self.violations.clone()) } else { halt }
    }
}

/// Why operations that may be called are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// They break the schema or a limit.
    Fault(Fault),
    /// They name an object that is not the caller's.
    Foreign(ObjectError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ObjectError> for Stop {
    fn from(error: ObjectError) -> Self {
        Self::Foreign(error)
    }
}

/// Operations that met the schema and the limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// In the order of the batch.
    pub parts: Vec<JudgedPart>,
    /// Whether they came as a list.
    pub is_batch: bool,
}

/// One operation that met the schema and the limits.
#[derive(Debug, Clone)]
pub struct JudgedPart {
    document: Arc<Document>,
    name: Option<SmolStr>,
    variables: String,
}

impl PartialEq for JudgedPart {
    fn eq(&self, other: &Self) -> bool {
        self.query() == other.query() && self.name == other.name && self.variables == other.variables
    }
}

impl JudgedPart {
    /// The document as it is sent on: canonical, without comments.
    pub fn query(&self) -> &str {
        self.document.canonical()
    }

    /// The variables that the operation declares, as a JSON object, their types met and their defaults filled in.
    pub fn variables(&self) -> &str {
        &self.variables
    }

    /// Every text that the document itself holds.
    pub fn literals(&self) -> &[String] {
        self.document.literals()
    }
}

impl Judged {
    /// The JSON body to send: the documents, and in the place of each part's variables what is given for it.
    pub fn body<'v>(&self, variables: impl IntoIterator<Item = &'v str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if self.is_batch {
            out.push(b'[');
        }
        for (number, (part, variables)) in self.parts.iter().zip(variables).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"query\":");
            out.extend_from_slice(part.document.quoted().as_bytes());
            if let Some(name) = &part.name {
                // A name has letters, digits and `_` only.
                out.extend_from_slice(b",\"operationName\":\"");
                out.extend_from_slice(name.as_bytes());
                out.push(b'"');
            }
            if variables != "{}" {
                out.extend_from_slice(b",\"variables\":");
                out.extend_from_slice(variables.as_bytes());
            }
            out.push(b'}');
        }
        if self.is_batch {
            out.push(b']');
        }
        out
    }
}

impl Graph {
    /// Takes a schema in SDL.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(sdl: &str, rules: GraphRules) -> Result<Self, Vec<GraphProblem>> {
        let mut parser = Parser::new().recursion_limit(measure::NESTING);
        let schema = parser.parse_schema(sdl, "schema").and_then(Schema::validate);
        let schema = schema.map_err(|error| problems(&error.errors, sdl))?;
        let fields = root_fields(&schema, rules.allows_introspection);
        let index = fields.iter().enumerate().map(|(index, field)| (field.id.clone(), index)).collect();
        let documents = Cache::new(KEPT_DOCUMENTS);
        let (listed, hashes) = (FxHashMap::default(), FxHashMap::default());
        Ok(Self { schema, rules, fields, index, listed, hashes, documents })
    }

    /// Lists a document: clients may name it by the SHA-256 of its text.
    ///
    /// # Errors
    /// Everything in which it breaks the schema, and limits that it exceeds whatever its variables are.
    pub fn list(&mut self, text: &str) -> Result<(), Vec<GraphProblem>> {
        let whole = |fault: Fault| vec![GraphProblem { span: 0..1, message: fault.detail }];
        let document = match Document::parse(text, &self.rules.limits) {
            Ok(document) => Arc::new(document),
            Err(fault) => return Err(whole(fault)),
        };
        if let Err(errors) = document.ast().to_executable_validate(&self.schema) {
            return Err(problems(&errors.errors, text));
        }
        document
            .measure(&self.rules.limits)
            .and_then(|()| document.executable(self).map(drop))
            .map_err(whole)?;
        for one in [text, text.trim(), document.canonical(), document.canonical().trim()] {
            self.hashes.insert(envelope::sha256(one), Arc::clone(&document));
        }
        self.listed.insert(document.canonical().into(), document);
        Ok(())
    }

    /// Takes what is waived only for a while: which fields those are is known from the schema.
    pub fn waive(&mut self, waived: Vec<WaivedArgument>) {
        self.rules.waived = waived;
    }

    /// How many documents are listed.
    pub fn listed(&self) -> usize {
        self.listed.len()
    }

    /// All root fields: the actions of policy.
    pub fn fields(&self) -> &[RootField] {
        &self.fields
    }

    /// The rules.
    pub fn rules(&self) -> &GraphRules {
        &self.rules
    }

    /// Whether any field of the schema has an argument of that name; within input objects with dots between.
    pub fn has_argument(&self, parameter: &str) -> bool {
        self.definitions().any(|(_, field)| self.declares(field, parameter))
    }

    /// Whether the schema has the field `Type.field`.
    pub fn has_field(&self, coordinate: &str) -> bool {
        self.definitions().any(|(parent, field)| is_coordinate(coordinate, parent, &field.name))
    }

    /// Takes what was asked and may be called; proves that it meets the limits and the schema, and that the objects
    /// which its arguments name are the caller's. `now` is in seconds since the epoch.
    ///
    /// # Errors
    /// What is wrong, for the phase that tells it, or the first object rule that does not hold.
    pub fn judge(
        &self,
        asked: &Asked,
        principal: &Principal,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<Judged, Stop> {
        let ended: Vec<&WaivedArgument> = self.rules.waived.iter().filter(|one| one.until <= now).collect();
        let mut parts = Vec::with_capacity(asked.calls.len());
        let mut cost: u64 = 0;
        for call in &asked.calls {
            let executable = call.document.executable(self)?;
            let operation = executable.operations.get(call.name.as_deref());
            let operation = operation.map_err(|_| Fault::new(Reason::Internal, "the operation is gone"))?;
            let variables = arguments::coerced(&self.schema, operation, &call.variables)?;
            let asks = cost::of(&self.schema, &self.rules.limits, executable, operation, &variables);
            // What one request asks for in all is bounded, in however many operations it comes.
            cost = cost.saturating_add(asks);
            if cost > self.rules.limits.cost {
                let detail = format!("it costs more than {}", self.rules.limits.cost);
                return Err(Fault::limit("query", detail).into());
            }
            if !self.rules.bound.is_empty() || !ended.is_empty() {
                let (variables, ended) = (&variables, &ended);
                let own = arguments::Owned { graph: self, executable, variables, principal, headers, ended };
                own.check(operation)?;
            }
            if let Some(key) = call.text.as_deref().filter(|text| text.len() <= KEPT_LENGTH) {
                self.documents.insert(key.into(), Arc::clone(&call.document));
            }
            let (name, variables) = (call.name.clone(), Value::Object(variables).to_string());
            parts.push(JudgedPart { document: Arc::clone(&call.document), name, variables });
        }
        Ok(Judged { parts, is_batch: asked.is_batch })
    }

    fn definitions(&self) -> impl Iterator<Item = (&str, &FieldDefinition)> {
        self.schema.types.iter().flat_map(|(name, one)| {
            let fields = match one {
                ExtendedType::Object(one) => Some(&one.fields),
                ExtendedType::Interface(one) => Some(&one.fields),
                _ => None,
            };
            let is_own = !name.starts_with("__");
            fields.into_iter().flatten().filter(move |_| is_own).map(|(_, field)| (name.as_str(), &***field))
        })
    }

    /// Whether a field has an argument of that name.
    fn declares(&self, field: &FieldDefinition, parameter: &str) -> bool {
        let mut names = parameter.split('.');
        let first = names.next().unwrap_or_default();
        let Some(argument) = field.arguments.iter().find(|argument| argument.name == *first) else {
            return false;
        };
        let mut kind = argument.ty.inner_named_type();
        for name in names {
            let inner = self.schema.get_input_object(kind).and_then(|object| object.fields.get(name));
            match inner {
                Some(inner) => kind = inner.ty.inner_named_type(),
                None => return false,
            }
        }
        true
    }
}

fn is_coordinate(coordinate: &str, parent: &str, field: &str) -> bool {
    coordinate.split_once('.') == Some((parent, field))
}

fn root_fields(schema: &Valid<Schema>, allows_introspection: bool) -> Vec<RootField> {
    let mut fields = Vec::new();
    for kind in [OperationType::Query, OperationType::Mutation] {
        let root = schema.root_operation(kind).and_then(|name| schema.get_object(name));
        for (name, field) in root.into_iter().flat_map(|root| &root.fields) {
            let mut arguments = Vec::new();
            for argument in &field.arguments {
                named(
                    schema,
                    argument.name.as_str().into(),
                    argument.ty.inner_named_type(),
                    1,
                    &mut arguments,
                );
            }
            let id = format_smolstr!("{}.{name}", kind.name());
            fields.push(RootField { id, reads: kind == OperationType::Query, arguments });
        }
    }
    if allows_introspection {
        let meta = |name: &str| RootField {
            id: format_smolstr!("query.{name}"),
            reads: true,
            arguments: Vec::new(),
        };
        fields.extend(["__schema", "__type"].map(meta));
    }
    fields
}

/// The names of an argument: its own, or those of the fields of its input object.
fn named(schema: &Schema, name: SmolStr, kind: &str, depth: usize, out: &mut Vec<SmolStr>) {
    match schema.get_input_object(kind) {
        Some(object) if depth < ARGUMENT_DEPTH => {
            for (inner, field) in &object.fields {
                let name = format_smolstr!("{name}.{inner}");
                named(schema, name, field.ty.inner_named_type(), depth + 1, out);
            }
        }
        Some(_) => {}
        None => out.push(name),
    }
}

fn problems(errors: &DiagnosticList, text: &str) -> Vec<GraphProblem> {
    let problem = |one: Diagnostic<'_, DiagnosticData>| {
        let span = one.line_column_range().map_or(0..1, |range| {
            let start = offset(text, range.start.line, range.start.column);
            start..offset(text, range.end.line, range.end.column).max(start + 1)
        });
        GraphProblem { span, message: one.error.to_string() }
    };
    document::mistakes(errors).map(problem).collect()
}

/// The byte of a line and a column, both from 1, columns in characters.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let within: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    before + within
}

#[cfg(test)]
mod tests;
