//! What a JSON text says at one place, read without making values of the rest.
//!
//! PERF: an answer is not parsed into values to find its owner: everything off the path is skipped, and a text
//! without escapes is borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smol_str::{SmolStr, ToSmolStr};

/// A JSON pointer (RFC 6901), in which `*` may stand for every element of a list where that is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(Vec<Box<str>>);

/// Why a text is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It neither is empty nor starts with a slash.
    #[error("a JSON pointer starts with `/`")]
    Start,
    /// `~` without `0` or `1`.
    #[error("`~` is written `~0` in a JSON pointer, and `/` within a name `~1`")]
    Escape,
}

impl Pointer {
    /// Reads `""` (the whole text) or `/a/b`.
    ///
    /// # Errors
    /// What is no pointer.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(PointerError::Start) };
        rest.split('/').map(unescaped).collect::<Result<_, _>>().map(Self)
    }

    /// The pointer to a member of the top.
    pub fn member(name: &str) -> Self {
        Self(vec![name.into()])
    }

    /// Its names, unescaped.
    pub fn steps(&self) -> &[Box<str>] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            write!(f, "/{}", step.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

fn unescaped(step: &str) -> Result<Box<str>, PointerError> {
    let mut parts = step.split('~');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            _ => return Err(PointerError::Escape),
        };
        out.push(letter);
        out.push_str(rest);
    }
    Ok(out.into())
}

/// The text is no JSON with one reading on the way to the pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScanError(String);

impl From<serde_json::Error> for ScanError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// What stands at a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A string, or a whole number as it is written.
    Text(SmolStr),
    /// Something that names nobody: null, true, 1.5, a list, an object.
    Other,
}

/// Whose reading is meant when names could be mistaken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// An upstream may take `OrderId` for `orderId`: a client that writes both, or the wrong one, is refused.
    Client,
    /// The upstream's own answer: names are taken as they are written, once each.
    Upstream,
}

/// What stands at `pointer`; `None` where nothing does.
///
/// # Errors
/// Text that is no JSON, and names on the way that occur twice.
pub(super) fn find(bytes: &[u8], pointer: &Pointer, reading: Reading) -> Result<Option<Scalar>, ScanError> {
    let mut deserializer = serde_json::Deserializer::from_str(text(bytes)?);
    let found = Descend { steps: &pointer.0, reading }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// The elements of the list at `pointer`, as they are written; `None` where there is no list.
///
/// # Errors
/// As [`find`].
pub(super) fn elements<'b>(
    bytes: &'b [u8],
    pointer: &Pointer,
) -> Result<Option<Vec<&'b RawValue>>, ScanError> {
    let mut deserializer = serde_json::Deserializer::from_str(text(bytes)?);
    let found = Elements { steps: &pointer.0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// What is skipped is text as well (RFC 8259 section 8.1): a reader that stumbles over it may see something else.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ScanError> {
    std::str::from_utf8(bytes).map_err(|error| ScanError(error.to_string()))
}

struct Descend<'p> {
    steps: &'p [Box<str>],
    reading: Reading,
}

impl<'de> DeserializeSeed<'de> for Descend<'_> {
    type Value = Option<Scalar>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Descend<'_> {
    /// A scalar ends the way: it is what is looked for, or nothing is.
    fn scalar<E>(&self, scalar: impl FnOnce() -> Scalar) -> Result<Option<Scalar>, E> {
        Ok(self.steps.is_empty().then(scalar))
    }
}

