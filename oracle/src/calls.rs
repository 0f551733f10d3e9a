//! Requests to each operation of a document: right ones, and ones with a mistake.

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::document::Document;
use crate::encode::{Written, joined, pairs, percent, piece};
use crate::sample::Sampler;
use crate::spoil::spoilt;

pub(crate) const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    pub operation: String,
    /// `valid`, or what is wrong with it.
    pub kind: String,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// Names and texts of the parameters in the path.
    pub parameters: Vec<(String, String)>,
}

impl std::fmt::Display for Call {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let body: String = body.chars().take(900).collect();
        let Self { operation, kind, method, path, headers, .. } = self;
        let query = self.query.as_deref().unwrap_or_default();
        write!(out, "{operation}: {kind}: {method} {path}?{query} {headers:?} {body}")
    }
}

/// How many requests are made of each operation.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub valid: usize,
    pub spoilt: usize,
}

/// A parameter of the document.
#[derive(Clone, Copy)]
struct Parameter<'d> {
    written: Written<'d>,
    place: &'d str,
    is_required: bool,
    schema: &'d Value,
}

/// An operation of the document.
struct Operation<'d> {
    template: &'d str,
    method: &'d str,
    item: &'d Map<String, Value>,
    parameters: Vec<Parameter<'d>>,
    body: Option<&'d Value>,
}

/// A request before it is written out.
#[derive(Clone)]
struct Plan<'d> {
    values: Vec<(Parameter<'d>, Value)>,
    more: Vec<(String, String)>,
    body: Option<(&'d str, &'d Value, Value)>,
}

/// All requests of a document, the same for the same seed, and the number of its operations.
pub fn calls(document: &Document, seed: u64, amount: Amount) -> (usize, Vec<Call>) {
    let mut all = Vec::new();
    let mut operations = 0;
    for (template, item) in document.paths() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            operations += 1;
            // Operations do not disturb each other's chance, so that a document may grow.
            let own = template
                .bytes()
                .chain(method.bytes())
                .fold(seed, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(byte)));
            let mut sampler = Sampler { document, dice: Dice::new(own) };
            let operation = Operation::read(document, template, method, item, operation);
            operation.calls(&mut sampler, amount, &mut all);
        }
    }
    (operations, all)
}

