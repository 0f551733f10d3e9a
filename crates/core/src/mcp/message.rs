//! One message of a client: JSON-RPC 2.0 with one reading, and what it calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::methods::{self, Allows, ERROR, Kind, Method, Needs, RESULT};
use super::{Mcp, shown};
use crate::halt::{Halt, Reason, Violation};
use crate::json::{self, JsonLimits};

/// Longest identifier of a request, in bytes.
const LONGEST_ID: usize = 256;
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// It has a method and is answered.
    Request,
    /// It has a method and is not answered.
    Notification,
    /// It answers the server.
    Response,
}

/// A message that has one reading. Whether it meets the table of methods is said by [`violations`](Self::violations).
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    kind: MessageKind,
    /// As JSON.
    id: Option<Box<str>>,
    method: SmolStr,
    document: Value,
    violations: Vec<Violation>,
}

impl Mcp {
    /// Takes the head and the body of a `POST`; finds what it calls. Nothing that the operator wrote leaves by the errors
    /// of this, but that a method does not exist.
    ///
    /// # Errors
    /// 415 for another media type, 400 for what has no reading and for headers that say something else than the
    /// body, 422 for what is no message (a list of them among it), 403 for a method that no table has.
    pub fn read(&self, headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<Message, Halt> {
        if query.is_some() {
            return Err(Halt::new(Reason::ParameterInvalid, "a message has no query"));
        }
        check_media(headers)?;
        let limits = JsonLimits { size: usize::MAX, ..JsonLimits::default() };
        let document = json::parse(body, &limits)
            .map_err(|error| Halt::new(Reason::BodyMalformed, error.to_string()))?;
        let root = match &document {
            Value::Object(root) => root,
            // Revision 2025-03-26 had lists of messages; no later one has, and half of one could be allowed.
            Value::Array(_) => return Err(invalid("a list of messages is not taken")),
            _ => return Err(invalid("a message is an object")),
        };
        let (kind, id) = kind(root)?;
        let method = root.get("method").and_then(Value::as_str).unwrap_or_default();
        if kind != MessageKind::Response {
            self.check_known(kind, method)?;
        }
        let mut message =
            Message { kind, id, method: method.into(), document: Value::Null, violations: Vec::new() };
        self.check(&mut message, root)?;
        message.document = document;
        message.check_headers(headers)?;
        Ok(message)
    }

    fn check_known(&self, kind: MessageKind, method: &str) -> Result<(), Halt> {
        if self.rules.methods.iter().any(|one| one == method) {
            return Ok(());
        }
        let is_request = kind == MessageKind::Request;
        match methods::method(method) {
            Some(known) if known.is_request == is_request => Ok(()),
            Some(_) => Err(invalid("a request has an id, and a notification has none")),
            None => {
                let detail = format!("there is no method `{}`", shown(method));
                Err(Halt::new(Reason::MethodUnknown, detail))
            }
        }
    }

    /// Holds a message to the table; only what cannot be told later is an error.
    fn check(&self, message: &mut Message, root: &Map<String, Value>) -> Result<(), Halt> {
        let allows = Allows { meta: true, unknown: self.rules.lets_unknown_fields };
        let found = &mut message.violations;
        let members: &[&str] = match message.kind {
            MessageKind::Response => &["jsonrpc", "id", "result", "error"],
            MessageKind::Request | MessageKind::Notification => &["jsonrpc", "id", "method", "params"],
        };
        if !allows.unknown && root.keys().any(|name| !members.contains(&name.as_str())) {
            found.push(Violation {
                at: String::new(),
                message: "a member is not one of the protocol's".into(),
            });
        }
        let none = Map::new();
        let object = |name: &str| match root.get(name) {
            None => Ok(&none),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(invalid("parameters, results and errors are objects")),
        };
        match (message.kind, methods::method(&message.method)) {
            (MessageKind::Response, _) if root.contains_key("error") => {
                methods::check(object("error")?, ERROR, "/error", Allows { meta: false, ..allows }, found);
            }
            (MessageKind::Response, _) => {
                methods::check(object("result")?, RESULT, "/result", allows, found);
            }
            (_, Some(method)) => {
                methods::check(object("params")?, method.params, "/params", allows, found);
                let params = object("params")?;
                let name = match method.needs {
                    Needs::One(Kind::Tool | Kind::Prompt) => "name",
                    Needs::One(Kind::Resource) => "uri",
                    _ => return Ok(()),
                };
                // Who may call is decided by it, so that it must be there before anything else is told.
                if !params.get(name).is_some_and(Value::is_string) {
                    return Err(invalid("nothing is named that is to be called"));
                }
            }
            (_, None) => drop(object("params")?),
        }
        Ok(())
    }
}

impl Message {
    /// What it is.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Its identifier as JSON, where it is a request.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.kind == MessageKind::Request)
    }

