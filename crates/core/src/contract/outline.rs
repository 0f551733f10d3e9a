//! Walks the structure around the schemas: paths, parameters, bodies, answers, components.

use serde_json::Value;

use super::check::{Checked, Checker};
use super::compile::status_pattern;
use super::document::Document;
use super::names;
use super::problem::Place;
use super::shape::{Types, shape_of};

/// Checks everything in `document` that a contract is made of.
pub(super) fn check(document: &Document, is_lenient: bool) -> Checked {
    let mut outline = Outline { document, checker: Checker::new(document, is_lenient) };
    let root = Place::root("");
    match document.root.get("paths") {
        Some(Value::Object(paths)) => {
            let place = root.join("paths");
            for (template, item) in paths.iter().filter(|(template, _)| !template.starts_with("x-")) {
                outline.path_item(item, place.join(template));
            }
        }
        Some(_) => outline.checker.problem(root.join("paths"), "must be an object"),
        None if document.root.get("webhooks").is_some() || document.root.get("components").is_some() => {}
        None => outline.checker.problem(root, "`paths` is missing"),
    }
    let components = root.join("components");
    let schemas = components.join("schemas");
    outline.each(document.at("/components/schemas"), schemas, |outline, schema, place| {
        outline.checker.schema(schema, place);
    });
    outline.checker.finish()
}

struct Outline<'d> {
    document: &'d Document,
    checker: Checker<'d>,
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

impl<'d> Outline<'d> {
    fn each(
        &mut self,
        members: Option<&'d Value>,
        place: Place<'_>,
        visit: impl Fn(&mut Self, &'d Value, Place<'_>),
    ) {
        match members {
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    visit(self, value, place.join(name));
                }
            }
            Some(_) => self.checker.problem(place, "must be an object"),
            None => {}
        }
    }

    /// `value`, or what its reference leads to; reports a reference that leads nowhere.
    fn followed(&mut self, value: &'d Value, place: Place<'_>) -> Option<&'d Value> {
        let mut value = value;
        for _ in 0..16 {
            let Some(object) = value.as_object() else {
                self.checker.problem(place, "must be an object");
                return None;
            };
            let Some(reference) = object.get("$ref") else { return Some(value) };
            match self.document.resolve(reference) {
                Ok((_, target)) => value = target,
                Err(fault) => {
                    self.checker.problem(place.join("$ref"), fault.to_string());
                    return None;
                }
            }
        }
        self.checker.problem(place, "the `$ref` leads in a circle");
        None
    }

    fn path_item(&mut self, item: &'d Value, place: Place<'_>) {
        let Some(item) = self.followed(item, place) else { return };
        self.parameters(item.get("parameters"), place.join("parameters"));
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let place = place.join(method);
            if !operation.is_object() {
                self.checker.problem(place, "must be an object");
                continue;
            }
            self.parameters(operation.get("parameters"), place.join("parameters"));
            if let Some(body) = operation.get("requestBody") {
                let place = place.join("requestBody");
                if let Some(body) = self.followed(body, place) {
                    self.content(body.get("content"), place.join("content"));
                }
            }
            let place = place.join("responses");
            self.each(operation.get("responses"), place, |outline, answer, place| {
                outline.answer(answer, place)
            });
            for (status, _) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
                if !status.starts_with("x-") && status_pattern(status).is_none() {
                    self.checker.problem(place.join(status), "must be a status, `2XX` or `default`");
                }
            }
        }
    }

    fn answer(&mut self, answer: &'d Value, place: Place<'_>) {
        if place.is_extension() {
            return;
        }
        let Some(answer) = self.followed(answer, place) else { return };
        self.content(answer.get("content"), place.join("content"));
        self.headers(answer.get("headers"), place.join("headers"));
    }

    fn headers(&mut self, headers: Option<&'d Value>, place: Place<'_>) {
        self.each(headers, place, |outline, header, place| {
            let Some(header) = outline.followed(header, place) else { return };
            match header.get("schema") {
                Some(schema) => outline.checker.schema(schema, place.join("schema")),
                None => outline.content(header.get("content"), place.join("content")),
            }
        });
    }

    fn parameters(&mut self, list: Option<&'d Value>, place: Place<'_>) {
        let list = match list {
            None => return,
            Some(Value::Array(list)) => list,
            Some(_) => return self.checker.problem(place, "must be a list"),
        };
        for (index, parameter) in list.iter().enumerate() {
            let index = index.to_string();
            let place = place.join(&index);
            let Some(parameter) = self.followed(parameter, place) else { continue };
            self.parameter(parameter, place);
        }
    }

    fn parameter(&mut self, parameter: &'d Value, place: Place<'_>) {
        if parameter.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            self.checker.problem(place, "a parameter must have a `name`");
        }
        let location = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
        let styles: &[&str] = match location {
            "path" => &["simple", "label", "matrix"],
            "query" => &["form", "spaceDelimited", "pipeDelimited", "deepObject"],
            "header" => &["simple"],
            "cookie" => &["form", "cookie"],
            _ => return self.checker.problem(place, "`in` must be path, query, header or cookie"),
        };
        if let Some(style) = parameter.get("style").and_then(Value::as_str)
            && !styles.contains(&style)
        {
            self.checker.problem(place.join("style"), format!("`{style}` cannot be used in {location}"));
        }
        match parameter.get("schema") {
            Some(schema) => self.checker.schema(schema, place.join("schema")),
            None => self.content(parameter.get("content"), place.join("content")),
        }
    }

    /// Warns of a schema that nothing is held against, because bodies of its media type are not read.
    fn unread(&mut self, schema: &'d Value, place: Place<'_>) {
        let essence = names::essence(place.segment());
        let is_read = names::is_json(&essence)
            || names::is_json_lines(&essence)
            || essence.starts_with("text/")
            || essence.contains('*')
            || matches!(essence.as_str(), names::FORM | names::MULTIPART);
        if !is_read && !shape_of(self.document, schema).types.has(Types::STRING) {
            let message = format!("bodies of `{essence}` are not read, so this schema is not checked");
            self.checker.warning(place.join("schema"), message);
        }
    }

    fn content(&mut self, content: Option<&'d Value>, place: Place<'_>) {
        self.each(content, place, |outline, media, place| {
            if let Some(schema) = media.get("schema") {
                outline.checker.schema(schema, place.join("schema"));
                outline.unread(schema, place);
            }
            let place = place.join("encoding");
            outline.each(media.get("encoding"), place, |outline, encoding, place| {
                outline.headers(encoding.get("headers"), place.join("headers"));
            });
        });
    }
}
