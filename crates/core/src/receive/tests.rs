use std::fmt::Write as _;

use http::HeaderMap;
use http::request::Parts;

use super::*;
use crate::contract::{Contract, ContractOptions};
use crate::halt::Refusal;
use crate::identify::IdentifyRules;
use crate::route::{RouteId, Surface};

/// `GET /api/thing`, `POST /api/thing`, `GET /api/` without and with WebSocket at `/ws/chat`.
fn routes() -> Routes {
    routes_with(contract(&[
        (Method::GET, "/thing", false),
        (Method::POST, "/thing", true),
        (Method::GET, "/", false),
    ]))
}

/// The same with another contract below `/api`.
fn routes_with(things: Contract) -> Routes {
    let route = |id, base_path: &str, contract, allows_websocket| {
        Arc::new(Route {
            id: RouteId(id),
            name: base_path.into(),
            grpc: None,
            mcp: None,
            surface: Surface::Rest,
            graph: None,
            base_path: base_path.into(),
            contract,
            identify: IdentifyRules::default(),
            budgets: Vec::new(),
            authorize: crate::authorize::AuthorizeRules::default(),
            validate: crate::validate::ValidateRules::default(),
            body_limit: 1024,
            body_limits: Vec::new(),
            allows_websocket,
        })
    };
    let chat = contract(&[(Method::GET, "/chat", false)]);
    Routes::new(vec![route(0, "/api", things, false), route(1, "/ws", chat, true)])
}

/// A contract of these methods and paths, with a body or without.
fn contract(operations: &[(Method, &str, bool)]) -> Contract {
    let mut paths = serde_json::Map::new();
    for (method, path, takes_body) in operations {
        let mut operation = serde_json::json!({ "responses": { "200": { "description": "ok" } } });
        if *takes_body {
            operation["requestBody"] = serde_json::json!({ "content": { "application/json": {} } });
        }
        let item = paths.entry(*path).or_insert_with(|| serde_json::json!({}));
        item[method.as_str().to_ascii_lowercase()] = operation;
    }
    let document =
        serde_json::json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "1" }, "paths": paths });
    Contract::compile(document, &ContractOptions::default()).unwrap()
}

/// Parses `METHOD target VERSION` and lines of headers the way hyper hands them over.
fn wire(text: &str, has_body: bool) -> Wire {
    let mut lines = text.split('\n');
    let mut first = lines.next().unwrap().split(' ');
    let (method, target, version) = (first.next().unwrap(), first.next().unwrap(), first.next().unwrap());
    let version = match version {
        "1.0" => Version::HTTP_10,
        "1.1" => Version::HTTP_11,
        "2" => Version::HTTP_2,
        _ => Version::HTTP_3,
    };
    let mut request = http::Request::builder().method(method).uri(target).version(version);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        request = request.header(name, value.trim());
    }
    let parts: Parts = request.body(()).unwrap().into_parts().0;
    Wire { parts, peer: Peer { address: [192, 0, 2, 1].into(), is_tls: false }, has_body }
}

fn judge(text: &str) -> Result<Request<Received>, Halt> {
    receive(&routes(), &ReceiveRules::default(), wire(text, false))
}

fn refusal(text: &str) -> Refusal {
    match judge(text) {
        Err(Halt::Refusal(refusal)) => refusal,
        other => panic!("{text}: {other:?}"),
    }
}

/// `None`: it passes.
fn check(text: &str, expected: Option<Reason>) {
    assert_eq!(judge(text).err().and_then(|halt| halt.reason()), expected, "{text}");
}

fn headers(text: &str) -> HeaderMap {
    judge(text).unwrap().head().headers.clone()
}

