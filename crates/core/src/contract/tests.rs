#![expect(
    clippy::disallowed_methods,
    reason = "tests read documents from files and print how long they load"
)]

use serde_json::json;

use super::*;
use crate::contract::translate::Mode;

mod real;
mod suite;
mod swagger;

fn compile(document: Value) -> Result<Contract, Vec<Problem>> {
    Contract::compile(document, &ContractOptions { build_all: true, ..ContractOptions::default() })
}

/// A document with one operation that takes `schema` as its body.
fn document(version: &str, schema: &Value, schemas: &Value) -> Value {
    json!({
        "openapi": version,
        "info": { "title": "t", "version": "1" },
        "paths": { "/a": { "post": {
            "requestBody": { "content": { "application/json": { "schema": schema } } },
            "responses": { "200": { "description": "", "content": { "application/json": { "schema": schema } } } }
        } } },
        "components": { "schemas": schemas }
    })
}

/// Whether `value` passes `schema` in a mode.
fn passes(version: &str, mode: Mode, schema: &Value, schemas: &Value, value: &Value) -> bool {
    let contract = match compile(document(version, schema, schemas)) {
        Ok(contract) => contract,
        Err(problems) => panic!("{problems:?}"),
    };
    let pointer = "/paths/~1a/post/requestBody/content/application~1json/schema";
    let unit = contract.shelf.unit(mode, pointer);
    contract.shelf.accepts(&unit, value)
}

fn check(version: &str, mode: Mode, schema: &Value, good: &[Value], bad: &[Value]) {
    let schemas = &components();
    for value in good {
        assert!(passes(version, mode, schema, schemas, value), "{mode:?} {schema} should take {value}");
    }
    for value in bad {
        assert!(!passes(version, mode, schema, schemas, value), "{mode:?} {schema} should refuse {value}");
    }
}

fn components() -> Value {
    json!({
        "Name": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } },
        "Tree": { "type": "object", "properties": {
            "value": { "type": "integer" },
            "children": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } },
            "parent": { "allOf": [{ "$ref": "#/components/schemas/Tree" }] }
        } },
        "Owned": { "allOf": [
            { "$ref": "#/components/schemas/Name" },
            { "type": "object", "required": ["id", "secret"], "properties": {
                "id": { "type": "integer", "readOnly": true }, "secret": { "type": "string", "writeOnly": true } } }
        ] },
        "Cat": { "type": "object", "required": ["kind"], "properties": {
            "kind": { "type": "string" }, "lives": { "type": "integer" } } },
        "Dog": { "type": "object", "required": ["kind"], "properties": {
            "kind": { "type": "string" }, "barks": { "type": "boolean" } } },
        "Free": { "type": "object" },
        "Id": { "type": "integer", "readOnly": true }
    })
}

fn name() -> Value {
    json!({ "$ref": "#/components/schemas/Name" })
}

