//! Tool servers (Model Context Protocol): what clients send, what servers say, in answers and in streams.
//!
//! What a server says is read by a model: results, descriptions and prompts are documents, and may give no orders.

mod pass;
mod said;
mod stream;
mod surfaces;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::mcp::{Kind, Message};
use portcullis_core::record::{Action, Finding};
use serde::Serialize;
use serde_json::value::RawValue;

use self::pass::{Blocked, By, pass};
use crate::dialect::Field;
use crate::dialect::Screen;
use crate::dialect::prompt::Reader;
use crate::dialect::splice::splice;
use crate::dialect::surfaces::Origin;
use crate::dialect::tape::Tape;

pub use stream::McpStream;

/// Every field of what clients send, from the tables that it is read by, whatever the method.
pub fn sent_fields() -> impl Iterator<Item = (&'static str, Field, Origin)> {
    surfaces::SENT.iter().flat_map(|(_, rows)| rows.iter().copied())
}

/// Every field of what servers say: in messages of their own and in answers.
pub fn said_fields() -> impl Iterator<Item = (&'static str, Field, Origin)> {
    surfaces::SAID.iter().flat_map(|(_, rows)| rows.iter()).chain(surfaces::ANSWERED).copied()
}

/// The rules of one tool server, compiled.
#[derive(Debug, Clone, Default)]
pub struct McpRules {
    /// What may not go to a tool.
    pub arguments: Screen,
    /// What may not come from it: results, descriptions, prompts, resources.
    pub results: Screen,
    /// What is done about text of a server that gives orders; `None` looks for none.
    pub orders: Option<Action>,
    /// Methods of servers that no table knows and that pass nevertheless.
    pub methods: Vec<Box<str>>,
}

/// Knows what a caller may call, and so what a list may show.
pub trait Shows: fmt::Debug + Send + Sync {
    /// Whether the caller may call this.
    fn shows(&self, kind: Kind, name: &str) -> bool;
}

/// Takes a message of a client that met the protocol, and its bytes; proves that every text in it passed the screen of
/// arguments. What was found goes to `findings`, also on a refusal. Returns the bytes to send.
///
/// # Errors
/// [`Reason::ContentBlocked`] for what a rule blocks, and for what would have to be redacted and is what the permit was
/// given for.
pub fn inspect_request(
    rules: &McpRules,
    message: &Message,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Bytes, Halt> {
    let unreadable = || Halt::new(Reason::ContentBlocked, "the message cannot be read");
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    let tape = Tape::parse(text).map_err(|_| unreadable())?;
    let table = surfaces::sent(message.method());
    let reader = Reader { screen: &rules.arguments, orders: None, tiers: &[] };
    let by = By { reader, table, otherwise: Origin::User, rewrites_settings: false };
    match pass(by, &tape, findings) {
        Ok(edits) if edits.is_empty() => Ok(body.clone()),
        Ok(mut edits) => Ok(splice(text, &mut edits).into()),
        Err(Blocked(detail)) => Err(Halt::new(Reason::ContentBlocked, detail)),
    }
}

/// Takes an answer that came whole: a message, or nothing. Proves that it shows what its caller may call and nothing
/// else, and that every text in it passed the screen of results. What was found goes to `findings`, also on a refusal.
///
/// # Errors
/// [`Reason::AnswerUnreadable`] for what is no message, [`Reason::AnswerBlocked`] for what a rule blocks.
pub fn screen_answer(
    rules: &McpRules,
    shows: &dyn Shows,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Bytes, Halt> {
    let unreadable = || Halt::new(Reason::AnswerUnreadable, "the answer is not UTF-8");
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    if text.trim_ascii().is_empty() {
        return Ok(body.clone());
    }
    match said::screen(rules, shows, text, findings) {
        Ok(None) => Ok(body.clone()),
        Ok(Some(text)) => Ok(text.into()),
        Err(stopped) => Err(Halt::new(stopped.reason, stopped.detail)),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: i32,
    message: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    code: &'static str,
    record: &'a str,
}

/// The JSON-RPC error of a refusal or fault: the public title, the stable code and the id of the record. `id` is that of
/// the request, as JSON.
pub fn error_body(reason: Reason, id: Option<&str>, record_id: &str) -> String {
    let error = Error {
        code: code(reason),
        message: reason.title(),
        data: Data { code: reason.code(), record: record_id },
    };
    let id = id.and_then(|id| serde_json::from_str(id).ok());
    serde_json::to_string(&Body { jsonrpc: "2.0", id, error }).unwrap_or_default()
}

/// The codes of JSON-RPC 2.0 where they say what is wrong, and one of those that are left to servers for the rest.
fn code(reason: Reason) -> i32 {
    match reason {
        Reason::BodyMalformed => -32_700,
        Reason::BodyInvalid | Reason::ParameterInvalid | Reason::MediaTypeUnsupported => -32_600,
        Reason::MethodUnknown => -32_601,
        Reason::Internal => -32_603,
        _ => -32_000,
    }
}
