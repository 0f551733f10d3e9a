//! Parameters in path, query, headers and cookies.

use http::HeaderMap;
use http::header::COOKIE;
use serde_json::Value;

use super::decode::{Pairs, Raw, bracketed, pairs, percent};
use super::{Subject, Unknown, ValidateRules, violation};
use crate::contract::shape::Types;
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
            Location::Query => query_value(parameter, &query, &mut is_taken),
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
        let unit = match self.rules.unknown_parameters {
            Unknown::Refuse => &units.closed,
            Unknown::Allow => &units.open,
        };
        let shelf = self.contract.shelf();
        // Text that looks like a number may be meant as text where the schema takes both.
        let text = match &raw {
            Raw::Text(text) if parameter.shape.types.has(Types::STRING) && !parameter.is_json => {
                Some(Value::String(text.clone()))
            }
            _ => None,
        };
        let value = match raw {
            Raw::Text(text) if parameter.is_json => match self.json(&text) {
                Some(value) => value,
                None => return self.fail(at(), "must be JSON"),
            },
            raw => raw.typed(&parameter.shape),
        };
        let fits = shelf.accepts(unit, &value) || text.is_some_and(|text| shelf.accepts(unit, &text));
        if !fits {
            self.violations.extend(shelf.violations(unit, &value, &at(), false));
        }
    }

    fn json(&self, text: &str) -> Option<Value> {
        json::check(text.as_bytes(), &self.rules.json).ok()?;
        serde_json::from_str(text).ok()
    }
}

fn is_list(parameter: &Parameter) -> bool {
    parameter.shape.types.has(Types::ARRAY) && !parameter.shape.types.has(Types::STRING) && !parameter.is_json
}

fn is_object(parameter: &Parameter) -> bool {
    parameter.shape.types.has(Types::OBJECT)
        && !parameter.shape.types.has(Types::STRING)
        && !parameter.shape.types.has(Types::ARRAY)
        && !parameter.is_json
}

/// `a,b` for a list, `k,v,k,v` or `k=v,k=v` for an object, else the text itself.
fn delimited(parameter: &Parameter, text: &str, delimiter: char) -> Sent {
    if is_list(parameter) {
        return Ok(Raw::list(text.split(delimiter)));
    }
    if !is_object(parameter) {
        return Ok(Raw::Text(text.to_owned()));
    }
    let mut members = Raw::Members(Vec::new());
    let mut parts = text.split(delimiter);
    while let Some(part) = parts.next() {
        let pair =
            if parameter.explode { part.split_once('=') } else { parts.next().map(|value| (part, value)) };
        let Some((name, value)) = pair else { return Err("must be a list of names and values") };
        if !members.insert(&[name], value.to_owned()) {
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
        Style::Matrix => {
            let text = text.strip_prefix(';').ok_or("must start with a semicolon")?;
            let strip =
                |part: &str| part.strip_prefix(&*parameter.name)?.strip_prefix('=').map(str::to_owned);
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
        _ => delimited(parameter, text, ','),
    }
}

fn query_value(parameter: &Parameter, query: &Pairs<'_>, is_taken: &mut [bool]) -> Option<Sent> {
    let mut mine: Vec<(&str, &str)> = Vec::new();
    let by_member = parameter.style == Style::Form && parameter.explode && is_object(parameter);
    for ((name, value), is_taken) in query.iter().zip(is_taken) {
        let is_mine = match parameter.style {
            Style::DeepObject => bracketed(name).is_some_and(|(base, _)| base == &*parameter.name),
            _ if by_member => parameter.shape.member(name).is_some(),
            _ => **name == *parameter.name,
        };
        if is_mine {
            *is_taken = true;
            mine.push((name, value));
        }
    }
    let (_, first) = *mine.first()?;
    if parameter.style == Style::DeepObject {
        return Some(deep(&mine));
    }
    if by_member {
        return Some(members(&mine));
    }
    if parameter.explode && is_list(parameter) {
        return Some(Ok(Raw::list(mine.iter().map(|(_, value)| *value))));
    }
    if mine.len() > 1 {
        return Some(Err("is sent twice"));
    }
    Some(delimited(
        parameter,
        first,
        match parameter.style {
            Style::SpaceDelimited => ' ',
            Style::PipeDelimited => '|',
            _ => ',',
        },
    ))
}

fn members(mine: &[(&str, &str)]) -> Sent {
    let mut whole = Raw::Members(Vec::new());
    for (name, value) in mine {
        if !whole.insert(&[*name], (*value).to_owned()) {
            return Err("is sent twice");
        }
    }
    Ok(whole)
}

/// `name[key]=value`, and `name[]=value` for a list.
fn deep(mine: &[(&str, &str)]) -> Sent {
    let mut whole: Option<Raw> = None;
    for (name, value) in mine {
        let Some((_, keys)) = bracketed(name) else { return Err("has brackets that do not pair") };
        let is_put = match &mut whole {
            Some(whole) => whole.insert(&keys, (*value).to_owned()),
            None => {
                whole = Some(Raw::empty(&keys, (*value).to_owned()));
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
    let Ok(first) = first.to_str() else { return Some(Err("must be visible ASCII")) };
    if all.next().is_some() {
        return Some(Err("is sent twice"));
    }
    if is_list(parameter) {
        // RFC 9110 section 5.6.1: white space around the commas of a list means nothing.
        return Some(Ok(Raw::list(first.split(',').map(|item| item.trim_matches([' ', '\t'])))));
    }
    Some(delimited(parameter, first, ','))
}

fn cookie_value(parameter: &Parameter, headers: &HeaderMap) -> Option<Sent> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        let Ok(text) = header.to_str() else { return Some(Err("must be visible ASCII")) };
        for pair in text.split(';') {
            let Some((name, value)) = pair.trim_matches(' ').split_once('=') else { continue };
            if name == &*parameter.name && found.replace(value).is_some() {
                return Some(Err("is sent twice"));
            }
        }
    }
    let value = found?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    match percent(value) {
        Ok(value) => Some(delimited(parameter, &value, ',')),
        Err(_) => Some(Err("is not well-formed")),
    }
}

/// A name that a client sent, short enough to send back.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(64).and_then(|(at, _)| name.get(..at)).unwrap_or(name)
}
