//! What the linear model counts, for the program that trains it: JSON lines with a `text` in, one answer for each out.
//!
//! `features` writes blocks in binary, little-endian: for each line the number of blocks; for each block its count
//! of features, its number of pairs, and pairs of index and count, each in four bytes. `raw` does the same without
//! undoing anything. `text` writes JSON: the canonical text. `score` writes JSON: both channels' probability, the
//! canonical text, the signals.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use portcullis_inspect::linear::{Channel, Classifier, blocks};
use portcullis_inspect::normal::views;

fn main() -> std::io::Result<()> {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let row: serde_json::Value = serde_json::from_str(&line)?;
        let text = row.get("text").and_then(serde_json::Value::as_str).unwrap_or_default();
        match mode.as_str() {
            "raw" => write_blocks(&mut out, &[text])?,
            "text" => {
                writeln!(out, "{}", serde_json::json!({ "text": views(text).canonical().text() }))?;
            }
            "score" => score(&mut out, text)?,
            _ => {
                let views = views(text);
                write_blocks(&mut out, &[views.canonical().text()])?;
            }
        }
    }
    out.flush()
}

fn write_blocks(out: &mut impl Write, texts: &[&str]) -> std::io::Result<()> {
    let all: Vec<_> = texts.iter().flat_map(|text| blocks(text)).collect();
    number(out, all.len())?;
    for block in all {
        let mut counts: BTreeMap<usize, i32> = BTreeMap::new();
        for (index, count) in block.counts {
            *counts.entry(index).or_default() += count;
        }
        out.write_all(&block.features.to_le_bytes())?;
        number(out, counts.len())?;
        for (index, count) in counts {
            number(out, index)?;
            out.write_all(&count.to_le_bytes())?;
        }
    }
    Ok(())
}

fn number(out: &mut impl Write, number: usize) -> std::io::Result<()> {
    out.write_all(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes())
}

fn score(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    let views = views(text);
    let classifier = Classifier::new();
    let user = classifier.score(Channel::User, &views);
    let document = classifier.score(Channel::Document, &views);
    let answer = serde_json::json!({
        "user": user.probability, "user_attack": user.is_attack(),
        "doc": document.probability, "doc_attack": document.is_attack(),
        "text": views.canonical().text(),
        "signals": views.signals().map(|(signal, _)| signal.id()).collect::<Vec<_>>(),
    });
    writeln!(out, "{answer}")
}
