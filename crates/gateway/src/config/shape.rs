//! The tree held against the file's own JSON Schema: unknown and repeated keys, missing ones, wrong kinds.
//!
//! What is wrong is reported and left out; the rest is handed on, so that one run finds every mistake.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::diagnostic::{Report, nearest, one_of};
use super::secret::{NotAReference, Reference};
use super::tree::{Key, Node, Span, Value};
use super::{later, mask, schema, units};

/// What of `root` has the shape of a configuration.
pub(crate) fn conform(root: Node, report: &mut Report) -> Option<Node> {
    let top = Span { line: 1, column: 1, length: 1 };
    Walk { report }.node(root, schema::value(), "File", top)
}

/// What of `root` has the shape of the file that a type of the schema describes.
pub(crate) fn conform_to(root: Node, of: &str, report: &mut Report) -> Option<Node> {
    let schema = schema::value().get("$defs")?.get(of)?;
    let top = Span { line: 1, column: 1, length: 1 };
    Walk { report }.node(root, schema, of, top)
}

struct Walk<'r> {
    report: &'r mut Report,
}

impl Walk<'_> {
    /// `of` names the type for messages and tables, `owner` is where its key is written.
    fn node(&mut self, node: Node, schema: &Json, of: &str, owner: Span) -> Option<Node> {
        let (schema, of) = schema::resolve(schema, of);
        if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
            let of_kind = choices.iter().find(|choice| accepts(choice, &node.value));
            return match of_kind {
                Some(choice) => self.node(node, choice, of, owner),
                None => self.wrong_kind(&node, schema, owner),
            };
        }
        if !accepts(schema, &node.value) {
            return self.wrong_kind(&node, schema, owner);
        }
        match node.value {
            Value::Map(entries) => Some(Node { value: self.map(entries, schema, of, owner), ..node }),
            Value::List(items) => self.list(node.at, node.defined, items, schema, of),
            Value::Integer(number) => self.number(node, number, schema),
            Value::Text(_) => self.text(node, schema, of),
            Value::Null | Value::Bool(_) | Value::Float(_) => Some(node),
        }
    }

    fn map(&mut self, entries: Vec<(Key, Node)>, schema: &Json, of: &str, owner: Span) -> Value {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let named = schema.get("additionalProperties").filter(|named| named.is_object());
        let mut kept: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut meant: Vec<String> = Vec::new();
        for (key, value) in entries {
            if let Some(first) = seen.get(&key.name) {
                let line = first.line;
                self.report
                    .error("repeated-key", key.at, format!("`{}` is written twice", key.name))
                    .help(format!("the first one is on line {line}"));
                continue;
            }
            seen.insert(key.name.clone(), key.at);
            let Some(expected) = properties.get(&key.name).or(named) else {
                meant.extend(self.unknown(&key, &value, properties, of));
                continue;
            };
            if named.is_some() && schema.get("propertyNames").is_some() && !is_name(&key.name) {
                self.report
                    .error("bad-name", key.at, format!("`{}` cannot be a name", key.name))
                    .expected("a lower-case letter, then at most 62 of a-z, 0-9, `-` and `_`");
            }
            let at = key.at;
            let inner = if named.is_some() { of } else { key.name.as_str() };
            if let Some(value) = self.node(value, expected, inner, at) {
                kept.push((key, value));
            }
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for name in required.filter_map(Json::as_str).filter(|name| !seen.contains_key(*name)) {
            if meant.iter().any(|meant| meant == name) {
                continue;
            }
            let about = properties.get(name).and_then(|property| property.get("description"));
            let problem = self.report.error("missing-key", owner, format!("`{name}` is missing"));
            if let Some(about) = about.and_then(Json::as_str) {
                problem.expected(about.replace('\n', " "));
            }
        }
        Value::Map(kept)
    }

    /// Reports an unknown key and returns the one that was probably meant, so that it is not missed as well.
    fn unknown(
        &mut self,
        key: &Key,
        value: &Node,
        properties: &Map<String, Json>,
        of: &str,
    ) -> Option<String> {
        if mask::is_secret_key(&key.name) {
            self.hide(value);
        }
        if let Some(about) = later::later_key(of, &key.name) {
            self.report
                .error("later-version", key.at, format!("`{}` is not in this version", key.name))
                .help(format!("a later version brings {about}"));
            return None;
        }
        let names = || properties.keys().map(String::as_str);
        let problem = self.report.error("unknown-key", key.at, format!("unknown key `{}`", key.name));
        if let Some(ours) = later::called_otherwise(of, &key.name) {
            problem.help(format!("it is called `{ours}`"));
            return Some(ours.to_owned());
        }
        if let Some(near) = nearest(&key.name, names()) {
            problem.help(format!("did you mean `{near}`?"));
            return Some(near.to_owned());
        }
        if !properties.is_empty() {
            problem.expected(one_of(names()));
        }
        None
    }

    fn list(&mut self, at: Span, defined: Span, items: Vec<Node>, schema: &Json, of: &str) -> Option<Node> {
        if items.is_empty() && schema.get("minItems").is_some() {
            self.report.error("empty-list", at, "the list is empty").expected("at least one entry");
            return None;
        }
        let expected = schema.get("items").unwrap_or(&Json::Null);
        let kept = items.into_iter().filter_map(|item| {
            let at = item.at;
            self.node(item, expected, of, at)
        });
        let kept = kept.collect();
        Some(Node { at, defined, value: Value::List(kept) })
    }

    fn number(&mut self, node: Node, number: i64, schema: &Json) -> Option<Node> {
        if let Some(only) = schema.get("const").and_then(Json::as_i64).filter(|only| *only != number) {
            self.report
                .error("bad-value", node.at, format!("version {number} cannot be read"))
                .expected(format!("`{only}`"));
            return None;
        }
        let minimum = schema.get("minimum").and_then(Json::as_i64).unwrap_or(0);
        let maximum = schema.get("maximum").and_then(Json::as_i64).unwrap_or(i64::from(u32::MAX));
        if !(minimum..=maximum).contains(&number) {
            self.report
                .error("bad-value", node.at, format!("`{number}` is out of range"))
                .expected(format!("a whole number from {minimum} to {maximum}"));
            return None;
        }
        Some(node)
    }

    fn text(&mut self, node: Node, schema: &Json, of: &str) -> Option<Node> {
        let Value::Text(text) = &node.value else { return Some(node) };
        let words = schema::words(schema);
        if !words.is_empty() && !words.contains(&text.as_str()) {
            if later::is_later_word(of, text) {
                self.report
                    .error("later-version", node.at, format!("`{text}` is not in this version"))
                    .expected(one_of(words));
            } else {
                self.report
                    .error("bad-value", node.at, format!("unknown value `{}`", shortened(text)))
                    .expected(one_of(words.iter().copied()))
                    .nearest(text, words);
            }
            return None;
        }
        let (read, expected) = match schema.get("x-kind").and_then(Json::as_str) {
            Some("duration") => (units::duration(text).err(), units::DURATION),
            Some("size") => (units::size(text).err(), units::SIZE),
            Some("rate") => (units::rate(text).err(), units::RATE),
            Some("secret") => return self.secret(node),
            _ => (None, ""),
        };
        let Some(error) = read else { return Some(node) };
        self.report.error("bad-unit", node.at, error.to_string()).expected(expected);
        None
    }

    fn secret(&mut self, node: Node) -> Option<Node> {
        let Value::Text(text) = &node.value else { return Some(node) };
        let Err(error) = Reference::parse(text) else { return Some(node) };
        let reference = "`env:NAME` or `file:path`";
        match error {
            NotAReference::Inline => {
                self.mask(&node);
                self.report
                    .error("inline-secret", node.at, "a secret must not be written in the configuration")
                    .expected(reference)
                    .help("put it in an environment variable or a file; if it was ever shared, revoke it");
            }
            NotAReference::Later => {
                self.report
                    .error("later-version", node.at, "`vault:` is not in this version")
                    .expected(reference);
            }
            NotAReference::Empty => {
                // `env:` before the secret itself is a likely slip.
                self.mask(&node);
                self.report
                    .error("bad-value", node.at, "the reference does not name a variable or a file")
                    .expected(reference);
            }
        }
        None
    }

    fn wrong_kind(&mut self, node: &Node, schema: &Json, owner: Span) -> Option<Node> {
        let kind = schema.get("x-kind").and_then(Json::as_str);
        if kind == Some("secret") || wants_secret(schema) {
            self.hide(node);
        }
        let is_number = matches!(node.value, Value::Integer(_) | Value::Float(_));
        let unit = match kind {
            Some("duration") => Some(units::DURATION),
            Some("size") => Some(units::SIZE),
            Some("rate") => Some(units::RATE),
            _ => None,
        };
        if let (Some(expected), true) = (unit, is_number) {
            self.report.error("bad-unit", node.at, "the unit is missing").expected(expected);
            return None;
        }
        let at = if matches!(node.value, Value::Null) { owner } else { node.at };
        let message = match node.value {
            Value::Null => "the value is missing".to_owned(),
            _ => format!("{} is not expected here", node.value.kind()),
        };
        let words = schema::words(schema);
        let expected = if words.is_empty() { expectation(schema) } else { one_of(words) };
        let problem = self.report.error("wrong-kind", at, message).expected(expected);
        if matches!(node.value, Value::Integer(_) | Value::Float(_) | Value::Bool(_))
            && schema.get("type").and_then(Json::as_str) == Some("string")
            && schema::words(schema).is_empty()
        {
            problem.help("put it in quotes to make it text");
        }
        None
    }

    /// Masks a value where it is used and where it is spelled out.
    fn mask(&mut self, node: &Node) {
        self.report.mask(node.at);
        self.report.mask(node.defined);
    }

    /// Masks every text in a value that may be a secret.
    fn hide(&mut self, node: &Node) {
        match &node.value {
            Value::Text(text) if Reference::parse(text).is_err() => self.mask(node),
            Value::Integer(_) | Value::Float(_) => self.mask(node),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| self.hide(value)),
            Value::Text(_) | Value::Null | Value::Bool(_) => {}
        }
    }
}

