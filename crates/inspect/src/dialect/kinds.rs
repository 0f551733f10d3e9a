//! Kinds of messages and parts in a contract: which it has, and any other where the operator lets such pass.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Adds an unknown kind to every list of kinds in an OpenAPI document.
pub(crate) fn open_kinds(whole: &mut Value) {
    let schemas = whole.pointer("/components/schemas").cloned().unwrap_or_default();
    open(whole, &schemas);
}

/// Adds an unknown kind to every list of kinds.
fn open(schema: &mut Value, schemas: &Value) {
    match schema {
        Value::Array(elements) => elements.iter_mut().for_each(|element| open(element, schemas)),
        Value::Object(members) => {
            for name in ["oneOf", "anyOf"] {
                if let Some(Value::Array(choices)) = members.get_mut(name)
                    && let Some(other) = other_kind(choices, schemas)
                {
                    choices.push(other);
                }
            }
            members.values_mut().for_each(|member| open(member, schemas));
        }
        _ => {}
    }
}

/// What is of none of the kinds, if these are kinds: objects told apart by a constant `role` or `type`.
fn other_kind(choices: &[Value], schemas: &Value) -> Option<Value> {
    let objects: Vec<&Value> = choices
        .iter()
        .map(|choice| match choice.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                reference.rsplit('/').next().and_then(|name| schemas.get(name)).unwrap_or(choice)
            }
            None => choice,
        })
        .filter(|choice| choice.get("properties").is_some())
        .collect();
    let (name, known) = ["role", "type"]
        .into_iter()
        .map(|name| (name, kinds(&objects, name)))
        .find(|(_, kinds)| kinds.len() > 1)?;
    let mut properties = Map::new();
    properties.insert(name.to_owned(), json!({ "type": "string", "not": { "enum": known } }));
    Some(json!({ "type": "object", "required": [name], "properties": properties }))
}

/// The constants that a member is held to.
fn kinds<'s>(objects: &[&'s Value], name: &str) -> BTreeSet<&'s str> {
    let kind = |object: &'s Value| object.get("properties")?.get(name)?.get("const")?.as_str();
    objects.iter().filter_map(|object| kind(object)).collect()
}
