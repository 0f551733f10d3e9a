//! What is particular to whole answers: calls of tools, citations and signatures.

use portcullis_core::halt::Halt;
use portcullis_core::record::Finding;

use super::usage;
use crate::dialect::ModelRules;
use crate::dialect::answer::{Answer, blocked};
use crate::dialect::splice::{Edit, contains, pointer};
use crate::dialect::tape::{Kind, Tape};
use crate::dialect::text::{Form, Left, whole};

/// A message, a count, an error, a list of models.
///
/// What a tool is called with is screened as the JSON text that it is, because that is how it comes in a stream.
/// Citations quote what a text was taken from: a text that was redacted loses them. A signature vouches for what a model
/// thought: where that was redacted it vouches for nothing, and is emptied. The request leaves such a thought out when a
/// client sends it again.
pub(super) static ANSWER: Answer =
    Answer { usage: |tape| usage(tape, 0, None), hidden: &[], written: inputs, spelling: echoes };

fn blocks(tape: &Tape<'_>) -> Vec<u32> {
    tape.member(0, "content").into_iter().flat_map(|content| tape.children(content)).collect()
}

/// What the calls of tools in the message are called with.
fn inputs(tape: &Tape<'_>) -> Vec<u32> {
    let is_json =
        |id: &u32| tape.node(*id).is_some_and(|node| matches!(node.kind, Kind::Object | Kind::Array));
    blocks(tape).into_iter().filter_map(|block| tape.member(block, "input")).filter(is_json).collect()
}

/// Takes from the blocks that were changed what quotes their text's origin, or vouches for it.
fn echoes(
    rules: &ModelRules,
    tape: &Tape<'_>,
    findings: &mut Vec<Finding>,
    edits: &mut Vec<Edit>,
) -> Result<(), Halt> {
    for block in blocks(tape) {
        if let Some(citations) = tape.member(block, "citations") {
            let is_changed = is_changed(tape, tape.member(block, "text"), edits);
            if !cited_passes(rules, tape, citations, findings, edits)? || is_changed {
                replace(tape, citations, "null", edits);
            }
        }
        if let Some(signature) = tape.member(block, "signature")
            && is_changed(tape, Some(block), edits)
        {
            replace(tape, signature, "\"\"", edits);
        }
    }
    Ok(())
}

/// Whether what a list of citations quotes, all of it together, may leave.
fn cited_passes(
    rules: &ModelRules,
    tape: &Tape<'_>,
    citations: u32,
    findings: &mut Vec<Finding>,
    edits: &[Edit],
) -> Result<bool, Halt> {
    let quoted = tape.children(citations).filter_map(|one| tape.member(one, "cited_text"));
    let quoted: String = quoted.filter_map(|id| tape.string(id)).collect();
    let found = findings.len();
    let left = whole(&rules.answer, &quoted, Form::Plain, findings, || pointer(tape, citations));
    if left == Left::Same || is_changed(tape, Some(citations), edits) {
        // What each quotes was reported where it stands.
        findings.truncate(found);
    }
    match left {
        Left::Same => Ok(true),
        Left::Changed(_) => Ok(false),
        Left::Blocked => Err(blocked(tape, citations)),
    }
}

fn is_changed(tape: &Tape<'_>, id: Option<u32>, edits: &[Edit]) -> bool {
    let span = id.and_then(|id| tape.node(id)).map(|node| node.span);
    span.is_some_and(|span| edits.iter().any(|edit| contains(span, edit.span)))
}

