//! `portcullis prove`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use smol_str::SmolStr;

pub(crate) const EXAMPLES: &str = "Example:
  portcullis prove -c portcullis.yaml
  portcullis prove --solver /opt/cvc5/bin/cvc5 --implies reader:editor --format json

It asks cvc5 (https://cvc5.github.io), and is part of a binary that was built with `--features prove`. Exit status 1 when
something is not proven: a policy can err, can never apply, a claim does not hold, or the solver gives up.";

/// What is to be proven.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The configuration file.
    #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// The program of the solver.
    #[arg(long, default_value = "cvc5", env = "CVC5")]
    solver: PathBuf,
    /// How long the solver may think about one question, in seconds.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u64).range(1..=3600))]
    limit: u64,
    /// A claim to be proven: whatever the first role may do by the roles file, the second may do as well. Can be given
    /// several times.
    #[arg(long, value_name = "ROLE:ROLE", value_parser = pair)]
    implies: Vec<(SmolStr, SmolStr)>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

/// How proofs are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn pair(text: &str) -> Result<(SmolStr, SmolStr), String> {
    let pair = text.split_once(':').filter(|(one, other)| !one.is_empty() && !other.is_empty());
    let (one, other) = pair.ok_or("two roles with a colon between them, as `reader:editor`")?;
    Ok((one.into(), other.into()))
}

/// Says that this binary cannot prove anything.
#[cfg(not(feature = "prove"))]
pub(crate) fn prove(_: &Question) -> anyhow::Result<bool> {
    anyhow::bail!(
        "this binary was built without proofs; build one that has them: cargo build --release --features prove"
    )
}

/// Asks the solver; false when the configuration cannot be used, or something is not proven.
#[cfg(feature = "prove")]
pub(crate) fn prove(question: &Question) -> anyhow::Result<bool> {
    use std::time::Duration;

    use portcullis_gateway::explain::Desk;
    use portcullis_prove::{Claims, Solver};

    let desk = match Desk::open(&question.config) {
        Ok(desk) => desk,
        Err(problems) => return Ok(crate::access_review::said(&problems)),
    };
    let solver = Solver { program: question.solver.clone(), limit: Duration::from_secs(question.limit) };
    let claims = Claims { implied: question.implies.clone() };
    let book = desk.settings.roles.as_ref().map(|roles| &roles.book);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(portcullis_prove::prove(desk.policy(), book, &claims, &solver))?;
    match question.format {
        Shape::Text => anstream::print!("{}", report.text()),
        Shape::Json => anstream::println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(report.is_proven())
}