#[test]
fn unknown_fields_are_refused_through_every_composition() {
    let other =
        json!({ "type": "object", "properties": { "b": { "type": "object", "properties": { "c": {} } } } });
    let cases: Vec<(Value, Vec<Value>, Vec<Value>)> = vec![
        (name(), vec![json!({"name": "n"})], vec![json!({"name": "n", "x": 1}), json!({}), json!(1)]),
        (
            json!({ "type": "object", "properties": { "in": name() } }),
            vec![json!({"in": {"name": "n"}})],
            vec![json!({"in": {"name": "n", "x": 1}}), json!({"x": 1})],
        ),
        (
            json!({ "allOf": [name(), other] }),
            vec![json!({"name": "n", "b": {"c": 1}}), json!({"name": "n"})],
            vec![json!({"name": "n", "x": 1}), json!({"name": "n", "b": {"x": 1}})],
        ),
        (
            json!({ "allOf": [name()], "properties": { "own": {} } }),
            vec![json!({"name": "n", "own": 1})],
            vec![json!({"name": "n", "x": 1})],
        ),
        (
            json!({ "anyOf": [name(), other] }),
            vec![json!({"name": "n"}), json!({"b": {}}), json!({"name": "n", "b": {}})],
            vec![json!({"name": "n", "x": 1}), json!({"x": 1})],
        ),
        (
            json!({ "oneOf": [name(), { "type": "string" }] }),
            vec![json!({"name": "n"}), json!("s")],
            vec![json!({"name": "n", "x": 1}), json!(1)],
        ),
        (
            json!({ "type": "array", "items": name() }),
            vec![json!([{"name": "n"}])],
            vec![json!([{"name": "n", "x": 1}])],
        ),
        (json!({ "type": "object" }), vec![json!({"x": 1}), json!({})], vec![json!([])]),
        (json!({ "$ref": "#/components/schemas/Free" }), vec![json!({"x": {"y": 1}})], vec![]),
        (
            json!({ "anyOf": [name(), { "type": "object" }] }),
            vec![json!({"name": "n", "x": 1}), json!({"x": 1})],
            vec![],
        ),
        (
            json!({ "anyOf": [name(), other, { "type": "object", "additionalProperties": {"type": "integer"} }] }),
            vec![json!({"x": 1})],
            vec![json!({"x": "s"})],
        ),
        (
            json!({ "type": "object", "properties": {"a": {}}, "additionalProperties": true }),
            vec![json!({"a": 1, "x": 1})],
            vec![],
        ),
        (
            json!({ "type": "object", "properties": {"a": {}}, "additionalProperties": name() }),
            vec![json!({"a": 1, "x": {"name": "n"}})],
            vec![json!({"x": {"name": "n", "y": 1}})],
        ),
        (
            json!({ "type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}] }),
            vec![json!({"a": 1}), json!({"b": 1})],
            vec![json!({"a": 1, "b": 1}), json!({"a": 1, "x": 1})],
        ),
        (
            json!({ "not": { "type": "object", "required": ["no"], "properties": { "no": {} } }, "type": "object",
                    "properties": { "yes": {} } }),
            vec![json!({"yes": 1})],
            vec![json!({"yes": 1, "x": 1}), json!({"no": 1})],
        ),
        (
            json!({ "$ref": "#/components/schemas/Tree" }),
            vec![json!({"value": 1, "children": [{"value": 2, "children": []}], "parent": {"parent": {}}})],
            vec![json!({"children": [{"children": [{"x": 1}]}]}), json!({"parent": {"parent": {"x": 1}}})],
        ),
    ];
    for (schema, good, bad) in cases {
        for version in ["3.0.3", "3.1.0"] {
            check(version, Mode::Closed, &schema, &good, &bad);
        }
    }
}

#[test]
fn a_field_that_is_required_is_named() {
    let ab = json!({ "a": { "type": "integer" }, "b": {} });
    let good = [json!({ "a": 1, "z": 2 })];
    let bad = [json!({ "a": 1 }), json!({ "z": 2, "y": 1 }), json!({ "a": "x", "z": 2 })];
    for schema in [
        json!({ "required": ["z"], "properties": ab }),
        json!({ "allOf": [{ "properties": ab }, { "required": ["z"] }] }),
        json!({ "properties": ab, "anyOf": [{ "required": ["z", "a"] }, { "required": ["z"] }] }),
    ] {
        for version in ["3.0.3", "3.1.0"] {
            check(version, Mode::Closed, &schema, &good, &bad);
            check(version, Mode::ClosedAnswer, &schema, &good, &bad);
        }
    }
    // What the document says of all other fields holds for it too.
    let other = json!({ "required": ["z"], "properties": ab, "additionalProperties": { "type": "string" } });
    check("3.1.0", Mode::Closed, &other, &[json!({ "z": "x" })], &[json!({ "z": 1 }), json!({})]);
    let other = json!({ "properties": ab, "allOf": [{ "required": ["z"] }], "unevaluatedProperties": { "type": "string" } });
    check("3.1.0", Mode::Closed, &other, &[json!({ "z": "x" })], &[json!({ "z": 1 }), json!({})]);
}

#[test]
fn not_is_not_weakened_by_closing_what_is_in_it() {
    // Closed inside `not`, an unknown field would let the forbidden object through.
    let schema =
        json!({ "type": "object", "not": { "properties": { "a": { "const": 1 } }, "required": ["a"] } });
    check("3.1.0", Mode::Closed, &schema, &[json!({"a": 2})], &[json!({"a": 1}), json!({"a": 1, "x": 1})]);
}

#[test]
fn an_open_mode_takes_unknown_fields() {
    let schema = json!({ "allOf": [name(), { "properties": { "b": {} } }] });
    check(
        "3.0.3",
        Mode::Open,
        &schema,
        &[json!({"name": "n", "x": 1})],
        &[json!({"x": 1}), json!({"name": 1})],
    );
    check("3.0.3", Mode::Answer, &schema, &[json!({"name": "n", "x": 1})], &[json!({"name": 1})]);
}

#[test]
fn read_only_is_not_sent_and_write_only_not_answered() {
    let owned = json!({ "$ref": "#/components/schemas/Owned" });
    for version in ["3.0.3", "3.1.0"] {
        check(
            version,
            Mode::Closed,
            &owned,
            &[json!({"name": "n", "secret": "s"})],
            &[json!({"name": "n", "secret": "s", "id": 1}), json!({"name": "n"})],
        );
        check(
            version,
            Mode::Answer,
            &owned,
            &[json!({"name": "n", "id": 1}), json!({"name": "n", "id": 1, "more": 1})],
            &[json!({"name": "n", "id": 1, "secret": "s"}), json!({"name": "n"})],
        );
    }
    let behind = json!({ "type": "object", "properties": { "id": { "$ref": "#/components/schemas/Id" } } });
    check("3.0.3", Mode::Closed, &behind, &[json!({})], &[json!({"id": 1})]);
    // The requirement stands in another schema than the property.
    let apart = json!({ "allOf": [
        { "type": "object", "properties": { "id": { "type": "integer", "readOnly": true }, "n": {} } },
        { "required": ["id", "n"] }
    ] });
    check("3.0.3", Mode::Closed, &apart, &[json!({"n": 1})], &[json!({"id": 1, "n": 1}), json!({})]);
    check("3.0.3", Mode::Open, &apart, &[json!({"n": 1})], &[json!({"id": 1, "n": 1}), json!({})]);
}

#[test]
fn schemas_of_3_0_mean_what_they_meant() {
    let cases: Vec<(Value, Vec<Value>, Vec<Value>)> = vec![
        (json!({ "type": "string", "nullable": true }), vec![json!(null), json!("s")], vec![json!(1)]),
        (
            json!({ "type": "string", "enum": ["a"], "nullable": true }),
            vec![json!(null), json!("a")],
            vec![json!("b")],
        ),
        (
            json!({ "nullable": true, "allOf": [name()] }),
            vec![json!(null), json!({"name": "n"})],
            vec![json!({"x": 1})],
        ),
        (
            json!({ "type": "integer", "minimum": 1, "exclusiveMinimum": true, "maximum": 3, "exclusiveMaximum": true }),
            vec![json!(2)],
            vec![json!(1), json!(3)],
        ),
        (
            json!({ "type": "integer", "minimum": 1, "exclusiveMinimum": false }),
            vec![json!(1)],
            vec![json!(0)],
        ),
        (
            json!({ "$ref": "#/components/schemas/Name", "type": "string" }),
            vec![json!({"name": "n"})],
            vec![json!("s")],
        ),
        (
            json!({ "oneOf": [{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }],
                    "discriminator": { "propertyName": "kind", "mapping": {
                        "cat": "#/components/schemas/Cat", "dog": "Dog" } } }),
            vec![
                json!({"kind": "cat"}),
                json!({"kind": "dog", "barks": true}),
                json!({"kind": "Cat", "lives": 9}),
            ],
            vec![json!({"kind": "cat", "barks": true}), json!({"kind": "cow"}), json!({})],
        ),
        (json!({ "type": "string", "format": "byte" }), vec![json!("YQ==")], vec![json!("Y"), json!("%")]),
    ];
    for (schema, good, bad) in cases {
        check("3.0.3", Mode::Closed, &schema, &good, &bad);
    }
}

#[test]
fn formats_are_asserted() {
    let cases = [
        ("date-time", "2024-02-29T12:00:00Z", "2023-02-29T12:00:00Z"),
        ("date", "2024-01-31", "2024-01-32"),
        ("email", "a@example.com", "a@"),
        ("uuid", "3f2b7f9a-1c1d-4a58-9c6f-8a6f3f9d2c11", "3f2b7f9a"),
        ("uri", "https://example.com/a", "not a uri"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8:::1"),
        ("hostname", "a.example", "-a.example"),
    ];
    for (format, good, bad) in cases {
        let schema = json!({ "type": "string", "format": format });
        for version in ["3.0.3", "3.1.0"] {
            check(version, Mode::Closed, &schema, &[json!(good)], &[json!(bad)]);
        }
    }
    let bounds = [
        ("int32", json!(2_147_483_647), json!(2_147_483_648_u64)),
        ("int64", json!(i64::MAX), json!(u64::MAX)),
    ];
    for (format, good, bad) in bounds {
        check("3.0.3", Mode::Closed, &json!({ "type": "integer", "format": format }), &[good], &[bad]);
    }
}

#[test]
fn patterns_are_linear_or_bounded() {
    let ahead = json!({ "type": "string", "pattern": "^(?=.*\\d)[a-z0-9]+$" });
    check("3.1.0", Mode::Closed, &ahead, &[json!("a1")], &[json!("a"), json!("A1")]);
    let contract = compile(document("3.1.0", &ahead, &json!({}))).unwrap();
    assert_eq!(contract.warnings().len(), 2);
    let evil = json!({ "type": "string", "pattern": "^(?=a)(a+)+$" });
    check("3.1.0", Mode::Closed, &evil, &[json!("aaa")], &[json!(format!("{}!", "a".repeat(5_000)))]);
}

#[test]
fn a_broken_pattern_is_unchecked_only_where_the_operator_says_so() {
    let schema = json!({ "type": "string", "pattern": "[", "maxLength": 2 });
    assert!(compile(document("3.1.0", &schema, &json!({}))).is_err());
    let options = ContractOptions { build_all: true, ignore_broken_patterns: true };
    let contract = Contract::compile(document("3.1.0", &schema, &json!({})), &options).unwrap();
    assert_eq!(contract.warnings().len(), 2);
    let unit =
        contract.shelf.unit(Mode::Closed, "/paths/~1a/post/requestBody/content/application~1json/schema");
    assert!(contract.shelf.accepts(&unit, &json!("ab")) && !contract.shelf.accepts(&unit, &json!("abc")));
}

#[test]
fn a_contract_that_is_gone_leaves_nothing_behind() {
    let contract =
        compile(document("3.1.0", &json!({ "$ref": "#/components/schemas/Tree" }), &components())).unwrap();
    let unit = Arc::downgrade(&contract.shelf.unit(Mode::Closed, "/components/schemas/Tree"));
    let shelf = Arc::downgrade(&contract.shelf);
    assert!(shelf.upgrade().is_some() && unit.upgrade().is_some());
    drop(contract);
    assert!(shelf.upgrade().is_none() && unit.upgrade().is_none());
}

#[test]
fn a_schema_that_doubles_at_each_level_is_refused() {
    let mut schemas = serde_json::Map::new();
    for level in 0..40 {
        let below = json!({ "$ref": format!("#/components/schemas/L{}", level + 1) });
        schemas.insert(format!("L{level}"), json!({ "allOf": [below, below] }));
    }
    schemas.insert("L40".to_owned(), json!({ "properties": { "a": {} } }));
    let whole = document("3.1.0", &json!({ "$ref": "#/components/schemas/L0" }), &Value::Object(schemas));
    assert!(compile(whole).is_err());
}

#[test]
fn deep_values_are_judged_without_a_deep_stack() {
    let deep = (0..62).fold(json!({}), |inner, _| json!({ "parent": inner }));
    let schema = json!({ "$ref": "#/components/schemas/Tree" });
    assert!(passes("3.0.3", Mode::Closed, &schema, &components(), &deep));
    let bad = (0..62).fold(json!({ "x": 1 }), |inner, _| json!({ "parent": inner }));
    assert!(!passes("3.0.3", Mode::Closed, &schema, &components(), &bad));
}

fn problems(document: Value) -> Vec<(String, String)> {
    let problems = compile(document).err().unwrap_or_default();
    problems.into_iter().map(|problem| (problem.pointer, problem.message)).collect()
}

#[test]
fn broken_documents_are_refused_with_every_place() {
    let with = |schema: Value| problems(document("3.1.0", &json!({}), &json!({ "S": schema })));
    let cases = [
        (json!({ "$ref": "#/components/schemas/No" }), "/components/schemas/S/$ref", "names nothing"),
        (json!({ "$ref": "https://example.com/s.json" }), "/components/schemas/S/$ref", "leads out"),
        (json!({ "$ref": "other.yaml#/S" }), "/components/schemas/S/$ref", "leads out"),
        (json!({ "$ref": "#name" }), "/components/schemas/S/$ref", "anchor"),
        (json!({ "$ref": "#/components/schemas/S" }), "/components/schemas/S", "contains itself"),
        (
            json!({ "allOf": [{ "$ref": "#/components/schemas/S" }] }),
            "/components/schemas/S",
            "contains itself",
        ),
        (json!({ "type": "file" }), "/components/schemas/S/type", "types"),
        (json!({ "items": [] }), "/components/schemas/S/items", "object"),
        (json!({ "properties": { "a/b": 1 } }), "/components/schemas/S/properties/a~1b", "object"),
        (json!({ "required": "a" }), "/components/schemas/S/required", "names"),
        (json!({ "allOf": [] }), "/components/schemas/S/allOf", "not empty"),
        (json!({ "minLength": -1 }), "/components/schemas/S/minLength", "zero or more"),
        (json!({ "minimum": "1" }), "/components/schemas/S/minimum", "number"),
        (json!({ "multipleOf": 0 }), "/components/schemas/S/multipleOf", "above zero"),
        (json!({ "pattern": "(" }), "/components/schemas/S/pattern", "regular expression"),
        (json!({ "enum": 1 }), "/components/schemas/S/enum", "list"),
        (json!({ "$dynamicRef": "#a" }), "/components/schemas/S/$dynamicRef", "anchor"),
        (json!(1), "/components/schemas/S", "object"),
    ];
    for (schema, pointer, message) in cases {
        let found = with(schema.clone());
        assert!(
            found.iter().any(|(at, text)| at == pointer && text.contains(message)),
            "{schema}: {found:?}"
        );
    }
    let two = json!({ "properties": { "a": { "type": "x" }, "b": { "pattern": "[" } } });
    assert_eq!(with(two).len(), 2);
}

fn paths(paths: impl Into<Value>) -> Value {
    json!({ "openapi": "3.0.3", "info": {}, "paths": paths.into() })
}

#[test]
fn broken_operations_are_refused() {
    let id = json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let get = |id: &str| json!({ "get": { "operationId": id, "responses": {} } });
    let cases = [
        (json!({ "swagger": "1.2" }), "only OpenAPI 2.0"),
        (json!({ "info": {} }), "no OpenAPI document"),
        (json!({ "openapi": "3.2.0", "paths": {} }), "only OpenAPI 2.0, 3.0 and 3.1"),
        (json!({ "openapi": "3.01", "paths": {} }), "only OpenAPI 2.0, 3.0 and 3.1"),
        (json!({ "openapi": "3.1.0", "paths": {}, "jsonSchemaDialect": "https://example.com" }), "dialect"),
        (json!({ "openapi": "3.0.0" }), "`paths` is missing"),
        (paths(json!({ "/a": get("x"), "/b": get("x") })), "twice"),
        (paths(json!({ "/a/{b}": get("x") })), "`b` is not declared"),
        (paths(json!({ "a": get("x") })), "start with `/`"),
        (paths(json!({ "/a?b=c": get("x") })), "query"),
        (paths(json!({ "/a/{b": get("x") })), "braces"),
        (paths(json!({ "/a/../b": get("x") })), "segment"),
        (paths(json!({ "/a//b": get("x") })), "segment"),
        (paths(json!({ "/a/%2": get("x") })), "percent"),
        (paths(json!({ "/a/%2f": get("x") })), "percent"),
        (
            paths(json!({
                "/a/{id}": { "parameters": id, "get": { "responses": {} } },
                "/a/{key}": { "get": { "responses": {}, "parameters": [{ "name": "key", "in": "path", "schema": {} }] } }
            })),
            "same requests",
        ),
        (
            paths(json!({ "/a": { "get": { "parameters": [{ "name": "q", "in": "body" }] } } })),
            "`in` must be",
        ),
        (
            paths(
                json!({ "/a": { "get": { "parameters": [{ "name": "q", "in": "path", "style": "form" }] } } }),
            ),
            "`form`",
        ),
        (
            paths(json!({ "/a": { "get": { "parameters": [{ "$ref": "#/components/parameters/P" }] } } })),
            "names nothing",
        ),
        (paths(json!({ "/a": { "get": { "responses": { "2000": {} } } } })), "status"),
    ];
    for (document, message) in cases {
        let found = problems(document.clone());
        assert!(found.iter().any(|(_, text)| text.contains(message)), "{document}: {found:?}");
    }
}

#[test]
fn paths_lead_to_one_operation() {
    let parameter = |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": {} });
    let op = |id: &str, names: &[&str]| {
        let all: Vec<_> = names.iter().map(|name| parameter(name)).collect();
        json!({ "operationId": id, "parameters": all, "responses": {} })
    };
    let contract = compile(paths(json!({
        "/": { "get": op("root", &[]) },
        "/users": { "get": op("users", &[]), "post": op("addUser", &[]) },
        "/users/me": { "get": op("me", &[]) },
        "/users/{id}": { "get": op("user", &["id"]), "delete": op("removeUser", &["id"]) },
        "/users/{id}/posts/{post}.json": { "get": op("postJson", &["id", "post"]) },
        "/users/{id}/posts/{post}": { "get": op("post", &["id", "post"]) },
        "/users/me/keys": { "get": op("keys", &[]) },
        "/users/{id}/tags": { "get": op("tags", &["id"]) },
        "/compare/{base}...{head}": { "get": op("compare", &["base", "head"]) },
        "/compare/{basehead}": { "get": op("compareOne", &["basehead"]) },
        "/either/{x}": { "get": op("eitherX", &["x"]) },
        "/either/{y}": { "put": op("eitherY", &["y"]) },
        "/slash/": { "get": op("slash", &[]) },
        "/caf%C3%A9": { "get": op("cafe", &[]) }
    })))
    .unwrap();
    let find = |method: Method, path: &str| match contract.find(&method, path) {
        Found::Operation(index, parameters) => {
            let all: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {}", contract.operation(index).unwrap().id, all.join(" "))
        }
        Found::MethodNotAllowed { mut allow } => {
            allow.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            format!("405 {allow:?}")
        }
        Found::NotFound => "404".to_owned(),
    };
    let cases = [
        (Method::GET, "", "root "),
        (Method::GET, "/", "root "),
        (Method::GET, "/users", "users "),
        (Method::GET, "/users/", "404"),
        (Method::POST, "/users", "addUser "),
        (Method::PUT, "/users", "405 [GET, POST]"),
        (Method::HEAD, "/users", "405 [GET, POST]"),
        (Method::OPTIONS, "/users", "405 [GET, POST]"),
        (Method::GET, "/users/me", "me "),
        (Method::DELETE, "/users/me", "405 [GET]"),
        (Method::GET, "/users/7", "user id=7"),
        (Method::GET, "/users/me/tags", "tags id=me"),
        (Method::GET, "/users/me/keys", "keys "),
        (Method::GET, "/users/7/keys", "404"),
        (Method::GET, "/users/7/posts/8", "post id=7 post=8"),
        (Method::GET, "/users/7/posts/8.json", "postJson id=7 post=8"),
        (Method::GET, "/users/7/posts/.json", "post id=7 post=.json"),
        (Method::GET, "/compare/a...b", "compare base=a head=b"),
        (Method::GET, "/compare/a....b", "compareOne basehead=a....b"),
        (Method::GET, "/compare/a...b...c", "compareOne basehead=a...b...c"),
        (Method::GET, "/compare/ab", "compareOne basehead=ab"),
        (Method::GET, "/either/1", "eitherX x=1"),
        (Method::PUT, "/either/1", "eitherY y=1"),
        (Method::POST, "/either/1", "405 [GET, PUT]"),
        (Method::GET, "/slash/", "slash "),
        (Method::GET, "/slash", "404"),
        (Method::GET, "/caf\u{e9}", "cafe "),
        (Method::GET, "/users/7/posts/8/9", "404"),
        (Method::GET, "/Users", "404"),
    ];
    for (method, path, expected) in cases {
        assert_eq!(find(method.clone(), path), expected, "{method} {path}");
    }
}

#[test]
fn an_operation_without_id_gets_a_stable_one() {
    let id = json!([{ "name": "b", "in": "path", "required": true, "schema": {} }]);
    let contract = compile(paths(json!({
        "/a/{b}": { "parameters": id, "get": { "responses": {} }, "put": { "operationId": "getAB2", "responses": {} } },
        "/a/b": { "get": { "responses": {} } }
    })))
    .unwrap();
    let mut ids: Vec<_> = contract.operations().iter().map(|operation| &*operation.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["getAB", "getAB2", "getAB3"]);
    assert!(contract.operation_named("getAB").is_some());
}

#[test]
fn the_first_server_gives_the_base_path() {
    let cases = [
        (json!([]), ""),
        (json!([{ "url": "https://api.example.com" }]), ""),
        (json!([{ "url": "https://api.example.com/v1/" }, { "url": "/v2" }]), "/v1"),
        (json!([{ "url": "/api/v3" }]), "/api/v3"),
        (
            json!([{ "url": "https://{host}/{base}", "variables": { "host": { "default": "h" }, "base": { "default": "v4" } } }]),
            "/v4",
        ),
    ];
    for (servers, expected) in cases {
        let document = json!({ "openapi": "3.1.0", "servers": servers, "paths": {} });
        assert_eq!(compile(document).unwrap().server_path(), expected);
    }
}

#[test]
fn parameters_know_their_kind() {
    let kinds = [
        (json!({ "type": "string" }), Kind::String),
        (json!({ "type": "integer" }), Kind::Integer),
        (json!({ "type": "number" }), Kind::Number),
        (json!({ "type": "boolean", "nullable": true }), Kind::Boolean),
        (json!({ "type": "array", "items": {} }), Kind::Array),
        (json!({ "$ref": "#/components/schemas/E" }), Kind::String),
        (json!({ "allOf": [{ "$ref": "#/components/schemas/E" }] }), Kind::String),
        (json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }), Kind::Any),
        (json!({}), Kind::Any),
    ];
    for (schema, kind) in kinds {
        let contract = compile(json!({
            "openapi": "3.0.0",
            "paths": { "/a": { "get": { "parameters": [{ "name": "q", "in": "query", "schema": schema }] } } },
            "components": { "schemas": { "E": { "enum": ["a", "b"] } } }
        }))
        .unwrap();
        let operation = contract.operation(OperationIndex(0)).unwrap();
        assert_eq!(operation.parameter(Location::Query, "q").unwrap().kind, kind, "{schema}");
    }
}

/// The data beside this repository, or where `PORTCULLIS_SHARED_DATA` says.
fn shared() -> std::path::PathBuf {
    match std::env::var_os("PORTCULLIS_SHARED_DATA") {
        Some(path) => path.into(),
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into(),
    }
}

fn json_files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    files
}

