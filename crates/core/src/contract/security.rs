//! What a document says of how callers identify themselves.

use serde_json::{Map, Value};

use super::document::Document;
use super::problem::{Problem, joined};

/// One of the document's security schemes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// Its name in the document.
    pub name: Box<str>,
    /// What it asks a caller for.
    pub kind: SchemeKind,
    /// Where it stands: a JSON pointer.
    pub pointer: String,
}

/// What a security scheme asks for (OpenAPI 3.1 section 4.8.27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemeKind {
    /// A bearer token: `http` with `bearer`, `oauth2`, `openIdConnect`, or an API key in `Authorization`.
    Bearer,
    /// An API key in a header, query or cookie.
    ApiKey,
    /// A name and a password (RFC 7617).
    Basic,
    /// A client certificate.
    MutualTls,
    /// Anything else.
    Other,
}

impl SchemeKind {
    /// In words, after "asks for".
    pub const fn asks_for(self) -> &'static str {
        match self {
            Self::Bearer => "a bearer token",
            Self::ApiKey => "an API key",
            Self::Basic => "a name and a password",
            Self::MutualTls => "a client certificate",
            Self::Other => "a credential of a kind that is not known",
        }
    }

    fn of(scheme: &Value) -> Self {
        let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "oauth2" | "openIdConnect" => Self::Bearer,
            "http" if text("scheme").eq_ignore_ascii_case("bearer") => Self::Bearer,
            "http" if text("scheme").eq_ignore_ascii_case("basic") => Self::Basic,
            "apiKey" if text("in") == "header" && text("name").eq_ignore_ascii_case("authorization") => {
                Self::Bearer
            }
            "apiKey" => Self::ApiKey,
            "mutualTLS" => Self::MutualTls,
            _ => Self::Other,
        }
    }
}

/// The schemes of a document.
pub(super) fn schemes(document: &Document) -> Vec<Scheme> {
    let all = document.at("/components/securitySchemes").and_then(Value::as_object);
    let schemes = all.into_iter().flatten().map(|(name, scheme)| {
        let (pointer, scheme) =
            super::compile::follow(document, joined("/components/securitySchemes", name), scheme);
        Scheme { name: name.as_str().into(), kind: SchemeKind::of(scheme), pointer }
    });
    schemes.collect()
}

/// The alternatives that an operation asks for: each is a list of schemes that all must be met. Empty: nothing is
/// asked for.
pub(super) fn requirements(
    document: &Document,
    operation: &Value,
    at: &str,
    schemes: &[Scheme],
    problems: &mut Vec<Problem>,
) -> Vec<Vec<Box<str>>> {
    let (list, at) = match operation.get("security") {
        Some(own) => (Some(own), joined(at, "security")),
        None => (document.at("/security"), "/security".to_owned()),
    };
    let mut alternatives = Vec::new();
    for (index, one) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let names = one.as_object().into_iter().flat_map(Map::keys);
        let names: Vec<Box<str>> = names.map(|name| name.as_str().into()).collect();
        for name in names.iter().filter(|name| !schemes.iter().any(|scheme| scheme.name == **name)) {
            let pointer = joined(&joined(&at, &index.to_string()), name);
            let message = format!("the document has no security scheme `{name}`");
            problems.push(Problem { pointer, message });
        }
        alternatives.push(names);
    }
    alternatives
}
