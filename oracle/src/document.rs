//! Documents as values, and what lies behind their references.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::calls::FORM;
use crate::fields::Fields;

/// One document.
#[derive(Debug)]
pub struct Document {
    pub name: String,
    /// In OpenAPI 3.0 or 3.1.
    pub root: Value,
    /// As it was written, where that is older.
    source: Option<Value>,
    fields: RefCell<HashMap<String, Rc<Fields>>>,
}

/// What stands where a reference leads nowhere.
const NULL: &Value = &Value::Null;

impl Document {
    /// A document that was read. One of version 2.0 is turned into 3.0 by the other judge's library.
    pub fn new(name: String, root: Value) -> Self {
        if root.get("swagger").is_some_and(|version| version == "2.0")
            && let Some(new) = converted(&root)
        {
            return Self { name, root: new, source: Some(root), fields: RefCell::default() };
        }
        Self { name, root, source: None, fields: RefCell::default() }
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
        let mut root = self.source().clone();
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
        let (kind, rest) =
            if place.is_empty() || place.starts_with('/') { ("", place) } else { place.split_once(':')? };
        let mut segments = rest.trim_start_matches('/').split('/').map(unescaped);
        let name = segments.next()?;
        let (schema, style) = if kind.is_empty() {
            let body = self.follow(operation.get("requestBody")?).get("content")?;
            let form = body.get(FORM)?;
            if place.is_empty() {
                return Some(Written {
                    schema: self.follow(form.get("schema")?),
                    style: "form",
                    is_below: false,
                });
            }
            let schema = self.below(form.get("schema")?, &name)?;
            (schema, form.get("encoding").and_then(|all| all.get(&name)).and_then(|one| one.get("style")))
        } else {
            let lists = [operation.get("parameters"), item.get("parameters")];
            let all = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
            let text = |one: &'d Value, word: &str| one.get(word).and_then(Value::as_str).unwrap_or_default();
            let base = name.split('[').next().unwrap_or_default();
            let mut all = all.map(|one| self.follow(one));
            let found =
                all.find(|one| text(one, "in") == kind && [&*name, base].contains(&text(one, "name")))?;
            (self.follow(found.get("schema")?), found.get("style"))
        };
        let style = style.and_then(Value::as_str).unwrap_or("form");
        let mut written = Written { schema, style, is_below: false };
        for segment in segments {
            let Some(schema) = self.below(written.schema, &segment) else { break };
            written = Written { schema, is_below: true, ..written };
        }
        Some(written)
    }

    /// The schema of a field or item of what `schema` describes, as far as it says so itself.
    fn below<'d>(&'d self, schema: &'d Value, segment: &str) -> Option<&'d Value> {
        let schema = self.follow(schema);
        let named = schema.get("properties").and_then(|all| all.get(segment));
        let below = named.or_else(|| schema.get("items")).or_else(|| schema.get("additionalProperties"));
        let below = below.map(|one| self.follow(one)).filter(|one| one.is_object());
        let parts = ["allOf", "oneOf", "anyOf"].iter().filter_map(|word| schema.get(*word)?.as_array());
        below.or_else(|| parts.flatten().find_map(|one| self.below(one, segment)))
    }

    /// Whether two templates fit a path, and neither is fixed text where the other is not.
    pub fn has_overlap(&self, path: &str) -> bool {
        let fitting: Vec<&str> =
            self.paths().map(|(template, _)| template).filter(|one| fits(one, path)).collect();
        let is_equal = |one: &str, other: &str| {
            let mut pairs = one.split('/').zip(other.split('/'));
            one != other && pairs.all(|(one, other)| one.contains('{') == other.contains('{'))
        };
        fitting.iter().any(|one| fitting.iter().any(|other| is_equal(one, other)))
    }

    /// Whether a place in the query can be a field of an object that takes any.
    pub fn is_free_object(&self, operation: &str, place: &str) -> bool {
        let Some((item, operation)) = self.operation(operation).filter(|_| place.starts_with("query:"))
        else {
            return false;
        };
        let lists = [operation.get("parameters"), item.get("parameters")];
        let all = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
        all.map(|one| self.follow(one)).any(|one| {
            let says = |word: &str, text: &str| one.get(word).is_some_and(|value| value == text);
            let schema = one.get("schema").map(|schema| self.follow(schema));
            let is_object = schema.and_then(|schema| schema.get("type")).is_some_and(|kind| kind == "object");
            let more = schema.and_then(|schema| schema.get("additionalProperties"));
            let is_free = match more {
                None => schema.and_then(|schema| schema.get("properties")).is_none(),
                Some(more) => *more != Value::Bool(false),
            };
            let is_exploded = one.get("explode") != Some(&Value::Bool(false));
            says("in", "query")
                && is_object
                && is_free
                && is_exploded
                && (says("style", "form") || one.get("style").is_none())
        })
    }

