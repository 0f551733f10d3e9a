//! Prints how the detectors do on labelled texts, one JSON object a line: `figures secrets FILE`, `pii`, `personal`, `active`, `links`, `roles`, `lines`, `code`.
//!
//! `secrets`, `personal`, `active`, `links`, `roles`, `lines`: `text`, `label` (1: something must be found, 0: nothing may be), `sub`. `pii`: `text` and `spans` with
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
    let kind = arguments.next().expect("a kind, such as secrets");
    let file = std::fs::read_to_string(arguments.next().expect("a file")).expect("it is readable");
    let rows: Vec<Value> =
        file.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    match kind.as_str() {
        "secrets" => labels(&rows, Group::Secrets),
        "pii" => spans(&rows),
        "personal" => labels(&rows, Group::Pii),
        "code" => code(&rows),
        "active" => labels(&rows, Group::ActiveContent),
        "links" => labels(&rows, Group::Links),
        "roles" => labels(&rows, Group::Roles),
        "lines" => labels(&rows, Group::Code),
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

/// For each weakness: how many rows have a finding on their line, how many findings name it, and how many of these are on such a line.
fn code(rows: &[Value]) {
    let mut counts = BTreeMap::<String, [u32; 4]>::new();
    // With a finding of the labelled weakness or on the labelled line, and with any.
    let mut rows_with = (0_u32, 0_u32);
    for row in rows {
        let label = text(row, "sub");
        let lines: Vec<&str> = text(row, "text").lines().map(str::trim).collect();
        let wanted = text(row, "line_text").trim().lines().next().unwrap_or_default().trim().to_owned();
        let (_, findings) = screened(text(row, "text"), Group::Code);
        let (mut is_found, mut is_named) = (false, false);
        for finding in &findings {
            let (weakness, rest) = finding.evidence.split_once(' ').unwrap_or_default();
            let line = rest.rsplit(' ').next().and_then(|line| line.parse::<usize>().ok()).unwrap_or(0);
            let is_there =
                line.checked_sub(1).and_then(|line| lines.get(line)).is_some_and(|line| **line == wanted);
            is_found |= is_there;
            is_named |= is_there || weakness == label;
            let count = counts.entry(weakness.to_owned()).or_default();
            let [.., named, right] = count;
            *named += 1;
            *right += u32::from(is_there);
            if !is_there {
                let line = line.checked_sub(1).and_then(|line| lines.get(line)).unwrap_or(&"");
                println!("  {label} {} {}: {line}", text(row, "lang"), finding.evidence);
            }
        }
        rows_with.0 += u32::from(is_named);
        rows_with.1 += u32::from(!findings.is_empty());
        let [all, found, ..] = counts.entry(label.to_owned()).or_default();
        *all += 1;
        *found += u32::from(is_found);
    }
    for (weakness, [all, found, named, right]) in &counts {
        println!(
            "{weakness}: {found} of {all} rows found; {named} findings name it, {right} on a labelled line"
        );
    }
    let sum = |index: usize| counts.values().filter_map(|count| count.get(index)).sum::<u32>();
    println!(
        "rows with a finding: {}; of them with one of the labelled weakness or line: {}",
        rows_with.1, rows_with.0
    );
    println!("all: {} of {} rows found; {} findings, {} on a labelled line", sum(1), sum(0), sum(2), sum(3));
}
