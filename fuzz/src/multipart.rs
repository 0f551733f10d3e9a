//! Forms with parts: what passes has one reading. Written anew in the plainest way, it passes again and says the same.

use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, HOST};
use portcullis_core::admit::{Buckets, admit};
use portcullis_core::authorize::{AuthorizeRules, authorize};
use portcullis_core::contract::{Contract, ContractOptions};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::identify::{IdentifyRules, Issuers, identify};
use portcullis_core::policy::Policy;
use portcullis_core::receive::{ReceiveRules, receive};
use portcullis_core::request::{Peer, Wire};
use portcullis_core::route::{Route, RouteId, Routes, Surface};
use portcullis_core::validate::{ValidateRules, validate};
use serde_json::Value;

/// Fields of every kind that a part can be read as.
const CONTRACT: &str = r#"{
  "openapi": "3.1.0", "info": {"title": "forms", "version": "1"},
  "paths": {"/": {"post": {"responses": {"200": {"description": "ok"}}, "requestBody": {"content": {"multipart/form-data": {
    "schema": {"type": "object", "additionalProperties": {"type": "string"}, "properties": {
      "count": {"type": "integer"},
      "is": {"type": "boolean"},
      "file": {"type": "string", "format": "binary"},
      "tags": {"type": "array", "items": {"type": "string"}},
      "meta": {"type": "object", "properties": {"a": {"type": "integer"}}}
    }}
  }}}}}}
}"#;

struct World {
    routes: Routes,
    rules: ReceiveRules,
    issuers: Issuers,
    buckets: Buckets,
    policy: Policy,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let document = serde_json::from_str(CONTRACT).expect("the contract is JSON");
    let contract = Contract::compile(document, &ContractOptions::default()).expect("the contract is right");
    let route = Route {
        id: RouteId(0),
        name: "forms".into(),
        surface: Surface::Rest,
        base_path: "".into(),
        contract,
        graph: None,
        grpc: None,
        mcp: None,
        identify: IdentifyRules { allows_anonymous: true, ..IdentifyRules::default() },
        budgets: Vec::new(),
        authorize: AuthorizeRules { enforced: false, ..AuthorizeRules::default() },
        validate: ValidateRules::default(),
        body_limit: 1 << 20,
        body_limits: Vec::new(),
        allows_websocket: false,
    };
    World {
        routes: Routes::new(vec![Arc::new(route)]),
        rules: ReceiveRules::default(),
        issuers: Issuers::new(Vec::new()).expect("no issuer is there twice"),
        buckets: Buckets::new(1),
        policy: Policy::load(&[], &[]).expect("no policy is wrong").0,
    }
});

/// The first line is the value of `Content-Type`, the rest the body.
pub fn run(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (media, body) = (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default());
    let Ok(media) = HeaderValue::from_bytes(media) else { return };
    let first = match read(media, body.to_vec()) {
        Ok(Some(document)) => document,
        Ok(None) => return assert!(body.is_empty(), "a form that says nothing"),
        Err(halt) => {
            let is_known = matches!(
                halt.reason(),
                Some(Reason::BodyMalformed | Reason::BodyInvalid | Reason::MediaTypeUnsupported)
            );
            return assert!(is_known, "refused for another reason: {halt:?}");
        }
    };
    let again = read(HeaderValue::from_static("multipart/form-data; boundary=plain-7f3a"), written(&first));
    match again {
        Ok(again) => assert_eq!(again, Some(first), "it says something else"),
        // A part may hold the very boundary.
        Err(_) => assert!(first.to_string().contains("plain-7f3a"), "refused when written plainly: {first}"),
    }
}

fn read(media: HeaderValue, body: Vec<u8>) -> Result<Option<Value>, Halt> {
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert(HOST, HeaderValue::from_static("forms.test"));
    request.headers_mut().insert(CONTENT_TYPE, media);
    let peer = Peer { address: [192, 0, 2, 1].into(), is_tls: false };
    let wire = Wire { parts: request.into_parts().0, peer, has_body: true };
    let world = &*WORLD;
    let request = receive(&world.routes, &world.rules, wire)?;
    let request = identify(&world.issuers, request, 0)?;
    let request = admit(&world.buckets, request, 0)?.with_body(body.into());
    let request = authorize(&world.policy, request, UNIX_EPOCH)?;
    validate(request).map(|request| request.stage().document().cloned())
}

/// The same form with one plain part for each value.
fn written(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        // A list without items comes as one part of JSON only.
        let values = if values.is_empty() { std::slice::from_ref(value) } else { values };
        for value in values {
            out.extend_from_slice(b"--plain-7f3a\r\nContent-Disposition: form-data; name=\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\"\r\n");
            let content = match value {
                // One character stands for each octet.
                Value::String(text) if name == "file" => text.chars().map(|one| one as u8).collect(),
                Value::String(text) => text.clone().into_bytes(),
                Value::Object(_) | Value::Array(_) => {
                    out.extend_from_slice(b"Content-Type: application/json\r\n");
                    value.to_string().into_bytes()
                }
                other => other.to_string().into_bytes(),
            };
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&content);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"--plain-7f3a--\r\n");
    out
}
