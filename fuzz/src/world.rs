//! The gate that the targets stand before: two routes, one of which takes WebSockets.

use std::sync::Arc;

use portcullis_core::authorize::AuthorizeRules;
use portcullis_core::contract::{Contract, ContractOptions};
use portcullis_core::identify::IdentifyRules;
use portcullis_core::route::{Route, RouteId, Routes, Surface};
use portcullis_core::validate::ValidateRules;

const CONTRACT: &str = r#"{
  "openapi": "3.1.0",
  "info": {"title": "things", "version": "1"},
  "paths": {
    "/": {"get": {"responses": {"200": {"description": "ok"}}}},
    "/thing": {
      "get": {"responses": {"200": {"description": "ok"}}},
      "post": {
        "requestBody": {"content": {"application/json": {}}},
        "responses": {"200": {"description": "ok"}}
      }
    },
    "/thing/{id}": {
      "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
      "get": {"responses": {"200": {"description": "ok"}}}
    }
  }
}"#;

/// `/api` and `/ws`, each with the same contract; tokens of the issuer `corp` count at both.
pub fn routes() -> Routes {
    let route = |id, base_path: &str, allows_websocket| {
        let document = serde_json::from_str(CONTRACT).expect("the contract is JSON");
        let contract =
            Contract::compile(document, &ContractOptions::default()).expect("the contract is right");
        Arc::new(Route {
            id: RouteId(id),
            name: base_path.into(),
            grpc: None,
            mcp: None,
            surface: Surface::Rest,
            base_path: base_path.into(),
            contract,
            graph: None,
            identify: IdentifyRules { issuers: vec!["corp".into()], ..IdentifyRules::default() },
            budgets: Vec::new(),
            authorize: AuthorizeRules::default(),
            validate: ValidateRules::default(),
            body_limit: 1024,
            body_limits: Vec::new(),
            allows_websocket,
        })
    };
    Routes::new(vec![route(0, "/api", false), route(1, "/ws", true)])
}
