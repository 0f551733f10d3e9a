//! Documents as values, and what lies behind their references.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

/// One document.
#[derive(Debug)]
pub struct Document {
    pub name: String,
    /// In OpenAPI 3.0 or 3.1.
    pub root: Value,
    /// As it was written, where that is older.
    source: Option<Value>,
    properties: OnceCell<HashMap<String, Property>>,
}

/// What stands where a reference leads nowhere.
const NULL: &Value = &Value::Null;

impl Document {
    /// A document that was read.
    pub fn new(name: String, root: Value) -> Self {
        Self { name, root, source: None, properties: OnceCell::new() }
    }

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
        Self::new(name, serde_json::from_str(&text).expect("a document in JSON"))
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
        Self::new(self.name.clone(), root)
    }

    /// The document as it is given to the gate.
    pub fn source(&self) -> &Value {
        self.source.as_ref().unwrap_or(&self.root)
    }

    /// The document as it is given to the gate, without what `rules` are about.
    pub fn without(&self, rules: &BTreeSet<Rule>) -> Value {
        let mut root = self.source().clone();
        soften(&mut root, rules);
        root
    }

    /// Whether the operation, `GET /a/{b}`, has a body.
    pub fn takes_body(&self, operation: &str) -> bool {
        self.operation(operation).is_none_or(|(_, operation)| operation.get("requestBody").is_some())
    }

    /// The item of a path with the operation on it.
    fn operation(&self, operation: &str) -> Option<(&Map<String, Value>, &Value)> {
        let (method, template) = operation.split_once(' ')?;
        let item = self.paths().find(|(known, _)| *known == template).map(|(_, item)| item)?;
        Some((item, item.get(&method.to_ascii_lowercase())?))
    }

    /// What stands for the parameter or form field at a place: `query:name`, `query:name/0`, `/name/a`.
    pub fn written<'d>(&'d self, operation: &str, place: &str) -> Option<Written<'d>> {
        let (item, operation) = self.operation(operation)?;
        if let Some(pointer) = place.strip_prefix('/') {
            let name = pointer.split('/').next()?.replace("~1", "/").replace("~0", "~");
            let body = self.follow(operation.get("requestBody")?).get("content")?;
            let form = body.get("application/x-www-form-urlencoded")?;
            let schema = self.follow(self.follow(form.get("schema")?).get("properties")?.get(&name)?);
            let style = form.get("encoding").and_then(|all| all.get(&name)).and_then(|one| one.get("style"));
            return Some(Written { schema, style: style.and_then(Value::as_str).unwrap_or("form") });
        }
        let (kind, name) = place.split_once(':')?;
        let lists = [operation.get("parameters"), item.get("parameters")];
        let mut all =
            lists.into_iter().flatten().filter_map(Value::as_array).flatten().map(|one| self.follow(one));
        let is_it = |one: &&Value| {
            let text = |word: &str| one.get(word).and_then(Value::as_str).unwrap_or_default();
            text("in") == kind
                && name
                    .strip_prefix(text("name"))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
        };
        let found = all.find(is_it)?;
        let schema = self.follow(found.get("schema")?);
        Some(Written { schema, style: found.get("style").and_then(Value::as_str).unwrap_or("form") })
    }

    /// All names of fields that any schema has.
    pub fn properties(&self) -> &HashMap<String, Property> {
        self.properties.get_or_init(|| {
            let mut all = HashMap::new();
            properties(&self.root, self, &mut all);
            all
        })
    }

    /// Whether some schema says the last name of a place to be read only.
    pub fn is_read_only(&self, place: &str) -> bool {
        let name = place.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
        self.properties().get(&name).is_some_and(|one| one.is_read_only)
    }

    /// Whether any schema has a discriminator.
    pub fn has_discriminators(&self) -> bool {
        self.root.to_string().contains("\"discriminator\":{")
    }
}

/// How a parameter or a form field is written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'d> {
    pub schema: &'d Value,
    pub style: &'d str,
}

impl Written<'_> {
    /// Whether the schema is more than one type with its words.
    pub fn is_composed(&self) -> bool {
        let has = |word: &str| self.schema.get(word).is_some();
        ["anyOf", "oneOf", "allOf", "not"].iter().any(|word| has(word))
            || self.schema.get("type").is_some_and(Value::is_array)
            || !has("type")
    }
}

/// What the schemas of a document say of fields of one name.
#[derive(Debug, Default)]
pub struct Property {
    /// Whether any says that it is for answers only.
    pub is_read_only: bool,
}

/// A rule of the gate that goes beyond the other judge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Fields that are not named are refused.
    UnknownFields,
    /// Formats are asserted.
    Formats,
    /// `readOnly` is refused, and not required.
    Answers,
    /// Discriminators decide.
    Discriminators,
    /// `nullable` without a type, or beside an enumeration.
    Null,
}

impl Rule {
    pub const ALL: [Self; 5] =
        [Self::UnknownFields, Self::Formats, Self::Answers, Self::Discriminators, Self::Null];
}

fn properties(value: &Value, document: &Document, out: &mut HashMap<String, Property>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| properties(item, document, out)),
        Value::Object(members) => {
            for (name, schema) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let is_read_only = |schema: &Value| schema.get("readOnly") == Some(&Value::Bool(true));
                out.entry(name.clone()).or_default().is_read_only |=
                    is_read_only(schema) || is_read_only(document.follow(schema));
            }
            members.values().for_each(|member| properties(member, document, out));
        }
        _ => {}
    }
}

/// Takes the words out of whatever looks like a schema: fields may be called `format` too.
fn soften(value: &mut Value, rules: &BTreeSet<Rule>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| soften(item, rules)),
        Value::Object(members) => {
            let is_format = |value: &Value| value.as_str().is_some_and(|format| format != "binary");
            if rules.contains(&Rule::Formats) && members.get("format").is_some_and(is_format) {
                members.remove("format");
            }
            if rules.contains(&Rule::Answers) && members.get("readOnly").is_some_and(Value::is_boolean) {
                members.remove("readOnly");
            }
            let is_discriminator =
                |value: &Value| value.is_string() || value.get("propertyName").is_some_and(Value::is_string);
            if rules.contains(&Rule::Discriminators)
                && members.get("discriminator").is_some_and(is_discriminator)
            {
                members.remove("discriminator");
            }
            let is_listed =
                members.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(&Value::Null));
            let is_meant = is_listed || !members.get("type").is_some_and(Value::is_string);
            if rules.contains(&Rule::Null)
                && is_meant
                && members.get("nullable").is_some_and(Value::is_boolean)
            {
                members.remove("nullable");
            }
            members.values_mut().for_each(|member| soften(member, rules));
        }
        _ => {}
    }
}
