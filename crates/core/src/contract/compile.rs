//! From a document to operations, with everything that is wrong reported at once.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::content::Reader;
use super::document::{Dialect, Document};
use super::localize::{Resources, localize};
use super::operation::{DeclaredAnswer, Location, Operation, Parameter, RequestBody, StatusPattern, Style};
use super::paths::{Paths, Template};
use super::problem::{Problem, joined};
use super::security::{self, Scheme};
use super::shelf::Shelf;
use super::{Contract, ContractOptions, OperationIndex, family, names, swagger};

const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

/// Compiles `root`.
pub(super) fn compile(root: Value, options: &ContractOptions) -> Result<Contract, Vec<Problem>> {
    if root.get("swagger").is_none() {
        return compile_3(root, options);
    }
    if root.get("swagger").and_then(Value::as_str) != Some("2.0") {
        let message = "only OpenAPI 2.0, 3.0 and 3.1 are supported".to_owned();
        return Err(vec![Problem { pointer: "/swagger".to_owned(), message }]);
    }
    let (converted, origins) = swagger::convert(&root)?;
    drop(root);
    let back = |problem: Problem| Problem { pointer: origins.of(&problem.pointer), ..problem };
    match compile_3(converted, options) {
        Ok(mut contract) => {
            contract.warnings = contract.warnings.into_iter().map(back).collect();
            for scheme in &mut contract.schemes {
                scheme.pointer = origins.of(&scheme.pointer);
            }
            Ok(contract)
        }
        Err(problems) => {
            let mut problems: Vec<_> = problems.into_iter().map(back).collect();
            problems.sort();
            problems.dedup();
            Err(problems)
        }
    }
}

fn compile_3(mut root: Value, options: &ContractOptions) -> Result<Contract, Vec<Problem>> {
    let dialect = dialect(&root).map_err(|problem| vec![problem])?;
    let resources = if dialect == Dialect::V31 { localize(&mut root) } else { Resources::new() };
    let mut document = Document { root, dialect, resources, ..Document::default() };
    document.families = family::families(&document);
    let checked = super::outline::check(&document, options.ignore_broken_patterns);
    document.backtracking = checked.backtracking;
    document.unmatched = checked.unmatched;
    let mut problems = checked.problems;
    let shelf = Shelf::new(document);
    let mut contract = Contract {
        operations: Vec::new(),
        paths: Paths::default(),
        server_path: server_path(&shelf.document.root),
        takes_matrix: false,
        schemes: security::schemes(&shelf.document),
        warnings: checked.warnings,
        shelf: Arc::clone(&shelf),
    };
    if problems.is_empty() {
        let mut builder = Builder {
            shelf: &shelf,
            schemes: contract.schemes.clone(),
            ids: HashMap::new(),
            problems: Vec::new(),
        };
        builder.paths(&mut contract);
        let parameters = contract.operations.iter().flat_map(|operation| &operation.parameters);
        contract.takes_matrix = parameters.into_iter().any(|one| one.style == Style::Matrix);
        problems = builder.problems;
    }
    if problems.is_empty() && options.build_all {
        problems.extend(contract.build_all());
    }
    problems.sort();
    if problems.is_empty() { Ok(contract) } else { Err(problems) }
}

fn dialect(root: &Value) -> Result<Dialect, Problem> {
    let at =
        |pointer: &str, message: &str| Problem { pointer: pointer.to_owned(), message: message.to_owned() };
    let Some(version) = root.get("openapi").and_then(Value::as_str) else {
        return Err(at("", "this is no OpenAPI document: `openapi` is missing"));
    };
    let is = |minor: &str| {
        version == minor || version.strip_prefix(minor).is_some_and(|rest| rest.starts_with('.'))
    };
    if is("3.0") {
        return Ok(Dialect::V30);
    }
    if !is("3.1") {
        return Err(at("/openapi", "only OpenAPI 2.0, 3.0 and 3.1 are supported"));
    }
    match root.get("jsonSchemaDialect").map(Value::as_str) {
        None
        | Some(Some(
            "https://spec.openapis.org/oas/3.1/dialect/base" | "https://json-schema.org/draft/2020-12/schema",
        )) => Ok(Dialect::V31),
        _ => Err(at(
            "/jsonSchemaDialect",
            "only the OpenAPI base dialect and JSON Schema 2020-12 are supported",
        )),
    }
}