    /// What the schemas of an operation say of fields, by name.
    pub fn fields(&self, operation: &str) -> Rc<Fields> {
        let mut known = self.fields.borrow_mut();
        let fields = known.entry(operation.to_owned()).or_insert_with(|| {
            let (item, own) = self.operation(operation).unzip();
            let whole = own.into_iter().chain(item.and_then(|item| item.get("parameters")));
            Rc::new(Fields::of(self, whole))
        });
        Rc::clone(fields)
    }

    /// Whether a segment of a path can be split in two ways between the parameters of a template.
    pub fn has_two_splits(&self, path: &str) -> bool {
        let fitting = self.paths().map(|(template, _)| template).filter(|one| fits(one, path));
        fitting
            .into_iter()
            .any(|one| one.split('/').zip(path.split('/')).any(|(one, sent)| splits(one, sent) > 1))
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
    /// Whether the schema is that of something within it.
    is_below: bool,
}

impl Written<'_> {
    /// Whether this is no plain field of a deep object.
    pub fn is_deeper(&self) -> bool {
        let is_plain = |kind: &Value| !["array", "object"].iter().any(|one| kind == one);
        self.style == "deepObject" && self.is_below && !self.schema.get("type").is_some_and(is_plain)
    }

    /// Whether the schema is of an object.
    pub fn is_object(&self) -> bool {
        self.schema.get("type").is_some_and(|kind| kind == "object")
            || self.schema.get("properties").is_some()
    }

    /// Whether the schema is more than one type with its words.
    pub fn is_composed(&self) -> bool {
        let has = |word: &str| self.schema.get(word).is_some();
        ["anyOf", "oneOf", "allOf", "not"].iter().any(|word| has(word))
            || self.schema.get("type").is_some_and(Value::is_array)
            || self.schema.get("nullable") == Some(&Value::Bool(true))
            || !has("type")
    }
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

/// A document of version 2.0 as one of 3.0; `None` where the library cannot, for which it has no other word than panic.
fn converted(root: &Value) -> Option<Value> {
    let mut root = root.clone();
    drop_answers(&mut root);
    root.as_object_mut()?.remove("responses");
    let old: roas::v2::spec::Spec = serde_json::from_value(root).ok()?;
    let new = std::panic::catch_unwind(|| roas::v3_0::spec::Spec::from(old)).ok()?;
    serde_json::to_value(new).ok()
}

/// Puts one answer in the place of all: no request depends on them.
fn drop_answers(root: &mut Value) {
    let paths = root.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut);
    for operation in items.flat_map(|item| item.values_mut()).filter_map(Value::as_object_mut) {
        if operation.contains_key("responses") {
            operation.insert("responses".to_owned(), json!({ "default": { "description": "any" } }));
        }
    }
}

/// Whether a path fits a template.
fn fits(template: &str, path: &str) -> bool {
    let (wanted, sent): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == sent.len() && wanted.iter().zip(sent).all(|(wanted, sent)| splits(wanted, sent) > 0)
}

/// In how many ways a segment fits that of a template.
fn splits(wanted: &str, sent: &str) -> usize {
    let Some((before, rest)) = wanted.split_once('{') else { return usize::from(wanted == sent) };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let Some(sent) = sent.strip_prefix(before).filter(|sent| !sent.is_empty()) else { return 0 };
    let ends = sent.char_indices().skip(1).map(|(at, _)| at).chain([sent.len()]);
    ends.into_iter().map(|at| splits(after, &sent[at..])).sum()
}

/// A document without what `rules` are about.
pub fn without(root: &Value, rules: &BTreeSet<Rule>) -> Value {
    let mut root = root.clone();
    soften(&mut root, rules);
    root
}

/// A segment of a JSON pointer as it reads.
pub fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
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
