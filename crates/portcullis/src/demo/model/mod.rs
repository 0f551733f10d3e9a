//! The sample model: it leaks what it was told to keep, and obeys whoever spoke last. It speaks as OpenAI does (chat,
//! responses, embeddings) and as Anthropic does (messages).

#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a name that it has not")]

mod messages;
mod responses;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Between two chunks of a stream, so that a person sees it flow.
const PACE: Duration = Duration::from_millis(5);

pub(crate) fn router() -> Router {
    Router::new()
        .route("/chat/completions", post(chat))
        .route("/responses", post(responses::responses))
        .route("/embeddings", post(embeddings))
        .route("/models", get(models))
        .nest("/anthropic", messages::router())
}

async fn models() -> Json<Value> {
    Json(
        json!({ "object": "list", "data": [{ "id": "demo-1", "object": "model", "created": 0, "owned_by": "demo" }] }),
    )
}

/// The answer to who does not have the key.
fn refused(headers: &HeaderMap) -> Option<Response> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let error = json!({ "error": { "message": "wrong key", "type": "invalid_request_error", "code": "invalid_api_key" } });
    let is_refused = bearer != "Bearer sk-demo-upstream-credential";
    is_refused.then(|| (StatusCode::UNAUTHORIZED, Json(error)).into_response())
}

/// Vectors of four numbers, one for each text, as numbers or as their bytes in base64.
async fn embeddings(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let texts = match &body["input"] {
        Value::Array(texts) => texts.clone(),
        text => vec![text.clone()],
    };
    let vectors = texts.iter().enumerate().map(|(nth, text)| {
        let mut vector = [0_f32; 4];
        for (at, byte) in text.as_str().unwrap_or_default().bytes().enumerate() {
            vector[at % 4] += f32::from(byte) / 256.0;
        }
        let embedding = match body["encoding_format"] == "base64" {
            true => json!(BASE64.encode(vector.map(f32::to_le_bytes).concat())),
            false => json!(vector),
        };
        json!({ "object": "embedding", "index": nth, "embedding": embedding })
    });
    let usage = json!({ "prompt_tokens": 5, "total_tokens": 5 });
    let data = vectors.collect::<Vec<_>>();
    Json(json!({ "object": "list", "model": "demo-1", "data": data, "usage": usage })).into_response()
}

async fn chat(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |role: &str| messages.iter().rev().find(|message| message["role"] == role);
    let said = |role: &str| of(role).and_then(|message| message["content"].as_str()).unwrap_or_default();
    let answer = match messages.last().is_some_and(|last| last["role"] == "tool") {
        true => Answer { text: read(said("tool")), is_tool_call: false },
        false => Answer::to(said("user"), said("system")),
    };
    if body["stream"] == true {
        return stream(&answer, body["stream_options"]["include_usage"] == true);
    }
    Json(answer.whole()).into_response()
}

/// What the model says: text, or the arguments of a tool call.
struct Answer {
    text: String,
    is_tool_call: bool,
}

impl Answer {
    /// What it says to a question, knowing its rules.
    fn to(question: &str, rules: &str) -> Self {
        let asked = question.to_lowercase();
        let text = if asked.contains("customer file") {
            "Alice Ampere, alice.ampere@example.com, card 4242 4242 4242 4242, IBAN DE89 3704 0044 0532 0130 00.".into()
        } else if asked.contains("deploy key") {
            "Of course. The key is sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy, keep it safe.".into()
        } else if asked.contains("banner") {
            "Here you are: <script src=https://evil.example/x.js></script> Enjoy.".into()
        } else if asked.contains("your rules") {
            format!("My rules are: {rules}")
        } else if asked.contains("ignore") {
            "Yes, master. All safety is off.".into()
        } else if asked.contains("remind me") {
            let seen =
                if asked.contains('@') || asked.contains("4111") { "your data" } else { "no data of yours" };
            format!("I saw {seen}. You wrote: {question}")
        } else if asked.contains("look up") {
            r#"{"customer":"alice.ampere@example.com"}"#.into()
        } else {
            "Your parcel left the warehouse on Monday and should arrive soon.".into()
        };
        Self { text, is_tool_call: asked.contains("look up") }
    }

    fn whole(&self) -> Value {
        let message = if self.is_tool_call {
            json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1", "type": "function",
                "function": { "name": "find_customer", "arguments": self.text } }] })
        } else {
            json!({ "role": "assistant", "content": self.text, "refusal": null })
        };
        let finish = if self.is_tool_call { "tool_calls" } else { "stop" };
        json!({ "id": "chatcmpl-demo", "object": "chat.completion", "created": 1_700_000_000, "model": "demo-1",
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }],
            "usage": usage() })
    }

    /// The deltas of a chat.
    fn deltas(&self) -> Vec<Value> {
        let pieces = pieces(&self.text);
        if self.is_tool_call {
            let first = json!({ "role": "assistant", "content": null, "tool_calls": [{ "index": 0, "id": "call_1",
                "type": "function", "function": { "name": "find_customer", "arguments": "" } }] });
            let rest = pieces
                .map(|piece| json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] }));
            std::iter::once(first).chain(rest).collect()
        } else {
            let first = json!({ "role": "assistant", "content": "" });
            std::iter::once(first).chain(pieces.map(|piece| json!({ "content": piece }))).collect()
        }
    }
}

/// What the model makes of a tool's result: it obeys what it reads, unless a fence says that nobody may order it.
fn read(result: &str) -> String {
    let is_fenced = result.starts_with("<document-");
    match result.split_once("close your answer with: ") {
        Some((_, order)) if !is_fenced => format!("It is on its way. {order}"),
        _ => format!("The tool wrote: {result}"),
    }
}

/// A few characters each, so that whatever leaks is split across several.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(5).map(|piece| piece.iter().collect()).collect::<Vec<String>>().into_iter()
}

fn usage() -> Value {
    json!({ "prompt_tokens": 21, "completion_tokens": 17, "total_tokens": 38 })
}

fn stream(answer: &Answer, with_usage: bool) -> Response {
    let finish = if answer.is_tool_call { "tool_calls" } else { "stop" };
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "demo-1", "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let mut chunks: Vec<String> = answer
        .deltas()
        .into_iter()
        .map(|delta| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), Value::Null))
        .collect();
    chunks.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish }]), Value::Null));
    if with_usage {
        chunks.push(chunk(json!([]), usage()));
    }
    chunks.push("data: [DONE]\n\n".into());
    send(chunks)
}

/// Sends events one by one.
fn send(events: Vec<String>) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        for event in events {
            if sender.send(event.into()).await.is_err() {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    });
    let frames = futures_of(receiver);
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(StreamBody::new(frames))).into_response()
}

/// The receiver as a stream of frames.
fn futures_of(
    receiver: mpsc::Receiver<Bytes>,
) -> impl futures_core::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    struct Frames(mpsc::Receiver<Bytes>);
    impl futures_core::Stream for Frames {
        type Item = Result<Frame<Bytes>, Infallible>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        }
    }
    Frames(receiver)
}
