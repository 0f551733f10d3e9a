//! The typed events of a streamed response.

use portcullis_core::halt::Reason;
use portcullis_core::record::Usage;

use super::usage_at;
use crate::dialect::events::{Closing, Delta, Grammar, Kept, When, Whole};
use crate::dialect::tape::Tape;
use crate::dialect::text::Form;

/// The row of [`Grammar::kept`] with the response as it was created.
const CREATED: usize = 0;

/// A part of the content of an item.
const PART: &[&str] = &["output_index", "content_index"];
/// An item.
const ITEM: &[&str] = &["output_index"];
/// A part of the summary of an item.
const SUMMARY: &[&str] = &["output_index", "summary_index"];
/// A command of an item.
const COMMAND: &[&str] = &["output_index", "command_index"];

/// See [`Grammar`]. Places begin with the number of the item.
pub(super) static GRAMMAR: Grammar = Grammar {
    deltas: &[
        Delta {
            more: r#","logprobs":[]"#,
            ..delta("response.output_text.delta", "*/content/*/text", PART, Form::Prose)
        },
        delta("response.refusal.delta", "*/content/*/refusal", PART, Form::Plain),
        delta("response.reasoning_text.delta", "*/content/*/text", PART, Form::Plain),
        delta("response.reasoning_summary_text.delta", "*/summary/*/text", SUMMARY, Form::Plain),
        delta("response.function_call_arguments.delta", "*/arguments", ITEM, Form::Json),
        delta("response.mcp_call_arguments.delta", "*/arguments", ITEM, Form::Json),
        delta("response.custom_tool_call_input.delta", "*/input", ITEM, Form::Plain),
        delta("response.code_interpreter_call_code.delta", "*/code", ITEM, Form::Plain),
        delta("response.shell_call_command.delta", "*/action/commands/*", COMMAND, Form::Plain),
        Delta {
            piece: "/delta/stdout",
            ..delta("response.shell_call_output_content.delta", "*/output/*/stdout", COMMAND, Form::Plain)
        },
        Delta {
            piece: "/delta/stderr",
            ..delta("response.shell_call_output_content.delta", "*/output/*/stderr", COMMAND, Form::Plain)
        },
        delta("response.audio.transcript.delta", "transcript", &[], Form::Plain),
        // Encoded sound, in pieces: read as the text that it is not.
        delta("response.audio.delta", "audio", &[], Form::Plain),
    ],
    wholes: &[
        whole("response.output_text.done", Some("/text"), "*/content/*/text", PART, When::End),
        whole("response.refusal.done", Some("/refusal"), "*/content/*/refusal", PART, When::End),
        whole("response.reasoning_text.done", Some("/text"), "*/content/*/text", PART, When::End),
        whole("response.reasoning_summary_text.done", Some("/text"), "*/summary/*/text", SUMMARY, When::End),
        whole("response.function_call_arguments.done", Some("/arguments"), "*/arguments", ITEM, When::End),
        whole("response.mcp_call_arguments.done", Some("/arguments"), "*/arguments", ITEM, When::End),
        whole("response.custom_tool_call_input.done", Some("/input"), "*/input", ITEM, When::End),
        whole("response.code_interpreter_call_code.done", Some("/code"), "*/code", ITEM, When::End),
        whole(
            "response.shell_call_command.added",
            Some("/command"),
            "*/action/commands/*",
            COMMAND,
            When::Begin,
        ),
        whole(
            "response.shell_call_command.done",
            Some("/command"),
            "*/action/commands/*",
            COMMAND,
            When::End,
        ),
        // Pieces are numbered by the command; how the whole list is numbered, nobody says.
        whole("response.shell_call_output_content.done", None, "*/output/*", COMMAND, When::End),
        whole("response.audio.transcript.done", None, "transcript", &[], When::End),
        whole("response.audio.done", None, "audio", &[], When::End),
        whole("response.content_part.added", Some("/part"), "*/content/*", PART, When::Begin),
        whole("response.content_part.done", Some("/part"), "*/content/*", PART, When::End),
        whole("response.reasoning_summary_part.added", Some("/part"), "*/summary/*", SUMMARY, When::Begin),
        whole("response.reasoning_summary_part.done", Some("/part"), "*/summary/*", SUMMARY, When::End),
        whole("response.output_item.added", Some("/item"), "*", ITEM, When::Begin),
        whole("response.output_item.done", Some("/item"), "*", ITEM, When::End),
        whole("response.created", Some("/response/output"), "", &[], When::Begin),
        whole("response.queued", Some("/response/output"), "", &[], When::Begin),
        whole("response.in_progress", Some("/response/output"), "", &[], When::Begin),
        whole("response.completed", Some("/response/output"), "", &[], When::End),
        whole("response.incomplete", Some("/response/output"), "", &[], When::End),
        whole("response.failed", Some("/response/output"), "", &[], When::End),
        whole("error", None, "", &[], When::End),
    ],
    echoes: &[],
    others: &[
        "response.output_text.annotation.added",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.compaction.compacting",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_list_tools.failed",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
    ],
    ends: &["response.completed", "response.incomplete", "response.failed", "error"],
    number: Some("sequence_number"),
    id: Some(("item_id", &["/item_id", "/item/id"])),
    hidden: &["/response/instructions"],
    root: "/output",
    kept: &[
        ("response.created", "/response", Kept::Newest),
        ("response.output_item.done", "/item", Kept::All),
    ],
    usage: |tape, known| usage_of(tape).or(known),
    close,
};

