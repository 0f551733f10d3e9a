//! Checks schemas at load, so that building their validators later cannot fail.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::document::{Dialect, Document};
use super::patterns::{PatternKind, pattern_kind};
use super::problem::{Place, Problem};

/// Deepest nesting of schemas, and longest chain of composition.
const DEEPEST: usize = 256;

/// Walks every schema of a document once.
pub(super) struct Checker<'d> {
    document: &'d Document,
    is_lenient: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Schemas seen, by address: the document does not move while it is checked.
    seen: HashSet<usize>,
    /// Where references lead, to be checked once the structure was walked.
    targets: Vec<String>,
    /// All schemas with members that apply in place, for [`Checker::finish`].
    composed: Vec<(String, &'d Value)>,
    patterns: HashMap<&'d str, PatternKind>,
}

/// What a walk over all schemas found.
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) backtracking: HashSet<String>,
    pub(super) unmatched: HashSet<String>,
}

fn address(schema: &Value) -> usize {
    std::ptr::from_ref(schema) as usize
}

impl<'d> Checker<'d> {
    /// `is_lenient` makes a pattern that no engine takes a warning, and leaves it unchecked.
    pub(super) fn new(document: &'d Document, is_lenient: bool) -> Self {
        Self {
            document,
            is_lenient,
            problems: Vec::new(),
            warnings: Vec::new(),
            seen: HashSet::new(),
            targets: Vec::new(),
            composed: Vec::new(),
            patterns: HashMap::new(),
        }
    }

    pub(super) fn problem(&mut self, place: Place<'_>, message: impl Into<String>) {
        self.problems.push(place.problem(message));
    }

    pub(super) fn warning(&mut self, place: Place<'_>, message: impl Into<String>) {
        self.warnings.push(place.problem(message));
    }

    /// Checks `schema` and everything below it.
    pub(super) fn schema(&mut self, schema: &'d Value, place: Place<'_>) {
        self.schema_at(schema, place, 0);
    }

    fn schema_at(&mut self, schema: &'d Value, place: Place<'_>, depth: usize) {
        if !self.seen.insert(address(schema)) {
            return;
        }
        if depth > DEEPEST {
            return self.problem(place, "the schema is nested too deeply");
        }
        let object = match schema {
            Value::Bool(_) => return,
            Value::Object(object) => object,
            _ => return self.problem(place, "a schema must be an object"),
        };
        if let Some(reference) = object.get("$ref") {
            match self.document.resolve(reference) {
                Ok((pointer, _)) => self.targets.push(pointer.into_owned()),
                Err(fault) => return self.problem(place.join("$ref"), fault.to_string()),
            }
            if self.document.dialect == Dialect::V30 {
                return self.composed.push((place.pointer(), schema));
            }
        }
        if IN_PLACE.iter().any(|keyword| object.contains_key(*keyword)) {
            self.composed.push((place.pointer(), schema));
        }
        for (keyword, value) in object {
            self.keyword(keyword, value, place.join(keyword), depth);
        }
        self.bounds(object, place);
    }

    fn keyword(&mut self, keyword: &str, value: &'d Value, place: Place<'_>, depth: usize) {
        match keyword {
            "type" => self.kind(value, place),
            "properties" | "patternProperties" | "dependentSchemas" => {
                let Some(members) = value.as_object() else {
                    return self.problem(place, "must be an object");
                };
                for (name, schema) in members {
                    if keyword == "patternProperties" && self.pattern_of(name) != PatternKind::Linear {
                        self.problem(
                            place.join(name),
                            "the pattern is not a regular expression of linear time",
                        );
                    }
                    self.schema_at(schema, place.join(name), depth + 1);
                }
            }
            // JSON Schema before 2020-12, which OpenAPI 3.0 and 2.0 build on, has no other word for a tuple.
            "items" if value.is_array() && self.document.dialect == Dialect::V30 => {
                for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                    self.schema_at(schema, place.join(&index.to_string()), depth + 1);
                }
            }
            "additionalItems" if self.document.dialect == Dialect::V30 => {
                self.schema_at(value, place, depth + 1)
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => match value.as_array() {
                Some(all) if !all.is_empty() => {
                    for (index, schema) in all.iter().enumerate() {
                        self.schema_at(schema, place.join(&index.to_string()), depth + 1);
                    }
                }
                _ => self.problem(place, "must be a list of schemas that is not empty"),
            },
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => self.schema_at(value, place, depth + 1),
            "required" => self.names(value, place),
            "dependentRequired" => match value.as_object() {
                Some(members) => members.iter().for_each(|(name, names)| self.names(names, place.join(name))),
                None => self.problem(place, "must be an object"),
            },
            "enum" if !value.is_array() => self.problem(place, "must be a list"),
            "pattern" => match value.as_str() {
                Some(pattern) => self.pattern(pattern, place),
                None => self.problem(place, "must be a string"),
            },
            "format" if !value.is_string() => self.problem(place, "must be a string"),
            "uniqueItems" | "nullable" | "readOnly" | "writeOnly" if !value.is_boolean() => {
                self.problem(place, "must be true or false");
            }
            "$id" if self.document.dialect == Dialect::V31 => {}
            "$dynamicRef" if self.document.dialect == Dialect::V31 => match self.document.resolve(value) {
                Ok((pointer, _)) => self.targets.push(pointer.into_owned()),
                Err(fault) => self.problem(place, fault.to_string()),
            },
            "$dynamicRef" | "$recursiveRef" | "$id" => {
                self.problem(place, format!("`{keyword}` is not supported: it changes what references mean"));
            }
            _ => {}
        }
    }

