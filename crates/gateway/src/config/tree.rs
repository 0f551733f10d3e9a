//! YAML to a tree in which every key and value knows its place. The only module that knows the YAML library.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

/// Where something is written: one-based line and column in characters, and a length in characters on that line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// One-based line; 0 when there is no place.
    pub line: u32,
    /// One-based column, in characters.
    pub column: u32,
    /// Characters that the caret line underlines; at least 1.
    pub length: u32,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where the value begins; for an alias, where the alias is.
    pub(crate) at: Span,
    /// Where it is spelled out: differs from `at` for an alias.
    pub(crate) defined: Span,
    /// The value.
    pub(crate) value: Value,
}

/// A key and its place.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Where the key is written.
    pub(crate) at: Span,
    /// The key.
    pub(crate) name: String,
}

/// A YAML value; a mapping keeps its order and its repeated keys.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// What a person calls this kind of value.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// What the YAML library could not read.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) at: Span,
    pub(crate) message: String,
}

/// Reads one YAML document whole. Repeated keys are kept, so that all of them can be reported.
///
/// # Errors
/// The first place where the text is not YAML, or where it is larger or deeper than a configuration may be.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_documents: 8,
            max_depth: 32,
            max_nodes: 200_000,
            max_aliases: 1_000,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax_error(&error))
}

/// Reads a YAML contract into a JSON value; repeated keys are refused.
///
/// # Errors
/// The first place where the text is not YAML or repeats a key.
pub(crate) fn parse_contract(text: &str) -> Result<serde_json::Value, SyntaxError> {
    serde_saphyr::from_str_with_options(text, contract_options(DuplicateKeyPolicy::Error))
        .map_err(|error| syntax_error(&error))
}

/// Reads a YAML contract into a tree, to find where something in it is written.
pub(crate) fn parse_contract_tree(text: &str) -> Option<Node> {
    serde_saphyr::from_str_with_options(text, contract_options(DuplicateKeyPolicy::FirstWins)).ok()
}

/// Contracts may be large: the budgets hold what GitHub publishes, several times over.
fn contract_options(duplicate_keys: DuplicateKeyPolicy) -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: 128,
            max_events: 20_000_000,
            max_nodes: 10_000_000,
        },
    }
}

fn syntax_error(error: &serde_saphyr::Error) -> SyntaxError {
    let at = error.location().map_or(Span { line: 1, column: 1, length: 1 }, span);
    let message = error.without_snippet().to_string();
    // The place is printed once, by us, so the library's own " at line 3, column 5" is dropped.
    let message = match message.find(" at line ") {
        Some(end) => message.get(..end).unwrap_or_default().to_owned(),
        None => message,
    };
    let message = match message.as_str() {
        long if long.starts_with("budget breached") => "the file is larger or deeper than it may be",
        many if many.starts_with("multiple YAML documents") => "there is more than one document",
        tabs if tabs.starts_with("tabs disallowed") => "a tab cannot indent; use spaces",
        other => other,
    };
    let message = message.lines().next().unwrap_or_default().trim_end_matches(['.', ':', ' ']).to_owned();
    SyntaxError { at, message }
}

fn span(location: Location) -> Span {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Span {
        line: narrow(location.line()),
        column: narrow(location.column()),
        length: narrow(location.span().len()).max(1),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: span(spanned.referenced), defined: span(spanned.defined), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Integer).map_err(|_| E::custom("the number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if entries.len() >= 100_000 {
                return Err(A::Error::custom("the mapping has too many keys"));
            }
            let key = Key { at: span(key.referenced), name: key.value };
            entries.push((key, map.next_value::<Node>()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_places() {
        let tree = parse("a:\n  b: [1, off, \"é\"]\n  c: { d: 15m }\n").unwrap();
        let Value::Map(root) = tree.value else { panic!() };
        let Value::Map(inner) = &root[0].1.value else { panic!() };
        assert_eq!(inner[0].0.at, Span { line: 2, column: 3, length: 1 });
        let Value::List(items) = &inner[0].1.value else { panic!() };
        assert!(matches!(&items[1].value, Value::Text(text) if text == "off"));
        assert_eq!(items[1].at, Span { line: 2, column: 10, length: 3 });
        let Value::Map(flow) = &inner[1].1.value else { panic!() };
        assert_eq!(flow[0].1.at, Span { line: 3, column: 11, length: 3 });
    }

    #[test]
    fn repeated_keys_are_kept_and_aliases_point_to_their_use() {
        let tree = parse("a: &x 1\na: 2\nb: *x\n").unwrap();
        let Value::Map(root) = tree.value else { panic!() };
        assert_eq!(root.len(), 3);
        assert_eq!(root[2].1.at.line, 3);
    }
}
