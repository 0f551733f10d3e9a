//! Prints how the detectors do on labelled texts, one JSON object a line: `figures secrets FILE`, `pii`, `personal`, `active`.
//!
//! `secrets`, `personal`, `active`: `text`, `label` (1: something must be found, 0: nothing may be), `sub`. `pii`: `text` and `spans` with
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
        "pii" => spans(&rows),
        "personal" => labels(&rows, Group::Pii),
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

/// The types of the labels, and the detectors that answer to each.
const TYPES: &[(&str, &[&str])] = &[
    ("CREDIT_CARD", &["card"]),
    ("PHONE_NUMBER", &["phone"]),
    ("EMAIL_ADDRESS", &["email"]),
    ("US_SSN", &["us-ssn"]),
    ("IBAN_CODE", &["iban"]),
    ("IP_ADDRESS", &["ip-address"]),
    ("US_DRIVER_LICENSE", &["identity-document"]),
    ("DATE_TIME", &["birth-date"]),
    ("ADDRESS", &["postal-address"]),
    ("none", &["mac-address", "crypto-address", "national-id"]),
];

/// Precision, recall and F1 for each type. A match counts where it and the label overlap in half of what both cover.
fn spans(rows: &[Value]) {
    let mut counts = BTreeMap::<&str, [u32; 3]>::new();
    for row in rows {
        let source = text(row, "text");
        let found = places(source);
        for (kind, detectors) in TYPES {
            let labels: Vec<(usize, usize)> = row
                .get("spans")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter(|span| text(span, "type") == *kind)
                .filter_map(|span| Some((number(span, "start")?, number(span, "end")?)))
                .collect();
            let found: Vec<_> = found.iter().filter(|(detector, ..)| detectors.contains(detector)).collect();
            let hits = labels
                .iter()
                .filter(|label| found.iter().any(|(_, from, to)| overlap(**label, (*from, *to))))
                .count();
            let right = found
                .iter()
                .filter(|(_, from, to)| labels.iter().any(|label| overlap(*label, (*from, *to))))
                .count();
            let count = counts.entry(kind).or_default();
            for (slot, more) in count.iter_mut().zip([hits, labels.len() - hits, found.len() - right]) {
                *slot += u32::try_from(more).unwrap_or(u32::MAX);
            }
            if hits < labels.len() || right < found.len() {
                println!("  {kind}: {labels:?} {found:?} {source:?}");
            }
        }
    }
    let structured = ["CREDIT_CARD", "PHONE_NUMBER", "EMAIL_ADDRESS", "US_SSN", "IBAN_CODE", "IP_ADDRESS"];
    let total = counts.iter().filter(|(kind, _)| structured.contains(kind)).fold([0; 3], |sum, (_, one)| {
        let mut sum: [u32; 3] = sum;
        sum.iter_mut().zip(one).for_each(|(slot, more)| *slot += more);
        sum
    });
    counts.insert("structured together", total);
    for (kind, [hits, missed, wrong]) in counts {
        let share = |whole: u32| f64::from(hits) / f64::from(whole.max(1));
        let (precision, recall) = (share(hits + wrong), share(hits + missed));
        let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
        println!(
            "{kind}: precision {precision:.3} recall {recall:.3} F1 {f1:.3} ({hits} found, {missed} missed, {wrong} wrong)"
        );
    }
}

/// The detector of each finding, and from which character to which it goes.
fn places(source: &str) -> Vec<(&'static str, usize, usize)> {
    let (out, findings) = screened(source, Group::Pii);
    let mut found = Vec::new();
    let (mut rest, mut at) = (out.as_str(), 0);
    for (index, finding) in findings.iter().enumerate() {
        let placeholder = |one: &Finding| {
            Detector::ALL
                .into_iter()
                .find(|detector| detector.id() == one.detector)
                .map_or("", Detector::placeholder)
        };
        let Some((before, after)) = rest.split_once(placeholder(finding)) else { break };
        let from = at + before.len();
        let next = findings.get(index + 1).and_then(|next| after.split_once(placeholder(next)));
        let to = match next {
            Some((between, _)) => source
                .get(from + 1..)
                .and_then(|left| left.find(between))
                .map_or(from, |place| from + 1 + place),
            None => source.len() - after.len(),
        };
        let characters = |byte: usize| source.get(..byte).map_or(0, |text| text.chars().count());
        found.push((finding.detector, characters(from), characters(to)));
        (rest, at) = (after, to);
    }
    found
}

fn overlap(one: (usize, usize), other: (usize, usize)) -> bool {
    let common = one.1.min(other.1).saturating_sub(one.0.max(other.0));
    let both = one.1.max(other.1) - one.0.min(other.0);
    2 * common >= both
}

fn number(value: &Value, key: &str) -> Option<usize> {
    usize::try_from(value.get(key)?.as_u64()?).ok()
}