impl<'d> Operation<'d> {
    fn read(
        document: &'d Document,
        template: &'d str,
        method: &'d str,
        item: &'d Map<String, Value>,
        operation: &'d Value,
    ) -> Self {
        let mut parameters: Vec<Parameter<'d>> = Vec::new();
        for list in [operation.get("parameters"), item.get("parameters")] {
            for one in list.and_then(Value::as_array).into_iter().flatten() {
                let Some(one) = Parameter::read(document.follow(one)) else { continue };
                let is_same = |known: &Parameter<'_>| {
                    known.written.name == one.written.name && known.place == one.place
                };
                if !parameters.iter().any(is_same) {
                    parameters.push(one);
                }
            }
        }
        let body = operation.get("requestBody").map(|body| document.follow(body));
        Self { template, method, item, parameters, body }
    }

    fn plan(&self, sampler: &mut Sampler<'d>) -> Plan<'d> {
        let mut values = Vec::new();
        for parameter in &self.parameters {
            if parameter.is_required || sampler.dice.chance(40) {
                values.push((*parameter, sampler.value(parameter.schema, 1)));
            }
        }
        let content = self.body.and_then(|body| body.get("content")).and_then(Value::as_object);
        let content: Vec<_> = content.into_iter().flatten().collect();
        let is_sent = self.body.and_then(|body| body.get("required")) == Some(&Value::Bool(true))
            || sampler.dice.chance(70);
        let body = sampler.dice.pick(&content).filter(|_| is_sent).map(|(media, entry)| {
            let any = const { &Value::Bool(true) };
            (media.as_str(), *entry, sampler.value(entry.get("schema").unwrap_or(any), 0))
        });
        Plan { values, more: Vec::new(), body }
    }

    fn write(&self, kind: impl Into<String>, plan: &Plan<'d>) -> Call {
        let mut call = Call {
            operation: format!("{} {}", self.method.to_uppercase(), self.template),
            kind: kind.into(),
            method: self.method.to_uppercase(),
            path: self.template.to_owned(),
            ..Call::default()
        };
        let mut query = Vec::new();
        for (parameter, value) in &plan.values {
            let (written, name) = (parameter.written, parameter.written.name);
            match parameter.place {
                "path" => {
                    call.path = call.path.replace(&format!("{{{name}}}"), &piece(written, value, percent));
                    call.parameters.push((name.to_owned(), piece(written, value, str::to_owned)));
                }
                "query" => pairs(written, value, &mut query),
                "header" => call.headers.push((name.to_owned(), piece(written, value, str::to_owned))),
                _ => {
                    let mut own = Vec::new();
                    pairs(written, value, &mut own);
                    let text = own.iter().map(|(name, value)| format!("{name}={value}"));
                    call.headers.push(("Cookie".to_owned(), text.collect::<Vec<_>>().join("; ")));
                }
            }
        }
        query.extend(plan.more.iter().cloned());
        call.query = (!query.is_empty()).then(|| joined(&query));
        if let Some((media, entry, value)) = &plan.body {
            let media = if media.contains('*') { "application/json" } else { media };
            // Not all that documents write there is a media type.
            let is_written = media.split(';').skip(1).all(|parameter| parameter.contains('='));
            let media = if is_written { media } else { media.split(';').next().unwrap_or_default() };
            let (media, bytes) = body(media, entry, value);
            call.headers.push(("Content-Type".to_owned(), media));
            call.body = Some(bytes);
        }
        call
    }

    fn calls(&self, sampler: &mut Sampler<'d>, amount: Amount, all: &mut Vec<Call>) {
        for _ in 0..amount.valid {
            let plan = self.plan(sampler);
            let kind = if self.has_form(&plan) { "valid" } else { "valid but for what has no form" };
            all.push(self.write(kind, &plan));
        }
        self.routes(sampler, all);
        for _ in 0..amount.spoilt {
            self.parameters(sampler, all);
            self.bodies(sampler, all);
        }
    }

    /// Whether all of the plan can be told on the wire: lists and objects that are written as pairs cannot be empty.
    fn has_form(&self, plan: &Plan<'d>) -> bool {
        let is_form = plan.body.as_ref().is_some_and(|(media, ..)| *media == FORM);
        let fields = plan.body.iter().filter(|_| is_form).filter_map(|(.., value)| value.as_object());
        let fields = fields.flat_map(|all| all.values());
        let values = plan.values.iter().filter(|(one, _)| !one.written.is_json).map(|(_, value)| value);
        !fields.chain(values).any(has_empty)
    }

    /// Methods and paths that the document lacks.
    fn routes(&self, sampler: &mut Sampler<'d>, all: &mut Vec<Call>) {
        let plan = self.plan(sampler);
        let mut call = self.write("path unknown", &plan);
        call.path.push_str("/zz-unknown");
        all.push(call);
        let others: Vec<&str> =
            METHODS.into_iter().filter(|method| !self.item.contains_key(*method)).collect();
        if let Some(method) = sampler.dice.pick(&others) {
            let mut call = self.write("method unknown", &plan);
            call.method = method.to_uppercase();
            all.push(call);
        }
    }

    fn parameters(&self, sampler: &mut Sampler<'d>, all: &mut Vec<Call>) {
        let mut plan = self.plan(sampler);
        plan.more.push(("zz_unknown".to_owned(), "1".to_owned()));
        all.push(self.write("parameter unknown", &plan));
        let plan = self.plan(sampler);
        let is_loose =
            |(parameter, _): &(Parameter<'_>, Value)| parameter.is_required && parameter.place != "path";
        let required: Vec<usize> =
            plan.values.iter().enumerate().filter(|(_, one)| is_loose(one)).map(|(at, _)| at).collect();
        if let Some(at) = sampler.dice.pick(&required) {
            let mut plan = plan.clone();
            plan.values.remove(*at);
            all.push(self.write("parameter missing", &plan));
        }
        if self.parameters.is_empty() {
            return;
        }
        let chosen = self.parameters[sampler.dice.below(self.parameters.len())];
        let mut plan = self.plan(sampler);
        plan.values.retain(|(one, _)| one.written.name != chosen.written.name || one.place != chosen.place);
        let value = sampler.value(chosen.schema, 1);
        if let Some((kind, spoilt)) = spoilt(sampler, &value, chosen.schema) {
            let mut plan = plan.clone();
            plan.values.push((chosen, spoilt));
            all.push(self.write(format!("parameter: {kind}"), &plan));
        }
        if chosen.place == "query" && !value.is_array() && !value.is_object() {
            plan.values.extend([(chosen, value.clone()), (chosen, value)]);
            all.push(self.write("parameter twice", &plan));
        }
    }

    fn bodies(&self, sampler: &mut Sampler<'d>, all: &mut Vec<Call>) {
        let mut plan = self.plan(sampler);
        let Some((media, entry, value)) = plan.body.clone() else {
            if self.body.is_none() && !matches!(self.method, "get" | "head" | "options") {
                let any = const { &Value::Bool(true) };
                plan.body = Some(("application/json", any, json!({})));
                all.push(self.write("body where none is", &plan));
            } else if self.body.is_some() {
                all.push(self.write("body left out", &plan));
            }
            return;
        };
        let whole = self.write("", &plan);
        let mut call = Call { kind: "body left out".to_owned(), body: None, ..whole.clone() };
        call.headers.retain(|(name, _)| name != "Content-Type");
        all.push(call);
        let mut call = Call { kind: "body of another type".to_owned(), ..whole.clone() };
        call.headers.retain(|(name, _)| name != "Content-Type");
        call.headers.push(("Content-Type".to_owned(), "application/x-zz".to_owned()));
        all.push(call);
        if media.contains("json") {
            let mut call = Call { kind: "body broken off".to_owned(), ..whole.clone() };
            call.body.as_mut().map(Vec::pop);
            all.push(call);
            let mut call = Call { kind: "field twice".to_owned(), ..whole };
            let text = value.to_string();
            if let Some((first, rest)) =
                value.as_object().and_then(|o| o.iter().next()).zip(text.strip_prefix('{'))
            {
                call.body = Some(format!("{{{}:{},{rest}", json!(first.0), first.1).into_bytes());
                all.push(call);
            }
        }
        let any = const { &Value::Bool(true) };
        for _ in 0..3 {
            if let Some((kind, spoilt)) = spoilt(sampler, &value, entry.get("schema").unwrap_or(any)) {
                plan.body = Some((media, entry, spoilt));
                all.push(self.write(format!("body: {kind}"), &plan));
            }
        }
    }
}

impl<'d> Parameter<'d> {
    fn read(value: &'d Value) -> Option<Self> {
        let (name, place) = (value.get("name")?.as_str()?, value.get("in")?.as_str()?);
        // What OpenAPI describes elsewhere is no parameter, and what the gate owns cannot be sent.
        if place == "header"
            && ["accept", "content-type", "authorization"].contains(&&*name.to_ascii_lowercase())
        {
            return None;
        }
        let is_form = matches!(place, "query" | "cookie");
        let default = if is_form { "form" } else { "simple" };
        let style = value.get("style").and_then(Value::as_str).unwrap_or(default);
        let content = value.get("content").and_then(Value::as_object).and_then(|all| all.values().next());
        let any = const { &Value::Bool(true) };
        let schema = value.get("schema").or_else(|| content?.get("schema")).unwrap_or(any);
        let explode = value.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
        let is_required = value.get("required") == Some(&Value::Bool(true)) || place == "path";
        let written = Written { name, style, explode, is_json: content.is_some() };
        Some(Self { written, place, is_required, schema })
    }
}

/// Whether an empty list or object, or null, is somewhere in a value.
fn has_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty),
        Value::Object(members) => members.is_empty() || members.values().any(has_empty),
        _ => false,
    }
}

