//! A document in the few forms that the other judge's reader keeps.
//!
//! That reader knows a schema as one composition or as one type with the words of that type, and drops all else
//! without a word: `maxLength` beside `nullable`, `properties` beside `allOf`. It also turns documents away for what
//! no request depends on, such as an example of `null`. So each schema is written anew here, by what OpenAPI and
//! JSON Schema say that it means, as compositions of such forms; what has no such form refers to nothing, and the
//! judge then says that it cannot say. Nothing here is shared with the gate's own translation.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::calls::METHODS;
use crate::document::Document;

const TYPES: [&str; 6] = ["object", "array", "string", "number", "boolean", "null"];
const NUMBER: [&str; 3] = ["multipleOf", "minimum", "maximum"];
const STRING: [&str; 3] = ["minLength", "maxLength", "pattern"];
const ARRAY: [&str; 3] = ["minItems", "maxItems", "uniqueItems"];
const OBJECT: [&str; 3] = ["minProperties", "maxProperties", "required"];
/// Words that no form of the other reader says.
const UNSAID: [&str; 9] = [
    "contains",
    "prefixItems",
    "additionalItems",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "dependencies",
];

/// `document`, of version 3.0 or 3.1, as one of version 3.2 that says the same of requests.
pub fn plain(document: &Document) -> Value {
    let is_30 =
        document.root.get("openapi").and_then(Value::as_str).is_some_and(|one| one.starts_with("3.0"));
    let mut writer = Writer { document, is_30, names: BTreeMap::new(), open: Vec::new() };
    let paths: Map<String, Value> =
        document.paths().map(|(template, item)| (template.to_owned(), writer.item(item))).collect();
    let mut schemas = Map::new();
    while let Some((name, pointer)) = writer.open.pop() {
        let schema = document.root.pointer(&pointer);
        let schema = schema.map_or(Value::Bool(false), |schema| writer.schema(schema));
        schemas.insert(name, schema);
    }
    json!({
        "openapi": "3.2.0",
        "info": { "title": "plain", "version": "1" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

struct Writer<'d> {
    document: &'d Document,
    is_30: bool,
    /// Pointers that references lead to, and the names that they have here.
    names: BTreeMap<String, String>,
    /// Names whose schemas are not written yet.
    open: Vec<(String, String)>,
}

fn unsaid() -> Value {
    json!({ "$ref": "#/components/schemas/has-no-plain-form" })
}

fn one_of_all(mut all: Vec<Value>, word: &str) -> Value {
    if all.len() == 1 { all.remove(0) } else { json!({ word: all }) }
}

impl<'d> Writer<'d> {
    fn item(&mut self, item: &'d Map<String, Value>) -> Value {
        let mut out = Map::new();
        out.insert("parameters".to_owned(), self.parameters(item.get("parameters")));
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let mut plain = Map::new();
            plain.insert("parameters".to_owned(), self.parameters(operation.get("parameters")));
            if let Some(body) = operation.get("requestBody") {
                plain.insert("requestBody".to_owned(), self.body(self.document.follow(body)));
            }
            out.insert(method.to_owned(), Value::Object(plain));
        }
        Value::Object(out)
    }

    fn parameters(&mut self, list: Option<&'d Value>) -> Value {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|one| self.parameter(self.document.follow(one))).collect()
    }

    fn parameter(&mut self, parameter: &'d Value) -> Option<Value> {
        let (name, place) = (parameter.get("name")?.as_str()?, parameter.get("in")?.as_str()?);
        // OpenAPI 3.0 section 4.7.12.2: such definitions shall be ignored.
        let is_elsewhere = ["accept", "content-type", "authorization"].contains(&&*name.to_ascii_lowercase());
        if place == "header" && is_elsewhere {
            return None;
        }
        let is_required = place == "path" || parameter.get("required") == Some(&Value::Bool(true));
        let mut out = json!({ "name": name, "in": place, "required": is_required });
        for word in ["style", "explode"] {
            if let Some(value) = parameter.get(word) {
                out[word] = value.clone();
            }
        }
        if let Some(schema) = parameter.get("schema") {
            out["schema"] = self.text(schema);
        } else if let Some((media, entry)) =
            parameter.get("content").and_then(Value::as_object).and_then(|all| all.iter().next())
        {
            let schema = entry.get("schema").map_or(json!({}), |schema| self.schema(schema));
            out["content"] = json!({ media: { "schema": schema } });
        }
        Some(out)
    }

    fn body(&mut self, body: &'d Value) -> Value {
        let mut content = Map::new();
        for (media, entry) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
            let mut plain = Map::new();
            if let Some(schema) = entry.get("schema") {
                plain.insert("schema".to_owned(), self.schema(schema));
            }
            let mut encodings = Map::new();
            for (name, encoding) in entry.get("encoding").and_then(Value::as_object).into_iter().flatten() {
                let words = encoding.as_object().into_iter().flatten();
                let kept =
                    words.filter(|(word, _)| ["style", "explode", "contentType"].contains(&word.as_str()));
                let kept: Map<String, Value> =
                    kept.map(|(word, value)| (word.clone(), value.clone())).collect();
                encodings.insert(name.clone(), Value::Object(kept));
            }
            if !encodings.is_empty() {
                plain.insert("encoding".to_owned(), Value::Object(encodings));
            }
            content.insert(media.clone(), Value::Object(plain));
        }
        json!({ "content": content, "required": body.get("required") == Some(&Value::Bool(true)) })
    }

    /// The schema of a text on the wire, which is never null: its one type is what it is read as.
    fn text(&mut self, schema: &'d Value) -> Value {
        let behind = self.document.follow(schema);
        match behind.as_object().filter(|object| !object.contains_key("$ref")) {
            Some(object) => self.object(object, true),
            None => self.schema(schema),
        }
    }

    fn schema(&mut self, schema: &'d Value) -> Value {
        match schema {
            Value::Object(object) => self.object(object, false),
            Value::Bool(_) => schema.clone(),
            _ => json!({}),
        }
    }

    fn reference(&mut self, reference: &Value) -> Value {
        let text = reference.as_str().unwrap_or_default();
        let Some(fragment) = text.strip_prefix("#/") else { return unsaid() };
        let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
        let pointer = format!("/{pointer}");
        let next = format!("s{}", self.names.len());
        let name = self.names.entry(pointer.clone()).or_insert_with(|| {
            self.open.push((next.clone(), pointer));
            next
        });
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn list(&mut self, list: &'d Value) -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|one| self.schema(one)).collect()
    }

    fn object(&mut self, object: &'d Map<String, Value>, is_text: bool) -> Value {
        let mut all = Vec::new();
        if let Some(reference) = object.get("$ref") {
            let target = self.reference(reference);
            // OpenAPI 3.0 section 4.7.23: what stands beside a reference shall be ignored.
            if self.is_30 {
                return target;
            }
            all.push(target);
        }
        if UNSAID.iter().any(|word| object.contains_key(*word))
            || object.get("items").is_some_and(Value::is_array)
        {
            all.push(unsaid());
        }
        if let Some(list) = object.get("allOf") {
            all.extend(self.list(list));
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(list) = object.get(word) {
                all.push(json!({ word: self.list(list) }));
            }
        }
        if let Some(not) = object.get("not") {
            all.push(json!({ "not": self.schema(not) }));
        }
        if let Some(condition) = object.get("if").filter(|_| !self.is_30) {
            let condition = self.schema(condition);
            let mut branch = |word: &str| object.get(word).map_or(json!({}), |schema| self.schema(schema));
            let (then, other) = (branch("then"), branch("else"));
            all.push(json!({ "anyOf": [
                { "allOf": [condition, then] },
                { "allOf": [{ "not": condition }, other] },
            ] }));
        }
        all.extend(self.typed(object, is_text));
        if all.is_empty() { json!({}) } else { one_of_all(all, "allOf") }
    }

    /// What the words say that belong to single types; `None` where they say nothing.
    fn typed(&mut self, object: &'d Map<String, Value>, is_text: bool) -> Option<Value> {
        let mut types: Vec<&str> = match object.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is_typed = !types.is_empty();
        let values: Option<Vec<&Value>> = match (object.get("enum"), object.get("const")) {
            (Some(Value::Array(all)), _) => Some(all.iter().collect()),
            (_, Some(one)) if !self.is_30 => Some(vec![one]),
            _ => None,
        };
        if is_typed && self.is_30 && object.get("nullable") == Some(&Value::Bool(true)) {
            types.push("null");
        }
        if !is_typed {
            let says = |words: &[&str]| words.iter().any(|word| object.contains_key(*word));
            let more = ["properties", "additionalProperties", "patternProperties", "propertyNames", "items"];
            let bounds = ["exclusiveMinimum", "exclusiveMaximum"];
            if values.is_none()
                && ![&NUMBER, &STRING, &ARRAY, &OBJECT].iter().any(|one| says(*one))
                && !says(&more)
                && !says(&bounds)
            {
                return None;
            }
            types = TYPES.to_vec();
        }
        if is_text && types.iter().any(|one| *one != "null") {
            types.retain(|one| *one != "null");
        }
        let mut branches = Vec::new();
        for kind in types {
            branches.extend(self.branch(kind, object, values.as_deref()));
        }
        if branches.is_empty() { Some(Value::Bool(false)) } else { Some(one_of_all(branches, "anyOf")) }
    }

    /// The words of one type; `None` where no value of that type is among the `values`.
    fn branch(
        &mut self,
        kind: &str,
        object: &'d Map<String, Value>,
        values: Option<&[&Value]>,
    ) -> Option<Value> {
        let mut out = Map::new();
        let mut kind = kind;
        if let Some(values) = values {
            let is_one = |value: &&&Value| match kind {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                _ => value.is_null(),
            };
            let own: Vec<Value> = values.iter().filter(is_one).map(|value| (*value).clone()).collect();
            match (kind, own.as_slice()) {
                (_, []) => return None,
                ("string" | "number", _) => drop(out.insert("enum".to_owned(), Value::Array(own))),
                ("integer", _) => {
                    kind = "number";
                    out.insert("enum".to_owned(), Value::Array(own));
                }
                ("null", _) => {}
                ("boolean", [one, other, ..]) if one != other => {}
                _ => return Some(unsaid()),
            }
        }
        out.insert("type".to_owned(), json!(kind));
        match kind {
            "string" => keep(object, &STRING, &mut out),
            "integer" | "number" => self.bounds(object, &mut out),
            "array" => {
                keep(object, &ARRAY, &mut out);
                if let Some(items) = object.get("items") {
                    out.insert("items".to_owned(), self.schema(items));
                }
            }
            "object" => self.fields(object, &mut out),
            _ => {}
        }
        Some(Value::Object(out))
    }

    fn bounds(&mut self, object: &Map<String, Value>, out: &mut Map<String, Value>) {
        keep(object, &NUMBER, out);
        for (word, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            match object.get(word) {
                Some(Value::Bool(true)) => {
                    if let Some(limit) = out.remove(bound) {
                        out.insert(word.to_owned(), limit);
                    }
                }
                Some(limit @ Value::Number(_)) => drop(out.insert(word.to_owned(), limit.clone())),
                _ => {}
            }
        }
    }

    fn fields(&mut self, object: &'d Map<String, Value>, out: &mut Map<String, Value>) {
        keep(object, &OBJECT, out);
        for word in ["properties", "patternProperties"] {
            if let Some(members) = object.get(word).and_then(Value::as_object) {
                let members: Map<String, Value> =
                    members.iter().map(|(name, schema)| (name.clone(), self.schema(schema))).collect();
                out.insert(word.to_owned(), Value::Object(members));
            }
        }
        for word in ["additionalProperties", "propertyNames"] {
            if let Some(schema) = object.get(word) {
                let schema = self.schema(schema);
                out.insert(word.to_owned(), schema);
            }
        }
    }
}

/// Takes the words over; counts may be written `1.0`.
fn keep(object: &Map<String, Value>, words: &[&str], out: &mut Map<String, Value>) {
    for word in words {
        let Some(value) = object.get(*word) else { continue };
        let is_count =
            word.starts_with("min") && *word != "minimum" || word.starts_with("max") && *word != "maximum";
        let value = match value.as_f64().filter(|count| is_count && count.fract() == 0.0 && *count >= 0.0) {
            Some(count) => json!(count as u64),
            None => value.clone(),
        };
        out.insert((*word).to_owned(), value);
    }
}
