//! `portcullis access-review`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use portcullis_gateway::config::{Diagnostics, Disk, Format as Rendering};
use portcullis_gateway::explain::Desk;
use portcullis_gateway::review::{Former, Frame, Usage};

pub(crate) const EXAMPLES: &str = "Example:
  portcullis access-review --records records.jsonl --window 30d
  portcullis access-review --records records-*.jsonl --since review-2026-q3.json --ci --unused-for 90d
  portcullis access-review --records records.jsonl --format patch | patch -p0

Records say what was used; without those of a whole window, much looks unused that is not.";

/// What is reviewed.
#[derive(Debug, Args)]
pub(crate) struct Review {
    /// The configuration file; it must name a roles file.
    #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Files of records. Default: the one that the configuration names.
    #[arg(long, num_args = 1..)]
    records: Vec<PathBuf>,
    /// How far back a use counts: a number of days or hours, as `30d` or `12h`.
    #[arg(long, default_value = "30d", value_parser = span)]
    window: i64,
    /// An older roles file, or the JSON of an older review, to say which rights grew since. Only a review knows
    /// waivers and Cedar policies as well.
    #[arg(long)]
    since: Option<PathBuf>,
    /// Exit with 1 where a grant was unused for too long, has ended, or was added without a reason, and where a waiver
    /// has ended.
    #[arg(long)]
    ci: bool,
    /// How long a grant may be unused before `--ci` fails. Records must reach back that far.
    #[arg(long, default_value = "90d", value_parser = span)]
    unused_for: i64,
    /// How to print the review.
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
    /// Only the narrower roles file, as a unified diff.
    Patch,
}

/// Seconds of a span such as `30d`.
pub(crate) fn span(text: &str) -> Result<i64, String> {
    let wrong = || "a number of days or hours, as `30d` or `12h`".to_owned();
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(number), _) => (number, 86_400),
        (None, Some(number)) => (number, 3_600),
        (None, None) => return Err(wrong()),
    };
    let number: u32 = number.trim().parse().map_err(|_| wrong())?;
    i64::from(number).checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// Prints the review; false when the configuration cannot be used, or `--ci` finds something to be done.
pub(crate) fn review(asked: &Review) -> anyhow::Result<bool> {
    let desk = match Desk::open(&asked.config) {
        Ok(desk) => desk,
        Err(problems) => return Ok(said(&problems)),
    };
    let Some(own) = &desk.settings.roles else {
        bail!("{} names no roles file", asked.config.display());
    };
    let before = match &asked.since {
        None => None,
        Some(path) => match Former::read(path, &Disk) {
            Ok(before) => Some(before),
            Err(problems) => return Ok(said(&problems)),
        },
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let frame = Frame { now, window: asked.window, unused_for: asked.unused_for };
    let mut usage = Usage::default();
    each_line(&desk, &asked.records, |line| usage.read(line, frame))?;
    let review = portcullis_gateway::review::review(&desk, own, &usage, before.as_ref(), frame);
    match asked.format {
        Shape::Text => anstream::print!("{}", review.text()),
        Shape::Json => anstream::println!("{}", serde_json::to_string_pretty(&review.json())?),
        Shape::Html => anstream::print!("{}", review.html()),
        Shape::Patch => anstream::print!("{}", review.patch),
    }
    if asked.ci && asked.format != Shape::Text {
        review.failures.iter().for_each(|one| anstream::eprintln!("{one}"));
    }
    Ok(!asked.ci || review.failures.is_empty())
}

/// Hands every line of the records to `take`: of `files`, or else of the file that the configuration names.
pub(crate) fn each_line(desk: &Desk, files: &[PathBuf], mut take: impl FnMut(&str)) -> anyhow::Result<()> {
    let default: Vec<PathBuf> = desk.records().map(Path::to_path_buf).into_iter().collect();
    let files = if files.is_empty() { &default } else { files };
    if files.is_empty() {
        bail!("the configuration writes its records to no file; name some with `--records`");
    }
    for file in files {
        let reading = || format!("cannot read {}", file.display());
        let opened = std::fs::File::open(file).with_context(reading)?;
        for line in BufReader::new(opened).lines() {
            take(&line.with_context(reading)?);
        }
    }
    Ok(())
}

/// Prints what is wrong with a configuration; false, because nothing can be done with it.
pub(crate) fn said(problems: &Diagnostics) -> bool {
    anstream::eprint!("{}", problems.render(Rendering::Text { colours: false }));
    false
}
