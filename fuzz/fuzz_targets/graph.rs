#![no_main]

#[path = "../src/graph.rs"]
mod graph;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graph::run(bytes));