#[test]
fn a_request_names_one_operation_or_nothing() {
    let request = judge("GET http://A.example/api/%74hing?x=1 1.1\nhost: a.EXAMPLE\naccept: */*").unwrap();
    let head = request.head();
    assert_eq!(head.path.as_str(), "/api/thing");
    assert_eq!(head.query.as_deref(), Some("x=1"));
    assert_eq!(&*head.authority, "a.example");
    assert_eq!(head.headers.len(), 1);
    assert_eq!(request.stage().route().id, RouteId(0));
    assert_eq!(request.stage().operation(), OperationIndex(0));
    check("GET /api/ 1.1\nhost: a", None);
    check("GET /api/thing? 1.1\nhost: a", None);
    check("GET /api 1.1\nhost: a", Some(Reason::UnknownRoute));
    check("GET /api/thing/ 1.1\nhost: a", Some(Reason::UnknownRoute));
    check("GET /apix/thing 1.1\nhost: a", Some(Reason::UnknownRoute));
    check("GET /other 1.1\nhost: a", Some(Reason::UnknownRoute));
    check("GET /API/thing 1.1\nhost: a", Some(Reason::UnknownRoute));
    check("GET /api/thing 3\nhost: a", Some(Reason::MalformedRequest));
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let allow = |text: &str, expected: &str| {
        let refusal = refusal(text);
        assert_eq!(refusal.reason, Reason::MethodNotAllowed, "{text}");
        assert_eq!(refusal.headers, [(ALLOW, HeaderValue::from_str(expected).unwrap())], "{text}");
    };
    allow("DELETE /api/thing 1.1\nhost: a", "GET, POST");
    for method in ["CONNECT", "TRACE", "TRACK", "FOO", "get"] {
        allow(&format!("{method} /api/thing 1.1\nhost: a"), "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS");
    }
    allow("CONNECT a:443 1.1\nhost: a:443", "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS");
}

#[test]
fn a_path_or_query_with_two_readings_is_refused() {
    for target in ["/api/../x", "/api/%2e%2e/x", "/api//thing", "/api/thing;x", "/api%2fthing", "*"] {
        check(&format!("GET {target} 1.1\nhost: a"), Some(Reason::AmbiguousPath));
    }
    check("GET /api/thing?a=% 1.1\nhost: a", Some(Reason::AmbiguousPath));
    check("GET /api/thing?a=%00 1.1\nhost: a", Some(Reason::AmbiguousPath));
}

#[test]
fn exactly_one_host_is_named() {
    let ambiguous = Some(Reason::AmbiguousHost);
    check("GET /api/thing 1.1", ambiguous);
    check("GET /api/thing 1.0", ambiguous);
    check("GET /api/thing 2", ambiguous);
    check("GET /api/thing 1.0\nhost: a", None);
    check("GET /api/thing 1.1\nhost:", ambiguous);
    check("GET /api/thing 1.1\nhost: a\nhost: a", ambiguous);
    check("GET /api/thing 1.1\nhost: a\nhost: b", ambiguous);
    check("GET /api/thing 1.1\nhost: u@a", ambiguous);
    check("GET /api/thing 1.1\nhost: a, b", ambiguous);
    check("GET http://b/api/thing 1.1\nhost: a", ambiguous);
    check("GET http://a:80/api/thing 1.1\nhost: a", ambiguous);
    check("GET http://u@a/api/thing 1.1\nhost: a", ambiguous);
    check("GET ftp://a/api/thing 1.1\nhost: a", ambiguous);
    check("GET http://a/api/thing 1.1", ambiguous);
    check("GET https://a/api/thing 2", None);
    check("GET https://a/api/thing 2\nhost: A", None);
    check("GET https://a/api/thing 2\nhost: b", ambiguous);
}

