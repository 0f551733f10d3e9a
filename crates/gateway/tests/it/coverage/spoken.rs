//! Texts on the surfaces of models and of tool servers, each in its dialect.

use serde_json::{Value, json};

use super::{Exchange, answer, at, post};

/// A picture, as little of it as says that it is one.
const PICTURE: &str = "iVBORw0KGgo=";

/// Where it stands: which way, on which surface, in a stream or not.
type Place<'p> = (&'p str, &'p str, bool);

/// What puts `text` on a surface of a model.
pub(super) fn model(table: &Value, row: &Value, place: Place<'_>, text: &str) -> Option<Exchange> {
    let endpoint = table["endpoint"].as_str().unwrap();
    let (way, surface, is_stream) = place;
    let is_told = way == "request" && surface != "header fields";
    let asked = match endpoint {
        "createChatCompletion" => chat(surface, is_told.then_some(text), is_stream),
        "createResponse" => response(surface, is_told.then_some(text), is_stream),
        "createEmbedding" => embedding(surface, is_told.then_some(text)),
        "createMessage" => message(surface, is_told.then_some(text), Some(is_stream)),
        "countMessageTokens" => message(surface, is_told.then_some(text), None),
        "listModels" => Some(Value::Null),
        other => panic!("no question for {other}"),
    }?;
    let said = (way == "answer" && surface != "header fields").then_some(text);
    let kind = if is_stream { "text/event-stream" } else { "application/json" };
    let body = match (endpoint, is_stream) {
        ("createChatCompletion", true) => chat_events(row, surface, said),
        ("createResponse", true) => response_events(surface, said),
        ("createMessage", true) => message_events(surface, said),
        _ => whole(row, said).to_string(),
    };
    let fields = if way == "answer" && surface == "header fields" {
        format!("x-note: {text}\r\n")
    } else {
        String::new()
    };
    let base = if table["route"] == "claude" { "/claude" } else { "/v1" };
    let path = match endpoint {
        "createChatCompletion" => "/chat/completions",
        "createResponse" => "/responses",
        "createEmbedding" => "/embeddings",
        "createMessage" => "/messages",
        "countMessageTokens" => "/messages/count_tokens",
        _ => "/models",
    };
    let request = match asked {
        Value::Null => format!("GET {base}{path} HTTP/1.1\nHost: h\n\n"),
        asked => post(&[base, path].concat(), "application/json", &asked.to_string()),
    };
    let mut more =
        if base == "/claude" { "anthropic-version: 2023-06-01\n".to_owned() } else { String::new() };
    if way == "request" && surface == "header fields" {
        more.push_str(&format!("X-Note: {text}\n"));
    }
    let request = request.replacen('\n', &format!("\n{more}"), 1);
    Some(Exchange { request, answer: answer(kind, &fields, &body) })
}

#[expect(clippy::needless_pass_by_value, reason = "a value is written where it is made")]
fn put(document: &mut Value, members: Value) {
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
}

/// A question of chat completions.
fn chat(surface: &str, text: Option<&str>, is_stream: bool) -> Option<Value> {
    let mut asked =
        json!({ "model": "m", "stream": is_stream, "messages": [{ "role": "user", "content": "hi" }] });
    let Some(text) = text else { return Some(asked) };
    let members = match surface {
        "enumerated values" => return None,
        "messages and tool results" => json!({ "messages": [{ "role": "user", "content": text }] }),
        "tool arguments" => {
            let function = json!({ "name": "f", "arguments": json!({ "a": text }).to_string() });
            let call = json!({ "id": "1", "type": "function", "function": function });
            json!({ "messages": [{ "role": "assistant", "tool_calls": [call] },
                { "role": "tool", "tool_call_id": "1", "content": "x" }] })
        }
        "tool definitions" => {
            json!({ "tools": [{ "type": "function", "function": { "name": "f", "description": text } }] })
        }
        "documents and descriptions" => {
            let schema = json!({ "name": "s", "description": text, "schema": {} });
            json!({ "response_format": { "type": "json_schema", "json_schema": schema } })
        }
        "other text of the user" => json!({ "metadata": { "note": text } }),
        "names and settings" => json!({ "user": text }),
        "images, sounds, files" => {
            let url = json!({ "url": format!("data:image/png;base64,{PICTURE}") });
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": url }] }] })
        }
        other => panic!("no question for {other}"),
    };
    put(&mut asked, members);
    Some(asked)
}

