//! OpenAPI 2.0 documents.

use super::*;

const SHOP: &str = r##"{
  "swagger": "2.0", "info": { "title": "t", "version": "1" }, "host": "api.example.com", "basePath": "/v2",
  "consumes": ["application/json"], "produces": ["application/json"],
  "securityDefinitions": { "key": { "type": "apiKey", "in": "header", "name": "X-Key" }, "login": { "type": "basic" } },
  "security": [{ "key": [] }],
  "parameters": { "page": { "name": "page", "in": "query", "type": "integer", "minimum": 1 } },
  "responses": { "gone": { "description": "", "schema": { "$ref": "#/definitions/Fault" } } },
  "paths": {
    "/pets/{id}": {
      "parameters": [{ "name": "id", "in": "path", "required": true, "type": "integer" }],
      "get": { "operationId": "pet",
        "parameters": [
          { "$ref": "#/parameters/page" },
          { "name": "tags", "in": "query", "type": "array", "items": { "type": "string" }, "collectionFormat": "multi" },
          { "name": "ids", "in": "query", "type": "array", "items": { "type": "integer" } },
          { "name": "piped", "in": "query", "type": "array", "items": { "type": "integer" }, "collectionFormat": "pipes" },
          { "name": "X-Ids", "in": "header", "type": "array", "items": { "type": "integer" } } ],
        "responses": {
          "200": { "description": "", "schema": { "$ref": "#/definitions/Pet" }, "headers": { "X-Total": { "type": "integer" } } },
          "204": { "description": "" },
          "404": { "$ref": "#/responses/gone" } } },
      "put": { "operationId": "putPet", "parameters": [
          { "name": "body", "in": "body", "required": true, "schema": { "$ref": "#/definitions/Pet" } } ],
        "responses": {} },
      "post": { "operationId": "form", "consumes": ["application/x-www-form-urlencoded", "multipart/form-data"], "parameters": [
          { "name": "n", "in": "formData", "required": true, "type": "integer" },
          { "name": "list", "in": "formData", "type": "array", "items": { "type": "string" } } ],
        "responses": {} },
      "patch": { "operationId": "upload", "parameters": [ { "name": "file", "in": "formData", "type": "file" } ], "responses": {} }
    }
  },
  "definitions": {
    "Pet": { "type": "object", "required": ["name"], "discriminator": "kind", "properties": {
      "name": { "type": "string", "x-nullable": true }, "kind": { "type": "string" }, "best": { "$ref": "#/definitions/Pet" } } },
    "Fault": { "type": "object" }
  }
}"##;

fn shop() -> Value {
    serde_json::from_str(SHOP).unwrap()
}

#[test]
fn a_document_of_2_0_is_a_contract() {
    let contract = compile(shop()).unwrap();
    assert_eq!(contract.server_path(), "/v2");
    assert_eq!(server_path(&shop()), "/v2".into());
    let schemes: Vec<_> = contract.schemes().iter().map(|scheme| (&*scheme.name, scheme.kind)).collect();
    assert_eq!(schemes, [("key", SchemeKind::ApiKey), ("login", SchemeKind::Basic)]);
    let operation = |id: &str| contract.operation_named(id).unwrap().1;
    let pet = operation("pet");
    let parameters: Vec<_> = pet
        .parameters
        .iter()
        .map(|one| {
            format!("{}:{} {:?} {:?} {}", one.location.as_str(), one.name, one.kind, one.style, one.explode)
        })
        .collect();
    assert_eq!(
        parameters,
        [
            "query:page Integer Form true",
            "query:tags Array Form true",
            "query:ids Array Form false",
            "query:piped Array PipeDelimited false",
            "header:x-ids Array Simple false",
            "path:id Integer Simple false",
        ]
    );
    let answers: Vec<_> =
        pet.answers.iter().map(|one| (one.status, one.content.len(), one.headers.len())).collect();
    let exact = StatusPattern::Exact;
    assert_eq!(answers, [(exact(200), 1, 1), (exact(204), 0, 0), (exact(404), 1, 0)]);
    let ranges = |id: &str| -> Vec<String> {
        let body = operation(id).body.as_ref().unwrap();
        body.content.iter().map(|one| format!("{} {}", one.range, body.required)).collect()
    };
    assert_eq!(operation("putPet").security, [vec![Box::from("key")]]);
    assert_eq!(ranges("putPet"), ["application/json true"]);
    assert_eq!(ranges("form"), ["application/x-www-form-urlencoded true", "multipart/form-data true"]);
    assert_eq!(ranges("upload"), ["multipart/form-data false"]);
    let unit = contract.shelf.unit(Mode::Closed, "/components/schemas/Pet");
    let accepts = |value: Value| contract.shelf.accepts(&unit, &value);
    assert!(accepts(json!({ "name": null, "best": { "name": "n" } })));
    assert!(!accepts(json!({ "name": "n", "more": 1 })) && !accepts(json!({ "best": {} })));
}

