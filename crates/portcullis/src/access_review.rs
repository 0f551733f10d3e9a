//! `portcullis access-review`.
use clap::Args;
pub(crate) const EXAMPLES: &str = "Example:\n  portcullis access-review";
/// What is reviewed.
#[derive(Debug, Args)]
pub(crate) struct Review {}
pub(crate) fn review(_: &Review) -> anyhow::Result<bool> { Ok(true) }
