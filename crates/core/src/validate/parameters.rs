//! Parameters in path, query, headers and cookies.

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use serde_json::Value;

use super::decode::{Pairs, Raw, bracketed, extended, pairs, percent};
use super::{Subject, Unknown, ValidateRules, violation};
use crate::contract::shape::{Shape, Types};
use crate::contract::shelf::MOST_VIOLATIONS;
use crate::contract::{Contract, Location, Operation, Parameter, Style};
use crate::halt::{Halt, Reason, Violation};
use crate::json;

/// Proves that every parameter is what `operation` declares, and, unless allowed, that the query has no other.
pub(super) fn check(
    contract: &Contract,
    rules: &ValidateRules,
    operation: &Operation,
    subject: &Subject<'_>,
) -> Result<(), Halt> {
    let refused = |violations: Vec<Violation>| {
        Halt::new(Reason::ParameterInvalid, "parameters break the contract").with_violations(violations)
    };
    let query =
        pairs(subject.query).map_err(|fault| refused(vec![violation("query:", &fault.to_string())]))?;
    let mut check = Check { contract, rules, violations: Vec::new() };
    let mut is_taken = vec![false; query.len()];
    for parameter in &operation.parameters {
        let raw = match parameter.location {
            Location::Path => subject.path.get(&parameter.name).map(|text| path_value(parameter, text)),
            Location::Query => query_value(operation, parameter, &query, &mut is_taken),
            Location::Header => header_value(parameter, subject.headers),
            Location::Cookie => cookie_value(parameter, subject.headers),
        };
        check.parameter(parameter, raw);
    }
    if rules.unknown_parameters == Unknown::Refuse {
        for ((name, _), _) in query.iter().zip(&is_taken).filter(|(_, is_taken)| !**is_taken) {
            check.fail(format!("query:{}", shortened(name)), "is not in the contract");
        }
    }
    check.violations.truncate(MOST_VIOLATIONS);
    if check.violations.is_empty() { Ok(()) } else { Err(refused(check.violations)) }
}

/// What is wrong with the headers of an answer, as far as it declares them.
pub(super) fn answer_headers(
    contract: &Contract,
    rules: &ValidateRules,
    declared: &[Parameter],
    headers: &HeaderMap,
) -> Vec<Violation> {
    let mut check = Check { contract, rules, violations: Vec::new() };
    for header in declared {
        // RFC 6265 section 3: the one header that is no list and yet is sent several times.
        let is_cookie = *header.name == *SET_COOKIE.as_str();
        if is_cookie && headers.contains_key(SET_COOKIE) {
            continue;
        }
        check.parameter(header, header_value(header, headers));
    }
    check.violations
}

/// Adds what is wrong with the headers of a part of a form.
pub(super) fn part_headers(
    contract: &Contract,
    rules: &ValidateRules,
    declared: &[Parameter],
    sent: &[(String, &str)],
    at: &str,
    violations: &mut Vec<Violation>,
) {
    let mut check = Check { contract, rules, violations: Vec::new() };
    for header in declared {
        let value = sent.iter().find(|(name, _)| **name == *header.name);
        check.parameter(header, value.map(|(_, value)| delimited(header, value, ',')));
    }
    let found = check.violations.into_iter();
    violations.extend(found.map(|one| Violation { at: format!("{at}#{}", one.at), message: one.message }));
}

/// What was sent for a parameter, or why it cannot be read.
type Sent = Result<Raw, &'static str>;

