//! Schemas with a `discriminator` and no alternatives: each stands for all that inherit from it by `allOf`
//! (OpenAPI 3.1 section 4.8.25, OpenAPI 2.0 "Models with Polymorphism Support").

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::document::Document;
use super::problem::joined;
use super::translate::{Mode, UNIT};

/// Begins the pointer of a unit that is a whole family.
pub(super) const FAMILY: char = '!';

/// A schema, and what may stand in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    property: String,
    /// Values of the property, and the schema that each names.
    choices: BTreeMap<String, String>,
    members: BTreeSet<String>,
}

impl Family {
    /// Whether the schema at `pointer` is this one or inherits from it.
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.members.contains(pointer)
    }

    /// The property must be there; the schema that it names applies, and where it names none, that of `own` alone.
    pub(super) fn translated(&self, own: &str, mode: Mode) -> Value {
        let unit = |pointer: &str| json!({ UNIT: mode.named(pointer) });
        let is = |values: Value| json!({ "type": "object", "required": [&self.property], "properties": { &self.property: values } });
        let mut all: Vec<Value> = self
            .choices
            .iter()
            .map(|(value, pointer)| json!({ "if": is(json!({ "const": value })), "then": unit(pointer) }))
            .collect();
        let known: Vec<&String> = self.choices.keys().collect();
        all.push(json!({ "if": is(json!({ "enum": known })), "then": true, "else": unit(own) }));
        all.push(json!({ "if": { "type": "object" }, "then": { "required": [&self.property] } }));
        json!({ "allOf": all })
    }
}

/// The families of a document, by the pointer of the schema that they inherit from.
pub(super) fn families(document: &Document) -> HashMap<String, Family> {
    const SCHEMAS: &str = "/components/schemas";
    let schemas = document.at(SCHEMAS).and_then(Value::as_object);
    let mut children: HashMap<String, Vec<String>> = HashMap::new();
    for (name, schema) in schemas.into_iter().flatten() {
        for one in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            if let Some(parent) = document.alias(one) {
                children.entry(parent.into_owned()).or_default().push(joined(SCHEMAS, name));
            }
        }
    }
    let mut families = HashMap::new();
    for (name, schema) in schemas.into_iter().flatten() {
        let pointer = joined(SCHEMAS, name);
        let Some(object) = schema.as_object().filter(|object| is_parent(object)) else { continue };
        let members = descendants(&pointer, &children);
        let property =
            object.get("discriminator").and_then(|one| one.get("propertyName")).and_then(Value::as_str);
        if let (Some(property), true) = (property, members.len() > 1) {
            let choices = choices(document, object, &members);
            families.insert(pointer, Family { property: property.to_owned(), choices, members });
        }
    }
    families
}

fn is_parent(object: &Map<String, Value>) -> bool {
    object.contains_key("discriminator")
        && !["oneOf", "anyOf", "$ref"].iter().any(|keyword| object.contains_key(*keyword))
}

fn descendants(pointer: &str, children: &HashMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![pointer.to_owned()];
    while let Some(one) = open.pop() {
        if found.insert(one.clone()) {
            open.extend(children.get(&one).into_iter().flatten().cloned());
        }
    }
    found
}

/// The values that the `mapping` gives, and the names of the members that it does not mention.
fn choices(
    document: &Document,
    object: &Map<String, Value>,
    members: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mapping = object.get("discriminator").and_then(|one| one.get("mapping")).and_then(Value::as_object);
    let mut choices = BTreeMap::new();
    for (value, target) in mapping.into_iter().flatten() {
        let named = target.as_str().map(|name| joined("/components/schemas", name));
        let named = named.filter(|pointer| document.at(pointer).is_some());
        let pointer =
            named.or_else(|| document.resolve(target).ok().map(|(pointer, _)| pointer.into_owned()));
        if let Some(pointer) = pointer.filter(|pointer| members.contains(pointer)) {
            choices.insert(value.clone(), pointer);
        }
    }
    for member in
        members.iter().filter(|member| !choices.values().any(|known| known == *member)).collect::<Vec<_>>()
    {
        let name = member.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
        choices.entry(name).or_insert_with(|| member.clone());
    }
    choices
}
