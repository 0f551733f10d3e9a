//! Every request on which the two judges differ is explained.
//!
//! `ORACLE_DOCUMENTS=FOLDER` takes all documents in it (`.json`, `.json.gz`) in place of the committed ones,
//! `ORACLE_MORE=N` makes N times the requests of every operation, `ORACLE_SEED` other ones. With any of these the
//! table is not compared. `UPDATE=1` writes it anew, `ORACLE_SHOW=CLASS` prints the differences of one class.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portcullis_oracle::calls::{Amount, calls};
use portcullis_oracle::document::Document;
use portcullis_oracle::explain::{CLASSES, Court, Outcome};

/// Committed documents, and of which share of their paths requests are made: each, or each so-many-eth.
const DOCUMENTS: [(&str, usize); 5] =
    [("adyen-com-CheckoutService", 1), ("asana-com", 2), ("github", 24), ("spotify-com", 1), ("stripe", 24)];

/// Most kinds of unexplained differences that are printed, each with one request.
const MOST_PRINTED: usize = 60;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[derive(Default)]
struct Figures {
    operations: usize,
    requests: usize,
    accepted: usize,
    refused: usize,
    unsaid: BTreeMap<String, usize>,
    explained: BTreeMap<&'static str, usize>,
    unexplained: usize,
}

#[test]
fn both_judges_agree_or_it_is_explained() {
    let more: usize = variable("ORACLE_MORE").and_then(|text| text.parse().ok()).unwrap_or(1);
    let seed: u64 = variable("ORACLE_SEED").and_then(|text| text.parse().ok()).unwrap_or(1);
    let folder = variable("ORACLE_DOCUMENTS");
    let is_committed = folder.is_none() && more == 1 && seed == 1;
    let mut all = Figures::default();
    println!(
        "{:28} {:>10} {:>9} {:>8} {:>8} {:>7} {:>9} {:>11}",
        "document", "operations", "requests", "accepted", "refused", "unsaid", "explained", "unexplained"
    );
    for (path, share) in documents(folder.as_deref(), more) {
        let document = Document::read(&path);
        let document = if share > 1 { document.thinned(share) } else { document };
        let name = document.name.clone();
        match Court::new(document) {
            Ok(court) => judge(&court, seed, more, &mut all),
            Err(why) => println!("{name}: cannot be judged: {why}"),
        }
    }
    let text = table(&all);
    println!("\n{text}");
    assert_eq!(all.unexplained, 0, "disagreements are not explained");
    assert!(
        all.accepted * 5 > all.requests,
        "too few requests are right: {} of {}",
        all.accepted,
        all.requests
    );
    if is_committed {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("table.txt");
        if variable("UPDATE").is_some() {
            std::fs::write(&file, &text).expect("the table can be written");
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == text,
            "table.txt is not what was found: look why, and run the test with UPDATE=1"
        );
    }
}

fn documents(folder: Option<&str>, more: usize) -> Vec<(PathBuf, usize)> {
    if let Some(folder) = folder {
        let all = std::fs::read_dir(folder).expect("the folder of documents");
        let all = all.map(|entry| entry.expect("an entry").path());
        let is_document = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.ends_with(".json") || name.ends_with(".json.gz")
        };
        let mut all: Vec<_> = all.filter(is_document).map(|path| (path, 1)).collect();
        all.sort();
        return all;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/core/testdata/openapi");
    let share = |share: usize| if more > 1 { 1 } else { share };
    DOCUMENTS.iter().map(|(name, nth)| (here.join(format!("{name}.json.gz")), share(*nth))).collect()
}

fn judge(court: &Court, seed: u64, more: usize, all: &mut Figures) {
    let mut own = Figures::default();
    let (operations, requests) = calls(court.document(), seed, Amount { valid: 3 * more, spoilt: 3 * more });
    own.operations = operations;
    own.requests = requests.len();
    let mut groups: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let shown = variable("ORACLE_SHOW");
    for call in &requests {
        match court.judge(call) {
            Outcome::BothAccept => own.accepted += 1,
            Outcome::BothRefuse => own.refused += 1,
            Outcome::Unsaid(why) => *own.unsaid.entry(general(&why)).or_default() += 1,
            Outcome::Explained(class) => {
                *own.explained.entry(class).or_default() += 1;
                if shown.as_deref() == Some(class) {
                    println!("{class}: {} {call}", court.document().name);
                }
            }
            Outcome::Unexplained(why) => {
                own.unexplained += 1;
                let group = groups.entry(format!("{}: {}", call.kind, placeless(&why))).or_default();
                group.0 += 1;
                if group.1.is_empty() {
                    group.1 = format!("{call}\n    {why}");
                }
            }
        }
    }
    for (kind, (count, one)) in groups.iter().take(MOST_PRINTED) {
        println!("{count} times {kind}\n    {} {one}", court.document().name);
    }
    println!(
        "{:28} {:>10} {:>9} {:>8} {:>8} {:>7} {:>9} {:>11}",
        court.document().name,
        own.operations,
        own.requests,
        own.accepted,
        own.refused,
        own.unsaid.values().sum::<usize>(),
        own.explained.values().sum::<usize>(),
        own.unexplained
    );
    all.operations += own.operations;
    all.requests += own.requests;
    all.accepted += own.accepted;
    all.refused += own.refused;
    all.unexplained += own.unexplained;
    for (why, count) in own.unsaid {
        *all.unsaid.entry(why).or_default() += count;
    }
    for (class, count) in own.explained {
        *all.explained.entry(class).or_default() += count;
    }
}

/// A difference without names and values.
fn placeless(why: &str) -> String {
    let words = why.split('"').enumerate().filter(|(at, word)| at % 2 == 0 || word.contains(' '));
    let text: String = words.map(|(_, word)| word).collect();
    text.chars().filter(|one| !one.is_ascii_digit()).take(160).collect()
}

/// What the oracle says it does not do, without the place.
fn general(why: &str) -> String {
    why.rsplit_once('—').map_or(why, |(_, why)| why).trim().chars().take(70).collect()
}

fn table(all: &Figures) -> String {
    let mut out = format!(
        "{} operations, {} requests: both accept {}, both refuse {}\n\nexplained, and why\n",
        all.operations, all.requests, all.accepted, all.refused
    );
    for (class, reason) in CLASSES {
        let count = all.explained.get(class).copied().unwrap_or(0);
        let _ = writeln!(out, "{count:>6}  {class}: {reason}");
    }
    out.push_str("\nnot judged by the oracle\n");
    for (why, count) in &all.unsaid {
        let _ = writeln!(out, "{count:>6}  {why}");
    }
    out
}
