//! Parameters, media types, encodings and headers of a document, as requests need them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::compile::follow;
use super::document::{Document, is_annotation};
use super::names;
use super::operation::{FieldEncoding, Kind, Location, MediaType, Parameter, SchemaUnits, Style};
use super::problem::joined;
use super::shape::{Shape, shape_of};
use super::shelf::Shelf;
use super::translate::Mode;

/// Headers that OpenAPI 3.1 section 4.8.12.2 describes elsewhere.
const ELSEWHERE: [&str; 3] = ["accept", "content-type", "authorization"];

/// Reads what a document says of values on the wire.
#[derive(Clone, Copy)]
pub(super) struct Reader<'s> {
    pub(super) shelf: &'s Arc<Shelf>,
}

impl<'s> Reader<'s> {
    fn document(self) -> &'s Document {
        &self.shelf.document
    }

    /// A parameter of an operation; `None` for a header that is described elsewhere.
    pub(super) fn parameter(self, at: &str, value: &'s Value) -> Option<Parameter> {
        let name = value.get("name")?.as_str()?;
        let location = match value.get("in")?.as_str()? {
            "path" => Location::Path,
            "query" => Location::Query,
            "cookie" => Location::Cookie,
            _ => Location::Header,
        };
        if location == Location::Header && ELSEWHERE.iter().any(|one| name.eq_ignore_ascii_case(one)) {
            return None;
        }
        Some(self.valued(at, value, name, location, false))
    }

    /// Declared headers of an answer, or of a part of a form.
    pub(super) fn headers(self, at: &str, headers: Option<&'s Value>, is_answer: bool) -> Vec<Parameter> {
        let headers = headers.and_then(Value::as_object).into_iter().flatten();
        let headers = headers.filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        headers
            .map(|(name, value)| {
                let (at, value) = follow(self.document(), joined(at, name), value);
                self.valued(&at, value, name, Location::Header, is_answer)
            })
            .collect()
    }

    fn valued(
        self,
        at: &str,
        value: &'s Value,
        name: &str,
        location: Location,
        is_answer: bool,
    ) -> Parameter {
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        let style = style_of(value.get("style").and_then(Value::as_str), location);
        let (schema_at, schema, is_json) = match value.get("schema") {
            Some(schema) => (joined(at, "schema"), Some(schema), false),
            None => {
                let content =
                    value.get("content").and_then(Value::as_object).and_then(|all| all.iter().next());
                let at = content.map(|(media, _)| joined(&joined(&joined(at, "content"), media), "schema"));
                let is_json = content.is_some_and(|(media, _)| names::is_json(&names::essence(media)));
                (at.unwrap_or_default(), content.and_then(|(_, media)| media.get("schema")), is_json)
            }
        };
        let shape = schema.map_or_else(Shape::any, |schema| shape_of(self.document(), schema));
        Parameter {
            name: if location == Location::Header { name.to_ascii_lowercase().into() } else { name.into() },
            location,
            required: flag("required") == Some(true) || location == Location::Path,
            style,
            explode: flag("explode").unwrap_or(style == Style::Form),
            kind: Kind::of(&shape),
            deprecated: flag("deprecated") == Some(true),
            is_json,
            allows_empty: location == Location::Query && flag("allowEmptyValue") == Some(true),
            shape,
            unit: schema.map(|_| self.units(&schema_at, is_answer)),
        }
    }

    fn units(self, at: &str, is_answer: bool) -> SchemaUnits {
        let (closed, open) =
            if is_answer { (Mode::ClosedAnswer, Mode::Answer) } else { (Mode::Closed, Mode::Open) };
        SchemaUnits { closed: self.shelf.unit(closed, at), open: self.shelf.unit(open, at) }
    }

    /// The media types of a body.
    pub(super) fn content(self, at: &str, value: Option<&'s Value>, is_answer: bool) -> Vec<MediaType> {
        let mut content: Vec<MediaType> = Vec::new();
        for (range, media) in value.and_then(Value::as_object).into_iter().flatten() {
            let essence = names::essence(range);
            if content.iter().any(|one| *one.range == *essence) {
                continue;
            }
            let at = joined(at, range);
            let schema = media.get("schema");
            let is_form = essence == names::FORM || essence == names::MULTIPART;
            let encodings = media.get("encoding").filter(|_| is_form);
            content.push(MediaType {
                unit: schema.map(|_| self.units(&joined(&at, "schema"), is_answer)),
                shape: schema
                    .filter(|_| !names::is_json(&essence))
                    .map(|schema| shape_of(self.document(), schema)),
                is_bounded: schema.is_some_and(|schema| is_bounded(self.document(), schema)),
                encodings: self.encodings(&joined(&at, "encoding"), encodings, is_answer),
                range: essence.into(),
            });
        }
        content
    }

    fn encodings(self, at: &str, value: Option<&'s Value>, is_answer: bool) -> Vec<FieldEncoding> {
        let encodings = value.and_then(Value::as_object).into_iter().flatten();
        encodings.map(|(name, value)| self.encoding(&joined(at, name), name, value, is_answer)).collect()
    }

    fn encoding(self, at: &str, name: &str, value: &'s Value, is_answer: bool) -> FieldEncoding {
        let written = value.get("style").and_then(Value::as_str);
        let explode = value.get("explode").and_then(Value::as_bool);
        let is_styled = written.is_some() || explode.is_some() || value.get("allowReserved").is_some();
        let style = is_styled.then(|| style_of(written, Location::Query));
        let ranges = value.get("contentType").and_then(Value::as_str).unwrap_or_default();
        let ranges = ranges.split(',').map(names::essence).filter(|range| !range.is_empty());
        FieldEncoding {
            name: name.into(),
            style,
            explode: explode.unwrap_or(style.is_none_or(|style| style == Style::Form)),
            ranges: ranges.map(String::into_boxed_str).collect(),
            headers: self.headers(&joined(at, "headers"), value.get("headers"), is_answer),
        }
    }
}

/// Whether a schema says more of a text than that it is one.
fn is_bounded(document: &Document, schema: &Value) -> bool {
    let Some((_, Value::Object(object))) = document.behind(schema) else { return false };
    let says_nothing = |(keyword, value): (&String, &Value)| match keyword.as_str() {
        "type" => value.as_str() == Some("string"),
        "format" => value.as_str() == Some("binary"),
        "contentMediaType" | "contentEncoding" | "contentSchema" | "nullable" => true,
        other => is_annotation(other),
    };
    !Map::iter(object).all(says_nothing)
}

fn style_of(written: Option<&str>, location: Location) -> Style {
    match written {
        Some("form") => Style::Form,
        Some("simple") => Style::Simple,
        Some("matrix") => Style::Matrix,
        Some("label") => Style::Label,
        Some("spaceDelimited") => Style::SpaceDelimited,
        Some("pipeDelimited") => Style::PipeDelimited,
        Some("deepObject") => Style::DeepObject,
        _ if matches!(location, Location::Query | Location::Cookie) => Style::Form,
        _ => Style::Simple,
    }
}