#[test]
fn headers_of_the_hop_and_of_the_gate_end_here() {
    let kept = headers(
        "GET /api/thing 1.1\nhost: a\nconnection: close, TE, Keep-Alive\nkeep-alive: 1\nte: gzip\ntrailer: x\n\
         proxy-connection: x\nproxy-authorization: x\nupgrade: h2c\nhttp2-settings: x\nexpect: 100-Continue\n\
         content-length: 0\nx-portcullis-principal: root\nx-forwarded-for: 1.1.1.1\nx-forwarded-proto: https\n\
         forwarded: for=1.1.1.1\nx-real-ip: 1.1.1.1\naccept: a\naccept: b\ncookie: c=d\nauthorization: x",
    );
    let mut names: Vec<&str> = kept.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "authorization", "cookie"]);
    assert_eq!(kept.get_all("accept").iter().count(), 2);
    let kept = headers("GET https://a/api/thing 2\nte: trailers");
    assert_eq!(kept.get("te").unwrap(), "trailers");
}

#[test]
fn a_header_with_two_meanings_is_refused() {
    let ambiguous = Some(Reason::AmbiguousHeader);
    for line in [
        "connection: close, x-a",
        "connection: authorization",
        "content-type: a\ncontent-type: a",
        "content-encoding: a\ncontent-encoding: a",
        "content-length: 0\ncontent-length: 0",
        "expect: 100-continue\nexpect: 100-continue",
        "upgrade: websocket\nupgrade: websocket",
        "x-http-method-override: DELETE",
        "x-method-override: DELETE",
        "x-http-method: DELETE",
        "x-original-url: /admin",
        "x-rewrite-url: /admin",
        "x_forwarded_for: 1.1.1.1",
        "x_portcullis_principal: root",
        "content_length: 5",
    ] {
        check(&format!("GET /api/thing 1.1\nhost: a\n{line}"), ambiguous);
    }
    check("GET /api/thing 1.1\nhost: a\nmy_own: x", None);
    check("GET /api/thing 1.1\nhost: a\nconnection: close\nconnection: upgrade, te", None);
    check("GET /api/thing 1.1\nhost: a\nexpect: more", Some(Reason::ExpectationFailed));
    check("GET https://a/api/thing 2\nconnection: close", Some(Reason::MalformedRequest));
    check("GET https://a/api/thing 2\nupgrade: websocket", Some(Reason::MalformedRequest));
}

#[test]
fn only_a_whole_handshake_on_a_route_that_allows_it_upgrades() {
    const HANDSHAKE: &str = "host: a\nconnection: keep-alive, Upgrade\nupgrade: WebSocket\n\
                             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13";
    let request = judge(&format!("GET /ws/chat 1.1\n{HANDSHAKE}")).unwrap();
    assert!(request.head().is_upgrade);
    assert!(request.head().headers.contains_key("sec-websocket-key"));
    assert!(!judge("GET /ws/chat 1.1\nhost: a").unwrap().head().is_upgrade);
    let refused = Some(Reason::UpgradeRefused);
    check(&format!("GET /api/thing 1.1\n{HANDSHAKE}"), refused);
    check(&format!("GET /ws/chat 1.0\n{HANDSHAKE}"), refused);
    for (from, to) in [
        ("Upgrade\n", "close\n"),
        ("WebSocket", "websocket, h2c"),
        ("WebSocket", "TLS/1.0"),
        ("version: 13", "version: 8"),
        ("Q==", "Q="),
        ("ZQ==", "ZR=="),
        ("dGhl", "d!hl"),
        ("sec-websocket-key", "x"),
        ("13", "13\ncontent-length: 0"),
    ] {
        check(&format!("GET /ws/chat 1.1\n{}", HANDSHAKE.replace(from, to)), refused);
    }
    let with_body =
        receive(&routes(), &ReceiveRules::default(), wire(&format!("GET /ws/chat 1.1\n{HANDSHAKE}"), true));
    assert_eq!(with_body.unwrap_err().reason(), Some(Reason::UnexpectedBody));
}

