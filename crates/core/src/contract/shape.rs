//! What a schema says about types: enough to read text (a parameter, a form) into values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::Document;

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    pub(crate) const STRING: Self = Self(1);
    pub(crate) const INTEGER: Self = Self(2);
    pub(crate) const NUMBER: Self = Self(4);
    pub(crate) const BOOLEAN: Self = Self(8);
    pub(crate) const ARRAY: Self = Self(16);
    pub(crate) const OBJECT: Self = Self(32);
    pub(crate) const NULL: Self = Self(64);
    const ALL: Self = Self(127);
    const NONE: Self = Self(0);

    fn named(name: &str) -> Self {
        match name {
            "string" => Self::STRING,
            "integer" => Self::INTEGER,
            "number" => Self(Self::NUMBER.0 | Self::INTEGER.0),
            "boolean" => Self::BOOLEAN,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            "null" => Self::NULL,
            _ => Self::NONE,
        }
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(_) => Self(Self::NUMBER.0 | Self::INTEGER.0),
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    fn union(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::NONE, |a, b| Self(a.0 | b.0))
    }

    /// Whether the set has `one`.
    pub(crate) fn has(self, one: Self) -> bool {
        self.0 & one.0 == one.0
    }

    /// Whether nothing but `one`, null and what `one` implies is in the set.
    pub(crate) fn is_only(self, one: Self) -> bool {
        self.0 & !Self::NULL.0 == one.0
    }

    pub(crate) fn is_all(self) -> bool {
        self == Self::ALL
    }
}

/// Types of a value and of what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) types: Types,
    pub(crate) items: Option<Box<Self>>,
    pub(crate) properties: BTreeMap<Box<str>, Self>,
    pub(crate) additional: Option<Box<Self>>,
    /// Whether members that are not in `properties` are allowed in writing.
    pub(crate) is_open: bool,
    /// Whether a string stands for bytes: `format: binary`, or a `contentMediaType` without an encoding.
    pub(crate) is_binary: bool,
}

impl Shape {
    /// Anything.
    pub(crate) fn any() -> Self {
        Self {
            types: Types::ALL,
            items: None,
            properties: BTreeMap::new(),
            additional: None,
            is_open: false,
            is_binary: false,
        }
    }

    fn absorb(&mut self, other: Self) {
        self.items = self.items.take().or(other.items);
        self.additional = self.additional.take().or(other.additional);
        self.is_open |= other.is_open;
        self.is_binary |= other.is_binary;
        for (name, shape) in other.properties {
            let known = self.properties.entry(name).or_insert_with(Self::any);
            if known.types.is_all() {
                *known = shape;
            }
        }
    }

    /// Whether a value can only be an array (or null).
    pub(crate) fn is_list(&self) -> bool {
        self.types.is_only(Types::ARRAY)
    }

    /// Whether members that nobody names may be in an object.
    pub(crate) fn takes_any_member(&self) -> bool {
        self.is_open || self.additional.is_some() || self.properties.is_empty()
    }

    /// The shape of the member `name` of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

/// Levels of objects and arrays that a shape knows; deeper values are read as anything.
const DEPTH: usize = 6;
/// Schemas that one shape may look at.
const BUDGET: usize = 4_000;

/// The shape of `schema`.
pub(super) fn shape_of(document: &Document, schema: &Value) -> Shape {
    Reader { document, left: BUDGET }.shape(schema, DEPTH)
}

struct Reader<'d> {
    document: &'d Document,
    left: usize,
}

impl Reader<'_> {
    fn shape(&mut self, schema: &Value, depth: usize) -> Shape {
        let Some((_, Value::Object(object))) = self.document.behind(schema) else { return Shape::any() };
        if depth == 0 || self.left == 0 {
            return Shape::any();
        }
        self.left -= 1;
        let mut shape = Shape { types: own_types(object), ..Shape::any() };
        shape.items = object.get("items").map(|items| Box::new(self.shape(items, depth - 1)));
        for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            shape.properties.insert(name.as_str().into(), self.shape(property, depth - 1));
        }
        match object.get("additionalProperties") {
            Some(additional @ Value::Object(_)) => {
                shape.additional = Some(Box::new(self.shape(additional, depth - 1)));
            }
            Some(Value::Bool(true)) => shape.is_open = true,
            _ => {}
        }
        shape.is_binary = object.get("format").and_then(Value::as_str) == Some("binary")
            || object.contains_key("contentMediaType") && !object.contains_key("contentEncoding");
        let target = self.document.target(object).map(|(_, target)| target);
        let all = object.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for below in all.chain(target) {
            let below = self.shape(below, depth);
            shape.types.0 &= below.types.0;
            shape.absorb(below);
        }
        for keyword in ["anyOf", "oneOf"] {
            let Some(choices) = object.get(keyword).and_then(Value::as_array) else { continue };
            let choices: Vec<_> = choices.iter().map(|choice| self.shape(choice, depth)).collect();
            shape.types.0 &= Types::union(choices.iter().map(|choice| choice.types)).0;
            choices.into_iter().for_each(|choice| shape.absorb(choice));
        }
        // What is required is named, whether or not it has a schema.
        if !shape.takes_any_member() {
            let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
            for name in required.filter_map(Value::as_str) {
                shape.properties.entry(name.into()).or_insert_with(Shape::any);
            }
        }
        shape
    }
}

fn own_types(object: &Map<String, Value>) -> Types {
    let null = match object.get("nullable") {
        Some(Value::Bool(true)) => Types::NULL,
        _ => Types::NONE,
    };
    let stated = match object.get("type") {
        Some(Value::String(name)) => Types::named(name),
        Some(Value::Array(names)) => Types::union(names.iter().filter_map(Value::as_str).map(Types::named)),
        _ => match (object.get("enum"), object.get("const")) {
            (Some(Value::Array(values)), _) => Types::union(values.iter().map(Types::of)),
            (_, Some(value)) => Types::of(value),
            _ => Types::ALL,
        },
    };
    Types(stated.0 | null.0)
}
