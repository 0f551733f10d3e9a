use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::contract::ContractOptions;

mod answers;
mod bodies;
mod styles;

const ORDERS: &str = r##"{
  "openapi": "3.1.0", "info": {"title": "orders", "version": "1"},
  "paths": {
    "/orders/{id}": {
      "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}],
      "get": {
        "operationId": "order",
        "parameters": [
          {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
          {"name": "q", "in": "query", "schema": {"type": "string", "maxLength": 5}},
          {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
          {"name": "ratio", "in": "query", "schema": {"type": "number"}},
          {"name": "either", "in": "query", "schema": {"type": ["integer", "string"], "maxLength": 3}},
          {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2}},
          {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}}},
          {"name": "piped", "in": "query", "style": "pipeDelimited", "explode": false, "schema": {"type": "array"}},
          {"name": "created", "in": "query", "style": "deepObject", "schema": {"type": "object",
            "properties": {"gte": {"type": "integer"}, "lt": {"type": "integer"}}}},
          {"name": "expand", "in": "query", "style": "deepObject", "schema": {"type": "array", "items": {"type": "string"}}},
          {"name": "page", "in": "query", "schema": {"type": "object", "properties": {"from": {"type": "integer"}}}},
          {"name": "filter", "in": "query", "content": {"application/json": {"schema": {
            "type": "object", "properties": {"n": {"type": "integer"}}}}}},
          {"name": "X-Trace", "in": "header", "schema": {"type": "string", "format": "uuid"}},
          {"name": "X-Ids", "in": "header", "schema": {"type": "array", "items": {"type": "integer"}}},
          {"name": "session", "in": "cookie", "schema": {"type": "string", "minLength": 2}}
        ],
        "responses": {
          "200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
          "4XX": {"description": "", "content": {"application/problem+json": {"schema": {"type": "object"}}}},
          "default": {"description": "", "content": {"text/plain": {}}}
        }
      },
      "put": {
        "operationId": "putOrder",
        "requestBody": {"required": true, "content": {
          "application/json": {"schema": {"$ref": "#/components/schemas/Order"}},
          "application/x-www-form-urlencoded": {"schema": {"type": "object", "required": ["n"], "properties": {
            "n": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}},
            "meta": {"type": "object", "properties": {"a": {"type": "boolean"}}}}},
            "encoding": {"meta": {"style": "deepObject", "explode": true}}},
          "text/plain": {"schema": {"type": "string"}}
        }},
        "responses": {"204": {"description": ""}}
      },
      "patch": {
        "operationId": "patchOrder",
        "requestBody": {"content": {"*/*": {"schema": {"type": "object", "properties": {"note": {"type": "string"}}}}}},
        "responses": {"204": {"description": ""}}
      }
    }
  },
  "components": {"schemas": {"Order": {"type": "object", "required": ["customer", "lines"], "properties": {
    "id": {"type": "integer", "readOnly": true},
    "pin": {"type": "string", "writeOnly": true},
    "customer": {"type": "string", "minLength": 1},
    "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}}},
    "Line": {"type": "object", "required": ["sku", "count"], "properties": {
      "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"}, "count": {"type": "integer", "minimum": 1},
      "note": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"text": {"type": "string"}}}]}}}}}
}"##;

fn contract() -> Contract {
    let document = serde_json::from_str(ORDERS).unwrap();
    Contract::compile(document, &ContractOptions { build_all: true, ..ContractOptions::default() }).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

struct Sent<'a> {
    operation: &'a str,
    id: &'a str,
    query: &'a str,
    headers: HeaderMap,
    body: &'a [u8],
}

impl Default for Sent<'_> {
    fn default() -> Self {
        Self { operation: "order", id: "7", query: "", headers: HeaderMap::new(), body: b"" }
    }
}

