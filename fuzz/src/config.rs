//! A configuration and the files that it names: there are settings, or errors that say why not, and never a panic.
//!
//! The input is the configuration; a line `#### NAME` starts the text of another file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use portcullis_gateway::config::{Files, Format, load};

const CONTRACT: &str = r#"
openapi: 3.1.0
info: { title: Orders, version: "1" }
paths:
  /login:
    post: { operationId: login, responses: { 200: { description: ok } } }
  /users/{userId}:
    get:
      operationId: readUser
      parameters: [ { name: userId, in: path, required: true, schema: { type: string } } ]
      responses: { 200: { description: ok } }
"#;

pub fn run(bytes: &[u8]) {
    let files = Memory::new(bytes);
    let loaded = load(Path::new("portcullis.yaml"), &files);
    let diagnostics = &loaded.diagnostics;
    assert_ne!(loaded.settings.is_some(), diagnostics.has_errors(), "settings and errors, or neither");
    assert!(!loaded.watched.is_stale(&files), "what was just read is stale");
    for diagnostic in &diagnostics.0 {
        assert!(!diagnostic.message.is_empty(), "a diagnostic says nothing");
    }
    let (errors, warnings) = diagnostics.counts();
    assert_eq!(errors + warnings, diagnostics.0.len(), "a diagnostic is not counted");
    let said = diagnostics.render(Format::Text { colours: false });
    assert_eq!(said.is_empty(), diagnostics.0.is_empty(), "what is said is not what was found");
    for format in [Format::Json, Format::Sarif] {
        let text = diagnostics.render(format);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{format:?} is not JSON: {text}");
    }
}

/// Files in memory, and one variable.
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    fn new(bytes: &[u8]) -> Self {
        let fixed = [
            ("orders.yaml", CONTRACT),
            ("system.md", "Be kind.\n"),
            ("keys.json", r#"{"keys":[{"kty":"EC"}]}"#),
            ("key.txt", "from-a-file\n"),
            ("policy/a.cedar", "permit(principal, action, resource);"),
        ];
        let mut files: BTreeMap<_, _> =
            fixed.map(|(name, text)| (name.into(), text.as_bytes().to_vec())).into_iter().collect();
        let mut name = PathBuf::from("portcullis.yaml");
        let mut text = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_prefix(b"#### ") {
                Some(next) => {
                    let next = String::from_utf8_lossy(next.trim_ascii()).into_owned();
                    files.insert(std::mem::replace(&mut name, next.into()), std::mem::take(&mut text));
                }
                None => text.extend_from_slice(line),
            }
        }
        files.insert(name, text);
        Self(files)
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = self.0.keys().filter_map(|path| path.strip_prefix(directory).ok());
        Ok(names.filter_map(|path| Some(path.iter().next()?.to_string_lossy().into_owned())).collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "KEY").then(|| "from-the-environment".to_owned())
    }
}
