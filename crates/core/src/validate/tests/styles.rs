//! Every row of the specification's table of styles (OpenAPI 3.1 section 4.8.12.4), and what surrounds it.

use super::*;
use crate::contract::Location;

/// A contract with one parameter, whose schema says exactly what must be read.
fn contract_of(parameter: &Value) -> Contract {
    let path = if parameter["in"] == "path" { "/a/{color}" } else { "/a" };
    let document = json!({ "openapi": "3.1.0", "paths": { path: { "get": {
        "operationId": "get", "parameters": [parameter], "responses": {}
    } } } });
    Contract::compile(document, &ContractOptions { build_all: true, ..ContractOptions::default() }).unwrap()
}

/// What becomes of `sent` at the place of `parameter`.
fn sent(parameter: &Value, sent: &str) -> String {
    let contract = contract_of(parameter);
    let (index, operation) = contract.operation_named("get").unwrap();
    let (mut query, mut headers, mut path) = ("", HeaderMap::new(), PathParameters::default());
    match operation.parameters[0].location {
        Location::Path => path.0.push(("color".into(), sent.into())),
        Location::Query => query = sent,
        Location::Header => drop(headers.insert("color", sent.parse().unwrap())),
        Location::Cookie => drop(headers.insert("cookie", sent.parse().unwrap())),
    }
    verdict(check(
        &contract,
        &ValidateRules::default(),
        index,
        &Subject { query, headers: &headers, path: &path, body: b"" },
    ))
}

fn array() -> Value {
    json!(["blue", "black", "brown"])
}

fn object() -> Value {
    json!({ "R": 100, "G": 200, "B": 150 })
}

fn schema(value: &Value) -> Value {
    match value {
        Value::Array(_) => json!({ "type": "array", "items": { "type": "string" }, "const": value }),
        Value::Object(_) => json!({ "type": "object", "const": value, "properties": {
            "R": { "type": "integer" }, "G": { "type": "integer" }, "B": { "type": "integer" } } }),
        Value::Number(_) => json!({ "type": "number", "const": value }),
        Value::Bool(_) => json!({ "type": "boolean", "const": value }),
        _ => json!({ "type": "string", "const": value }),
    }
}

