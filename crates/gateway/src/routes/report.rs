//! The review of routes for people, on a terminal and in a browser, and for programs.

use std::fmt::Write as _;

use super::{RoutesReview, StillCalled, Unknown};
use crate::review::page::{begin, listed, row, table};

impl RoutesReview {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // A String takes whatever is written to it: there is no error to look at, here and below.
        let _ = writeln!(out, "records counted: {}, from {} to {}", self.records, self.from, self.at);
        if let Some(since) = &self.recorded_since {
            let _ = writeln!(out, "the oldest record is of {since}");
        }
        if self.unreadable > 0 {
            let _ = writeln!(out, "{} lines are no records", self.unreadable);
        }
        let _ =
            writeln!(out, "\nnever called: {} of {} operations", self.never_called.len(), self.operations);
        for one in &self.never_called {
            let mark = if one.deprecated { "  deprecated" } else { "" };
            let _ = writeln!(out, "  {}.{}  {} {}{mark}", one.api, one.operation, one.method, one.path);
        }
        section(&mut out, "deprecated and still called", &self.deprecated_called);
        section(&mut out, "called and always refused", &self.always_refused);
        if !self.unknown.is_empty() {
            out.push_str("\nasked for, and in no contract\n");
            for one in &self.unknown {
                let networks = listed(&one.networks);
                let _ = writeln!(
                    out,
                    "  {:>7}  {} {}  {}; last {}; from {networks}",
                    one.count,
                    one.method,
                    one.path,
                    one.what(),
                    one.last
                );
            }
            if self.unknown_others > 0 {
                let _ = writeln!(out, "  {:>7}  of further paths", self.unknown_others);
            }
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// One page for a browser; it loads nothing and runs nothing.
    pub fn html(&self) -> String {
        let mut out = begin("Review of routes");
        let _ = writeln!(
            out,
            "<p>{} records from {} to {}; {} operations.</p>",
            self.records, self.from, self.at, self.operations
        );
        let idle = self.never_called.iter().map(|one| {
            let (class, mark) = if one.deprecated { ("ends", "deprecated") } else { ("", "") };
            row(class, &[&one.api, &one.operation, &one.method, &one.path, mark])
        });
        table(&mut out, "Never called", &["API", "operation", "method", "path", ""], idle);
        for (title, class, all) in [
            ("Deprecated and still called", "never", &self.deprecated_called),
            ("Called and always refused", "partly", &self.always_refused),
        ] {
            let rows = all.iter().map(|one| {
                let (answered, refused) = (one.answered.to_string(), one.refused.to_string());
                row(class, &[&one.api, &one.operation, &answered, &refused, &listed(&one.callers), &one.last])
            });
            table(&mut out, title, &["API", "operation", "answered", "refused", "callers", "last"], rows);
        }
        let unknown = self.unknown.iter().map(|one| {
            let count = one.count.to_string();
            row("", &[&count, &one.method, &one.path, one.what(), &listed(&one.networks), &one.last])
        });
        let heads = ["calls", "method", "path", "", "networks", "last"];
        table(&mut out, "Asked for, and in no contract", &heads, unknown);
        if self.unknown_others > 0 {
            let _ = writeln!(out, "<p>{} calls of further paths.</p>", self.unknown_others);
        }
        out.push_str("</html>\n");
        out
    }
}

impl Unknown {
    fn what(&self) -> &'static str {
        if self.is_known_path { "no such method" } else { "no such path" }
    }
}

fn section(out: &mut String, title: &str, all: &[StillCalled]) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for one in all {
        let StillCalled { api, operation, answered, refused, last, callers } = one;
        let callers = listed(callers);
        let _ = writeln!(
            out,
            "  {api}.{operation}  answered {answered}, refused {refused}; last {last}; by {callers}"
        );
    }
}
