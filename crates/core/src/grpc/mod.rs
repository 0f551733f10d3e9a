//! gRPC: what a descriptor set promises, and whether messages keep it.
//!
//! A set is compiled to [`Schema`]; [`Schema::document`] says its methods as operations, so that every phase that
//! knows operations knows methods; [`Grpc`] holds messages to it. Bytes are sent on as they came: a message is only
//! accepted when it has one reading, so there is nothing that encoding it again would make clearer.

mod check;
mod descriptor;
mod frame;
mod status;
mod wire;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Version};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;

pub use check::{Checked, Fields};
pub use descriptor::{Method, Schema, SchemaFault};
pub use frame::{FrameFault, Frames, PREFIX, framed};
pub use status::Status;
pub use wire::WireFault;

use crate::contract::{Contract, OperationIndex};
use crate::halt::{Halt, Reason, Violation};
use crate::request::Head;
use crate::validate::Unknown;

/// `grpc-encoding`.
const ENCODING: &str = "grpc-encoding";

impl Schema {
    /// An OpenAPI document with an operation for each method: `POST /package.Service/Method`, called
    /// `package.Service.Method`. With `fields`, the scalar fields at the top of a request are its path parameters,
    /// which makes it no contract, but lets names be looked up.
    pub fn document(&self, fields: bool) -> Value {
        let mut paths = Map::new();
        for method in self.methods() {
            let parameters: Vec<Value> = self
                .fields_of(method)
                .filter(|_| fields)
                .map(|(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
                .collect();
            let operation = json!({
                "operationId": method.id(),
                "parameters": parameters,
                "requestBody": { "required": true, "content": { "application/grpc": {} } },
                "responses": { "default": { "description": "An answer." } },
            });
            paths.insert(format!("/{}/{}", method.service, method.name), json!({ "post": operation }));
        }
        json!({ "openapi": "3.1.0", "info": { "title": "gRPC", "version": "1" }, "paths": paths })
    }

    /// Names of the scalar fields at the top of a method's requests, and whether each always has a value.
    pub fn fields_of<'s>(&'s self, method: &'s Method) -> impl Iterator<Item = (&'s str, bool)> {
        self.scalar_names(method.input)
    }

    /// The fields of an operation that policies can speak of: those that always have a value. A stream of requests has
    /// none, for it is decided before it begins.
    pub fn facts(&self, operation: &str) -> Vec<SmolStr> {
        let mut methods = self.methods().iter().filter(|method| !method.streams_requests);
        let method = methods.find(|method| method.id() == operation);
        let fields = method.into_iter().flat_map(|method| self.fields_of(method));
        fields.filter(|(_, is_always)| *is_always).map(|(name, _)| name.into()).collect()
    }
}

/// The methods of a route, by the operations of its contract.
#[derive(Debug)]
pub struct Grpc {
    schema: Schema,
    /// Index of the method, by [`OperationIndex`].
    methods: Vec<Option<usize>>,
    /// `/package.Service/`.
    prefixes: Vec<Box<str>>,
}

impl Grpc {
    /// Takes a schema and the contract that was compiled from its [`document`](Schema::document).
    pub fn new(schema: Schema, contract: &Contract) -> Self {
        let all = schema.methods();
        let find = |id: &str| all.iter().position(|method| method.id() == id);
        let methods = contract.operations().iter().map(|operation| find(&operation.id)).collect();
        let prefixes = schema.services().into_iter().map(|service| format!("/{service}/").into()).collect();
        Self { schema, methods, prefixes }
    }

    /// Whether a path is below one of the services.
    pub fn has_path(&self, path: &str) -> bool {
        self.prefixes.iter().any(|prefix| path.starts_with(&**prefix))
    }

    /// The method of an operation.
    pub fn method(&self, operation: OperationIndex) -> Option<&Method> {
        let index = (*self.methods.get(usize::try_from(operation.0).ok()?)?)?;
        self.schema.methods().get(index)
    }

    /// Whether an operation takes a stream of messages.
    pub fn is_stream(&self, operation: OperationIndex) -> bool {
        self.method(operation).is_some_and(|method| method.streams_requests)
    }