    /// Its method; empty where it answers the server.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The method's row of the table.
    pub fn known(&self) -> Option<&'static Method> {
        methods::method(&self.method)
    }

    /// Its text as a value.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Where it breaks the table.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The tool, prompt or resource that it names.
    pub(super) fn name(&self) -> Option<&str> {
        let params = self.document.get("params")?;
        match self.known()?.needs {
            Needs::One(Kind::Tool | Kind::Prompt) => params.get("name")?.as_str(),
            Needs::One(Kind::Resource) => params.get("uri")?.as_str(),
            _ => None,
        }
    }

    /// The resources that are to be watched.
    pub(super) fn resources(&self) -> Vec<&str> {
        let params = self.document.get("params");
        let one = params.and_then(|params| params.get("uri")).and_then(Value::as_str);
        let many = params.and_then(|params| params.pointer("/notifications/resourceSubscriptions"));
        one.into_iter()
            .chain(many.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str))
            .collect()
    }

    /// What is completed; a reference of another type is none of the protocol's.
    pub(super) fn completes(&self) -> Option<(Kind, &str)> {
        let reference = self.document.pointer("/params/ref")?;
        match reference.get("type")?.as_str()? {
            "ref/prompt" => Some((Kind::Prompt, reference.get("name")?.as_str()?)),
            _ => Some((Kind::Resource, reference.get("uri")?.as_str()?)),
        }
    }

    /// Headers that repeat what the body says (revision 2026-07-28).
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Halt> {
        // SMUGGLING: whoever routes by them must not see another call than the one that was judged.
        let differs = || Halt::new(Reason::ParameterInvalid, "a header says something else than the body");
        for (header, said) in [(MCP_METHOD, Some(self.method.as_str())), (MCP_NAME, self.name())] {
            let mut values = headers.get_all(&header).iter();
            let Some(value) = values.next() else { continue };
            let value = value.to_str().ok().and_then(header_text);
            if values.next().is_some() || value.as_deref() != said.filter(|said| !said.is_empty()) {
                return Err(differs());
            }
        }
        Ok(())
    }
}

/// A value of a header, which is in base64 where it is no plain text.
fn header_text(value: &str) -> Option<String> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(value.to_owned());
    };
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// The identifier of a request in a body that may be anything, as JSON: a refusal repeats it.
pub fn id_of(body: &[u8]) -> Option<Box<str>> {
    let document = json::parse(body, &JsonLimits::default()).ok()?;
    let root = document.as_object()?;
    root.get("method").filter(|method| method.is_string())?;
    id(root.get("id")?)
}

fn id(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) if text.len() <= LONGEST_ID => Some(value.to_string().into()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string().into()),
        _ => None,
    }
}

fn kind(root: &Map<String, Value>) -> Result<(MessageKind, Option<Box<str>>), Halt> {
    if root.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(invalid("it is no message of JSON-RPC 2.0"));
    }
    let id = match root.get("id") {
        None => None,
        Some(value) => Some(id(value).ok_or_else(|| invalid("an id is a string or an integer"))?),
    };
    match (root.get("method"), id, root.contains_key("result"), root.contains_key("error")) {
        (Some(Value::String(_)), Some(id), false, false) => Ok((MessageKind::Request, Some(id))),
        (Some(Value::String(_)), None, false, false) => Ok((MessageKind::Notification, None)),
        (None, Some(id), true, false) | (None, Some(id), false, true) => {
            Ok((MessageKind::Response, Some(id)))
        }
        _ => Err(invalid("it is neither a request, nor a notification, nor a response")),
    }
}

fn check_media(headers: &HeaderMap) -> Result<(), Halt> {
    let unsupported = |detail| Halt::new(Reason::MediaTypeUnsupported, detail);
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("the body is encoded"));
    }
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return Err(unsupported("no one media type")) };
    let mut parts = only.to_str().unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |part: &str| {
        let named = part.split_once('=');
        part.is_empty()
            || named.is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
    };
    if is_json && parts.all(is_utf8) {
        Ok(())
    } else {
        Err(unsupported("the body is not `application/json`"))
    }
}

/// What is no message. The detail says nothing that the client does not know.
fn invalid(detail: &'static str) -> Halt {
    let violation = Violation { at: String::new(), message: detail.to_owned() };
    Halt::new(Reason::BodyInvalid, detail).with_violations(vec![violation])
}
