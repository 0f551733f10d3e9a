//! What a request itself shows, found out without the gate.

use std::collections::HashMap;

use portcullis_core::halt::Violation;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::calls::{Call, FORM};
use crate::document::{Document, unescaped};
use crate::fields::Fields;
use crate::judges::Complaint;

/// What was sent: the body as a value, and the texts of parameters and form fields.
#[derive(Debug)]
pub struct Sent {
    body: Option<Value>,
    texts: Vec<(String, String)>,
    /// Texts that are JSON, with their names.
    values: Vec<(String, Value)>,
    /// Of the path.
    segments: Vec<String>,
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let all = text.split('&').filter(|pair| !pair.is_empty());
    all.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

impl Sent {
    pub fn of(call: &Call) -> Self {
        let bytes = call.body.as_deref().unwrap_or_default();
        let mut texts = pairs(call.query.as_deref().unwrap_or_default());
        let mut body = serde_json::from_slice(bytes).ok();
        if media(call) == FORM {
            let fields = pairs(std::str::from_utf8(bytes).unwrap_or_default());
            let value = |(name, text): &(String, String)| {
                (name.clone(), serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
            };
            body = Some(Value::Object(fields.iter().map(value).collect()));
            texts.extend(fields);
        }
        texts.extend(call.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
        texts.extend(call.parameters.iter().cloned());
        let values = texts
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), serde_json::from_str(text).ok()?)))
            .collect();
        let segments = call.path.split('/').map(decoded).collect();
        Self { body, texts, segments, values }
    }

    /// Every name of a field, with the name that it stands under, and its value.
    fn names(&self) -> Vec<(&str, &str, &Value)> {
        fn walk<'v>(parent: &'v str, value: &'v Value, out: &mut Vec<(&'v str, &'v str, &'v Value)>) {
            match value {
                Value::Object(members) => {
                    for (name, value) in members {
                        out.push((parent, name, value));
                        walk(name, value, out);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| walk(parent, item, out)),
                _ => {}
            }
        }
        let mut out = Vec::new();
        self.body.iter().for_each(|body| walk("", body, &mut out));
        self.values.iter().for_each(|(name, value)| walk(name, value, &mut out));
        out
    }

    /// Whether a field is sent that no schema of the document names, or one that only some alternatives name, where not
    /// any field is taken.
    pub fn names_unknown(&self, known: &Fields) -> bool {
        let mut texts =
            self.texts.iter().map(|(name, _)| name.split(['[', ']']).filter(|key| !key.is_empty()));
        let is_unknown_key = |keys: Vec<&str>| keys.windows(2).any(|pair| known.is_unknown(pair[0], pair[1]));
        self.names().iter().any(|(parent, name, _)| known.is_unknown(parent, name))
            || texts.any(|keys| is_unknown_key(keys.collect()))
    }

    /// Whether a field is sent that some schema says to be read only.
    pub fn names_answers(&self, known: &Fields) -> bool {
        self.names().iter().any(|(_, name, _)| known.get(name).is_some_and(|one| one.is_read_only))
    }

    /// Whether the document has a discriminator whose field stands in an object that was sent, or is missing there.
    pub fn names_discriminator(&self, document: &Document) -> bool {
        self.body.is_some() && document.has_discriminators()
    }

    /// Whether null is sent.
    pub fn has_null(&self) -> bool {
        self.body.as_ref().is_some_and(Value::is_null)
            || self.names().iter().any(|(_, _, value)| {
                value.is_null() || value.as_array().is_some_and(|all| all.contains(&Value::Null))
            })
    }

    /// The texts, and items of texts, that were sent for a place: `query:name`, `query:name/0`, `/a/b` of a form.
    fn texts(&self, place: &str) -> Vec<&str> {
        let place = if place.starts_with('/') {
            place
        } else {
            place.split_once(':').map_or(place, |(_, rest)| rest)
        };
        let place: Vec<String> = place.trim_start_matches('/').split('/').map(unescaped).collect();
        // What is written in one piece holds what is within it.
        let is_here = |name: &str| {
            let keys: Vec<&str> = name.split(['[', ']']).filter(|key| !key.is_empty()).collect();
            let is_above =
                keys.len() <= place.len() && keys.iter().zip(&place).all(|(key, one)| *key == *one);
            is_above && !keys.is_empty() || place.first().is_some_and(|one| one == name)
        };
        let own = self.texts.iter().filter(|(name, _)| is_here(name)).map(|(_, text)| text.as_str());
        own.flat_map(|text| text.split([',', '|', ' ']).chain(std::iter::once(text))).collect()
    }

    /// The texts, or the value of the body, at the place of a violation.
    fn at(&self, place: &str) -> Vec<&str> {
        let mut all = self.texts(place);
        all.extend(self.body.iter().filter_map(|body| body.pointer(place)?.as_str()));
        if place.starts_with("path:") {
            all.extend(self.segments.iter().map(String::as_str));
        }
        all
    }
}

