//! `portcullis check`.

use std::io::IsTerminal;
use std::path::PathBuf;

use portcullis_gateway::config::{self, Diagnostics};
use portcullis_gateway::server;

use crate::Format;

/// Prints everything that is wrong with the files; false when one of them cannot be used.
pub(crate) fn check(files: &[PathBuf], format: Format, schema: bool) -> anyhow::Result<bool> {
    let mut all = Diagnostics::default();
    for file in files {
        let checked = server::check(file);
        if schema && let Some(schema) = &checked.schema {
            anstream::print!("{schema}");
        }
        all.0.extend(checked.diagnostics.0);
    }
    let text = all.render(match format {
        Format::Text => config::Format::Text { colours: std::io::stdout().is_terminal() },
        Format::Json => config::Format::Json,
        Format::Sarif => config::Format::Sarif,
    });
    if schema {
        anstream::eprint!("{text}");
        return Ok(!all.has_errors());
    }
    anstream::print!("{text}");
    if format == Format::Text {
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

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
