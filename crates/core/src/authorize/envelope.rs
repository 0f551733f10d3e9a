//! The envelope of a model call: what of the body decides who may call.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use super::scan::Text;
use crate::halt::{Halt, Reason};

/// What a chat completion asks for, apart from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `model`.
    pub model: SmolStr,
    /// `stream`; false when it is not said.
    pub stream: bool,
    /// Whether `tools` or `functions` has an element.
    pub tools: bool,
}

impl Envelope {
    /// Reads a chat completion's body.
    ///
    /// # Errors
    /// [`Reason::BodyMalformed`] when it is not one JSON object with a `model`, or when a reader that is lax about
    /// case or duplicates could see another envelope than this one.
    pub fn read(body: &[u8]) -> Result<Self, Halt> {
        // The guard on depth, duplicates and numbers anywhere in the body belongs before this line.
        let raw: Raw<'_> = serde_json::from_slice(body)
            .map_err(|error| Halt::new(Reason::BodyMalformed, format!("envelope: {error}")))?;
        let model = raw.model.filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| Halt::new(Reason::BodyMalformed, "envelope: no model is named"))?;
        Ok(Self {
            model: SmolStr::new(model),
            stream: raw.stream.unwrap_or(false),
            tools: raw.tools || raw.functions,
        })
    }
}

#[derive(Debug, Default)]
struct Raw<'b> {
    model: Option<Cow<'b, str>>,
    stream: Option<bool>,
    tools: bool,
    functions: bool,
}

/// The members that are read, in the order of the bits that mark them as seen.
const MEMBERS: [&str; 4] = ["model", "stream", "tools", "functions"];

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let mut raw = Raw::default();
        let mut seen = [false; MEMBERS.len()];
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            // SMUGGLING: some readers take `Model` for `model`, and the last of two: neither may differ from ours.
            let member = MEMBERS.iter().zip(&mut seen).find(|(member, _)| key.eq_ignore_ascii_case(member));
            let Some((member, seen)) = member else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if *seen || key != *member {
                return Err(A::Error::custom(format_args!("`{member}` is ambiguous")));
            }
            *seen = true;
            match *member {
                "model" => raw.model = Some(map.next_value::<Text<'de>>()?.0),
                "stream" => raw.stream = map.next_value()?,
                "tools" => raw.tools = map.next_value::<Option<HasElement>>()?.is_some_and(|has| has.0),
                _ => raw.functions = map.next_value::<Option<HasElement>>()?.is_some_and(|has| has.0),
            }
        }
        Ok(raw)
    }
}

/// Whether a list has an element.
struct HasElement(bool);

impl<'de> Deserialize<'de> for HasElement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = HasElement;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<HasElement, A::Error> {
                let mut has = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    has = true;
                }
                Ok(HasElement(has))
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_one_reading_or_none() {
        let check = |body: &str, expected: Option<(&str, bool, bool)>| {
            let read = Envelope::read(body.as_bytes());
            if let Err(halt) = &read {
                assert_eq!(halt.reason(), Some(Reason::BodyMalformed));
            }
            let found = read.ok();
            let found = found.as_ref().map(|one| (one.model.as_str(), one.stream, one.tools));
            assert_eq!(found, expected, "{body}");
        };
        check(r#"{"model":"m"}"#, Some(("m", false, false)));
        check(r#"{"messages":[{"model":"x"}],"model":"m\u0031","stream":true}"#, Some(("m1", true, false)));
        check(r#"{"model":"m","stream":null,"tools":null}"#, Some(("m", false, false)));
        check(r#"{"model":"m","tools":[],"functions":[{}]}"#, Some(("m", false, true)));
        check(r#"{"model":"m","tools":[{"a":1},2]}"#, Some(("m", false, true)));
        check("", None);
        check("[]", None);
        check("{}", None);
        check(r#"{"model":""}"#, None);
        check(r#"{"model":null}"#, None);
        check(r#"{"model":7}"#, None);
        check(r#"{"model":"m","stream":"true"}"#, None);
        check(r#"{"model":"m","tools":{}}"#, None);
        check(r#"{"model":"m"} x"#, None);
        check(r#"{"model":"m","model":"n"}"#, None);
        check(r#"{"model":"m","mod\u0065l":"n"}"#, None);
        check(r#"{"model":"m","Model":"n"}"#, None);
        check(r#"{"STREAM":true,"model":"m"}"#, None);
        check(r#"{"model":"m","messages":[}"#, None);
        assert!(Envelope::read(b"{\"model\":\"\xff\"}").is_err());
    }
}
