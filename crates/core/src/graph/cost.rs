//! Cost: each field counts 1, or what `@cost` says of it, once for each element of the lists that it is in.
//!
//! How long a list is: the arguments that `@listSize(slicingArguments:)` names, else `first`, `last` or `limit`; what
//! `@listSize(assumedSize:)` says; else the limit of the graph. Where a field that is no list has such an argument, as
//! the connections of Relay have, the lists right below it are that long (the cost directives of IBM's specification).

use apollo_compiler::ast::{DirectiveList, Value as Literal};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::GraphLimits;
use super::arguments::Values;

/// Arguments that say how many elements are wanted.
const SLICING: [&str; 3] = ["first", "last", "limit"];

/// What an operation costs. INVARIANT: its document was measured and is valid, so that this ends.
pub(super) fn of(
    schema: &Schema,
    limits: &GraphLimits,
    executable: &ExecutableDocument,
    operation: &Operation,
    variables: &Map<String, Value>,
) -> u64 {
    let values = Values { given: variables, declared: &operation.variables };
    let mut walk = Walk { schema, limits, executable, values, known: FxHashMap::default() };
    walk.selections(&operation.selection_set, None)
}

struct Walk<'d> {
    schema: &'d Schema,
    limits: &'d GraphLimits,
    executable: &'d ExecutableDocument,
    values: Values<'d>,
    /// What a fragment costs where the lists in it have that length.
    known: FxHashMap<(&'d str, Option<u64>), u64>,
}

impl<'d> Walk<'d> {
    fn selections(&mut self, set: &'d SelectionSet, length: Option<u64>) -> u64 {
        let mut sum: u64 = 0;
        for selection in &set.selections {
            let cost = match selection {
                Selection::Field(field) => self.field(field, length),
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set, length),
                Selection::FragmentSpread(spread) => {
                    let key = (spread.fragment_name.as_str(), length);
                    match (self.known.get(&key), self.executable.fragments.get(&spread.fragment_name)) {
                        (Some(cost), _) => *cost,
                        (None, Some(fragment)) => {
                            let cost = self.selections(&fragment.selection_set, length);
                            self.known.insert(key, cost);
                            cost
                        }
                        (None, None) => 0,
                    }
                }
            };
            sum = sum.saturating_add(cost);
        }
        sum
    }

    fn field(&mut self, field: &'d Field, inherited: Option<u64>) -> u64 {
        let directives = &field.definition.directives;
        let kind = field.ty().inner_named_type();
        let of_type = || self.schema.types.get(kind).and_then(weight_of_type);
        let weight = weight(directives).or_else(of_type).unwrap_or(1);
        let sliced = self.sliced(field);
        let is_list = field.ty().is_list();
        let below = self.selections(&field.selection_set, if is_list { None } else { sliced });
        let times = match is_list {
            false => 1,
            true => sliced
                .or_else(|| number(directives, "listSize", "assumedSize"))
                .or(inherited)
                .unwrap_or(self.limits.list_length),
        };
        weight.saturating_add(times.saturating_mul(below))
    }

    /// How many elements the arguments of a field ask for.
    fn sliced(&self, field: &Field) -> Option<u64> {
        let list_size = field.definition.directives.get("listSize");
        let written = list_size.and_then(|one| one.specified_argument_by_name("slicingArguments"));
        let is_slicing = |name: &str| match written.map(|value| &**value) {
            Some(Literal::List(names)) => names.iter().any(|one| one.as_str() == Some(name)),
            Some(Literal::String(only)) => only == name,
            _ => SLICING.contains(&name),
        };
        let slicing = field.definition.arguments.iter().filter(|argument| is_slicing(&argument.name));
        let wanted = slicing.filter_map(|argument| {
            let given = field.arguments.iter().find(|one| one.name == argument.name);
            let given = given.and_then(|one| self.values.number(&one.value));
            given.or_else(|| self.values.number(argument.default_value.as_ref()?))
        });
        wanted.max()
    }
}

fn weight(directives: &DirectiveList) -> Option<u64> {
    number(directives, "cost", "weight")
}

fn weight_of_type(kind: &ExtendedType) -> Option<u64> {
    let cost = kind.directives().get("cost")?;
    as_number(cost.specified_argument_by_name("weight")?)
}

fn number(directives: &DirectiveList, directive: &str, argument: &str) -> Option<u64> {
    as_number(directives.get(directive)?.specified_argument_by_name(argument)?)
}

/// A weight may be written as a text; parts of one count as one.
fn as_number(value: &Literal) -> Option<u64> {
    let text = match value {
        Literal::Int(number) => number.as_str(),
        Literal::Float(number) => number.as_str(),
        Literal::String(text) => text,
        _ => return None,
    };
    text.parse().ok().or_else(|| {
        let (whole, _) = text.split_once('.')?;
        whole.parse::<u64>().ok()?.checked_add(1)
    })
}
