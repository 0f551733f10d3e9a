//! One text of a streamed choice: its deltas, and the chunk that carries more of it.

use portcullis_core::record::Finding;

use crate::dialect::Screen;
use crate::dialect::deltas::{Deltas, Passed};
use crate::dialect::text::Form;

/// One step from a choice down to a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    /// An element: its place, or what its own `index` says, in which case that is to be repeated.
    Element(u64, bool),
}

/// The texts that only grow by deltas, each under its own machine.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) choice: u32,
    /// `delta.tool_calls.0.function.arguments`.
    pub(super) path: String,
    deltas: Deltas,
    /// A choice that carries a text of this channel: what stands before and after it.
    open: String,
    close: String,
}

impl Channel {
    pub(super) fn new(screen: &Screen, choice: u32, path: String, steps: &[Step]) -> Self {
        let is_json = matches!(steps.last(), Some(Step::Member(name)) if name == "arguments");
        let form = match is_json {
            true => Form::Json,
            false if path == "delta.content" => Form::Prose,
            false => Form::Plain,
        };
        let screen = screen.at(|| pointer(steps));
        let (open, close) = wrapper(choice, steps);
        let at =
            format!("choice {choice} {}", path.strip_prefix("delta.").unwrap_or(&path).replace('.', " "));
        Self { choice, path, deltas: Deltas::new(&screen, form, at), open, close }
    }

    /// Takes a piece and appends to `released` what may leave.
    pub(super) fn push(&mut self, piece: &str, released: &mut String, findings: &mut Vec<Finding>) -> Passed {
        self.deltas.push(piece, released, findings)
    }

    /// The text is over: appends what was held back, once. Returns whether that was blocked.
    pub(super) fn finish(&mut self, released: &mut String, findings: &mut Vec<Finding>) -> bool {
        self.deltas.finish(released, findings)
    }

    /// A choice, as JSON, whose only text is `text` in this channel.
    pub(super) fn choice_with(&self, text: &str) -> String {
        let text = serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into());
        [self.open.as_str(), &text, &self.close].concat()
    }
}

/// Where the text would stand in an answer that comes whole.
fn pointer(steps: &[Step]) -> String {
    let mut pointer = String::from("/choices/*");
    for step in steps {
        pointer.push('/');
        match step {
            Step::Member(name) => pointer.push_str(if name == "delta" { "message" } else { name }),
            Step::Element(..) => pointer.push('*'),
        }
    }
    pointer
}

fn wrapper(choice: u32, steps: &[Step]) -> (String, String) {
    let mut open = String::new();
    let mut close = Vec::new();
    let mut index = format!("\"index\":{choice},");
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Member(name) => {
                open.push('{');
                open.push_str(&std::mem::take(&mut index));
                open.push_str(&serde_json::to_string(name).unwrap_or_default());
                open.push(':');
                close.push(if nth == 0 { ",\"finish_reason\":null}" } else { "}" });
            }
            Step::Element(at, is_named) => {
                open.push('[');
                close.push("]");
                index = if *is_named { format!("\"index\":{at},") } else { String::new() };
            }
        }
    }
    close.reverse();
    (open, close.concat())
}