fn run(rules: &ValidateRules, sent: &Sent<'_>) -> Result<Option<Value>, Halt> {
    let contract = contract();
    let (operation, _) = contract.operation_named(sent.operation).unwrap();
    let path = PathParameters(vec![("id".into(), sent.id.into())]);
    let subject = Subject { query: sent.query, headers: &sent.headers, path: &path, body: sent.body };
    check(&contract, rules, operation, &subject)
}

/// `ok`, or the reason's code and the places of its violations.
fn verdict(result: Result<Option<Value>, Halt>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Halt::Refusal(refusal)) => {
            let places: Vec<_> = refusal.violations.iter().map(|one| one.at.as_str()).collect();
            format!("{} {}", refusal.reason.code(), places.join(" ")).trim_end().to_owned()
        }
        Err(other) => format!("{other:?}"),
    }
}

fn query(query: &str) -> String {
    verdict(run(&ValidateRules::default(), &Sent { query, ..Sent::default() }))
}

#[test]
fn queries_are_read_in_the_styles_of_the_contract() {
    let cases = [
        ("", "ok"),
        ("limit=100", "ok"),
        ("limit=101", "invalid_parameter query:limit"),
        ("limit=1&limit=2", "invalid_parameter query:limit"),
        ("limit=", "invalid_parameter query:limit"),
        ("limit=1.0", "invalid_parameter query:limit"),
        ("limit=1e1", "invalid_parameter query:limit"),
        ("limit=+1", "invalid_parameter query:limit"),
        ("limit=01", "invalid_parameter query:limit"),
        ("limit=%31", "ok"),
        ("%6cimit=1", "ok"),
        ("limit=0x1", "invalid_parameter query:limit"),
        ("ratio=1.5e3", "ok"),
        ("ratio=NaN", "invalid_parameter query:ratio"),
        ("deep=true&q=a+b", "ok"),
        ("deep=1", "invalid_parameter query:deep"),
        ("deep=True", "invalid_parameter query:deep"),
        ("q=123", "ok"),
        ("q=abcdef", "invalid_parameter query:q"),
        ("q=%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9", "ok"),
        ("q=%ff", "invalid_parameter query:"),
        ("q=%4", "invalid_parameter query:"),
        ("q=%zz", "invalid_parameter query:"),
        ("either=123", "ok"),
        ("either=1234", "ok"),
        ("either=abcd", "invalid_parameter query:either"),
        ("tags=a&tags=b", "ok"),
        ("tags=a&tags=c", "invalid_parameter query:tags/1"),
        ("tags=a&tags=a&tags=a", "invalid_parameter query:tags"),
        ("tags=a,b", "invalid_parameter query:tags/0"),
        ("ids=1,2,3", "ok"),
        ("ids=1&ids=2", "invalid_parameter query:ids"),
        ("ids=1,x", "invalid_parameter query:ids/1"),
        ("piped=a|b", "ok"),
        ("created[gte]=1&created[lt]=2", "ok"),
        ("created%5Bgte%5D=1", "ok"),
        ("created[gte]=1&created[gte]=2", "invalid_parameter query:created"),
        ("created[gt]=1", "invalid_parameter query:created/gt"),
        ("created[gte]=x", "invalid_parameter query:created/gte"),
        ("created=1", "invalid_parameter query:created"),
        ("created[gte=1", "invalid_parameter query:created[gte"),
        ("expand[]=a&expand[]=b", "ok"),
        ("expand[0]=a&expand[1]=b", "ok"),
        ("expand[5]=a", "invalid_parameter query:expand"),
        ("from=3", "ok"),
        ("from=x", "invalid_parameter query:page/from"),
        ("filter=%7B%22n%22%3A1%7D", "ok"),
        ("filter=%7B%22n%22%3A1%2C%22n%22%3A2%7D", "invalid_parameter query:filter"),
        ("filter=%7B%22x%22%3A1%7D", "invalid_parameter query:filter/x"),
        ("admin=1", "invalid_parameter query:admin"),
        ("limit=x&admin=1", "invalid_parameter query:limit query:admin"),
        ("&&limit=1&", "ok"),
    ];
    for (text, expected) in cases {
        assert_eq!(query(text), expected, "{text}");
    }
}