/// A body as its media type writes it, and that type with its parameters.
fn body(media: &str, entry: &Value, value: &Value) -> (String, Vec<u8>) {
    match media {
        FORM => {
            let mut all = Vec::new();
            for (name, field) in value.as_object().into_iter().flatten() {
                let encoding = entry.get("encoding").and_then(|all| all.get(name));
                let style = encoding.and_then(|one| one.get("style")).and_then(Value::as_str);
                let explode = encoding.and_then(|one| one.get("explode")).and_then(Value::as_bool);
                // A field with fields is JSON where nothing else is said (OpenAPI 3.1 section 4.8.14.5).
                let is_json = style.is_none() && field.is_object();
                let style = style.unwrap_or("form");
                let explode = explode.unwrap_or(style == "form");
                pairs(Written { name, style, explode, is_json }, field, &mut all);
            }
            (media.to_owned(), joined(&all).into_bytes())
        }
        "multipart/form-data" => {
            let mut out = String::new();
            for (name, field) in value.as_object().into_iter().flatten() {
                let kind = if field.is_object() { "Content-Type: application/json\r\n" } else { "" };
                let items = field.as_array().cloned().unwrap_or_else(|| vec![field.clone()]);
                for item in items {
                    let text = crate::encode::text(&item);
                    out += &format!(
                        "--zz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n{kind}\r\n{text}\r\n"
                    );
                }
            }
            out += "--zz--\r\n";
            ("multipart/form-data; boundary=zz".to_owned(), out.into_bytes())
        }
        other if other.contains("json") => (other.to_owned(), value.to_string().into_bytes()),
        other => (other.to_owned(), crate::encode::text(value).into_bytes()),
    }
}