/// Whether a violation says that a format is broken, and the value is not of that format.
pub fn breaks_format(known: &Fields, sent: &Sent, violation: &Violation) -> bool {
    let at = violation.at.as_str();
    let bounds = [("must be at most 2147483647", "int32"), ("must be at least -2147483648", "int32")];
    if let Some((_, format)) = bounds.iter().find(|(message, _)| violation.message == *message) {
        let number = sent.body.as_ref().and_then(|body| body.pointer(at)?.as_f64());
        let mut all = sent.at(at).into_iter().filter_map(|text| text.parse().ok()).chain(number);
        return known.has_format(at, format) && all.any(|number: f64| i32::try_from(number as i64).is_err());
    }
    if violation.message == "matches none of the alternatives" {
        let mut all = known.formats(at).peekable();
        return all.peek().is_some()
            && sent.at(at).iter().any(|text| !known.formats(at).any(|format| is_of(format, text)));
    }
    let Some(format) = violation.message.strip_prefix("must be a valid ") else { return false };
    known.has_format(at, format) && sent.at(at).iter().any(|text| !is_of(format, text))
}

/// Whether a text may be of a format: what the other side of a difference says must be plainly wrong.
fn is_of(format: &str, text: &str) -> bool {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|one| one.is_ascii_digit());
    let date = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        matches!(parts.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
    };
    let is_hex = |text: &str| text.bytes().all(|one| one.is_ascii_hexdigit());
    match format {
        "date" => date(text),
        "date-time" => text.split_once(['T', 't']).is_some_and(|(day, time)| date(day) && time.contains(':')),
        "time" => text.contains(':'),
        "uuid" => {
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            lengths == [8, 4, 4, 4, 12] && is_hex(&text.replace('-', ""))
        }
        "email" | "idn-email" => text.split_once('@').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()),
        "uri" | "iri" => text.split_once(':').is_some_and(|(scheme, _)| {
            scheme.starts_with(|one: char| one.is_ascii_alphabetic())
                && scheme.bytes().all(|one| one.is_ascii_alphanumeric() || b"+-.".contains(&one))
        }),
        "ipv4" => text.split('.').filter(|part| part.parse::<u8>().is_ok()).count() == 4,
        "ipv6" => text.contains(':') && is_hex(&text.replace([':', '.'], "")),
        "hostname" | "idn-hostname" => !text.is_empty() && !text.contains([' ', '/', '!', '_']),
        "byte" => {
            let body = text.trim_end_matches('=');
            text.len().is_multiple_of(4)
                && body.bytes().all(|one| one.is_ascii_alphanumeric() || b"+/".contains(&one))
        }
        "duration" => text.starts_with('P') && text.len() > 2,
        "json-pointer" => text.is_empty() || text.starts_with('/'),
        // Nothing is known of it: no difference is explained by it.
        _ => true,
    }
}

/// Whether the parameter that `place` names stands in the query, or in a header, more than once.
pub fn is_sent_twice(call: &Call, place: &str) -> bool {
    let Some((kind, name)) = place.split_once(':') else { return false };
    let name = name.split('/').next().unwrap_or_default();
    let count = match kind {
        "query" => {
            pairs(call.query.as_deref().unwrap_or_default()).iter().filter(|(known, _)| known == name).count()
        }
        "header" => call.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count(),
        _ => 0,
    };
    count > 1
}

/// Whether the parameter that `place` names, or an item of it, is a whole number that is not written as one.
pub fn is_whole_with_point(call: &Call, place: &str) -> bool {
    let is_pointed = |text: &str| {
        text.contains(['.', 'e', 'E']) && text.parse::<f64>().is_ok_and(|number| number.fract() == 0.0)
    };
    is_text(call, place) && Sent::of(call).texts(place).into_iter().any(is_pointed)
}

