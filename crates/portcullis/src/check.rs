//! `portcullis check`.

use std::io::IsTerminal;
use std::path::PathBuf;

use portcullis_gateway::config::{self, Diagnostics};
use portcullis_gateway::server::{self, Matrix};

use crate::Format;

/// Prints everything that is wrong with the files; false when one of them cannot be used.
pub(crate) fn check(files: &[PathBuf], format: Format, schema: bool, matrix: bool) -> anyhow::Result<bool> {
    let mut all = Diagnostics::default();
    let mut matrices = Vec::new();
    for file in files {
        let checked = server::check(file);
        if schema && let Some(schema) = &checked.schema {
            anstream::print!("{schema}");
        }
        matrices.extend(checked.matrix.filter(|found| matrix || found.rows.iter().any(|row| row.is_role)));
        all.0.extend(checked.diagnostics.0);
    }
    let text = all.render(match format {
        Format::Text => config::Format::Text { colours: std::io::stdout().is_terminal() },
        Format::Json => config::Format::Json,
        Format::Sarif => config::Format::Sarif,
    });
    if matrix {
        match format {
            Format::Json | Format::Sarif => {
                anstream::println!("{}", serde_json::to_string_pretty(&matrices)?)
            }
            Format::Text => matrices.iter().for_each(|one| anstream::print!("{}", table(one))),
        }
    }
    if schema || matrix {
        anstream::eprint!("{text}");
        return Ok(!all.has_errors());
    }
    anstream::print!("{text}");
    if format == Format::Text {
        matrices.iter().for_each(|one| anstream::print!("{}\n", table(one)));
        let (errors, warnings) = all.counts();
        anstream::println!(
            "{} checked: {}, {}",
            plural(files.len(), "file"),
            plural(errors, "error"),
            plural(warnings, "warning")
        );
    }
    Ok(!all.has_errors())
}

/// Operations by roles, in columns.
fn table(matrix: &Matrix) -> String {
    let widths: Vec<usize> = matrix.rows.iter().map(|row| row.who.chars().count().max(5)).collect();
    let first = matrix.actions.iter().map(|action| action.chars().count()).max().unwrap_or(0).max(9);
    let mut out = format!("{:first$}", "operation");
    for (row, width) in matrix.rows.iter().zip(&widths) {
        out.push_str(&format!("  {:width$}", row.who.as_str()));
    }
    let mut unreachable = Vec::new();
    for (index, action) in matrix.actions.iter().enumerate() {
        out.push_str(&format!("\n{:first$}", action.as_str()));
        let cells: Vec<&str> = matrix
            .rows
            .iter()
            .map(|row| row.cells.get(index).map_or("-", |cell| cell.answer.as_str()))
            .collect();
        for (cell, width) in cells.iter().zip(&widths) {
            out.push_str(&format!("  {cell:width$}"));
        }
        if cells.iter().all(|cell| matches!(*cell, "-" | "never")) {
            unreachable.push(action.as_str());
        }
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    let mut out = lines.join("\n");
    out.push_str("\n\n`if`: under a condition; `never`: forbidden, whatever allows it\n");
    if !unreachable.is_empty() {
        out.push_str(&format!("nobody who is named by role may call: {}\n", unreachable.join(", ")));
    }
    out
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