#[test]
fn the_outside_openapi_documents_load() {
    let root = shared().join("openapi");
    let mut files = json_files(&root);
    files.extend(json_files(&root.join("examples/v3.0")));
    files.extend(json_files(&root.join("examples/v3.1")));
    if files.is_empty() {
        println!("SKIPPED: the OpenAPI documents are not beside this repository");
        return;
    }
    for file in files {
        let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        match compile(document) {
            Ok(contract) => println!("{}: {} operations", file.display(), contract.operations().len()),
            Err(problems) => panic!("{}: {:#?}", file.display(), problems.get(..problems.len().min(5))),
        }
    }
}

#[test]
fn what_inherits_may_stand_for_its_parent() {
    let schemas = json!({
        "Pet": { "type": "object", "required": ["kind"], "discriminator": { "propertyName": "kind", "mapping": { "dog": "Dog" } },
                 "properties": { "kind": { "type": "string" }, "friend": { "$ref": "#/components/schemas/Pet" } } },
        "Cat": { "allOf": [{ "$ref": "#/components/schemas/Pet" }, { "type": "object", "properties": { "lives": { "type": "integer" } } }] },
        "Kitten": { "allOf": [{ "$ref": "#/components/schemas/Cat" }] },
        "Dog": { "allOf": [{ "$ref": "#/components/schemas/Pet" }], "properties": { "barks": { "type": "boolean" } } }
    });
    let wrapped = json!({ "nullable": true, "allOf": [{ "$ref": "#/components/schemas/Pet" }] });
    for schema in [json!({ "$ref": "#/components/schemas/Pet" }), wrapped] {
        let takes = |mode: Mode, value: Value| passes("3.0.3", mode, &schema, &schemas, &value);
        for mode in [Mode::Closed, Mode::ClosedAnswer] {
            assert!(takes(mode, json!({ "kind": "Cat", "lives": 9 })));
            assert!(takes(
                mode,
                json!({ "kind": "Kitten", "lives": 9, "friend": { "kind": "dog", "barks": true } })
            ));
            assert!(takes(mode, json!({ "kind": "Pet" })));
            assert!(takes(mode, json!({ "kind": "dog", "barks": true })));
            assert!(!takes(mode, json!({ "kind": "dog", "lives": 9 })));
            assert!(!takes(mode, json!({ "kind": "Cat", "lives": "9" })));
            assert!(!takes(mode, json!({ "kind": "Cat", "friend": { "kind": "Cat", "barks": true } })));
            assert!(!takes(mode, json!({ "kind": "cow", "lives": 9 })));
            assert!(!takes(mode, json!({ "lives": 9 })));
            assert!(!takes(mode, json!(1)));
        }
        assert!(takes(Mode::Open, json!({ "kind": "Cat", "lives": 9, "more": 1 })));
    }
}

