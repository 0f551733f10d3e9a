//! Bodies that are not JSON.

use super::*;

/// A contract whose only operation takes `content`.
fn taking(version: &str, content: &Value) -> Contract {
    let document = json!({ "openapi": version, "paths": { "/a": { "post": {
        "operationId": "post", "requestBody": { "required": true, "content": content }, "responses": {}
    } } } });
    Contract::compile(document, &ContractOptions { build_all: true, ..ContractOptions::default() }).unwrap()
}

fn post(contract: &Contract, media: &str, body: &[u8]) -> (String, Option<Value>) {
    let headers = headers(&[("content-type", media)]);
    let subject = Subject { query: "", headers: &headers, path: &PathParameters::default(), body };
    let result = check(contract, &ValidateRules::default(), OperationIndex(0), &subject);
    let value = result.as_ref().ok().cloned().flatten();
    (verdict(result), value)
}

fn upload() -> Contract {
    taking(
        "3.1.0",
        &json!({ "multipart/form-data": {
        "schema": { "type": "object", "required": ["n"], "properties": {
            "n": { "type": "integer" },
            "file": { "type": "string", "format": "binary", "maxLength": 4 },
            "files": { "type": "array", "maxItems": 2, "items": { "type": "string", "contentMediaType": "image/png" } },
            "meta": { "type": "object", "required": ["a"], "properties": { "a": { "type": "boolean" } } },
            "tags": { "type": "array", "items": { "type": "string" } }
        } },
        "encoding": {
            "file": { "contentType": "image/png, image/gif, text/*", "headers": {
                "X-Rate": { "required": true, "schema": { "type": "integer" } } } },
            "tags": {}
        }
    } }),
    )
}

