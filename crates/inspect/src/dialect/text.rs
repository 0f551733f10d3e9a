//! One text that is known whole, through the same machine as a stream's pieces.

use portcullis_core::record::Finding;

use super::Screen;
use super::escape::{Inside, Unescape};
pub(crate) use crate::machine::Form;

/// Most findings that one request or answer keeps; the rest is still acted on.
pub(crate) const FINDINGS: usize = 256;

/// What is left of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Same,
    Changed(String),
    Blocked,
}

/// Screens `text`; `at` says where it stood if something is found.
pub(crate) fn whole(
    screen: &Screen,
    text: &str,
    form: Form,
    findings: &mut Vec<Finding>,
    at: impl FnOnce() -> String,
) -> Left {
    if text.is_empty() || screen.is_off() {
        return Left::Same;
    }
    let mut seen = String::new();
    let text = match form {
        Form::Plain | Form::Prose => text,
        Form::Json => {
            let mut unescape = Unescape::default();
            unescape.push(text, &mut seen);
            unescape.finish(&mut seen);
            &seen
        }
    };
    // PERF: nearly every text is clean, and then nothing is copied.
    if !screen.finds(text) {
        return Left::Same;
    }
    let mut machine = screen.machine_for(form);
    let mut left = String::with_capacity(text.len());
    machine.push(text, &mut left);
    if !machine.is_blocked() {
        machine.finish(&mut left);
    }
    keep(machine.take_findings(), findings, at);
    if machine.is_blocked() {
        Left::Blocked
    } else if left == text {
        Left::Same
    } else if form == Form::Json {
        let mut back = String::with_capacity(left.len());
        Inside::default().write(&left, &mut back);
        Left::Changed(back)
    } else {
        Left::Changed(left)
    }
}

/// Files what a machine found under its place.
pub(crate) fn keep(found: Vec<Finding>, findings: &mut Vec<Finding>, at: impl FnOnce() -> String) {
    if found.is_empty() {
        return;
    }
    let at = at();
    let room = FINDINGS.saturating_sub(findings.len());
    findings.extend(found.into_iter().take(room).map(|finding| Finding { at: at.clone(), ..finding }));
}
