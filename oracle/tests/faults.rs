//! No class of differences is so wide that a fault of the gate hides behind it: a gate that misreads its document is
//! found out.

use portcullis_oracle::calls::{Amount, calls};
use portcullis_oracle::document::Document;
use portcullis_oracle::explain::{Court, Outcome};
use serde_json::{Map, Value, json};

/// What a faulty gate makes of each object of a document.
type Fault = fn(&mut Map<String, Value>);

fn drop_word(object: &mut Map<String, Value>, word: &str, is_it: impl Fn(&Value) -> bool) {
    if object.get(word).is_some_and(is_it) {
        object.remove(word);
    }
}

fn is_parameter(object: &Map<String, Value>, place: &str) -> bool {
    object.get("in").is_some_and(|one| one == place) && object.contains_key("name")
}

fn each_field(object: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    let fields = object.get_mut("properties").and_then(Value::as_object_mut).into_iter();
    fields.flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut).for_each(change);
}

const FAULTS: &[(&str, Fault)] = &[
    ("`maxLength` is not asserted", |object| drop_word(object, "maxLength", Value::is_number)),
    ("`minLength` is off by one", |object| {
        if let Some(least) = object.get("minLength").and_then(Value::as_u64) {
            object.insert("minLength".to_owned(), json!(least + 1));
        }
    }),
    ("`enum` is not asserted", |object| drop_word(object, "enum", Value::is_array)),
    ("`pattern` is not asserted", |object| drop_word(object, "pattern", Value::is_string)),
    ("`maximum` is not asserted", |object| drop_word(object, "maximum", Value::is_number)),
    ("`minimum` is exclusive", |object| {
        if object.get("minimum").is_some_and(Value::is_number) {
            object.insert("exclusiveMinimum".to_owned(), Value::Bool(true));
        }
    }),
    ("`maxItems` is not asserted", |object| drop_word(object, "maxItems", Value::is_number)),
    ("`items` is not looked at", |object| drop_word(object, "items", Value::is_object)),
    ("no field is required", |object| drop_word(object, "required", Value::is_array)),
    ("every field is required", |object| {
        let names = object
            .get("properties")
            .and_then(Value::as_object)
            .map(|all| all.keys().cloned().collect::<Vec<_>>());
        if let Some(names) = names {
            object.insert("required".to_owned(), json!(names));
        }
    }),
    ("no parameter is required", |object| {
        if is_parameter(object, "query") {
            object.remove("required");
        }
    }),
    ("every parameter is required", |object| {
        if is_parameter(object, "query") {
            object.insert("required".to_owned(), Value::Bool(true));
        }
    }),
    ("no body is required", |object| {
        if object.contains_key("content") {
            drop_word(object, "required", Value::is_boolean);
        }
    }),
    ("a body is not in the contract", |object| drop_word(object, "requestBody", Value::is_object)),
    ("any media type is taken", |object| {
        if let Some(Value::Object(content)) = object.get_mut("content")
            && let Some(one) = content.values().next().cloned()
        {
            content.insert("application/x-zz".to_owned(), one);
        }
    }),
    ("integers are numbers", |object| {
        if object.get("type").is_some_and(|kind| kind == "integer") {
            object.insert("type".to_owned(), json!("number"));
        }
    }),
    ("texts are numbers", |object| {
        if object.get("type").is_some_and(|kind| kind == "string") {
            object.insert("type".to_owned(), json!("number"));
        }
    }),
    ("date-times are dates", |object| {
        if object.get("format").is_some_and(|format| format == "date-time") {
            object.insert("format".to_owned(), json!("date"));
        }
    }),
    ("every text is a date", |object| {
        if object.get("type").is_some_and(|kind| kind == "string") {
            object.insert("format".to_owned(), json!("date"));
        }
    }),
    ("every field is for answers only", |object| {
        each_field(object, |field| drop(field.insert("readOnly".to_owned(), Value::Bool(true))));
    }),
    ("the first field is not known", |object| {
        let name =
            object.get("properties").and_then(Value::as_object).and_then(|all| all.keys().next().cloned());
        if let (Some(name), Some(Value::Object(fields))) = (name, object.get_mut("properties")) {
            fields.remove(&name);
        }
    }),
    ("free fields are refused", |object| {
        let is_free = |more: &Value| more.is_object() || *more == Value::Bool(true);
        if object.get("additionalProperties").is_some_and(is_free) {
            object.remove("additionalProperties");
            object.entry("properties").or_insert_with(|| json!({ "zz": {} }));
        }
    }),
    ("null is refused", |object| drop_word(object, "nullable", Value::is_boolean)),
    ("null is taken", |object| {
        if object.get("type").is_some_and(|kind| kind == "string") {
            object.insert("nullable".to_owned(), Value::Bool(true));
        }
    }),
    ("lists are written the other way", |object| {
        if is_parameter(object, "query") {
            let explode = object.get("explode").and_then(Value::as_bool).unwrap_or(true);
            object.insert("explode".to_owned(), Value::Bool(!explode));
        }
    }),
    ("all alternatives are asked for", |object| {
        for word in ["oneOf", "anyOf"] {
            if let Some(list) = object.get(word).filter(|list| list.is_array()).cloned() {
                object.remove(word);
                object.insert("allOf".to_owned(), list);
            }
        }
    }),
    ("the first alternative is all there are", |object| {
        for word in ["oneOf", "anyOf"] {
            if let Some(Value::Array(list)) = object.get_mut(word) {
                list.truncate(1);
            }
        }
    }),
    ("alternatives are not looked at", |object| {
        drop_word(object, "oneOf", Value::is_array);
        drop_word(object, "anyOf", Value::is_array);
    }),
    ("compositions are not looked at", |object| drop_word(object, "allOf", Value::is_array)),
];