/// A question of responses.
fn response(surface: &str, text: Option<&str>, is_stream: bool) -> Option<Value> {
    let said = |content: Value| json!([{ "type": "message", "role": "user", "content": content }]);
    let mut asked = json!({ "model": "m", "stream": is_stream, "store": false, "input": said(json!("hi")) });
    let Some(text) = text else { return Some(asked) };
    let members = match surface {
        "enumerated values" | "what the provider encrypted" => return None,
        "messages and tool results" => json!({ "input": said(json!(text)) }),
        "tool arguments" => {
            let arguments = json!({ "a": text }).to_string();
            json!({ "input": [{ "type": "function_call", "call_id": "1", "name": "f", "arguments": arguments },
                { "type": "function_call_output", "call_id": "1", "output": "x" }] })
        }
        "tool definitions" => {
            let tool = json!({ "type": "function", "name": "f", "description": text, "parameters": {}, "strict": false });
            json!({ "tools": [tool] })
        }
        "documents and descriptions" => {
            let format = json!({ "type": "json_schema", "name": "s", "description": text, "schema": {} });
            json!({ "text": { "format": format } })
        }
        "other text of the user" => json!({ "metadata": { "note": text } }),
        "names and settings" => json!({ "user": text }),
        "images, sounds, files" => {
            let url = format!("data:image/png;base64,{PICTURE}");
            json!({ "input": said(json!([{ "type": "input_image", "detail": "auto", "image_url": url }])) })
        }
        other => panic!("no question for {other}"),
    };
    put(&mut asked, members);
    Some(asked)
}

fn embedding(surface: &str, text: Option<&str>) -> Option<Value> {
    let mut asked = json!({ "model": "m", "input": "hi" });
    let Some(text) = text else { return Some(asked) };
    put(
        &mut asked,
        match surface {
            "enumerated values" => return None,
            "documents and descriptions" => json!({ "input": text }),
            "names and settings" => json!({ "user": text }),
            other => panic!("no question for {other}"),
        },
    );
    Some(asked)
}

/// A question of Anthropic's messages; `is_stream` is `None` where they are only counted.
fn message(surface: &str, text: Option<&str>, is_stream: Option<bool>) -> Option<Value> {
    let mut asked = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    if let Some(is_stream) = is_stream {
        put(&mut asked, json!({ "max_tokens": 9, "stream": is_stream }));
    }
    let Some(text) = text else { return Some(asked) };
    put(
        &mut asked,
        match surface {
            "enumerated values" | "what the provider encrypted" => return None,
            "messages and tool results" => json!({ "messages": [{ "role": "user", "content": text }] }),
            "tool definitions" => {
                json!({ "tools": [{ "name": "f", "description": text, "input_schema": { "type": "object" } }] })
            }
            "documents and descriptions" => {
                json!({ "output_config": { "format": { "type": "json_schema", "schema": { "description": text } } } })
            }
            "names and settings" => json!({ "tool_choice": { "type": "tool", "name": text },
            "tools": [{ "name": "f", "input_schema": { "type": "object" } }] }),
            "images, sounds, files" => {
                let source = json!({ "type": "base64", "media_type": "image/png", "data": PICTURE });
                json!({ "messages": [{ "role": "user", "content": [{ "type": "image", "source": source }] }] })
            }
            other => panic!("no question for {other}"),
        },
    );
    Some(asked)
}

/// A whole answer with a text where the row says.
fn whole(row: &Value, text: Option<&str>) -> Value {
    let Some(text) = text else { return json!({ "id": "1" }) };
    let pointer = row["fields"][0].as_str().unwrap();
    match pointer.ends_with("/arguments") {
        true => at(pointer, &json!({ "a": text }).to_string()),
        false => at(pointer, text),
    }
}

fn events(events: &[Value]) -> String {
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    events.iter().map(event).collect()
}

fn chat_events(row: &Value, surface: &str, text: Option<&str>) -> String {
    let mut chunk = json!({ "choices": [{ "index": 0, "delta": {} }] });
    if let Some(text) = text {
        let text =
            if surface == "tool arguments" { json!({ "a": text }).to_string() } else { text.to_owned() };
        chunk = at(&row["fields"][0].as_str().unwrap().replace("/message/", "/delta/"), &text);
        chunk["choices"][0]["index"] = json!(0);
    }
    format!("data: {chunk}\n\ndata: [DONE]\n\n")
}

