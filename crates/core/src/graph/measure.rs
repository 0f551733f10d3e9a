//! What a document comes to once its fragments are spread, before a schema is asked.

use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};
use rustc_hash::FxHashMap;

use super::{Fault, GraphLimits};
use crate::halt::Reason;

/// Deepest nesting of any kind in a text that is read at all.
pub(super) const NESTING: usize = 64;
/// Deepest nesting of selections with fragments spread. INVARIANT: bounds the recursion here and in the validation.
const SPREAD_NESTING: u32 = 90;
/// Most fragments of one document.
const FRAGMENTS: usize = 200;

/// What selections come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    depth: u32,
    aliases: u32,
    directives: u32,
    fields: u32,
    nesting: u32,
}

impl Sum {
    fn add(&mut self, inner: Self) {
        self.depth = self.depth.max(inner.depth);
        self.nesting = self.nesting.max(inner.nesting);
        self.aliases = self.aliases.saturating_add(inner.aliases);
        self.directives = self.directives.saturating_add(inner.directives);
        self.fields = self.fields.saturating_add(inner.fields);
    }
}

/// Holds every operation of a document to the limits.
pub(super) fn check(document: &Document, limits: &GraphLimits) -> Result<(), Fault> {
    let mut walk = Walk { fragments: FxHashMap::default(), known: FxHashMap::default() };
    for definition in &document.definitions {
        if let Definition::FragmentDefinition(fragment) = definition {
            walk.fragments.insert(&fragment.name, fragment);
        }
    }
    if walk.fragments.len() > FRAGMENTS {
        return Err(Fault::limit("query", format!("it has more than {FRAGMENTS} fragments")));
    }
    for definition in &document.definitions {
        let Definition::OperationDefinition(operation) = definition else { continue };
        let mut sum = walk.selections(&operation.selection_set, 0)?;
        sum.directives = sum.directives.saturating_add(count(operation.directives.len()));
        for (found, limit, what) in [
            (sum.depth, limits.depth, "deeper than"),
            (sum.aliases, limits.aliases, "aliases: more than"),
            (sum.directives, limits.directives, "directives: more than"),
        ] {
            if found > limit {
                return Err(Fault::limit("query", format!("{what} {limit}")));
            }
        }
    }
    Ok(())
}

struct Walk<'d> {
    fragments: FxHashMap<&'d str, &'d FragmentDefinition>,
    /// What a fragment comes to; `None` while that is being found out.
    known: FxHashMap<&'d str, Option<Sum>>,
}

impl<'d> Walk<'d> {
    fn selections(&mut self, selections: &'d [Selection], nesting: u32) -> Result<Sum, Fault> {
        if nesting > SPREAD_NESTING {
            return Err(Fault::limit("query", "fragments are spread too deeply"));
        }
        let mut sum = Sum::default();
        for selection in selections {
            let (mut inner, directives) = match selection {
                Selection::Field(field) => {
                    let mut inner = self.selections(&field.selection_set, nesting + 1)?;
                    inner.depth += 1;
                    inner.fields = inner.fields.saturating_add(1);
                    inner.aliases = inner.aliases.saturating_add(u32::from(field.alias.is_some()));
                    (inner, field.directives.len())
                }
                Selection::InlineFragment(inline) => {
                    (self.selections(&inline.selection_set, nesting + 1)?, inline.directives.len())
                }
                Selection::FragmentSpread(spread) => {
                    (self.fragment(&spread.fragment_name, nesting + 1)?, spread.directives.len())
                }
            };
            inner.directives = inner.directives.saturating_add(count(directives));
            inner.nesting += 1;
            sum.add(inner);
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'d str, nesting: u32) -> Result<Sum, Fault> {
        match self.known.get(name) {
            Some(Some(sum)) if nesting + sum.nesting > SPREAD_NESTING => {
                return Err(Fault::limit("query", "fragments are spread too deeply"));
            }
            Some(Some(sum)) => return Ok(*sum),
            Some(None) => {
                return Err(Fault::at(Reason::BodyInvalid, "query", "a fragment is spread within itself"));
            }
            None => {}
        }
        // An unknown fragment is told of by the validation.
        let Some(fragment) = self.fragments.get(name).copied() else { return Ok(Sum::default()) };
        self.known.insert(name, None);
        let mut sum = self.selections(&fragment.selection_set, nesting)?;
        sum.directives = sum.directives.saturating_add(count(fragment.directives.len()));
        self.known.insert(name, Some(sum));
        Ok(sum)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