/// The path of the first server, without a final slash, its variables put in.
pub(super) fn server_path(document: &Value) -> Box<str> {
    if let Some(base) =
        document.get("basePath").and_then(Value::as_str).filter(|_| document.get("swagger").is_some())
    {
        return plain_path(base);
    }
    let Some(server) = document.pointer("/servers/0") else { return "".into() };
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let value = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), value);
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map(|(_, path)| path).unwrap_or_default(),
        None => url.trim_start_matches('/'),
    };
    plain_path(path)
}

fn plain_path(path: &str) -> Box<str> {
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    if path.is_empty() || path.starts_with('.') { "".into() } else { format!("/{path}").into() }
}

/// Follows one chain of references to a parameter, body or answer.
pub(super) fn follow<'d>(document: &'d Document, pointer: String, value: &'d Value) -> (String, &'d Value) {
    let (mut pointer, mut value) = (pointer, value);
    for _ in 0..16 {
        let Some((at, target)) = value.as_object().and_then(|object| document.target(object)) else { break };
        (pointer, value) = (at.into_owned(), target);
    }
    (pointer, value)
}

struct Builder<'s> {
    shelf: &'s Arc<Shelf>,
    schemes: Vec<Scheme>,
    /// Ids given, and where.
    ids: HashMap<Box<str>, String>,
    problems: Vec<Problem>,
}

