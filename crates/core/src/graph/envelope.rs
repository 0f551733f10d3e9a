//! GraphQL over HTTP: which operations a request names, and which root fields these ask for.

use std::sync::Arc;

use apollo_compiler::ast::{self, Definition, OperationType, Selection};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};
use smol_str::{SmolStr, format_smolstr};

use super::document::Document;
use super::{Fault, Graph, arguments};
use crate::halt::{Halt, Reason};
use crate::json::{self, JsonLimits};
use crate::policy::query::pairs;

/// What of a request can name operations.
#[derive(Debug, Clone, Copy)]
pub struct Given<'r> {
    /// Its method.
    pub method: &'r Method,
    /// Its raw query.
    pub query: Option<&'r str>,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its whole body.
    pub body: &'r [u8],
}

/// The operations of a request, read and not yet judged.
#[derive(Debug)]
pub struct Asked {
    /// In their order; never empty.
    pub calls: Vec<Call>,
    /// Whether they came as a list.
    pub is_batch: bool,
}

impl Asked {
    /// The ids of all root fields, each once, in their order.
    pub fn fields(&self) -> Vec<SmolStr> {
        let mut all: Vec<SmolStr> = Vec::new();
        for root in self.calls.iter().flat_map(|call| &call.roots) {
            if !all.contains(&root.id) {
                all.push(root.id.clone());
            }
        }
        all
    }
}

/// One operation.
#[derive(Debug)]
pub struct Call {
    pub(super) document: Arc<Document>,
    /// The text, where it is worth to be kept.
    pub(super) text: Option<Box<str>>,
    pub(super) name: Option<SmolStr>,
    pub(super) variables: Map<String, Value>,
    /// The root fields that it asks for, `__typename` apart.
    pub roots: Vec<RootCall>,
}

/// One root field that an operation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCall {
    /// Its index in [`Graph::fields`]; `None` where the schema has no such field, or not for everybody.
    pub field: Option<usize>,
    /// `query.orders`.
    pub id: SmolStr,
    /// Its arguments as a query: what policy reads.
    pub facts: String,
}

/// One operation as the client wrote it.
#[derive(Debug, Default)]
struct Envelope {
    query: Option<String>,
    name: Option<SmolStr>,
    variables: Map<String, Value>,
    hash: Option<[u8; 32]>,
}

/// The members of a request. Anything else could mean something to another reader.
const MEMBERS: [&str; 4] = ["query", "operationName", "variables", "extensions"];

