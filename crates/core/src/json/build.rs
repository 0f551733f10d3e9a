//! What the guard makes of the tokens that it has checked: nothing, or the value.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// What becomes of the tokens of a text that has one reading so far.
pub(super) trait Sink<'a> {
    /// An array or object begins.
    fn open(&mut self, is_object: bool);
    /// A name of the innermost object.
    fn key(&mut self, key: &str);
    fn text(&mut self, text: Cow<'a, str>);
    fn word(&mut self, value: Option<bool>);
    /// A number in the grammar of JSON; `false` when no double holds it.
    fn number(&mut self, text: &'a str) -> bool;
    /// The innermost array or object ends.
    fn close(&mut self);
}

/// Nothing: the text is only checked.
pub(super) struct Ignore;

impl<'a> Sink<'a> for Ignore {
    fn open(&mut self, _: bool) {}
    fn key(&mut self, _: &str) {}
    fn text(&mut self, _: Cow<'a, str>) {}
    fn word(&mut self, _: Option<bool>) {}
    fn number(&mut self, _: &'a str) -> bool {
        true
    }
    fn close(&mut self) {}
}

/// A value under construction.
#[derive(Default)]
pub(super) struct Build {
    /// Open arrays and objects, each object with the name whose value comes next.
    open: Vec<Open>,
    root: Option<Value>,
}

enum Open {
    Array(Vec<Value>),
    /// Names and values; the guard has seen to it that no name comes twice.
    // PERF: a map that is made once it is complete is made once, with room for all.
    Object(Vec<(String, Value)>, String),
}

impl Build {
    /// The value of a whole document.
    pub(super) fn into_root(self) -> Option<Value> {
        self.root
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::Array(items)) => items.push(value),
            Some(Open::Object(members, name)) => members.push((std::mem::take(name), value)),
        }
    }
}

impl<'a> Sink<'a> for Build {
    fn open(&mut self, is_object: bool) {
        let empty = if is_object { Open::Object(Vec::new(), String::new()) } else { Open::Array(Vec::new()) };
        self.open.push(empty);
    }

    fn key(&mut self, key: &str) {
        if let Some(Open::Object(_, name)) = self.open.last_mut() {
            *name = key.to_owned();
        }
    }

    fn text(&mut self, text: Cow<'a, str>) {
        self.put(Value::String(text.into_owned()));
    }

    fn word(&mut self, value: Option<bool>) {
        self.put(value.map_or(Value::Null, Value::Bool));
    }

    fn number(&mut self, text: &'a str) -> bool {
        let number = number(text);
        let is_held = number.is_some();
        self.put(number.map_or(Value::Null, Value::Number));
        is_held
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::Array(items)) => self.put(Value::Array(items)),
            Some(Open::Object(members, _)) => self.put(Value::Object(Map::from_iter(members))),
            None => {}
        }
    }
}

/// A number as `serde_json` keeps it: whole where 64 bits hold it, else a double. `-0` is no whole number.
fn number(text: &str) -> Option<Number> {
    let is_whole = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) && text != "-0";
    let whole = || match text.starts_with('-') {
        true => text.parse::<i64>().ok().map(Number::from),
        false => text.parse::<u64>().ok().map(Number::from),
    };
    let whole = if is_whole { whole() } else { None };
    whole.or_else(|| Number::from_f64(text.parse().ok()?))
}
