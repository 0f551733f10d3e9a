use std::collections::BTreeMap;

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::escape::Unescape;
use crate::dialect::{Screen, StreamEnd};
use crate::sse::{Decoder, Limits};

/// What a client hears of a stream: texts joined from deltas, and said as wholes, by item and member.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    deltas: BTreeMap<String, String>,
    wholes: BTreeMap<String, Vec<String>>,
    /// The last event, with its data.
    last: Value,
}

fn hear(out: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let mut decoder = Decoder::new(Limits::default());
    let mut rest = out;
    let mut number = None;
    while let Some(event) = decoder.next(&mut rest).unwrap() {
        let Some(data) = event.data else { continue };
        let data: Value = serde_json::from_slice(&data).unwrap();
        let next = data["sequence_number"].as_u64().unwrap();
        assert!(number.is_none_or(|number| next == number + 1), "{number:?} {data}");
        number = Some(next);
        let kind = data["type"].as_str().unwrap();
        let item = data["output_index"].as_u64().unwrap_or_default();
        let part = data["content_index"].as_u64().unwrap_or_default();
        let mut say = |name: String, text: &Value| {
            heard.wholes.entry(name).or_default().push(text.as_str().unwrap().to_owned());
        };
        let mut say_item = |item: u64, value: &Value| {
            for (part, value) in value["content"].as_array().into_iter().flatten().enumerate() {
                say(format!("{item}.{part}"), &value["text"]);
            }
            if let Some(arguments) = value.get("arguments") {
                say(format!("{item}.arguments"), arguments);
            }
        };
        match kind {
            "response.output_text.delta" => {
                let text = heard.deltas.entry(format!("{item}.{part}")).or_default();
                text.push_str(data["delta"].as_str().unwrap());
            }
            "response.function_call_arguments.delta" => {
                let text = heard.deltas.entry(format!("{item}.arguments")).or_default();
                text.push_str(data["delta"].as_str().unwrap());
            }
            "response.output_text.done" => say(format!("{item}.{part}"), &data["text"]),
            "response.function_call_arguments.done" => say(format!("{item}.arguments"), &data["arguments"]),
            "response.content_part.done" => say(format!("{item}.{part}"), &data["part"]["text"]),
            "response.output_item.done" => say_item(item, &data["item"]),
            "response.completed" => {
                for (nth, item) in (0..).zip(data["response"]["output"].as_array().unwrap()) {
                    say_item(nth, item);
                }
            }
            _ => {}
        }
        heard.last = data;
    }
    assert_eq!(decoder.finish(), Ok(None), "the stream is well-formed to its end");
    heard
}

/// Builds a stream as the provider does: numbered, with every text said again.
#[derive(Debug, Default)]
struct Script {
    events: Vec<String>,
    items: Vec<Value>,
}

impl Script {
    fn new() -> Self {
        let mut script = Self::default();
        script.event("response.created", json!({ "response": response(&[], "in_progress") }));
        script
    }

    fn event(&mut self, kind: &str, mut data: Value) {
        let members = data.as_object_mut().unwrap();
        members.insert("type".into(), kind.into());
        members.insert("sequence_number".into(), self.events.len().into());
        self.events.push(format!("event: {kind}\ndata: {data}\n\n"));
    }

