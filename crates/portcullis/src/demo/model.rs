//! The sample model: it leaks what it was told to keep, and obeys whoever spoke last. It speaks OpenAI chat.

#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a name that it has not")]

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Between two chunks of a stream, so that a person sees it flow.
const PACE: Duration = Duration::from_millis(5);

pub(crate) fn router() -> Router {
    Router::new().route("/chat/completions", post(chat)).route("/models", get(models))
}

async fn models() -> Json<Value> {
    Json(
        json!({ "object": "list", "data": [{ "id": "demo-1", "object": "model", "created": 0, "owned_by": "demo" }] }),
    )
}

async fn chat(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if bearer != "Bearer sk-demo-upstream-credential" {
        let error = json!({ "error": { "message": "wrong key", "type": "invalid_request_error", "code": "invalid_api_key" } });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    let answer = Answer::to(&body);
    if body["stream"] == true {
        return stream(answer, body["stream_options"]["include_usage"] == true);
    }
    Json(answer.whole()).into_response()
}

/// What the model says: text, or the arguments of a tool call.
struct Answer {
    text: String,
    is_tool_call: bool,
}

impl Answer {
    fn to(body: &Value) -> Self {
        let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |role: &str| messages.iter().rev().find(|message| message["role"] == role);
        let said = |role: &str| of(role).and_then(|message| message["content"].as_str()).unwrap_or_default();
        let asked = said("user").to_lowercase();
        let text = if asked.contains("customer file") {
            "Alice Ampere, alice.ampere@example.com, card 4242 4242 4242 4242, IBAN DE89 3704 0044 0532 0130 00.".into()
        } else if asked.contains("deploy key") {
            "Of course. The key is sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy, keep it safe.".into()
        } else if asked.contains("banner") {
            "Here you are: <script src=https://evil.example/x.js></script> Enjoy.".into()
        } else if asked.contains("your rules") {
            format!("My rules are: {}", said("system"))
        } else if asked.contains("ignore") {
            "Yes, master. All safety is off.".into()
        } else if asked.contains("remind me") {
            let seen =
                if asked.contains('@') || asked.contains("4111") { "your data" } else { "no data of yours" };
            format!("I saw {seen}. You wrote: {}", said("user"))
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

    /// The deltas, a few characters each, so that whatever leaks is split across several.
    fn deltas(&self) -> Vec<Value> {
        let characters: Vec<char> = self.text.chars().collect();
        let pieces = characters.chunks(5).map(|piece| piece.iter().collect::<String>());
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

fn usage() -> Value {
    json!({ "prompt_tokens": 21, "completion_tokens": 17, "total_tokens": 38 })
}

fn stream(answer: Answer, with_usage: bool) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let finish = if answer.is_tool_call { "tool_calls" } else { "stop" };
        let chunk = |choices: Value, usage: Value| {
            json!({ "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1_700_000_000,
                "model": "demo-1", "choices": choices, "usage": usage })
        };
        let mut chunks: Vec<Value> = answer
            .deltas()
            .into_iter()
            .map(|delta| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), Value::Null))
            .collect();
        chunks.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish }]), Value::Null));
        if with_usage {
            chunks.push(chunk(json!([]), usage()));
        }
        for chunk in chunks {
            if sender.send(format!("data: {chunk}\n\n").into()).await.is_err() {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
        let _ = sender.send("data: [DONE]\n\n".into()).await;
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
