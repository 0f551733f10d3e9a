//! What a model says in an answer, as text: for those who are asked about all of it at once.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sse::{Decoder, Limits};

/// Members that carry the protocol and no words of a model's.
const PROTOCOL: [&str; 20] = [
    "id",
    "object",
    "model",
    "role",
    "type",
    "status",
    "created",
    "finish_reason",
    "stop_reason",
    "system_fingerprint",
    "service_tier",
    "item_id",
    "response_id",
    "call_id",
    "tool_call_id",
    "obfuscation",
    "token",
    "bytes",
    "event_id",
    // Numbers, perhaps in base64.
    "embedding",
];

/// The words of a whole answer, one text after the other; of what is no JSON, all of it.
pub fn spoken(body: &[u8]) -> String {
    let mut texts = BTreeMap::new();
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => gather(&answer, &mut String::new(), &mut texts),
        Err(_) => return String::from_utf8_lossy(body).into_owned(),
    }
    joined(texts)
}

/// The words of a stream of events: what belongs to one text is joined, whatever events it came in.
pub fn spoken_stream(body: &[u8]) -> String {
    let mut texts = BTreeMap::new();
    let mut decoder = Decoder::new(Limits::default());
    let mut rest = body;
    let mut add = |data: &[u8]| {
        if let Ok(event) = serde_json::from_slice::<Value>(data) {
            gather(&event, &mut String::new(), &mut texts);
        }
    };
    while let Ok(Some(event)) = decoder.next(&mut rest) {
        event.data.iter().for_each(|data| add(data));
    }
    if let Ok(Some(event)) = decoder.finish() {
        event.data.iter().for_each(|data| add(data));
    }
    joined(texts)
}

fn joined(texts: BTreeMap<String, String>) -> String {
    texts.into_values().collect::<Vec<_>>().join("\n")
}

/// Adds every text to what stands at the same place. The elements of a list say by `index` where they belong.
fn gather(value: &Value, at: &mut String, texts: &mut BTreeMap<String, String>) {
    let length = at.len();
    match value {
        Value::String(text) => texts.entry(at.clone()).or_default().push_str(text),
        Value::Array(elements) => {
            for (nth, element) in elements.iter().enumerate() {
                let index = element.get("index").and_then(Value::as_u64);
                at.push_str(&format!("/{:06}", index.unwrap_or(nth as u64)));
                gather(element, at, texts);
                at.truncate(length);
            }
        }
        Value::Object(members) => {
            // Events of some dialects say the place of their text beside it.
            for name in ["output_index", "content_index", "index"] {
                if let Some(index) = members.get(name).and_then(Value::as_u64) {
                    at.push_str(&format!("/{name}={index:06}"));
                }
            }
            let placed = at.len();
            for (name, member) in members.iter().filter(|(name, _)| !PROTOCOL.contains(&name.as_str())) {
                at.push('/');
                at.push_str(name);
                gather(member, at, texts);
                at.truncate(placed);
            }
            at.truncate(length);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_answer_are_read_whole() {
        let whole = r#"{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"one two","reasoning":"because"}},{"index":1,"message":{"content":"three"}}]}"#;
        assert_eq!(spoken(whole.as_bytes()), "one two\nbecause\nthree");
        assert_eq!(spoken(br#"{"data":[{"embedding":"AAAA","note":"x"}]}"#), "x");
        assert_eq!(spoken(b"plain"), "plain");
    }

    #[test]
    fn the_words_of_a_stream_are_joined_where_they_belong() {
        let chat = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"}},{\"index\":1,\"delta\":{\"content\":\"th\"}}]}\n\n\
             data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"ree\"}},{\"index\":0,\"delta\":{\"content\":\"two\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(spoken_stream(chat.as_bytes()), "one two\nthree");
        let typed = "event: a\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"on\"}}\n\n\
             event: a\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"text\":\"two\"}}\n\n\
             event: a\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"e\"}}\n\n";
        assert_eq!(spoken_stream(typed.as_bytes()), "one\ntwo");
    }
}
