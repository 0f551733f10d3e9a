//! Prints how the detectors do on labelled texts, one JSON object a line: `figures secrets FILE`, `pii`, `active`, `code`.
//!
//! `secrets`, `active`: `text`, `label` (1: something must be found, 0: nothing may be), `sub`. `pii`: `text` and `spans` with
//! `type`, `start`, `end` in characters; a finding counts where it covers at least half of what both cover together. `code`:
//! `text`, `lang`, `sub` (the weakness) and `line_text`.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a command for people: it reads a file, prints, and says by a panic what is wrong with its input"
)]

use std::collections::BTreeMap;

use portcullis_core::record::{Action, Finding};
use portcullis_inspect::detect::{Detector, Group};
use portcullis_inspect::machine::Screen;
use serde_json::Value;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().expect("a kind: secrets, active");
    let file = std::fs::read_to_string(arguments.next().expect("a file")).expect("it is readable");
    let rows: Vec<Value> =
        file.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    match kind.as_str() {
        "secrets" => labels(&rows, Group::Secrets),
        "active" => labels(&rows, Group::ActiveContent),
        other => println!("no such kind: {other}"),
    }
}

/// What is found in `text` by the detectors of `group`, and what is left of it.
fn screened(text: &str, group: Group) -> (String, Vec<Finding>) {
    let rules: Vec<_> = Detector::ALL
        .into_iter()
        .filter(|detector| detector.group() == group)
        .map(|detector| (detector, Action::Redact))
        .collect();
    let mut machine = Screen::new(&rules).machine();
    let mut out = String::new();
    machine.push(text, &mut out);
    machine.finish(&mut out);
    (out, machine.take_findings())
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Rows found and not, by label.
fn labels(rows: &[Value], group: Group) {
    let mut counts = BTreeMap::<u64, (u32, u32)>::new();
    for row in rows {
        let label = row.get("label").and_then(Value::as_u64).expect("a label");
        let (_, findings) = screened(text(row, "text"), group);
        let count = counts.entry(label).or_default();
        count.1 += 1;
        count.0 += u32::from(!findings.is_empty());
        if findings.is_empty() == (label == 1) {
            let seen: Vec<_> =
                findings.iter().map(|one| format!("{} {}", one.detector, one.evidence)).collect();
            let start: String = text(row, "text").chars().take(90).collect();
            println!("  {} label {label}: {seen:?} {start:?}", text(row, "sub"));
        }
    }
    for (label, (found, all)) in counts {
        println!("label {label}: found in {found} of {all}");
    }
}