    fn message(mut self, pieces: &[&str]) -> Self {
        let (output_index, text) = (self.items.len(), pieces.concat());
        let id = format!("msg_{output_index}");
        let item = |content: Value| json!({"type": "message", "id": id, "role": "assistant", "status": "completed", "content": content});
        let part =
            |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        let at = |more: Value| {
            let mut data = json!({"item_id": id, "output_index": output_index, "content_index": 0});
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        self.event(
            "response.output_item.added",
            json!({"output_index": output_index, "item": item(json!([]))}),
        );
        self.event("response.content_part.added", at(json!({"part": part("")})));
        for piece in pieces {
            let more = json!({"delta": piece, "logprobs": [], "obfuscation": "qwerty"});
            self.event("response.output_text.delta", at(more));
        }
        self.event("response.output_text.done", at(json!({"text": text, "logprobs": []})));
        self.event("response.content_part.done", at(json!({"part": part(&text)})));
        let item = item(json!([part(&text)]));
        self.event("response.output_item.done", json!({"output_index": output_index, "item": item}));
        self.items.push(item);
        self
    }

    fn call(mut self, pieces: &[&str]) -> Self {
        let (output_index, arguments) = (self.items.len(), pieces.concat());
        let id = format!("fc_{output_index}");
        let item = |arguments: &str| json!({"type": "function_call", "id": id, "call_id": "call_1", "name": "f", "arguments": arguments});
        self.event("response.output_item.added", json!({"output_index": output_index, "item": item("")}));
        let at = json!({"item_id": id, "output_index": output_index});
        for piece in pieces {
            let mut data = at.clone();
            data["delta"] = json!(piece);
            self.event("response.function_call_arguments.delta", data);
        }
        let mut data = at;
        data["arguments"] = json!(arguments);
        self.event("response.function_call_arguments.done", data);
        let item = item(&arguments);
        self.event("response.output_item.done", json!({"output_index": output_index, "item": item}));
        self.items.push(item);
        self
    }

    fn complete(mut self) -> Vec<String> {
        let mut response = response(&self.items, "completed");
        response["usage"] = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7});
        self.event("response.completed", json!({ "response": response }));
        self.events
    }
}

fn response(output: &[Value], status: &str) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 17, "model": "m", "status": status,
        "incomplete_details": null, "instructions": "Be kind.", "output": output})
}

fn rules() -> ModelRules {
    ModelRules { answer: Screen::on(), ..ModelRules::default() }
}

fn run(
    mut stream: EventStream,
    pieces: &[&[u8]],
) -> (BytesMut, Option<StreamEnd>, Vec<String>, Option<Usage>) {
    let mut out = BytesMut::new();
    let mut result = pieces.iter().try_for_each(|piece| stream.push(piece, &mut out));
    if result.is_ok() {
        result = stream.finish(&mut out);
    }
    assert!(stream.is_over());
    let at = stream.take_findings().into_iter().map(|finding| finding.at).collect();
    (out, result.err(), at, stream.usage())
}

fn heard(events: &[String]) -> (Heard, Option<StreamEnd>) {
    let (out, end, ..) = run(stream(&rules(), "record-1"), &[events.concat().as_bytes()]);
    (hear(&out), end)
}

/// Deltas and wholes say the same text.
fn check(events: &[String], name: &str, text: &str, times: usize) {
    let (heard, end) = heard(events);
    assert_eq!(end, None);
    assert_eq!(heard.deltas[name], text);
    assert_eq!(heard.wholes[name], vec![text; times]);
    assert_eq!(heard.last["type"], "response.completed");
}

