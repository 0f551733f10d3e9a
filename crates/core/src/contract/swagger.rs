//! OpenAPI 2.0 (Swagger) documents, converted to 3.0 before they are compiled.
//!
//! Only what a gate needs goes over. Where a part ends up elsewhere is remembered, so that problems are reported at
//! the place where the operator can mend them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::names;
use super::problem::{Problem, joined};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// Members of a parameter or header that are its schema.
const SCHEMA: [&str; 18] = [
    "type",
    "format",
    "items",
    "default",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "enum",
    "multipleOf",
    "x-nullable",
    "readOnly",
];

/// Where the parts of a converted document stood before: pointer by pointer, the longest that fits counts.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, String>);

impl Origins {
    fn put(&mut self, new: String, old: &str) {
        self.0.insert(new, old.to_owned());
    }

    /// The pointer into the document as it was written.
    pub(super) fn of(&self, pointer: &str) -> String {
        let mut prefix = pointer;
        loop {
            if let Some(old) = self.0.get(prefix) {
                return format!("{old}{}", pointer.strip_prefix(prefix).unwrap_or_default());
            }
            match prefix.rsplit_once('/') {
                Some((above, _)) => prefix = above,
                None => return pointer.to_owned(),
            }
        }
    }
}

/// A 3.0 document that says what `root` does.
pub(super) fn convert(root: &Value) -> Result<(Value, Origins), Vec<Problem>> {
    let mut converter = Converter { root, origins: Origins::default(), problems: Vec::new() };
    let document = converter.document();
    if converter.problems.is_empty() { Ok((document, converter.origins)) } else { Err(converter.problems) }
}

struct Converter<'d> {
    root: &'d Value,
    origins: Origins,
    problems: Vec<Problem>,
}

/// A parameter behind its reference, and its pointer.
type Found<'d> = (String, &'d Map<String, Value>);

impl<'d> Converter<'d> {
    fn problem(&mut self, pointer: &str, message: impl Into<String>) {
        self.problems.push(Problem { pointer: pointer.to_owned(), message: message.into() });
    }

    fn document(&mut self) -> Value {
        let mut schemas = Map::new();
        for (name, schema) in members(self.root.get("definitions")) {
            self.origins.put(joined("/components/schemas", name), &joined("/definitions", name));
            schemas.insert(name.clone(), schema_of(schema));
        }
        let mut paths = Map::new();
        for (template, item) in members(self.root.get("paths")) {
            let at = joined("/paths", template);
            let Some(item) = item.as_object() else {
                self.problem(&at, "must be an object");
                continue;
            };
            paths.insert(template.clone(), self.path_item(item, &at));
        }
        let mut document = json!({
            "openapi": "3.0.3",
            "info": self.root.get("info"),
            "paths": paths,
            "components": { "schemas": schemas, "securitySchemes": self.schemes() },
        });
        if let Some(object) = document.as_object_mut() {
            if let Some(base) = self.root.get("basePath").and_then(Value::as_str) {
                object.insert("servers".to_owned(), json!([{ "url": base }]));
            }
            copy(self.root.as_object(), object, &["security", "tags"]);
        }
        document
    }

