//! Log probabilities spell a text once more, token by token.

use super::splice::{Edit, contains};
use super::tape::{Kind, Tape};

/// What the tokens of a list of log probabilities spell together.
pub(crate) fn tokens(tape: &Tape<'_>, list: u32) -> String {
    tape.children(list).filter_map(|one| tape.member(one, "token")).filter_map(|id| tape.string(id)).collect()
}

/// Empties every list of `logprobs` that does not spell the text beside it, or stands beside one that an edit changes
/// or that `is_quiet` does not vouch for. Returns whether there was any such list at all.
pub(crate) fn drop_misspelt(tape: &Tape<'_>, edits: &mut Vec<Edit>, is_quiet: impl Fn(u32) -> bool) -> bool {
    let mut has_any = false;
    for (id, node) in (0..).zip(&tape.nodes) {
        let is_list = node.kind == Kind::Array && tape.children(id).next().is_some();
        if !is_list || tape.key(id).as_deref() != Some("logprobs") {
            continue;
        }
        has_any = true;
        let beside = beside(tape, id);
        let is_true = beside.is_some_and(|text| {
            let span = tape.node(text).map(|node| node.span);
            let is_changed = edits.iter().any(|edit| span.is_some_and(|span| contains(span, edit.span)));
            !is_changed && is_quiet(text) && tape.string(text).is_some_and(|text| text == tokens(tape, id))
        });
        if !is_true {
            edits.retain(|edit| !contains(node.span, edit.span));
            edits.push(Edit { span: node.span, json: "[]".into() });
        }
    }
    has_any
}

/// The text in the same object as the list.
fn beside(tape: &Tape<'_>, list: u32) -> Option<u32> {
    let around = (0..list).rev().find(|id| tape.node(*id).is_some_and(|node| list < node.after))?;
    ["delta", "text"].iter().find_map(|name| tape.member(around, name))
}
