//! What a server of GraphQL may answer (GraphQL section 7.1).

use serde_json::{Map, Value};

use crate::halt::Violation;
use crate::json::{self, JsonLimits};

/// Takes the body of an answer; proves that it is an execution result, or a list of at most `batch` of them where
/// that is more than one.
///
/// # Errors
/// What is wrong, by place.
pub fn check_answer(body: &[u8], batch: usize) -> Result<(), Vec<Violation>> {
    let value =
        json::parse(body, &JsonLimits::default()).map_err(|error| vec![at("", &error.to_string())])?;
    let mut violations = Vec::new();
    match value {
        Value::Object(result) => one(&result, "", &mut violations),
        Value::Array(results) if batch > 1 && results.len() <= batch => {
            for (number, result) in results.iter().enumerate() {
                match result {
                    Value::Object(result) => one(result, &format!("/{number}"), &mut violations),
                    _ => violations.push(at(&format!("/{number}"), "an object is expected")),
                }
            }
        }
        _ => violations.push(at("", "an object is expected")),
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn one(result: &Map<String, Value>, pointer: &str, violations: &mut Vec<Violation>) {
    let mut wrong = |name: &str, message: &str| violations.push(at(&format!("{pointer}/{name}"), message));
    for (name, value) in result {
        match (name.as_str(), value) {
            ("data", Value::Object(_) | Value::Null) | ("extensions", Value::Object(_)) => {}
            ("errors", Value::Array(errors)) => {
                let is_error = |one: &Value| one.get("message").is_some_and(Value::is_string);
                if errors.is_empty() || !errors.iter().all(is_error) {
                    wrong("errors", "each error has a message");
                }
            }
            ("data" | "errors" | "extensions", _) => wrong(name, "it is of another type"),
            _ => wrong(name, "there is no such member"),
        }
    }
    if !result.contains_key("data") && !result.contains_key("errors") {
        violations.push(at(pointer, "there is neither `data` nor `errors`"));
    }
}

fn at(pointer: &str, message: &str) -> Violation {
    Violation { at: pointer.to_owned(), message: message.to_owned() }
}
