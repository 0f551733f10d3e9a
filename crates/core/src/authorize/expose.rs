//! Property filters: which properties of an operation's bodies a caller may see and send.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scan::{Pointer, ScanError, Text, text};
use super::who::Who;

/// What some callers may see and send. A caller has the union of all that name them.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// Whom it names.
    pub to: Vec<Who>,
    /// What they see of answers.
    pub answers: Properties,
    /// What they may send.
    pub requests: Properties,
    /// Whether an answer with anything else is refused; otherwise the rest is dropped.
    pub refuses: bool,
}

/// A set of properties, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    is_whole: bool,
    members: Vec<(Box<str>, Self)>,
    each: Option<Box<Self>>,
}

/// What a filter leaves of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filtered {
    /// What is left; `None` where that is all of it.
    pub(super) body: Option<Vec<u8>>,
    /// How many properties, elements or values were left out.
    pub(super) dropped: u32,
}

impl Properties {
    /// The set of what the pointers lead to, with all that is in it. `*` leads to every element of a list.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let mut root = Self::default();
        for pointer in pointers {
            root.add(pointer.steps());
        }
        root
    }

    fn add(&mut self, steps: &[Box<str>]) {
        let Some((step, rest)) = steps.split_first() else {
            self.is_whole = true;
            return;
        };
        if &**step == "*" {
            self.each.get_or_insert_default().add(rest);
            return;
        }
        if let Some((_, member)) = self.members.iter_mut().find(|(name, _)| name == step) {
            member.add(rest);
            return;
        }
        let mut member = Self::default();
        member.add(rest);
        self.members.push((step.clone(), member));
    }
}

/// Leaves of a JSON text what is in one of the sets. What is kept is kept as it is written.
///
/// # Errors
/// Text that is no JSON.
pub(super) fn filter(bytes: &[u8], sets: &[&Properties]) -> Result<Filtered, ScanError> {
    if sets.iter().any(|set| set.is_whole) {
        return Ok(Filtered { body: None, dropped: 0 });
    }
    let mut left = Left { out: Vec::with_capacity(bytes.len()), dropped: 0 };
    let mut deserializer = serde_json::Deserializer::from_str(text(bytes)?);
    let is_kept = Walk { sets, left: &mut left }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    if !is_kept {
        left.out.clear();
        left.out.extend_from_slice(b"null");
        left.dropped += 1;
    }
    Ok(Filtered { body: (left.dropped > 0).then_some(left.out), dropped: left.dropped })
}

struct Left {
    out: Vec<u8>,
    dropped: u32,
}

/// Writes what is kept; says whether anything could be, for a scalar where only members are in the set cannot.
struct Walk<'w, 'p> {
    sets: &'w [&'p Properties],
    left: &'w mut Left,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! scalars {
    ($($visit:ident: $kind:ty),+) => {
        $(fn $visit<E>(self, _: $kind) -> Result<bool, E> { Ok(false) })+
    };
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    scalars! { visit_str: &str, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let each: Vec<&Properties> = self.sets.iter().filter_map(|set| set.each.as_deref()).collect();
        if each.is_empty() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(false);
        }
        let is_whole = each.iter().any(|set| set.is_whole);
        self.left.out.push(b'[');
        let mut is_first = true;
        loop {
            let mark = self.left.out.len();
            if !is_first {
                self.left.out.push(b',');
            }
            let is_kept = if is_whole {
                list.next_element::<&RawValue>()?.map(|raw| self.left.keep(raw))
            } else {
                list.next_element_seed(Walk { sets: &each, left: self.left })?
            };
            if is_kept != Some(true) {
                self.left.out.truncate(mark);
            }
            match is_kept {
                None => break,
                Some(true) => is_first = false,
                Some(false) => self.left.dropped += 1,
            }
        }
        self.left.out.push(b']');
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        self.left.out.push(b'{');
        let mut is_first = true;
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            let members = self.sets.iter().flat_map(|set| &set.members);
            let members: Vec<&Properties> =
                members.filter(|(name, _)| **name == *key).map(|(_, member)| member).collect();
            if members.is_empty() {
                map.next_value::<IgnoredAny>()?;
                self.left.dropped += 1;
                continue;
            }
            let mark = self.left.out.len();
            if !is_first {
                self.left.out.push(b',');
            }
            serde_json::to_writer(&mut self.left.out, &key).map_err(serde::de::Error::custom)?;
            self.left.out.push(b':');
            let is_kept = if members.iter().any(|set| set.is_whole) {
                let raw = map.next_value::<&RawValue>()?;
                self.left.keep(raw)
            } else {
                map.next_value_seed(Walk { sets: &members, left: self.left })?
            };
            if is_kept {
                is_first = false;
            } else {
                self.left.out.truncate(mark);
                self.left.dropped += 1;
            }
        }
        self.left.out.push(b'}');
        Ok(true)
    }
}

