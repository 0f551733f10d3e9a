//! Text into values: percent-encoding, pairs, and the types that a schema asks for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use crate::contract::shape::{Shape, Types};
use crate::json::{self, JsonLimits};

/// Most pairs of a query or a form.
const MOST_PAIRS: usize = 1_000;
/// Deepest nesting of `name[a][b]`.
const MOST_KEYS: usize = 8;
/// Largest index of `name[3]`, and most items of a list.
const MOST_ITEMS: usize = 1_000;

/// Percent-encoded pairs cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeFault {
    #[error("percent-encoding is not well-formed utf-8")]
    Encoding,
    #[error("too many parameters")]
    TooMany,
}

/// Names and values, decoded.
pub(super) type Pairs<'t> = Vec<(Cow<'t, str>, Cow<'t, str>)>;

/// The pairs of a query or form (WHATWG URL section 5.1, strict): `+` is a space, empty pairs are left out.
pub(super) fn pairs(text: &str) -> Result<Pairs<'_>, DecodeFault> {
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == MOST_PAIRS {
            return Err(DecodeFault::TooMany);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((component(name)?, component(value)?));
    }
    Ok(pairs)
}

fn component(text: &str) -> Result<Cow<'_, str>, DecodeFault> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    percent(&spaced).map(|text| Cow::Owned(text.into_owned()))
}

/// Strict percent-decoding: every `%` begins an escape, and the whole is UTF-8.
pub(super) fn percent(text: &str) -> Result<Cow<'_, str>, DecodeFault> {
    let bytes = text.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !memchr::memchr_iter(b'%', bytes).all(is_escape) {
        return Err(DecodeFault::Encoding);
    }
    percent_decode_str(text).decode_utf8().map_err(|_| DecodeFault::Encoding)
}

/// Text with structure, before types are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<Self>),
    /// A value whose types are known already.
    Value(Value),
    Members(Vec<(String, Self)>),
}

impl Raw {
    pub(super) fn list<'t>(items: impl Iterator<Item = &'t str>) -> Self {
        Self::List(items.map(|item| Self::Text(item.to_owned())).collect())
    }

    /// Whether nothing but empty text is in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.iter().all(Self::is_empty),
            Self::Value(_) | Self::Members(_) => false,
        }
    }

    /// The value that the text stands for, in the types that `shape` allows.
    pub(super) fn typed(self, shape: &Shape) -> Value {
        match self {
            Self::Text(text) => scalar(shape.types, text),
            Self::Value(value) => value,
            Self::List(items) => {
                let any = Shape::any();
                let shape = shape.items.as_deref().unwrap_or(&any);
                items.into_iter().map(|item| item.typed(shape)).collect()
            }
            Self::Members(members) => {
                let any = Shape::any();
                let typed = |(name, raw): (String, Self)| {
                    let value = raw.typed(shape.member(&name).unwrap_or(&any));
                    (name, value)
                };
                Value::Object(members.into_iter().map(typed).collect::<Map<_, _>>())
            }
        }
    }

    /// Puts `value` where `keys` lead (`a`, `b` of `name[a][b]`; `""` appends). `false` when the place is taken.
    pub(super) fn insert(&mut self, keys: &[&str], value: Self) -> bool {
        let Some((key, rest)) = keys.split_first() else { return false };
        let slot = match self {
            Self::Text(_) | Self::Value(_) => return false,
            Self::List(items) => {
                let at = if key.is_empty() { items.len() } else { key.parse().unwrap_or(usize::MAX) };
                // An index may only name the last item or the next one: lists have no holes.
                if at > items.len() || at >= MOST_ITEMS {
                    return false;
                }
                if at == items.len() {
                    items.push(Self::empty(rest, value));
                    return true;
                }
                items.get_mut(at)
            }
            Self::Members(members) => match members.iter().position(|(name, _)| name == key) {
                None => {
                    members.push(((*key).to_owned(), Self::empty(rest, value)));
                    return true;
                }
                Some(at) => members.get_mut(at).map(|(_, raw)| raw),
            },
        };
        slot.is_some_and(|slot| slot.insert(rest, value))
    }

    /// A new value with `value` where `keys` lead.
    pub(super) fn empty(keys: &[&str], value: Self) -> Self {
        match keys.split_first() {
            None => value,
            Some((key, rest)) if key.is_empty() || *key == "0" => Self::List(vec![Self::empty(rest, value)]),
            Some((key, rest)) => Self::Members(vec![((*key).to_owned(), Self::empty(rest, value))]),
        }
    }
}

/// Where `keys` lead in a value of this shape, with an empty key for a list that is written by repetition.
pub(super) fn extended<'k>(shape: &Shape, mut keys: Vec<&'k str>) -> Vec<&'k str> {
    let mut shape = Some(shape);
    for key in &keys {
        let is_index = key.is_empty() || key.bytes().all(|byte| byte.is_ascii_digit());
        shape = shape.and_then(|shape| {
            if shape.is_list() && is_index { shape.items.as_deref() } else { shape.member(key) }
        });
    }
    if shape.is_some_and(Shape::is_list) {
        keys.push("");
    }
    keys
}

/// `name[a][b]` as `name` and its keys; `None` if the brackets do not pair or nest too deeply.
pub(super) fn bracketed(name: &str) -> Option<(&str, Vec<&str>)> {
    let Some((base, rest)) = name.split_once('[') else { return Some((name, Vec::new())) };
    let keys: Vec<_> = rest.strip_suffix(']')?.split("][").collect();
    let is_clean = keys.len() <= MOST_KEYS && keys.iter().all(|key| !key.contains(['[', ']']));
    (is_clean && !base.is_empty()).then_some((base, keys))
}

/// The scalar that `text` stands for; a string when no other type fits.
pub(super) fn scalar(types: Types, text: String) -> Value {
    if types.has(Types::BOOLEAN) && !types.is_all() {
        match text.as_str() {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
    }
    if types.has(Types::INTEGER) && !types.is_all() {
        let number = number(&text).filter(|number| types.has(Types::NUMBER) || !number.is_f64());
        if let Some(number) = number {
            return Value::Number(number);
        }
    }
    Value::String(text)
}

/// A number exactly as JSON writes it.
fn number(text: &str) -> Option<Number> {
    let is_number = text.starts_with(|one: char| one == '-' || one.is_ascii_digit())
        && text.ends_with(|one: char| one.is_ascii_digit())
        && json::check(text.as_bytes(), &JsonLimits::default()).is_ok();
    if !is_number { None } else { serde_json::from_str(text).ok() }
}
