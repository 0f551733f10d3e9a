#![no_main]

#[path = "../src/jwt.rs"]
mod jwt;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jwt::run(bytes));
