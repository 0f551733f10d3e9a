//! Log probabilities of a whole completion, and what is the same in all whole answers, as a completion shows it.

use portcullis_core::halt::Halt;
use portcullis_core::record::Finding;

use super::usage;
use crate::dialect::ModelRules;
use crate::dialect::answer::{Answer, blocked};
use crate::dialect::spelling::tokens;
use crate::dialect::splice::{Edit, contains, pointer};
use crate::dialect::tape::{Kind, Tape};
use crate::dialect::text::{Form, Left, whole};

/// A completion, an error, a list of models.
pub(crate) static ANSWER: Answer =
    Answer { usage, hidden: &[], written: |_| Vec::new(), spelling: drop_logprobs };

/// Takes the log probabilities from every choice that was changed, and from those whose tokens together spell what
/// must not leave.
fn drop_logprobs(
    rules: &ModelRules,
    tape: &Tape<'_>,
    findings: &mut Vec<Finding>,
    edits: &mut Vec<Edit>,
) -> Result<(), Halt> {
    let Some(choices) = tape.member(0, "choices") else { return Ok(()) };
    for choice in tape.children(choices) {
        let Some(logprobs) = tape.member(choice, "logprobs") else { continue };
        let (Some(node), Some(around)) = (tape.node(logprobs), tape.node(choice)) else { continue };
        if node.kind == Kind::Null {
            continue;
        }
        let is_changed = edits.iter().any(|edit| contains(around.span, edit.span));
        if is_changed || !tokens_pass(rules, tape, logprobs, findings)? {
            edits.retain(|edit| !contains(node.span, edit.span));
            edits.push(Edit::null(node.span));
        }
    }
    Ok(())
}

fn tokens_pass(
    rules: &ModelRules,
    tape: &Tape<'_>,
    logprobs: u32,
    findings: &mut Vec<Finding>,
) -> Result<bool, Halt> {
    for list in tape.children(logprobs) {
        match whole(&rules.answer, &tokens(tape, list), Form::Plain, findings, || pointer(tape, list)) {
            Left::Same => {}
            Left::Changed(_) => return Ok(false),
            Left::Blocked => return Err(blocked(tape, list)),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use portcullis_core::halt::Reason;
    use portcullis_core::record::Usage;

    use super::*;
    use crate::dialect::Screen;
    use crate::dialect::openai::chat::screen_answer;

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
        same(r#"{ "id" : "x", "created":1.50e3, "choices":[{"message":{"content":"\u0041 SECRE"}}] }"#);
        same(r#"[]"#);
        same(r#"{"choices":[{"message":{"content":null},"logprobs":{"content":[{"token":"a"}]}}]}"#);
    }

    #[test]
    fn every_string_is_screened_where_it_stands() {
        check(
            r#"{"choices":[{"message":{"content":"a \u0053ECRET","x":[1.0]}}]}"#,
            r#"{"choices":[{"message":{"content":"a [word]","x":[1.0]}}]}"#,
            &["/choices/0/message/content"],
        );
        check(
            r#"{"choices":[{"message":{"reasoning":"SECRET"}}]}"#,
            r#"{"choices":[{"message":{"reasoning":"[word]"}}]}"#,
            &["/choices/0/message/reasoning"],
        );
        check(
            r#"{"a/SECRET":[{"b":"SECRET"}]}"#,
            r#"{"a/[word]":[{"b":"[word]"}]}"#,
            &["/a~1SECRET", "/a~1SECRET/0/b"],
        );
    }

    #[test]
    fn escapes_inside_arguments_hide_nothing() {
        check(
            r#"{"function":{"arguments":"{\"to\":\"\\u0053ECRET\\n\"}"}}"#,
            r#"{"function":{"arguments":"{\"to\":\"[word]\\n\"}"}}"#,
            &["/function/arguments"],
        );
        same(r#"{"function":{"arguments":"{\"to\":\"\\u0053ECRE\\n\"}"}}"#);
    }

    #[test]
    fn what_is_encoded_for_machines_is_no_text() {
        same(r#"{"data":[{"embedding":"SECRET++"},{"b64_json":"iVBORw0KGgo="}]}"#);
        check(r#"{"b64_json":"SECRET"}"#, r#"{"b64_json":"[word]"}"#, &["/b64_json"]);
    }

    #[test]
    fn log_probabilities_do_not_spell_what_was_redacted() {
        check(
            r#"{"choices":[{"message":{"content":"SECRET"},"logprobs":{"content":[{"token":"SECRET"}]}},{"logprobs":{"content":[{"token":"b"}]}}]}"#,
            r#"{"choices":[{"message":{"content":"[word]"},"logprobs":null},{"logprobs":{"content":[{"token":"b"}]}}]}"#,
            &["/choices/0/message/content", "/choices/0/logprobs/content/0/token"],
        );
        check(
            r#"{"choices":[{"logprobs":{"content":[{"token":"SEC"},{"token":"RET"}]}}]}"#,
            r#"{"choices":[{"logprobs":null}]}"#,
            &["/choices/0/logprobs/content"],
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
        assert_eq!(fails(r#"{"choices":[{"message":{"content":"FORBIDDEN"}}]}"#), Reason::AnswerBlocked);
        assert_eq!(fails(r#"{"content":"a","content":"b"}"#), Reason::AnswerUnreadable);
        assert_eq!(fails("<html>"), Reason::AnswerUnreadable);
        assert_eq!(fails(""), Reason::AnswerUnreadable);
    }

    #[test]
    fn usage_is_read() {
        let body =
            Bytes::from_static(br#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#);
        let screened = screen_answer(&ModelRules::default(), &body, &mut Vec::new()).unwrap();
        assert_eq!(screened.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
    }
}
