//! What of a contract names objects: parameters and properties of bodies whose names say so.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::contract::{Contract, METHODS};

/// A name that an operation takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// `path`, `query`, `header`, `cookie` or `body`.
    pub(crate) stands_in: &'static str,
    /// The name, as written.
    pub(crate) name: String,
    /// Where the document declares it.
    pub(crate) pointer: String,
    /// Whether it names an object, by all that can be told.
    pub(crate) is_identifier: bool,
    /// Whether the gate can read it: not in a body that is neither JSON nor a form.
    pub(crate) is_readable: bool,
}

/// What an operation takes.
#[derive(Debug, Clone)]
pub(crate) struct Takes {
    /// The operation.
    pub(crate) operation: String,
    /// Its parameters, and the properties at the top of its bodies.
    pub(crate) names: Vec<Taken>,
}

/// Headers that name messages, not objects.
const MESSAGES: [&str; 8] = [
    "idempotency-key",
    "x-idempotency-key",
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "correlation-id",
    "x-api-key",
    "api-key",
];
/// How many references and combinations deep a body is looked into.
const DEEPEST: u8 = 8;

/// Whether a name says that its value names an object: `id`, `orderId`, `order_id`, `orderUUID`, `accountNumber`.
pub(crate) fn names_object(name: &str) -> bool {
    const WORDS: [&str; 5] = ["id", "uuid", "guid", "key", "number"];
    let lower = name.to_ascii_lowercase();
    if MESSAGES.contains(&lower.as_str()) {
        return false;
    }
    WORDS.iter().any(|word| {
        let Some(before) = lower.strip_suffix(word) else { return false };
        let Some(end) = name.get(before.len()..) else { return false };
        // `orderId`, `ORDER_ID`, `order-id`; but not `paid` or `monkey`.
        before.is_empty()
            || before.ends_with(['_', '-', '.'])
            || (end.starts_with(|c: char| c.is_ascii_uppercase())
                && !before.is_empty()
                && name.get(..before.len()).is_some_and(|b| b.ends_with(|c: char| !c.is_ascii_uppercase())))
    })
}

