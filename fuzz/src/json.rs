//! The JSON guard against the parser behind it: what passes the guard is one document, and the parser loses nothing
//! of it.

use portcullis_core::json::{JsonFault, JsonLimits, check};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// As wide as a guard can be.
const WIDEST: JsonLimits = JsonLimits { depth: 127, number: usize::MAX, size: usize::MAX };

pub fn run(bytes: &[u8]) {
    let parsed = serde_json::from_slice::<Value>(bytes);
    let strict = check(bytes, &JsonLimits::default());
    let wide = check(bytes, &WIDEST);
    if strict.is_ok() {
        assert_eq!(wide, Ok(()), "a narrow limit passes what a wide one does not");
    }
    match (wide, parsed) {
        (Ok(()), Ok(value)) => {
            let Members(written) = serde_json::from_slice(bytes).expect("it was parsed once");
            assert_eq!(members(&value), written, "the parser lost a member");
        }
        (Ok(()), Err(error)) => panic!("the guard passes what the parser refuses: {error}"),
        (Err(error), Ok(_)) => {
            let is_stricter =
                matches!(error.cause, JsonFault::DuplicateKey | JsonFault::ReservedKey | JsonFault::TooDeep);
            assert!(is_stricter, "the guard refuses what has one reading: {error}");
        }
        (Err(error), Err(_)) => assert!(error.offset <= bytes.len(), "the fault lies outside of the text"),
    }
}

/// Members of all objects of a value.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Members of all objects of a text, equal names counted as often as they occur.
struct Members(usize);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter)
    }
}

struct Counter;

macro_rules! scalars {
    ($($visit:ident $kind:ty),+) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Members, E> {
            Ok(Members(0))
        })+
    };
}

impl<'de> Visitor<'de> for Counter {
    type Value = Members;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("anything")
    }

    scalars!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_str &str);

    fn visit_unit<E>(self) -> Result<Members, E> {
        Ok(Members(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Members, A::Error> {
        let mut count = 0;
        while let Some(Members(inner)) = elements.next_element()? {
            count += inner;
        }
        Ok(Members(count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut count = 0;
        while let Some((_, Members(inner))) = object.next_entry::<String, Members>()? {
            count += 1 + inner;
        }
        Ok(Members(count))
    }
}