    /// The scalar fields at the top of one message of a request, without its prefix.
    ///
    /// # Errors
    /// Why one of them has no reading, or two.
    pub fn message_fields(&self, operation: OperationIndex, message: &[u8]) -> Result<Fields, &'static str> {
        let method = self.method(operation).ok_or("the method is not in the descriptors")?;
        self.schema.scalars(method.input, message)
    }

    /// What policies and object rules are told of a request: the scalar fields at the top of its one message.
    ///
    /// # Errors
    /// 415 for what is no gRPC or compressed, 400 for what has no reading.
    pub(crate) fn fields(&self, operation: OperationIndex, head: &Head, body: &[u8]) -> Result<Fields, Halt> {
        let method = self.method(operation).ok_or_else(gone)?;
        check_head(head)?;
        if method.streams_requests {
            return Ok(Vec::new());
        }
        let message = only(body)?;
        self.schema.scalars(method.input, message).map_err(|why| Halt::new(Reason::BodyMalformed, why))
    }

    /// Holds a request to its contract.
    ///
    /// # Errors
    /// As [`fields`](Self::fields), and 422 for a message that breaks its descriptor.
    pub(crate) fn check_request(
        &self,
        operation: OperationIndex,
        head: &Head,
        body: &[u8],
        unknown: Unknown,
    ) -> Result<(), Halt> {
        let method = self.method(operation).ok_or_else(gone)?;
        check_head(head)?;
        if method.streams_requests {
            return Ok(());
        }
        let violations = self.schema.check(method.input, only(body)?, unknown, false).violations;
        if violations.is_empty() {
            return Ok(());
        }
        Err(Halt::new(Reason::BodyInvalid, detail(&violations)).with_violations(violations))
    }

    /// Checks one message of a request, without its prefix; gathers its texts where they are wanted.
    pub fn read_request<'b>(
        &self,
        operation: OperationIndex,
        message: &'b [u8],
        unknown: Unknown,
        wants_texts: bool,
    ) -> Option<Checked<'b>> {
        Some(self.schema.check(self.method(operation)?.input, message, unknown, wants_texts))
    }

    /// The same for one message of an answer.
    pub fn read_answer<'b>(
        &self,
        operation: OperationIndex,
        message: &'b [u8],
        unknown: Unknown,
        wants_texts: bool,
    ) -> Option<Checked<'b>> {
        Some(self.schema.check(self.method(operation)?.output, message, unknown, wants_texts))
    }
}

/// The one message of a unary request.
///
/// # Errors
/// 415 for one that is compressed, 400 for none or more.
pub fn only(body: &[u8]) -> Result<&[u8], Halt> {
    frame::only(body).map_err(|fault| match fault {
        FrameFault::Compressed => Halt::new(Reason::MediaTypeUnsupported, fault.to_string()),
        _ => Halt::new(Reason::BodyMalformed, fault.to_string()),
    })
}

/// Whether a head says `application/grpc` or anything that begins so.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    let said = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.split_at_checked(TYPE.len()));
    said.is_some_and(|(said, rest)| {
        said.eq_ignore_ascii_case(TYPE) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

/// Whether a head says that messages are protocol buffers: no other codec is read.
pub fn is_protobuf(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    said.eq_ignore_ascii_case("application/grpc") || said.eq_ignore_ascii_case("application/grpc+proto")
}

/// Whether a head says that messages may be compressed.
pub fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get_all(ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn check_head(head: &Head) -> Result<(), Halt> {
    if head.version != Version::HTTP_2 {
        return Err(Halt::new(Reason::MediaTypeUnsupported, "gRPC needs HTTP/2"));
    }
    if !is_protobuf(&head.headers) {
        return Err(Halt::new(
            Reason::MediaTypeUnsupported,
            "the content type is no gRPC with protocol buffers",
        ));
    }
    if is_compressed(&head.headers) {
        return Err(Halt::new(Reason::MediaTypeUnsupported, "the messages are compressed"));
    }
    if head.query.is_some() {
        return Err(Halt::new(Reason::ParameterInvalid, "a method has no query"));
    }
    Ok(())
}

/// What is wrong, for the record.
pub fn detail(violations: &[Violation]) -> String {
    let all: Vec<String> = violations.iter().map(|one| format!("{}: {}", one.at, one.message)).collect();
    all.join("; ")
}

fn gone() -> Halt {
    Halt::new(Reason::Internal, "the method is not in the descriptors")
}

#[cfg(test)]
mod tests;
