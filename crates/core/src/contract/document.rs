//! An OpenAPI document as a value, and the references within it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::family::Family;
use super::localize::Resources;

/// Which dialect the schemas of a document are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Dialect {
    /// OpenAPI 3.0: JSON Schema draft 5 with changes.
    #[default]
    V30,
    /// OpenAPI 3.1: JSON Schema 2020-12.
    V31,
}

/// The document.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) root: Value,
    pub(super) dialect: Dialect,
    /// Its schema resources, where a `$dynamicRef` depends on them.
    pub(super) resources: Resources,
    /// Schemas that stand for all that inherit from them, by pointer.
    pub(super) families: HashMap<String, Family>,
    /// Patterns that no linear-time engine takes.
    pub(super) backtracking: HashSet<String>,
    /// Patterns that no engine takes, where the operator accepts that.
    pub(super) unmatched: HashSet<String>,
}

/// Why a `$ref` leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RefFault {
    #[error("a `$ref` must be a string")]
    NotText,
    #[error("the `$ref` leads out of this document, which is never followed")]
    Remote,
    #[error("the `$ref` names an anchor that this document does not have")]
    Anchor,
    #[error("the `$ref` names nothing in this document")]
    Nothing,
}

impl Document {
    /// Whether `unit` belongs to the family of `pointer`.
    pub(super) fn is_member(&self, unit: &str, pointer: &str) -> bool {
        self.families.get(pointer).is_some_and(|family| family.has(unit))
    }

    /// What `pointer` names.
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.root.pointer(pointer)
    }

    /// The pointer and the target of a `$ref` value.
    pub(super) fn resolve<'v>(&self, reference: &'v Value) -> Result<(Cow<'v, str>, &Value), RefFault> {
        let text = reference.as_str().ok_or(RefFault::NotText)?;
        let fragment = text.strip_prefix('#').ok_or(RefFault::Remote)?;
        let pointer = percent_decode_str(fragment).decode_utf8().map_err(|_| RefFault::Nothing)?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(RefFault::Anchor);
        }
        // The whole document is no schema, whatever a schema on its own would mean by `#`.
        let target = self.at(&pointer).filter(|_| !pointer.is_empty()).ok_or(RefFault::Nothing)?;
        Ok((pointer, target))
    }

    /// The reference of a schema object, if it has one that leads somewhere.
    pub(super) fn target<'v>(&self, object: &'v Map<String, Value>) -> Option<(Cow<'v, str>, &Value)> {
        self.resolve(object.get("$ref")?).ok()
    }

    /// The target of a schema that says nothing but `$ref`: every sibling in OpenAPI 3.0 is ignored, and in 3.1
    /// all that only describe.
    pub(super) fn alias<'v>(&self, schema: &'v Value) -> Option<Cow<'v, str>> {
        let object = schema.as_object()?;
        let reference = object.get("$ref")?;
        // A resource of its own is passed on the way, which dynamic anchors may depend on.
        if !self.resources.is_empty() && object.contains_key("$id") {
            return None;
        }
        if self.dialect == Dialect::V31 && object.keys().any(|key| key != "$ref" && !is_annotation(key)) {
            return None;
        }
        self.resolve(reference).ok().map(|(pointer, _)| pointer)
    }

    /// `schema` behind any chain of plain references, with its pointer if it moved. `None` on a cycle.
    pub(super) fn behind<'d>(&'d self, schema: &'d Value) -> Option<(Option<Cow<'d, str>>, &'d Value)> {
        let (mut at, mut schema) = (None, schema);
        for _ in 0..64 {
            match self.alias(schema) {
                None => return Some((at, schema)),
                Some(pointer) => {
                    schema = self.at(&pointer)?;
                    at = Some(pointer);
                }
            }
        }
        None
    }
}

/// Whether a schema keyword only describes.
pub(super) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "description"
            | "title"
            | "summary"
            | "example"
            | "examples"
            | "default"
            | "deprecated"
            | "externalDocs"
            | "xml"
            | "$comment"
            | "$defs"
            | "definitions"
            | "$anchor"
            | "$id"
            | "$dynamicAnchor"
            | "$schema"
            | "readOnly"
            | "writeOnly"
    ) || keyword.starts_with("x-")
}
