//! Validators, one per schema and mode, built when first asked for and shared by all who refer to them.
//!
//! PERF: real documents refer to each other in circles (an operation of Stripe's reaches nearly every schema), so a
//! validator per operation would hold the whole document many times. Here each schema is a [`Unit`]; a reference
//! is a keyword that asks the other unit. Memory grows with the document, and only with what is used of it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use base64::Engine as _;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::Location;
use jsonschema::{Keyword, PatternCache, ValidationError, ValidationOptions, Validator};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::patterns;
use super::problem::escaped;
use super::translate::{BACKTRACK, Mode, UNIT, translate, unit_of};
use crate::halt::Violation;

/// Most violations that one request is told of.
pub(crate) const MOST_VIOLATIONS: usize = 32;

/// Most mistakes of an answer that are looked at to strip it.
const MOST_EXCESS: usize = 100_000;

/// One schema in one mode.
pub(crate) struct Unit {
    pointer: Box<str>,
    mode: Mode,
    /// `None` inside: it could not be built, and nothing passes it.
    validator: OnceLock<Option<Validator>>,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} {}", self.mode, self.pointer)
    }
}

type Units = HashMap<(Mode, Box<str>), Arc<Unit>>;

/// All units of a document.
pub(crate) struct Shelf {
    pub(super) document: Document,
    units: Mutex<Units>,
    options: ValidationOptions<'static>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shelf").field("units", &self.units.lock().len()).finish_non_exhaustive()
    }
}

impl Shelf {
    pub(super) fn new(document: Document) -> Arc<Self> {
        Arc::new_cyclic(|shelf: &Weak<Self>| Self {
            document,
            units: Mutex::default(),
            options: options(shelf.clone()),
        })
    }

    /// The unit for the schema at `pointer`; it is not built yet.
    pub(super) fn unit(&self, mode: Mode, pointer: &str) -> Arc<Unit> {
        let mut units = self.units.lock();
        let unit = units
            .entry((mode, pointer.into()))
            .or_insert_with(|| Arc::new(Unit { pointer: pointer.into(), mode, validator: OnceLock::new() }));
        Arc::clone(unit)
    }

