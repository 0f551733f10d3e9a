use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::*;

fn server(rules: McpRules) -> Mcp {
    let offer = |name: &str| Callable { name: name.into(), reads: name == "search" };
    Mcp::new(McpRules {
        tools: vec![offer("search"), offer("delete")],
        prompts: vec![offer("greet")],
        ..rules
    })
}

fn headers(more: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in more {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers
}

/// The ids of what a message needs, or the reason for which it is refused, or where it breaks the table.
fn asked(mcp: &Mcp, headers: &HeaderMap, body: &str) -> String {
    match mcp.read(headers, None, body.as_bytes()) {
        Err(halt) => format!("{:?}", halt.reason().unwrap()),
        Ok(message) if !message.violations().is_empty() => {
            let places: Vec<_> = message.violations().iter().map(|one| one.at.as_str()).collect();
            format!("at {}", places.join(" "))
        }
        Ok(message) => {
            let ids: Vec<_> = mcp.wants(&message).into_iter().map(|one| one.id.to_string()).collect();
            ids.join(" ")
        }
    }
}

fn check(body: &str, expected: &str) {
    assert_eq!(asked(&server(McpRules::default()), &headers(&[]), body), expected, "{body}");
}

#[test]
fn every_method_needs_its_actions() {
    let call = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    check(&call("ping", "{}"), "session");
    check(
        &call(
            "initialize",
            r#"{"protocolVersion":"2025-11-25","capabilities":{"x":1},"clientInfo":{"name":"a","version":"1"}}"#,
        ),
        "session",
    );
    check(&call("tools/list", r#"{"cursor":"a","_meta":{"progressToken":1}}"#), "tools.list");
    check(&call("tools/call", r#"{"name":"search","arguments":{"q":1}}"#), "tools.call.search");
    check(&call("tools/call", r#"{"name":"other"}"#), "tools.call.other");
    check(&call("prompts/get", r#"{"name":"greet","arguments":{"a":"b"}}"#), "prompts.get.greet");
    check(&call("resources/read", r#"{"uri":"a://b"}"#), "resources.read");
    check(&call("resources/templates/list", "{}"), "resources.list");
    check(&call("resources/subscribe", r#"{"uri":"a://b"}"#), "resources.subscribe resources.read");
    check(
        &call("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":["a://b"]}}"#),
        "resources.subscribe resources.read",
    );
    check(&call("subscriptions/listen", r#"{"notifications":{"toolsListChanged":true}}"#), "session");
    check(
        &call(
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":"b"}}"#,
        ),
        "completion.complete prompts.get.greet",
    );
    check(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "session");
    check(r#"{"jsonrpc":"2.0","id":"a","result":{"action":"accept","content":{"a":1}}}"#, "session");
    check(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#, "session");
}

#[test]
fn what_has_no_reading_or_no_row_is_refused() {
    for (body, expected) in [
        ("", "BodyMalformed"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":2}"#, "BodyMalformed"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "BodyInvalid"),
        ("7", "BodyInvalid"),
        (r#"{"id":1,"method":"ping"}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","method":"ping"}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, "BodyInvalid"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{}}"#, "MethodUnknown"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"Tools/call","params":{"name":"search"}}"#, "MethodUnknown"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1}"#, "at "),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1}}"#, "at /params"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","task":{}}}"#,
            "at /params",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":[]}}"#,
            "at /params/arguments",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet","arguments":{"a":1}}}"#,
            "at /params/arguments",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel"}"#, "at /params/level"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"1","capabilities":{},"clientInfo":{"name":1,"icons":[{"x":1}]}}}"#,
            "at /params/clientInfo/version /params/clientInfo/name /params/clientInfo/icons/0/src /params/clientInfo/icons/0",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"x":1}}"#, "at /result"),
    ] {
        check(body, expected);
    }
    let mcp = server(McpRules::default());
    let plain = HeaderMap::new();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(asked(&mcp, &plain, ping), "MediaTypeUnsupported");
    let halt = mcp.read(&headers(&[]), Some("a=1"), ping.as_bytes()).unwrap_err();
    assert_eq!(halt.reason(), Some(Reason::ParameterInvalid));
}

#[test]
fn what_the_operator_passes_in_writing_passes() {
    let mcp = server(McpRules {
        lets_unlisted: true,
        lets_unknown_fields: true,
        methods: vec!["tasks/get".into()],
        ..McpRules::default()
    });
    let check = |body: &str, expected: &str| assert_eq!(asked(&mcp, &headers(&[]), body), expected, "{body}");
    check(r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a"}}"#, "tasks.get");
    check(r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list","params":{}}"#, "MethodUnknown");
    check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","y":1}}"#, "tools.call.x");
    let wanted = mcp.of(Kind::Tool, "x");
    assert_eq!(wanted.path, [("name".into(), "x".into())]);
    assert!(wanted.action.is_some());
    // A listed one is not called by the action of the others.
    assert_ne!(mcp.of(Kind::Tool, "search").action, wanted.action);
    assert_eq!(server(McpRules::default()).of(Kind::Tool, "x").action, None);
}

#[test]
fn headers_say_what_the_body_says() {
    let mcp = server(McpRules::default());
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
    for (more, expected) in [
        (&[("mcp-method", "tools/call"), ("mcp-name", "search")][..], "tools.call.search"),
        (&[("mcp-name", "=?base64?c2VhcmNo?=")], "tools.call.search"),
        (&[("mcp-name", "delete")], "ParameterInvalid"),
        (&[("mcp-method", "tools/list")], "ParameterInvalid"),
        (&[("mcp-name", "=?base64?%?=")], "ParameterInvalid"),
    ] {
        assert_eq!(asked(&mcp, &headers(more), body), expected, "{more:?}");
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(asked(&mcp, &headers(&[("mcp-name", "search")]), list), "ParameterInvalid");
}

#[test]
fn foreign_pages_do_not_call() {
    let mcp = server(McpRules { origins: vec!["https://app.example".into()], ..McpRules::default() });
    for (origin, authority, expected) in [
        (None, "evil.example", true),
        (Some("https://app.example"), "gate.example", true),
        (Some("https://APP.example"), "gate.example", true),
        (Some("http://app.example"), "gate.example", false),
        (Some("https://app.example:444"), "gate.example", false),
        (Some("http://evil.example"), "evil.example", false),
        (Some("http://localhost:3000"), "127.0.0.1:8080", true),
        (Some("http://[::1]:3000"), "localhost:8080", true),
        (Some("http://localhost:3000"), "gate.example", false),
        (Some("http://localhost.evil.example"), "localhost", false),
        (Some("null"), "localhost", false),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        assert_eq!(mcp.check_origin(&headers, authority).is_ok(), expected, "{origin:?} {authority}");
    }
}

#[test]
fn an_id_is_found_in_whatever_has_one() {
    for (body, expected) in [
        (r#"{"jsonrpc":"1.0","id":"a\"","method":"x"}"#, Some(r#""a\"""#)),
        (r#"{"id":-7,"method":"x"}"#, Some("-7")),
        (r#"{"id":7}"#, None),
        (r#"{"id":{},"method":"x"}"#, None),
        ("[", None),
    ] {
        assert_eq!(id_of(body.as_bytes()).as_deref(), expected, "{body}");
    }
}
