use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Screen, TapeError};
use crate::sse::SseError;

/// What a client joins from a stream, by choice and path, and how each choice and the stream ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    texts: std::collections::BTreeMap<String, String>,
    finishes: Vec<(u64, String)>,
    is_done: bool,
    error: Option<String>,
}

fn hear(out: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let mut decoder = Decoder::new(Limits::default());
    let mut rest = out;
    while let Some(event) = decoder.next(&mut rest).unwrap() {
        let Some(data) = event.data else { continue };
        assert!(!heard.is_done, "nothing follows the end");
        if &*data == b"[DONE]" {
            heard.is_done = true;
            continue;
        }
        let chunk: Value = serde_json::from_slice(&data).unwrap();
        if let Some(error) = chunk.get("error") {
            heard.error = Some(error["code"].as_str().unwrap().to_owned());
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap();
            join(&choice["delta"], &format!("{index}"), &mut heard.texts);
            if let Some(reason) = choice["finish_reason"].as_str() {
                heard.finishes.push((index, reason.to_owned()));
            }
        }
    }
    assert_eq!(decoder.finish(), Ok(None), "the stream is well-formed to its end");
    heard
}

fn join(value: &Value, path: &str, texts: &mut std::collections::BTreeMap<String, String>) {
    match value {
        Value::String(text) => texts.entry(path.to_owned()).or_default().push_str(text),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| join(value, &format!("{path}.{name}"), texts))
        }
        Value::Array(elements) => {
            for (nth, value) in elements.iter().enumerate() {
                let at = value.get("index").and_then(Value::as_u64).unwrap_or(nth as u64);
                join(value, &format!("{path}.{at}"), texts);
            }
        }
        _ => {}
    }
}

fn stream() -> ChatStream {
    let rules = ModelRules { answer: Screen::on(), ..ModelRules::default() };
    ChatStream::new(&rules, false, "record-1")
}

fn run(
    mut stream: ChatStream,
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

fn chunk(choice: &Value) -> String {
    format!(
        "data: {{\"id\": \"c-1\", \"object\": \"chat.completion.chunk\", \"created\": 17, \"model\": \"m\", \"choices\": [{choice}]}}\n\n"
    )
}

fn content(text: &str) -> String {
    chunk(&json!({"index": 0, "delta": {"content": text}, "logprobs": null, "finish_reason": null}))
}

fn finish(index: u32, reason: &str) -> String {
    chunk(&json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": reason}))
}

const DONE: &str = "data: [DONE]\n\n";

/// The events leave as the very bytes that came.
fn same(events: &[String]) {
    let input = events.concat();
    let (out, end, _, _) = run(stream(), &[input.as_bytes()]);
    assert_eq!(std::str::from_utf8(&out).unwrap(), input);
    assert_eq!(end, None);
}

/// What a client hears in `path`, and how the stream ends.
fn check(
    events: &[String],
    path: &str,
    text: &str,
    finishes: &[(u64, &str)],
    end: Option<StreamEnd>,
) -> BytesMut {
    let (out, ended, _, _) = run(stream(), &[events.concat().as_bytes()]);
    let heard = hear(&out);
    assert_eq!(heard.texts.get(path).map_or("", String::as_str), text, "{events:?}");
    let finishes: Vec<_> = finishes.iter().map(|(index, reason)| (*index, (*reason).to_owned())).collect();
    assert_eq!(heard.finishes, finishes, "{events:?}");
    assert_eq!(ended, end, "{events:?}");
    out
}

#[test]
fn what_is_clean_keeps_its_bytes() {
    let role = chunk(&json!({"index": 0, "delta": {"role": "assistant", "content": "", "refusal": null}}));
    same(&[
        role,
        content("the "),
        content("end "),
        content("\"\n\u{e9}"),
        content("x"),
        finish(0, "stop"),
        DONE.into(),
    ]);
    same(&[
        ": ping\n\n".into(),
        content("a"),
        "\r\n".into(),
        "event: x\nid: 1\ndata: {\"a\":\ndata: 1}\n\n".into(),
        DONE.into(),
    ]);
    same(&["data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\u0062\"},\"logprobs\":{\"content\":[{\"token\":\"ab\",\"bytes\":[97]}]}}],\"obfuscation\":\"qwerty\"}\r\n\r\n".into()]);
    same(&["data: {\"error\":{\"message\":\"overloaded\"}}\n\n".into()]);
    same(&[
        "data: {\"choices\":[],\"prompt_filter_results\":[{\"x\":\"y\"}]}\n\n".into(),
        "data:\n\n".into(),
    ]);
    let arguments = |text: &str| {
        chunk(&json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}))
    };
    same(&[
        arguments("{\"a\":"),
        arguments("\"x\\n\\u0041\\/"),
        arguments("\"}"),
        finish(0, "tool_calls"),
        DONE.into(),
    ]);
}