#[test]
fn a_body_comes_only_where_the_contract_has_one() {
    let check = |text: &str, expected: Option<Reason>| {
        let result = receive(&routes(), &ReceiveRules::default(), wire(text, true));
        assert_eq!(result.err().and_then(|halt| halt.reason()), expected, "{text}");
    };
    check("POST /api/thing 1.1\nhost: a", None);
    check("GET /api/thing 1.1\nhost: a", Some(Reason::UnexpectedBody));
}

#[test]
fn limits_hold_for_every_version() {
    let rules = ReceiveRules {
        limits: HeadLimits { target: 20, headers: 3, header_bytes: 60 },
        ..ReceiveRules::default()
    };
    let check = |text: &str, expected: Option<Reason>| {
        let result = receive(&routes(), &rules, wire(text, false));
        assert_eq!(result.err().and_then(|halt| halt.reason()), expected, "{text}");
    };
    check("GET https://a/api/thing 2", None);
    check("GET https://a/api/thing?0123456789 2", Some(Reason::TargetTooLong));
    check("GET https://a/api/thing 2\na: b\na: b\na: b", None);
    check("GET https://a/api/thing 2\na: b\na: b\na: b\na: b", Some(Reason::HeadersTooLarge));
    let mut long = "GET https://a/api/thing 2\na: ".to_owned();
    write!(long, "{}", "b".repeat(56)).unwrap();
    check(&long, Some(Reason::HeadersTooLarge));
}

#[test]
fn a_trusted_proxy_names_the_client() {
    let rules =
        ReceiveRules { trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()], ..ReceiveRules::default() };
    let text = "GET /api/thing 1.1\nhost: a\nx-forwarded-for: 1.1.1.1, 198.51.100.7";
    let request = receive(&routes(), &rules, wire(text, false)).unwrap();
    assert_eq!(request.head().peer.address, std::net::IpAddr::from([198, 51, 100, 7]));
    assert!(request.head().headers.is_empty());
    let request = judge(text).unwrap();
    assert_eq!(request.head().peer.address, std::net::IpAddr::from([192, 0, 2, 1]));
}

#[test]
fn a_semicolon_stands_only_where_the_contract_writes_one() {
    let hole = |style: &str| serde_json::json!([{ "name": "c", "in": "path", "required": true, "style": style, "schema": {} }]);
    let get = serde_json::json!({ "responses": {} });
    let document = serde_json::json!({ "openapi": "3.1.0", "paths": {
        "/a/{c}": { "parameters": hole("matrix"), "get": get },
        "/b/{c}": { "parameters": hole("simple"), "get": get },
        "/a": { "get": get },
    } });
    let matrix = Contract::compile(document, &ContractOptions::default()).unwrap();
    let routes = routes_with(matrix);
    let check = |target: &str, expected: Option<&str>| {
        let wire = wire(&format!("GET {target} 1.1\nhost: a.example"), false);
        let found = receive(&routes, &ReceiveRules::default(), wire);
        let sent = found.as_ref().ok().map(|request| request.head().path.to_wire());
        assert_eq!(sent.as_deref(), expected, "{target} {found:?}");
        let reason = found.err().and_then(|halt| halt.reason());
        assert!(sent.is_some() || reason == Some(Reason::AmbiguousPath), "{target} {reason:?}");
    };
    check("/api/a/;c=1;c=2", Some("/api/a/;c=1;c=2"));
    check("/api/a/%3Bc=1", Some("/api/a/%3Bc=1"));
    check("/api/a/;c=%20", Some("/api/a/;c=%20"));
    check("/api/a/;c=%3B", None);
    check("/api/a/x;c=1", None);
    check("/api/b/;c=1", None);
    check("/api/b/x;c=1", None);
    check("/api/a;c=1", None);
    check("/api;x/a", None);
    check("/api/a/..;/b", None);
    check("/other;x", None);
    // Where no contract has such a parameter, nothing changes.
    let plain = judge("GET /api/thing;c=1 1.1\nhost: a.example");
    assert_eq!(plain.err().and_then(|halt| halt.reason()), Some(Reason::AmbiguousPath));
}
