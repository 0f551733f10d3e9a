//! A dialect of blocks: what deltas of several kinds under one name, blocks that only end, and a close that names what
//! is open ask of the engine. What numbered events and repeated texts ask of it stands with the responses.

use serde_json::{Value, json};

use super::*;

static GRAMMAR: Grammar = Grammar {
    deltas: &[
        Delta {
            event: "delta/text",
            piece: "/delta/text",
            place: "*/text",
            numbers: &["index"],
            form: Form::Plain,
            more: "",
        },
        Delta {
            event: "delta/json",
            piece: "/delta/part",
            place: "*/input",
            numbers: &["index"],
            form: Form::Json,
            more: "",
        },
    ],
    wholes: &[
        Whole { event: "begin", value: Some("/block"), place: "*", numbers: &["index"], when: When::Begin },
        Whole { event: "end", value: None, place: "*", numbers: &["index"], when: When::End },
        Whole { event: "stop", value: None, place: "", numbers: &[], when: When::End },
    ],
    echoes: &[],
    others: &["ping", "delta/sign"],
    ends: &["stop"],
    number: None,
    id: None,
    hidden: &["/operator"],
    root: "",
    kept: &[],
    usage: |_, known| known,
    close: |closing| format!("event: stop\ndata: {:?} {:?}\n\n", closing.reason, closing.open),
};

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or("none"))
}

fn begin(index: u64, text: &str) -> String {
    event(&json!({"type": "begin", "index": index, "block": {"type": "text", "text": text}}))
}

fn text(index: u64, text: &str) -> String {
    event(&json!({"type": "delta", "index": index, "delta": {"type": "text", "text": text}}))
}

fn end(index: u64) -> String {
    event(&json!({"type": "end", "index": index}))
}

fn stop() -> String {
    event(&json!({"type": "stop"}))
}

fn run_with(rules: &ModelRules, input: &str) -> (String, Option<StreamEnd>) {
    let mut stream = EventStream::new(&GRAMMAR, rules, "r");
    let mut out = BytesMut::new();
    let result = stream.push(input.as_bytes(), &mut out).and_then(|()| stream.finish(&mut out));
    assert!(stream.is_over());
    (String::from_utf8(out.to_vec()).unwrap(), result.err())
}

fn run(input: &[String]) -> (String, Option<StreamEnd>) {
    run_with(&ModelRules { answer: Screen::on(), ..ModelRules::default() }, &input.concat())
}

fn check(input: &[String], expected: &[String], end: Option<StreamEnd>) {
    assert_eq!(run(input), (expected.concat(), end));
}

#[test]
fn what_is_clean_leaves_as_it_came() {
    let sign = event(&json!({"type": "delta", "index": 0, "delta": {"type": "sign", "signature": "abc"}}));
    let json = event(&json!({"type": "delta", "index": 1, "delta": {"type": "json", "part": "{\"a"}}));
    let input = [
        begin(0, ""),
        text(0, "a"),
        event(&json!({"type": "ping"})),
        ": comment\n\n".into(),
        text(0, "b\n"),
        sign,
        end(0),
        begin(1, ""),
        json,
        end(1),
        stop(),
    ];
    check(&input, &input, None);
}

#[test]
fn what_is_held_leaves_in_its_own_kind_before_its_block_ends() {
    let input = [begin(0, ""), text(0, "a SEC"), end(0), stop()];
    check(&input, &[begin(0, ""), text(0, "a "), text(0, "SEC"), end(0), stop()], None);
    check(&input[..2], &[begin(0, ""), text(0, "a "), text(0, "SEC")], None);
    let part =
        |text: &str| event(&json!({"type": "delta", "index": 3, "delta": {"type": "json", "part": text}}));
    check(&[part("\"\\u0053EC"), end(3)], &[part("\""), part("SEC"), end(3)], None);
    // The text of a block that begins with some is joined to what follows.
    check(
        &[begin(0, "x SEC"), text(0, "RET y"), end(0)],
        &[begin(0, "x "), text(0, "[word] y"), end(0)],
        None,
    );
    check(
        &[begin(0, "SEC"), end(0)],
        &[begin(0, ""), end(0)]
            .iter()
            .enumerate()
            .flat_map(
                |(nth, event)| {
                    if nth == 0 { vec![event.clone(), text(0, "SEC")] } else { vec![event.clone()] }
                },
            )
            .collect::<Vec<_>>(),
        None,
    );
    // What another block holds stays held.
    check(
        &[text(0, "SEC"), text(1, "SEC"), end(0), text(1, "RET"), end(1)],
        &[text(0, ""), text(1, ""), text(0, "SEC"), end(0), text(1, "[word]"), end(1)],
        None,
    );
}

