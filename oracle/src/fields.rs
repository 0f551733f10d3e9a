//! What the schemas of a document say of fields and parameters, by name alone.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::document::{Document, unescaped};

/// What is said of all fields and parameters of one name.
#[derive(Debug, Default)]
pub struct Field {
    /// Whether a schema has it: it may be a parameter alone.
    is_field: bool,
    /// Whether any schema says that it is for answers only.
    pub is_read_only: bool,
    /// Whether some alternative has it where another has not.
    pub is_of_one_alternative: bool,
    /// Whether a schema is known that does not take any field within it.
    is_closed: bool,
    /// Formats of it, and of what is in it without a name.
    formats: HashSet<String>,
}

/// All of them. The empty name stands for whole bodies.
#[derive(Debug, Default)]
pub struct Fields(HashMap<String, Field>);

/// Deepest composition that is looked into.
const DEEPEST: usize = 8;

impl Fields {
    /// What `whole` and all that it refers to say.
    pub fn of<'d>(document: &'d Document, whole: impl Iterator<Item = &'d Value>) -> Self {
        let mut fields = Self::default();
        let mut open: Vec<&'d Value> = whole.collect();
        let mut seen = HashSet::new();
        while let Some(value) = open.pop() {
            fields.walk(value, document, &mut |reference| {
                if seen.insert(std::ptr::from_ref(reference)) {
                    open.push(reference);
                }
            });
        }
        fields
    }

    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }

    /// Whether no schema names the field, or only some alternatives do, in a place that does not take any field.
    pub fn is_unknown(&self, parent: &str, name: &str) -> bool {
        self.get(name).is_none_or(|one| !one.is_field || one.is_of_one_alternative)
            && self.get(parent).is_some_and(|one| one.is_closed)
    }

    /// Whether any field is for answers only.
    pub fn has_answers(&self) -> bool {
        self.0.values().any(|one| one.is_read_only)
    }

    /// Whether some schema says the last name of a place to be for answers only.
    pub fn is_read_only(&self, place: &str) -> bool {
        let name = unescaped(place.rsplit('/').next().unwrap_or_default());
        self.get(&name).is_some_and(|one| one.is_read_only)
    }

    /// Whether a schema of the last name of a place has the format.
    pub fn has_format(&self, place: &str, format: &str) -> bool {
        self.formats(place).any(|one| one == format)
    }

    /// Formats of the last name of a place that is known: `/a/b/0`, `query:a/b`.
    pub fn formats(&self, place: &str) -> impl Iterator<Item = &str> {
        let rest =
            if place.starts_with('/') { Some(place) } else { place.split_once(':').map(|(_, rest)| rest) };
        let names = rest.unwrap_or_default().rsplit('/').map(unescaped);
        let found = names.filter(|name| name.parse::<usize>().is_err()).find_map(|name| self.get(&name));
        found.into_iter().flat_map(|one| one.formats.iter().map(String::as_str))
    }

    fn add(&mut self, name: &str, schema: &Value, document: &Document) {
        let says_answers = |schema: &Value| schema.get("readOnly") == Some(&Value::Bool(true));
        let field = self.0.entry(name.to_owned()).or_default();
        field.is_read_only |= says_answers(schema) || says_answers(document.follow(schema));
        field.is_closed |= !names(schema, document, 0).is_empty() && !is_free(schema, document, 0);
        formats(schema, document, 0, &mut field.formats);
    }

    fn walk<'d>(&mut self, value: &'d Value, document: &'d Document, visit: &mut dyn FnMut(&'d Value)) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, document, visit)),
            Value::Object(members) => {
                self.object(members, document);
                if members.contains_key("$ref") {
                    visit(document.follow(value));
                }
                // What is answered says nothing of what is sent.
                let members =
                    members.iter().filter(|(name, member)| *name != "responses" || !member.is_object());
                members.for_each(|(_, member)| self.walk(member, document, visit));
            }
            _ => {}
        }
    }

    fn object(&mut self, members: &Map<String, Value>, document: &Document) {
        let object = |word: &str| members.get(word).and_then(Value::as_object).into_iter().flatten();
        for (name, schema) in object("properties") {
            self.add(name, schema, document);
            self.0.entry(name.clone()).or_default().is_field = true;
        }
        let contents = object("content").filter_map(|(_, entry)| entry.get("schema"));
        let schemas: Vec<&Value> = members.get("schema").into_iter().chain(contents).collect();
        let name = members.get("name").and_then(Value::as_str).filter(|_| members.contains_key("in"));
        for schema in schemas {
            self.add(name.unwrap_or_default(), schema, document);
            self.add(&name.unwrap_or_default().to_ascii_lowercase(), schema, document);
        }
        for list in ["oneOf", "anyOf"].iter().filter_map(|word| members.get(*word)?.as_array()) {
            let names: Vec<HashSet<&str>> = list.iter().map(|one| names(one, document, 0)).collect();
            let all: HashSet<&str> = names.iter().flatten().copied().collect();
            for name in all.into_iter().filter(|name| !names.iter().all(|own| own.contains(name))) {
                self.0.entry(name.to_owned()).or_default().is_of_one_alternative = true;
            }
        }
    }
}

fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten()
}

/// The names of the fields that a schema has, or its items, those of what it is made of with them.
fn names<'d>(schema: &'d Value, document: &'d Document, depth: usize) -> HashSet<&'d str> {
    let schema = document.follow(schema);
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut all: HashSet<&str> = own.map(|(name, _)| name.as_str()).collect();
    if depth < DEEPEST {
        let items = schema.get("items").into_iter();
        all.extend(parts(schema).chain(items).flat_map(|one| names(one, document, depth + 1)));
    }
    all
}

/// Whether a schema, its items or a part of it takes any field in writing.
fn is_free(schema: &Value, document: &Document, depth: usize) -> bool {
    let schema = document.follow(schema);
    let own = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    let items = schema.get("items").into_iter();
    own || depth < DEEPEST && parts(schema).chain(items).any(|one| is_free(one, document, depth + 1))
}

fn formats(schema: &Value, document: &Document, depth: usize, out: &mut HashSet<String>) {
    let schema = document.follow(schema);
    out.extend(schema.get("format").and_then(Value::as_str).map(str::to_owned));
    if depth < DEEPEST / 2 {
        let more = ["items", "additionalProperties"].into_iter().filter_map(|word| schema.get(word));
        parts(schema).chain(more).for_each(|one| formats(one, document, depth + 1, out));
    }
}