impl Graph {
    /// Takes a request; finds what it asks for. Nothing that the schema says leaves by the errors of this.
    ///
    /// # Errors
    /// 400 for what has no reading, 403 for operations that are not listed, 405 for a mutation by `GET`, 415 for
    /// another media type, 422 for what is too large or no request of GraphQL.
    pub fn read(&self, given: &Given<'_>) -> Result<Asked, Halt> {
        let told = |fault: Fault| fault.halt(true);
        let (envelopes, is_batch) = match *given.method {
            Method::GET => (vec![of_query(given).map_err(told)?], false),
            _ => self.of_body(given).map_err(told)?,
        };
        let mut calls = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            let (document, text) = self.document(&envelope).map_err(told)?;
            let operation = document.operation(envelope.name.as_deref()).map_err(told)?;
            match operation.operation_type {
                OperationType::Query => {}
                OperationType::Mutation if *given.method != Method::GET => {}
                OperationType::Mutation => {
                    let halt = Halt::new(Reason::MethodNotAllowed, "a mutation by GET");
                    return Err(halt.with_header(ALLOW, HeaderValue::from_static("POST")));
                }
                OperationType::Subscription => {
                    let message = "subscriptions are not carried";
                    return Err(Fault::at(Reason::BodyInvalid, "query", message).halt(true));
                }
            }
            let roots = self.roots(&document, operation, &envelope.variables).map_err(told)?;
            let Envelope { name, variables, .. } = envelope;
            calls.push(Call { document, text, name, variables, roots });
        }
        Ok(Asked { calls, is_batch })
    }

    fn of_body(&self, given: &Given<'_>) -> Result<(Vec<Envelope>, bool), Fault> {
        if given.query.is_some() {
            return Err(Fault::at(Reason::ParameterInvalid, "query", "a request by POST has no query"));
        }
        check_media(given.headers)?;
        let limits = JsonLimits { size: usize::MAX, ..JsonLimits::default() };
        let value = json::parse(given.body, &limits)
            .map_err(|error| Fault::new(Reason::BodyMalformed, error.to_string()))?;
        match value {
            Value::Object(members) => Ok((vec![Envelope::read(members)?], false)),
            Value::Array(items) => {
                let most = self.rules.limits.batch;
                if most < 2 {
                    return Err(Fault::limit("", "a list of operations is not taken"));
                }
                if items.is_empty() || items.len() > most {
                    return Err(Fault::limit("", format!("a list of 1 to {most} operations is taken")));
                }
                let read = |item| match item {
                    Value::Object(members) => Envelope::read(members),
                    _ => Err(Fault::at(Reason::BodyInvalid, "", "an operation is an object")),
                };
                Ok((items.into_iter().map(read).collect::<Result<_, _>>()?, true))
            }
            _ => Err(Fault::at(Reason::BodyInvalid, "", "an operation is an object")),
        }
    }

    /// The document that an envelope sends or names, measured; and its text where it is not yet kept.
    fn document(&self, envelope: &Envelope) -> Result<(Arc<Document>, Option<Box<str>>), Fault> {
        let unlisted = || Fault::new(Reason::OperationUnlisted, "the operation is not listed");
        let Some(text) = &envelope.query else {
            let listed = envelope.hash.as_ref().map(|hash| self.hashes.get(hash).ok_or_else(unlisted));
            let missing = || Fault::at(Reason::BodyInvalid, "/query", "it is missing");
            return Ok((Arc::clone(listed.ok_or_else(missing)??), None));
        };
        if envelope.hash.is_some_and(|hash| hash != sha256(text)) {
            let message = "it is not the hash of the query";
            return Err(Fault::at(Reason::BodyInvalid, "/extensions/persistedQuery", message));
        }
        if let Some(kept) = self.documents.get(&**text) {
            return Ok((kept, None));
        }
        let document = Document::parse(text, &self.rules.limits)?;
        if let Some(listed) = self.listed.get(document.canonical()) {
            return Ok((Arc::clone(listed), Some(text.as_str().into())));
        }
        if self.rules.listed_only {
            return Err(unlisted());
        }
        document.measure(&self.rules.limits)?;
        Ok((Arc::new(document), Some(text.as_str().into())))
    }

    fn roots(
        &self,
        document: &Document,
        operation: &ast::OperationDefinition,
        variables: &Map<String, Value>,
    ) -> Result<Vec<RootCall>, Fault> {
        let mut fields = Vec::new();
        spread(document.ast(), &operation.selection_set, &mut FxHashSet::default(), &mut fields);
        let limit = self.rules.limits.root_fields;
        if fields.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(Fault::limit("query", format!("it asks for more than {limit} root fields")));
        }
        let values = arguments::Values { given: variables, declared: &operation.variables };
        let root = self.schema.root_operation(operation.operation_type);
        let call = |field: &ast::Field| {
            let kind = operation.operation_type.name();
            let id = format_smolstr!("{kind}.{}", field.name);
            let index = self.index.get(&id).copied();
            // What is not in the schema may be as long as a body, and goes into the record.
            let id = if index.is_none() { format_smolstr!("{kind}.{:.64}", field.name) } else { id };
            let known = index.and_then(|index| self.fields.get(index));
            let definition = root.and_then(|root| self.schema.type_field(root, &field.name).ok());
            let facts = match (known, definition) {
                (Some(known), Some(definition)) => {
                    let pairs = values.of(&field.arguments, definition);
                    arguments::as_query(
                        pairs.iter().filter(|(name, _)| known.arguments.iter().any(|k| **k == **name)),
                    )
                }
                _ => String::new(),
            };
            RootCall { field: index, id, facts }
        };
        Ok(fields.into_iter().filter(|field| field.name != "__typename").map(call).collect())
    }
}

/// The fields of selections, fragments spread. INVARIANT: the document was measured, so that this ends.
fn spread<'d>(
    document: &'d ast::Document,
    selections: &'d [Selection],
    seen: &mut FxHashSet<&'d str>,
    out: &mut Vec<&'d ast::Field>,
) {
    for selection in selections {
        match selection {
            Selection::Field(field) => out.push(field),
            Selection::InlineFragment(inline) => spread(document, &inline.selection_set, seen, out),
            Selection::FragmentSpread(one) => {
                if !seen.insert(&one.fragment_name) {
                    continue;
                }
                let fragments = document.definitions.iter().filter_map(Definition::as_fragment_definition);
                for fragment in fragments.filter(|fragment| fragment.name == one.fragment_name) {
                    spread(document, &fragment.selection_set, seen, out);
                }
            }
        }
    }
}