    fn validator<'u>(&self, unit: &'u Unit) -> Option<&'u Validator> {
        unit.validator.get_or_init(|| self.build(unit).ok()).as_ref()
    }

    fn build(&self, unit: &Unit) -> Result<Validator, String> {
        let schema = translate(&self.document, &unit.pointer, unit.mode)
            .ok_or_else(|| "the schema expands beyond all bounds".to_owned())?;
        self.options.build(&schema).map_err(|error| error.to_string())
    }

    /// Builds every unit that those on the shelf lead to; returns what could not be built, by pointer.
    pub(super) fn build_all(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        loop {
            let open: Vec<_> =
                self.units.lock().values().filter(|unit| unit.validator.get().is_none()).cloned().collect();
            if open.is_empty() {
                return faults;
            }
            for unit in open {
                let built = self.build(&unit).map_err(|fault| faults.push((unit.pointer.to_string(), fault)));
                // Whoever was first has built the same.
                let _ = unit.validator.set(built.ok());
            }
        }
    }

    /// Whether `value` meets the schema. What cannot be built accepts nothing.
    pub(crate) fn accepts(&self, unit: &Unit, value: &Value) -> bool {
        self.validator(unit).is_some_and(|validator| validator.is_valid(value))
    }

    /// What is wrong with `value`, at most [`MOST_VIOLATIONS`], each below the pointer `at`.
    ///
    /// `is_large` reports the first only: the engine gathers all before it tells one.
    pub(crate) fn violations(&self, unit: &Unit, value: &Value, at: &str, is_large: bool) -> Vec<Violation> {
        let mut found = Vec::new();
        self.gather(unit, value, at, is_large, &mut found);
        found.truncate(MOST_VIOLATIONS);
        if found.is_empty() {
            found.push(Violation { at: at.to_owned(), message: "does not meet the contract".to_owned() });
        }
        found
    }

    fn gather(&self, unit: &Unit, value: &Value, at: &str, is_large: bool, found: &mut Vec<Violation>) {
        let Some(validator) = self.validator(unit) else { return };
        if is_large {
            if let Err(error) = validator.validate(value) {
                self.explain(&error, value, at, is_large, found);
            }
            return;
        }
        for error in validator.iter_errors(value) {
            if found.len() >= MOST_VIOLATIONS {
                return;
            }
            self.explain(&error, value, at, is_large, found);
        }
    }

    /// Pointers to members of `value` that the schema, being closed, does not take; empty where taking them out is
    /// not enough, as far as one pass can tell.
    pub(crate) fn excess(&self, unit: &Unit, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = MOST_EXCESS;
        if self.all_excess(unit, value, "", &mut left, &mut found) { found } else { Vec::new() }
    }

    /// Whether all that is wrong with `value` is that it has members too many.
    fn all_excess(
        &self,
        unit: &Unit,
        value: &Value,
        at: &str,
        left: &mut usize,
        out: &mut Vec<String>,
    ) -> bool {
        let Some(validator) = self.validator(unit) else { return false };
        let errors: Vec<_> = validator.iter_errors(value).collect();
        // Where a part of a composition fails, what it names counts as not named; it is told when the part fits.
        let is_whole =
            |error: &&ValidationError<'_>| matches!(error.kind(), Kind::UnevaluatedProperties { .. });
        let is_mixed = errors.iter().any(|error| !is_whole(&error));
        let errors = errors.iter().filter(|error| !(is_mixed && is_whole(error)));
        errors.into_iter().all(|error| self.is_excess(error, value, at, left, out))
    }

    fn is_excess(
        &self,
        error: &ValidationError<'_>,
        value: &Value,
        at: &str,
        left: &mut usize,
        out: &mut Vec<String>,
    ) -> bool {
        let Some(rest) = left.checked_sub(1) else { return false };
        *left = rest;
        let below = error.instance_path().as_str();
        let place = format!("{at}{below}");
        match error.kind() {
            Kind::Custom { keyword, message } if keyword == UNIT => {
                let unit = unit_of(message).map(|(mode, pointer)| self.unit(mode, pointer));
                match (unit, value.pointer(below)) {
                    (Some(unit), Some(value)) => self.all_excess(&unit, value, &place, left, out),
                    _ => false,
                }
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                out.extend(unexpected.iter().map(|name| format!("{place}/{}", escaped(name))));
                true
            }
            Kind::FalseSchema => {
                let is_member = below
                    .rsplit_once('/')
                    .is_some_and(|(above, _)| value.pointer(above).is_some_and(Value::is_object));
                if is_member {
                    out.push(place);
                }
                is_member
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let fitting = context.iter().filter_map(|errors| {
                    let mut found = Vec::new();
                    let fits = errors.iter().all(|error| self.is_excess(error, value, at, left, &mut found));
                    fits.then_some(found)
                });
                match fitting.min_by_key(Vec::len) {
                    Some(found) => {
                        out.extend(found);
                        true
                    }
                    None => false,
                }
            }
            _ => false,
        }
    }

    fn explain(
        &self,
        error: &ValidationError<'_>,
        value: &Value,
        at: &str,
        is_large: bool,
        found: &mut Vec<Violation>,
    ) {
        let below = error.instance_path().as_str();
        let place = format!("{at}{below}");
        let mut add = |name: Option<&str>, message: Cow<'static, str>| {
            let at = name.map_or_else(|| place.clone(), |name| format!("{place}/{}", escaped(name)));
            found.push(Violation { at, message: message.into_owned() });
        };
        match error.kind() {
            Kind::Custom { keyword, message } if keyword == UNIT => {
                let unit = unit_of(message).map(|(mode, pointer)| self.unit(mode, pointer));
                match (unit, value.pointer(below)) {
                    (Some(unit), Some(value)) => self.gather(&unit, value, &place, is_large, found),
                    _ => add(None, "does not meet the contract".into()),
                }
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                unexpected.iter().for_each(|name| add(Some(name), "is not in the contract".into()));
            }
            Kind::Required { property } => add(property.as_str(), "is required".into()),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                match likeliest(context, error.instance_path()) {
                    Some(errors) => errors.iter().for_each(|e| self.explain(e, value, at, is_large, found)),
                    None => add(None, "matches none of the alternatives".into()),
                }
            }
            kind => add(None, message(kind)),
        }
    }
}

