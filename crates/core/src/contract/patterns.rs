//! Patterns: linear time where possible, a bound on steps where not.

use std::sync::LazyLock;

use jsonschema::{Draft, PatternOptions, ValidationOptions, Validator};
use serde_json::{Map, Value};

/// Steps that a pattern with look-around or back-references may take on one value.
const BACKTRACK_LIMIT: usize = 10_000;

/// What it takes to match a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternKind {
    /// A regular expression in the strict sense.
    Linear,
    /// Look-around or back-references.
    Backtracking,
    /// Not a pattern.
    Broken,
}

/// Options that every validator is built with.
pub(super) fn options<'i>() -> ValidationOptions<'i> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .offline()
        .with_pattern_options(PatternOptions::regex())
}

pub(super) fn pattern_kind(pattern: &str) -> PatternKind {
    let mut schema = Map::new();
    schema.insert("pattern".to_owned(), Value::String(pattern.to_owned()));
    let schema = Value::Object(schema);
    if LINEAR.build(&schema).is_ok() {
        PatternKind::Linear
    } else if backtracking(&schema).is_some() {
        PatternKind::Backtracking
    } else {
        PatternKind::Broken
    }
}

static LINEAR: LazyLock<ValidationOptions<'static>> = LazyLock::new(options);

/// A validator for `{"pattern": …}` that may backtrack, within a bound.
pub(super) fn backtracking(schema: &Value) -> Option<Validator> {
    let options = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT);
    self::options().with_pattern_options(options).build(schema).ok()
}
