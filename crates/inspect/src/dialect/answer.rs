//! Answers that come whole: every string of the JSON is screened where it stands, and only what changed is replaced.

use bytes::Bytes;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Finding, Usage};

use super::document::is_encoded;
use super::splice::{Edit, contains, pointer, splice};
use super::tape::{Kind, Span, Tape};
use super::text::{Form, Left, whole};
use super::{ModelRules, Screened};

/// What differs between the whole answers of endpoints.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Token counts, where it has them.
    pub(crate) usage: fn(&Tape<'_>) -> Option<Usage>,
    /// Members of the root that say again what the operator wrote.
    pub(crate) hidden: &'static [&'static str],
    /// Values that come as JSON text in a stream, and are screened as such.
    pub(crate) written: fn(&Tape<'_>) -> Vec<u32>,
    /// What log probabilities become, which spell a text once more: after all strings were screened.
    pub(crate) spelling: Spelling,
}

/// Looks at the log probabilities of an answer.
pub(crate) type Spelling = fn(&ModelRules, &Tape<'_>, &mut Vec<Finding>, &mut Vec<Edit>) -> Result<(), Halt>;

/// Takes a whole JSON answer of the model: what was asked for, an error, a list. Proves that every string in it, names
/// of members included, passed the answer's screen, and that what the operator wrote is not in it. What was found goes
/// to `findings`, also on a refusal.
///
/// # Errors
/// [`Reason::AnswerUnreadable`] for what is not unambiguous JSON, [`Reason::AnswerBlocked`] for what a rule blocks.
pub(crate) fn screen_answer(
    answer: &Answer,
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    let unreadable = |detail: String| Halt::new(Reason::AnswerUnreadable, detail);
    let text = std::str::from_utf8(body).map_err(|error| unreadable(error.to_string()))?;
    let tape = Tape::parse(text).map_err(|error| unreadable(error.to_string()))?;
    let usage = (answer.usage)(&tape);
    let mut edits = Vec::new();
    if rules.system.is_some() {
        let hidden = answer.hidden.iter().filter_map(|name| tape.node(tape.member(0, name)?));
        edits.extend(hidden.filter(|node| node.kind != Kind::Null).map(|node| Edit::null(node.span)));
    }
    if !rules.answer.is_off() {
        let mut hidden: Vec<Span> = edits.iter().map(|edit| edit.span).collect();
        for id in (answer.written)(&tape) {
            let Some(node) = tape.node(id) else { continue };
            screen_written(rules, &tape, id, node.span, findings, &mut edits)?;
            hidden.push(node.span);
        }
        for (id, node) in (0..).zip(&tape.nodes) {
            if !hidden.iter().any(|hidden| contains(*hidden, node.span)) {
                screen_node(rules, &tape, id, findings, &mut edits)?;
            }
        }
        (answer.spelling)(rules, &tape, findings, &mut edits)?;
    }
    let body = if edits.is_empty() { body.clone() } else { Bytes::from(splice(text, &mut edits)) };
    Ok(Screened { body, usage })
}

/// Screens a node's name and, if it is a string, its text.
fn screen_node(
    rules: &ModelRules,
    tape: &Tape<'_>,
    id: u32,
    findings: &mut Vec<Finding>,
    edits: &mut Vec<Edit>,
) -> Result<(), Halt> {
    let Some(node) = tape.node(id) else { return Ok(()) };
    let key = tape.key(id);
    if let (Some(name), Some(span)) = (&key, node.key) {
        replace(rules, tape, id, (name, span, Form::Plain), findings, edits)?;
    }
    if let Some(text) = tape.string(id)
        && !key.as_deref().is_some_and(|name| is_encoded(name, &text))
    {
        let form = match key.as_deref() {
            Some("arguments") => Form::Json,
            // What the model says.
            Some("content" | "text") => Form::Prose,
            _ => Form::Plain,
        };
        replace(rules, tape, id, (&text, node.span, form), findings, edits)?;
    }
    Ok(())
}

/// Screens a value as the JSON text that it is.
fn screen_written(
    rules: &ModelRules,
    tape: &Tape<'_>,
    id: u32,
    span: Span,
    findings: &mut Vec<Finding>,
    edits: &mut Vec<Edit>,
) -> Result<(), Halt> {
    let screen = rules.answer.at(|| pointer(tape, id));
    match whole(&screen, span.of(tape.text), Form::Json, findings, || pointer(tape, id)) {
        Left::Same => Ok(()),
        // What was taken out may have been more than a value.
        Left::Changed(json) if Tape::parse(&json).is_ok() => {
            edits.push(Edit { span, json });
            Ok(())
        }
        Left::Changed(_) | Left::Blocked => Err(blocked(tape, id)),
    }
}

fn replace(
    rules: &ModelRules,
    tape: &Tape<'_>,
    id: u32,
    (text, span, form): (&str, Span, Form),
    findings: &mut Vec<Finding>,
    edits: &mut Vec<Edit>,
) -> Result<(), Halt> {
    let screen = rules.answer.at(|| pointer(tape, id));
    match whole(&screen, text, form, findings, || pointer(tape, id)) {
        Left::Same => Ok(()),
        Left::Changed(text) => {
            edits.push(Edit::string(span, &text));
            Ok(())
        }
        Left::Blocked => Err(blocked(tape, id)),
    }
}

/// The refusal for what stands at a node.
pub(crate) fn blocked(tape: &Tape<'_>, id: u32) -> Halt {
    Halt::new(Reason::AnswerBlocked, format!("blocked at {}", pointer(tape, id)))
}
