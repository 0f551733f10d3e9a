//! Arguments: their values, literal or by variable, as text; and whose the objects are that they name.

use apollo_compiler::ast::{Argument, FieldDefinition, Value as Literal, VariableDefinition};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node, Schema};
use http::HeaderMap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use super::{Fault, Graph, WaivedArgument, is_coordinate};
use crate::authorize::{ObjectError, Sent};
use crate::halt::Reason;
use crate::identify::Principal;

/// Name and text of each value, those within objects with dots in the name.
type Pairs = Vec<(Box<str>, Box<str>)>;

/// Brings variables to the types that the operation declares (CoerceVariableValues, GraphQL section 6.1.2).
pub(super) fn coerced(
    schema: &Valid<Schema>,
    operation: &Operation,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Fault> {
    let wrong = |message| Fault::at(Reason::BodyInvalid, "/variables", message);
    // SMUGGLING: a variable that nobody declares is read by nobody here, and must not be by anybody behind.
    if given.keys().any(|name| !operation.variables.iter().any(|one| one.name == *name.as_str())) {
        return Err(wrong("there is a variable that the operation does not declare"));
    }
    if given.values().any(is_rounded) {
        return Err(wrong("a number is too large to be sent on exactly"));
    }
    let internal = |error: serde_json::Error| Fault::new(Reason::Internal, error.to_string());
    let values: JsonMap = serde_json::from_value(Value::Object(given.clone())).map_err(internal)?;
    let coerced = coerce_variable_values(schema, operation, &values);
    let coerced = coerced.map_err(|_| wrong("a variable is missing or of another type"))?;
    match serde_json::to_value(&*coerced).map_err(internal)? {
        Value::Object(values) => Ok(values),
        _ => Err(Fault::new(Reason::Internal, "variables are no object")),
    }
}

/// Whether a whole number was rounded when it was read, as those beyond 64 bits are.
fn is_rounded(value: &Value) -> bool {
    const LARGEST: f64 = 18_446_744_073_709_551_615.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().is_none_or(|number| number.abs() >= LARGEST && number.fract() == 0.0)
        }
        Value::Array(items) => items.iter().any(is_rounded),
        Value::Object(fields) => fields.values().any(is_rounded),
        _ => false,
    }
}

/// The values of an operation's variables.
#[derive(Clone, Copy)]
pub(super) struct Values<'v> {
    pub(super) given: &'v Map<String, Value>,
    pub(super) declared: &'v [Node<VariableDefinition>],
}

impl Values<'_> {
    /// All arguments of a field: those given, and the defaults of those that are not.
    pub(super) fn of(&self, given: &[Node<Argument>], definition: &FieldDefinition) -> Pairs {
        let mut pairs = Pairs::new();
        for argument in given {
            self.literal(&argument.name, &argument.value, &mut pairs);
        }
        for argument in &definition.arguments {
            let is_given = |one: &&Node<Argument>| one.name == argument.name && !self.is_absent(&one.value);
            if let (Some(default), None) = (&argument.default_value, given.iter().find(is_given)) {
                self.literal(&argument.name, default, &mut pairs);
            }
        }
        pairs
    }

    /// Whether a value is a variable without one: the argument is then as if it were not there.
    fn is_absent(&self, value: &Literal) -> bool {
        let Literal::Variable(name) = value else { return false };
        !self.given.contains_key(name.as_str()) && self.default(name).is_none()
    }

    fn default(&self, name: &str) -> Option<&Literal> {
        self.declared.iter().find(|one| one.name == *name)?.default_value.as_deref()
    }

    fn literal(&self, name: &str, value: &Literal, out: &mut Pairs) {
        match value {
            Literal::Null => {}
            Literal::Enum(text) => out.push((name.into(), text.as_str().into())),
            Literal::String(text) => out.push((name.into(), text.as_str().into())),
            Literal::Int(number) => out.push((name.into(), number.as_str().into())),
            Literal::Float(number) => out.push((name.into(), number.as_str().into())),
            Literal::Boolean(is) => out.push((name.into(), is.to_string().into())),
            Literal::List(items) => items.iter().for_each(|item| self.literal(name, item, out)),
            Literal::Object(fields) => {
                // A scalar of the schema's own may be an object: whoever asks for it by its name finds it there.
                out.push((name.into(), "{}".into()));
                fields.iter().for_each(|(inner, value)| self.literal(&format!("{name}.{inner}"), value, out));
            }
            Literal::Variable(variable) => match self.given.get(variable.as_str()) {
                Some(value) => json(name, value, out),
                // INVARIANT: a default holds no variable (GraphQL section 5.6), or the document is refused.
                None => match self.default(variable) {
                    None | Some(Literal::Variable(_)) => {}
                    Some(default) => self.literal(name, default, out),
                },
            },
        }
    }

    /// A whole number that an argument has.
    pub(super) fn number(&self, value: &Literal) -> Option<u64> {
        match value {
            Literal::Int(number) => number.as_str().parse().ok(),
            Literal::Variable(name) => match self.given.get(name.as_str()) {
                Some(value) => value.as_u64(),
                None => match self.default(name)? {
                    Literal::Int(number) => number.as_str().parse().ok(),
                    _ => None,
                },
            },
            _ => None,
        }
    }
}