impl Envelope {
    fn read(members: Map<String, Value>) -> Result<Self, Fault> {
        let mut envelope = Self::default();
        let wrong = |member: &str, message| Err(Fault::at(Reason::BodyInvalid, member, message));
        for (name, value) in members {
            match (name.as_str(), value) {
                // Only `null` where a member may be left out.
                ("operationName" | "variables" | "extensions" | "query", Value::Null) => {}
                ("query", Value::String(text)) => envelope.query = Some(text),
                ("operationName", Value::String(name)) => envelope.name = Some(name.into()),
                ("variables", Value::Object(variables)) => envelope.variables = variables,
                ("extensions", Value::Object(extensions)) => envelope.hash = persisted(&extensions)?,
                (name, _) if MEMBERS.contains(&name) => {
                    return wrong(&format!("/{name}"), "it is of another type");
                }
                _ => return wrong("", "there is a member that a request of GraphQL does not have"),
            }
        }
        Ok(envelope)
    }
}

/// The hash of `{"persistedQuery":{"version":1,"sha256Hash":"…"}}`.
fn persisted(extensions: &Map<String, Value>) -> Result<Option<[u8; 32]>, Fault> {
    let wrong = |message| Fault::at(Reason::BodyInvalid, "/extensions", message);
    if extensions.is_empty() {
        return Ok(None);
    }
    let only = extensions.get("persistedQuery").filter(|_| extensions.len() == 1);
    let only = only.and_then(Value::as_object).ok_or_else(|| wrong("only `persistedQuery` is taken"))?;
    let is_first = only.get("version").and_then(Value::as_u64) == Some(1);
    let hash = only.get("sha256Hash").and_then(Value::as_str).and_then(unhex);
    match hash.filter(|_| is_first && only.len() == 2) {
        Some(hash) => Ok(Some(hash)),
        None => Err(wrong("`persistedQuery` has version 1 and a SHA-256 in hexadecimal")),
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes().chunks_exact(2);
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// The SHA-256 of a text.
pub(super) fn sha256(text: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    // The digest of that algorithm has that length.
    digest.as_ref().try_into().unwrap_or_default()
}

fn of_query(given: &Given<'_>) -> Result<Envelope, Fault> {
    if !given.body.is_empty() {
        return Err(Fault::new(Reason::UnexpectedBody, "a request by GET has no body"));
    }
    let mut members = Map::new();
    for pair in pairs(given.query.unwrap_or_default()) {
        let wrong = |message| Fault::at(Reason::ParameterInvalid, "query", message);
        let (name, value) = pair.ok_or_else(|| wrong("a parameter is not UTF-8"))?;
        let value = match &*name {
            "query" | "operationName" => Value::String(value.into_owned()),
            "variables" | "extensions" => json::parse(value.as_bytes(), &JsonLimits::default())
                .map_err(|error| Fault::new(Reason::ParameterInvalid, format!("{name}: {error}")))?,
            _ => return Err(wrong("there is a parameter that a request of GraphQL does not have")),
        };
        if members.insert(name.into_owned(), value).is_some() {
            return Err(wrong("a parameter is given twice"));
        }
    }
    Envelope::read(members)
}

/// `application/json` in UTF-8, and not encoded.
fn check_media(headers: &HeaderMap) -> Result<(), Fault> {
    let unsupported = |detail| Fault::new(Reason::MediaTypeUnsupported, detail);
    if headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(unsupported("the body is encoded"));
    }
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return Err(unsupported("no one media type")) };
    let mut parts = only.to_str().unwrap_or_default().split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        // Uploads by multipart are not read: what they put into variables could not be judged.
        return Err(unsupported("the body is not `application/json`"));
    }
    let is_utf8 = |part: &str| {
        part.is_empty()
            || part.split_once('=').is_some_and(|(name, value)| {
                let value = value.trim_matches('"');
                name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8")
            })
    };
    if parts.all(is_utf8) { Ok(()) } else { Err(unsupported("the media type has parameters")) }
}