struct Check<'c> {
    contract: &'c Contract,
    rules: &'c ValidateRules,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn fail(&mut self, at: String, message: &str) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(violation(at, message));
        }
    }

    fn parameter(&mut self, parameter: &Parameter, sent: Option<Sent>) {
        let at = || format!("{}:{}", parameter.location.as_str(), parameter.name);
        let raw = match sent {
            None if parameter.required => return self.fail(at(), "is required"),
            None => return,
            Some(Err(message)) => return self.fail(at(), message),
            Some(Ok(raw)) => raw,
        };
        let Some(units) = &parameter.unit else { return };
        if parameter.allows_empty && raw.is_empty() {
            return;
        }
        let unit = match self.rules.unknown_parameters {
            Unknown::Refuse => &units.closed,
            Unknown::Allow => &units.open,
        };
        let shelf = self.contract.shelf();
        let types = parameter.shape.types;
        let other = match &raw {
            // Text that looks like a number may be meant as text where the schema takes both.
            Raw::Text(text) if types.has(Types::STRING) && !parameter.is_json => {
                let list = types.has(Types::ARRAY).then(|| delimited_list(parameter, text));
                let is_other = !types.is_only(Types::STRING);
                is_other.then(|| (Value::String(text.clone()), list.map(|list| list.typed(&parameter.shape))))
            }
            // One empty text is an empty list as well.
            Raw::List(items) if matches!(&**items, [Raw::Text(text)] if text.is_empty()) => {
                Some((Value::Array(Vec::new()), None))
            }
            _ => None,
        };
        let texts = mixed_items(&raw, &parameter.shape);
        let value = match raw {
            Raw::Text(text) if parameter.is_json => match self.json(&text) {
                Some(value) => value,
                None => return self.fail(at(), "must be JSON"),
            },
            raw => raw.typed(&parameter.shape),
        };
        let fits = shelf.accepts(unit, &value)
            || other.is_some_and(|(text, list)| {
                shelf.accepts(unit, &text) || list.is_some_and(|list| shelf.accepts(unit, &list))
            })
            || texts.is_some_and(|texts| {
                let found = shelf.violations(unit, &value, "", false);
                shelf.accepts(unit, &with_texts(&value, &texts, &found))
            });
        if !fits {
            self.violations.extend(shelf.violations(unit, &value, &at(), false));
        }
    }

    fn json(&self, text: &str) -> Option<Value> {
        json::parse(text.as_bytes(), &self.rules.json).ok()
    }
}

/// The items of a list whose schema takes text and other types too: each may be meant as text.
fn mixed_items(raw: &Raw, shape: &Shape) -> Option<Vec<String>> {
    let types = shape.items.as_ref()?.types;
    let Raw::List(items) = raw else { return None };
    if !types.has(Types::STRING) || types.is_only(Types::STRING) || types.is_all() {
        return None;
    }
    items.iter().map(|item| if let Raw::Text(text) = item { Some(text.clone()) } else { None }).collect()
}

/// The list with those items as texts that are wrong as what they look like.
fn with_texts(value: &Value, texts: &[String], found: &[Violation]) -> Value {
    let is_wrong = |index: usize| {
        found.iter().any(|one| one.at.split('/').nth(1).and_then(|at| at.parse().ok()) == Some(index))
    };
    let items = value.as_array().into_iter().flatten().zip(texts).enumerate();
    items
        .map(|(at, (item, text))| if is_wrong(at) { Value::String(text.clone()) } else { item.clone() })
        .collect()
}

fn is_list(parameter: &Parameter) -> bool {
    !parameter.is_json && is_listed(&parameter.shape)
}

fn is_object(parameter: &Parameter) -> bool {
    !parameter.is_json && has_fields(&parameter.shape)
}

fn is_listed(shape: &Shape) -> bool {
    shape.types.has(Types::ARRAY) && !shape.types.has(Types::STRING)
}

fn has_fields(shape: &Shape) -> bool {
    shape.types.has(Types::OBJECT) && !shape.types.has(Types::STRING) && !shape.types.has(Types::ARRAY)
}

/// What parts the items of a list that is written in one piece.
fn delimiter(style: Style) -> char {
    match style {
        Style::SpaceDelimited => ' ',
        Style::PipeDelimited => '|',
        _ => ',',
    }
}