#[test]
fn every_row_of_the_table_is_read_as_it_says() {
    let (empty, text) = (json!(""), json!("blue"));
    let rows: Vec<(&str, &str, bool, Value, &str)> = vec![
        ("path", "matrix", false, empty.clone(), ";color"),
        ("path", "matrix", false, text.clone(), ";color=blue"),
        ("path", "matrix", false, array(), ";color=blue,black,brown"),
        ("path", "matrix", false, object(), ";color=R,100,G,200,B,150"),
        ("path", "matrix", true, empty.clone(), ";color"),
        ("path", "matrix", true, text.clone(), ";color=blue"),
        ("path", "matrix", true, array(), ";color=blue;color=black;color=brown"),
        ("path", "matrix", true, object(), ";R=100;G=200;B=150"),
        ("path", "label", false, empty.clone(), "."),
        ("path", "label", false, text.clone(), ".blue"),
        ("path", "label", false, array(), ".blue,black,brown"),
        ("path", "label", false, object(), ".R,100,G,200,B,150"),
        ("path", "label", true, empty.clone(), "."),
        ("path", "label", true, text.clone(), ".blue"),
        ("path", "label", true, array(), ".blue.black.brown"),
        ("path", "label", true, object(), ".R=100.G=200.B=150"),
        ("path", "simple", false, text.clone(), "blue"),
        ("path", "simple", false, array(), "blue,black,brown"),
        ("path", "simple", false, object(), "R,100,G,200,B,150"),
        ("path", "simple", true, text.clone(), "blue"),
        ("path", "simple", true, array(), "blue,black,brown"),
        ("path", "simple", true, object(), "R=100,G=200,B=150"),
        ("path", "simple", false, json!(-1.5), "-1.5"),
        ("path", "simple", false, json!(true), "true"),
        ("header", "simple", false, empty.clone(), ""),
        ("header", "simple", false, text.clone(), "blue"),
        ("header", "simple", false, array(), "blue, black,brown"),
        ("header", "simple", false, object(), "R,100, G,200,B,150"),
        ("header", "simple", true, array(), "blue,black,brown"),
        ("header", "simple", true, object(), "R=100, G=200,B=150"),
        ("query", "form", false, empty.clone(), "color="),
        ("query", "form", false, empty.clone(), "color"),
        ("query", "form", false, text.clone(), "color=blue"),
        ("query", "form", false, array(), "color=blue,black,brown"),
        ("query", "form", false, array(), "color=blue%2Cblack%2Cbrown"),
        ("query", "form", false, object(), "color=R,100,G,200,B,150"),
        ("query", "form", true, empty.clone(), "color="),
        ("query", "form", true, text.clone(), "color=blue"),
        ("query", "form", true, array(), "color=blue&color=black&color=brown"),
        ("query", "form", true, object(), "R=100&G=200&B=150"),
        ("query", "spaceDelimited", false, array(), "color=blue%20black%20brown"),
        ("query", "spaceDelimited", false, array(), "color=blue+black+brown"),
        ("query", "spaceDelimited", false, object(), "color=R%20100%20G%20200%20B%20150"),
        ("query", "spaceDelimited", true, array(), "color=blue&color=black&color=brown"),
        ("query", "pipeDelimited", false, array(), "color=blue%7Cblack%7Cbrown"),
        ("query", "pipeDelimited", false, array(), "color=blue|black|brown"),
        ("query", "pipeDelimited", false, object(), "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("query", "pipeDelimited", true, array(), "color=blue&color=black&color=brown"),
        ("query", "deepObject", true, object(), "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("query", "deepObject", true, object(), "color[R]=100&color[G]=200&color[B]=150"),
        ("cookie", "form", false, text.clone(), "a=b; color=blue"),
        ("cookie", "form", false, array(), "color=blue,black,brown"),
        ("cookie", "form", false, array(), "color=blue%2Cblack%2Cbrown"),
        ("cookie", "form", false, object(), "color=R,100,G,200,B,150"),
        ("cookie", "form", true, text.clone(), "color=blue; b=c"),
        ("cookie", "form", true, array(), "color=blue; color=black; color=brown"),
        ("cookie", "form", true, object(), "R=100; G=200; B=150"),
    ];
    for (location, style, explode, value, text) in rows {
        let parameter = json!({ "name": "color", "in": location, "required": true, "style": style, "explode": explode,
                                "schema": schema(&value) });
        assert_eq!(sent(&parameter, text), "ok", "{location} {style} {explode} {text}");
        // Each row can fail: another value is not read as this one.
        let other =
            text.replace("blue", "red").replace("100", "101").replace("true", "false").replace("-1.5", "2");
        if other != text {
            assert!(sent(&parameter, &other).starts_with("invalid_parameter"), "{style} {explode} {other}");
        }
    }
}

#[test]
fn what_is_written_in_another_style_is_refused() {
    let rows = [
        ("path", "matrix", true, array(), ";color=blue;colour=black;color=brown"),
        ("path", "matrix", false, array(), "color=blue,black,brown"),
        ("path", "matrix", false, json!("blue"), ";colored=blue"),
        ("path", "label", false, json!("blue"), "blue"),
        ("path", "label", true, object(), ".R=100.G=200.B"),
        ("path", "simple", true, object(), "R,100,G,200,B,150"),
        ("query", "form", false, array(), "color=blue&color=black&color=brown"),
        ("query", "form", false, object(), "color=R,100,G,200,B"),
        ("query", "form", true, json!("blue"), "color=blue&color=blue"),
        ("query", "form", true, object(), "R=100&G=200&B=150&A=1"),
        ("query", "form", true, object(), "R=100&R=100&G=200&B=150"),
        ("query", "pipeDelimited", false, array(), "color=blue,black,brown"),
        ("query", "deepObject", true, object(), "color[R]=100&color[G]=200&color[B]=150&color[R]=100"),
        ("query", "deepObject", true, object(), "color[R][x]=100&color[G]=200&color[B]=150"),
        ("query", "deepObject", true, object(), "color=R,100,G,200,B,150"),
        ("header", "simple", true, object(), "R=100;G=200;B=150"),
        ("cookie", "form", false, json!("blue"), "color=blue; color=blue"),
    ];
    for (location, style, explode, value, text) in rows {
        let parameter = json!({ "name": "color", "in": location, "required": true, "style": style, "explode": explode,
                                "schema": schema(&value) });
        assert!(
            sent(&parameter, text).starts_with("invalid_parameter"),
            "{location} {style} {explode} {text}"
        );
    }
}

#[test]
fn reserved_empty_and_structured_values() {
    let query = |parameter: &Value, text: &str| {
        let mut parameter = parameter.clone();
        parameter["name"] = json!("color");
        parameter["in"] = json!("query");
        sent(&parameter, text)
    };
    let uri =
        json!({ "allowReserved": true, "schema": { "const": "https://example.com/a?b=[c]:d@e!$'()*,;" } });
    assert_eq!(query(&uri, "color=https://example.com/a?b=[c]:d@e!$'()*,;"), "ok");
    let empty = json!({ "allowEmptyValue": true, "schema": { "type": "integer" } });
    for (text, expected) in
        [("color=", "ok"), ("color", "ok"), ("color=1", "ok"), ("color=x", "invalid_parameter query:color")]
    {
        assert_eq!(query(&empty, text), expected, "{text}");
    }
    let list = json!({ "schema": { "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] } });
    assert_eq!(query(&list, "color=a"), "ok");
    assert_eq!(query(&list, "color=a&color=b"), "ok");
    let none = json!({ "explode": false, "schema": { "type": "array", "items": { "type": "integer" } } });
    assert_eq!(query(&none, "color="), "ok");
    let deep = json!({ "style": "deepObject", "schema": { "type": "object", "properties": {
        "tags": { "type": "array", "items": { "type": "integer" } }, "in": { "type": "object", "properties": { "n": { "type": "integer" } } } } } });
    for (text, expected) in [
        ("color[tags]=1&color[tags]=2&color[in][n]=3", "ok"),
        ("color[tags][]=1&color[tags][]=2", "ok"),
        ("color[tags][0]=1&color[tags][1]=2", "ok"),
        ("color[tags]=1&color[tags]=x", "invalid_parameter query:color/tags/1"),
        ("color[in][n]=x", "invalid_parameter query:color/in/n"),
        ("color[in]=3", "invalid_parameter query:color/in"),
    ] {
        assert_eq!(query(&deep, text), expected, "{text}");
    }
    let free = json!({ "schema": { "type": "object", "additionalProperties": { "type": "integer" } } });
    assert_eq!(query(&free, "a=1&b=2"), "ok");
    assert_eq!(query(&free, "a=1&b=x"), "invalid_parameter query:color/b");
    let json = json!({ "content": { "application/json": { "schema": { "type": "array", "items": { "type": "integer" } } } } });
    assert_eq!(query(&json, "color=%5B1,2%5D"), "ok");
    assert_eq!(query(&json, "color=1,2"), "invalid_parameter query:color");
    assert_eq!(query(&json, "color=%5B1,%22a%22%5D"), "invalid_parameter query:color/1");
    let text = json!({ "content": { "text/plain": { "schema": { "type": "string", "maxLength": 2 } } } });
    assert_eq!(query(&text, "color=ab"), "ok");
    assert_eq!(query(&text, "color=abc"), "invalid_parameter query:color");
}

#[test]
fn fields_of_an_object_do_not_take_what_other_parameters_are() {
    let document = json!({ "openapi": "3.1.0", "paths": { "/a": { "get": { "operationId": "get", "responses": {}, "parameters": [
        { "name": "filter", "in": "query", "schema": { "type": "object", "additionalProperties": { "type": "string" } } },
        { "name": "limit", "in": "query", "schema": { "type": "integer" } }
    ] } } } });
    let contract = Contract::compile(document, &ContractOptions::default()).unwrap();
    let (index, _) = contract.operation_named("get").unwrap();
    let run = |query| {
        let subject =
            Subject { query, headers: &HeaderMap::new(), path: &PathParameters::default(), body: b"" };
        verdict(check(&contract, &ValidateRules::default(), index, &subject))
    };
    assert_eq!(run("a=b&limit=3"), "ok");
    assert_eq!(run("a=b&limit=x"), "invalid_parameter query:limit");
}

#[test]
fn a_list_may_come_in_several_header_lines() {
    let contract = contract_of(&json!({ "name": "color", "in": "header", "schema": schema(&array()) }));
    let mut headers = headers(&[("color", "blue, black")]);
    headers.append("color", HeaderValue::from_static("brown"));
    let subject = Subject { query: "", headers: &headers, path: &PathParameters::default(), body: b"" };
    assert_eq!(verdict(check(&contract, &ValidateRules::default(), OperationIndex(0), &subject)), "ok");
}

#[test]
fn an_item_that_looks_like_a_number_may_be_text() {
    let items =
        json!({ "anyOf": [{ "type": "integer", "maximum": 9 }, { "type": "string", "maxLength": 2 }] });
    let parameter = json!({ "name": "color", "in": "query", "schema": { "type": "array", "items": items } });
    for good in ["color=7", "color=10", "color=7&color=10&color=x", "color=10&color=07"] {
        assert_eq!(sent(&parameter, good), "ok", "{good}");
    }
    for bad in ["color=100", "color=7&color=100", "color=10&color=xxx"] {
        assert_ne!(sent(&parameter, bad), "ok", "{bad}");
    }
}
