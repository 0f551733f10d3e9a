//! Contract documents: read, parsed without ambiguity, and searched for the names that a configuration uses.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value as Json};

use super::diagnostic::{Diagnostic, Place};
use super::settings::SourceText;
use super::tree::{self, Span, Value};

pub(super) const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// An OpenAPI document.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The file.
    pub source: SourceText,
    /// The document, as JSON values. Repeated keys were refused.
    pub document: Arc<Json>,
}

/// What a configuration may name of a contract.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// `operationId` of each operation, or a name made of method and path.
    pub(crate) operations: Vec<String>,
    /// Names of path, query and header parameters, each once.
    pub(crate) parameters: Vec<String>,
    /// Names of cookies and of properties at the top of request bodies, each once.
    pub(crate) properties: Vec<String>,
}

/// What a first configuration says of an operation.
#[derive(Debug)]
pub(crate) struct Operation<'d> {
    /// `operationId`, or a name made of method and path.
    pub(crate) name: String,
    /// The method, in lower case.
    pub(crate) method: &'static str,
    /// The path template.
    pub(crate) path: &'d str,
    /// What the document says it does.
    pub(crate) summary: &'d str,
    /// Where each parameter is (`path`, `query`) and its name.
    pub(crate) parameters: Vec<(&'d str, &'d str)>,
}

impl Contract {
    /// Parses a document: JSON when it begins with `{`, else YAML.
    ///
    /// # Errors
    /// A diagnostic in the document's own file: its syntax, a repeated key, not OpenAPI 2.0, 3.0 or 3.1.
    pub(crate) fn parse(source: SourceText) -> Result<Self, Box<Diagnostic>> {
        let document = if is_json(&source.text) {
            serde_json::from_str::<Strict>(&source.text).map(|strict| strict.0).map_err(|error| {
                let place = line_place(&source, error.line(), error.column());
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default().to_owned();
                Box::new(place.error("bad-contract", message))
            })?
        } else {
            tree::parse_contract(&source.text).map_err(|error| {
                let place = place(&source, error.at);
                Box::new(place.error("bad-contract", error.message))
            })?
        };
        let contract = Self { source, document: Arc::new(document) };
        contract.expect_openapi()?;
        Ok(contract)
    }

    /// Where a JSON pointer leads, for diagnostics about what the document says. Reads the text again, so it is
    /// for the one who reports, not for the one who serves.
    pub fn at(&self, pointer: &str) -> Place {
        if self.source.text.is_empty() {
            // A descriptor set is no text; the configuration names it.
            return self.source.place.clone();
        }
        let found = if is_json(&self.source.text) {
            json_place(&self.source, pointer)
        } else {
            tree::parse_contract_tree(&self.source.text)
                .and_then(|tree| tree_span(&tree, pointer))
                .map(|span| place(&self.source, span))
        };
        found.unwrap_or_else(|| super::source::whole(&self.source.name))
    }

    /// The names of its operations and parameters.
    pub(crate) fn names(&self) -> Names {
        let mut names = Names::default();
        for operation in self.operations() {
            names.operations.push(operation.name);
            let is_named = |place: &str| matches!(place, "path" | "query" | "header");
            let named = operation.parameters.into_iter().filter(|(place, _)| is_named(place));
            names.parameters.extend(named.map(|(_, name)| name.to_owned()));
        }
        names.parameters.sort();
        names.parameters.dedup();
        names.properties = self.properties();
        names
    }