fn delimited_list(parameter: &Parameter, text: &str) -> Raw {
    Raw::list(text.split(delimiter(parameter.style)))
}

/// `a,b` for a list, `k,v,k,v` or `k=v,k=v` for an object, else the text itself.
fn delimited(parameter: &Parameter, text: &str, delimiter: char) -> Sent {
    if parameter.is_json {
        return Ok(Raw::Text(text.to_owned()));
    }
    split(&parameter.shape, text, delimiter, parameter.explode)
}

/// The same for a field of a form.
pub(super) fn delimited_as(shape: &Shape, style: Style, explode: bool, text: &str) -> Sent {
    split(shape, text, delimiter(style), explode)
}

fn split(shape: &Shape, text: &str, delimiter: char, explode: bool) -> Sent {
    if is_listed(shape) {
        return Ok(Raw::list(text.split(delimiter)));
    }
    if !has_fields(shape) {
        return Ok(Raw::Text(text.to_owned()));
    }
    let mut members = Raw::Members(Vec::new());
    let mut parts = text.split(delimiter);
    while let Some(part) = parts.next() {
        let pair = if explode { part.split_once('=') } else { parts.next().map(|value| (part, value)) };
        let Some((name, value)) = pair else { return Err("must be a list of names and values") };
        if !members.insert(&[name], Raw::Text(value.to_owned())) {
            return Err("has a name twice");
        }
    }
    Ok(members)
}

fn path_value(parameter: &Parameter, text: &str) -> Sent {
    match parameter.style {
        Style::Label => {
            let text = text.strip_prefix('.').ok_or("must start with a dot")?;
            delimited(parameter, text, if parameter.explode { '.' } else { ',' })
        }
        Style::Matrix => matrix(parameter, text.strip_prefix(';').ok_or("must start with a semicolon")?),
        _ => delimited(parameter, text, ','),
    }
}

/// `name=value`, `name` for an empty value, and what repeats where the style explodes.
fn matrix(parameter: &Parameter, text: &str) -> Sent {
    let strip = |part: &str| {
        let rest = part.strip_prefix(&*parameter.name)?;
        if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('=').map(str::to_owned) }
    };
    if parameter.explode && is_list(parameter) {
        let items: Option<Vec<_>> = text.split(';').map(strip).collect();
        let items = items.ok_or("must repeat its name before each item")?;
        return Ok(Raw::list(items.iter().map(String::as_str)));
    }
    if parameter.explode && is_object(parameter) {
        return delimited(parameter, text, ';');
    }
    delimited(parameter, &strip(text).ok_or("must start with its name")?, ',')
}

/// Whether `name` is a field of an object whose fields stand side by side with other parameters.
fn is_member(operation: &Operation, parameter: &Parameter, name: &str) -> bool {
    if parameter.shape.properties.contains_key(name) {
        return true;
    }
    let is_other = || operation.parameter(parameter.location, name).is_some();
    parameter.shape.takes_any_member() && !is_other() && !name.contains('[')
}

fn query_value(
    operation: &Operation,
    parameter: &Parameter,
    query: &Pairs<'_>,
    is_taken: &mut [bool],
) -> Option<Sent> {
    let mut mine: Vec<(&str, &str)> = Vec::new();
    let by_member = parameter.explode && parameter.style != Style::DeepObject && is_object(parameter);
    for ((name, value), is_taken) in query.iter().zip(is_taken) {
        let is_mine = match parameter.style {
            Style::DeepObject => bracketed(name).is_some_and(|(base, _)| base == &*parameter.name),
            _ if by_member => is_member(operation, parameter, name),
            _ => **name == *parameter.name,
        };
        if is_mine {
            *is_taken = true;
            mine.push((name, value));
        }
    }
    if parameter.style == Style::DeepObject && !mine.is_empty() {
        return Some(deep(parameter, &mine));
    }
    gathered(parameter, &mine, by_member)
}