#[test]
fn what_is_clean_leaves_as_it_came() {
    let events = Script::new().message(&["a", " b ", "", "SEC", "OND"]).call(&["{\"a\"", ":1}"]).complete();
    let clean = Script::new().message(&["a", " b ", "\n\"\u{e9}", "c"]).call(&["{\"a\"", ":1}"]).complete();
    let (out, end, at, usage) = run(stream(&rules(), "r"), &[clean.concat().as_bytes()]);
    assert_eq!((std::str::from_utf8(&out).unwrap(), end, at.len()), (clean.concat().as_str(), None, 0));
    assert_eq!(usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
    check(&events, "0.0", "a b SECOND", 4);
    check(&events, "1.arguments", "{\"a\":1}", 3);
}

#[test]
fn what_is_said_once_more_is_what_was_said() {
    check(&Script::new().message(&["a SEC", "RE", "T b"]).complete(), "0.0", "a [word] b", 4);
    check(&Script::new().message(&["a SEC"]).complete(), "0.0", "a SEC", 4);
    check(&Script::new().message(&["SECRET"]).message(&["SEC"]).complete(), "1.0", "SEC", 4);
    let call = Script::new().call(&["{\"to\":\"\\u00", "53EC", "RET\\n\"}"]).complete();
    check(&call, "0.arguments", "{\"to\":\"[word]\\n\"}", 3);
    let (_, _, at, _) =
        run(stream(&rules(), "r"), &[Script::new().message(&["SEC", "RET"]).complete().concat().as_bytes()]);
    assert_eq!(at, ["0 content 0 text"], "found once, however often it is said");
    let mut events = Script::new().message(&["a"]).complete();
    let last = events.last_mut().unwrap();
    *last = last.replace(r#""text":"a""#, r#""text":"SECRET""#);
    let (_, _, at, _) = run(stream(&rules(), "r"), &[events.concat().as_bytes()]);
    assert_eq!(at, ["/response/output/0/content/0/text"], "what no delta said is new");
}

#[test]
fn a_block_ends_the_response_incomplete_with_nothing_of_the_match() {
    let events = Script::new().message(&["fine"]).message(&["ok FORB", "IDDEN more"]).complete();
    let (heard, end) = heard(&events);
    assert_eq!(end, Some(StreamEnd::Blocked));
    assert_eq!(heard.deltas["1.0"], "ok ");
    let last = &heard.last;
    assert_eq!(last["type"], "response.incomplete");
    let response = &last["response"];
    assert_eq!((&response["id"], &response["status"]), (&json!("resp_1"), &json!("incomplete")));
    assert_eq!(response["incomplete_details"], json!({"reason": "content_filter"}));
    assert_eq!(response["output"].as_array().unwrap().len(), 1);
    assert_eq!(response["output"][0]["content"][0]["text"], "fine");
}

#[test]
fn what_cannot_be_read_ends_with_an_error_that_is_raised() {
    for event in ["data: hello\n\n", "data: {\"type\":\"response.news\",\"sequence_number\":1}\n\n"] {
        let events = [Script::new().events[0].clone(), event.to_owned()];
        let (heard, end) = heard(&events);
        assert!(end.is_some(), "{event}");
        assert_eq!(
            (&heard.last["type"], &heard.last["code"]),
            (&json!("error"), &json!("answer_unreadable"))
        );
        assert_eq!(heard.last["error"]["code"], "answer_unreadable", "SDKs raise at this member");
        assert_eq!(heard.last["error"]["record"], "record-1");
    }
}

#[test]
fn the_operators_text_is_not_said_again() {
    let events = Script::new().message(&["a"]).complete();
    let system = ModelRules { system: Some("Be kind.".into()), ..ModelRules::default() };
    for rules in [system.clone(), ModelRules { answer: Screen::on(), ..system }] {
        let (out, end, ..) = run(stream(&rules, "r"), &[events.concat().as_bytes()]);
        let expected = events.concat().replace("\"Be kind.\"", "null");
        assert_eq!((std::str::from_utf8(&out).unwrap(), end), (expected.as_str(), None));
    }
}

#[test]
fn a_whole_response_says_what_a_stream_of_it_says() {
    let part = |text: &str, logprobs: Value| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs});
    let token = |token: &str| json!([{"token": token, "logprob": -0.5, "bytes": [], "top_logprobs": []}]);
    let message = |parts: Value| json!({"type": "message", "id": "m", "content": parts});
    let answer = |output: Value| {
        let mut whole = response(&[output], "completed");
        whole["usage"] = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7});
        whole.to_string()
    };
    let rules = ModelRules { system: Some("Be kind.".into()), ..rules() };
    let given = answer(message(json!([
        part("a SECRET", token("a SECRET")),
        part("b", token("b")),
        part("c", token("d"))
    ])));
    let expected =
        answer(message(json!([part("a [word]", json!([])), part("b", token("b")), part("c", json!([]))])));
    let screened = screen_answer(&rules, &Bytes::from(given), &mut Vec::new()).unwrap();
    let expected = expected.replace("\"Be kind.\"", "null");
    assert_eq!(std::str::from_utf8(&screened.body).unwrap(), expected);
    assert_eq!(screened.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
    let blocked = answer(message(json!([part("FORBIDDEN", json!([]))])));
    assert!(screen_answer(&rules, &Bytes::from(blocked), &mut Vec::new()).is_err());
    // The operator's own words are not looked for in what repeats them.
    let system = ModelRules { system: Some("FORBIDDEN".into()), ..rules };
    let repeated = answer(message(json!([]))).replace("Be kind.", "FORBIDDEN");
    assert!(screen_answer(&system, &Bytes::from(repeated), &mut Vec::new()).is_ok());
}

