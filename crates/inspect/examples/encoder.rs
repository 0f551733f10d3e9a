//! What the encoder says, for the program that calibrates it and for whoever wants to know how long it takes.
//!
//! `encoder values WEIGHTS` reads JSON lines with a `text` and writes for each the values of its windows, user and
//! document. `encoder time WEIGHTS` counts milliseconds by pieces, on one thread.

use std::io::{BufRead, Write};
use std::time::Instant;

use portcullis_inspect::encoder::{Encoder, WIDTH, count_alone};
use portcullis_inspect::linear::Channel;

#[expect(clippy::disallowed_methods, reason = "a tool reads files and the clock")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, weights] = arguments.as_slice() else { return Err("encoder values|time WEIGHTS".into()) };
    count_alone().map_err(|error| error.to_string())?;
    let encoder = Encoder::read(&std::fs::read(weights)?).ok_or("not a file of weights")?;
    if mode == "time" {
        time(&encoder);
        return Ok(());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        let text = row.get("text").and_then(serde_json::Value::as_str).unwrap_or_default();
        let values = encoder.values(text).ok_or("a text that cannot be read")?;
        writeln!(out, "{}", serde_json::to_string(&values)?)?;
    }
    Ok(out.flush()?)
}

#[expect(clippy::disallowed_methods, reason = "a tool reads the clock")]
fn time(encoder: &Encoder) {
    let words = "the meeting on monday was moved to the small room near the kitchen because of the paint ";
    for pieces in [16, 64, WIDTH, 128, 256, 4000] {
        let mut text = String::new();
        for word in words.split_inclusive(' ').cycle() {
            if encoder.count(&text) >= pieces {
                break;
            }
            text.push_str(word);
        }
        let mut times: Vec<f64> = (0..40)
            .map(|_| {
                let start = Instant::now();
                let score = encoder.score(Channel::User, &text, || true);
                assert!(score.is_ok());
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        println!("{pieces:5} pieces: least {:.2} ms, median {:.2}, p90 {:.2}", at(0), at(50), at(90));
    }
}