/// What stands for a parameter whose values come under its own name, or under those of its fields.
fn gathered(parameter: &Parameter, mine: &[(&str, &str)], by_member: bool) -> Option<Sent> {
    let (_, first) = *mine.first()?;
    if by_member {
        return Some(members(&parameter.shape, mine));
    }
    let is_repeated = mine.len() > 1;
    let takes_lists = parameter.shape.types.has(Types::ARRAY) && !parameter.is_json;
    if parameter.explode && (is_list(parameter) || is_repeated && takes_lists) {
        return Some(Ok(Raw::list(mine.iter().map(|(_, value)| *value))));
    }
    if is_repeated {
        return Some(Err("is sent twice"));
    }
    Some(delimited(parameter, first, delimiter(parameter.style)))
}

fn members(shape: &Shape, mine: &[(&str, &str)]) -> Sent {
    let mut whole = Raw::Members(Vec::new());
    for (name, value) in mine {
        if !whole.insert(&extended(shape, vec![*name]), Raw::Text((*value).to_owned())) {
            return Err("is sent twice");
        }
    }
    Ok(whole)
}

/// `name[key]=value`, and `name[]=value` for a list.
fn deep(parameter: &Parameter, mine: &[(&str, &str)]) -> Sent {
    let mut whole: Option<Raw> = None;
    for (name, value) in mine {
        let Some((_, keys)) = bracketed(name) else { return Err("has brackets that do not pair") };
        let is_bare = keys.is_empty();
        let keys = if is_bare { keys } else { extended(&parameter.shape, keys) };
        let text = Raw::Text((*value).to_owned());
        let is_put = match &mut whole {
            Some(whole) => whole.insert(&keys, text),
            None => {
                whole = Some(Raw::empty(&keys, text));
                true
            }
        };
        if !is_put {
            return Err("is sent twice, or as two kinds of value");
        }
    }
    whole.ok_or("is required")
}

fn header_value(parameter: &Parameter, headers: &HeaderMap) -> Option<Sent> {
    let mut all = headers.get_all(&*parameter.name).iter();
    let first = all.next()?;
    let mut items = Vec::new();
    for value in std::iter::once(first).chain(all) {
        let Ok(value) = value.to_str() else { return Some(Err("must be visible ASCII")) };
        if is_list(parameter) || is_object(parameter) {
            // RFC 9110 section 5.6.1: white space around the commas of a list means nothing, nor do its lines.
            items.extend(value.split(',').map(|item| item.trim_matches([' ', '\t'])));
        } else {
            items.push(value);
        }
    }
    match items.as_slice() {
        items if is_list(parameter) => Some(Ok(Raw::list(items.iter().copied()))),
        items if is_object(parameter) => Some(delimited(parameter, &items.join(","), ',')),
        [one] => Some(delimited(parameter, one, ',')),
        _ => Some(Err("is sent twice")),
    }
}

fn cookie_value(parameter: &Parameter, headers: &HeaderMap) -> Option<Sent> {
    let by_member = parameter.explode && is_object(parameter);
    let mut found = Vec::new();
    for header in headers.get_all(COOKIE) {
        let Ok(text) = header.to_str() else { return Some(Err("must be visible ASCII")) };
        for pair in text.split(';') {
            let Some((name, value)) = pair.trim_matches(' ').split_once('=') else { continue };
            // Cookies are shared by all that is behind a host: only named fields are taken.
            let is_mine = if by_member {
                parameter.shape.properties.contains_key(name)
            } else {
                name == &*parameter.name
            };
            if is_mine {
                let value =
                    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
                let Ok(value) = percent(value) else { return Some(Err("is not well-formed")) };
                found.push((name, value));
            }
        }
    }
    let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (*name, &**value)).collect();
    gathered(parameter, &found, by_member)
}

/// A name that a client sent, short enough to send back.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(64).and_then(|(at, _)| name.get(..at)).unwrap_or(name)
}