    fn bounds(&mut self, object: &'d Map<String, Value>, place: Place<'_>) {
        for keyword in COUNTS {
            if let Some(value) = object.get(keyword)
                && !value.as_f64().is_some_and(|count| count >= 0.0 && count.fract() == 0.0)
            {
                self.problem(place.join(keyword), "must be a whole number, zero or more");
            }
        }
        for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            let is_flag = keyword.starts_with("exclusive") && self.document.dialect == Dialect::V30;
            if let Some(value) = object.get(keyword)
                && !(value.is_number() || is_flag && value.is_boolean())
            {
                self.problem(place.join(keyword), "must be a number");
            }
        }
        if let Some(value) = object.get("multipleOf")
            && !value.as_f64().is_some_and(|number| number > 0.0)
        {
            self.problem(place.join("multipleOf"), "must be a number above zero");
        }
    }

    fn kind(&mut self, value: &Value, place: Place<'_>) {
        let is_known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
        let is_good = match value {
            Value::Array(all) => !all.is_empty() && all.iter().all(is_known),
            one => is_known(one),
        };
        if !is_good {
            self.problem(place, "must be one of the types of JSON Schema");
        }
    }

    fn names(&mut self, value: &Value, place: Place<'_>) {
        if !value.as_array().is_some_and(|all| all.iter().all(Value::is_string)) {
            self.problem(place, "must be a list of names");
        }
    }

    fn pattern_of(&mut self, pattern: &'d str) -> PatternKind {
        *self.patterns.entry(pattern).or_insert_with(|| pattern_kind(pattern))
    }

    fn pattern(&mut self, pattern: &'d str, place: Place<'_>) {
        match self.pattern_of(pattern) {
            PatternKind::Linear => {}
            PatternKind::Backtracking => self.warning(
                place,
                "the pattern needs look-around or back-references; it is matched with a bound on steps, beyond \
                 which the value is refused",
            ),
            PatternKind::Broken if self.is_lenient => {
                self.warning(place, "the pattern is not a regular expression; values are not matched with it");
            }
            PatternKind::Broken => self.problem(place, "the pattern is not a regular expression"),
        }
    }

    /// Checks what references lead to, and that no schema contains itself without an object or array between.
    pub(super) fn finish(mut self) -> Checked {
        while let Some(pointer) = self.targets.pop() {
            if let Some(target) = self.document.at(&pointer) {
                self.schema_at(target, Place::root(&pointer), 0);
            }
        }
        let mut colors = HashMap::new();
        for (pointer, schema) in std::mem::take(&mut self.composed) {
            if let Some(message) = self.descend(schema, &mut colors, 0) {
                self.problems.push(Problem { pointer, message: message.to_owned() });
            }
        }
        self.problems.sort();
        self.problems.dedup();
        self.warnings.sort();
        let of = |wanted: PatternKind| {
            let all = self.patterns.iter().filter(|(_, kind)| **kind == wanted);
            all.map(|(pattern, _)| (*pattern).to_owned()).collect::<HashSet<_>>()
        };
        let (backtracking, unmatched) = (of(PatternKind::Backtracking), of(PatternKind::Broken));
        Checked { problems: self.problems, warnings: self.warnings, backtracking, unmatched }
    }

    /// Depth-first over what applies in place; `colors` holds `false` while a schema is open, `true` when done.
    fn descend(
        &self,
        schema: &Value,
        colors: &mut HashMap<usize, bool>,
        depth: usize,
    ) -> Option<&'static str> {
        match colors.get(&address(schema)) {
            Some(true) => return None,
            Some(false) => return Some("the schema contains itself, with no object or array between"),
            None => {}
        }
        if depth > DEEPEST {
            return Some("the schema is composed too deeply");
        }
        colors.insert(address(schema), false);
        let mut found = None;
        for_each_in_place(self.document, schema, &IN_PLACE, &mut |below| {
            found = found.or_else(|| self.descend(below, colors, depth + 1));
        });
        colors.insert(address(schema), true);
        found
    }
}

/// Calls `visit` for every schema that `keywords` apply to the same value as `schema`, one step down.
pub(super) fn for_each_in_place<'d>(
    document: &'d Document,
    schema: &'d Value,
    keywords: &[&str],
    visit: &mut dyn FnMut(&'d Value),
) {
    let Some(object) = schema.as_object() else { return };
    if let Some((_, target)) = document.target(object) {
        visit(target);
        if document.dialect == Dialect::V30 {
            return;
        }
    }
    for keyword in keywords {
        match object.get(*keyword) {
            Some(Value::Array(all)) => all.iter().for_each(&mut *visit),
            Some(Value::Object(members)) if *keyword == "dependentSchemas" => {
                members.values().for_each(&mut *visit)
            }
            Some(one @ Value::Object(_)) if *keyword != "$ref" => visit(one),
            _ => {}
        }
    }
}

/// Keywords whose schemas apply to the value itself.
pub(super) const IN_PLACE: [&str; 9] =
    ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

const COUNTS: [&str; 8] = [
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
];

const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];
