//! The same model as Anthropic's messages: whole, and as a stream of typed events.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Answer, pieces, send};

pub(super) fn router() -> Router {
    Router::new()
        .route("/messages", post(messages))
        .route("/messages/count_tokens", post(count))
        .route("/models", get(models))
        .route("/models/{id}", get(model))
}

/// The answer to who does not have the key, or does not say which version it speaks.
fn refused(headers: &HeaderMap) -> Option<Response> {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|sent| sent == value);
    let refuse = |status: StatusCode, kind: &str| {
        let error = json!({ "type": "error", "error": { "type": kind, "message": "no" } });
        Some((status, Json(error)).into_response())
    };
    if !is("x-api-key", "sk-demo-upstream-credential") || headers.contains_key("authorization") {
        return refuse(StatusCode::UNAUTHORIZED, "authentication_error");
    }
    if !["2023-06-01", "2026-10-21"].iter().any(|version| is("anthropic-version", version)) {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request_error");
    }
    None
}

async fn models(headers: HeaderMap) -> Response {
    let list = json!({ "data": [described()], "has_more": false, "first_id": "demo-1", "last_id": "demo-1" });
    refused(&headers).unwrap_or_else(|| Json(list).into_response())
}

async fn model(headers: HeaderMap) -> Response {
    refused(&headers).unwrap_or_else(|| Json(described()).into_response())
}

fn described() -> Value {
    json!({ "type": "model", "id": "demo-1", "display_name": "Demo", "created_at": "2026-01-01T00:00:00Z" })
}

async fn count(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let count = json!({ "input_tokens": body["messages"].to_string().len() / 4 });
    refused(&headers).unwrap_or_else(|| Json(count).into_response())
}

async fn messages(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let asked = messages.iter().rev().find(|message| message["role"] == "user");
    let answer =
        Answer::to(&said(asked.map_or(&Value::Null, |message| &message["content"])), &said(&body["system"]));
    let is_thinking = body["thinking"]["type"] == "enabled";
    if body["stream"] == true {
        return send(events(&answer, is_thinking));
    }
    let mut message = begun();
    message["content"] = Value::Array(blocks(&answer, is_thinking));
    message["stop_reason"] = stop_reason(&answer).into();
    message["usage"]["output_tokens"] = 17.into();
    Json(message).into_response()
}

/// A text, or the texts of blocks: those of documents and results too, since it obeys whoever wrote them.
fn said(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .map(|block| match block["text"].as_str().or(block["source"]["data"].as_str()) {
                Some(text) => text.to_owned(),
                None => said(&block["content"]),
            })
            .collect(),
        _ => String::new(),
    }
}

fn begun() -> Value {
    json!({ "id": "msg_demo", "type": "message", "role": "assistant", "model": "demo-1", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 21, "output_tokens": 1 } })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.is_tool_call { "tool_use" } else { "end_turn" }
}

/// What it thinks is what it then says.
fn blocks(answer: &Answer, is_thinking: bool) -> Vec<Value> {
    let mut blocks = Vec::new();
    if is_thinking {
        blocks.push(json!({ "type": "thinking", "thinking": answer.text, "signature": "c2lnbmVk" }));
    }
    blocks.push(match answer.is_tool_call {
        true => {
            let input: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            json!({ "type": "tool_use", "id": "toolu_demo", "name": "find_customer", "input": input })
        }
        false => json!({ "type": "text", "text": answer.text, "citations": null }),
    });
    blocks
}

/// The events in their order; texts come a few characters at a time.
fn events(answer: &Answer, is_thinking: bool) -> Vec<String> {
    let mut events = vec![json!({ "type": "message_start", "message": begun() }), json!({ "type": "ping" })];
    for (index, mut block) in blocks(answer, is_thinking).into_iter().enumerate() {
        let (kind, member) = match block["type"].as_str() {
            Some("thinking") => ("thinking_delta", "thinking"),
            Some("tool_use") => ("input_json_delta", "partial_json"),
            _ => ("text_delta", "text"),
        };
        match kind {
            "input_json_delta" => block["input"] = json!({}),
            _ => block[member] = "".into(),
        }
        let signature = block["signature"].as_str().map(str::to_owned);
        if signature.is_some() {
            block["signature"] = "".into();
        }
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
        let delta = |delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.extend(pieces(&answer.text).map(|piece| delta(json!({ "type": kind, member: piece }))));
        events.extend(signature.map(|one| delta(json!({ "type": "signature_delta", "signature": one }))));
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    let end = json!({ "stop_reason": stop_reason(answer), "stop_sequence": null });
    events.push(json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": 17 } }));
    events.push(json!({ "type": "message_stop" }));
    let line =
        |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    events.into_iter().map(line).collect()
}