#[test]
fn what_is_cut_across_chunks_is_found() {
    let cut = |texts: &[&str]| -> Vec<String> {
        texts.iter().map(|text| content(text)).chain([finish(0, "stop"), DONE.into()]).collect()
    };
    let stop: &[(u64, &str)] = &[(0, "stop")];
    check(&cut(&["a SEC", "RE", "T b"]), "0.content", "a [word] b", stop, None);
    check(&cut(&["SECRE", "T"]), "0.content", "[word]", stop, None);
    check(&cut(&["a SEC", "T"]), "0.content", "a SECT", stop, None);
    check(&cut(&["a S", "", "ECRET\"", "\u{e9}S"]), "0.content", "a [word]\"\u{e9}S", stop, None);
    check(&cut(&["a ", "b ", "SECR", "E"]), "0.content", "a b SECRE", stop, None);
}

#[test]
fn what_is_held_leaves_before_the_end() {
    let held = content("a SEC");
    check(&[held.clone(), finish(0, "length"), DONE.into()], "0.content", "a SEC", &[(0, "length")], None);
    check(&[held.clone(), DONE.into()], "0.content", "a SEC", &[], None);
    check(std::slice::from_ref(&held), "0.content", "a SEC", &[], None);
    let last = chunk(&json!({"index": 0, "delta": {"content": "R"}, "finish_reason": "stop"}));
    let out = check(&[held.clone(), last, DONE.into()], "0.content", "a SECR", &[(0, "stop")], None);
    assert!(std::str::from_utf8(&out).unwrap().contains("\"created\": 17"));
    let (out, ..) = run(stream(), &[held.as_bytes()]);
    let text = std::str::from_utf8(&out).unwrap();
    assert!(text.ends_with(
        "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":17,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"SEC\"},\"finish_reason\":null}]}\n\n"
    ), "{text}");
}

#[test]
fn every_channel_is_a_text_of_its_own() {
    let two = |index: u32, text: &str| {
        chunk(&json!({"index": index, "delta": {"content": text}, "finish_reason": null}))
    };
    let events = [
        two(0, "SEC"),
        two(1, "SEC"),
        two(0, "RET"),
        two(1, "OND"),
        finish(0, "stop"),
        finish(1, "stop"),
        DONE.into(),
    ];
    let ends: &[(u64, &str)] = &[(0, "stop"), (1, "stop")];
    check(&events, "0.content", "[word]", ends, None);
    check(&events, "1.content", "SECOND", ends, None);
    for name in ["refusal", "reasoning", "reasoning_content", "something_new"] {
        let delta = |text: &str| chunk(&json!({"index": 0, "delta": {name: text, "content": "S"}}));
        check(
            &[delta("SEC"), delta("RET"), finish(0, "stop")],
            &format!("0.{name}"),
            "[word]",
            &[(0, "stop")],
            None,
        );
    }
    let deep =
        |text: &str| chunk(&json!({"index": 0, "delta": {"content": [{"type": "text", "text": text}]}}));
    check(&[deep("SEC"), deep("RETS")], "0.content.0.text", "[word]S", &[], None);
}