/// The one alternative whose errors are worth telling: all others already fail by the type of the value.
fn likeliest<'c>(
    context: &'c [Vec<ValidationError<'static>>],
    at: &Location,
) -> Option<&'c Vec<ValidationError<'static>>> {
    let fits = |errors: &&Vec<ValidationError<'static>>| {
        !errors.iter().any(|error| {
            matches!(error.kind(), Kind::Type { .. } | Kind::FalseSchema) && error.instance_path() == at
        })
    };
    let mut fitting = context.iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none())
}

/// What was expected, without a word of what was sent.
fn message(kind: &Kind) -> Cow<'static, str> {
    match kind {
        Kind::Type { kind: TypeKind::Single(kind) } => format!("must be of type {kind}").into(),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.to_string()).collect();
            format!("must be of type {}", kinds.join(" or ")).into()
        }
        Kind::FalseSchema => "must not be sent".into(),
        Kind::Enum { .. } | Kind::Constant { .. } => "must be one of the values in the contract".into(),
        Kind::Format { format } => format!("must be a valid {format}").into(),
        Kind::Pattern { .. } | Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "does not have the form that the contract asks for".into()
        }
        Kind::Custom { keyword, .. } if keyword == BACKTRACK => {
            "does not have the form that the contract asks for".into()
        }
        Kind::Minimum { limit } => format!("must be at least {limit}").into(),
        Kind::Maximum { limit } => format!("must be at most {limit}").into(),
        Kind::ExclusiveMinimum { limit } => format!("must be above {limit}").into(),
        Kind::ExclusiveMaximum { limit } => format!("must be below {limit}").into(),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}").into(),
        Kind::MinLength { limit } => format!("must have at least {limit} characters").into(),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters").into(),
        Kind::MinItems { limit } => format!("must have at least {limit} items").into(),
        Kind::MaxItems { limit } => format!("must have at most {limit} items").into(),
        Kind::MinProperties { limit } => format!("must have at least {limit} fields").into(),
        Kind::MaxProperties { limit } => format!("must have at most {limit} fields").into(),
        Kind::UniqueItems => "must not have the same item twice".into(),
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => {
            "has more items than the contract".into()
        }
        Kind::PropertyNames { .. } => "has a field whose name is not allowed".into(),
        Kind::OneOfMultipleValid { .. } => "matches more than one of the alternatives".into(),
        _ => "does not meet the contract".into(),
    }
}

fn options(shelf: Weak<Shelf>) -> ValidationOptions<'static> {
    patterns::options()
        .with_pattern_cache(PatternCache::new())
        .with_format("byte", |text: &str| base64::engine::general_purpose::STANDARD.decode(text).is_ok())
        .with_keyword(UNIT, move |_, value, _| {
            let unit = shelf.upgrade().zip(value.as_str().and_then(unit_of));
            match unit {
                Some((held, (mode, pointer))) => Ok(Box::new(UnitKeyword {
                    unit: Arc::downgrade(&held.unit(mode, pointer)),
                    shelf: shelf.clone(),
                })),
                None => Err(ValidationError::custom("unknown unit")),
            }
        })
        .with_keyword(BACKTRACK, |_: &Map<String, Value>, value, _| {
            match patterns::backtracking(&json!({ "pattern": value })) {
                Some(validator) => Ok(Box::new(BacktrackKeyword { validator })),
                None => Err(ValidationError::custom("not a pattern")),
            }
        })
}

/// Asks another unit. Weak, because units refer to each other in circles and must go when the contract goes.
struct UnitKeyword {
    unit: Weak<Unit>,
    shelf: Weak<Shelf>,
}

impl<'i> Keyword<'i> for UnitKeyword {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        let unit = self.unit.upgrade();
        let name = unit.map(|unit| unit.mode.named(&unit.pointer));
        Err(ValidationError::custom(name.unwrap_or_default()))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let Some(unit) = self.unit.upgrade() else { return false };
        if let Some(validator) = unit.validator.get() {
            return validator.as_ref().is_some_and(|validator| validator.is_valid(instance));
        }
        self.shelf.upgrade().is_some_and(|shelf| shelf.accepts(&unit, instance))
    }
}

struct BacktrackKeyword {
    validator: Validator,
}

impl<'i> Keyword<'i> for BacktrackKeyword {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) { Ok(()) } else { Err(ValidationError::custom("")) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        self.validator.is_valid(instance)
    }
}