impl Left {
    fn keep(&mut self, raw: &RawValue) -> bool {
        self.out.extend_from_slice(raw.get().as_bytes());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `json`, `None` where that is all of it.
    #[track_caller]
    fn check(sets: &[&[&str]], json: &str, expected: Option<&str>) {
        let sets: Vec<Properties> = sets
            .iter()
            .map(|set| {
                let pointers: Vec<Pointer> = set.iter().map(|text| Pointer::parse(text).unwrap()).collect();
                Properties::new(&pointers)
            })
            .collect();
        let filtered = filter(json.as_bytes(), &sets.iter().collect::<Vec<_>>()).unwrap();
        let left = filtered.body.map(|body| String::from_utf8(body).unwrap());
        assert_eq!(left.as_deref(), expected, "{json}");
        assert_eq!(filtered.dropped > 0, expected.is_some(), "{json}");
    }

    #[test]
    fn what_is_not_named_is_dropped() {
        check(&[&["/id", "/total"]], r#"{"id":1,"cost":2,"total":3}"#, Some(r#"{"id":1,"total":3}"#));
        check(&[&["/id"], &["/total"]], r#"{"id":1,"cost":2,"total":3}"#, Some(r#"{"id":1,"total":3}"#));
        check(&[&["/id", "/total"]], r#"{"id":1, "total":3}"#, None);
        check(&[&[""]], r#"{"id":1, "total":3}"#, None);
        check(&[&["/id"], &[""]], r#"{"id":1, "total":3}"#, None);
        check(&[&["/a"]], r#"{"a":{"b":1,"c":[2]},"d":0}"#, Some(r#"{"a":{"b":1,"c":[2]}}"#));
        check(&[&["/a/b"]], r#"{"a":{"b":1,"c":2}}"#, Some(r#"{"a":{"b":1}}"#));
        check(&[&["/a/b"], &["/a/c"]], r#"{"a":{"b":1,"c":2,"d":3}}"#, Some(r#"{"a":{"b":1,"c":2}}"#));
        check(&[&["/a/b"]], r#"{"a":"secret"}"#, Some("{}"));
        check(&[&["/a/b"]], r#"{"a":[{"b":1}]}"#, Some("{}"));
        check(&[&["/*/id"]], r#"[{"id":1,"x":2},{"x":3},4]"#, Some(r#"[{"id":1},{}]"#));
        check(&[&["/*/id"]], r#"{"id":1}"#, Some("{}"));
        check(&[&["/items/*/id"]], r#"{"items":[{"id":1,"x":[]}],"n":1}"#, Some(r#"{"items":[{"id":1}]}"#));
        check(&[&["/*"]], "[1, {}]", None);
        check(&[&["/id"]], r#""secret""#, Some("null"));
        check(&[&["/id"]], r#"[{"id":1}]"#, Some("null"));
        check(&[], r#"{"id":1}"#, Some("{}"));
        check(&[&["/id"]], r#"{"\u0069d":1,"Id":2}"#, Some(r#"{"id":1}"#));
        check(&[&["/q\"r"]], r#"{"q\"r":1,"s":2}"#, Some(r#"{"q\"r":1}"#));
        assert!(filter(b"{\"id\":", &[&Properties::default()]).is_err());
    }

    #[test]
    fn what_is_left_is_within_every_property_that_was_there() {
        use proptest::prelude::*;
        let leaf = prop_oneof![Just("1".to_owned()), Just("\"t\"".to_owned()), Just("null".to_owned())];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::vec(inner, 0..4).prop_map(|all| {
                    let all = all.iter().zip("abcd".chars()).map(|(one, name)| format!("\"{name}\":{one}"));
                    format!("{{{}}}", all.collect::<Vec<_>>().join(","))
                }),
            ]
        });
        let pointer = prop::collection::vec(prop_oneof!["[abc]", Just("*".to_owned())], 1..3);
        let pointers = prop::collection::vec(pointer.prop_map(|steps| format!("/{}", steps.join("/"))), 0..3);
        proptest!(ProptestConfig::with_cases(500), |(json in value, pointers in pointers)| {
            let pointers: Vec<Pointer> = pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
            let set = Properties::new(&pointers);
            let filtered = filter(json.as_bytes(), &[&set]).unwrap();
            let left = filtered.body.unwrap_or_else(|| json.clone().into_bytes());
            let left: serde_json::Value = serde_json::from_slice(&left).unwrap();
            let slow = slowly(&serde_json::from_str(&json).unwrap(), &set).unwrap_or_default();
            prop_assert_eq!(left, slow);
        });
    }

    /// The same, over values.
    fn slowly(value: &serde_json::Value, set: &Properties) -> Option<serde_json::Value> {
        use serde_json::Value;
        if set.is_whole {
            return Some(value.clone());
        }
        match value {
            Value::Array(list) => {
                let each = set.each.as_deref()?;
                Some(list.iter().filter_map(|one| slowly(one, each)).collect())
            }
            Value::Object(map) => Some(Value::Object(
                map.iter()
                    .filter_map(|(name, value)| {
                        let (_, member) = set.members.iter().find(|(known, _)| **known == **name)?;
                        Some((name.clone(), slowly(value, member)?))
                    })
                    .collect(),
            )),
            _ => None,
        }
    }
}