/// Whether the schema takes this kind of value at all.
fn accepts(schema: &Json, value: &Value) -> bool {
    let (schema, _) = schema::resolve(schema, "");
    if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
        return choices.iter().any(|choice| accepts(choice, value));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Integer(_) => "integer",
        Value::Float(_) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    schema::kind(schema) == kind
}

/// What the schema takes, in words.
fn expectation(schema: &Json) -> String {
    let (schema, _) = schema::resolve(schema, "");
    if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
        let all: Vec<String> = choices.iter().map(expectation).collect();
        return all.join(" or ");
    }
    let words = schema::words(schema);
    if !words.is_empty() {
        return one_of(words);
    }
    match (schema::kind(schema), schema.get("x-kind").and_then(Json::as_str)) {
        (_, Some("duration")) => units::DURATION.into(),
        (_, Some("size")) => units::SIZE.into(),
        (_, Some("rate")) => units::RATE.into(),
        (_, Some("secret")) => "a reference such as `env:NAME` or `file:path`".into(),
        ("boolean", _) => "`true` or `false`".into(),
        ("integer", _) => "a whole number".into(),
        ("array", _) => {
            format!("a list of {}", plural(&expectation(schema.get("items").unwrap_or(&Json::Null))))
        }
        ("object", _) => "a mapping".into(),
        _ => "text".into(),
    }
}

fn plural(expected: &str) -> &str {
    match expected {
        "a mapping" => "mappings",
        other => other,
    }
}

fn wants_secret(schema: &Json) -> bool {
    let (schema, _) = schema::resolve(schema, "");
    schema.get("x-kind").and_then(Json::as_str) == Some("secret")
        || schema.get("anyOf").and_then(Json::as_array).is_some_and(|all| all.iter().any(wants_secret))
}

fn is_name(name: &str) -> bool {
    let is_tail = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    name.len() <= 63 && name.bytes().all(is_tail) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