#[test]
fn log_probabilities_leave_only_with_the_text_they_spell() {
    let spelt = |text: &str, token: &str| {
        let mut script = Script::new();
        let more = json!([{"token": token, "logprob": -0.5, "bytes": [], "top_logprobs": []}]);
        let data =
            json!({"item_id": "m", "output_index": 0, "content_index": 0, "delta": text, "logprobs": more});
        script.event("response.output_text.delta", data);
        let part =
            json!({"item_id": "m", "output_index": 0, "content_index": 0, "text": text, "logprobs": more});
        script.event("response.output_text.done", part);
        let (out, ..) = run(stream(&rules(), "r"), &[script.events.concat().as_bytes()]);
        let out = String::from_utf8(out.to_vec()).unwrap();
        out.matches("\"logprobs\":[{").count()
    };
    assert_eq!(spelt("a", "a"), 2);
    // A text that is over was released; only what was held back is not yet known to be clean.
    assert_eq!(spelt("SEC", "SEC"), 1);
    assert_eq!(spelt("SECRET", "SECRET"), 0);
    assert_eq!(spelt("a", "b"), 0);
}

#[test]
fn every_text_is_joined_under_the_machine_of_its_place() {
    let check = |kind: &str, at: Value, done: &str| {
        let mut script = Script::new();
        for piece in ["a SEC", "RET b SEC"] {
            let mut data = at.clone();
            data["delta"] = json!(piece);
            script.event(kind, data);
        }
        let mut data = at;
        data[done] = json!("a SECRET b SEC");
        script.event(&kind.replace(".delta", ".done"), data);
        let (out, end, ..) = run(stream(&rules(), "r"), &[script.events.concat().as_bytes()]);
        assert_eq!(end, None, "{kind}");
        // In JSON, what stands where a value does becomes one.
        let expected = if done == "arguments" { "a \"[word]\" b SEC" } else { "a [word] b SEC" };
        let mut joined = String::new();
        for line in std::str::from_utf8(&out).unwrap().lines().filter_map(|line| line.strip_prefix("data: "))
        {
            let data: Value = serde_json::from_str(line).unwrap();
            if data["type"] == kind {
                joined.push_str(data["delta"].as_str().unwrap());
            } else if let Some(text) = data[done].as_str() {
                assert_eq!(text, expected, "{kind}");
            }
        }
        assert_eq!(joined, expected, "{kind}");
    };
    let part = json!({"item_id": "i", "output_index": 0, "content_index": 1});
    let item = json!({"item_id": "i", "output_index": 2});
    let summary = json!({"item_id": "i", "output_index": 0, "summary_index": 1});
    check("response.output_text.delta", part.clone(), "text");
    check("response.refusal.delta", part.clone(), "refusal");
    check("response.reasoning_text.delta", part, "text");
    check("response.reasoning_summary_text.delta", summary, "text");
    check("response.function_call_arguments.delta", item.clone(), "arguments");
    check("response.mcp_call_arguments.delta", item.clone(), "arguments");
    check("response.custom_tool_call_input.delta", item.clone(), "input");
    check("response.code_interpreter_call_code.delta", item, "code");
    check("response.shell_call_command.delta", json!({"output_index": 0, "command_index": 1}), "command");
    check("response.audio.transcript.delta", json!({}), "none");
}

