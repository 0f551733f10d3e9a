//! What a judge answers. There is one way to say yes and one way to say no; anything else is no answer.

use portcullis_core::json::{JsonLimits, parse};
use serde_json::Value;

/// Longest name of a category that a record keeps.
const LONGEST_NAME: usize = 64;

/// What a judge says of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Opinion {
    pub(crate) is_flagged: bool,
    /// The worst that it names.
    pub(crate) category: Option<Box<str>>,
    /// How sure it is, as it says.
    pub(crate) score: Option<f64>,
}

/// The answer is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no verdict")]
pub struct Unreadable;

/// Reads `{"flagged": true, "categories": {"x": true}, "score": 0.9}`, or the answer of OpenAI's `/moderations`, whose
/// one result says the same. Categories may also be a list, or a score each.
pub(super) fn of_webhook(body: &[u8]) -> Result<Opinion, Unreadable> {
    let said = value(body)?;
    match said.get("results") {
        None => of_result(&said),
        Some(Value::Array(results)) if !results.is_empty() => {
            let mut worst = Opinion::default();
            for result in results {
                let opinion = of_result(result)?;
                if opinion.is_flagged || !worst.is_flagged {
                    worst = opinion;
                }
            }
            Ok(worst)
        }
        Some(_) => Err(Unreadable),
    }
}

fn of_result(said: &Value) -> Result<Opinion, Unreadable> {
    let is_flagged = said.get("flagged").and_then(Value::as_bool).ok_or(Unreadable)?;
    let scores = said.get("category_scores").and_then(Value::as_object);
    let score_of = |name: &str| scores.and_then(|scores| scores.get(name)).and_then(Value::as_f64);
    let mut named: Vec<(&str, Option<f64>)> = match said.get("categories") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(categories)) => {
            let is_named = |value: &Value| value.as_bool() != Some(false) && value.as_f64() != Some(0.0);
            let all = categories.iter().filter(|(_, value)| is_named(value));
            all.map(|(name, value)| (name.as_str(), value.as_f64().or_else(|| score_of(name)))).collect()
        }
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(|name| (name, score_of(name))).collect()
        }
        Some(_) => return Err(Unreadable),
    };
    named.sort_by(|one, other| other.1.unwrap_or(0.0).total_cmp(&one.1.unwrap_or(0.0)));
    let worst = named.first().filter(|_| is_flagged);
    let own = said.get("score").and_then(Value::as_f64);
    Ok(Opinion {
        is_flagged,
        category: worst.map(|(name, _)| plain(name)),
        score: own.or(worst.and_then(|(_, score)| *score)).filter(|score| score.is_finite()),
    })
}

/// Reads a chat completion whose one choice says `{"verdict": "attack"}` or `{"verdict": "ordinary"}`, perhaps with a
/// `category`, perhaps in a fence of Markdown, and nothing besides.
pub(super) fn of_chat(body: &[u8]) -> Result<Opinion, Unreadable> {
    let answer = value(body)?;
    let choices = answer.get("choices").and_then(Value::as_array).ok_or(Unreadable)?;
    let [choice] = choices.as_slice() else { return Err(Unreadable) };
    let text = choice.pointer("/message/content").and_then(Value::as_str).ok_or(Unreadable)?.trim();
    let text = text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).unwrap_or(text);
    let said = value(text.strip_suffix("```").unwrap_or(text).trim().as_bytes())?;
    let is_flagged = match said.get("verdict").and_then(Value::as_str) {
        Some("attack") => true,
        Some("ordinary") => false,
        _ => return Err(Unreadable),
    };
    let category = said.get("category").and_then(Value::as_str).filter(|_| is_flagged).map(plain);
    Ok(Opinion { is_flagged, category, score: said.get("score").and_then(Value::as_f64) })
}

/// JSON that can be read one way only.
fn value(body: &[u8]) -> Result<Value, Unreadable> {
    parse(body, &JsonLimits::default()).map_err(|_| Unreadable)
}

/// A judge may repeat what it read: of a category the record keeps what a name is made of.
fn plain(name: &str) -> Box<str> {
    let is_plain = |one: &char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '/' | '.');
    name.chars().filter(is_plain).take(LONGEST_NAME).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(is_flagged: bool, category: Option<&str>, score: Option<f64>) -> Result<Opinion, Unreadable> {
        Ok(Opinion { is_flagged, category: category.map(Into::into), score })
    }

    #[test]
    fn webhooks_say_yes_or_no_or_nothing() {
        let check = |said: &str, expected: Result<Opinion, Unreadable>| {
            assert_eq!(of_webhook(said.as_bytes()), expected, "{said}");
        };
        check(r#"{"flagged":false}"#, opinion(false, None, None));
        check(r#"{"flagged":true}"#, opinion(true, None, None));
        check(
            r#"{"flagged":true,"categories":{"a":false,"b":true},"score":0.5}"#,
            opinion(true, Some("b"), Some(0.5)),
        );
        check(r#"{"flagged":true,"categories":{"a":0.2,"b":0.8}}"#, opinion(true, Some("b"), Some(0.8)));
        check(r#"{"flagged":true,"categories":["x y<script>"]}"#, opinion(true, Some("xyscript"), None));
        check(r#"{"flagged":false,"categories":{"a":0.2},"score":0.2}"#, opinion(false, None, Some(0.2)));
        // OpenAI's moderation.
        check(
            r#"{"id":"m","model":"x","results":[{"flagged":true,"categories":{"hate":true,"self-harm":false},"category_scores":{"hate":0.91,"self-harm":0.1}}]}"#,
            opinion(true, Some("hate"), Some(0.91)),
        );
        check(r#"{"results":[{"flagged":true},{"flagged":false}]}"#, opinion(true, None, None));
        for said in [
            "",
            "true",
            "{}",
            r#"{"flagged":"yes"}"#,
            r#"{"flagged":null}"#,
            r#"{"flagged":false"#,
            r#"{"flagged":false,"flagged":true}"#,
            r#"{"flagged":true,"categories":"x"}"#,
            r#"{"results":[]}"#,
            r#"{"results":[{}]}"#,
            "<html>",
        ] {
            check(said, Err(Unreadable));
        }
    }

    #[test]
    fn a_model_says_one_word_or_nothing() {
        let check = |content: &str, expected: Result<Opinion, Unreadable>| {
            let said = serde_json::json!({ "choices": [{ "message": { "content": content } }] });
            assert_eq!(of_chat(said.to_string().as_bytes()), expected, "{content}");
        };
        check(r#"{"verdict":"attack","category":"injection"}"#, opinion(true, Some("injection"), None));
        check("```json\n{\"verdict\": \"ordinary\"}\n```", opinion(false, None, None));
        for content in [
            "",
            "ordinary",
            r#"{"verdict":"fine"}"#,
            r#"Sure! {"verdict":"ordinary"}"#,
            r#"{"verdict":"ordinary"} {"verdict":"attack"}"#,
            r#"{"verdict":"attack","verdict":"ordinary"}"#,
        ] {
            check(content, Err(Unreadable));
        }
        for said in ["{}", r#"{"choices":[]}"#, r#"{"choices":[{"message":{"content":null}}]}"#] {
            assert_eq!(of_chat(said.as_bytes()), Err(Unreadable), "{said}");
        }
    }
}
