//! `portcullis explain`.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use portcullis_gateway::config::Format as Rendering;
use portcullis_gateway::explain::{Answer, Desk, Recalled, Supposed, Unanswered, find_record};
use serde_json::{Map, Value};

pub(crate) const EXAMPLES: &str = "Example:
  portcullis explain 019ab0c2-7b1e-7d3a-9c55-0e6f1f0c2a11 --records records.jsonl
  portcullis explain 019ab0c2-7b1e-7d3a-9c55-0e6f1f0c2a11 --as claims.json --path /orders/7
  portcullis explain --as claims.json --method GET --path /orders/7 --address 10.0.0.7

  portcullis explain --as claims.json --method POST --path /orders --body order.json

Nothing is sent: what only the running gate, an upstream or an answer knows (what is left of a budget, whose an object
is, what detectors find) is named and not asked. Exit status 0 whatever the answer is.";

/// What is asked.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The id of a record (`x-request-id`). Records keep neither claims nor paths nor addresses: `--as`, `--path` and
    /// `--address` may say them.
    #[arg(required_unless_present = "path")]
    record: Option<String>,
    /// The configuration file.
    #[arg(short, long, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Files of records. Default: the one that the configuration names.
    #[arg(long, num_args = 1.., requires = "record")]
    records: Vec<PathBuf>,
    /// A JSON file with the claims of the token that the request would bring. Without it, it brings none.
    #[arg(long = "as")]
    claims: Option<PathBuf>,
    /// The method of the request.
    #[arg(long, default_value = "GET")]
    method: String,
    /// Path and query of the request; of a gRPC request the query has the fields.
    #[arg(long)]
    path: Option<String>,
    /// Where the request would come from. Default: 127.0.0.1.
    #[arg(long)]
    address: Option<IpAddr>,
    /// The request would come without TLS.
    #[arg(long)]
    plain: bool,
    /// A file with the body of the request: JSON, unless `--header` says otherwise.
    #[arg(long, requires = "path")]
    body: Option<PathBuf>,
    /// A header of the request, as `name: value`. Can be given several times.
    #[arg(long = "header", value_name = "HEADER", value_parser = header, requires = "path")]
    headers: Vec<(String, String)>,
    /// The model that a model call would ask for, where no body says it.
    #[arg(long)]
    model: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

/// A header as it is written on the wire.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a name, a colon and a value, as `x-tenant: north`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints why; false when the configuration cannot be used.
pub(crate) fn explain(question: &Question) -> anyhow::Result<bool> {
    let desk = match Desk::open(&question.config) {
        Ok(desk) => desk,
        Err(diagnostics) => {
            anstream::eprint!("{}", diagnostics.render(Rendering::Text { colours: false }));
            return Ok(false);
        }
    };
    let answer = match &question.record {
        Some(id) => recorded(&desk, question, id)?,
        None => supposed(&desk, question)?,
    };
    match question.format {
        Shape::Text => anstream::print!("{}", answer.text()),
        Shape::Json => anstream::println!("{}", serde_json::to_string_pretty(&answer.json())?),
    }
    Ok(true)
}

fn recorded(desk: &Desk, question: &Question, id: &str) -> anyhow::Result<Answer> {
    let own = desk.records().map(Path::to_path_buf);
    let files: Vec<PathBuf> =
        if question.records.is_empty() { own.into_iter().collect() } else { question.records.clone() };
    if files.is_empty() {
        bail!("the configuration writes its records to no file; name one with `--records`");
    }
    let recalled =
        Recalled { claims: claims(question)?, target: question.path.clone(), address: question.address };
    for file in &files {
        let reading = || format!("cannot read {}", file.display());
        let opened = std::fs::File::open(file).with_context(reading)?;
        for line in BufReader::new(opened).lines() {
            if let Some(record) = find_record(&line.with_context(reading)?, id) {
                return Ok(desk.recorded(&record, &recalled)?);
            }
        }
    }
    bail!("no record has the id `{id}`")
}

/// The claims of the file that is named.
fn claims(question: &Question) -> anyhow::Result<Option<Map<String, Value>>> {
    let Some(file) = &question.claims else { return Ok(None) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let claims = serde_json::from_str(&text);
    claims.map(Some).with_context(|| format!("{} is no JSON object", file.display()))
}

fn supposed(desk: &Desk, question: &Question) -> anyhow::Result<Answer> {
    let claims = claims(question)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let body = question
        .body
        .as_ref()
        .map(|file| std::fs::read(file).with_context(|| format!("cannot read {}", file.display())));
    let supposed = Supposed {
        method: question.method.to_ascii_uppercase(),
        target: question.path.clone().unwrap_or_default(),
        claims,
        address: question.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        tls: !question.plain,
        headers: question.headers.clone(),
        body: body.transpose()?,
        model: question.model.clone(),
        now: i64::try_from(now).unwrap_or(i64::MAX),
    };
    desk.suppose(&supposed).map_err(|unanswered: Unanswered| unanswered.into())
}
