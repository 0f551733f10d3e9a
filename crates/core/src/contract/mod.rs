//! Contracts: OpenAPI documents compiled to operations.
//!
//! [`Contract::compile`] takes a document as a value, reports everything that is wrong with it at once, and keeps
//! what requests need: a tree of paths, the operations, and a shelf of validators that are built when first used.
//! What can be wrong with a schema is found at load, so that building one later does not fail; should it fail all
//! the same, nothing passes it.
//!
//! What a document may leave unsaid is taken strictly: an object that names its fields takes no others from a
//! client, formats are asserted, `readOnly` fields may not be sent and `writeOnly` ones not answered. OpenAPI 3.0
//! schemas are read as the JSON Schema 2020-12 that they mean, and OpenAPI 2.0 documents as the 3.0 that they mean.

mod alternatives;
mod check;
mod compile;
mod content;
mod document;
mod family;
mod localize;
pub(crate) mod names;
mod operation;
mod outline;
mod paths;
mod patterns;
pub(crate) mod problem;
mod security;
pub(crate) mod shape;
pub(crate) mod shelf;
mod swagger;
mod translate;

use std::sync::Arc;

use http::Method;
use serde_json::Value;

pub use operation::{
    DeclaredAnswer, Kind, Location, MediaType, Operation, Parameter, RequestBody, StatusPattern, Style,
};
pub(crate) use operation::{FieldEncoding, SchemaUnits, closeness};
pub use paths::Found;
pub use problem::Problem;
pub use security::{Scheme, SchemeKind};

use document::Document;
use paths::Paths;
use shelf::Shelf;

/// Index of an operation in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationIndex(pub u32);

/// Path parameters, decoded: name and value, in the template's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParameters(pub Vec<(Box<str>, Box<str>)>);

impl PathParameters {
    /// The value of the parameter `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Names and values, in the template's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// How a document is compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContractOptions {
    /// Builds every validator at once instead of on first use: slower and larger, for `check`.
    pub build_all: bool,
    /// Takes a document with a `pattern` that is no regular expression: a warning, and values are not matched.
    pub ignore_broken_patterns: bool,
}

/// A compiled contract.
#[derive(Debug)]
pub struct Contract {
    operations: Vec<Operation>,
    paths: Paths,
    server_path: Box<str>,
    takes_matrix: bool,
    schemes: Vec<Scheme>,
    warnings: Vec<Problem>,
    shelf: Arc<Shelf>,
}

/// A contract that names nothing: nothing exists behind it.
impl Default for Contract {
    fn default() -> Self {
        Self {
            operations: Vec::new(),
            paths: Paths::default(),
            server_path: "".into(),
            takes_matrix: false,
            schemes: Vec::new(),
            warnings: Vec::new(),
            shelf: Shelf::new(Document::default()),
        }
    }
}

/// The path of the first server that `document` names, `""` or `/v1`; in OpenAPI 2.0 its `basePath`.
///
/// Reads nothing else, so that it can be asked before the document is compiled.
pub fn server_path(document: &Value) -> Box<str> {
    compile::server_path(document)
}

impl Contract {
    /// Takes an OpenAPI 2.0, 3.0 or 3.1 document; returns what it promises.
    ///
    /// # Errors
    /// Everything that is wrong with it: another version, references that lead nowhere or out of the document,
    /// schemas that are none, ids given twice, paths that match the same requests, path parameters not declared.
    pub fn compile(document: Value, options: &ContractOptions) -> Result<Self, Vec<Problem>> {
        compile::compile(document, options)
    }

    /// All operations, in the order of the document as it was parsed; an [`OperationIndex`] is an index into it.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of that index.
    pub fn operation(&self, index: OperationIndex) -> Option<&Operation> {
        self.operations.get(usize::try_from(index.0).ok()?)
    }

    /// The operation of that id.
    pub fn operation_named(&self, id: &str) -> Option<(OperationIndex, &Operation)> {
        let found = self.operations.iter().enumerate().find(|(_, operation)| &*operation.id == id);
        found.and_then(|(index, operation)| Some((OperationIndex(u32::try_from(index).ok()?), operation)))
    }

    /// What `method` and `rest` lead to: the canonical, decoded path after the base path, empty or from `/` on.
    ///
    /// Fixed text goes before parameters, and the first path that fits decides: when it lacks the method the
    /// answer is [`Found::MethodNotAllowed`], even if a less specific path has it. `HEAD` and `OPTIONS` exist
    /// where the document names them.
    pub fn find(&self, method: &Method, rest: &str) -> Found {
        self.paths.find(method, rest)
    }

    /// Whether any operation writes a path parameter as `;name=value`.
    pub(crate) fn takes_matrix(&self) -> bool {
        self.takes_matrix
    }

    /// The path of the document's first server, `""` or `/v1`.
    pub fn server_path(&self) -> &str {
        &self.server_path
    }

    /// The document's security schemes; [`Operation::security`] names them.
    pub fn schemes(&self) -> &[Scheme] {
        &self.schemes
    }

    /// What is right but worth a look.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Builds every validator now; returns what cannot be built.
    ///
    /// To be called off the hot path: by `check`, or in the background after a reload.
    pub fn build_all(&self) -> Vec<Problem> {
        let faults = self.shelf.build_all();
        faults.into_iter().map(|(pointer, message)| Problem { pointer, message }).collect()
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }
}

#[cfg(test)]
mod tests;
