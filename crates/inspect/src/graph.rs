//! Operations of GraphQL under a screen: variables as JSON, the texts that a document holds one by one.

use portcullis_core::graph::Judged;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::{Action, Finding};

use crate::json;
use crate::machine::Screen;
use crate::text;

/// Screens operations; returns the body to send.
///
/// Variables are redacted where they lie. A literal is part of the document that was judged: what would have to be
/// redacted in one is blocked.
pub(crate) fn screen(screen: &Screen, judged: &Judged, findings: &mut Vec<Finding>) -> Result<Vec<u8>, Halt> {
    if screen.is_off() {
        return Ok(judged.body(judged.parts.iter().map(|part| part.variables())));
    }
    let mut variables = Vec::with_capacity(judged.parts.len());
    for (number, part) in judged.parts.iter().enumerate() {
        let before = if judged.is_batch { format!("/{number}") } else { String::new() };
        let known = findings.len();
        for literal in part.literals() {
            text::screen(screen, literal, findings, || format!("{before}/query"));
        }
        for finding in findings.iter_mut().skip(known) {
            if finding.action.rewrites() {
                finding.action = Action::Block;
            }
        }
        let at = format!("{before}/variables");
        match json::screen(screen, part.variables(), &at, findings) {
            Ok(json::Outcome::Unchanged | json::Outcome::Blocked) => variables.push(None),
            Ok(json::Outcome::Rewritten(text)) => variables.push(Some(text)),
            Err(error) => return Err(Halt::new(Reason::ContentBlocked, error.to_string())),
        }
    }
    let sent = judged.parts.iter().zip(&variables);
    Ok(judged.body(sent.map(|(part, rewritten)| rewritten.as_deref().unwrap_or(part.variables()))))
}