#[test]
fn arguments_are_screened_as_the_json_they_are() {
    let call = |index: u32, text: &str| {
        chunk(
            &json!({"index": 0, "delta": {"tool_calls": [{"index": index, "id": "call", "type": "function", "function": {"name": "f", "arguments": text}}]}}),
        )
    };
    let path = "0.tool_calls.1.function.arguments";
    check(
        &[
            call(1, "{\"a\":\"\\u00"),
            call(1, "53EC"),
            call(0, "RET"),
            call(1, "RET\\nS\"}"),
            finish(0, "tool_calls"),
        ],
        path,
        "{\"a\":\"[word]\\nS\"}",
        &[(0, "tool_calls")],
        None,
    );
    check(&[call(1, "SEC"), call(0, "x"), finish(0, "tool_calls")], path, "SEC", &[(0, "tool_calls")], None);
    check(&[call(1, "\\u00")], path, "\\u00", &[], None);
}

#[test]
fn a_block_ends_well_formed_and_says_only_what_came_before() {
    let events =
        [content("ok FORB"), content("IDDEN more"), content("even more"), finish(0, "stop"), DONE.into()];
    let out = check(&events, "0.content", "ok ", &[(0, "content_filter")], Some(StreamEnd::Blocked));
    assert!(hear(&out).is_done);
    // In one piece, and after a shape is known.
    let events = [content("a"), content("b FORBIDDEN more"), content("c")];
    check(&events, "0.content", "ab ", &[(0, "content_filter")], Some(StreamEnd::Blocked));
    let events = [content("FORBIDDEN")];
    check(&events, "0.content", "", &[(0, "content_filter")], Some(StreamEnd::Blocked));
    let two = chunk(&json!({"index": 1, "delta": {"content": "x"}}));
    let events = [two, finish(1, "stop"), content("FORBIDDEN")];
    check(&events, "1.content", "x", &[(1, "stop"), (0, "content_filter")], Some(StreamEnd::Blocked));
    let error = "data: {\"error\":{\"message\":\"FORBIDDEN\"}}\n\n".to_owned();
    check(&[error], "0.content", "", &[(0, "content_filter")], Some(StreamEnd::Blocked));
    let comment = ": FORBIDDEN\n\n".to_owned();
    check(&[comment], "0.content", "", &[(0, "content_filter")], Some(StreamEnd::Blocked));
}

#[test]
fn what_cannot_be_read_ends_the_stream_with_an_error() {
    let fails = |event: &str| {
        let input = [content("a"), event.to_owned(), content("b")].concat();
        let (out, end, _, _) = run(stream(), &[input.as_bytes()]);
        let heard = hear(&out);
        assert_eq!(heard.texts["0.content"], "a", "{event}");
        assert_eq!(heard.error.as_deref(), Some("answer_unreadable"), "{event}");
        assert!(heard.is_done, "{event}");
        end.unwrap()
    };
    assert_eq!(fails("data: {\"choices\":\n\n"), StreamEnd::Json(TapeError::Malformed));
    assert_eq!(fails("data: hello\n\n"), StreamEnd::Json(TapeError::Malformed));
    assert_eq!(fails("data: {\"a\":1,\"a\":2}\n\n"), StreamEnd::Json(TapeError::RepeatedKey));
    assert_eq!(fails("data: {\"choices\":[{\"index\":-1}]}\n\n"), StreamEnd::BadIndex);
    assert_eq!(fails("data: {\"choices\":[{\"index\":0},{\"index\":0}]}\n\n"), StreamEnd::BadIndex);
    assert_eq!(fails(&(finish(0, "stop") + &content("late"))), StreamEnd::LateText);
    let (out, end, _, _) = run(stream(), &[b"data: \xff\n\n"]);
    assert_eq!((hear(&out).error.as_deref(), end), (Some("answer_unreadable"), Some(StreamEnd::NotText)));
    let (out, end, _, _) = run(stream(), &[b"data: {"]);
    assert_eq!((hear(&out).is_done, end), (true, Some(StreamEnd::Sse(SseError::Truncated))));
}