#[test]
fn unknown_query_parameters_pass_where_written() {
    let rules = ValidateRules { unknown_parameters: Unknown::Allow, ..ValidateRules::default() };
    let sent = |query| verdict(run(&rules, &Sent { query, ..Sent::default() }));
    assert_eq!(sent("admin=1&created[x]=1"), "ok");
    assert_eq!(sent("admin=1&limit=x"), "invalid_parameter query:limit");
}

#[test]
fn paths_headers_and_cookies_are_read() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 12] = [
        ("7", &[], "ok"),
        ("0", &[], "invalid_parameter path:id"),
        ("x", &[], "invalid_parameter path:id"),
        ("7", &[("x-trace", "3f2b7f9a-1c1d-4a58-9c6f-8a6f3f9d2c11")], "ok"),
        ("7", &[("x-trace", "no")], "invalid_parameter header:x-trace"),
        ("7", &[("x-other", "no")], "ok"),
        ("7", &[("x-ids", "1, 2,3")], "ok"),
        ("7", &[("x-ids", "1;2")], "invalid_parameter header:x-ids/0"),
        ("7", &[("cookie", "a=b; session=abc")], "ok"),
        ("7", &[("cookie", "session=a")], "invalid_parameter cookie:session"),
        ("7", &[("cookie", "session=abc; session=abd")], "invalid_parameter cookie:session"),
        ("7", &[("cookie", "session=%zz")], "invalid_parameter cookie:session"),
    ];
    for (id, pairs, expected) in cases {
        let sent = Sent { id, headers: headers(pairs), ..Sent::default() };
        assert_eq!(verdict(run(&ValidateRules::default(), &sent)), expected, "{id} {pairs:?}");
    }
}

fn put(media: &str, body: &[u8]) -> String {
    let headers = headers(&[("content-type", media)]);
    verdict(run(&ValidateRules::default(), &Sent { operation: "putOrder", headers, body, ..Sent::default() }))
}

