//! The JSON Schema of the file and its reference in Markdown, both from the types of [`super::file`].

use std::fmt::Write as _;
use std::sync::LazyLock;

#[cfg(test)]
use serde_json::Map;
use serde_json::Value as Json;

use super::file::File;
use super::roles_file::RolesFile;

static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_deserialize();
    let mut generator = settings.into_generator();
    generator.subschema_for::<RolesFile>();
    let mut schema = generator.into_root_schema_for::<File>().to_value();
    without_null(&mut schema);
    with_required(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), "Portcullis configuration".into());
    }
    schema
});

/// The JSON Schema (2020-12) of the configuration file, as committed in `portcullis.schema.json`.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&*SCHEMA).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema as a value.
pub(crate) fn value() -> &'static Json {
    &SCHEMA
}

/// The properties of a type of [`super::file`], by its name.
#[cfg(test)]
pub(crate) fn properties(of: &str) -> Option<&'static Map<String, Json>> {
    let schema = if of == "File" { &*SCHEMA } else { SCHEMA.get("$defs")?.get(of)? };
    schema.get("properties")?.as_object()
}

/// Follows a `$ref`, and says the name of the type that it leads to.
pub(crate) fn resolve<'s>(schema: &'s Json, of: &'s str) -> (&'s Json, &'s str) {
    let target = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let found = target.and_then(|name| Some((SCHEMA.get("$defs")?.get(name)?, name)));
    found.unwrap_or((schema, of))
}

/// The JSON type that a resolved schema takes.
pub(crate) fn kind(schema: &Json) -> &str {
    match schema.get("type").and_then(Json::as_str) {
        Some(kind) => kind,
        None if schema.get("oneOf").is_some() => "string",
        None => "any",
    }
}

/// The words that a resolved schema takes; empty when it takes any text.
pub(crate) fn words(schema: &Json) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    let described = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    let one = if kind(schema) == "string" { schema.get("const") } else { None };
    let described = described.flat_map(|choice| {
        let inner = choice.get("enum").and_then(Json::as_array).into_iter().flatten();
        choice.get("const").into_iter().chain(inner)
    });
    one.into_iter().chain(listed).chain(described).filter_map(Json::as_str).collect()
}

/// Drops `null` everywhere: a key that is written must have a value.
fn without_null(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(without_null),
        Json::Object(object) => {
            if let Some(Json::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Json::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
                if let [Json::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only.into_iter().filter(|(key, _)| key != "description"));
                }
            }
            if object.get("default").is_some_and(Json::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(without_null);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Moves `x-required` of properties into the `required` of their object. The attribute of the same name would do
/// that too, but repeats the property's type in place of a reference to it.
fn with_required(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(with_required),
        Json::Object(object) => {
            let mut required = Vec::new();
            if let Some(Json::Object(properties)) = object.get_mut("properties") {
                for (name, property) in properties {
                    let mark = property.as_object_mut().and_then(|property| property.remove("x-required"));
                    required.extend(mark.map(|_| Json::String(name.clone())));
                }
            }
            if !required.is_empty() {
                object.insert("required".into(), Json::Array(required));
            }
            object.values_mut().for_each(with_required);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The configuration reference, as committed in `docs/configuration.md`.
pub fn reference() -> String {
    let mut out = String::from(include_str!("reference.md"));
    section(&mut out, "The file", &SCHEMA);
    let mut done: Vec<&str> = Vec::new();
    let mut next = mentioned(&SCHEMA);
    // Another file, named by this one.
    next.push("RolesFile");
    while !next.is_empty() {
        let mut after = Vec::new();
        for name in next {
            let Some(schema) = SCHEMA.get("$defs").and_then(|all| all.get(name)) else { continue };
            if done.contains(&name) {
                continue;
            }
            done.push(name);
            if kind(schema) == "object" {
                section(&mut out, &heading(name), schema);
                after.extend(mentioned(schema));
            } else if words(schema).len() > 1 {
                word_section(&mut out, &heading(name), schema);
            }
        }
        next = after;
    }
    out
}

/// The names of the types that a schema mentions, in order.
fn mentioned(schema: &'static Json) -> Vec<&'static str> {
    match schema {
        Json::Array(items) => items.iter().flat_map(mentioned).collect(),
        Json::Object(object) => {
            let inner = object.iter().filter(|(key, _)| *key != "$defs").map(|(_, value)| value);
            let own =
                object.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
            own.into_iter().chain(inner.flat_map(mentioned)).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    }
}

fn section(out: &mut String, title: &str, schema: &Json) {
    let about = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    let _ = write!(out, "\n## {title}\n\n{}\n", about.replace('\n', " "));
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    out.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
    let (must, may): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(key, _)| required.contains(&key.as_str()));
    for (key, property) in must.into_iter().chain(may) {
        let default = match property.get("default") {
            _ if required.contains(&key.as_str()) => "**required**".to_owned(),
            Some(Json::String(text)) => format!("`{text}`"),
            Some(value @ (Json::Bool(_) | Json::Number(_))) => format!("`{value}`"),
            _ => String::new(),
        };
        let about = property.get("description").and_then(Json::as_str).unwrap_or_default().replace('\n', " ");
        let _ = writeln!(out, "| `{key}` | {} | {default} | {about} |", shape(property));
    }
}

fn word_section(out: &mut String, title: &str, schema: &Json) {
    let about = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    let _ = write!(out, "\n## {title}\n\n{}\n\n", about.replace('\n', " "));
    let described = schema.get("oneOf").and_then(Json::as_array);
    match described {
        Some(choices) => {
            for choice in choices {
                let about = choice.get("description").and_then(Json::as_str).unwrap_or_default();
                for word in words(choice) {
                    let _ = writeln!(out, "- `{word}`: {about}");
                }
            }
        }
        None => {
            for word in words(schema) {
                let _ = writeln!(out, "- `{word}`");
            }
        }
    }
}

/// What a value looks like, in a cell of a table.
fn shape(schema: &Json) -> String {
    if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
        let all: Vec<String> = choices.iter().map(shape).collect();
        return all.join(" or ");
    }
    let (target, name) = resolve(schema, "");
    if !name.is_empty() {
        let title = heading(name);
        return match words(target).as_slice() {
            [only] => format!("`{only}`"),
            _ => format!("[{title}](#{})", title.to_lowercase().replace(' ', "-")),
        };
    }
    if let Some(kind) = schema.get("x-kind").and_then(Json::as_str) {
        return kind.to_owned();
    }
    match kind(schema) {
        "array" => format!("list of {}", shape(schema.get("items").unwrap_or(&Json::Null))),
        "object" => format!("name: {}", shape(schema.get("additionalProperties").unwrap_or(&Json::Null))),
        "boolean" => "`true` or `false`".into(),
        "integer" => "number".into(),
        _ => "text".into(),
    }
}

/// `PublicListener` as `Public listener`.
fn heading(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            out.push(' ');
            out.extend(letter.to_lowercase());
        } else {
            out.push(letter);
        }
    }
    out
}
