//! Values on the wire: parameters in their styles, and forms.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Everything but unreserved characters (RFC 3986 section 2.3).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub fn percent(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// A scalar as text; what has parts is JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How a parameter is written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'d> {
    pub name: &'d str,
    pub style: &'d str,
    pub explode: bool,
    pub is_json: bool,
}

/// The value of a path, header or cookie parameter, in one piece; each part is passed through `part`.
pub fn piece(written: Written<'_>, value: &Value, part: impl Fn(&str) -> String) -> String {
    if written.is_json {
        return part(&value.to_string());
    }
    let Written { name, style, explode, .. } = written;
    let (start, between) = match (style, explode) {
        ("label", true) => (".".to_owned(), "."),
        ("label", false) => (".".to_owned(), ","),
        ("matrix", true) => (";".to_owned(), ";"),
        ("matrix", false) => (format!(";{name}="), ","),
        _ => (String::new(), ","),
    };
    let parts: Vec<String> = match value {
        Value::Array(items) if style == "matrix" && explode => {
            items.iter().map(|item| format!("{name}={}", part(&text(item)))).collect()
        }
        Value::Array(items) => items.iter().map(|item| part(&text(item))).collect(),
        Value::Object(members) if explode => {
            members.iter().map(|(key, item)| format!("{}={}", part(key), part(&text(item)))).collect()
        }
        Value::Object(members) => {
            members.iter().flat_map(|(key, item)| [part(key), part(&text(item))]).collect()
        }
        scalar if style == "matrix" && explode => vec![format!("{name}={}", part(&text(scalar)))],
        scalar => vec![part(&text(scalar))],
    };
    start + &parts.join(between)
}

/// Adds a query parameter, or a field of a form, to the encoded pairs.
pub fn pairs(written: Written<'_>, value: &Value, out: &mut Vec<(String, String)>) {
    let name = percent(written.name);
    if written.is_json {
        out.push((name, percent(&value.to_string())));
        return;
    }
    match (value, written.style, written.explode) {
        (Value::Object(_) | Value::Array(_), "deepObject", _) => deep(written.name, value, out),
        (Value::Array(items), _, true) => {
            out.extend(items.iter().map(|item| (name.clone(), percent(&text(item)))));
        }
        (Value::Array(items), style, false) => {
            let items: Vec<String> = items.iter().map(|item| percent(&text(item))).collect();
            let between = match style {
                "spaceDelimited" => "%20",
                "pipeDelimited" => "%7C",
                _ => ",",
            };
            out.push((name, items.join(between)));
        }
        (Value::Object(members), _, true) => {
            out.extend(members.iter().map(|(key, item)| (percent(key), percent(&text(item)))));
        }
        (Value::Object(_), _, false) => out.push((name, piece(written, value, percent))),
        (scalar, _, _) => out.push((name, percent(&text(scalar)))),
    }
}

fn deep(name: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| deep(&format!("{name}[{key}]"), member, out));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| deep(&format!("{name}[{at}]"), item, out));
        }
        scalar => out.push((percent(name), percent(&text(scalar)))),
    }
}

/// Encoded pairs as a query or a form.
pub fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}
