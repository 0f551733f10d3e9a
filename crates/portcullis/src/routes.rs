//! `portcullis routes`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use portcullis_gateway::explain::Desk;
use portcullis_gateway::routes::{Calls, review};

use crate::access_review::{each_line, said, span};

pub(crate) const EXAMPLES: &str = "Example:
  portcullis routes --records records.jsonl --window 30d
  portcullis routes --records records-*.jsonl --format html > routes.html

Of a path that no contract has, records keep words and replace what may be an identifier by `{id}`.";

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The configuration file.
    #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Files of records. Default: the one that the configuration names.
    #[arg(long, num_args = 1..)]
    records: Vec<PathBuf>,
    /// How far back a call counts: a number of days or hours, as `30d` or `12h`.
    #[arg(long, default_value = "30d", value_parser = span)]
    window: i64,
    /// Exit with 1 where a deprecated operation is still called, or something that no contract has.
    #[arg(long)]
    ci: bool,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

/// How a review is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// One page for a browser.
    Html,
}

/// Prints what was found; false when the configuration cannot be used, or `--ci` finds something to be done.
pub(crate) fn routes(asked: &Question) -> anyhow::Result<bool> {
    let desk = match Desk::open(&asked.config) {
        Ok(desk) => desk,
        Err(problems) => return Ok(said(&problems)),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let from = now.saturating_sub(asked.window);
    let mut calls = Calls::default();
    each_line(&desk, &asked.records, |line| calls.read(line, from))?;
    let found = review(&desk, &calls, from, now);
    match asked.format {
        Shape::Text => anstream::print!("{}", found.text()),
        Shape::Json => anstream::println!("{}", serde_json::to_string_pretty(&found.json())?),
        Shape::Html => anstream::print!("{}", found.html()),
    }
    Ok(!asked.ci || found.deprecated_called.is_empty() && found.unknown.is_empty())
}