fn response_events(surface: &str, text: Option<&str>) -> String {
    let part = |kind: &str, delta: &str| json!({ "type": kind, "item_id": "i", "output_index": 0, "content_index": 0, "delta": delta, "logprobs": [] });
    let text_of = text.unwrap_or_default();
    let said = match (text, surface) {
        (None, _) => part("response.output_text.delta", "hi"),
        (_, "content") => part("response.output_text.delta", text_of),
        (_, "refusal") => part("response.refusal.delta", text_of),
        (_, "reasoning") => json!({ "type": "response.reasoning_summary_text.delta", "item_id": "i",
            "output_index": 0, "summary_index": 0, "delta": text_of }),
        (_, "tool arguments") => {
            part("response.function_call_arguments.delta", &json!({ "a": text_of }).to_string())
        }
        (_, "log probabilities") => {
            let mut said = part("response.output_text.delta", "hi");
            said["logprobs"] = json!([{ "token": text_of, "logprob": -1, "top_logprobs": [] }]);
            said
        }
        (_, "everything else") => json!({ "type": "response.output_text.annotation.added", "item_id": "i",
            "output_index": 0, "content_index": 0, "annotation_index": 0, "annotation": { "title": text_of } }),
        (_, other) => panic!("no event for {other}"),
    };
    let response =
        json!({ "id": "r", "object": "response", "status": "in_progress", "model": "m", "output": [] });
    let mut all = [
        json!({ "type": "response.created", "response": response }),
        said,
        json!({ "type": "response.completed",
            "response": { "id": "r", "object": "response", "status": "completed", "model": "m", "output": [] } }),
    ];
    for (number, event) in (0..).zip(&mut all) {
        event["sequence_number"] = json!(number);
    }
    events(&all)
}

fn message_events(surface: &str, text: Option<&str>) -> String {
    let text_of = text.unwrap_or("hi");
    let (block, delta) = match (text, surface) {
        (None, _) | (_, "content") => {
            (json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": text_of }))
        }
        (_, "reasoning") => (
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            json!({ "type": "thinking_delta", "thinking": text_of }),
        ),
        (_, "tool arguments") => (
            json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": json!({ "note": text_of }).to_string() }),
        ),
        (_, "everything else") => {
            let citation = json!({ "type": "char_location", "cited_text": "x", "document_index": 0,
                "document_title": text_of, "start_char_index": 0, "end_char_index": 1 });
            (
                json!({ "type": "text", "text": "" }),
                json!({ "type": "citations_delta", "citation": citation }),
            )
        }
        (_, other) => panic!("no event for {other}"),
    };
    let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
    events(&[
        json!({ "type": "message_start", "message": { "id": "m", "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "output_tokens": 1 } }),
        json!({ "type": "message_stop" }),
    ])
}

/// What puts `text` on a surface of a tool server.
pub(super) fn tools(row: &Value, (way, surface, is_stream): Place<'_>, text: &str) -> Option<Exchange> {
    let plain = json!({ "content": [{ "type": "text", "text": "hi" }] });
    let (mut method, mut params) = ("tools/call", json!({ "name": "search", "arguments": { "q": "hi" } }));
    let (mut result, mut head, mut fields) = (plain, String::new(), String::new());
    match (way, surface) {
        (_, "enumerated values") => return None,
        ("request", "header fields") => head = format!("X-Note: {text}\n"),
        ("answer", "header fields") => fields = format!("x-note: {text}\r\n"),
        ("request", "names and settings") => (method, params) = ("tools/list", json!({ "cursor": text })),
        ("request", "arguments, answers of clients") => params["arguments"]["q"] = json!(text),
        ("answer", "images, sounds, files") => {
            result = json!({ "content": [{ "type": "image", "mimeType": "image/png", "data": PICTURE }] });
        }
        ("answer", "results, descriptions, prompts, resources") => result["content"][0]["text"] = json!(text),
        ("answer", _) => {
            let fields = row["fields"].as_array().unwrap().iter().filter_map(Value::as_str);
            let pointer = fields.filter(|path| path.starts_with("/result/")).min().unwrap();
            result = at(&pointer.replace('*', "0"), text)["result"].take();
        }
        other => panic!("no probe for {other:?}"),
    }
    let asked = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let said = json!({ "jsonrpc": "2.0", "id": 7, "result": result });
    let request = post("/mcp", "application/json", &asked.to_string());
    let head = format!("\nAccept: application/json, text/event-stream\n{head}");
    let request = request.replacen('\n', &head, 1);
    let answer = match is_stream {
        true => answer("text/event-stream", &fields, &format!("data: {said}\n\n")),
        false => answer("application/json", &fields, &said.to_string()),
    };
    Some(Exchange { request, answer })
}