    fn schemes(&mut self) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, scheme) in members(self.root.get("securityDefinitions")) {
            self.origins
                .put(joined("/components/securitySchemes", name), &joined("/securityDefinitions", name));
            let converted = match scheme.get("type").and_then(Value::as_str) {
                Some("basic") => json!({ "type": "http", "scheme": "basic" }),
                Some("oauth2") => json!({ "type": "oauth2", "flows": {} }),
                _ => scheme.clone(),
            };
            out.insert(name.clone(), converted);
        }
        out
    }

    fn path_item(&mut self, item: &'d Map<String, Value>, at: &str) -> Value {
        let shared = self.parameters(item.get("parameters"), &joined(at, "parameters"));
        let mut out = Map::new();
        for (key, value) in item {
            if METHODS.contains(&key.as_str()) {
                let at = joined(at, key);
                match value.as_object() {
                    Some(operation) => drop(out.insert(key.clone(), self.operation(operation, &shared, &at))),
                    None => self.problem(&at, "must be an object"),
                }
            } else if key.starts_with("x-") || key == "$ref" {
                out.insert(key.clone(), value.clone());
            }
        }
        Value::Object(out)
    }

    fn parameters(&mut self, list: Option<&'d Value>, at: &str) -> Vec<Found<'d>> {
        let mut found = Vec::new();
        for (index, parameter) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let at = joined(at, &index.to_string());
            match self.followed(parameter, &at) {
                Some(one) => found.push(one),
                None => self.problem(&at, "the `$ref` names nothing in this document"),
            }
        }
        found
    }

    fn followed(&self, value: &'d Value, at: &str) -> Option<Found<'d>> {
        let object = value.as_object()?;
        let Some(reference) = object.get("$ref") else { return Some((at.to_owned(), object)) };
        let pointer = reference.as_str()?.strip_prefix('#')?;
        Some((pointer.to_owned(), self.root.pointer(pointer)?.as_object()?))
    }

    fn operation(&mut self, operation: &'d Map<String, Value>, shared: &[Found<'d>], at: &str) -> Value {
        let mut all = self.parameters(operation.get("parameters"), &joined(at, "parameters"));
        for (pointer, parameter) in shared {
            let is_same = |other: &Found<'_>| {
                other.1.get("name") == parameter.get("name") && other.1.get("in") == parameter.get("in")
            };
            if !all.iter().any(is_same) {
                all.push((pointer.clone(), parameter));
            }
        }
        let mut out = Map::new();
        copy(
            Some(operation),
            &mut out,
            &["operationId", "summary", "description", "tags", "deprecated", "security"],
        );
        let (mut plain, mut body, mut form) = (Vec::new(), None, Vec::new());
        for one in all {
            match one.1.get("in").and_then(Value::as_str) {
                Some("body") => body = Some(one),
                Some("formData") => form.push(one),
                _ => plain.push(one),
            }
        }
        let mut parameters = Vec::new();
        for (index, (pointer, parameter)) in plain.iter().enumerate() {
            let new = joined(&joined(at, "parameters"), &index.to_string());
            self.origins.put(new.clone(), pointer);
            self.origins.put(joined(&new, "schema"), pointer);
            parameters.push(self.parameter(parameter, pointer));
        }
        out.insert("parameters".to_owned(), Value::Array(parameters));
        let consumes = self.media(operation.get("consumes"), "consumes");
        let new = joined(at, "requestBody");
        match body {
            Some((pointer, _)) if !form.is_empty() => {
                self.problem(&pointer, "an operation takes a body or a form, not both");
            }
            Some((pointer, body)) => {
                out.insert("requestBody".to_owned(), self.body(body, &pointer, &consumes, &new));
            }
            None if form.is_empty() => {}
            None => drop(out.insert("requestBody".to_owned(), self.form(&form, &consumes, &new))),
        }
        let produces = self.media(operation.get("produces"), "produces");
        let mut responses = Map::new();
        for (status, response) in members(operation.get("responses")) {
            let at = joined(&joined(at, "responses"), status);
            let response = if status.starts_with("x-") {
                response.clone()
            } else {
                self.response(response, &at, &produces)
            };
            responses.insert(status.clone(), response);
        }
        out.insert("responses".to_owned(), Value::Object(responses));
        Value::Object(out)
    }

    fn media(&self, own: Option<&Value>, key: &str) -> Vec<String> {
        let list = own.or_else(|| self.root.get(key)).and_then(Value::as_array);
        let list: Vec<_> = list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if list.is_empty() { vec!["application/json".to_owned()] } else { list }
    }

    fn parameter(&mut self, parameter: &Map<String, Value>, at: &str) -> Value {
        let mut out = Map::new();
        copy(Some(parameter), &mut out, &["name", "in", "required", "description", "allowEmptyValue"]);
        let is_query = parameter.get("in").and_then(Value::as_str) == Some("query");
        if let Some((style, explode)) = self.style(parameter, at) {
            let style = if is_query { style } else { "simple" };
            out.insert("style".to_owned(), json!(style));
            out.insert("explode".to_owned(), json!(explode));
        }
        out.insert("schema".to_owned(), self.own_schema(parameter, at));
        Value::Object(out)
    }

    /// How a list is written: 2.0 says `csv` where nothing else is said.
    fn style(&mut self, parameter: &Map<String, Value>, at: &str) -> Option<(&'static str, bool)> {
        if parameter.get("type").and_then(Value::as_str) != Some("array") {
            return None;
        }
        match parameter.get("collectionFormat").and_then(Value::as_str) {
            None | Some("csv") => Some(("form", false)),
            Some("ssv") => Some(("spaceDelimited", false)),
            Some("pipes") => Some(("pipeDelimited", false)),
            Some("multi") => Some(("form", true)),
            Some(other) => {
                let message = format!("the collection format `{other}` is not supported");
                self.problem(&joined(at, "collectionFormat"), message);
                None
            }
        }
    }

    /// The schema that a parameter or header is itself.
    fn own_schema(&mut self, parameter: &Map<String, Value>, at: &str) -> Value {
        let nested = parameter.get("items").and_then(|items| items.get("collectionFormat"));
        if nested.is_some_and(|format| format.as_str() != Some("csv")) || nested_lists(parameter) {
            self.problem(&joined(at, "items"), "lists within lists are not supported");
        }
        let mut out = Map::new();
        copy(Some(parameter), &mut out, &SCHEMA);
        schema_of(&Value::Object(out))
    }

    fn body(&mut self, body: &Map<String, Value>, pointer: &str, consumes: &[String], new: &str) -> Value {
        self.origins.put(new.to_owned(), pointer);
        let schema = body.get("schema").map_or_else(|| json!({}), schema_of);
        let mut content = Map::new();
        for media in consumes {
            let at = joined(&joined(&joined(new, "content"), media), "schema");
            self.origins.put(at, &joined(pointer, "schema"));
            content.insert(media.clone(), json!({ "schema": schema }));
        }
        json!({ "required": body.get("required") == Some(&Value::Bool(true)), "content": content })
    }

    fn form(&mut self, fields: &[Found<'d>], consumes: &[String], new: &str) -> Value {
        let (mut properties, mut required, mut encoding) = (Map::new(), Vec::new(), Map::new());
        let is_file = |(_, field): &Found<'_>| field.get("type").and_then(Value::as_str) == Some("file");
        let mut media: Vec<&str> = consumes.iter().map(String::as_str).collect();
        media.retain(|media| matches!(*media, names::FORM | names::MULTIPART));
        if fields.iter().any(is_file) {
            media = vec![names::MULTIPART];
        } else if media.is_empty() {
            media.push(names::FORM);
        }
        for (pointer, field) in fields {
            let Some(name) = field.get("name").and_then(Value::as_str) else {
                self.problem(pointer, "a parameter must have a `name`");
                continue;
            };
            for media in &media {
                let at = joined(&joined(&joined(new, "content"), media), "schema");
                self.origins.put(joined(&joined(&at, "properties"), name), pointer);
            }
            if let Some((style, explode)) = self.style(field, pointer) {
                encoding.insert(name.to_owned(), json!({ "style": style, "explode": explode }));
            }
            if field.get("required") == Some(&Value::Bool(true)) {
                required.push(name);
            }
            properties.insert(name.to_owned(), self.own_schema(field, pointer));
        }
        let is_required = !required.is_empty();
        let mut schema = json!({ "type": "object", "properties": properties });
        if let Some(schema) = schema.as_object_mut().filter(|_| is_required) {
            schema.insert("required".to_owned(), json!(required));
        }
        let content: Map<String, Value> = media
            .into_iter()
            .map(|media| (media.to_owned(), json!({ "schema": schema, "encoding": encoding })))
            .collect();
        json!({ "required": is_required, "content": content })
    }

    fn response(&mut self, response: &'d Value, at: &str, produces: &[String]) -> Value {
        let Some((pointer, response)) = self.followed(response, at) else {
            self.problem(at, "the `$ref` names nothing in this document");
            return json!({});
        };
        self.origins.put(at.to_owned(), &pointer);
        let mut out = json!({ "description": response.get("description") });
        let mut headers = Map::new();
        for (name, header) in members(response.get("headers")) {
            let old = joined(&joined(&pointer, "headers"), name);
            self.origins.put(joined(&joined(&joined(at, "headers"), name), "schema"), &old);
            let own = header.as_object().map(|header| self.own_schema(header, &old));
            let explode = header.get("collectionFormat").and_then(Value::as_str) == Some("multi");
            headers.insert(name.clone(), json!({ "schema": own, "explode": explode }));
        }
        let mut content = Map::new();
        if let Some(schema) = response.get("schema") {
            for media in produces {
                let new = joined(&joined(&joined(at, "content"), media), "schema");
                self.origins.put(new, &joined(&pointer, "schema"));
                content.insert(media.clone(), json!({ "schema": schema_of(schema) }));
            }
        }
        if let Some(out) = out.as_object_mut() {
            out.insert("headers".to_owned(), Value::Object(headers));
            out.insert("content".to_owned(), Value::Object(content));
        }
        out
    }
}