/// The media type of the body, without parameters.
pub fn media(call: &Call) -> &str {
    let media = call.headers.iter().find(|(name, _)| name == "Content-Type").map(|(_, media)| media.as_str());
    media.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// Whether the value at a place was text on the wire: a parameter, or a field of a form.
pub fn is_text(call: &Call, place: &str) -> bool {
    !(place.is_empty() || place.starts_with('/')) || media(call) == FORM
}

/// Whether a body is text, and the complaint is that it is no object or list.
pub fn is_text_with_fields(call: &Call, complaint: &Complaint) -> bool {
    let wanted = ["expected object, got string", "expected array, got string"];
    media(call).starts_with("text/") && complaint.at.is_empty() && wanted.contains(&&*complaint.message)
}

/// Whether servers may differ in what the path is: by what is encoded in it, or by empty or dot segments.
pub fn has_odd_path(call: &Call) -> bool {
    let is_odd = |byte: u8| byte.is_ascii_control() || b"/\\.;%".contains(&byte);
    let hex = |text: Option<&str>| text.and_then(|text| u8::from_str_radix(text, 16).ok());
    call.path.match_indices('%').any(|(at, _)| hex(call.path.get(at + 1..at + 3)).is_some_and(is_odd))
        || call.path.split('/').skip(1).any(|segment| ["", ".", ".."].contains(&segment))
}

/// Whether a header asks for another method or path than the request line.
pub fn has_override(call: &Call) -> bool {
    let known = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-method",
        "x-original-url",
        "x-original-uri",
        "x-original-host",
        "x-rewrite-url",
        "x-host",
    ];
    call.headers.iter().any(|(name, _)| known.contains(&&*name.to_ascii_lowercase()))
}

/// Whether a header says that the body is encoded.
pub fn is_encoded(call: &Call) -> bool {
    let is_it = |name: &str| name.eq_ignore_ascii_case("content-encoding");
    call.headers.iter().any(|(name, value)| is_it(name) && !value.eq_ignore_ascii_case("identity"))
}

/// Whether the query has a token of RFC 6750 section 2.3.
pub fn has_token_in_query(call: &Call) -> bool {
    pairs(call.query.as_deref().unwrap_or_default()).iter().any(|(name, _)| name == "access_token")
}

/// Whether the text at a place is a list with a name that has no value.
pub fn is_no_list_of_pairs(call: &Call, place: &str) -> bool {
    let sent = Sent::of(call);
    let texts = sent.texts(place);
    texts.iter().any(|text| {
        let parts: Vec<&str> = text.split(',').collect();
        parts.len() % 2 == 1 || parts.iter().any(|part| !part.contains('='))
    })
}

/// Whether the deep object at a place is sent bare, with an index, or with keys below keys.
pub fn is_beyond_deep_object(call: &Call, place: &str) -> bool {
    let name = match place.split_once(':') {
        Some((_, name)) if !place.starts_with('/') => name,
        _ => place.trim_start_matches('/'),
    };
    let name = unescaped(name.split(['/', '[']).next().unwrap_or_default());
    let mut all = pairs(call.query.as_deref().unwrap_or_default());
    if media(call) == FORM {
        all.extend(pairs(std::str::from_utf8(call.body.as_deref().unwrap_or_default()).unwrap_or_default()));
    }
    all.iter().filter_map(|(known, _)| known.strip_prefix(&name)).any(|rest| {
        let keys: Vec<&str> = rest.split(['[', ']']).filter(|key| !key.is_empty()).collect();
        let is_index = keys.first().is_some_and(|key| key.bytes().all(|one| one.is_ascii_digit()));
        rest.is_empty() || rest.starts_with('[') && (keys.len() != 1 || is_index)
    })
}

/// Whether a JSON text has an object with a member twice.
pub fn has_member_twice(body: &[u8]) -> bool {
    let found = serde_json::from_slice::<Once>(body);
    found.is_err_and(|error| error.to_string().starts_with(TWICE))
}

const TWICE: &str = "a member twice";

/// A value in which no object has a member twice.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E: Error>(self) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        while items.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Once, A::Error> {
        let mut seen = HashMap::new();
        while let Some((name, Once)) = members.next_entry::<String, Once>()? {
            if seen.insert(name, ()).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Once)
    }
}
