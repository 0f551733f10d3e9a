//! One whole text under a screen.

use portcullis_core::record::Finding;

use crate::machine::Screen;

/// A text that something was found in.
#[derive(Debug)]
pub(crate) struct Found {
    /// What may leave of it.
    pub(crate) text: String,
    /// Whether it differs from what came in.
    pub(crate) is_changed: bool,
    /// Whether nothing of it may leave.
    pub(crate) is_blocked: bool,
}

/// Screens `text`; `None` if nothing was found in it, and then nothing was copied either. `at` is asked only for findings.
pub(crate) fn screen(
    screen: &Screen,
    text: &str,
    findings: &mut Vec<Finding>,
    at: impl FnOnce() -> String,
) -> Option<Found> {
    if !screen.finds(text) {
        return None;
    }
    let mut machine = screen.machine();
    let mut out = String::with_capacity(text.len());
    machine.push(text, &mut out);
    machine.finish(&mut out);
    let at = at();
    findings.extend(machine.take_findings().into_iter().map(|finding| Finding { at: at.clone(), ..finding }));
    Some(Found { is_changed: out != text, text: out, is_blocked: machine.is_blocked() })
}