/// A form out of heads and contents.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(b"--XX\r\n");
        body.extend_from_slice(head.replace('\n', "\r\n").as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

/// The head of a part, and its content.
type Part<'a> = (&'a str, &'a [u8]);

const N: (&str, &[u8]) = ("Content-Disposition: form-data; name=\"n\"", b"7");

#[test]
fn each_part_is_held_against_its_schema() {
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\nContent-Type: image/png\nX-Rate: 3";
    let named = |name: &str| format!("Content-Disposition: form-data; name={name}");
    let (meta, tags, files, more) = (named("meta"), named("\"tags\""), named("\"files\""), named("\"more\""));
    let meta_json = format!("{meta}\nContent-Type: application/json");
    let (jpeg, plain) = (file.replace("image/png", "image/jpeg"), file.replace("image/png", "text/plain"));
    let (bare, wrong) = (file.replace("\nX-Rate: 3", ""), file.replace("X-Rate: 3", "X-Rate: a"));
    let cases: Vec<(Vec<Part<'_>>, &str)> = vec![
        (vec![N], "ok"),
        (vec![], "invalid_body /n"),
        (vec![("Content-Disposition: form-data; name=\"n\"", b"x")], "invalid_body /n"),
        (vec![N, N], "invalid_body /n"),
        (vec![N, (file, b"\x89PNG")], "ok"),
        (vec![N, (file, b"\x89PNG\r")], "invalid_body /file"),
        (vec![N, (&jpeg, b"a")], "invalid_body /file"),
        (vec![N, (&plain, b"a")], "ok"),
        (vec![N, (&bare, b"a")], "invalid_body /file#header:x-rate"),
        (vec![N, (&wrong, b"a")], "invalid_body /file#header:x-rate"),
        (vec![N, (&meta_json, b"{\"a\":true}")], "ok"),
        (vec![N, (&meta, b"{\"a\":true}")], "ok"),
        (vec![N, (&meta_json, b"{\"a\":1}")], "invalid_body /meta/a"),
        (vec![N, (&meta_json, b"{\"a\":true,\"a\":true}")], "invalid_body /meta"),
        (vec![N, (&meta_json, b"{\"a\":true,\"b\":1}")], "invalid_body /meta/b"),
        (vec![N, (&tags, b"a"), (&tags, b"b")], "ok"),
        (vec![N, (&tags, b"\xff")], "invalid_body /tags"),
        (vec![N, (&files, b"\xff\x00"), (&files, b"")], "ok"),
        (vec![N, (&files, b"a"), (&files, b"b"), (&files, b"c")], "invalid_body /files"),
        (vec![N, (&more, b"a")], "invalid_body /more"),
    ];
    let contract = upload();
    for (parts, expected) in cases {
        assert_eq!(
            post(&contract, "multipart/form-data; boundary=XX", &form(&parts)).0,
            expected,
            "{parts:?}"
        );
    }
    let both: [(&str, &[u8]); 3] = [N, (&tags, b"a"), (&meta, b"{\"a\":true}")];
    let value = post(&contract, "multipart/form-data; boundary=\"XX\"", &form(&both)).1;
    assert_eq!(value, Some(json!({ "n": 7, "tags": ["a"], "meta": { "a": true } })));
}

#[test]
fn a_form_with_two_readings_is_refused() {
    let good = String::from_utf8(form(&[N])).unwrap();
    let contract = upload();
    let media = "multipart/form-data; boundary=XX";
    let bad = [
        String::new() + "preamble\r\n" + &good,
        "\r\n".to_owned() + &good,
        good.clone() + "epilogue",
        good.replace("\r\n", "\n"),
        good.replace("7\r\n", "7\n"),
        good.replace("7\r\n", "7\r\n--XXY\r\n"),
        good.replace("7\r\n", "7--XX\r\n"),
        good.replace("--XX--", "--XX"),
        good.replace("--XX--\r\n", ""),
        good.replace("--XX\r\n", "--XX \r\n"),
        good.replace("name=\"n\"", "name=\"n\"; name=\"m\""),
        good.replace("name=\"n\"", "name=\"n\"; filename*=utf-8''x"),
        good.replace("name=\"n\"", "name*=utf-8''n"),
        good.replace("name=\"n\"", "name=\"n\\\"; filename=\"x\""),
        good.replace("name=\"n\"", "name=\"\""),
        good.replace("name=\"n\"", "filename=\"n\""),
        good.replace("form-data", "attachment"),
        good.replace("Content-Disposition", "Content-Disposition "),
        good.replace("Content-Disposition: form-data;", "Content-Disposition: form-data;\r\n"),
        good.replace("name=\"n\"", "name=\"n\"\r\nContent-Disposition: form-data; name=\"m\""),
        good.replace("name=\"n\"", "name=\"n\"\r\nContent-Transfer-Encoding: base64"),
        good.replace("name=\"n\"", "name=\"n\"\r\nContent-Type: a/b\r\nContent-Type: c/d"),
        good.replace("name=\"n\"\r\n", "name=\"n\""),
        "--XX\r\n\r\n7\r\n--XX--".to_owned(),
        "--XX--extra".to_owned(),
    ];
    for body in bad {
        assert_eq!(post(&contract, media, body.as_bytes()).0, "malformed_body", "{body}");
    }
    assert_eq!(post(&contract, media, good.trim_end().as_bytes()).0, "ok");
    for media in
        ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a%b"]
    {
        assert_eq!(post(&contract, media, good.as_bytes()).0, "malformed_body", "{media}");
    }
    let twice = "multipart/form-data; boundary=XX; boundary=YY";
    assert_eq!(post(&contract, twice, good.as_bytes()).0, "unsupported_media_type");
    let many: Vec<(&str, &[u8])> = std::iter::repeat_n(N, 1_001).collect();
    assert_eq!(post(&contract, media, &form(&many)).0, "malformed_body");
}

#[test]
fn forms_follow_the_encodings_of_the_contract() {
    let contract = taking(
        "3.1.0",
        &json!({ "application/x-www-form-urlencoded": {
        "schema": { "type": "object", "properties": {
            "ids": { "type": "array", "items": { "type": "integer" } },
            "piped": { "type": "array", "items": { "type": "integer" } },
            "all": { "type": "array", "items": { "type": "integer" } },
            "color": { "type": "object", "properties": { "R": { "type": "integer" }, "G": { "type": "integer" } } },
            "deep": { "type": "object", "properties": { "list": { "type": "array", "items": { "type": "integer" } } } },
            "json": { "type": "object", "properties": { "a": { "type": "integer" } } },
            "points": { "type": "array", "items": { "type": "object" } }
        } },
        "encoding": {
            "ids": { "style": "form", "explode": false },
            "piped": { "style": "pipeDelimited", "explode": false },
            "color": { "style": "form", "explode": false },
            "deep": { "style": "deepObject", "explode": true },
            "points": { "contentType": "application/json" }
        }
    } }),
    );
    let cases = [
        ("ids=1,2", Some(json!({ "ids": [1, 2] }))),
        ("ids=1&ids=2", None),
        ("piped=1%7C2", Some(json!({ "piped": [1, 2] }))),
        ("all=1&all=2", Some(json!({ "all": [1, 2] }))),
        ("color=R,1,G,2", Some(json!({ "color": { "R": 1, "G": 2 } }))),
        ("color=R,1,X,2", None),
        ("deep[list]=1&deep[list]=2", Some(json!({ "deep": { "list": [1, 2] } }))),
        ("deep[list][]=1", Some(json!({ "deep": { "list": [1] } }))),
        ("json=%7B%22a%22%3A1%7D", Some(json!({ "json": { "a": 1 } }))),
        ("json=%7B%22a%22%3A1%2C%22a%22%3A1%7D", None),
        ("json=a", None),
        ("points=%5B%7B%7D%5D", Some(json!({ "points": [{}] }))),
        ("points=%7B%7D&points=%7B%7D", Some(json!({ "points": [{}, {}] }))),
        ("more=1", None),
    ];
    for (body, expected) in cases {
        let (verdict, value) = post(&contract, "application/x-www-form-urlencoded", body.as_bytes());
        assert_eq!(value, expected, "{body} {verdict}");
    }
}

#[test]
fn texts_bytes_and_lines_meet_their_schemas() {
    let contract = taking(
        "3.0.3",
        &json!({
            "text/plain": { "schema": { "type": "string", "maxLength": 3 } },
            "text/csv": { "schema": { "type": "integer" } },
            "text/html": {},
            "application/octet-stream": { "schema": { "type": "string", "format": "binary", "maxLength": 3 } },
            "image/*": { "schema": { "type": "string", "format": "binary" } },
            "application/x-ndjson": { "schema": { "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } } },
            "application/jsonl": { "schema": { "type": "array", "maxItems": 2, "items": { "type": "integer" } } }
        }),
    );
    let cases: [(&str, &[u8], &str); 23] = [
        ("text/plain", b"abc", "ok"),
        ("text/plain", b"abcd", "invalid_body"),
        ("text/plain", b"\xff", "malformed_body"),
        ("text/csv", b"12", "ok"),
        ("text/csv", b"x", "invalid_body"),
        ("text/html", b"<p>", "ok"),
        ("text/html", b"\xff", "malformed_body"),
        ("application/octet-stream", b"\xff\xfe\xfd", "ok"),
        ("application/octet-stream", b"\xff\xfe\xfd\xfc", "invalid_body"),
        ("image/png", b"\xff\xfe\xfd\xfc", "ok"),
        ("application/x-ndjson", b"{\"n\":1}\n{\"n\":2}\n", "ok"),
        ("application/x-ndjson", b"{\"n\":1}\r\n{\"n\":2}", "ok"),
        ("application/x-ndjson", b"{\"n\":1}\n{\"n\":\"a\"}\n{\"m\":1}", "invalid_body /1/n /2/m /2/n"),
        ("application/x-ndjson", b"{\"n\":1,\"n\":2}", "malformed_body"),
        ("application/x-ndjson", b"{\"n\":1}{\"n\":2}", "malformed_body"),
        ("application/x-ndjson", b"{\"n\":1}\n\n{\"n\":2}", "malformed_body"),
        ("application/x-ndjson", b"{\"n\":\"\\ud800\"}", "malformed_body"),
        ("application/x-ndjson", b"\xff", "malformed_body"),
        ("application/jsonl", b"1\n2", "ok"),
        ("application/jsonl", b"1\n\"a\"", "invalid_body /1"),
        ("application/jsonl", b"1\n2\n3", "invalid_body"),
        ("application/json", b"{}", "unsupported_media_type"),
        ("application/xml", b"<a/>", "unsupported_media_type"),
    ];
    for (media, body, expected) in cases {
        let shown = String::from_utf8_lossy(body);
        let mut found: Vec<_> = post(&contract, media, body).0.split(' ').map(str::to_owned).collect();
        found[1..].sort();
        assert_eq!(found.join(" "), expected, "{media} {shown}");
    }
}

#[test]
fn parameters_and_body_are_told_at_once() {
    let contract = taking(
        "3.1.0",
        &json!({ "application/json": { "schema": { "type": "object", "properties": { "a": { "type": "integer" } } } } }),
    );
    let headers = headers(&[("content-type", "application/json")]);
    let subject = Subject {
        query: "x=1",
        headers: &headers,
        path: &PathParameters::default(),
        body: br#"{"a":"b","c":1}"#,
    };
    let mut found: Vec<_> = verdict(check(&contract, &ValidateRules::default(), OperationIndex(0), &subject))
        .split(' ')
        .map(str::to_owned)
        .collect();
    found.sort();
    assert_eq!(found, ["/a", "/c", "invalid_parameter", "query:x"]);
}

#[test]
fn who_is_not_to_know_is_told_nothing_and_the_record_all() {
    let halt = Halt::new(Reason::BodyInvalid, "no").with_violations(vec![violation("/a", "is required")]);
    let Halt::Refusal(refusal) = untold(halt) else { panic!("a refusal stays one") };
    assert!(refusal.violations.is_empty());
    assert_eq!(refusal.detail, "no; /a is required");
}

proptest! {
    #[test]
    fn any_bytes_end_in_parts_or_a_fault(body in "(--XX|\r\n|-|:|;|=|\"|name|Content-Disposition: form-data; name=\"n\"|[a-z]|\\PC){0,24}") {
        if let Ok(parts) = multipart::parts(body.as_bytes(), "XX") {
            for part in parts {
                prop_assert!(memchr::memmem::find(part.content, b"--XX").is_none());
            }
        }
    }

    #[test]
    fn parts_round_trip(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..5)) {
        let parts: Vec<(&str, &[u8])> = contents.iter().map(|content| (N.0, content.as_slice())).collect();
        let body = form(&parts);
        if let Ok(found) = multipart::parts(&body, "XX") {
            let found: Vec<_> = found.into_iter().map(|part| part.content.to_vec()).collect();
            prop_assert_eq!(found, contents);
        } else {
            prop_assert!(contents.iter().any(|content| memchr::memmem::find(content, b"--XX").is_some()));
        }
    }
}

#[test]
fn a_field_of_a_form_that_is_only_required_is_named() {
    let schema = json!({ "type": "object", "required": ["z"], "properties": { "a": { "type": "integer" } } });
    let contract = taking(
        "3.0.3",
        &json!({
            "multipart/form-data": { "schema": schema }, "application/x-www-form-urlencoded": { "schema": schema }
        }),
    );
    let part = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
    let (z, y) = (part("z"), part("y"));
    let media = "multipart/form-data; boundary=XX";
    assert_eq!(post(&contract, media, &form(&[(&z, b"1")])).0, "ok");
    assert_ne!(post(&contract, media, &form(&[(&z, b"1"), (&y, b"1")])).0, "ok");
    let media = "application/x-www-form-urlencoded";
    assert_eq!(post(&contract, media, b"z=1&a=2").0, "ok");
    assert_ne!(post(&contract, media, b"z=1&y=2").0, "ok");
}
