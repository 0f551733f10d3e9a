//! Runs a target over its corpus.

use std::path::Path;

/// Every file of `corpus/NAME`; says which one it is before it panics.
pub fn all(name: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = std::fs::read_dir(&directory).expect("a corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file of the corpus").path()).collect();
    paths.sort();
    assert!(paths.len() > 10, "the corpus of {name} is lost");
    for path in paths {
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        // Shown only when the test fails: the last line names the input.
        println!("{}", path.display());
        run(&bytes);
    }
}