#[test]
fn output_of_a_shell_is_two_texts() {
    let mut script = Script::new();
    let output =
        |delta: Value| json!({"item_id": "i", "output_index": 0, "command_index": 0, "delta": delta});
    script
        .event("response.shell_call_output_content.delta", output(json!({"stdout": "SEC", "stderr": "RET"})));
    script.event("response.shell_call_output_content.delta", output(json!({"stdout": "RET"})));
    let done =
        json!({"item_id": "i", "output_index": 0, "command_index": 0, "output": [{"stdout": "SECRET"}]});
    script.event("response.shell_call_output_content.done", done);
    let (out, end, ..) = run(stream(&rules(), "r"), &[script.events.concat().as_bytes()]);
    let out = std::str::from_utf8(&out).unwrap();
    assert_eq!(end, None);
    assert!(out.contains(r#""delta":{"stdout":"","stderr":"RET"}"#), "{out}");
    assert!(out.contains(r#""delta":{"stdout":"[word]"}"#) && !out.contains("SECRET"), "{out}");
}

/// What JSON inside a string means: its escapes may leave written otherwise.
fn meant(text: &str) -> String {
    let (mut unescape, mut seen) = (Unescape::default(), String::new());
    unescape.push(text, &mut seen);
    unescape.finish(&mut seen);
    seen
}

/// Streams that are likely to be read both ways.
fn scripts() -> impl Strategy<Value = Vec<String>> {
    let piece = proptest::sample::select(vec![
        "the ",
        "a",
        "",
        "S",
        "SEC",
        "RET",
        "SECRET",
        "E",
        "\"",
        "\\",
        "\n",
        "\u{e9}",
        "\u{1f600}",
        "CURIOUS",
        "FORB",
        "IDDEN",
        "x",
    ]);
    let item = (any::<bool>(), proptest::collection::vec(piece, 0..8));
    proptest::collection::vec(item, 0..4).prop_map(|items| {
        let script = items.iter().fold(Script::new(), |script, (is_call, pieces)| match is_call {
            true => script.call(pieces),
            false => script.message(pieces),
        });
        script.complete()
    })
}

/// The events of a stream, each as the JSON it means; escapes may differ.
fn values(out: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(out).unwrap().lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| serde_json::from_str(data).unwrap()).collect()
}

proptest! {
    #[test]
    fn any_split_says_the_same(events in scripts(), size in 1usize..90) {
        let input = events.concat();
        let pieces: Vec<_> = input.as_bytes().chunks(size).collect();
        prop_assert_eq!(run(stream(&rules(), "r"), &[input.as_bytes()]), run(stream(&rules(), "r"), &pieces));
    }

    #[test]
    fn a_known_shape_means_what_the_whole_reading_means(events in scripts()) {
        let input = events.concat();
        let mut slow = stream(&rules(), "r");
        slow.forget_shapes();
        let (known, known_end, known_at, _) = run(stream(&rules(), "r"), &[input.as_bytes()]);
        let (read, read_end, read_at, _) = run(slow, &[input.as_bytes()]);
        prop_assert_eq!(values(&known), values(&read));
        prop_assert_eq!((known_end, known_at), (read_end, read_at));
    }

    #[test]
    fn however_a_text_is_cut_a_client_hears_the_same_and_hears_it_again(
        words in proptest::collection::vec(proptest::sample::select(vec!["SEC", "RET", "SECRET", " ", "a", "\u{e9}", "CURIOUS", "\\n", "\\u00", "53"]), 0..12),
        cuts in proptest::collection::vec(0usize..60, 0..8),
        is_call in any::<bool>(),
    ) {
        let text = words.concat();
        let mut at: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len() && text.is_char_boundary(*cut)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let cut: Vec<_> = at.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()).collect();
        let hear_all = |pieces: &[&str]| {
            let script = if is_call { Script::new().call(pieces) } else { Script::new().message(pieces) };
            heard(&script.complete()).0
        };
        let (whole, cut) = (hear_all(&[&text]), hear_all(&cut));
        for name in cut.deltas.keys() {
            let said = meant(&whole.deltas[name]);
            prop_assert!(!said.contains("SECRET"));
            prop_assert_eq!(&said, &meant(&cut.deltas[name]));
            prop_assert!(whole.wholes[name].iter().chain(&cut.wholes[name]).all(|whole| meant(whole) == said));
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..50, soup in r#"(data: |event: |\n|\r\n|\{|\}|"type":|"response\.output_text\.delta"|"output_index":|"content_index":|0|"delta":|"a"|,|\[DONE\]){0,40}"#) {
        for input in [&bytes[..], soup.as_bytes()] {
            let pieces: Vec<_> = input.chunks(size).collect();
            let whole = run(stream(&rules(), "r"), &[input]);
            prop_assert_eq!(&whole, &run(stream(&rules(), "r"), &pieces));
        }
    }
}