#[test]
fn everything_else_in_an_event_is_screened_too() {
    let changed = |event: &str, expected: &str| {
        let (out, end, _, _) = run(stream(), &[event.as_bytes()]);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        assert_eq!(end, None);
    };
    changed(
        "data: {\"error\":{\"message\":\"SECRET\"},\"n\":1.0}\n\n",
        "data: {\"error\":{\"message\":\"[word]\"},\"n\":1.0}\n\n",
    );
    changed("data: {\"SECRET\":1}\n\n", "data: {\"[word]\":1}\n\n");
    changed(": SECRET\nevent: x\ndata: [DONE]\n\n", "event: x\ndata: [DONE]\n\n");
    changed("data: {\"a\":\ndata: \"SECRET\"}\n\n", "data: {\"a\":\ndata: \"[word]\"}\n\n");
    changed("\u{feff}data: \"SECRET\"\n\n", "data: \"[word]\"\n\n");
    changed(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"SECRET\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"[word]\"}}]}\n\n",
    );
}

#[test]
fn log_probabilities_leave_only_with_the_text_they_spell() {
    let with = |text: &str, token: &str| {
        chunk(
            &json!({"index": 0, "delta": {"content": text}, "logprobs": {"content": [{"token": token, "logprob": -0.5}]}}),
        )
    };
    same(&[with("a", "a"), with("b", "b")]);
    for event in [with("SECRET", "SECRET"), with("SEC", "SEC"), with("a", "b")] {
        let (out, ..) = run(stream(), &[event.as_bytes()]);
        assert!(std::str::from_utf8(&out).unwrap().contains("\"logprobs\":null"), "{event}");
    }
    let (out, ..) = run(stream(), &[content("SEC").as_bytes(), with("RET", "RET").as_bytes()]);
    assert!(!std::str::from_utf8(&out).unwrap().contains("RET"));
}

#[test]
fn usage_is_read_and_hidden_if_nobody_asked() {
    let usage = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n";
    let input = [content("a"), finish(0, "stop"), usage.to_owned(), DONE.into()].concat();
    let counted = Some(Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 });
    let rules = ModelRules { answer: Screen::on(), ..ModelRules::default() };
    for rules in [rules, ModelRules::default()] {
        let (out, _, _, seen) = run(ChatStream::new(&rules, false, "r"), &[input.as_bytes()]);
        assert_eq!((&out[..], seen), (input.as_bytes(), counted));
        let (out, _, _, seen) = run(ChatStream::new(&rules, true, "r"), &[input.as_bytes()]);
        assert_eq!((&out[..], seen), (input.replace(usage, "").as_bytes(), counted));
    }
}

#[test]
fn findings_say_where() {
    let arguments = chunk(
        &json!({"index": 2, "delta": {"tool_calls": [{"index": 1, "function": {"arguments": "CURIOUS"}}]}}),
    );
    let input = [content("SEC"), content("RET"), arguments].concat();
    let (_, _, at, _) = run(stream(), &[input.as_bytes()]);
    assert_eq!(at, ["choice 0 content", "choice 2 tool_calls 1 function arguments"]);
}

#[test]
fn a_screen_that_is_off_passes_what_it_cannot_read() {
    let input = "data: hello\n\ndata: [DONE]\n\n";
    let (out, end, _, _) = run(ChatStream::new(&ModelRules::default(), false, "r"), &[input.as_bytes()]);
    assert_eq!((&out[..], end), (input.as_bytes(), None));
}

