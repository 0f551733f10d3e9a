//! The typed events of a streamed message.

use portcullis_core::halt::Reason;

use super::{error_body, usage};
use crate::dialect::events::{Closing, Delta, Echo, EchoKind, Grammar, Kept, When, Whole};
use crate::dialect::text::Form;

/// The member that numbers blocks.
const BLOCK: &[&str] = &["index"];
/// Rows of [`Grammar::kept`]: the message has begun; how many tokens it had then, and in the end.
const BEGUN: usize = 0;
const TOKENS: [usize; 2] = [2, 1];

/// See [`Grammar`]. Places begin with the number of the block.
pub(super) static GRAMMAR: Grammar = Grammar {
    deltas: &[
        delta("content_block_delta/text_delta", "/delta/text", "*/text", Form::Prose),
        delta("content_block_delta/thinking_delta", "/delta/thinking", "*/thinking", Form::Plain),
        delta("content_block_delta/input_json_delta", "/delta/partial_json", "*/input", Form::Json),
    ],
    wholes: &[
        Whole {
            event: "content_block_start",
            value: Some("/content_block"),
            place: "*",
            numbers: BLOCK,
            when: When::Begin,
        },
        Whole { event: "content_block_stop", value: None, place: "*", numbers: BLOCK, when: When::End },
        // What is signed is all of it.
        Whole {
            event: "content_block_delta/signature_delta",
            value: None,
            place: "*/thinking",
            numbers: BLOCK,
            when: When::End,
        },
        end("message_delta"),
        end("message_stop"),
        end("error"),
    ],
    echoes: &[
        Echo {
            event: "content_block_delta/signature_delta",
            value: "/delta/signature",
            place: "*/thinking",
            numbers: BLOCK,
            kind: EchoKind::Seal,
        },
        Echo {
            event: "content_block_delta/citations_delta",
            value: "/delta/citation/cited_text",
            place: "*/text",
            numbers: BLOCK,
            kind: EchoKind::Quote,
        },
    ],
    others: &["message_start", "ping"],
    ends: &["message_stop", "error"],
    number: None,
    id: None,
    hidden: &[],
    root: "/content",
    kept: &[
        ("message_start", "/type", Kept::Newest),
        ("message_start", "/message/usage/output_tokens", Kept::Newest),
        ("message_delta", "/usage/output_tokens", Kept::Newest),
    ],
    usage: |tape, known| {
        let around = tape.member(0, "message").unwrap_or(0);
        usage(tape, around, known)
    },
    close,
};

const fn delta(event: &'static str, piece: &'static str, place: &'static str, form: Form) -> Delta {
    Delta { event, piece, place, numbers: BLOCK, form, more: "" }
}

/// An event before which everything ends.
const fn end(event: &'static str) -> Whole {
    Whole { event, value: None, place: "", numbers: &[], when: When::End }
}

/// A block ends the message as a refusal of the model does, after the blocks that are open. What cannot be read ends
/// with an `error`, at which SDKs raise.
fn close(closing: &Closing<'_>) -> String {
    if closing.reason != Reason::AnswerBlocked {
        let error = error_body(closing.reason, closing.record_id);
        return format!("event: error\ndata: {error}\n\n");
    }
    let kept = |row: usize| closing.kept.iter().find(|(kept, _)| *kept == row).map(|(_, json)| json.as_str());
    let mut events = String::new();
    let mut event = |kind: &str, more: &str| {
        for part in ["event: ", kind, "\ndata: {\"type\":\"", kind, "\"", more, "}\n\n"] {
            events.push_str(part);
        }
    };
    if kept(BEGUN).is_none() {
        event("message_start", BEGIN);
    }
    for place in closing.open {
        event("content_block_stop", &format!(",\"index\":{place}"));
    }
    let tokens = TOKENS.iter().find_map(|row| kept(*row)).unwrap_or("0");
    let why = closing.reason.title();
    let delta = format!(
        r#","delta":{{"stop_reason":"refusal","stop_sequence":null,"stop_details":{{"type":"refusal","category":null,"explanation":"{why}"}}}},"usage":{{"output_tokens":{tokens}}}"#
    );
    event("message_delta", &delta);
    event("message_stop", "");
    events
}

/// A message of which nothing is known.
const BEGIN: &str = r#","message":{"id":"msg_0","type":"message","role":"assistant","model":"","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}"#;