fn nested_lists(parameter: &Map<String, Value>) -> bool {
    let is_list = |value: &Value| value.get("type").and_then(Value::as_str) == Some("array");
    parameter.get("type").and_then(Value::as_str) == Some("array")
        && parameter.get("items").is_some_and(is_list)
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn copy(from: Option<&Map<String, Value>>, to: &mut Map<String, Value>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = from.and_then(|from| from.get(*key)) {
            to.insert((*key).to_owned(), value.clone());
        }
    }
}

/// A schema of 2.0 as 3.0 says it. It has the same shape, so that every pointer below it stays.
fn schema_of(schema: &Value) -> Value {
    match schema {
        Value::Array(all) => all.iter().map(schema_of).collect(),
        Value::Object(object) => {
            let mut out = Map::new();
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("$ref", Value::String(target)) => {
                        let target = target.strip_prefix("#/definitions/");
                        let target = target.map(|name| json!(format!("#/components/schemas/{name}")));
                        out.insert(key.clone(), target.unwrap_or_else(|| value.clone()));
                    }
                    ("type", Value::String(kind)) if kind == "file" => {
                        out.insert("type".to_owned(), json!("string"));
                        out.insert("format".to_owned(), json!("binary"));
                    }
                    ("x-nullable", _) => drop(out.insert("nullable".to_owned(), value.clone())),
                    ("discriminator", Value::String(name)) => {
                        out.insert(key.clone(), json!({ "propertyName": name }));
                    }
                    ("properties", Value::Object(all)) => {
                        let all = all.iter().map(|(name, one)| (name.clone(), schema_of(one)));
                        out.insert(key.clone(), Value::Object(all.collect()));
                    }
                    ("enum" | "default" | "example", _) => drop(out.insert(key.clone(), value.clone())),
                    _ => drop(out.insert(key.clone(), schema_of(value))),
                }
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}