impl<'de> Visitor<'de> for Descend<'_> {
    type Value = Option<Scalar>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.scalar(|| Scalar::Text(SmolStr::new(text)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        self.scalar(|| Scalar::Text(number.to_smolstr()))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        self.scalar(|| Scalar::Text(number.to_smolstr()))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        self.scalar(|| Scalar::Other)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        self.scalar(|| Scalar::Other)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        self.scalar(|| Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let index = self.steps.first().and_then(|step| step.parse::<usize>().ok());
        let rest = self.steps.get(1..).unwrap_or_default();
        let mut found = self.steps.is_empty().then_some(Scalar::Other);
        for at in 0.. {
            if Some(at) == index {
                match list.next_element_seed(Descend { steps: rest, reading: self.reading })? {
                    Some(element) => found = element,
                    None => break,
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Some(Scalar::Other));
        };
        let mut found = None;
        let mut is_seen = false;
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            if *key == **step {
                // SMUGGLING: readers differ on which of two they take.
                if is_seen {
                    return Err(A::Error::custom(format_args!("`{step}` is written twice")));
                }
                is_seen = true;
                found = map.next_value_seed(Descend { steps: rest, reading: self.reading })?;
                continue;
            }
            if self.reading == Reading::Client && key.eq_ignore_ascii_case(step) {
                return Err(A::Error::custom(format_args!("`{step}` is written in another case")));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(found)
    }
}

struct Elements<'p> {
    steps: &'p [Box<str>],
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = Option<Vec<&'de RawValue>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! no_list {
    ($($visit:ident: $kind:ty),+) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> { Ok(None) })+
    };
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    no_list! { visit_str: &str, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        if !self.steps.is_empty() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        }
        let mut elements = Vec::new();
        while let Some(element) = list.next_element::<&RawValue>()? {
            elements.push(element);
        }
        Ok(Some(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut is_seen = false;
        let step = self.steps.split_first();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match step {
                Some((step, rest)) if *key == **step => {
                    if is_seen {
                        return Err(A::Error::custom(format_args!("`{step}` is written twice")));
                    }
                    is_seen = true;
                    found = map.next_value_seed(Elements { steps: rest })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// A string, borrowed when it has no escapes.
pub(super) struct Text<'b>(pub(super) Cow<'b, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_one_thing_or_says_why_not() {
        let check = |pointer: &str, json: &str, expected: Result<Option<&str>, ()>| {
            let pointer = Pointer::parse(pointer).unwrap();
            let found = find(json.as_bytes(), &pointer, Reading::Upstream);
            let found = found.as_ref().map_err(|_| ()).map(|found| match found {
                None => None,
                Some(Scalar::Text(text)) => Some(text.as_str()),
                Some(Scalar::Other) => Some("(other)"),
            });
            assert_eq!(found, expected, "{pointer} {json}");
        };
        check("/a", r#"{"a":"x"}"#, Ok(Some("x")));
        check("/a", r#"{"b":{"a":"y"},"a":"x\u0031"}"#, Ok(Some("x1")));
        check("/a/b", r#"{"a":{"c":[1,{}],"b":7}}"#, Ok(Some("7")));
        check("/a", r#"{"a":-7}"#, Ok(Some("-7")));
        check("/a/1/b", r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#, Ok(Some("2")));
        check("/a/7/b", r#"{"a":[{"b":1}]}"#, Ok(None));
        check("/m~1n/o~0p", r#"{"m/n":{"o~p":"x"}}"#, Ok(Some("x")));
        check("", r#""x""#, Ok(Some("x")));
        for other in ["null", "true", "1.5", "[]", "[\"x\"]", "{}", "{\"a\":\"x\"}"] {
            check("/a", &format!("{{\"a\":{other}}}"), Ok(Some("(other)")));
        }
        check("/a", "{}", Ok(None));
        check("/a", "[]", Ok(None));
        check("/a", "\"x\"", Ok(None));
        check("/a/b", r#"{"a":"x"}"#, Ok(None));
        check("/A", r#"{"a":"x"}"#, Ok(None));
        // Which of two is meant cannot be known.
        check("/a", r#"{"a":"x","a":"x"}"#, Err(()));
        check("/a/b", r#"{"a":{"b":1},"\u0061":{"b":1}}"#, Err(()));
        check("/a", r#"{"a":"x"} {"#, Err(()));
        check("/a", r#"{"a":"x""#, Err(()));
        check("/a", "", Err(()));
        assert!(find(b"{\"a\":\"x\",\"b\":\"\xff\"}", &Pointer::member("a"), Reading::Upstream).is_err());
        check("/a", r#"data: {"a":"x"}"#, Err(()));
    }

    #[test]
    fn a_client_writes_a_name_in_one_case() {
        let check = |json: &str, expected: bool| {
            let found = find(json.as_bytes(), &Pointer::member("orderId"), Reading::Client);
            assert_eq!(found.is_ok(), expected, "{json}");
        };
        check(r#"{"orderId":"1"}"#, true);
        check(r#"{"x":{"ORDERID":"1"}}"#, true);
        check(r#"{"ORDERID":"1"}"#, false);
        check(r#"{"orderId":"1","OrderId":"2"}"#, false);
        check(r#"{"OrderId":"2","orderId":"1"}"#, false);
    }

    #[test]
    fn what_is_no_pointer_is_said() {
        assert_eq!(Pointer::parse("a"), Err(PointerError::Start));
        assert_eq!(Pointer::parse("/a~2"), Err(PointerError::Escape));
        assert_eq!(Pointer::parse("/a~"), Err(PointerError::Escape));
        for text in ["", "/", "/a/b", "/a~1b/c~0d", "/*/id"] {
            assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
        }
    }
}
