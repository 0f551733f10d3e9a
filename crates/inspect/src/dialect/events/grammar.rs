//! What a dialect's events are: one description for each dialect, and what is read from it.

use portcullis_core::halt::Reason;
use portcullis_core::record::Usage;

use super::Channel;
use crate::dialect::tape::{Kind, Tape};
use crate::dialect::text::Form;

/// The typed events of a dialect's streams. An event is called by its `type`, and where its `delta` has a `type` too,
/// by both: `content_block_delta/text_delta`.
///
/// A text has a place in the answer, such as `0/content/1/text`. Where a place is described, `*` stands for a number:
/// of an event's members, in their order, or of an element of a list.
#[derive(Debug)]
pub(crate) struct Grammar {
    /// Pieces of texts that a client joins.
    pub(crate) deltas: &'static [Delta],
    /// Values that begin texts, end them, or say them once more.
    pub(crate) wholes: &'static [Whole],
    /// Values that vouch for texts of others, or repeat them.
    pub(crate) echoes: &'static [Echo],
    /// Events that do neither; their texts stand for themselves.
    pub(crate) others: &'static [&'static str],
    /// Events that are the last of a stream.
    pub(crate) ends: &'static [&'static str],
    /// The member that counts the events of a stream.
    pub(crate) number: Option<&'static str>,
    /// What an event calls the item that it speaks of, and where an item's name may stand in an event.
    pub(crate) id: Option<(&'static str, &'static [&'static str])>,
    /// Where a provider says again what the operator wrote.
    pub(crate) hidden: &'static [&'static str],
    /// Where places begin in an answer that comes whole, as a JSON pointer: texts have the screens of their fields.
    pub(crate) root: &'static str,
    /// Values that the end of a stream may need: the event, and where they stand in it. The newest for each row, or all
    /// of them if [`Kept::All`].
    pub(crate) kept: &'static [(&'static str, &'static str, Kept)],
    /// Token counts, after an event and with what was known before it.
    pub(crate) usage: fn(&Tape<'_>, Option<Usage>) -> Option<Usage>,
    /// Events that end a stream before its time.
    pub(crate) close: fn(&Closing<'_>) -> String,
}

/// Whether all values of a row are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Newest,
    All,
}

/// An event with a piece of a text. One event may have more than one such row.
#[derive(Debug)]
pub(crate) struct Delta {
    /// What the event is called.
    pub(crate) event: &'static str,
    /// Where in the event the piece stands, as a JSON pointer of one step or two.
    pub(crate) piece: &'static str,
    /// The place of the text.
    pub(crate) place: &'static str,
    /// The members which number it.
    pub(crate) numbers: &'static [&'static str],
    pub(crate) form: Form,
    /// Members that an event of our own has besides, as JSON with a comma before it.
    pub(crate) more: &'static str,
}

/// An event with a value that holds texts, or that ends some.
#[derive(Debug)]
pub(crate) struct Whole {
    /// What the event is called.
    pub(crate) event: &'static str,
    /// Where in the event the value stands, as a JSON pointer; `None` where the event only ends texts.
    pub(crate) value: Option<&'static str>,
    /// The place of the value.
    pub(crate) place: &'static str,
    /// The members which number it.
    pub(crate) numbers: &'static [&'static str],
    pub(crate) when: When,
}

/// An event with a value that is worth nothing where a text was changed.
#[derive(Debug)]
pub(crate) struct Echo {
    /// What the event is called.
    pub(crate) event: &'static str,
    /// Where in the event the value stands, as a JSON pointer.
    pub(crate) value: &'static str,
    /// The place of the text.
    pub(crate) place: &'static str,
    /// The members which number it.
    pub(crate) numbers: &'static [&'static str],
    pub(crate) kind: EchoKind,
}

/// What an [`Echo`] is to its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EchoKind {
    /// A signature of it, which comes after its end: it is emptied where the text was changed.
    Seal,
    /// A part of what it was taken from: the event waits for the end of the text, and is left out where that was changed
    /// or where all that wait spell together what may not leave.
    Quote,
}

/// What the value of an event is to the texts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Deltas follow: the texts in it are their first pieces.
    Begin,
    /// All texts in its place are over, and it says them once more.
    End,
}

/// What the end of a stream is written from.
#[derive(Debug)]
pub(crate) struct Closing<'c> {
    /// [`Reason::AnswerBlocked`], or why the stream cannot be read.
    pub(crate) reason: Reason,
    pub(crate) record_id: &'c str,
    /// The number of the next event.
    pub(crate) number: u64,
    /// Values that were kept, as they left: the row, the JSON.
    pub(crate) kept: &'c [(usize, String)],
    /// Places that were begun and not ended, in their order.
    pub(crate) open: &'c [String],
}

impl Grammar {
    /// Whether an event of this name is one of the dialect.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.others.contains(&name)
            || self.deltas.iter().any(|row| row.event == name)
            || self.wholes.iter().any(|row| row.event == name)
            || self.echoes.iter().any(|row| row.event == name)
    }

    /// The rows of texts, numbered, whose place `place` is.
    pub(super) fn texts_at(&self, place: &str) -> Option<&'static Delta> {
        self.deltas.iter().find(|row| is_at(row.place, place))
    }
}

