//! Diagnostics for people, for machines, and for code scanning.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text {
        /// Whether it goes to a terminal that shows colours.
        colours: bool,
    },
    /// One JSON array.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl Diagnostics {
    /// All diagnostics, in one text that ends with a line break; empty text for none in [`Format::Text`].
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text { colours } => {
                let style = if colours { &COLOURED } else { &PLAIN };
                let all: Vec<String> = self.0.iter().map(|one| text(one, style)).collect();
                all.join("\n")
            }
            Format::Json => lines(&Json::Array(self.0.iter().map(object).collect())),
            Format::Sarif => lines(&sarif(&self.0)),
        }
    }
}

/// Terminal codes around the parts of a message.
struct Style {
    error: &'static str,
    warning: &'static str,
    bold: &'static str,
    dim: &'static str,
    end: &'static str,
}

const PLAIN: Style = Style { error: "", warning: "", bold: "", dim: "", end: "" };
const COLOURED: Style =
    Style { error: "\x1b[1;31m", warning: "\x1b[1;33m", bold: "\x1b[1m", dim: "\x1b[34m", end: "\x1b[0m" };

fn text(one: &Diagnostic, style: &Style) -> String {
    let Style { bold, dim, end, .. } = style;
    let severity = match one.severity {
        Severity::Error => style.error,
        Severity::Warning => style.warning,
    };
    let at = one.place.at;
    let file = printable(&one.place.file);
    let place = if at.line == 0 { file } else { format!("{file}:{}:{}", at.line, at.column) };
    let mut out = String::new();
    let word = one.severity.as_str();
    let message = printable(&one.message);
    let _ = writeln!(out, "{bold}{place}:{end} {severity}{word}{end}{bold}: {message}{end}");
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    if at.line > 0 && !one.place.source.is_empty() {
        let (shown, before, length) = excerpt(&one.place.source, at.column, at.length);
        let carets = "^".repeat(length);
        let _ = writeln!(out, "{dim}{margin} |{end}");
        let _ = writeln!(out, "{dim}{number} |{end} {shown}");
        let _ = writeln!(out, "{dim}{margin} |{end} {before}{severity}{carets}{end}");
    }
    for (label, said) in [("expected", &one.expected), ("help", &one.help)] {
        if let Some(said) = said {
            let _ = writeln!(out, "{dim}{margin} ={end} {label}: {}", printable(said));
        }
    }
    out
}

/// At most 100 characters of the line around the column, what stands under it before the caret, and how many
/// carets fit. Tabs become one space, so that the caret stands where it should.
fn excerpt(line: &str, column: u32, length: u32) -> (String, String, usize) {
    const WIDTH: usize = 100;
    let letters: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1).min(letters.len());
    let begin = if letters.len() <= WIDTH { 0 } else { column.saturating_sub(60) };
    let shown: String = letters.iter().skip(begin).take(WIDTH).collect();
    let before = column.saturating_sub(begin);
    let room = shown.chars().count().saturating_sub(before).max(1);
    let length = usize::try_from(length).unwrap_or(1).clamp(1, room);
    (shown.trim_end().to_owned(), " ".repeat(before), length)
}

/// Terminals obey control characters, so a file's text is never printed with them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn object(one: &Diagnostic) -> Json {
    json!({
        "severity": one.severity,
        "code": one.code,
        "file": &*one.place.file,
        "line": one.place.at.line,
        "column": one.place.at.column,
        "length": one.place.at.length,
        "message": one.message,
        "expected": one.expected,
        "help": one.help,
    })
}

fn sarif(all: &[Diagnostic]) -> Json {
    let mut rules: Vec<&str> = all.iter().map(|one| one.code).collect();
    rules.sort_unstable();
    rules.dedup();
    let results: Vec<Json> = all.iter().map(sarif_result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn sarif_result(one: &Diagnostic) -> Json {
    let mut message = one.message.clone();
    for (label, said) in [("expected", &one.expected), ("help", &one.help)] {
        if let Some(said) = said {
            let _ = write!(message, "; {label}: {said}");
        }
    }
    let at = one.place.at;
    let mut location = json!({ "artifactLocation": { "uri": uri(&one.place.file) } });
    if let (Some(location), true) = (location.as_object_mut(), at.line > 0) {
        let region = json!({
            "startLine": at.line,
            "startColumn": at.column,
            "endColumn": at.column.saturating_add(at.length),
        });
        location.insert("region".into(), region);
    }
    json!({
        "ruleId": one.code,
        "level": one.severity.as_str(),
        "message": { "text": message },
        "locations": [{ "physicalLocation": location }],
    })
}

/// A path as a relative URI reference (RFC 3986): what is not unreserved is encoded.
fn uri(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}

fn lines(value: &Json) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
