//! What the scenarios run against: one API of some operations, some policies, all detectors.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use portcullis_core::admit::{BUCKETS, Buckets};
use portcullis_core::authorize::{
    AuthorizeRules, Bound, Obligations, OperationRules, Owed, Owner, Place, Pointer,
};
use portcullis_core::contract::{Contract, ContractOptions};
use portcullis_core::identify::{IdentifyRules, Issuer, IssuerRules, Issuers, KeySet};
use portcullis_core::policy::{ActionKind, ActionSpec, Policy, Source};
use portcullis_core::receive::ReceiveRules;
use portcullis_core::record::Action;
use portcullis_core::request::{Peer, Wire};
use portcullis_core::route::{Route, RouteId, Routes, Surface};
use portcullis_core::validate::ValidateRules;
use portcullis_inspect::detect::Groups;
use portcullis_inspect::dialect::ModelRules;
use portcullis_inspect::inspect::Screens;
use portcullis_inspect::machine::Screen;
use serde_json::json;

const CONTRACT: &str = include_str!("../shop.openapi.json");
const ORDER: &str = include_str!("../order.json");
const KEYS: &str = include_str!("../keys.json");
const TOKEN: &str = include_str!("../token.txt");

/// Everything that is compiled once.
pub(crate) struct Gate {
    pub(crate) routes: Routes,
    pub(crate) rules: ReceiveRules,
    pub(crate) issuers: Issuers,
    pub(crate) buckets: Buckets,
    pub(crate) policy: Policy,
    pub(crate) screens: Screens,
    pub(crate) model: ModelRules,
    /// 1 KiB of JSON.
    pub(crate) body: Bytes,
}

impl Gate {
    /// With so many policies, the one that allows among them.
    pub(crate) fn new(policies: usize) -> Result<Self> {
        let issuer = Issuer::new(IssuerRules::new("corp", "https://issuer.test", "shop"));
        issuer.replace_keys(KeySet::from_jwks(KEYS.as_bytes())?.0);
        let options = ContractOptions { build_all: true, ..ContractOptions::default() };
        let contract = Contract::compile(serde_json::from_str(CONTRACT)?, &options)
            .map_err(|problems| anyhow!("{problems:?}"))?;
        let policy = policy(&contract, policies)?;
        let names = contract.operations().iter().map(|operation| policy.action("shop", &operation.id));
        let authorize = AuthorizeRules { actions: names.collect(), ..AuthorizeRules::default() };
        let route = Route {
            id: RouteId(0),
            name: "shop".into(),
            surface: Surface::Rest,
            base_path: "/shop".into(),
            contract,
            graph: None,
            grpc: None,
            mcp: None,
            identify: IdentifyRules { issuers: vec!["corp".into()], ..IdentifyRules::default() },
            budgets: Vec::new(),
            authorize,
            validate: ValidateRules::default(),
            body_limit: 64 * 1024,
            body_limits: Vec::new(),
            allows_websocket: false,
        };
        let all = all_detectors();
        Ok(Self {
            routes: Routes::new(vec![Arc::new(route)]),
            rules: ReceiveRules::default(),
            issuers: Issuers::new(vec![issuer])?,
            buckets: Buckets::new(BUCKETS),
            policy,
            screens: Screens { request: all.clone(), answer: all.clone(), ..Screens::default() },
            model: ModelRules { answer: all, ..ModelRules::default() },
            body: ORDER.trim_ascii().into(),
        })
    }

    /// A `GET` with the headers that clients send.
    pub(crate) fn read(&self) -> Result<Wire> {
        wire(request("GET", "/shop/customers/c-1007/orders/48213?fields=lines&limit=20").body(())?)
    }

    /// A `POST` of [`body`](Self::body).
    pub(crate) fn write(&self) -> Result<Wire> {
        let request = request("POST", "/shop/orders").header(CONTENT_TYPE, "application/json").body(())?;
        wire(request).map(|wire| Wire { has_body: true, ..wire })
    }
}

fn request(method: &str, target: &str) -> http::request::Builder {
    http::Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "gate.test")
        .header(USER_AGENT, "bench/1.0")
        .header(ACCEPT, "application/json")
        .header("accept-encoding", "gzip, br")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header(AUTHORIZATION, ["Bearer ", TOKEN.trim_ascii()].concat())
}

fn wire(request: http::Request<()>) -> Result<Wire> {
    let peer = Peer { address: [192, 0, 2, 1].into(), is_tls: true };
    Ok(Wire { parts: request.into_parts().0, peer, has_body: false })
}

