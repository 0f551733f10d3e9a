//! Documents as values, and what lies behind their references.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

/// One document.
#[derive(Debug)]
pub struct Document {
    pub name: String,
    pub root: Value,
}

/// What stands where a reference leads nowhere.
const NULL: &Value = &Value::Null;

impl Document {
    /// Reads `.json` and `.json.gz`.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::new();
        if path.extension().is_some_and(|end| end == "gz") {
            flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).expect("a packed text");
        } else {
            text = String::from_utf8(bytes).expect("a text");
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = file.trim_end_matches(".gz").trim_end_matches(".json").to_owned();
        Self { name, root: serde_json::from_str(&text).expect("a document in JSON") }
    }

    /// `value`, or what its references lead to.
    pub fn follow<'d>(&'d self, mut value: &'d Value) -> &'d Value {
        for _ in 0..32 {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
            let pointer = percent_encoding::percent_decode_str(reference.trim_start_matches('#'));
            value = self.root.pointer(&pointer.decode_utf8_lossy()).unwrap_or(NULL);
        }
        NULL
    }

    /// Paths with their items, without extensions.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        let paths = self.root.get("paths").and_then(Value::as_object).into_iter().flatten();
        paths
            .filter(|(template, _)| template.starts_with('/'))
            .filter_map(|(template, item)| Some((template.as_str(), self.follow(item).as_object()?)))
    }

    /// The same document with only each `nth` path of those it has.
    pub fn thinned(&self, nth: usize) -> Self {
        let mut root = self.root.clone();
        if let Some(paths) = root.get_mut("paths").and_then(Value::as_object_mut) {
            let names: Vec<String> = paths.keys().cloned().collect();
            for (_, name) in names.iter().enumerate().filter(|(index, _)| index % nth != 0) {
                paths.remove(name);
            }
        }
        Self { name: self.name.clone(), root }
    }

    /// Without what the gate is stricter about by design: formats, and fields that only answers have.
    pub fn lenient(&self, keeps_formats: bool) -> Value {
        let mut root = self.root.clone();
        soften(&mut root, keeps_formats);
        root
    }
}

/// Takes the words out of whatever looks like a schema: properties may be called `format` too.
fn soften(value: &mut Value, keeps_formats: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| soften(item, keeps_formats)),
        Value::Object(members) => {
            let is_word = |value: Option<&Value>| matches!(value, Some(Value::String(_)));
            let is_kept = matches!(members.get("format").and_then(Value::as_str), Some("binary"));
            if !keeps_formats && !is_kept && is_word(members.get("format")) {
                members.remove("format");
            }
            if matches!(members.get("readOnly"), Some(Value::Bool(_))) {
                members.remove("readOnly");
            }
            members.values_mut().for_each(|member| soften(member, keeps_formats));
        }
        _ => {}
    }
}