#[test]
fn a_block_of_a_rule_says_what_was_released_and_ends_the_stream() {
    let closed = |open: &str| format!("event: stop\ndata: AnswerBlocked {open}\n\n");
    let blocked = Some(StreamEnd::Blocked);
    check(
        &[begin(0, ""), text(0, "a FORB"), text(0, "IDDEN b"), text(0, "c")],
        &[begin(0, ""), text(0, "a "), closed("[\"0\"]")],
        blocked,
    );
    check(
        &[begin(0, ""), end(0), begin(1, ""), text(1, "a FORBIDDEN b")],
        &[begin(0, ""), end(0), begin(1, ""), text(1, "a "), closed("[\"1\"]")],
        blocked,
    );
    // Not before its block has begun.
    check(&[begin(0, "a FORBIDDEN")], &[closed("[]")], blocked);
    check(&[event(&json!({"type": "ping", "x": "FORBIDDEN"}))], &[closed("[]")], blocked);
}

#[test]
fn what_is_unknown_late_or_said_twice_ends_the_stream() {
    let fails = |event: String, expected: StreamEnd| {
        let (out, end) = run(&[begin(0, ""), text(0, "a"), event, text(0, "b")]);
        assert_eq!(end, Some(expected));
        let closed = "event: stop\ndata: AnswerUnreadable ";
        assert!(out.starts_with(&[begin(0, ""), text(0, "a")].concat()) && out.contains(closed), "{out}");
    };
    let delta = |delta: Value| event(&json!({"type": "delta", "index": 0, "delta": delta}));
    fails(event(&json!({"type": "news"})), StreamEnd::UnknownEvent);
    fails(delta(json!({"type": "news", "text": "x"})), StreamEnd::UnknownEvent);
    fails(delta(json!({"text": "x"})), StreamEnd::UnknownEvent);
    fails(delta(json!({"type": "text", "text": ["x"]})), StreamEnd::UnknownEvent);
    fails("data: {\"x\":1}\n\n".into(), StreamEnd::UnknownEvent);
    fails("event: ping\ndata: {\"type\":\"stop\"}\n\n".into(), StreamEnd::UnknownEvent);
    fails("event\ndata: {\"type\":\"ping\"}\n\n".into(), StreamEnd::UnknownEvent);
    fails("data: {\"type\":\"end\"}\n\n".into(), StreamEnd::BadIndex);
    fails([end(0), text(0, "late")].concat(), StreamEnd::LateText);
    fails("data: hello\n\n".into(), StreamEnd::Json(crate::dialect::TapeError::Malformed));
    check(&[text(0, ""), end(0), text(0, ""), stop()], &[text(0, ""), end(0), text(0, ""), stop()], None);
    // Nothing follows the end; a second end neither.
    check(&[stop(), text(0, "x")], &[stop()], None);
    check(&[stop(), "data: [DONE]\n\n".into(), text(0, "x")], &[stop(), "data: [DONE]\n\n".into()], None);
}

#[test]
fn the_operator_may_let_unknown_events_pass_and_they_are_read() {
    let rules = ModelRules { answer: Screen::on(), passes_unknown: true, ..ModelRules::default() };
    let news = event(&json!({"type": "news", "text": "a SECRET"}));
    let expected = news.replace("SECRET", "[word]");
    assert_eq!(run_with(&rules, &news), (expected, None));
}

#[test]
fn what_the_operator_wrote_is_not_said_again() {
    let said = event(&json!({"type": "ping", "operator": "Be kind. FORBIDDEN"}));
    let expected = event(&json!({"type": "ping", "operator": null}));
    let on = ModelRules { answer: Screen::on(), ..ModelRules::default() };
    let system = Some("Be kind.".into());
    assert_eq!(run_with(&ModelRules { system: system.clone(), ..on }, &said), (expected.clone(), None));
    assert_eq!(run_with(&ModelRules { system, ..ModelRules::default() }, &said), (expected, None));
    assert_eq!(run_with(&ModelRules::default(), &said), (said, None));
}

#[test]
fn a_screen_that_is_off_passes_what_it_cannot_read() {
    let input = ["data: hello\n\n".to_owned(), event(&json!({"type": "news"})), end(0), text(0, "late")];
    assert_eq!(run_with(&ModelRules::default(), &input.concat()), (input.concat(), None));
}