impl Delta {
    /// An event of our own with `text` for a channel of this row, after its first line.
    pub(super) fn own(&self, channel: &Channel, text: &str, number: Option<(&str, u64)>, out: &mut String) {
        let (kind, delta_kind) = self.event.split_once('/').map_or((self.event, None), |(a, b)| (a, Some(b)));
        out.push_str("event: ");
        out.push_str(kind);
        out.push_str("\ndata: {\"type\":\"");
        out.push_str(kind);
        out.push('"');
        let mut member = |name: &str, json: &str| {
            for part in [",\"", name, "\":", json] {
                out.push_str(part);
            }
        };
        for (name, value) in self.numbers.iter().zip(&channel.numbers) {
            member(name, &value.to_string());
        }
        if let Some((name, id)) = &channel.id {
            member(name, id);
        }
        let text = serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into());
        let piece = self.piece.strip_prefix('/').unwrap_or(self.piece);
        match (piece.split_once('/'), delta_kind) {
            (Some((outer, inner)), Some(kind)) => {
                member(outer, &format!(r#"{{"type":"{kind}","{inner}":{text}}}"#));
            }
            (Some((outer, inner)), None) => member(outer, &format!(r#"{{"{inner}":{text}}}"#)),
            (None, _) => member(piece, &text),
        }
        if let Some((name, number)) = number {
            member(name, &number.to_string());
        }
        out.push_str(self.more);
        out.push_str("}\n\n");
    }
}

/// What an event is called.
pub(super) fn name(tape: &Tape<'_>) -> Option<String> {
    let mut name = tape.string(tape.member(0, "type")?)?.into_owned();
    let delta = tape.member(0, "delta").and_then(|delta| tape.member(delta, "type"));
    if let Some(kind) = delta {
        name.push('/');
        name.push_str(&tape.string(kind)?);
    }
    Some(name)
}

/// The node at a JSON pointer without escapes.
pub(super) fn at(tape: &Tape<'_>, pointer: &str) -> Option<u32> {
    pointer.split('/').skip(1).try_fold(0, |id, name| tape.member(id, name))
}

/// The place that `pattern` describes with these numbers.
pub(super) fn filled(pattern: &str, numbers: &[u64]) -> String {
    let mut place = String::with_capacity(pattern.len() + 4);
    let mut numbers = numbers.iter();
    for (nth, step) in pattern.split('/').enumerate() {
        if nth > 0 {
            place.push('/');
        }
        match step {
            "*" => place.push_str(&numbers.next().copied().unwrap_or_default().to_string()),
            _ => place.push_str(step),
        }
    }
    place
}

/// The numbers in a place that `pattern` describes.
pub(super) fn numbers(pattern: &str, place: &str) -> Vec<u64> {
    let steps = pattern.split('/').zip(place.split('/')).filter(|(step, _)| *step == "*");
    steps.filter_map(|(_, number)| number.parse().ok()).collect()
}

/// Whether `place` is within `around`.
pub(super) fn is_within(around: &str, place: &str) -> bool {
    around.is_empty()
        || place.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_at(pattern: &str, place: &str) -> bool {
    let mut steps = place.split('/');
    let is_same = pattern.split('/').all(|step| {
        steps.next().is_some_and(|there| step == there || (step == "*" && there.parse::<u64>().is_ok()))
    });
    is_same && steps.next().is_none()
}

/// Collects the strings in a value with their places.
pub(super) fn strings(tape: &Tape<'_>, id: u32, place: &str, found: &mut Vec<(u32, String)>) {
    let Some(node) = tape.node(id) else { return };
    match node.kind {
        Kind::String => found.push((id, place.to_owned())),
        Kind::Object | Kind::Array => {
            for (nth, child) in tape.children(id).enumerate() {
                let step = tape.key(child).map_or_else(|| nth.to_string(), std::borrow::Cow::into_owned);
                let place = if place.is_empty() { step } else { [place, "/", &step].concat() };
                strings(tape, child, &place, found);
            }
        }
        Kind::Number | Kind::Bool | Kind::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_and_told_apart() {
        for (pattern, place, expected) in [
            ("*/content/*/text", "0/content/12/text", true),
            ("*/content/*/text", "0/content/x/text", false),
            ("*/content/*/text", "0/content/12", false),
            ("*/content/*", "0/content/12/text", false),
            ("*", "7", true),
        ] {
            assert_eq!(is_at(pattern, place), expected, "{pattern} {place}");
        }
        assert_eq!(filled("*/content/*/text", &[3, 14]), "3/content/14/text");
        assert_eq!(numbers("*/content/*/text", "3/content/14/text"), [3, 14]);
        assert!(is_within("", "1") && is_within("1", "1") && is_within("1", "1/text"));
        assert!(!is_within("1", "10/text") && !is_within("1/text", "1"));
    }
}