/// Each operation is an action; of the policies one allows customers, the others are about other callers, actions
/// and times.
fn policy(contract: &Contract, policies: usize) -> Result<Policy> {
    let actions: Vec<ActionSpec> = contract
        .operations()
        .iter()
        .map(|operation| ActionSpec {
            api: "shop".into(),
            operation: (&*operation.id).into(),
            reads: operation.id.starts_with("get"),
            kind: ActionKind::Rest { path: Vec::new(), query: Vec::new() },
        })
        .collect();
    let mut text = String::from(
        "@id(\"customers\") permit(principal in Role::\"customer\", action in Action::\"shop\", resource);\n",
    );
    for nth in 1..policies {
        let operation = &actions.get(nth % actions.len().max(1)).context("an operation")?.operation;
        match nth % 5 {
            0 => writeln!(
                text,
                "@id(\"p{nth}\") forbid(principal, action, resource) when {{ context.time < {nth} }};"
            )?,
            1 | 2 => writeln!(
                text,
                "@id(\"p{nth}\") permit(principal in Role::\"role-{nth}\", action == Action::\"shop.{operation}\", \
                 resource);"
            )?,
            3 => writeln!(
                text,
                "@id(\"p{nth}\") permit(principal == User::\"corp|u-{nth}\", action in Action::\"shop\", resource);"
            )?,
            _ => writeln!(
                text,
                "@id(\"p{nth}\") forbid(principal in Role::\"banned-{nth}\", action, resource) unless {{ context.tls }};"
            )?,
        }
    }
    let source = Source { name: "bench.cedar".into(), text };
    let (policy, _) = Policy::load(&[source], &actions).map_err(|problems| anyhow!("{problems:?}"))?;
    Ok(policy)
}

/// The rule that an order is its customer's, as the answer says; what a caller owes by it; and an answer of 2 KiB that
/// says it at its end.
pub(crate) fn owned() -> Result<(OperationRules, Obligations, Vec<u8>)> {
    let bound = Bound {
        parameter: "orderId".into(),
        places: vec![Place::Path("orderId".into())],
        is_declared: true,
        owner: Owner::Answer { owner: Pointer::parse("/customer/id")?, probe: None },
        equals: "sub".into(),
        unless: Vec::new(),
    };
    let rules = OperationRules { bound: vec![bound], ..OperationRules::default() };
    let owed = Owed { bound: 0, identifier: "48213".into(), owner: "u1".into() };
    let obligations = Obligations { owed: vec![owed], ..Obligations::default() };
    let lines: Vec<_> = (1200..1227)
        .map(|sku| json!({ "sku": format!("AB-{sku}"), "quantity": 2, "price": 9.5, "note": "blue, if there is one" }))
        .collect();
    let answer = json!({ "id": 48213, "a_lines": lines, "customer": { "id": "u1", "name": "A. Customer" } });
    Ok((rules, obligations, serde_json::to_vec(&answer)?))
}

fn all_detectors() -> Screen {
    let block = Some(Action::Block);
    Screen::from_groups(&Groups {
        pii: block,
        secrets: block,
        injection: block,
        roles: block,
        active_content: block,
        links: block,
        code: block,
    })
}

/// The rules of a model as they are by default.
pub(crate) fn default_model() -> ModelRules {
    let prompt = Screen::from_groups(&Groups {
        injection: Some(Action::Block),
        roles: Some(Action::Redact),
        ..Groups::default()
    });
    ModelRules { prompt, orders: Some(Action::Observe), ..ModelRules::default() }
}

/// The bench's model, which was told a text that it may not repeat and a canary.
pub(crate) fn told(model: &ModelRules) -> ModelRules {
    let system = "You are the assistant of a small shop. Answer questions about products and orders, briefly. \
        An order leaves our warehouse within three days. Never promise a refund, and never name a supplier. \
        If somebody asks for the receipt, say where it is in their account and nothing else.";
    let model = ModelRules { system: Some(system.into()), ..model.clone() };
    model.telling(None, Some("k7mq2xw9dtc4ebz5"), Some(Action::Redact))
}

/// A chat request whose only text is 2 KiB of what people write.
pub(crate) fn prompt() -> serde_json::Value {
    let text = "I ordered a kettle on Monday and wonder whether it can still be sent to another address, because we \
        move at the end of the month. My neighbour would take it in, but only in the morning. If that is too late, \
        please tell me what it costs to send it back, and whether the lid can be had by itself. ";
    let text: String = text.chars().cycle().take(2048).collect();
    json!({ "model": "demo-1", "messages": [{ "role": "user", "content": text }] })
}

/// A streamed answer of so many chunks of text, in which no detector finds anything.
pub(crate) fn answer(chunks: usize) -> Vec<u8> {
    let words = [
        "The",
        " order",
        " left",
        " our",
        " warehouse",
        " on",
        " Monday",
        ",",
        " and",
        " should",
        " arrive",
        " within",
        " 3",
        " days",
        ".",
        " Please",
        " keep",
        " the",
        " receipt",
        ";",
        " a",
        " refund",
        " needs",
        " it",
        ".\n",
    ];
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_750_000_000, "model": "demo-1",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        });
        format!("data: {chunk}\n\n")
    };
    let mut all = chunk(json!({ "role": "assistant", "content": "" }), None);
    for word in words.into_iter().cycle().take(chunks) {
        all.push_str(&chunk(json!({ "content": word }), None));
    }
    all.push_str(&chunk(json!({}), Some("stop")));
    all.push_str("data: [DONE]\n\n");
    all.into_bytes()
}