fn plant(value: &mut Value, fault: Fault) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| plant(item, fault)),
        Value::Object(object) => {
            object.values_mut().for_each(|member| plant(member, fault));
            fault(object);
        }
        _ => {}
    }
}

/// A document with something for each fault.
fn document() -> Document {
    let text = |more: Value| {
        let mut schema = json!({ "type": "string" });
        schema.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        schema
    };
    let parameters = json!([
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 9 } },
        { "name": "kind", "in": "query", "required": true, "schema": text(json!({ "enum": ["a", "b"] })) },
        { "name": "tags", "in": "query", "explode": false,
          "schema": { "type": "array", "minItems": 2, "maxItems": 3, "items": text(json!({ "maxLength": 4 })) } },
        { "name": "X-Trace", "in": "header", "schema": text(json!({ "format": "uuid" })) }
    ]);
    let item = json!({ "type": "object", "required": ["id", "name"], "properties": {
        "id": { "type": "integer", "minimum": 1 },
        "name": text(json!({ "minLength": 2, "maxLength": 6 })),
        "code": text(json!({ "pattern": "^[a-c]{3}$" })),
        "at": text(json!({ "format": "date-time" })),
        "note": text(json!({ "nullable": true })),
        "made": text(json!({ "readOnly": true, "format": "date-time" })),
        "price": { "type": "number", "minimum": 0, "maximum": 99 },
        "labels": { "type": "object", "additionalProperties": text(json!({ "maxLength": 6 })) },
        "parts": { "type": "array", "maxItems": 2, "items": { "$ref": "#/components/schemas/Part" } },
        "choice": { "oneOf": [
            { "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } },
            { "type": "object", "required": ["b"], "properties": { "b": { "type": "boolean" } } }
        ] },
        "both": { "allOf": [
            { "$ref": "#/components/schemas/Part" },
            { "type": "object", "required": ["weight"], "properties": { "weight": { "type": "integer" } } }
        ] }
    } });
    let part = json!({ "type": "object", "required": ["size"], "properties": {
        "size": { "type": "integer", "maximum": 5 }, "colour": text(json!({ "enum": ["red", "blue"] })) } });
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Item" } } });
    let body = json!({ "required": true, "content": content });
    let root = json!({
        "openapi": "3.0.3",
        "info": { "title": "faults", "version": "1" },
        "paths": { "/items": {
            "get": { "parameters": parameters, "responses": {} },
            "post": { "requestBody": body, "responses": {} }
        } },
        "components": { "schemas": { "Item": item, "Part": part } }
    });
    Document::new("faults".to_owned(), root)
}

/// How many requests show that a gate is faulty.
fn noticed(fault: Fault) -> usize {
    let document = document();
    let mut given = document.source().clone();
    plant(&mut given, fault);
    let (_, requests) = calls(&document, 1, Amount { valid: 60, spoilt: 60 });
    let court = Court::with_gate(document, given).expect("a faulty gate reads its document all the same");
    requests.iter().filter(|call| matches!(court.judge(call), Outcome::Unexplained(_))).count()
}

#[test]
fn a_gate_that_misreads_its_document_is_noticed() {
    assert_eq!(noticed(|_| ()), 0, "the gate is not faulty");
    let missed: Vec<&str> =
        FAULTS.iter().filter(|(_, fault)| noticed(*fault) == 0).map(|(name, _)| *name).collect();
    assert!(missed.is_empty(), "nobody notices: {missed:?}");
}

#[test]
fn a_document_of_2_0_is_judged() {
    let item = json!({ "type": "object", "required": ["id"], "properties": {
        "id": { "type": "integer", "maximum": 9 }, "tags": { "type": "array", "items": { "type": "string" } } } });
    let root = json!({
        "swagger": "2.0",
        "info": { "title": "old", "version": "1" },
        "paths": { "/items/{id}": { "put": {
            "consumes": ["application/json"],
            "parameters": [
                { "name": "id", "in": "path", "required": true, "type": "integer" },
                { "name": "kinds", "in": "query", "type": "array", "collectionFormat": "pipes", "items": { "type": "string" } },
                { "name": "item", "in": "body", "required": true, "schema": { "$ref": "#/definitions/Item" } }
            ],
            "responses": { "200": { "description": "" } }
        } } },
        "definitions": { "Item": item }
    });
    let document = Document::new("old".to_owned(), root);
    let (operations, requests) = calls(&document, 1, Amount { valid: 20, spoilt: 20 });
    let court = Court::new(document).expect("both judges read it");
    let all: Vec<Outcome> = requests.iter().map(|call| court.judge(call)).collect();
    let unexplained: Vec<&Outcome> =
        all.iter().filter(|one| matches!(one, Outcome::Unexplained(_))).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    assert_eq!(operations, 1);
    assert!(all.iter().filter(|one| matches!(one, Outcome::BothAccept)).count() > 20);
    assert!(all.iter().filter(|one| matches!(one, Outcome::BothRefuse)).count() > 20);
}
