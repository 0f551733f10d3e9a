//! From a schema of the document to the JSON Schema 2020-12 that one validator is built from.
//!
//! A *position* is a schema that no other schema shares its value with: a body, a property, an item. What applies
//! in place (`allOf`, `oneOf`, `$ref` with siblings …) belongs to the position it is reached from. Each position
//! behind a reference is left out and named by [`UNIT`] instead, so that every schema is built once however often
//! and however recursively it is used. Within a position references are expanded, because "no other fields" and
//! `unevaluatedProperties` must see all that applies in place.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::check::for_each_in_place;
use super::document::{Dialect, Document, is_annotation};
use super::family::FAMILY;
use super::localize::{Scope as Anchors, entered, entered_by, scoped};
use super::problem::joined;

/// Keyword whose value is the pointer of a schema that is built on its own.
pub(super) const UNIT: &str = "x-portcullis-unit";
/// Keyword whose value is a pattern that needs backtracking.
pub(super) const BACKTRACK: &str = "x-portcullis-pattern";

/// Schemas that one position may expand to: a document in which each level doubles the next must not take the gate.
const BUDGET: usize = 200_000;

/// Keywords whose schemas apply in place and may evaluate properties.
const APPLIED: [&str; 7] = ["$ref", "allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas"];

/// How a schema is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// What a client sends: `readOnly` is refused, and so are fields that the document does not name.
    Closed,
    /// What a client sends: `readOnly` is refused.
    Open,
    /// What an upstream answers: `writeOnly` is refused.
    Answer,
    /// What an upstream answers: `writeOnly` is refused, and so are fields that the document does not name.
    ClosedAnswer,
    /// Within `not`, `if`, `contains`: exactly as written.
    Plain,
}

impl Mode {
    const ALL: [Self; 5] = [Self::Closed, Self::Open, Self::Answer, Self::ClosedAnswer, Self::Plain];

    /// Whether fields that the document does not name are refused.
    fn is_closed(self) -> bool {
        matches!(self, Self::Closed | Self::ClosedAnswer)
    }

    fn letter(self) -> char {
        match self {
            Self::Closed => 'c',
            Self::Open => 'o',
            Self::Answer => 'a',
            Self::ClosedAnswer => 's',
            Self::Plain => 'p',
        }
    }

    /// The value of [`UNIT`] for the schema at `pointer` in this mode.
    pub(super) fn named(self, pointer: &str) -> String {
        format!("{}{pointer}", self.letter())
    }
}

/// Mode and pointer out of the value of [`UNIT`].
pub(super) fn unit_of(text: &str) -> Option<(Mode, &str)> {
    Mode::ALL.into_iter().find_map(|mode| Some((mode, text.strip_prefix(mode.letter())?)))
}

/// The schema at `pointer` as one self-contained schema; `None` if there is none or it explodes.
///
/// The pointer may begin with what its dynamic anchors mean where it is reached from.
pub(super) fn translate(document: &Document, pointer: &str, mode: Mode) -> Option<Value> {
    let (scope, pointer) = scoped(pointer)?;
    if let Some(family) = pointer.strip_prefix(FAMILY) {
        return document.families.get(family).map(|found| found.translated(family, mode));
    }
    let (moved, schema) = document.behind(document.at(pointer)?)?;
    if let Some(moved) = &moved
        && let Some(family) = document.families.get(&**moved)
    {
        return Some(family.translated(moved, mode));
    }
    let scope = entered_by(document, scope, pointer);
    let at = moved.unwrap_or(Cow::Borrowed(pointer));
    let mut translator = Translator { document, mode, unit: at.clone(), scope, left: BUDGET };
    let out = translator.root(schema, &at, false);
    (translator.left > 0).then_some(out)
}

struct Translator<'d> {
    document: &'d Document,
    mode: Mode,
    /// The schema that is translated.
    unit: Cow<'d, str>,
    /// What its dynamic anchors mean here.
    scope: Anchors,
    left: usize,
}

/// What all schemas of a position say together.
#[derive(Default)]
struct Facts<'d> {
    /// Whether any names a property.
    declares: bool,
    /// Whether any uses `unevaluatedProperties` or `unevaluatedItems`.
    unevaluated: bool,
    /// Properties that this direction may not carry.
    hidden: HashSet<String>,
    /// Names of properties that have a schema.
    named: HashSet<&'d str>,
    /// Names of properties that some schema requires.
    required: HashSet<&'d str>,
}

