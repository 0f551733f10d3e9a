//! Embeddings: texts in, vectors out.

use std::sync::LazyLock;

use bytes::Bytes;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Finding, Usage};
use serde_json::Value;

use crate::dialect::answer::{self, Answer};
use crate::dialect::rules::unread;
use crate::dialect::surfaces::Origin::{Document, Setting};
use crate::dialect::surfaces::Surface::{Nothing, Text};
use crate::dialect::surfaces::{Row, Table};
use crate::dialect::tape::Tape;
use crate::dialect::walk::Walk;
use crate::dialect::{Asked, ModelRules, Screened};
use crate::elsewhere::Hearing;

/// Every field of the request. What is embedded is read by a model later, where it was found: it is a document's.
pub(crate) const SURFACES: &[Row] = &[
    ("/input", Text, Document),
    ("/input/*", Text, Document),
    ("/input/*/*", Nothing, Setting),
    ("/model", Text, Setting),
    ("/dimensions", Nothing, Setting),
    ("/encoding_format", Nothing, Setting),
    ("/user", Text, Setting),
];

/// The fields of a request.
pub(crate) fn fields() -> Vec<String> {
    Table::ways(SURFACES)
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(SURFACES));

static ANSWER: Answer = Answer { usage, hidden: &[], written: |_| Vec::new(), spelling: |_, _, _, _| Ok(()) };

/// See [`inspect_request`](crate::dialect::inspect_request).
pub fn inspect_request(
    rules: &ModelRules,
    document: &Value,
    hearing: &mut Hearing,
    findings: &mut Vec<Finding>,
) -> Result<Asked, Halt> {
    let invalid = |detail: &'static str| Halt::new(Reason::BodyInvalid, detail);
    let root = document.as_object().ok_or_else(|| invalid("the body is no object"))?;
    let input = root.get("input").ok_or_else(|| invalid("no input"))?;
    let is_text = match input {
        Value::String(_) => true,
        Value::Array(inputs) => inputs.iter().all(Value::is_string),
        _ => return Err(invalid("the input is no text")),
    };
    if !(is_text || rules.passes_tokens) {
        return Err(unread("/input", "numbers of tokens cannot be read"));
    }
    let screened =
        Walk::new(rules, &TABLE, |_, _, _, around| around, hearing, findings).document(document)?;
    let sent = screened.as_ref().unwrap_or(document);
    let body = serde_json::to_vec(sent).map_err(|error| Halt::new(Reason::Internal, error.to_string()))?;
    let model = sent.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Asked { body: Bytes::from(body), model, wants_stream: false, hides_usage: false, added_bytes: 0 })
}

/// See [`screen_answer`](crate::dialect::screen_answer). Vectors are no text.
pub fn screen_answer(
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    answer::screen_answer(&ANSWER, rules, body, findings)
}

fn usage(tape: &Tape<'_>) -> Option<Usage> {
    let usage = tape.member(0, "usage")?;
    let prompt_tokens = tape.member(usage, "prompt_tokens").and_then(|id| tape.count(id))?;
    let total = tape.member(usage, "total_tokens").and_then(|id| tape.count(id));
    Some(Usage { prompt_tokens, completion_tokens: 0, total_tokens: total.unwrap_or(prompt_tokens) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::Screen;
    use crate::dialect::surfaces::tests::check_table;

    fn rules() -> ModelRules {
        ModelRules { prompt: Screen::on(), answer: Screen::on(), ..ModelRules::default() }
    }

    #[test]
    fn every_field_of_the_contract_is_in_the_table_and_every_row_is_a_field() {
        check_table(crate::dialect::openai::EMBEDDINGS, "EmbeddingsRequest", SURFACES, &[]);
    }

    #[test]
    fn every_text_is_screened() {
        let check = |input: Value, expected: Value, at: &[&str]| {
            let mut findings = Vec::new();
            let document = json!({ "model": "m", "input": input });
            let asked = inspect_request(&rules(), &document, &mut Hearing::default(), &mut findings).unwrap();
            let sent: Value = serde_json::from_slice(&asked.body).unwrap();
            assert_eq!(sent, json!({ "model": "m", "input": expected }));
            assert_eq!(findings.into_iter().map(|finding| finding.at).collect::<Vec<_>>(), at);
            assert_eq!((asked.model.as_str(), asked.wants_stream), ("m", false));
        };
        check(json!("a SECRET"), json!("a [word]"), &["/input"]);
        check(json!(["a", "SECRET"]), json!(["a", "[word]"]), &["/input/1"]);
        check(json!("clean"), json!("clean"), &[]);
    }

    #[test]
    fn numbers_of_tokens_pass_only_where_that_is_written() {
        for input in [json!([1, 2]), json!([[1, 2], [3]]), json!(["a", [1]])] {
            let document = json!({ "model": "m", "input": input });
            let halt =
                inspect_request(&rules(), &document, &mut Hearing::default(), &mut Vec::new()).unwrap_err();
            assert_eq!(halt.reason(), Some(Reason::BodyInvalid));
            let Halt::Refusal(refusal) = halt else { panic!("a refusal") };
            assert_eq!(refusal.violations[0].at, "/input");
            let rules = ModelRules { passes_tokens: true, ..rules() };
            let asked = inspect_request(&rules, &document, &mut Hearing::default(), &mut Vec::new()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap(), document);
        }
        for document in [json!([]), json!({}), json!({ "input": 7 })] {
            assert!(
                inspect_request(&rules(), &document, &mut Hearing::default(), &mut Vec::new()).is_err(),
                "{document}"
            );
        }
        let document = json!({ "model": "m", "input": ["FORBIDDEN"] });
        let halt =
            inspect_request(&rules(), &document, &mut Hearing::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(halt.reason(), Some(Reason::ContentBlocked));
    }

    #[test]
    fn vectors_are_no_text_and_usage_is_read() {
        let body = br#"{"data":[{"embedding":[0.25,-1]},{"embedding":"SECRET++"}],"model":"a SECRET","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        let screened = screen_answer(&rules(), &Bytes::from_static(body), &mut Vec::new()).unwrap();
        let expected = std::str::from_utf8(body).unwrap().replace("a SECRET", "a [word]");
        assert_eq!(std::str::from_utf8(&screened.body).unwrap(), expected);
        let usage = Usage { prompt_tokens: 3, completion_tokens: 0, total_tokens: 3 };
        assert_eq!(screened.usage, Some(usage));
    }
}