impl<'s> Builder<'s> {
    fn document(&self) -> &'s Document {
        &self.shelf.document
    }

    fn reader(&self) -> Reader<'s> {
        Reader { shelf: self.shelf }
    }

    fn paths(&mut self, contract: &mut Contract) {
        let Some(paths) = self.document().at("/paths").and_then(Value::as_object) else { return };
        for (template, item) in paths.iter().filter(|(template, _)| !template.starts_with("x-")) {
            let here = joined("/paths", template);
            let (item_at, item) = follow(self.document(), here.clone(), item);
            let parsed = match Template::parse(template) {
                Ok(parsed) => parsed,
                Err(fault) => {
                    self.problems.push(Problem { pointer: here, message: fault.to_string() });
                    continue;
                }
            };
            let mut methods = Vec::new();
            for (name, method) in METHODS {
                let Some(operation) = item.get(name) else { continue };
                let Ok(index) = u32::try_from(contract.operations.len()) else { continue };
                methods.push((method.clone(), OperationIndex(index)));
                let operation =
                    self.operation((&item_at, item), (name, method), operation, template, &parsed);
                contract.operations.push(operation);
            }
            if methods.is_empty() {
                continue;
            }
            if let Err(fault) = contract.paths.insert(template, parsed, methods) {
                self.problems.push(Problem { pointer: here, message: fault.to_string() });
            }
        }
        self.name_the_nameless(contract);
    }

    fn operation(
        &mut self,
        (item_at, item): (&str, &'s Value),
        (name, method): (&str, Method),
        value: &'s Value,
        template: &str,
        parsed: &Template,
    ) -> Operation {
        let at = joined(item_at, name);
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let id: Box<str> = text("operationId").unwrap_or_default().into();
        if !id.is_empty()
            && let Some(first) = self.ids.insert(id.clone(), at.clone())
        {
            let message = format!("the `operationId` is given twice; the other is at {first}");
            self.problems.push(Problem { pointer: joined(&at, "operationId"), message });
        }
        let mut parameters = Vec::new();
        self.parameters(&joined(&at, "parameters"), value.get("parameters"), &mut parameters);
        self.parameters(&joined(item_at, "parameters"), item.get("parameters"), &mut parameters);
        for name in &parsed.names {
            if !parameters.iter().any(|one| one.location == Location::Path && one.name == *name) {
                let message = format!("the path parameter `{name}` is not declared");
                self.problems.push(Problem { pointer: at.clone(), message });
            }
        }
        parameters.retain(|one| one.location != Location::Path || parsed.names.contains(&one.name));
        Operation {
            id,
            method,
            template: template.into(),
            summary: text("summary").map(Box::from),
            deprecated: value.get("deprecated").and_then(Value::as_bool) == Some(true),
            tags: strings(value.get("tags")),
            parameters,
            body: value.get("requestBody").map(|body| self.body(joined(&at, "requestBody"), body)),
            answers: self.answers(&joined(&at, "responses"), value.get("responses")),
            security: {
                let schemes = &self.schemes;
                security::requirements(&self.shelf.document, value, &at, schemes, &mut self.problems)
            },
        }
    }

    /// Adds those of `list` that are not there yet: an operation's own go before its path's.
    fn parameters(&mut self, at: &str, list: Option<&'s Value>, parameters: &mut Vec<Parameter>) {
        let own = parameters.len();
        for (index, value) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let (at, value) = follow(self.document(), joined(at, &index.to_string()), value);
            let Some(parameter) = self.reader().parameter(&at, value) else { continue };
            let same = |one: &Parameter| one.name == parameter.name && one.location == parameter.location;
            if parameters.iter().skip(own).any(same) {
                let message = format!("the parameter `{}` is declared twice", parameter.name);
                self.problems.push(Problem { pointer: at, message });
            } else if !parameters.iter().any(same) {
                parameters.push(parameter);
            }
        }
    }

    fn body(&mut self, at: String, value: &'s Value) -> RequestBody {
        let (at, value) = follow(self.document(), at, value);
        RequestBody {
            required: value.get("required").and_then(Value::as_bool) == Some(true),
            content: self.reader().content(&joined(&at, "content"), value.get("content"), false),
        }
    }

    fn answers(&mut self, at: &str, value: Option<&'s Value>) -> Vec<DeclaredAnswer> {
        let mut answers = Vec::new();
        for (status, value) in value.and_then(Value::as_object).into_iter().flatten() {
            let Some(pattern) = status_pattern(status) else { continue };
            let (at, value) = follow(self.document(), joined(at, status), value);
            let content = self.reader().content(&joined(&at, "content"), value.get("content"), true);
            let headers = self.reader().headers(&joined(&at, "headers"), value.get("headers"), true);
            answers.push(DeclaredAnswer { status: pattern, content, headers });
        }
        answers
    }

    /// Gives every operation without an `operationId` a name made of its method and path.
    fn name_the_nameless(&mut self, contract: &mut Contract) {
        for operation in &mut contract.operations {
            if !operation.id.is_empty() {
                continue;
            }
            let slug = names::slug(operation.method.as_str(), &operation.template);
            let mut id = slug.clone();
            let mut number = 2;
            while self.ids.contains_key(id.as_str()) {
                id = format!("{slug}{number}");
                number += 1;
            }
            operation.id = id.as_str().into();
            self.ids.insert(id.into(), String::new());
        }
    }
}

/// `200`, `2XX` or `default`.
pub(super) fn status_pattern(status: &str) -> Option<StatusPattern> {
    if status == "default" {
        return Some(StatusPattern::Default);
    }
    if let Some(class) = status.strip_suffix("XX").or_else(|| status.strip_suffix("xx")) {
        return class.parse().ok().filter(|class| (1..=5).contains(class)).map(StatusPattern::Class);
    }
    status.parse().ok().filter(|status| (100..=599).contains(status)).map(StatusPattern::Exact)
}

fn strings(list: Option<&Value>) -> Vec<Box<str>> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(Box::from).collect()
}