impl Facts<'_> {
    /// Whether a property is required that has no schema: the document names it all the same.
    fn requires_unnamed(&self) -> bool {
        !self.required.is_subset(&self.named)
    }
}

/// How a position refuses fields that it does not name.
enum Closing<'d> {
    /// It does not.
    Open,
    /// By itself: nothing else applies in place.
    Flat,
    /// By the one schema in it that can name fields at all.
    Branch(&'d Value),
    /// By `unevaluatedProperties`.
    Whole,
}

#[derive(Clone, Copy)]
struct Scope<'s> {
    hidden: &'s HashSet<String>,
    /// Whether a reference in place may be left out, because nobody needs to see through it.
    may_cut: bool,
    /// Whether the schemas translated now belong to the target of a reference.
    is_foreign: bool,
    /// The branch that closes itself.
    branch: Option<&'s Value>,
    /// Whether an alternative that is any object stays any object.
    frees_alternatives: bool,
    /// Whether a property counts as named where it is only required.
    names_required: bool,
}

impl<'d> Translator<'d> {
    fn unit(&self, pointer: &str) -> Value {
        if self.document.resources.is_empty() {
            return json!({ UNIT: self.mode.named(pointer) });
        }
        let scope = entered(&self.document.resources, &self.scope, pointer);
        let scope = serde_json::to_string(&scope).unwrap_or_default();
        json!({ UNIT: self.mode.named(&format!("{scope}{pointer}")) })
    }

    fn position(&mut self, schema: &'d Value, at: &str, is_foreign: bool) -> Value {
        if let Some(pointer) = self.document.alias(schema) {
            if self.mode != Mode::Plain && self.document.families.contains_key(&*pointer) {
                return self.unit(&format!("{FAMILY}{pointer}"));
            }
            return self.unit(&pointer);
        }
        if is_foreign && !is_scalar(schema) {
            return self.unit(at);
        }
        self.root(schema, at, is_foreign)
    }

    fn root(&mut self, schema: &'d Value, at: &str, is_foreign: bool) -> Value {
        let Some(object) = schema.as_object() else { return schema.clone() };
        let mut facts = Facts::default();
        self.gather(schema, &mut facts);
        let closing = match self.mode {
            mode if mode.is_closed() && facts.declares => self.closing(object),
            _ => Closing::Open,
        };
        let closing = match closing {
            // What the other branches require would be unknown to a branch that closes itself.
            Closing::Branch(_) if facts.requires_unnamed() => Closing::Whole,
            closing => closing,
        };
        let scope = Scope {
            hidden: &facts.hidden,
            may_cut: !self.mode.is_closed() && facts.hidden.is_empty() && !facts.unevaluated,
            is_foreign,
            branch: match closing {
                Closing::Branch(branch) => Some(branch),
                _ => None,
            },
            frees_alternatives: matches!(closing, Closing::Whole) && self.alternatives_alone(object),
            names_required: !matches!(closing, Closing::Open)
                && !facts.unevaluated
                && facts.requires_unnamed(),
        };
        let mut out = self.members(object, at, scope);
        match closing {
            Closing::Open | Closing::Branch(_) => {}
            Closing::Flat => drop(out.insert("additionalProperties".to_owned(), Value::Bool(false))),
            Closing::Whole => drop(out.insert("unevaluatedProperties".to_owned(), Value::Bool(false))),
        }
        self.nullable(object, out)
    }

    fn gather(&mut self, schema: &'d Value, facts: &mut Facts<'d>) {
        self.left = self.left.saturating_sub(1);
        let Some(object) = schema.as_object().filter(|_| self.left > 0) else { return };
        let is_ignored = self.document.dialect == Dialect::V30 && object.contains_key("$ref");
        if !is_ignored {
            let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
            facts.required.extend(required.filter_map(Value::as_str));
            for (name, property) in members_of(object, "properties") {
                facts.declares = true;
                facts.named.insert(name);
                if self.is_hidden(property) {
                    facts.hidden.insert(name.clone());
                }
            }
            facts.declares |= members_of(object, "patternProperties").next().is_some();
            facts.unevaluated |=
                object.contains_key("unevaluatedProperties") || object.contains_key("unevaluatedItems");
        }
        for_each_in_place(self.document, schema, &APPLIED, &mut |below| self.gather(below, facts));
    }

