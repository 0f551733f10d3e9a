//! `portcullis`: the commands. Nothing here decides about a request.

mod access_review;
mod check;
mod coverage;
mod demo;
mod explain;
mod init;
mod prove;
mod routes;
mod run;
mod signal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One gate in front of HTTP APIs and language models: it proves who calls, decides what they may do, refuses what the
/// contract does not allow, holds budgets, guards prompts and answers, and records every decision.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Example:\n  portcullis demo --tour")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate.
    #[command(
        after_help = "Example:\n  portcullis run -c portcullis.yaml\n\nSIGHUP reloads, SIGTERM drains and stops."
    )]
    Run {
        /// The configuration file.
        #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
        config: PathBuf,
    },
    /// Say everything about a configuration that can be known before it runs. Exit status 1 on errors.
    #[command(
        after_help = "Example:\n  portcullis check -c portcullis.yaml --format sarif > portcullis.sarif"
    )]
    Check {
        /// The configuration files.
        #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG", num_args = 1..)]
        config: Vec<PathBuf>,
        /// How to print what was found.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Print the Cedar schema that policies are checked against, and nothing else.
        #[arg(long)]
        schema: bool,
        /// Print who may call what, roles by operations, and nothing else. Without it the matrix follows the check of
        /// a configuration with a roles file.
        #[arg(long, conflicts_with = "schema")]
        matrix: bool,
    },
    /// Print which guard runs where: every route, requests and answers, streamed and whole, surface by surface, and why not
    /// where it does not. Exit status 1 where a guard is configured and cannot run.
    #[command(after_help = coverage::EXAMPLES)]
    Coverage(coverage::Question),
    /// Say why a recorded call came out as it did, or how one would: which policies were considered, which decided, and
    /// what would change the answer.
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Question),
    /// Review what was granted against what was used: grants never used, rights that grew, grants that end, what was
    /// waived by whom, and a narrower roles file as a patch. Exit status 1 with `--ci` when something must be done.
    #[command(after_help = access_review::EXAMPLES)]
    AccessReview(access_review::Review),
    /// Prove what the policies say for every request that there can be: that none can err, which can never apply, which
    /// operations are denied to everybody, which policies say what others say, which roles imply which.
    #[command(after_help = prove::EXAMPLES)]
    Prove(prove::Question),
    /// Compare what the contracts name with what was called: operations that nobody calls, deprecated ones that somebody
    /// still calls, and paths that were asked for and that no contract has.
    #[command(after_help = routes::EXAMPLES)]
    Routes(routes::Question),
    /// Write a configuration that runs, deny by default, from an OpenAPI document.
    #[command(
        after_help = "Example:\n  portcullis init --contract api.yaml --upstream http://127.0.0.1:9001\n\nFiles that exist are never overwritten."
    )]
    Init {
        /// The OpenAPI document, 3.0 or 3.1, YAML or JSON.
        #[arg(long)]
        contract: PathBuf,
        /// Where the API listens.
        #[arg(long)]
        upstream: String,
        /// The issuer of its callers' tokens (`iss`).
        #[arg(long)]
        issuer: Option<String>,
        /// The audience of those tokens (`aud`).
        #[arg(long)]
        audience: Option<String>,
        /// Where to write.
        #[arg(long, default_value = ".")]
        directory: PathBuf,
    },
    /// Run everything with nothing to install: a sample API with holes, a model that leaks, an issuer, and the gate.
    #[command(after_help = "Example:\n  portcullis demo --tour")]
    Demo {
        /// Send good and bad requests, print what came of each, exit with 1 if one came out otherwise than it must.
        #[arg(long)]
        tour: bool,
    },
}

/// How diagnostics are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One document, for programs.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Check { config, format, schema, matrix } => check::check(&config, format, schema, matrix),
        Command::Coverage(question) => coverage::coverage(&question),
        Command::Explain(question) => explain::explain(&question),
        Command::AccessReview(review) => access_review::review(&review),
        Command::Prove(question) => prove::prove(&question),
        Command::Routes(question) => routes::routes(&question),
        Command::Init { contract, upstream, issuer, audience, directory } => {
            init::init(&contract, &upstream, issuer.as_deref(), audience.as_deref(), &directory)
        }
        Command::Demo { tour } => run::block_on(demo::run(tour)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}
