//! The same model as OpenAI's responses: whole, and as a stream of typed events.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Answer, pieces, refused, send};

/// What every event says of the item.
const ITEM: &str = "msg_demo";
const CALL: &str = "fc_demo";

pub(super) async fn responses(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let answer = Answer::to(&asked(&body["input"]), body["instructions"].as_str().unwrap_or_default());
    let instructions = &body["instructions"];
    if body["stream"] == true {
        return send(events(&answer, instructions));
    }
    Json(whole(instructions, "completed", &[item(&answer, "completed")])).into_response()
}

/// What the user said last.
fn asked(input: &Value) -> String {
    let last = input.as_array().and_then(|items| items.iter().rev().find(|item| item["role"] == "user"));
    let content = last.map_or(input, |item| &item["content"]);
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn whole(instructions: &Value, status: &str, output: &[Value]) -> Value {
    let usage = json!({ "input_tokens": 21, "output_tokens": 17, "total_tokens": 38,
        "input_tokens_details": { "cached_tokens": 0 }, "output_tokens_details": { "reasoning_tokens": 0 } });
    json!({ "id": "resp_demo", "object": "response", "created_at": 1_700_000_000, "model": "demo-1",
        "status": status, "error": null, "incomplete_details": null, "instructions": instructions,
        "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "output": output, "usage": if status == "completed" { usage } else { Value::Null } })
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

/// What the model says, as far as it has come.
fn item(answer: &Answer, status: &str) -> Value {
    let is_begun = status == "completed";
    let text = if is_begun { answer.text.as_str() } else { "" };
    if answer.is_tool_call {
        return json!({ "type": "function_call", "id": CALL, "call_id": "call_1", "name": "find_customer",
            "arguments": text, "status": status });
    }
    let content = if is_begun { json!([part(text)]) } else { json!([]) };
    json!({ "type": "message", "id": ITEM, "role": "assistant", "status": status, "content": content })
}

/// The events in their order, each numbered; the text comes a few characters at a time.
fn events(answer: &Answer, instructions: &Value) -> Vec<String> {
    let started = json!({ "response": whole(instructions, "in_progress", &[]) });
    let mut events = vec![
        ("response.created", started.clone()),
        ("response.in_progress", started),
        ("response.output_item.added", json!({ "output_index": 0, "item": item(answer, "in_progress") })),
    ];
    if answer.is_tool_call {
        events.extend(pieces(&answer.text).map(|piece| {
            let data = json!({ "item_id": CALL, "output_index": 0, "delta": piece });
            ("response.function_call_arguments.delta", data)
        }));
        let data = json!({ "item_id": CALL, "output_index": 0, "arguments": answer.text });
        events.push(("response.function_call_arguments.done", data));
    } else {
        let at = |name: &str, value: Value| {
            let mut data = json!({ "item_id": ITEM, "output_index": 0, "content_index": 0, "logprobs": [] });
            data[name] = value;
            data
        };
        events.push(("response.content_part.added", at("part", part(""))));
        let deltas =
            pieces(&answer.text).map(|piece| ("response.output_text.delta", at("delta", piece.into())));
        events.extend(deltas.collect::<Vec<_>>());
        events.push(("response.output_text.done", at("text", answer.text.clone().into())));
        events.push(("response.content_part.done", at("part", part(&answer.text))));
    }
    let done = item(answer, "completed");
    events.push(("response.output_item.done", json!({ "output_index": 0, "item": done })));
    events.push(("response.completed", json!({ "response": whole(instructions, "completed", &[done]) })));
    let numbered = events.into_iter().enumerate().map(|(number, (kind, mut data))| {
        data["type"] = kind.into();
        data["sequence_number"] = number.into();
        format!("event: {kind}\ndata: {data}\n\n")
    });
    numbered.collect()
}
