//! `portcullis coverage`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use portcullis_gateway::explain::Desk;

use crate::access_review::said;

pub(crate) const EXAMPLES: &str = "Example:
  portcullis coverage -c portcullis.yaml
  portcullis coverage --format json | jq '.tables[] | select(.route == \"assistant\")'

A guard that is configured where it cannot run is an error: `check` says where, and `run` does not start.";

/// What is asked.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The configuration file.
    #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

/// How coverage is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
}

/// Prints which guard runs where; false when the configuration cannot be used, or a guard cannot run.
pub(crate) fn coverage(asked: &Question) -> anyhow::Result<bool> {
    let desk = match Desk::open(&asked.config) {
        Ok(desk) => desk,
        Err(problems) => return Ok(said(&problems)),
    };
    let found = desk.coverage();
    match asked.format {
        Shape::Text => anstream::print!("{}", found.text()),
        Shape::Json => anstream::println!("{}", serde_json::to_string_pretty(&found)?),
    }
    Ok(found.gaps().next().is_none())
}
