//! The methods that a client may call, each with the parameters that it takes: the contract of a tool server.
//!
//! Revisions 2024-11-05 to 2026-07-28 in one table: what one of them names, all may send. What stands in none is
//! refused unless the operator passes it in writing.

use serde_json::{Map, Value};

use crate::halt::Violation;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A string.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A string or a number: an identifier.
    Token,
    /// Anything.
    Any,
    /// An object of the sender's own shape.
    Tree,
    /// An object whose values are strings.
    Texts,
    /// A list of strings.
    TextList,
    /// A list of objects with these fields.
    List(&'static [Field]),
    /// An object with these fields and no others.
    Object(&'static [Field]),
}

/// A field of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub shape: Shape,
    /// Whether it must be there.
    pub is_required: bool,
}

/// What a method needs to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// `session`: what opens, keeps and ends a session, and says nothing of what is offered.
    Session,
    /// The list of something; what a caller may not call is taken out of the answer.
    List(Kind),
    /// One tool, prompt or resource.
    One(Kind),
    /// `resources.subscribe`, and that the resource may be read.
    Subscribe,
    /// `completion.complete`, and what is completed.
    Complete,
}

/// What a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tool, by its name.
    Tool,
    /// A prompt, by its name.
    Prompt,
    /// A resource, by its URI, or a template of such URIs.
    Resource,
}

/// A method of a client's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Whether it is answered.
    pub is_request: bool,
    /// What it needs to be allowed.
    pub needs: Needs,
    /// Its parameters, `_meta` apart.
    pub params: &'static [Field],
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, is_required: true }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, is_required: false }
}

const fn request(name: &'static str, needs: Needs, params: &'static [Field]) -> Method {
    Method { name, is_request: true, needs, params }
}

const fn notification(name: &'static str, params: &'static [Field]) -> Method {
    Method { name, is_request: false, needs: Needs::Session, params }
}

use Shape::{Any, Flag, List, Number, Object, Text, TextList, Texts, Token, Tree};

const IMPLEMENTATION: &[Field] = &[
    must("name", Text),
    must("version", Text),
    may("title", Text),
    may("description", Text),
    may("websiteUrl", Text),
    may(
        "icons",
        List(&[must("src", Text), may("mimeType", Text), may("sizes", TextList), may("theme", Text)]),
    ),
];
const PAGE: &[Field] = &[may("cursor", Text)];
const BY_URI: &[Field] = &[must("uri", Text)];

/// Every method of every revision, but for those of experimental tasks.
pub const METHODS: &[Method] = &[
    request(
        "initialize",
        Needs::Session,
        &[
            must("protocolVersion", Text),
            must("capabilities", Tree),
            must("clientInfo", Object(IMPLEMENTATION)),
        ],
    ),
    request("ping", Needs::Session, &[]),
    request("logging/setLevel", Needs::Session, &[must("level", Text)]),
    request("server/discover", Needs::Session, &[]),
    request(
        "subscriptions/listen",
        Needs::Subscribe,
        &[must(
            "notifications",
            Object(&[
                may("toolsListChanged", Flag),
                may("promptsListChanged", Flag),
                may("resourcesListChanged", Flag),
                may("resourceSubscriptions", TextList),
            ]),
        )],
    ),
    request("tools/list", Needs::List(Kind::Tool), PAGE),
    request(
        "tools/call",
        Needs::One(Kind::Tool),
        &[must("name", Text), may("arguments", Tree), may("inputResponses", Tree), may("requestState", Text)],
    ),
    request("prompts/list", Needs::List(Kind::Prompt), PAGE),
    request(
        "prompts/get",
        Needs::One(Kind::Prompt),
        &[
            must("name", Text),
            may("arguments", Texts),
            may("inputResponses", Tree),
            may("requestState", Text),
        ],
    ),
    request("resources/list", Needs::List(Kind::Resource), PAGE),
    request("resources/templates/list", Needs::List(Kind::Resource), PAGE),
    request(
        "resources/read",
        Needs::One(Kind::Resource),
        &[must("uri", Text), may("inputResponses", Tree), may("requestState", Text)],
    ),
    request("resources/subscribe", Needs::Subscribe, BY_URI),
    request("resources/unsubscribe", Needs::Subscribe, BY_URI),
    request(
        "completion/complete",
        Needs::Complete,
        &[
            must(
                "ref",
                Object(&[must("type", Text), may("name", Text), may("title", Text), may("uri", Text)]),
            ),
            must("argument", Object(&[must("name", Text), must("value", Text)])),
            may("context", Object(&[may("arguments", Texts)])),
        ],
    ),
    notification("notifications/initialized", &[]),
    notification("notifications/cancelled", &[may("requestId", Token), may("reason", Text)]),
    notification(
        "notifications/progress",
        &[must("progressToken", Token), must("progress", Number), may("total", Number), may("message", Text)],
    ),
    notification("notifications/roots/list_changed", &[]),
];

