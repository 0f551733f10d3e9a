//! Answers: heads, and what is stripped.

use super::*;
use crate::contract::Contract;

const SHOP: &str = r##"{
  "openapi": "3.0.3", "paths": { "/a": { "get": { "operationId": "get", "responses": {
    "200": { "description": "", "headers": {
        "X-Total": { "required": true, "schema": { "type": "integer" } },
        "X-Tags": { "schema": { "type": "array", "items": { "type": "string", "maxLength": 2 } } },
        "Set-Cookie": { "schema": { "type": "string" } },
        "Content-Type": { "schema": { "type": "integer" } } },
      "content": {
        "application/json": { "schema": { "$ref": "#/components/schemas/Order" } },
        "application/x-ndjson": { "schema": { "$ref": "#/components/schemas/Order" } },
        "text/plain": { "schema": { "type": "string", "maxLength": 3 } } } },
    "201": { "description": "", "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Order" } } } } },
    "202": { "description": "", "content": { "application/json": { "schema": {
        "oneOf": [{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }] } } } },
    "203": { "description": "", "content": { "application/json": { "schema": { "allOf": [
        { "$ref": "#/components/schemas/Order" }, { "type": "object", "properties": { "own": { "$ref": "#/components/schemas/Owner" } } }] } } } },
    "206": { "description": "", "content": { "image/png": { "schema": { "type": "string", "format": "binary" } } } }
  } } } },
  "components": { "schemas": {
    "Order": { "type": "object", "required": ["id"], "properties": {
      "id": { "type": "integer" }, "pin": { "type": "string", "writeOnly": true },
      "owner": { "$ref": "#/components/schemas/Owner" }, "free": { "type": "object" },
      "pet": { "anyOf": [{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }] } } },
    "Owner": { "type": "object", "properties": { "name": { "type": "string" } } },
    "Cat": { "type": "object", "required": ["lives"], "properties": { "lives": { "type": "integer" }, "in": { "$ref": "#/components/schemas/Owner" } } },
    "Dog": { "type": "object", "required": ["barks"], "properties": { "barks": { "type": "boolean" } } }
  } }
}"##;

fn shop() -> Contract {
    let options = ContractOptions { build_all: true, ..ContractOptions::default() };
    Contract::compile(serde_json::from_str(SHOP).unwrap(), &options).unwrap()
}

