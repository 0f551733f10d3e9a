#![no_main]

#[path = "../src/multipart.rs"]
mod multipart;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| multipart::run(bytes));
