//! Real documents of more than a hundred operations load, in bounded time and memory.

use std::io::Read as _;

use super::*;

/// The text of a packed file.
pub(super) fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn real_documents_load() {
    let documents: [(&str, &[u8]); 2] = [
        ("github", include_bytes!("../../../testdata/openapi/github.json.gz")),
        ("stripe", include_bytes!("../../../testdata/openapi/stripe.json.gz")),
    ];
    for (name, packed) in documents {
        let text = unpacked(packed);
        let before = resident();
        let start = std::time::Instant::now();
        let document: Value = serde_json::from_str(&text).unwrap();
        let parsed = start.elapsed();
        let contract = Contract::compile(document, &ContractOptions::default());
        let compiled = start.elapsed() - parsed;
        let contract = contract.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        let held = resident().saturating_sub(before) / 1024;
        let (operations, size) = (contract.operations().len(), text.len() >> 10);
        println!(
            "{name}: {size} KiB, {operations} operations, parsed in {parsed:?}, compiled in {compiled:?}, {held} MiB held"
        );
        assert!(operations > 100, "{name}");
        let start = std::time::Instant::now();
        let faults = contract.build_all();
        assert!(faults.is_empty(), "{name}: {:#?}", faults.get(..faults.len().min(5)));
        let held = resident().saturating_sub(before) / 1024;
        println!("{name}: every validator built in {:?}, {held} MiB held", start.elapsed());
    }
}

/// Resident memory of this process in KiB, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
