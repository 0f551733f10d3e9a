//! Streamed messages: what leaves, how it ends, and that it is what a whole message would be.

use std::collections::BTreeMap;

use bytes::BytesMut;
use portcullis_core::halt::Reason;
use portcullis_core::record::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Screen, StreamEnd};
use crate::sse::{Decoder, Limits};

fn rules() -> ModelRules {
    ModelRules { answer: Screen::on(), ..ModelRules::default() }
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn begin() -> String {
    event(
        &json!({"type": "message_start", "message": {"id": "m-1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 1}}}),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "a value is written where it is made")]
fn block(index: usize, block: Value) -> String {
    event(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

#[expect(clippy::needless_pass_by_value, reason = "a value is written where it is made")]
fn delta(index: usize, delta: Value) -> String {
    event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn text(index: usize, text: &str) -> String {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn thinking(index: usize, text: &str) -> String {
    delta(index, json!({"type": "thinking_delta", "thinking": text}))
}

fn input(index: usize, part: &str) -> String {
    delta(index, json!({"type": "input_json_delta", "partial_json": part}))
}

fn signature(index: usize, signature: &str) -> String {
    delta(index, json!({"type": "signature_delta", "signature": signature}))
}

fn citation(index: usize, quoted: &str) -> String {
    let citation = json!({"type": "char_location", "cited_text": quoted, "document_index": 0, "document_title": null,
        "start_char_index": 0, "end_char_index": 1});
    delta(index, json!({"type": "citations_delta", "citation": citation}))
}

fn stop(index: usize) -> String {
    event(&json!({"type": "content_block_stop", "index": index}))
}

fn end() -> String {
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 7}});
    event(&end) + &event(&json!({"type": "message_stop"}))
}

fn empty(kind: &str) -> Value {
    match kind {
        "text" => json!({"type": "text", "text": ""}),
        "thinking" => json!({"type": "thinking", "thinking": "", "signature": ""}),
        _ => json!({"type": "tool_use", "id": "t-1", "name": "f", "input": {}}),
    }
}

/// What a client makes of a stream, as its SDKs do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    texts: BTreeMap<u64, String>,
    signatures: BTreeMap<u64, String>,
    citations: BTreeMap<u64, Vec<Value>>,
    stop_reason: Option<String>,
    error: Option<Value>,
    is_over: bool,
}

fn hear(out: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let (mut has_begun, mut open) = (false, Vec::new());
    let mut decoder = Decoder::new(Limits::default());
    let mut rest = out;
    while let Some(event) = decoder.next(&mut rest).unwrap() {
        let name = event.other_lines().find_map(|line| line.strip_prefix(b"event: ")).map(<[u8]>::to_vec);
        let Some(data) = event.data else { continue };
        let data: Value = serde_json::from_slice(&data).unwrap();
        let kind = data["type"].as_str().unwrap();
        assert_eq!(name.as_deref(), Some(kind.as_bytes()), "SDKs go by the name of the event");
        assert!(!heard.is_over, "nothing follows the end");
        assert_eq!(has_begun, !matches!(kind, "message_start"), "{kind} in its order, or an error");
        let index = data["index"].as_u64().unwrap_or_default();
        match kind {
            "message_start" => has_begun = true,
            "content_block_start" => {
                open.push(index);
                let block = &data["content_block"];
                let said = block["text"].as_str().or(block["thinking"].as_str()).unwrap_or_default();
                heard.texts.entry(index).or_default().push_str(said);
            }
            "content_block_delta" => {
                assert!(open.contains(&index), "a delta of a block that is not open: {data}");
                let delta = &data["delta"];
                let said = ["text", "thinking", "partial_json"].iter().find_map(|name| delta[*name].as_str());
                heard.texts.entry(index).or_default().push_str(said.unwrap_or_default());
                if let Some(signature) = delta["signature"].as_str() {
                    heard.signatures.insert(index, signature.to_owned());
                }
                if let Some(citation) = delta.get("citation") {
                    heard.citations.entry(index).or_default().push(citation["cited_text"].clone());
                }
            }
            "content_block_stop" => {
                assert!(open.contains(&index), "an end of a block that is not open");
                open.retain(|open| *open != index);
            }
            "message_delta" => heard.stop_reason = data["delta"]["stop_reason"].as_str().map(str::to_owned),
            "message_stop" => {
                assert_eq!(open, [0_u64; 0], "every block has ended");
                heard.is_over = true;
            }
            "error" => (heard.error, heard.is_over) = (Some(data["error"].clone()), true),
            other => assert_eq!(other, "ping"),
        }
    }
    assert_eq!(decoder.finish(), Ok(None), "the stream is well-formed to its end");
    heard
}

fn run(pieces: &[&[u8]]) -> (BytesMut, Option<StreamEnd>, Vec<String>, Option<Usage>) {
    run_on(stream(&rules(), "record-1"), pieces)
}

fn run_on(
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

/// What leaves for these events of blocks, between the begin of a message and its end.
fn check(events: &[String], expected: &[String], at: &[&str]) {
    let around = |events: &[String]| [&[begin()], events, &[end()]].concat().concat();
    let (out, end, found, _) = run(&[around(events).as_bytes()]);
    assert_eq!(std::str::from_utf8(&out).unwrap(), around(expected));
    assert_eq!((end, found.iter().map(String::as_str).collect::<Vec<_>>()), (None, at.to_vec()));
    hear(&out);
}

fn same(events: &[String]) {
    check(events, events, &[]);
}

#[test]
fn what_is_clean_keeps_its_bytes() {
    same(&[
        block(0, empty("thinking")),
        thinking(0, "let me "),
        thinking(0, "see\n"),
        signature(0, "c2ln"),
        stop(0),
        event(&json!({"type": "ping"})),
        block(1, empty("text")),
        text(1, "a"),
        text(1, " b\u{e9}"),
        citation(1, "b"),
        stop(1),
        block(2, empty("tool_use")),
        input(2, ""),
        input(2, "{\"a\":"),
        input(2, " \"x\\n\\u0041\"}"),
        stop(2),
    ]);
    same(&[
        block(0, json!({"type": "server_tool_use", "id": "s-1", "name": "web_search", "input": {}})),
        input(0, "{\"query\":\"a\"}"),
        stop(0),
        block(
            1,
            json!({"type": "web_search_tool_result", "tool_use_id": "s-1", "content": [
            {"type": "web_search_result", "title": "a", "url": "https://a.example", "encrypted_content": "c2ln", "page_age": null}]}),
        ),
        stop(1),
        block(2, json!({"type": "redacted_thinking", "data": "c2ln"})),
        stop(2),
    ]);
}

#[test]
fn what_is_cut_across_events_is_found() {
    check(
        &[block(0, empty("text")), text(0, "a SEC"), text(0, "RET b"), stop(0)],
        &[block(0, empty("text")), text(0, "a "), text(0, "[word] b"), stop(0)],
        &["0 text"],
    );
    check(
        &[block(0, empty("tool_use")), input(0, "{\"a\":\"\\u00"), input(0, "53ECRET\"}"), stop(0)],
        &[block(0, empty("tool_use")), input(0, "{\"a\":\""), input(0, "[word]\"}"), stop(0)],
        &["0 input"],
    );
    // What is held leaves before its block ends, and other blocks are other texts.
    check(
        &[block(0, empty("text")), text(0, "SEC"), stop(0), block(1, empty("text")), text(1, "RET"), stop(1)],
        &[
            block(0, empty("text")),
            text(0, ""),
            text(0, "SEC"),
            stop(0),
            block(1, empty("text")),
            text(1, "RET"),
            stop(1),
        ],
        &[],
    );
}

#[test]
fn a_signature_is_emptied_where_a_thought_was_changed() {
    check(
        &[
            block(0, empty("thinking")),
            thinking(0, "a SEC"),
            thinking(0, "RET"),
            signature(0, "c2ln"),
            stop(0),
        ],
        &[block(0, empty("thinking")), thinking(0, "a "), thinking(0, "[word]"), signature(0, ""), stop(0)],
        &["0 thinking"],
    );
    // What was held goes before its signature, and was not changed.
    check(
        &[block(0, empty("thinking")), thinking(0, "a SEC"), signature(0, "c2ln"), stop(0)],
        &[block(0, empty("thinking")), thinking(0, "a "), thinking(0, "SEC"), signature(0, "c2ln"), stop(0)],
        &[],
    );
    let late = [begin(), block(0, empty("thinking")), signature(0, "c2ln"), thinking(0, "late")].concat();
    assert_eq!(run(&[late.as_bytes()]).1, None, "a text that begins after its signature has none");
    let late =
        [begin(), block(0, empty("thinking")), thinking(0, "a"), signature(0, "s"), thinking(0, "late")];
    assert_eq!(run(&[late.concat().as_bytes()]).1, Some(StreamEnd::LateText));
}

#[test]
fn citations_wait_for_their_text_and_go_with_it() {
    // However late the text says what is redacted, and whether or not they spell it.
    for events in [[text(0, "SECRET"), citation(0, "ECRE")], [citation(0, "ECRE"), text(0, "SECRET")]] {
        check(
            &[&[block(0, empty("text"))], &events[..], &[stop(0)]].concat(),
            &[block(0, empty("text")), text(0, "[word]"), stop(0)],
            &["0 text"],
        );
    }
    check(
        &[block(0, empty("text")), text(0, "a"), citation(0, "SEC"), citation(0, "RET"), stop(0)],
        &[block(0, empty("text")), text(0, "a"), stop(0)],
        &["0 text"],
    );
    check(
        &[block(0, empty("text")), citation(0, "b"), text(0, "a SEC"), stop(0)],
        &[block(0, empty("text")), text(0, "a "), text(0, "SEC"), citation(0, "b"), stop(0)],
        &[],
    );
}

#[test]
fn a_block_of_a_rule_ends_as_a_refusal() {
    let refused = |events: &[String], texts: &[(u64, &str)]| {
        let (out, end, ..) = run(&[events.concat().as_bytes()]);
        let heard = hear(&out);
        assert_eq!(end, Some(StreamEnd::Blocked));
        assert_eq!((heard.stop_reason.as_deref(), heard.is_over), (Some("refusal"), true));
        let texts: BTreeMap<u64, String> = texts.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(heard.texts, texts, "{events:?}");
        String::from_utf8(out.to_vec()).unwrap()
    };
    let first = [begin(), block(0, empty("text")), text(0, "ok"), stop(0)];
    let out = refused(
        &[&first[..], &[block(1, empty("text")), text(1, "b FORB"), text(1, "IDDEN c"), text(1, "d")]]
            .concat(),
        &[(0, "ok"), (1, "b ")],
    );
    assert!(out.contains(r#""usage":{"output_tokens":1}"#) && out.contains("not allowed to leave"), "{out}");
    // A block that did not begin does not end.
    let tool = json!({"type": "tool_use", "id": "FORBIDDEN", "name": "f", "input": {}});
    refused(&[&first[..], &[block(1, tool)]].concat(), &[(0, "ok")]);
    refused(
        &[&first[..], &[block(1, empty("tool_use")), input(1, "{\"a\":\"FORBIDDEN\"}")]].concat(),
        &[(0, "ok"), (1, "{\"a\":\"")],
    );
    refused(
        &[begin(), block(0, empty("text")), citation(0, "FORB"), citation(0, "IDDEN"), stop(0)],
        &[(0, "")],
    );
    // Before a message has begun.
    refused(&[begin().replace("m-1", "FORBIDDEN")], &[]);
}

#[test]
fn what_cannot_be_read_ends_with_an_error() {
    let fails = |event: &str| {
        let input = [begin(), block(0, empty("text")), text(0, "a"), event.to_owned(), text(0, "b")].concat();
        let (out, end, ..) = run(&[input.as_bytes()]);
        let heard = hear(&out);
        assert_eq!(heard.texts[&0], "a");
        assert_eq!(heard.error.unwrap()["type"], "api_error");
        end.unwrap()
    };
    assert_eq!(fails("event: news\ndata: {\"type\":\"news\"}\n\n"), StreamEnd::UnknownEvent);
    assert_eq!(
        fails(&delta(0, json!({"type": "compaction_delta", "content": "x"}))),
        StreamEnd::UnknownEvent
    );
    assert_eq!(fails("event: ping\ndata: {\"type\":\"message_stop\"}\n\n"), StreamEnd::UnknownEvent);
    assert_eq!(fails(&(stop(0) + &text(0, "late"))), StreamEnd::LateText);
    assert_eq!(fails("data: {\"type\":\"content_block_stop\"}\n\n"), StreamEnd::BadIndex);
    // The provider's own error passes, read.
    let error = event(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "SECRET"}}));
    let (out, end, ..) = run(&[[begin(), error].concat().as_bytes()]);
    assert_eq!(hear(&out).error.unwrap(), json!({"type": "overloaded_error", "message": "[word]"}));
    assert_eq!(end, None);
}

#[test]
fn usage_is_the_newest_of_each() {
    let (.., usage) = run(&[[begin(), end()].concat().as_bytes()]);
    assert_eq!(usage, Some(Usage { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 }));
}

#[test]
fn every_kind_of_the_contract_may_be_another_only_where_the_operator_says_so() {
    let kinds = |contract: &Value| {
        let choices = contract["components"]["schemas"]["Block"]["anyOf"].as_array().unwrap().len();
        portcullis_core::contract::Contract::compile(contract.clone(), &Default::default()).unwrap();
        choices
    };
    assert_eq!(kinds(&contract(true)), kinds(&contract(false)) + 1);
}

/// A block: its kind, its text in pieces, and what it quotes or is signed with.
#[derive(Debug, Clone)]
struct Block {
    kind: &'static str,
    pieces: Vec<String>,
    quotes: Vec<&'static str>,
}

const PIECES: [&str; 17] = [
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
];

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let kind = proptest::sample::select(vec!["text", "thinking", "tool_use"]);
    let piece = proptest::sample::select(PIECES.to_vec());
    let pieces = proptest::collection::vec(piece, 0..8);
    let quotes = proptest::collection::vec(proptest::sample::select(vec!["a", "SEC", "RET", "SECRET"]), 0..3);
    let cuts = proptest::collection::vec(0usize..40, 0..6);
    let block = (kind, pieces, quotes, cuts).prop_map(|(kind, pieces, quotes, cuts)| {
        let text = pieces.concat();
        let text = if kind == "tool_use" { json!({ "a": text, "n": [1, text] }).to_string() } else { text };
        let mut at: Vec<_> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap().to_owned()).collect();
        Block { kind, pieces, quotes }
    });
    proptest::collection::vec(block, 0..4)
}

/// The message as a stream: quotes come after the pieces that stand before them.
fn streamed(blocks: &[Block]) -> String {
    let mut events = begin();
    for (nth, one) in blocks.iter().enumerate() {
        events += &block(nth, empty(one.kind));
        for (at, piece) in one.pieces.iter().enumerate() {
            events += &match one.kind {
                "text" => text(nth, piece),
                "thinking" => thinking(nth, piece),
                _ => input(nth, piece),
            };
            if let (Some(quote), "text") = (one.quotes.get(at), one.kind) {
                events += &citation(nth, quote);
            }
        }
        let rest = one.quotes.iter().skip(one.pieces.len());
        if one.kind == "text" {
            rest.for_each(|quote| events += &citation(nth, quote));
        }
        if one.kind == "thinking" {
            events += &signature(nth, "c2ln");
        }
        events += &stop(nth);
    }
    events + &end()
}

/// The same message, whole.
fn whole_message(blocks: &[Block]) -> Bytes {
    let blocks = blocks.iter().map(|one| {
        let text = one.pieces.concat();
        match one.kind {
            "text" => {
                let cite = |quote: &&str| json!({ "type": "char_location", "cited_text": quote });
                json!({ "type": "text", "text": text, "citations": one.quotes.iter().map(cite).collect::<Vec<_>>() }).to_string()
            }
            "thinking" => json!({ "type": "thinking", "thinking": text, "signature": "c2ln" }).to_string(),
            _ => format!(r#"{{"type":"tool_use","id":"t-1","name":"f","input":{text}}}"#),
        }
    });
    format!(r#"{{"content":[{}]}}"#, blocks.collect::<Vec<_>>().join(",")).into()
}

proptest! {
    #[test]
    fn a_streamed_message_is_the_whole_one(blocks in blocks(), size in 1usize..90) {
        let input = streamed(&blocks);
        let (out, end, ..) = run(&[input.as_bytes()]);
        let pieces: Vec<_> = input.as_bytes().chunks(size).collect();
        prop_assert_eq!(&run(&pieces).0, &out);
        let heard = hear(&out);
        let screened = screen_answer(&rules(), &whole_message(&blocks), &mut Vec::new());
        match screened {
            Err(halt) => {
                prop_assert_eq!(halt.reason(), Some(Reason::AnswerBlocked));
                prop_assert_eq!(end, Some(StreamEnd::Blocked));
                prop_assert_eq!(heard.stop_reason.as_deref(), Some("refusal"));
            }
            Ok(screened) => {
                prop_assert_eq!(end, None);
                let message: Value = serde_json::from_slice(&screened.body).unwrap();
                for (nth, one) in (0_u64..).zip(&blocks) {
                    let block = &message["content"][nth as usize];
                    let said = &heard.texts[&nth];
                    match one.kind {
                        "tool_use" => prop_assert_eq!(&serde_json::from_str::<Value>(said).unwrap(), &block["input"]),
                        kind => prop_assert_eq!(said, block[kind].as_str().unwrap()),
                    }
                    if one.kind == "thinking" {
                        prop_assert_eq!(&heard.signatures[&nth], block["signature"].as_str().unwrap());
                    }
                    let cited = |one: &Value| one["cited_text"].clone();
                    let citations: Vec<Value> = block["citations"].as_array().into_iter().flatten().map(cited).collect();
                    prop_assert_eq!(heard.citations.get(&nth).cloned().unwrap_or_default(), citations);
                }
                prop_assert_eq!(heard.stop_reason.as_deref(), Some("end_turn"));
            }
        }
    }

    #[test]
    fn a_known_shape_means_what_the_whole_reading_means(blocks in blocks()) {
        let input = streamed(&blocks);
        let mut slow = stream(&rules(), "record-1");
        slow.forget_shapes();
        let values = |out: &[u8]| -> Vec<Value> {
            let lines = std::str::from_utf8(out).unwrap().lines().filter_map(|line| line.strip_prefix("data: "));
            lines.map(|data| serde_json::from_str(data).unwrap()).collect()
        };
        let (known, known_end, known_at, _) = run(&[input.as_bytes()]);
        let (read, read_end, read_at, _) = run_on(slow, &[input.as_bytes()]);
        prop_assert_eq!(values(&known), values(&read));
        prop_assert_eq!((known_end, known_at), (read_end, read_at));
    }
}