impl Contract {
    /// Everything that each operation takes, in the order of [`Contract::operations`].
    pub(crate) fn takes(&self) -> Vec<Takes> {
        let mut names = self.operations().into_iter();
        let mut all = Vec::new();
        let paths = self.document.get("paths").and_then(Json::as_object);
        for (path, _) in paths.into_iter().flatten() {
            let (at, item) = self.follow_at(format!("/paths/{}", escaped(path)));
            for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
                let Some(operation) = names.next() else { break };
                let mut taken = Vec::new();
                self.parameters_at(&format!("{at}/{method}/parameters"), path, &mut taken);
                let mut shared = Vec::new();
                self.parameters_at(&format!("{at}/parameters"), path, &mut shared);
                // What the operation says of a parameter counts, not what the path says of it.
                shared.retain(|one: &Taken| {
                    !taken.iter().any(|own| own.stands_in == one.stands_in && own.name == one.name)
                });
                taken.extend(shared);
                self.body_at(&format!("{at}/{method}/requestBody"), &mut taken);
                all.push(Takes { operation: operation.name, names: taken });
            }
        }
        all
    }

    /// Names of cookies and of properties at the top of request bodies, each once.
    pub(crate) fn properties(&self) -> Vec<String> {
        let in_bodies = self.takes().into_iter().flat_map(|one| one.names);
        let names: BTreeSet<String> =
            in_bodies.filter(|one| matches!(one.stands_in, "body" | "cookie")).map(|one| one.name).collect();
        names.into_iter().collect()
    }

    fn parameters_at(&self, pointer: &str, path: &str, taken: &mut Vec<Taken>) {
        let count = self.document.pointer(pointer).and_then(Json::as_array).map_or(0, Vec::len);
        for index in 0..count {
            let (at, parameter) = self.follow_at(format!("{pointer}/{index}"));
            let text = |key: &str| parameter.get(key).and_then(Json::as_str).unwrap_or_default();
            let name = text("name");
            let stands_in = match text("in") {
                "path" => "path",
                "query" => "query",
                "header" => "header",
                "cookie" => "cookie",
                _ => continue,
            };
            let (_, schema) = self.follow_at(format!("{at}/schema"));
            let is_identifier =
                names_object(name) || is_uuid(schema) || (stands_in == "path" && is_named_after(name, path));
            taken.push(Taken {
                stands_in,
                name: name.to_owned(),
                pointer: at,
                is_identifier,
                is_readable: true,
            });
        }
    }

    fn body_at(&self, pointer: &str, taken: &mut Vec<Taken>) {
        let (at, body) = self.follow_at(pointer.to_owned());
        let content = body.get("content").and_then(Json::as_object);
        let mut media: Vec<(bool, &str)> =
            content.into_iter().flatten().map(|(media, _)| (!is_readable(media), &**media)).collect();
        // What can be read in one of them is bound there; sent in another it is refused.
        media.sort_unstable();
        for (is_unreadable, media) in media {
            let schema = format!("{at}/content/{}/schema", escaped(media));
            self.properties_at(schema, !is_unreadable, DEEPEST, taken);
        }
    }

    fn properties_at(&self, pointer: String, is_readable: bool, deepest: u8, taken: &mut Vec<Taken>) {
        let Some(deepest) = deepest.checked_sub(1) else { return };
        let (at, schema) = self.follow_at(pointer);
        for name in schema.get("properties").and_then(Json::as_object).into_iter().flatten().map(|(n, _)| n) {
            let declared = format!("{at}/properties/{}", escaped(name));
            if taken.iter().any(|one| one.stands_in == "body" && one.name == *name) {
                continue;
            }
            let (_, property) = self.follow_at(declared.clone());
            if property.get("readOnly").and_then(Json::as_bool) == Some(true) {
                // It may not be sent, and validation sees to that.
                continue;
            }
            let is_scalar = property.get("properties").is_none() && property.get("items").is_none();
            let is_identifier = is_scalar && (names_object(name) || is_uuid(property));
            taken.push(Taken {
                stands_in: "body",
                name: name.clone(),
                pointer: declared,
                is_identifier,
                is_readable,
            });
        }
        for combined in ["allOf", "anyOf", "oneOf"] {
            let count = schema.get(combined).and_then(Json::as_array).map_or(0, Vec::len);
            for index in 0..count {
                self.properties_at(format!("{at}/{combined}/{index}"), is_readable, deepest, taken);
            }
        }
    }

    /// Follows references within the document, a few deep; where that leads, and what is there.
    fn follow_at(&self, mut pointer: String) -> (String, &Json) {
        let mut value = self.document.pointer(&pointer).unwrap_or(&Json::Null);
        for _ in 0..DEEPEST {
            let reference = value.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix('#'));
            let Some(target) = reference.and_then(|path| Some((path, self.document.pointer(path)?))) else {
                break;
            };
            (pointer, value) = (target.0.to_owned(), target.1);
        }
        (pointer, value)
    }
}

fn is_readable(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media.ends_with("json") || media == "application/x-www-form-urlencoded" || media == "*/*"
}

fn is_uuid(schema: &Json) -> bool {
    schema.get("format").and_then(Json::as_str) == Some("uuid")
}

/// `/customers/{customer}`: the parameter is called as what stands before it.
fn is_named_after(name: &str, path: &str) -> bool {
    let mut before = "";
    for segment in path.split('/') {
        if segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name) {
            let (before, name) = (before.to_ascii_lowercase(), name.to_ascii_lowercase());
            let stem = name.strip_suffix("id").filter(|stem| stem.len() > 2).unwrap_or(&name);
            return stem.len() > 1 && before.starts_with(stem);
        }
        before = segment;
    }
    false
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whether_they_name_objects() {
        let check = |names: &[&str], expected: bool| {
            for name in names {
                assert_eq!(names_object(name), expected, "{name}");
            }
        };
        check(
            &["id", "ID", "orderId", "orderID", "order_id", "ORDER_ID", "order-id", "uuid", "orderUuid"],
            true,
        );
        check(&["accountNumber", "account_number", "apiKey", "key", "number", "x-customer-id", "a.id"], true);
        check(&["paid", "valid", "grid", "monkey", "name", "q", "idle", "identity", "ids", "PAID"], false);
        check(&["Idempotency-Key", "x-request-id", ""], false);
    }

    #[test]
    fn a_path_parameter_called_as_the_segment_before_it_names_an_object() {
        for (name, path, expected) in [
            ("customer", "/customers/{customer}", true),
            ("orderid", "/orders/{orderid}/lines", true),
            ("year", "/reports/{year}", false),
            ("owner", "/of/{owner}", false),
            ("x", "/xs/{x}", false),
        ] {
            assert_eq!(is_named_after(name, path), expected, "{path}");
        }
    }
}
