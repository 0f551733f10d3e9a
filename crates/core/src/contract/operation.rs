//! What a contract says of one operation.

use std::sync::Arc;

use http::Method;

use super::shape::{Shape, Types};
use super::shelf::Unit;

/// An entry of a contract: one method on one path.
#[derive(Debug)]
pub struct Operation {
    /// `operationId`, or a stable name made of method and path. Unique in its contract.
    pub id: Box<str>,
    /// Method.
    pub method: Method,
    /// Path template below the base path, as written.
    pub template: Box<str>,
    /// One line of what it does.
    pub summary: Option<Box<str>>,
    /// Whether it is marked deprecated.
    pub deprecated: bool,
    /// Tags.
    pub tags: Vec<Box<str>>,
    /// Path, query, header and cookie parameters.
    pub parameters: Vec<Parameter>,
    /// What it takes as a body, if any.
    pub body: Option<RequestBody>,
    /// What it answers.
    pub answers: Vec<DeclaredAnswer>,
    /// Names of the security schemes that it asks for: one list of several must be met whole. Empty: nothing is
    /// asked for; an empty list among them: nothing needs to be met.
    pub security: Vec<Vec<Box<str>>>,
}

impl Operation {
    /// Whether a request body is in the contract.
    pub fn takes_body(&self) -> bool {
        self.body.is_some()
    }

    /// The declared answer for `status`: exact, else its class (`2XX`), else `default`.
    pub fn answer(&self, status: http::StatusCode) -> Option<&DeclaredAnswer> {
        let find = |wanted: StatusPattern| self.answers.iter().find(|answer| answer.status == wanted);
        find(StatusPattern::Exact(status.as_u16()))
            .or_else(|| find(StatusPattern::Class(status.as_u16() / 100)))
            .or_else(|| find(StatusPattern::Default))
    }

    /// The parameter of that name and place.
    pub fn parameter(&self, location: Location, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.location == location && &*parameter.name == name)
    }
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// In the path template.
    Path,
    /// In the query.
    Query,
    /// A header.
    Header,
    /// In the `Cookie` header.
    Cookie,
}

impl Location {
    /// As the document writes it, and as violations begin.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// How a value that is no scalar is written (OpenAPI 3.1 section 4.8.12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `name=a&name=b` or `name=a,b`.
    Form,
    /// `a,b`.
    Simple,
    /// `;name=a,b`.
    Matrix,
    /// `.a.b`.
    Label,
    /// `a b`.
    SpaceDelimited,
    /// `a|b`.
    PipeDelimited,
    /// `name[key]=value`.
    DeepObject,
}

/// The JSON type of a parameter, where there is only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
    /// More than one of these.
    Any,
}

impl Kind {
    pub(super) fn of(shape: &Shape) -> Self {
        let kinds = [
            (Types::STRING, Self::String),
            (Types::INTEGER, Self::Integer),
            (Types::BOOLEAN, Self::Boolean),
            (Types::ARRAY, Self::Array),
            (Types::OBJECT, Self::Object),
        ];
        let found = kinds.into_iter().find(|(types, _)| shape.types.is_only(*types)).map(|(_, kind)| kind);
        let is_number =
            shape.types.has(Types::NUMBER) && !shape.types.has(Types::STRING) && !shape.types.is_all();
        found.unwrap_or(if is_number { Self::Number } else { Self::Any })
    }
}

/// A parameter of an operation.
#[derive(Debug)]
pub struct Parameter {
    /// Its name; headers in lower case.
    pub name: Box<str>,
    /// Where it stands.
    pub location: Location,
    /// Whether it must be sent.
    pub required: bool,
    /// How lists and objects are written.
    pub style: Style,
    /// Whether each item is written by itself.
    pub explode: bool,
    /// Its type.
    pub kind: Kind,
    /// Whether it is marked deprecated.
    pub deprecated: bool,
    /// Whether the value is JSON text (`content: application/json`).
    pub is_json: bool,
    /// Whether the empty value may be sent whatever the schema says (`allowEmptyValue`, queries only).
    pub allows_empty: bool,
    pub(crate) shape: Shape,
    pub(crate) unit: Option<SchemaUnits>,
}

/// The body that an operation takes.
#[derive(Debug)]
pub struct RequestBody {
    /// Whether it must be sent.
    pub required: bool,
    /// What may be sent, the most specific first.
    pub content: Vec<MediaType>,
}

/// An answer that an operation declares.
#[derive(Debug)]
pub struct DeclaredAnswer {
    /// For which status.
    pub status: StatusPattern,
    /// What may be answered, the most specific first; empty when the answer has no body.
    pub content: Vec<MediaType>,
    /// Headers that it declares.
    pub headers: Vec<Parameter>,
}

/// For which status an answer is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// One status.
    Exact(u16),
    /// A class: 2 for `2XX`.
    Class(u16),
    /// Any other.
    Default,
}

/// One media type of a body, with its schema.
#[derive(Debug)]
pub struct MediaType {
    /// Lower case, without parameters: `application/json`, `image/*`, `*/*`.
    pub range: Box<str>,
    pub(crate) unit: Option<SchemaUnits>,
    /// The shape of the whole body, unless it is JSON.
    pub(crate) shape: Option<Shape>,
    /// Whether the schema says more of a text than that it is one.
    pub(crate) is_bounded: bool,
    /// How single fields of a form are written.
    pub(crate) encodings: Vec<FieldEncoding>,
}

/// How one field of a form is written (OpenAPI 3.1 section 4.8.15).
#[derive(Debug)]
pub(crate) struct FieldEncoding {
    pub(crate) name: Box<str>,
    /// The style, where one is written.
    pub(crate) style: Option<Style>,
    pub(crate) explode: bool,
    /// Media types that it may have; empty: what its schema suggests.
    pub(crate) ranges: Vec<Box<str>>,
    /// Headers of a part.
    pub(crate) headers: Vec<Parameter>,
}

impl MediaType {
    /// Whether a schema is declared for it.
    pub fn has_schema(&self) -> bool {
        self.unit.is_some()
    }

    /// How the field `name` of a form is written, where the document says so.
    pub(crate) fn encoding(&self, name: &str) -> Option<&FieldEncoding> {
        self.encodings.iter().find(|one| *one.name == *name)
    }
}

/// How closely a range such as `image/*` names `media`: 0 not at all, 3 exactly.
pub(crate) fn closeness(range: &str, media: &str) -> u8 {
    if *range == *media {
        return 3;
    }
    match range.strip_suffix("/*") {
        Some("*") => 1,
        Some(kind) if media.split_once('/').is_some_and(|(sent, _)| sent == kind) => 2,
        _ => 0,
    }
}

/// One schema in the modes that its place asks for.
#[derive(Debug, Clone)]
pub(crate) struct SchemaUnits {
    /// Fields that the document does not name are refused.
    pub(crate) closed: Arc<Unit>,
    /// As the document says.
    pub(crate) open: Arc<Unit>,
}
