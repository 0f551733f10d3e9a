//! Personal data goes to a model as tokens and comes back to its client as it was; an operator's rules hold on both ways.

use serde_json::{Value, json};

use crate::support::{Files, Gate};

const REST: &str = r#"models:
  brain:
    dialect: openai
    base_path: /v1
    upstream: "http://UPSTREAM"
    identify: [corp]
    prompt:
      pii: tokenise
      allow: ["*@allowed.org"]
      fields: [{ at: /metadata, pii: block }]
      rules: [{ name: projects, topic: [Bluebird], action: redact }]
    answer:
      pii: redact
      allow: ["*@allowed.org"]
      rules: [{ name: tickets, phrase: 'TICKET-\d{4,8}', action: block }]
"#;

const TEXT: &str = "Write to ann@example.com and bob@allowed.org about Bluebird, card 4111 1111 1111 1111.";

fn chat(token: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\nHost: h\nAuthorization: Bearer {token}\nContent-Type: application/json\nContent-Length: {length}\n\n{body}"
    )
}

fn asks(text: &str, is_stream: bool) -> Value {
    json!({ "model": "m", "stream": is_stream, "messages": [{ "role": "user", "content": text }] })
}

fn completion(text: &str) -> String {
    json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }] })
    .to_string()
}

/// What the model was shown last.
fn shown(gate: &Gate) -> String {
    let seen = gate.upstream.seen();
    let body: Value = serde_json::from_slice(&seen.last().unwrap().body).unwrap();
    body["messages"][0]["content"].as_str().unwrap().to_owned()
}

async fn start() -> Gate {
    Gate::start(Files::of(
        REST,
        crate::support::CONTRACT,
        "@id(\"all\") permit (principal, action, resource);",
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_sees_tokens_and_the_client_its_own_data() {
    let gate = start().await;
    let (ann, bob) = (gate.issuer.token("ann"), gate.issuer.token("bob"));
    let json = "content-type: application/json";
    gate.upstream.answers("200 OK", json, &completion("fine"));
    gate.ask(&chat(&ann, &asks(TEXT, false))).await;
    let sent = shown(&gate);
    for private in ["ann@", "4111", "Bluebird"] {
        assert!(!sent.contains(private), "{sent}");
    }
    assert!(sent.contains("EMAIL_") && sent.contains("CARD_") && sent.contains("bob@allowed.org"), "{sent}");
    // Whole: what the model repeats is what the client wrote, and what it knows from elsewhere is redacted.
    gate.upstream.answers("200 OK", json, &completion(&format!("{sent} Also carl@example.com.")));
    let answer = gate.ask(&chat(&ann, &asks(TEXT, false))).await;
    assert_eq!(shown(&gate), sent, "the same value is the same token");
    let heard = answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(heard, format!("{} Also [email].", TEXT.replace("Bluebird", "[removed]")));
    // Streamed, two letters at a time.
    let signs: Vec<char> = sent.chars().collect();
    let events: String = signs
        .chunks(2)
        .map(|piece| {
            let piece: String = piece.iter().collect();
            let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{ "index": 0, "delta": { "content": piece }, "finish_reason": null }] });
            format!("data: {chunk}\n\n")
        })
        .collect();
    gate.upstream.answers("200 OK", "content-type: text/event-stream", &(events + "data: [DONE]\n\n"));
    let answer = gate.ask(&chat(&ann, &asks(TEXT, true))).await;
    let heard: String = answer
        .text()
        .split("data: ")
        .filter_map(|data| serde_json::from_str::<Value>(data.trim()).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(heard, TEXT.replace("Bluebird", "[removed]"));
    // To another caller the token is a text like any other.
    gate.upstream.answers("200 OK", json, &completion(&sent));
    let answer = gate.ask(&chat(&bob, &asks("What is in it?", false))).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], sent.as_str());
    let records = gate.stop().await;
    assert_eq!(records[0]["findings"][0]["action"], "tokenise");
    assert!(!records.iter().any(|record| record.to_string().contains("ann@example.com")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_and_rules_hold_where_they_are_written() {
    let gate = start().await;
    let ann = gate.issuer.token("ann");
    let mut body = asks("hi", false);
    body["metadata"] = json!({ "owner": "ann@example.com" });
    assert_eq!(gate.ask(&chat(&ann, &body)).await.status, 403);
    assert_eq!(gate.upstream.count(), 0);
    gate.upstream.answers("200 OK", "content-type: application/json", &completion("see TICKET-12345"));
    let answer = gate.ask(&chat(&ann, &asks("hi", false))).await;
    assert_eq!(answer.status, 502);
    assert!(!answer.text().contains("TICKET"));
    let records = gate.stop().await;
    let finding = &records[1]["findings"][0];
    assert_eq!(
        (finding["detector"].as_str(), finding["evidence"].as_str()),
        (Some("phrase"), Some("tickets"))
    );
}