fn replace(tape: &Tape<'_>, id: u32, json: &str, edits: &mut Vec<Edit>) {
    let Some(span) = tape.node(id).map(|node| node.span) else { return };
    edits.retain(|edit| !contains(span, edit.span));
    edits.push(Edit { span, json: json.to_owned() });
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use portcullis_core::halt::Reason;
    use portcullis_core::record::Usage;

    use super::*;
    use crate::dialect::Screen;
    use crate::dialect::anthropic::screen_answer;

    fn rules() -> ModelRules {
        ModelRules { answer: Screen::on(), ..ModelRules::default() }
    }

    fn check(body: &str, expected: &str, at: &[&str]) {
        let mut findings = Vec::new();
        let screened = screen_answer(&rules(), &Bytes::from(body.to_owned()), &mut findings).unwrap();
        assert_eq!(std::str::from_utf8(&screened.body).unwrap(), expected);
        assert_eq!(findings.iter().map(|finding| finding.at.as_str()).collect::<Vec<_>>(), at, "{body}");
    }

    fn same(body: &str) {
        check(body, body, &[]);
    }

    #[test]
    fn what_is_clean_keeps_its_bytes() {
        same(
            r#"{ "id" : "x", "content":[{"type":"text","text":"\u0041 SECRE"},{"type":"tool_use","input":{ "a":[1.50e3,"\u0041"]}}] }"#,
        );
        same(
            r#"{"content":[{"type":"thinking","thinking":"a","signature":"sig"},{"type":"text","text":"b","citations":[{"cited_text":"SEC"},{"cited_text":"ond"}]}]}"#,
        );
        same(r#"{"input_tokens":14}"#);
        same("[]");
    }

    #[test]
    fn every_string_is_screened_where_it_stands() {
        check(
            r#"{"content":[{"type":"text","text":"a \u0053ECRET"}],"model":"SECRET"}"#,
            r#"{"content":[{"type":"text","text":"a [word]"}],"model":"[word]"}"#,
            &["/content/0/text", "/model"],
        );
        check(
            r#"{"content":[{"type":"web_search_tool_result","content":[{"title":"SECRET","url":"https://SECRET"}]}]}"#,
            r#"{"content":[{"type":"web_search_tool_result","content":[{"title":"[word]","url":"https://[word]"}]}]}"#,
            &["/content/0/content/0/title", "/content/0/content/0/url"],
        );
        check(
            r#"{"error":{"message":"SECRET"},"SECRET":1}"#,
            r#"{"error":{"message":"[word]"},"[word]":1}"#,
            &["/error/message", "/SECRET"],
        );
    }

    #[test]
    fn what_a_tool_is_called_with_is_json() {
        check(
            r#"{"content":[{"type":"tool_use","name":"f","input":{"to":"\u0053ECRET\n", "SECRET":["SECRET"]}}]}"#,
            r#"{"content":[{"type":"tool_use","name":"f","input":{"to":"[word]\n", "[word]":["[word]"]}}]}"#,
            &["/content/0/input", "/content/0/input", "/content/0/input"],
        );
    }

    #[test]
    fn citations_do_not_spell_what_was_redacted() {
        check(
            r#"{"content":[{"text":"SECRET","citations":[{"cited_text":"ECRE"}]},{"text":"a","citations":[{"cited_text":"b"}]}]}"#,
            r#"{"content":[{"text":"[word]","citations":null},{"text":"a","citations":[{"cited_text":"b"}]}]}"#,
            &["/content/0/text"],
        );
        check(
            r#"{"content":[{"text":"a","citations":[{"cited_text":"SEC"},{"cited_text":"RET"}]}]}"#,
            r#"{"content":[{"text":"a","citations":null}]}"#,
            &["/content/0/citations"],
        );
    }

    #[test]
    fn a_signature_vouches_for_what_was_not_changed() {
        check(
            r#"{"content":[{"type":"thinking","thinking":"SECRET","signature":"c2ln"},{"type":"thinking","thinking":"a","signature":"c2ln"}]}"#,
            r#"{"content":[{"type":"thinking","thinking":"[word]","signature":""},{"type":"thinking","thinking":"a","signature":"c2ln"}]}"#,
            &["/content/0/thinking"],
        );
    }

    #[test]
    fn what_is_blocked_or_ambiguous_does_not_leave() {
        let fails = |body: &'static str| {
            screen_answer(&rules(), &Bytes::from_static(body.as_bytes()), &mut Vec::new())
                .unwrap_err()
                .reason()
                .unwrap()
        };
        assert_eq!(fails(r#"{"content":[{"text":"FORBIDDEN"}]}"#), Reason::AnswerBlocked);
        assert_eq!(fails(r#"{"content":[{"input":{"a":"FORBIDDEN"}}]}"#), Reason::AnswerBlocked);
        assert_eq!(
            fails(r#"{"content":[{"citations":[{"cited_text":"FORB"},{"cited_text":"IDDEN"}]}]}"#),
            Reason::AnswerBlocked
        );
        assert_eq!(fails(r#"{"content":"a","content":"b"}"#), Reason::AnswerUnreadable);
        assert_eq!(fails("<html>"), Reason::AnswerUnreadable);
    }

    #[test]
    fn usage_is_read_with_what_was_cached() {
        let body = Bytes::from_static(
            br#"{"usage":{"input_tokens":3,"cache_creation_input_tokens":10,"cache_read_input_tokens":null,"output_tokens":4}}"#,
        );
        let screened = screen_answer(&ModelRules::default(), &body, &mut Vec::new()).unwrap();
        assert_eq!(screened.usage, Some(Usage { prompt_tokens: 13, completion_tokens: 4, total_tokens: 17 }));
    }
}