    fn facts_of(&mut self, schema: &'d Value) -> Facts<'d> {
        let mut facts = Facts::default();
        self.gather(schema, &mut facts);
        facts
    }

    /// Whether a property with this schema may not travel in this direction.
    fn is_hidden(&self, property: &'d Value) -> bool {
        let keyword = match self.mode {
            Mode::Closed | Mode::Open => "readOnly",
            Mode::Answer | Mode::ClosedAnswer => "writeOnly",
            Mode::Plain => return false,
        };
        let says = |schema: &Value| schema.get(keyword).and_then(Value::as_bool) == Some(true);
        says(property) || self.document.behind(property).is_some_and(|(_, schema)| says(schema))
    }

    fn closing(&mut self, object: &'d Map<String, Value>) -> Closing<'d> {
        if object.contains_key("unevaluatedProperties") {
            return Closing::Open;
        }
        let has = |keyword: &str| object.contains_key(keyword);
        let is_conditional = ["if", "then", "else", "dependentSchemas"].iter().any(|keyword| has(keyword));
        let branches: Vec<(bool, &'d Value)> = ["allOf", "anyOf", "oneOf"]
            .iter()
            .flat_map(|keyword| {
                object
                    .get(*keyword)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .map(|one| (*keyword == "allOf", one))
            })
            .collect();
        if branches.is_empty() && !is_conditional && !has("$ref") {
            return if has("additionalProperties") { Closing::Open } else { Closing::Flat };
        }
        let is_own =
            ["properties", "patternProperties", "additionalProperties", "$ref"].iter().any(|k| has(k));
        if is_own || is_conditional {
            return Closing::Whole;
        }
        // Where one branch alone can name fields, closing that branch says the same as closing the whole, and the
        // branch may be a reference that is built on its own.
        let mut declaring = None;
        for (is_all, branch) in branches {
            if self.facts_of(branch).declares {
                if declaring.replace(branch).is_some() {
                    return Closing::Whole;
                }
            } else if self.document.opens(branch)
                || !is_all && self.document.may_be_object(branch, 0) && !self.document.is_any_object(branch)
            {
                return Closing::Whole;
            }
        }
        declaring.map_or(Closing::Whole, Closing::Branch)
    }

    /// Whether nothing but the alternatives of `object` names properties.
    fn alternatives_alone(&mut self, object: &'d Map<String, Value>) -> bool {
        let own = members_of(object, "properties").next().is_some();
        !own && !object
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .any(|b| self.facts_of(b).declares)
    }

    /// A schema that applies in place.
    fn in_place(&mut self, schema: &'d Value, at: &str, scope: Scope<'_>) -> Value {
        if scope.branch.is_some_and(|branch| std::ptr::eq(branch, schema)) {
            // A member of a family is not all of the family again.
            return match self.document.alias(schema) {
                Some(pointer) if self.document.is_member(&self.unit, &pointer) => self.unit(&pointer),
                _ => self.position(schema, at, scope.is_foreign),
            };
        }
        let scope = Scope { branch: None, frees_alternatives: false, ..scope };
        if let Some(pointer) = self.document.alias(schema) {
            if scope.may_cut {
                return self.unit(&pointer);
            }
            return match self.document.at(&pointer) {
                Some(target) if self.left > 0 => {
                    self.left -= 1;
                    self.foreign(target, &pointer, scope)
                }
                _ => Value::Bool(false),
            };
        }
        let Some(object) = schema.as_object() else { return schema.clone() };
        let out = self.members(object, at, scope);
        self.nullable(object, out)
    }

    /// The target of a reference, in place.
    fn foreign(&mut self, target: &'d Value, pointer: &str, scope: Scope<'_>) -> Value {
        let inner = entered(&self.document.resources, &self.scope, pointer);
        let outer = std::mem::replace(&mut self.scope, inner);
        let out = self.in_place(target, pointer, Scope { is_foreign: true, ..scope });
        self.scope = outer;
        out
    }

    /// What a `$dynamicRef` means here (JSON Schema 2020-12 section 8.2.3.2).
    fn dynamic(&mut self, reference: &Value, scope: Scope<'_>) -> Value {
        let Ok((first, target)) = self.document.resolve(reference) else { return Value::Bool(false) };
        let name = target.get("$dynamicAnchor").and_then(Value::as_str);
        let meant = name.and_then(|name| self.scope.get(name)).cloned();
        let pointer = meant.unwrap_or_else(|| first.into_owned());
        if scope.may_cut {
            return self.unit(&pointer);
        }
        match self.document.at(&pointer) {
            Some(target) if self.left > 0 => self.foreign(target, &pointer, scope),
            _ => Value::Bool(false),
        }
    }

    /// OpenAPI 3.0 `nullable`. Without a type of its own the schema is meant to allow null as well.
    fn nullable(&self, object: &Map<String, Value>, mut out: Map<String, Value>) -> Value {
        let is_nullable = object.get("nullable").and_then(Value::as_bool) == Some(true);
        if !is_nullable || self.document.dialect == Dialect::V31 {
            return Value::Object(out);
        }
        let is_composed = IN_PLACE_LISTS.iter().any(|keyword| out.contains_key(*keyword));
        match out.get_mut("type") {
            Some(Value::Array(types)) => types.push(json!("null")),
            Some(kind) => *kind = json!([kind.take(), "null"]),
            None if is_composed => return json!({ "anyOf": [{ "type": "null" }, out] }),
            None => {}
        }
        if let Some(Value::Array(values)) = out.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
        Value::Object(out)
    }

    fn members(&mut self, object: &'d Map<String, Value>, at: &str, scope: Scope<'_>) -> Map<String, Value> {
        if self.document.resources.is_empty() {
            return self.keywords(object, at, scope);
        }
        let inner = entered(&self.document.resources, &self.scope, at);
        let outer = std::mem::replace(&mut self.scope, inner);
        let out = self.keywords(object, at, scope);
        self.scope = outer;
        out
    }

    fn keywords(&mut self, object: &'d Map<String, Value>, at: &str, scope: Scope<'_>) -> Map<String, Value> {
        let mut out = Map::new();
        if self.left == 0 {
            return out;
        }
        self.left -= 1;
        for (keyword, value) in object {
            if is_annotation(keyword) {
                continue;
            }
            match keyword.as_str() {
                "allOf" | "anyOf" | "oneOf" => self.list(keyword, object, at, scope, &mut out),
                "$ref" => {
                    let target = self.document.target(object);
                    let target = target.map(|(pointer, target)| self.foreign(target, &pointer, scope));
                    push_all_of(&mut out, target.unwrap_or(Value::Bool(false)));
                }
                "$dynamicRef" => {
                    let target = self.dynamic(value, scope);
                    push_all_of(&mut out, target);
                }
                "then" | "else" => {
                    let below = self.in_place(value, &joined(at, keyword), scope);
                    out.insert(keyword.clone(), below);
                }
                "not" | "if" | "contains" | "propertyNames" => {
                    let below = self.plain(value, &joined(at, keyword), scope.is_foreign);
                    out.insert(keyword.clone(), below);
                }
                "items" if value.is_array() => {
                    let below = self.nested("prefixItems", value, &joined(at, keyword), scope);
                    out.insert("prefixItems".to_owned(), below);
                }
                "additionalItems" if self.document.dialect == Dialect::V30 => {
                    if object.get("items").is_some_and(Value::is_array) {
                        let below = self.position(value, &joined(at, keyword), scope.is_foreign);
                        out.insert("items".to_owned(), below);
                    }
                }
                "items" | "additionalProperties" | "unevaluatedItems" | "unevaluatedProperties" => {
                    let below = self.position(value, &joined(at, keyword), scope.is_foreign);
                    out.insert(keyword.clone(), below);
                }
                "properties" | "patternProperties" | "dependentSchemas" | "prefixItems" => {
                    let below = self.nested(keyword, value, &joined(at, keyword), scope);
                    out.insert(keyword.clone(), below);
                }
                _ => self.assertion(keyword, value, object, scope, &mut out),
            }
        }
        if scope.names_required {
            name_required(&mut out);
        }
        out
    }

    fn list(
        &mut self,
        keyword: &str,
        object: &'d Map<String, Value>,
        at: &str,
        scope: Scope<'_>,
        out: &mut Map<String, Value>,
    ) {
        let at = joined(at, keyword);
        let is_choice = keyword != "allOf";
        let mut list = Vec::new();
        for (index, one) in object.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate() {
            let mut below = self.in_place(one, &joined(&at, &index.to_string()), scope);
            if let (true, true, Value::Object(below)) =
                (is_choice && scope.frees_alternatives, self.document.is_any_object(one), &mut below)
            {
                below.insert("additionalProperties".to_owned(), Value::Bool(true));
            }
            match is_choice.then(|| self.document.discriminated(object, one)).flatten() {
                Some(condition) => list.push(json!({ "allOf": [condition, below] })),
                None => list.push(below),
            }
        }
        match out.get_mut(keyword) {
            Some(Value::Array(present)) => present.extend(list),
            _ => drop(out.insert(keyword.to_owned(), Value::Array(list))),
        }
    }

    fn plain(&mut self, schema: &'d Value, at: &str, is_foreign: bool) -> Value {
        let mode = std::mem::replace(&mut self.mode, Mode::Plain);
        let out = self.position(schema, at, is_foreign);
        self.mode = mode;
        out
    }

    fn nested(&mut self, keyword: &str, value: &'d Value, at: &str, scope: Scope<'_>) -> Value {
        match value {
            Value::Array(all) => all
                .iter()
                .enumerate()
                .map(|(index, one)| self.position(one, &joined(at, &index.to_string()), scope.is_foreign))
                .collect(),
            Value::Object(members) => {
                let mut out = Map::new();
                for (name, schema) in members {
                    let below = match keyword {
                        "dependentSchemas" => self.in_place(schema, &joined(at, name), scope),
                        "properties" if self.is_hidden(schema) => Value::Bool(false),
                        _ => self.position(schema, &joined(at, name), scope.is_foreign),
                    };
                    out.insert(name.clone(), below);
                }
                Value::Object(out)
            }
            _ => Value::Bool(false),
        }
    }

    fn assertion(
        &self,
        keyword: &str,
        value: &Value,
        object: &Map<String, Value>,
        scope: Scope<'_>,
        out: &mut Map<String, Value>,
    ) {
        match (keyword, value) {
            ("required", Value::Array(names)) => {
                let mut kept: Vec<Value> = Vec::new();
                for name in names {
                    let is_hidden = name.as_str().is_some_and(|name| scope.hidden.contains(name));
                    if !is_hidden && !kept.contains(name) {
                        kept.push(name.clone());
                    }
                }
                out.insert(keyword.to_owned(), Value::Array(kept));
            }
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(is_exclusive)) => {
                let bound = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
                if let (true, Some(limit)) = (*is_exclusive, object.get(bound)) {
                    out.insert(keyword.to_owned(), limit.clone());
                }
            }
            ("pattern", Value::String(pattern)) if self.document.unmatched.contains(pattern) => {}
            ("pattern", Value::String(pattern)) if self.document.backtracking.contains(pattern) => {
                out.insert(BACKTRACK.to_owned(), value.clone());
            }
            ("format", Value::String(format)) => {
                out.insert(keyword.to_owned(), value.clone());
                match format.as_str() {
                    "int32" => push_all_of(out, json!({ "minimum": i32::MIN, "maximum": i32::MAX })),
                    "int64" => push_all_of(out, json!({ "minimum": i64::MIN, "maximum": i64::MAX })),
                    "float" => push_all_of(out, json!({ "minimum": f32::MIN, "maximum": f32::MAX })),
                    _ => {}
                }
            }
            ("nullable" | "discriminator" | "contentEncoding" | "contentMediaType" | "contentSchema", _) => {}
            _ => drop(out.insert(keyword.to_owned(), value.clone())),
        }
    }
}

/// Names what `required` lists, where that takes it from no other keyword of the same schema.
fn name_required(out: &mut Map<String, Value>) {
    if ["additionalProperties", "patternProperties", "unevaluatedProperties"]
        .iter()
        .any(|k| out.contains_key(*k))
    {
        return;
    }
    let required = out.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<String> = required.filter_map(Value::as_str).map(str::to_owned).collect();
    if required.is_empty() {
        return;
    }
    if let Value::Object(named) = out.entry("properties").or_insert_with(|| json!({})) {
        for name in required {
            named.entry(name).or_insert(Value::Bool(true));
        }
    }
}

const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

fn members_of<'v>(
    object: &'v Map<String, Value>,
    keyword: &str,
) -> impl Iterator<Item = (&'v String, &'v Value)> {
    object.get(keyword).and_then(Value::as_object).into_iter().flatten()
}

fn push_all_of(out: &mut Map<String, Value>, schema: Value) {
    match out.entry("allOf").or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(list) => list.push(schema),
        other => *other = Value::Array(vec![schema]),
    }
}

/// Whether a schema has nothing below it.
fn is_scalar(schema: &Value) -> bool {
    schema
        .as_object()
        .is_none_or(|object| object.values().all(|value| !value.is_object() && !is_schemas(value)))
}

fn is_schemas(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.iter().any(Value::is_object))
}