const fn delta(
    event: &'static str,
    place: &'static str,
    numbers: &'static [&'static str],
    form: Form,
) -> Delta {
    Delta { event, piece: "/delta", place, numbers, form, more: "" }
}

const fn whole(
    event: &'static str,
    value: Option<&'static str>,
    place: &'static str,
    numbers: &'static [&'static str],
    when: When,
) -> Whole {
    Whole { event, value, place, numbers, when }
}

fn usage_of(tape: &Tape<'_>) -> Option<Usage> {
    usage_at(tape, tape.member(0, "response")?)
}

/// A block ends the response as a content filter does: with what of it was done. What cannot be read ends with an error
/// at which SDKs raise.
fn close(closing: &Closing<'_>) -> String {
    let number = closing.number;
    let created = closing.kept.iter().find(|(row, _)| *row == CREATED).map(|(_, json)| json.as_str());
    if let (Reason::AnswerBlocked, Some(created)) = (closing.reason, created) {
        let items: Vec<&str> =
            closing.kept.iter().filter(|(row, _)| *row != CREATED).map(|(_, json)| json.as_str()).collect();
        let response = cut_short(created, &items.join(","));
        let data =
            format!(r#"{{"type":"response.incomplete","sequence_number":{number},"response":{response}}}"#);
        return format!("event: response.incomplete\ndata: {data}\n\n");
    }
    let (code, message) = (closing.reason.code(), closing.reason.title());
    let error = super::super::error_body(closing.reason, closing.record_id);
    let error = error.strip_prefix('{').unwrap_or_default();
    format!(
        "event: error\ndata: {{\"type\":\"error\",\"code\":\"{code}\",\"message\":\"{message}\",\"param\":null,\"sequence_number\":{number},{error}\n\n"
    )
}

/// The response as it was created, ended by a content filter with these items.
fn cut_short(created: &str, items: &str) -> String {
    let Ok(tape) = Tape::parse(created) else { return "null".into() };
    let mut response = String::with_capacity(created.len() + items.len() + 128);
    for id in tape.children(0) {
        let (Some(name), Some(node)) = (tape.key(id), tape.node(id)) else { continue };
        if ["status", "incomplete_details", "output"].contains(&&*name) {
            continue;
        }
        response.push_str(&serde_json::to_string(&name).unwrap_or_default());
        response.push(':');
        response.push_str(node.span.of(created));
        response.push(',');
    }
    format!(
        r#"{{{response}"status":"incomplete","incomplete_details":{{"reason":"content_filter"}},"output":[{items}]}}"#
    )
}