#[test]
fn problems_point_into_the_document_as_it_was_written() {
    let cases = [
        ("/definitions/Pet/properties/name/type", json!("text"), "/definitions/Pet/properties/name/type"),
        (
            "/paths/~1pets~1{id}/get/parameters/1/items/type",
            json!("x"),
            "/paths/~1pets~1{id}/get/parameters/1/items/type",
        ),
        ("/parameters/page/type", json!("x"), "/parameters/page/type"),
        (
            "/paths/~1pets~1{id}/put/parameters/0/schema/$ref",
            json!("#/definitions/No"),
            "/paths/~1pets~1{id}/put/parameters/0/schema/$ref",
        ),
        (
            "/paths/~1pets~1{id}/post/parameters/0/type",
            json!("x"),
            "/paths/~1pets~1{id}/post/parameters/0/type",
        ),
        (
            "/paths/~1pets~1{id}/get/responses/200/schema/$ref",
            json!("x.json"),
            "/paths/~1pets~1{id}/get/responses/200/schema/$ref",
        ),
        (
            "/paths/~1pets~1{id}/get/responses/200/headers/X-Total/type",
            json!("x"),
            "/paths/~1pets~1{id}/get/responses/200/headers/X-Total/type",
        ),
        ("/responses/gone/schema/$ref", json!("#/definitions/No"), "/responses/gone/schema/$ref"),
        (
            "/paths/~1pets~1{id}/get/parameters/1/collectionFormat",
            json!("tsv"),
            "/paths/~1pets~1{id}/get/parameters/1/collectionFormat",
        ),
        (
            "/paths/~1pets~1{id}/get/parameters/0/$ref",
            json!("#/parameters/no"),
            "/paths/~1pets~1{id}/get/parameters/0",
        ),
        ("/paths/~1pets~1{id}/put/operationId", json!("pet"), "/paths/~1pets~1{id}/put/operationId"),
    ];
    for (pointer, value, expected) in cases {
        let mut document = shop();
        *document.pointer_mut(pointer).unwrap() = value;
        let found = problems(document.clone());
        assert!(found.iter().any(|(at, _)| at == expected), "{pointer}: {found:?}");
        for (at, _) in &found {
            assert!(document.pointer(at).is_some(), "{pointer}: {at} is nowhere in the document");
        }
    }
}

#[test]
fn a_schema_that_nobody_reads_is_warned_about() {
    let mut whole = shop();
    whole["paths"]["/pets/{id}"]["put"]["consumes"] =
        json!(["application/xml", "application/json", "text/plain"]);
    let warnings: Vec<_> = compile(whole).unwrap().warnings().iter().map(|one| one.pointer.clone()).collect();
    assert_eq!(warnings, ["/paths/~1pets~1{id}/put/parameters/0/schema"]);
}