#[test]
fn what_follows_the_end_is_dropped() {
    let (out, ..) = run(stream(), &[DONE.as_bytes(), content("SECRET").as_bytes()]);
    assert_eq!(&out[..], DONE.as_bytes());
}

/// The events of a stream, each as the JSON it means; escapes may differ.
fn values(out: &[u8]) -> Vec<Option<Value>> {
    let text = std::str::from_utf8(out).unwrap().replace("\r\n", "\n");
    let data = text.split("\n\n").map(|event| event.strip_prefix("data: "));
    data.map(|data| data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data)))).collect()
}

/// Events of a stream that is likely to be read both ways.
fn events() -> impl Strategy<Value = Vec<String>> {
    let text = proptest::sample::select(vec![
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
    let event = (0u8..12, 0u32..2, text).prop_map(|(kind, index, text)| match kind {
        0..=4 => chunk(&json!({"index": index, "delta": {"content": text}, "logprobs": null, "finish_reason": null})),
        5 => chunk(&json!({"index": index, "delta": {"refusal": text, "content": "S"}})),
        6 | 7 => chunk(&json!({"index": index, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}})),
        8 => format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"\\u0053\\u00e9\"}},\"index\":{index}}}],\"obfuscation\":{}}}\r\n\r\n", json!(text)),
        9 => format!(": {text}\n").replace("\n\n", "\n") + "\n",
        10 => finish(index, "stop"),
        _ => chunk(&json!({"index": index, "delta": {"content": text, "role": "assistant"}, "logprobs": {"content": [{"token": text}]}})),
    });
    proptest::collection::vec(event, 0..24)
}

proptest! {
    #[test]
    fn any_split_says_the_same(events in events(), size in 1usize..90) {
        let input = events.concat();
        let pieces: Vec<_> = input.as_bytes().chunks(size).collect();
        prop_assert_eq!(run(stream(), &[input.as_bytes()]), run(stream(), &pieces));
    }

    #[test]
    fn a_known_shape_means_what_the_whole_reading_means(events in events()) {
        let input = events.concat();
        let mut slow = stream();
        slow.state.is_forgetful = true;
        let (known, known_end, known_at, _) = run(stream(), &[input.as_bytes()]);
        let (read, read_end, read_at, _) = run(slow, &[input.as_bytes()]);
        prop_assert_eq!(values(&known), values(&read));
        prop_assert_eq!((known_end, known_at), (read_end, read_at));
    }

    #[test]
    fn however_a_text_is_cut_a_client_hears_the_same(
        words in proptest::collection::vec(proptest::sample::select(vec!["SEC", "RET", "SECRET", " ", "a", "\u{e9}", "CURIOUS", "\\n"]), 0..12),
        cuts in proptest::collection::vec(0usize..60, 0..8),
        is_call in any::<bool>(),
    ) {
        let text = words.concat();
        let whole = [text.as_str()];
        let mut at: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len() && text.is_char_boundary(*cut)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let cut: Vec<_> = at.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()).collect();
        let hear_all = |pieces: &[&str]| {
            let events: Vec<_> = pieces.iter().map(|text| if is_call {
                chunk(&json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}))
            } else { content(text) }).chain([finish(0, "stop")]).collect();
            let (out, ..) = run(stream(), &[events.concat().as_bytes()]);
            let heard = hear(&out);
            heard.texts.values().next().cloned().unwrap_or_default()
        };
        let left = hear_all(&whole);
        prop_assert!(!left.contains("SECRET"));
        prop_assert_eq!(left, hear_all(&cut));
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..50, soup in r#"(data: |\n|\r\n|\{|\}|"choices"|:|\[|\]|"delta"|"index"|0|"content"|"a"|,|\[DONE\]){0,40}"#) {
        for input in [&bytes[..], soup.as_bytes()] {
            let pieces: Vec<_> = input.chunks(size).collect();
            let whole = run(stream(), &[input]);
            prop_assert_eq!(&whole, &run(stream(), &pieces));
        }
    }
}