/// `ok` and what leaves, or the places of what is wrong.
fn held(rules: &ValidateRules, status: u16, pairs: &[(&'static str, &str)], body: &str) -> String {
    let contract = shop();
    let headers = headers(pairs);
    let status = StatusCode::from_u16(status).unwrap();
    let answered = answer::Answered {
        contract: &contract,
        rules,
        operation: OperationIndex(0),
        status,
        headers: &headers,
    };
    assert!(answered.needs_body() || body.is_empty(), "{body}");
    match answered.check(body.as_bytes()) {
        Ok(held) => {
            let text = held.body.map(|text| String::from_utf8(text).unwrap());
            if let (Some(text), Some(document)) = (&text, held.document)
                && !document.is_array()
            {
                assert_eq!(serde_json::from_str::<Value>(text).unwrap(), document);
            }
            format!("ok {}", text.unwrap_or_default()).trim_end().to_owned()
        }
        Err(found) => found.into_iter().map(|one| one.at).collect::<Vec<_>>().join(" "),
    }
}

const JSON: [(&str, &str); 2] = [("content-type", "application/json"), ("x-total", "3")];

#[test]
fn excess_fields_are_taken_out_and_the_rest_is_enforced() {
    let rules = ValidateRules { answers: Answers::Strip, ..ValidateRules::default() };
    let cases: [(u16, &str, &str); 18] = [
        (200, r#"{"id":1}"#, "ok"),
        (200, r#"{ "id": 1, "x": 2 }"#, r#"ok { "id": 1 }"#),
        (200, r#"{"pin":"1234","id":1}"#, r#"ok {"id":1}"#),
        (
            200,
            r#"{"id":1.0,"owner":{"x":{"id":[1,"}"]},"name":"n"},"y":null}"#,
            r#"ok {"id":1.0,"owner":{"name":"n"}}"#,
        ),
        (200, r#"{"id":1,"free":{"any":{"thing":1}}}"#, "ok"),
        (
            200,
            r#"{"id":1,"pet":{"lives":9,"x":1,"in":{"name":"n","y":1}}}"#,
            r#"ok {"id":1,"pet":{"lives":9,"in":{"name":"n"}}}"#,
        ),
        (200, r#"{"x":1}"#, "/x /id"),
        (200, r#"{"id":"a","x":1}"#, "/x /id"),
        (200, r#"{"id":1,"id":2}"#, ""),
        (200, "[]", ""),
        (201, r#"[{"id":1,"x":1},{"id":2},{"y":1,"id":3}]"#, r#"ok [{"id":1},{"id":2},{"id":3}]"#),
        (202, r#"{"lives":9,"x":1}"#, r#"ok {"lives":9}"#),
        (202, r#"{"lives":9,"in":{"name":"n","x":1}}"#, r#"ok {"lives":9,"in":{"name":"n"}}"#),
        (202, r#"{"x":1}"#, "/x"),
        (203, r#"{"id":1,"own":{"name":"n","x":1},"z":0}"#, r#"ok {"id":1,"own":{"name":"n"}}"#),
        (
            203,
            r#"{"id":1,"pin":"p","owner":{"name":"n","x":1},"own":{"y":1}}"#,
            r#"ok {"id":1,"owner":{"name":"n"},"own":{}}"#,
        ),
        (203, r#"{"own":{"x":1}}"#, "/own/x /id"),
        (204, "", "status"),
    ];
    for (status, body, expected) in cases {
        let found = held(&rules, status, &JSON, body);
        let sorted = |text: &str| {
            let mut all: Vec<_> = text.split(' ').map(str::to_owned).collect();
            all.sort();
            if text.starts_with("ok") { text.to_owned() } else { all.join(" ") }
        };
        if expected.starts_with("ok") || expected.is_empty() {
            assert_eq!(found, expected, "{status} {body}");
        } else {
            assert!(!found.starts_with("ok") && !found.is_empty(), "{status} {body}: {}", sorted(&found));
        }
    }
    let lines = [("content-type", "application/x-ndjson"), ("x-total", "3")];
    assert_eq!(held(&rules, 200, &lines, "{\"id\":1}\n{\"id\":2,\"x\":1}\n"), "ok {\"id\":1}\n{\"id\":2}");
}

#[test]
fn many_excess_fields_are_all_taken_out() {
    let rules = ValidateRules { answers: Answers::Strip, ..ValidateRules::default() };
    let body: Vec<_> = (0..500).map(|id| format!(r#"{{"id":{id},"x":1,"owner":{{"y":2}}}}"#)).collect();
    let expected: Vec<_> = (0..500).map(|id| format!(r#"{{"id":{id},"owner":{{}}}}"#)).collect();
    let found = held(&rules, 201, &JSON, &format!("[{}]", body.join(",")));
    assert_eq!(found, format!("ok [{}]", expected.join(",")));
}

#[test]
fn unknown_fields_of_answers_are_refused_where_written() {
    let strict = ValidateRules { unknown_answers: Unknown::Refuse, ..ValidateRules::default() };
    assert_eq!(held(&strict, 200, &JSON, r#"{"id":1,"x":1}"#), "/x");
    assert_eq!(held(&ValidateRules::default(), 200, &JSON, r#"{"id":1,"x":1}"#), "ok");
    assert_eq!(held(&ValidateRules::default(), 200, &JSON, r#"{"id":1,"pin":"p"}"#), "/pin");
}

#[test]
fn heads_meet_the_contract() {
    let rules = ValidateRules::default();
    let text = |more: &[(&'static str, &str)], body: &str| {
        let mut pairs = vec![("content-type", "text/plain"), ("x-total", "1")];
        pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        held(&rules, 200, &pairs, body)
    };
    assert_eq!(text(&[], "abc"), "ok");
    assert_eq!(text(&[], "abcd"), "");
    assert_eq!(text(&[("x-total", "")], "abc"), "header:x-total");
    assert_eq!(text(&[("x-total", "a")], "abc"), "header:x-total");
    assert_eq!(text(&[("x-tags", "a, bb")], "abc"), "ok");
    assert_eq!(text(&[("x-tags", "a, bbb")], "abc"), "header:x-tags/1");
    assert_eq!(text(&[("x-tags", "a, bbb"), ("x-total", "b")], "abcd"), "header:x-total header:x-tags/1 ");
    let mut cookies = headers(&[("content-type", "text/plain"), ("x-total", "1"), ("set-cookie", "a=b")]);
    cookies.append("set-cookie", HeaderValue::from_static("c=d"));
    let contract = shop();
    let answered = answer::Answered {
        contract: &contract,
        rules: &rules,
        operation: OperationIndex(0),
        status: StatusCode::OK,
        headers: &cookies,
    };
    assert_eq!(answered.head(), []);
    let head = |status: u16, pairs: &[(&'static str, &str)]| {
        let (contract, headers) = (shop(), headers(pairs));
        let status = StatusCode::from_u16(status).unwrap();
        let answered = answer::Answered {
            contract: &contract,
            rules: &rules,
            operation: OperationIndex(0),
            status,
            headers: &headers,
        };
        let places: Vec<_> = answered.head().into_iter().map(|one| one.at).collect();
        format!("{} {}", answered.needs_body(), places.join(" ")).trim_end().to_owned()
    };
    assert_eq!(head(206, &[("content-type", "image/png")]), "false");
    assert_eq!(head(206, &[("content-type", "text/html")]), "false header:content-type");
    assert_eq!(head(206, &[]), "false header:content-type");
    assert_eq!(head(304, &[]), "false");
    assert_eq!(head(500, &[]), "true status");
}

#[test]
fn undeclared_headers_are_dropped() {
    let contract = shop();
    let mut headers = headers(&[
        ("content-type", "application/json"),
        ("content-length", "3"),
        ("x-total", "1"),
        ("x-powered-by", "x"),
        ("server", "x"),
        ("set-cookie2", "a=b"),
        ("etag", "\"1\""),
        ("ratelimit-policy", "x"),
        ("x-total-2", "x"),
    ]);
    let declared = contract.operation(OperationIndex(0)).unwrap().answer(StatusCode::OK);
    answer::strip_headers(declared, &mut headers);
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["content-length", "content-type", "etag", "ratelimit-policy", "x-total"]);
}