fn json(name: &str, value: &Value, out: &mut Pairs) {
    match value {
        Value::Null => {}
        Value::String(text) => out.push((name.into(), text.as_str().into())),
        Value::Number(number) => out.push((name.into(), number.to_string().into())),
        Value::Bool(is) => out.push((name.into(), is.to_string().into())),
        Value::Array(items) => items.iter().for_each(|item| json(name, item, out)),
        Value::Object(fields) => {
            out.push((name.into(), "{}".into()));
            fields.iter().for_each(|(inner, value)| json(&format!("{name}.{inner}"), value, out));
        }
    }
}

/// Values as a query, as policy reads it.
pub(super) fn as_query<'p>(pairs: impl Iterator<Item = &'p (Box<str>, Box<str>)>) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
        query.push('=');
        query.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    query
}

/// What it takes to say whose the objects of an operation are.
pub(super) struct Owned<'o> {
    pub(super) graph: &'o Graph,
    pub(super) executable: &'o ExecutableDocument,
    pub(super) variables: &'o Map<String, Value>,
    pub(super) principal: &'o Principal,
    pub(super) headers: &'o HeaderMap,
    /// Waivers that hold no more.
    pub(super) ended: &'o [&'o WaivedArgument],
}

impl Owned<'_> {
    /// Proves that every object which an argument names, at whatever depth, is the caller's.
    pub(super) fn check(&self, operation: &Operation) -> Result<(), ObjectError> {
        let values = Values { given: self.variables, declared: &operation.variables };
        self.selections(&operation.selection_set, values, &mut FxHashSet::default())
    }

    fn selections<'d>(
        &'d self,
        set: &'d SelectionSet,
        values: Values<'_>,
        seen: &mut FxHashSet<&'d str>,
    ) -> Result<(), ObjectError> {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    self.field(&set.ty, field, values)?;
                    self.selections(&field.selection_set, values, seen)?;
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set, values, seen)?,
                Selection::FragmentSpread(spread) => {
                    let fragment = self.executable.fragments.get(&spread.fragment_name);
                    if let Some(fragment) = fragment.filter(|_| seen.insert(&spread.fragment_name)) {
                        self.selections(&fragment.selection_set, values, seen)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&self, parent: &str, field: &Field, values: Values<'_>) -> Result<(), ObjectError> {
        if field.definition.arguments.is_empty() {
            return Ok(());
        }
        let mut ended = self.ended.iter();
        if let Some(one) = ended.find(|one| is_coordinate(&one.field, parent, &field.name)) {
            return Err(ObjectError::WaiverEnded(one.argument.clone()));
        }
        let pairs = values.of(&field.arguments, &field.definition);
        for bound in &self.graph.rules.bound {
            let is_meant = bound.fields.is_empty()
                || bound.fields.iter().any(|one| is_coordinate(one, parent, &field.name));
            let named = &bound.rule.parameter;
            let is_there =
                self.graph.declares(&field.definition, named) || pairs.iter().any(|(name, _)| name == named);
            if is_meant && is_there {
                let sent = Sent { path: &pairs, query: None, headers: self.headers, body: b"" };
                bound.rule.judge(self.principal, &sent)?;
            }
        }
        Ok(())
    }
}
