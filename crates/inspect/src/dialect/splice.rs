//! Pieces of a JSON text put in place of others: what nobody changed leaves as the very bytes that came.

use super::tape::{Span, Tape};

/// A piece of JSON to put in place of another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) span: Span,
    pub(crate) json: String,
}

impl Edit {
    pub(crate) fn string(span: Span, text: &str) -> Self {
        Self { span, json: serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into()) }
    }

    pub(crate) fn null(span: Span) -> Self {
        Self { span, json: "null".into() }
    }
}

/// Whether `inner` lies within `outer`.
pub(crate) fn contains(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The text with the edits in place; they must not overlap.
pub(crate) fn splice(text: &str, edits: &mut [Edit]) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let mut spliced = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for edit in edits.iter() {
        spliced.push_str(text.get(at..edit.span.start as usize).unwrap_or_default());
        spliced.push_str(&edit.json);
        at = edit.span.end as usize;
    }
    spliced.push_str(text.get(at..).unwrap_or_default());
    spliced
}

/// The JSON pointer of a node.
pub(crate) fn pointer(tape: &Tape<'_>, id: u32) -> String {
    let mut path = String::new();
    let mut at = 0;
    while at != id {
        let Some((nth, child)) = tape
            .children(at)
            .enumerate()
            .find(|(_, child)| *child <= id && tape.node(*child).is_some_and(|node| id < node.after))
        else {
            break;
        };
        path.push('/');
        match tape.key(child) {
            Some(key) => path.push_str(&key.replace('~', "~0").replace('/', "~1")),
            None => path.push_str(&nth.to_string()),
        }
        at = child;
    }
    path
}
