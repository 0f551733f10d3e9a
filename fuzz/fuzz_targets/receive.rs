#![no_main]

#[path = "../src/receive.rs"]
mod receive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| receive::run(bytes));
