//! What is wrong with a configuration, where, and what to do about it.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::mask;
use super::tree::Span;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but is likely not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a file, with the line's text for people. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The file, as messages name it.
    pub file: Arc<str>,
    /// Where in it; line 0 when only the file is known.
    pub at: Span,
    /// The line, secrets masked; empty when it is not known.
    pub source: Arc<str>,
}

impl Place {
    /// An error here. `code` is a stable slug, `message` one lower-case sentence without a full stop.
    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, code, message.into())
    }

    /// A warning here.
    pub fn warning(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, code, message.into())
    }

    /// The place of `length` bytes at byte `offset` of `text`, in the file that messages call `file`.
    pub fn in_text(file: &Arc<str>, text: &str, offset: usize, length: usize) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
        let begin = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let line_begin = before.get(begin..).unwrap_or_default();
        let line_end = after.lines().next().unwrap_or_default();
        let marked = length.min(line_end.len());
        let marked = line_end.get(..marked).map_or(1, |marked| marked.chars().count());
        let at = Span {
            line: narrow(before.matches('\n').count().saturating_add(1)),
            column: narrow(line_begin.chars().count().saturating_add(1)),
            length: narrow(marked.max(1)),
        };
        Self { file: Arc::clone(file), at, source: mask::line(&format!("{line_begin}{line_end}")).into() }
    }

    fn diagnostic(&self, severity: Severity, code: &'static str, message: String) -> Diagnostic {
        Diagnostic { severity, code, place: self.clone(), message, expected: None, help: None }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A stable slug for machines: `unknown-key`, `inline-secret`.
    pub code: &'static str,
    /// Where.
    pub place: Place,
    /// What: one sentence, lower case, no full stop. Never quotes a secret.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Says what would have been right.
    pub fn expected(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do about it.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Says which name was probably meant, where one of `names` is near enough.
    pub fn nearest<'n>(&mut self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> &mut Self {
        if let Some(name) = nearest(wrong, names) {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }
}

/// All diagnostics of one load, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether the configuration cannot be used.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|one| one.severity == Severity::Error)
    }

    /// How many errors and how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.0.iter().filter(|one| one.severity == Severity::Error).count();
        (errors, self.0.len().saturating_sub(errors))
    }
}

/// Gathers what is wrong with one file and with the files that it names.
#[derive(Debug)]
pub(crate) struct Report {
    file: Arc<str>,
    lines: Vec<String>,
    found: Vec<Diagnostic>,
}

impl Report {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        Self { file: file.into(), lines: text.lines().map(mask::line).collect(), found: Vec::new() }
    }

    pub(crate) fn place(&self, at: Span) -> Place {
        let index = usize::try_from(at.line).unwrap_or(usize::MAX).checked_sub(1);
        let source = index.and_then(|index| self.lines.get(index)).map(String::as_str).unwrap_or_default();
        Place { file: Arc::clone(&self.file), at, source: source.into() }
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let diagnostic = self.place(at).error(code, message);
        self.add(diagnostic)
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        at: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let diagnostic = self.place(at).warning(code, message);
        self.add(diagnostic)
    }

    pub(crate) fn add(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.found.push(diagnostic);
        let last = self.found.len().saturating_sub(1);
        #[expect(clippy::indexing_slicing, reason = "one was pushed just now")]
        &mut self.found[last]
    }

    /// Hides what is written at `at` in every line that is ever shown.
    pub(crate) fn mask(&mut self, at: Span) {
        let index = usize::try_from(at.line).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(line) = self.lines.get_mut(index) {
            *line = mask::span(line, at);
        }
    }

    /// Whether something on the line of `at` is hidden from messages.
    pub(crate) fn is_masked(&self, at: Span, text: &str) -> bool {
        let index = usize::try_from(at.line).unwrap_or(usize::MAX).wrapping_sub(1);
        text.lines().nth(index) != self.lines.get(index).map(String::as_str)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|one| one.severity == Severity::Error)
    }

    /// All diagnostics: those of this file first, in its order; the lines as they were masked last.
    pub(crate) fn finish(mut self) -> Diagnostics {
        let mut found = std::mem::take(&mut self.found);
        for one in &mut found {
            if one.place.file == self.file {
                one.place.source = self.place(one.place.at).source;
            }
        }
        let order = |one: &Diagnostic| (one.place.file != self.file, one.place.file.clone(), one.place.at);
        found.sort_by_key(order);
        Diagnostics(found)
    }
}

/// The name among `names` that is nearest to `wrong`, when at most three edits and less than half of it apart.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (wrong.chars().count() / 2).min(3);
    names
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Edit distance (insert, delete, replace, swap neighbours), capped at 4 by a cheap check of the lengths.
#[expect(clippy::indexing_slicing, reason = "rows are one longer than `right`, and columns run over `right`")]
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_ascii_lowercase().chars().collect();
    let right: Vec<char> = right.to_ascii_lowercase().chars().collect();
    if left.len().abs_diff(right.len()) > 3 || left.len().max(right.len()) > 128 {
        return 4;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, b) in right.iter().enumerate() {
            let replaced = above[j].saturating_add(usize::from(a != b));
            let mut best = replaced.min(above[j.saturating_add(1)].saturating_add(1));
            best = best.min(row[j].saturating_add(1));
            if i > 0 && j > 0 && left[i.wrapping_sub(1)] == *b && *a == right[j.wrapping_sub(1)] {
                best = best.min(before[j.wrapping_sub(1)].saturating_add(1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

/// Names as "`a`, `b` or `c`".
pub(crate) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        let joint = match index {
            0 => "",
            _ if index.saturating_add(1) == names.len() => " or ",
            _ => ", ",
        };
        let _ = write!(text, "{joint}`{name}`");
    }
    text
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["identify", "upstream", "budgets", "hide"];
        let check = |wrong, expected| assert_eq!(nearest(wrong, names), expected, "{wrong}");
        check("identfy", Some("identify"));
        check("idenitfy", Some("identify"));
        check("Budget", Some("budgets"));
        check("hid", Some("hide"));
        check("x", None);
        check("listeners", None);
    }

    #[test]
    fn a_byte_offset_becomes_a_place() {
        let place = Place::in_text(&"a".into(), "é one\nü two three\n", 11, 3);
        assert_eq!(place.at, Span { line: 2, column: 4, length: 3 });
        assert_eq!(&*place.source, "ü two three");
        let place = Place::in_text(&"a".into(), "", 99, 3);
        assert_eq!(place.at, Span { line: 1, column: 1, length: 1 });
    }
}
