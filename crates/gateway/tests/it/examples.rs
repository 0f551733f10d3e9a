//! Every example that is shipped is a configuration without errors.

use std::fs;
use std::path::Path;

use portcullis_gateway::config::Severity;
use portcullis_gateway::server::check;

#[test]
fn every_example_passes_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for example in fs::read_dir(folder).unwrap() {
        let path = example.unwrap().path().join("portcullis.yaml");
        if !path.exists() {
            continue;
        }
        count += 1;
        let checked = check(&path);
        let errors: Vec<_> =
            checked.diagnostics.0.iter().filter(|one| one.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        assert!(checked.schema.is_some(), "{}: its contracts have a schema", path.display());
    }
    assert!(count > 0, "there are examples");
}