/// What a client may answer a server that asked it for a model's answer, for input of its user or for its roots. The
/// question lies in another exchange, so that all of them are one list.
pub const RESULT: &[Field] = &[
    may("role", Text),
    may("content", Any),
    may("model", Text),
    may("stopReason", Text),
    may("action", Text),
    may("roots", List(&[must("uri", Text), may("name", Text), may("_meta", Tree)])),
];

/// What stands in an error.
pub const ERROR: &[Field] = &[must("code", Number), must("message", Text), may("data", Any)];

/// The method of this name.
pub fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Holds an object to its fields; `_meta` may stand in it if it says so. What is wrong goes to `found`.
pub(super) fn check(
    members: &Map<String, Value>,
    fields: &[Field],
    at: &str,
    allows: Allows,
    found: &mut Vec<Violation>,
) {
    let mut wrong = |at: String, message: &str| found.push(Violation { at, message: message.to_owned() });
    for field in fields.iter().filter(|field| field.is_required && !members.contains_key(field.name)) {
        wrong(format!("{at}/{}", field.name), "it is missing");
    }
    let mut inner: Vec<(&[Field], &Map<String, Value>, String)> = Vec::new();
    for (name, value) in members {
        if name == "_meta" && allows.meta {
            if !value.is_object() {
                wrong(format!("{at}/_meta"), "it is no object");
            }
            continue;
        }
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            if !allows.unknown {
                wrong(at.to_owned(), "a member is not one of the protocol's");
            }
            continue;
        };
        let here = format!("{at}/{}", field.name);
        match (field.shape, value) {
            (Object(fields), Value::Object(members)) => inner.push((fields, members, here)),
            (List(fields), Value::Array(elements)) => {
                for (nth, element) in elements.iter().enumerate() {
                    match element {
                        Value::Object(members) => inner.push((fields, members, format!("{here}/{nth}"))),
                        _ => wrong(format!("{here}/{nth}"), "it is no object"),
                    }
                }
            }
            (shape, value) if !is_of(shape, value) => wrong(here, "it is not of the type that it must be"),
            _ => {}
        }
    }
    for (fields, members, at) in inner {
        check(members, fields, &at, Allows { meta: false, ..allows }, found);
    }
}

/// What may stand in an object besides its fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allows {
    pub(super) meta: bool,
    pub(super) unknown: bool,
}

fn is_of(shape: Shape, value: &Value) -> bool {
    match (shape, value) {
        (Any, _)
        | (Text | Token, Value::String(_))
        | (Number, Value::Number(_))
        | (Flag, Value::Bool(_))
        | (Tree, Value::Object(_)) => true,
        (Token, Value::Number(number)) => !number.is_f64(),
        (Texts, Value::Object(members)) => members.values().all(Value::is_string),
        (TextList, Value::Array(elements)) => elements.iter().all(Value::is_string),
        _ => false,
    }
}