    /// Its operations, in the document's order.
    pub(crate) fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        let paths = self.document.get("paths").and_then(Json::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let item = self.follow(item);
            let shared = self.parameters(item);
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let id = operation.get("operationId").and_then(Json::as_str);
                let name = id.unwrap_or_default().to_owned();
                let summary = operation.get("summary").and_then(Json::as_str).unwrap_or_default();
                let mut parameters = shared.clone();
                parameters.extend(self.parameters(operation));
                operations.push(Operation { name, method, path, summary, parameters });
            }
        }
        name_the_nameless(&mut operations);
        operations
    }

    fn parameters<'d>(&'d self, of: &'d Json) -> Vec<(&'d str, &'d str)> {
        let all = of.get("parameters").and_then(Json::as_array).into_iter().flatten();
        let named = all
            .map(|parameter| self.follow(parameter))
            .filter_map(|parameter| Some((parameter.get("in")?.as_str()?, parameter.get("name")?.as_str()?)));
        named.collect()
    }

    /// Follows references within the document, a few deep.
    fn follow<'d>(&'d self, mut value: &'d Json) -> &'d Json {
        for _ in 0..8 {
            let Some(path) = value.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix('#'))
            else {
                break;
            };
            let Some(target) = self.document.pointer(path) else { break };
            value = target;
        }
        value
    }

    fn expect_openapi(&self) -> Result<(), Box<Diagnostic>> {
        let version = |key: &str| self.document.get(key).and_then(Json::as_str).unwrap_or_default();
        let openapi = version("openapi");
        let is_3 = ["3.0", "3.1"].iter().any(|known| {
            openapi.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if is_3 || version("swagger") == "2.0" {
            return Ok(());
        }
        let key = ["openapi", "swagger"].into_iter().find(|key| self.document.get(key).is_some());
        let place = match key {
            Some(key) => self.at(&format!("/{key}")),
            None => self.source.at(0, 1),
        };
        let mut problem = place.error("bad-contract", "this is not an OpenAPI 2.0, 3.0 or 3.1 document");
        problem.expected("`openapi: 3.1.0` at the top");
        if key == Some("swagger") {
            problem.help("write the version of OpenAPI 2.0 as text: `swagger: \"2.0\"`");
        }
        Err(Box::new(problem))
    }

    /// Whether it has a security scheme that a gate with an issuer of tokens, or without one, cannot meet.
    pub(crate) fn asks_for_more_than(&self, has_issuer: bool) -> bool {
        let text = |scheme: &Json, key: &str| {
            scheme.get(key).and_then(Json::as_str).unwrap_or_default().to_ascii_lowercase()
        };
        let is_token = |scheme: &Json| match text(scheme, "type").as_str() {
            "oauth2" | "openidconnect" => true,
            "http" => text(scheme, "scheme") == "bearer",
            _ => text(scheme, "name") == "authorization",
        };
        let all = ["/components/securitySchemes", "/securityDefinitions"].into_iter();
        let all = all.filter_map(|at| self.document.pointer(at)?.as_object());
        all.flat_map(|all| all.values()).any(|scheme| !has_issuer || !is_token(self.follow(scheme)))
    }
}

/// Names operations without an `operationId` as the core does when it compiles the contract: `deleteUsersId`.
fn name_the_nameless(operations: &mut [Operation<'_>]) {
    let mut taken: HashSet<String> = operations.iter().map(|operation| operation.name.clone()).collect();
    for operation in operations.iter_mut().filter(|operation| operation.name.is_empty()) {
        let mut slug = operation.method.to_owned();
        let words = operation.path.split(|letter: char| !letter.is_ascii_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            let mut letters = word.chars();
            slug.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            slug.extend(letters);
        }
        let numbered = (2..=u32::MAX).map(|number| format!("{slug}{number}"));
        let name = std::iter::once(slug.clone()).chain(numbered).find(|name| !taken.contains(name));
        operation.name = name.unwrap_or_default();
        taken.insert(operation.name.clone());
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

fn place(source: &SourceText, at: Span) -> Place {
    let index = usize::try_from(at.line).unwrap_or_default().saturating_sub(1);
    let line = source.text.lines().nth(index).unwrap_or_default();
    Place { file: Arc::clone(&source.name), at, source: excerpt(line).into() }
}

/// Documents are sometimes one line of many megabytes, which nobody wants printed.
fn excerpt(line: &str) -> &str {
    if line.len() > 400 { "" } else { line }
}

fn line_place(source: &SourceText, line: usize, column: usize) -> Place {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    place(source, Span { line: narrow(line), column: narrow(column.max(1)), length: 1 })
}

fn tree_span(tree: &tree::Node, pointer: &str) -> Option<Span> {
    let (mut node, mut at) = (tree, tree.at);
    for step in steps(pointer) {
        (node, at) = match &node.value {
            Value::Map(entries) => {
                let (key, value) = entries.iter().find(|(key, _)| *key.name == *step)?;
                (value, key.at)
            }
            Value::List(items) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                (item, item.at)
            }
            _ => return None,
        };
    }
    Some(at)
}

/// Finds a pointer in JSON text by descending through raw slices of it; no tree is built.
fn json_place(source: &SourceText, pointer: &str) -> Option<Place> {
    let text = source.text.trim_start_matches('\u{feff}');
    let mut raw: &RawValue = serde_json::from_str(text).ok()?;
    for step in steps(pointer) {
        raw = if raw.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
            items.get(step.parse::<usize>().ok()?).copied()?
        } else {
            let entries: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(raw.get()).ok()?;
            entries.get(&*step).copied()?
        };
    }
    let offset = raw.get().as_ptr().addr().checked_sub(source.text.as_ptr().addr())?;
    let length = raw.get().lines().next().unwrap_or_default().len();
    let place = Place::in_text(&source.name, &source.text, offset, length);
    Some(Place { source: excerpt(&place.source).into(), ..place })
}

fn steps(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(|step| {
        if step.contains('~') { step.replace("~1", "/").replace("~0", "~").into() } else { step.into() }
    })
}

/// A JSON value in which no object repeats a key.
struct Strict(Json);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("the number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` is repeated")));
            }
            let Strict(value) = map.next_value()?;
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceText {
        SourceText {
            path: "api.yaml".into(),
            name: "api.yaml".into(),
            text: text.into(),
            place: Place::default(),
        }
    }

    #[test]
    fn a_pointer_is_found_in_json_and_in_yaml() {
        let json = "{\n \"openapi\": \"3.1.0\",\n \"paths\": {\n  \"/a/b\": { \"get\": [1, 22] }\n }\n}";
        let contract = Contract::parse(source(json)).unwrap();
        let place = contract.at("/paths/~1a~1b/get/1");
        assert_eq!((place.at.line, place.at.column, place.at.length), (4, 24, 2));
        let yaml = "openapi: 3.1.0\npaths:\n  /a/b:\n    get: [1, 22]\n";
        let contract = Contract::parse(source(yaml)).unwrap();
        assert_eq!(contract.at("/paths/~1a~1b/get/1").at, Span { line: 4, column: 14, length: 2 });
        assert_eq!(contract.at("/paths/~1a~1b").at, Span { line: 3, column: 3, length: 4 });
        assert_eq!(contract.at("/nowhere").at.line, 0);
    }

    #[test]
    fn ambiguous_or_foreign_documents_are_refused() {
        let check = |text: &str, line: u32, part: &str| {
            let error = Contract::parse(source(text)).unwrap_err();
            assert!(error.message.contains(part), "{}", error.message);
            assert_eq!(error.place.at.line, line, "{text}");
        };
        check("{\"openapi\":\"3.1.0\",\n\"a\":1,\"a\":2}", 2, "`a` is repeated");
        check("{\"openapi\":", 1, "EOF");
        check("openapi: 3.1.0\na: 1\na: 2\n", 3, "duplicate");
        check("swagger: '1.2'\n", 1, "OpenAPI 2.0, 3.0 or 3.1");
        check("", 1, "OpenAPI 2.0, 3.0 or 3.1");
    }

    #[test]
    fn names_are_gathered_through_references() {
        let text = r##"{"openapi":"3.0.3","paths":{"/u/{id}":{"parameters":[{"$ref":"#/components/parameters/id"}],
            "get":{"operationId":"read"},"delete":{"parameters":[{"in":"query","name":"hard"},{"in":"cookie","name":"c"}]}}},
            "components":{"parameters":{"id":{"name":"id","in":"path"}}}}"##;
        let names = Contract::parse(source(text)).unwrap().names();
        assert_eq!(names.operations, ["read", "deleteUId"]);
        assert_eq!(names.parameters, ["hard", "id"]);
    }
}
