//! Coverage for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portcullis_core::guard::Guard;

use super::{Cell, Coverage, State, Table};

/// Tables, each with its notes, and what the words mean.
pub(super) fn write(coverage: &Coverage) -> String {
    let mut out = String::new();
    for table in &coverage.tables {
        one(table, &mut out);
    }
    out.push_str("`-`: not configured; `·`: nothing there for it; `refused`: it cannot read that, so nothing passes; \
                  `unread`: it cannot read that, and it passes; `GAP`: it is configured there and cannot run\n");
    let gaps = coverage.gaps().count();
    if gaps > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{gaps} gaps");
    }
    out
}

fn one(table: &Table, out: &mut String) {
    let endpoint = table.endpoint.map(|name| format!(", {name}")).unwrap_or_default();
    let manner = if table.stream { "streamed" } else { "whole" };
    let _ = writeln!(out, "{} ({}{endpoint}), {}, {manner}", table.route, table.dialect, table.way);
    let is_shown = |guard: &Guard| {
        table.rows.iter().any(|row| row.cells.get(guard.id()).is_some_and(|cell| cell.state != State::Off))
    };
    let guards: Vec<Guard> = Guard::ALL.into_iter().filter(is_shown).collect();
    if guards.is_empty() {
        out.push_str("  no guard is configured\n\n");
        return;
    }
    let first = table.rows.iter().map(|row| row.surface.chars().count()).max().unwrap_or(0).max(7);
    let mut line = format!("  {:first$}", "surface");
    for guard in &guards {
        let _ = write!(line, "  {:width$}", guard.id(), width = width(*guard));
    }
    let _ = writeln!(out, "{}", line.trim_end());
    let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order = Vec::new();
    for row in &table.rows {
        let mut line = format!("  {:first$}", row.surface);
        for guard in &guards {
            let Some(cell) = row.cells.get(guard.id()) else { continue };
            let mut shown = word(cell).to_owned();
            if let Some(why) = cell.why.as_deref().filter(|_| cell.state != State::Off) {
                let next = notes.len() + 1;
                let number = *notes.entry(why).or_insert_with(|| {
                    order.push(why);
                    next
                });
                let _ = write!(shown, " {number}");
            }
            let _ = write!(line, "  {shown:width$}", width = width(*guard));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (index, why) in order.into_iter().enumerate() {
        let _ = writeln!(out, "  {}: {why}", index + 1);
    }
    out.push('\n');
}

fn width(guard: Guard) -> usize {
    guard.id().len().max(10)
}

fn word(cell: &Cell) -> &'static str {
    match cell.state {
        State::Runs => cell.action.unwrap_or("runs"),
        State::Off => "-",
        State::Outside => "·",
        State::Refused => "refused",
        State::Unread => "unread",
        State::Gap => "GAP",
    }
}
