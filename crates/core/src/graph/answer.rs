//! What a server of GraphQL may answer (GraphQL section 7.1): what was asked for, in the types of the schema.

use std::sync::Arc;

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::document::Document;
use super::{Graph, Judged};
use crate::contract::shelf::MOST_VIOLATIONS;
use crate::halt::Violation;
use crate::json::{self, JsonLimits};

/// What the answer to a request may show.
#[derive(Debug)]
pub struct Expected {
    parts: Vec<(Arc<Document>, Option<SmolStr>)>,
    is_batch: bool,
}

impl Judged {
    /// What the answer to these operations may show.
    pub fn expected(&self) -> Expected {
        let parts = self.parts.iter().map(|part| (Arc::clone(&part.document), part.name.clone())).collect();
        Expected { parts, is_batch: self.is_batch }
    }
}

impl Graph {
    /// Takes the body of an answer; proves that it is an execution result of what was asked for, or as many of them as
    /// operations. Returns the body that may leave where `strips` took something out of it: fields that nobody asked
    /// for, members that a result does not have, and `extensions`.
    ///
    /// # Errors
    /// What is wrong, by place.
    pub fn check_answer(
        &self,
        expected: &Expected,
        body: &[u8],
        strips: bool,
    ) -> Result<Option<Vec<u8>>, Vec<Violation>> {
        let limits = JsonLimits { depth: usize::MAX, ..JsonLimits::default() };
        let mut value = json::parse(body, &limits).map_err(|error| vec![at("", &error.to_string())])?;
        let mut check = Check { schema: &self.schema, strips, is_stripped: false, violations: Vec::new() };
        match &mut value {
            Value::Array(results) if expected.is_batch && results.len() == expected.parts.len() => {
                for (number, (result, part)) in results.iter_mut().zip(&expected.parts).enumerate() {
                    match result {
                        Value::Object(result) => check.result(Some(part), result, &format!("/{number}")),
                        _ => check.wrong(&format!("/{number}"), "an object is expected"),
                    }
                }
            }
            // A list of operations may be refused as a whole.
            Value::Object(result) => {
                let only = expected.parts.first().filter(|_| !expected.is_batch);
                check.result(only, result, "");
            }
            _ => check.wrong("", "it is not what operations are answered with"),
        }
        let Check { violations, is_stripped, .. } = check;
        match (violations.is_empty(), is_stripped) {
            (true, true) => Ok(Some(value.to_string().into_bytes())),
            (true, false) => Ok(None),
            (false, _) => Err(violations),
        }
    }
}

struct Check<'s> {
    schema: &'s Schema,
    strips: bool,
    is_stripped: bool,
    violations: Vec<Violation>,
}