#[test]
fn json_bodies_meet_the_schema_or_say_where_not() {
    let cases: [(&str, &str); 14] = [
        (r#"{"customer":"c","lines":[{"sku":"ABC-1","count":1}]}"#, "ok"),
        (r#"{"customer":"c","lines":[],"pin":"1"}"#, "ok"),
        (r#"{"customer":"c","lines":[],"id":1}"#, "invalid_body /id"),
        (r#"{"customer":"c","lines":[],"admin":true}"#, "invalid_body /admin"),
        (
            r#"{"customer":"","lines":[{"sku":"x","count":0,"y":1}]}"#,
            "invalid_body /customer /lines/0/y /lines/0/count /lines/0/sku",
        ),
        (r#"{"lines":[]}"#, "invalid_body /customer"),
        (
            r#"{"customer":"c","lines":[{"sku":"ABC-1","count":1,"note":{"x":1}}]}"#,
            "invalid_body /lines/0/note/x",
        ),
        (r#"{"customer":"c","lines":[{"sku":"ABC-1","count":1,"note":null}]}"#, "ok"),
        (r#"{"customer":"c","lines":[{"sku":"ABC-1","count":1,"note":7}]}"#, "invalid_body /lines/0/note"),
        (r#"{"customer":"c","customer":"d","lines":[]}"#, "malformed_body"),
        (r#"{"customer":"c","lines":[]} x"#, "malformed_body"),
        ("[]", "invalid_body"),
        ("", "invalid_body"),
        ("{", "malformed_body"),
    ];
    for (body, expected) in cases {
        let mut found: Vec<_> =
            put("application/json", body.as_bytes()).split(' ').map(str::to_owned).collect();
        let mut expected: Vec<_> = expected.split(' ').map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn media_types_are_those_of_the_contract() {
    let good = br#"{"customer":"c","lines":[]}"#;
    let cases = [
        ("application/json", "ok"),
        ("Application/JSON; charset=UTF-8", "ok"),
        ("application/json; charset=\"utf-8\"", "ok"),
        ("application/json;", "ok"),
        ("application/json; charset=utf-16", "unsupported_media_type"),
        ("application/json; charset", "unsupported_media_type"),
        ("application/json, text/plain", "unsupported_media_type"),
        ("application/vnd.x+json", "unsupported_media_type"),
        ("application/xml", "unsupported_media_type"),
        ("json", "unsupported_media_type"),
        ("*/*", "unsupported_media_type"),
        ("text/plain", "ok"),
    ];
    for (media, expected) in cases {
        assert_eq!(put(media, good), expected, "{media}");
    }
    let strict = ValidateRules::default();
    let mut twice = headers(&[("content-type", "application/json")]);
    twice.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let mut encoded = headers(&[("content-type", "application/json")]);
    encoded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    for headers in [twice, encoded, HeaderMap::new()] {
        let sent = Sent { operation: "putOrder", headers, body: good, ..Sent::default() };
        assert_eq!(verdict(run(&strict, &sent)), "unsupported_media_type");
    }
}

#[test]
fn an_object_does_not_slip_in_as_text_under_a_range() {
    let patch = |media: &str, body: &[u8]| {
        let headers = headers(&[("content-type", media)]);
        verdict(run(
            &ValidateRules::default(),
            &Sent { operation: "patchOrder", headers, body, ..Sent::default() },
        ))
    };
    assert_eq!(patch("application/merge-patch+json", br#"{"note":"n"}"#), "ok");
    assert_eq!(patch("application/json", br#"{"admin":1}"#), "invalid_body /admin");
    assert_eq!(patch("text/plain", br#"{"admin":1}"#), "unsupported_media_type");
    assert_eq!(patch("application/x-www-form-urlencoded", b"note=n"), "ok");
    assert_eq!(patch("application/x-www-form-urlencoded", b"admin=1"), "invalid_body /admin");
    assert_eq!(patch("application/json", b""), "ok");
}

#[test]
fn forms_are_read_into_the_types_of_the_schema() {
    let cases = [
        ("n=1", Some(json!({"n": 1}))),
        ("n=1&tags=a&tags=b%20c", Some(json!({"n": 1, "tags": ["a", "b c"]}))),
        ("n=1&meta[a]=true", Some(json!({"n": 1, "meta": {"a": true}}))),
        ("n=x", None),
        ("n=1&n=2", None),
        ("n=1&meta[b]=true", None),
        ("n=1&tags[]=a", None),
        ("tags=a", None),
        ("n=%f", None),
    ];
    for (body, expected) in cases {
        let headers = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        let sent = Sent { operation: "putOrder", headers, body: body.as_bytes(), ..Sent::default() };
        assert_eq!(run(&ValidateRules::default(), &sent).ok().flatten(), expected, "{body}");
    }
}

#[test]
fn a_body_where_the_contract_has_none_is_refused() {
    assert_eq!(
        verdict(run(&ValidateRules::default(), &Sent { body: b"{}", ..Sent::default() })),
        "unexpected_body"
    );
}

#[test]
fn unknown_fields_pass_where_written_and_the_rest_is_still_checked() {
    let rules = ValidateRules { unknown_fields: Unknown::Allow, ..ValidateRules::default() };
    let put = |body: &[u8]| {
        let headers = headers(&[("content-type", "application/json")]);
        verdict(run(&rules, &Sent { operation: "putOrder", headers, body, ..Sent::default() }))
    };
    assert_eq!(put(br#"{"customer":"c","lines":[],"more":1}"#), "ok");
    assert_eq!(put(br#"{"customer":1,"lines":[],"more":1}"#), "invalid_body /customer");
}

#[test]
fn no_more_than_32_violations_are_told_and_none_quotes_what_was_sent() {
    let lines: Vec<_> = (0..100).map(|_| json!({ "sku": "hunter2", "count": -4321 })).collect();
    let body = json!({ "customer": "c", "lines": lines }).to_string();
    let headers = headers(&[("content-type", "application/json")]);
    let sent = Sent { operation: "putOrder", headers, body: body.as_bytes(), ..Sent::default() };
    let Err(Halt::Refusal(refusal)) = run(&ValidateRules::default(), &sent) else {
        panic!("must be refused")
    };
    assert_eq!(refusal.violations.len(), 32);
    let told = format!("{:?}", refusal.violations);
    assert!(!told.contains("hunter2") && !told.contains("4321"), "{told}");
}

fn answer(operation: &str, status: u16, media: &str, body: &[u8]) -> String {
    let contract = contract();
    let (operation, _) = contract.operation_named(operation).unwrap();
    let headers = if media.is_empty() { HeaderMap::new() } else { headers(&[("content-type", media)]) };
    let status = StatusCode::from_u16(status).unwrap();
    let rules = &ValidateRules::default();
    let answered = answer::Answered { contract: &contract, rules, operation, status, headers: &headers };
    let needs = answered.needs_body();
    let body = if needs { body } else { b"" };
    match answered.check(body) {
        Ok(held) => format!("ok {needs} {}", held.document.is_some()),
        Err(violations) => violations.into_iter().map(|one| one.at).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn answers_meet_the_contract() {
    let order = br#"{"id":1,"customer":"c","lines":[]}"#;
    let cases: [(&str, u16, &str, &[u8], &str); 15] = [
        ("order", 200, "application/json", order, "ok true true"),
        ("order", 200, "application/json", br#"{"customer":"c","lines":[],"extra":1}"#, "ok true true"),
        ("order", 200, "application/json", br#"{"customer":"c","lines":[],"pin":"1"}"#, "/pin"),
        ("order", 200, "application/json", br#"{"customer":"c"}"#, "/lines"),
        ("order", 200, "application/json", br#"{"customer":"c","customer":"d"}"#, ""),
        ("order", 200, "application/json", b"", ""),
        ("order", 200, "text/html", b"<p>", "header:content-type"),
        ("order", 200, "", b"x", "header:content-type"),
        ("order", 404, "application/problem+json", b"{}", "ok true true"),
        ("order", 404, "application/problem+json", b"[]", ""),
        ("order", 500, "text/plain", b"oops", "ok false false"),
        ("order", 304, "", b"", "ok false false"),
        ("putOrder", 204, "", b"", "ok false false"),
        ("putOrder", 200, "application/json", b"{}", "status"),
        ("putOrder", 304, "", b"", "status"),
    ];
    for (operation, status, media, body, expected) in cases {
        let found = answer(operation, status, media, body);
        assert_eq!(found, expected, "{operation} {status} {media} {}", String::from_utf8_lossy(body));
    }
}

#[test]
fn text_becomes_the_type_that_the_schema_asks_for() {
    use crate::contract::shape::Types;
    let integer = decode::scalar(Types::INTEGER, "12".to_owned());
    assert_eq!(integer, json!(12));
    assert_eq!(decode::scalar(Types::STRING, "12".to_owned()), json!("12"));
    assert_eq!(decode::scalar(Types::INTEGER, " 12".to_owned()), json!(" 12"));
    assert_eq!(decode::scalar(Types::BOOLEAN, "true".to_owned()), json!(true));
}

proptest! {
    /// Whatever the query, decoding it ends in pairs that encode to the same meaning, or in a refusal.
    #[test]
    fn pairs_round_trip(names in prop::collection::vec(("[a-z%+= é&]{1,6}", "[ -~é]{0,6}"), 0..6)) {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let text: Vec<_> = names.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let text = text.join("&");
        let found = decode::pairs(&text).unwrap();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        prop_assert_eq!(found, names);
    }

    #[test]
    fn no_query_panics(text in "[a-z%0-9+=&\\[\\]]{0,40}") {
        let _ = query(&text);
    }
}