#[test]
fn what_is_too_much_is_found_below_families_alternatives_and_compositions() {
    let schemas = json!({
        "Pet": { "type": "object", "discriminator": { "propertyName": "kind" }, "properties": { "kind": {}, "in": { "$ref": "#/components/schemas/Box" } } },
        "Cat": { "allOf": [{ "$ref": "#/components/schemas/Pet" }], "properties": { "lives": {} } },
        "Box": { "type": "object", "properties": { "n": { "type": "integer" } } }
    });
    let schema = json!({ "type": "object", "properties": {
        "pet": { "$ref": "#/components/schemas/Pet" },
        "list": { "type": "array", "items": { "oneOf": [{ "$ref": "#/components/schemas/Box" }, { "type": "string" }] } },
        "both": { "allOf": [{ "$ref": "#/components/schemas/Box" }, { "properties": { "m": {} } }] },
        "not": { "type": "object", "properties": { "a": {} }, "not": { "required": ["x"] } }
    } });
    let contract = compile(document("3.0.3", &schema, &schemas)).unwrap();
    let pointer = "/paths/~1a/post/responses/200/content/application~1json/schema";
    let unit = contract.shelf.unit(Mode::ClosedAnswer, pointer);
    let check = |value: Value, expected: &[&str]| {
        let mut found = contract.shelf.excess(&unit, &value);
        found.sort();
        assert_eq!(found, expected, "{value}");
    };
    check(json!({ "pet": { "kind": "Cat", "lives": 9 } }), &[]);
    check(json!({ "pet": { "kind": "Cat", "lives": 9, "x": 1 }, "y": 2 }), &["/pet/x", "/y"]);
    check(json!({ "pet": { "kind": "Pet", "lives": 9 } }), &["/pet/lives"]);
    check(json!({ "pet": { "kind": "Cat", "in": { "x": 1 } } }), &["/pet/in/x"]);
    check(json!({ "list": [{ "n": 1, "x": 1 }, "s", { "y": 1 }] }), &["/list/0/x", "/list/2/y"]);
    check(json!({ "list": [{ "n": "a", "x": 1 }] }), &[]);
    check(json!({ "both": { "n": 1, "m": 1, "x": 1 } }), &["/both/x"]);
    check(json!({ "both": { "n": "a", "x": 1 } }), &[]);
    check(json!({ "not": { "x": 1 } }), &[]);
}