impl<'s> Check<'s> {
    fn wrong(&mut self, pointer: &str, message: &str) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(at(pointer, message));
        }
    }

    /// What is too much: taken out, or wrong. Returns whether it stays.
    fn excess(&mut self, pointer: &str, message: &str) -> bool {
        if self.strips {
            self.is_stripped = true;
        } else {
            self.wrong(pointer, message);
        }
        !self.strips
    }

    fn result(
        &mut self,
        part: Option<&(Arc<Document>, Option<SmolStr>)>,
        result: &mut Map<String, Value>,
        pointer: &str,
    ) {
        if !result.contains_key("data") && !result.contains_key("errors") {
            self.wrong(pointer, "there is neither `data` nor `errors`");
        }
        result.retain(|name, value| {
            let here = format!("{pointer}/{name}");
            match (name.as_str(), value) {
                ("data", Value::Null) => true,
                ("data", Value::Object(data)) => {
                    self.data(part, data, &here);
                    true
                }
                ("errors", Value::Array(errors)) => {
                    self.errors(errors, &here);
                    true
                }
                ("extensions", Value::Object(_)) => !self.strips || self.excess(&here, ""),
                ("data" | "errors" | "extensions", _) => {
                    self.wrong(&here, "it is of another type");
                    true
                }
                _ => self.excess(pointer, "there is a member that a result does not have"),
            }
        });
    }

    fn errors(&mut self, errors: &mut [Value], pointer: &str) {
        let is_error = |one: &Value| one.get("message").is_some_and(Value::is_string);
        if errors.is_empty() || !errors.iter().all(is_error) {
            self.wrong(pointer, "each error has a message");
        }
        for one in errors.iter_mut().filter_map(Value::as_object_mut).filter(|_| self.strips) {
            let before = one.len();
            one.retain(|name, _| matches!(name.as_str(), "message" | "locations" | "path"));
            self.is_stripped |= one.len() != before;
        }
    }

    fn data(
        &mut self,
        part: Option<&(Arc<Document>, Option<SmolStr>)>,
        data: &mut Map<String, Value>,
        pointer: &str,
    ) {
        // INVARIANT: what was sent was validated, so that its executable form is there.
        let executable = part.and_then(|(document, name)| Some((document.validated()?, name)));
        let operation = executable.and_then(|(executable, name)| {
            Some((executable, executable.operations.get(name.as_deref()).ok()?))
        });
        match operation {
            Some((executable, operation)) => {
                self.object(executable, &[&operation.selection_set], data, pointer);
            }
            None => self.wrong(pointer, "no data was asked for"),
        }
    }

    /// An object, held to the selections that were made of it.
    fn object(
        &mut self,
        executable: &ExecutableDocument,
        sets: &[&SelectionSet],
        object: &mut Map<String, Value>,
        pointer: &str,
    ) {
        let Some(declared) = sets.first().map(|set| &set.ty) else { return };
        let declared = declared.as_str();
        let is_object = self.schema.get_object(declared).is_some();
        let mut fields: Vec<(&str, Vec<&Field>)> = Vec::new();
        // Which of several types it is, is known where it was asked for, under whatever name.
        let kind = if is_object { Some(declared.to_owned()) } else { self.kind(executable, sets, object) };
        let mut seen = FxHashSet::default();
        for set in sets {
            self.collect(executable, set, kind.as_deref(), &mut seen, &mut fields);
        }
        object.retain(|name, value| {
            let here = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match fields.iter().find(|(key, _)| key == name) {
                Some((_, all)) => {
                    if let Some(first) = all.first() {
                        let sets: Vec<&SelectionSet> = all.iter().map(|one| &one.selection_set).collect();
                        self.value(executable, first.ty(), &sets, value, &here);
                    }
                    true
                }
                None => self.excess(pointer, "there is a field that nobody asked for"),
            }
        });
    }

    /// The type that an object says it has, where that is one it can have.
    fn kind(
        &self,
        executable: &ExecutableDocument,
        sets: &[&SelectionSet],
        object: &Map<String, Value>,
    ) -> Option<String> {
        let mut all = Vec::new();
        let mut seen = FxHashSet::default();
        sets.iter().for_each(|set| self.collect(executable, set, None, &mut seen, &mut all));
        let is_name = |fields: &Vec<&Field>| fields.iter().all(|field| field.name == "__typename");
        let (key, _) = all.iter().find(|(_, fields)| is_name(fields))?;
        let said = object.get(*key)?.as_str()?;
        self.schema.get_object(said).map(|_| said.to_owned())
    }

    /// The fields of a selection by their names in the answer; of a known type those that apply to it.
    fn collect<'d>(
        &self,
        executable: &'d ExecutableDocument,
        set: &'d SelectionSet,
        kind: Option<&str>,
        seen: &mut FxHashSet<&'d str>,
        out: &mut Vec<(&'d str, Vec<&'d Field>)>,
    ) {
        let applies = |condition: &str| {
            kind.is_none_or(|kind| kind == condition || self.schema.is_subtype(condition, kind))
        };
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    let key = field.response_key().as_str();
                    match out.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, fields)) => fields.push(field),
                        None => out.push((key, vec![field])),
                    }
                }
                Selection::InlineFragment(inline) => {
                    if inline.type_condition.as_ref().is_none_or(|condition| applies(condition)) {
                        self.collect(executable, &inline.selection_set, kind, seen, out);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = executable.fragments.get(&spread.fragment_name)
                        && applies(fragment.type_condition())
                        && seen.insert(&spread.fragment_name)
                    {
                        self.collect(executable, &fragment.selection_set, kind, seen, out);
                    }
                }
            }
        }
    }

    fn value(
        &mut self,
        executable: &ExecutableDocument,
        kind: &Type,
        sets: &[&SelectionSet],
        value: &mut Value,
        pointer: &str,
    ) {
        match (kind, value) {
            (kind, Value::Null) if kind.is_non_null() => self.wrong(pointer, "it may not be null"),
            (_, Value::Null) => {}
            (Type::List(item) | Type::NonNullList(item), Value::Array(items)) => {
                for (number, one) in items.iter_mut().enumerate() {
                    self.value(executable, item, sets, one, &format!("{pointer}/{number}"));
                }
            }
            (Type::List(_) | Type::NonNullList(_), _) => self.wrong(pointer, "a list is expected"),
            (Type::Named(name) | Type::NonNullNamed(name), value) => {
                let schema = self.schema;
                match (schema.types.get(name), value) {
                    (
                        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_)),
                        Value::Object(object),
                    ) => self.object(executable, sets, object, pointer),
                    (Some(leaf), value) if is_leaf(leaf, name, value) => {}
                    _ => self.wrong(pointer, "it is of another type"),
                }
            }
        }
    }
}

/// Whether a value is one of a scalar or an enum. A scalar of the schema's own takes anything.
fn is_leaf(kind: &ExtendedType, name: &str, value: &Value) -> bool {
    match kind {
        ExtendedType::Scalar(_) => match name {
            "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "Float" => value.is_number(),
            "String" => value.is_string(),
            "Boolean" => value.is_boolean(),
            "ID" => value.is_string() || value.is_i64() || value.is_u64(),
            _ => true,
        },
        ExtendedType::Enum(one) => value.as_str().is_some_and(|text| one.values.contains_key(text)),
        _ => false,
    }
}

fn at(pointer: &str, message: &str) -> Violation {
    Violation { at: pointer.to_owned(), message: message.to_owned() }
}
