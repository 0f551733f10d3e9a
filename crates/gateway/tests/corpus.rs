//! The inputs of the fuzz target once more, and what fuzzing found: see `fuzz/` at the root.
#![expect(clippy::expect_used, reason = "a target says by a panic what it found")]
#![allow(
    clippy::disallowed_methods,
    clippy::duplicate_mod,
    unreachable_pub,
    reason = "the files of `fuzz/`, which reads its corpora and is a crate of its own"
)]

#[path = "../../../fuzz/src/answer.rs"]
mod answer;
#[path = "../../../fuzz/src/config.rs"]
mod config;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn config_keeps_its_promises() {
    replay::all("config", config::run);
}

#[test]
fn answer_keeps_its_promises() {
    replay::all("answer", answer::run);
}
