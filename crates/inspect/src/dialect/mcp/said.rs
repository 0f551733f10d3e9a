//! One message of a server: what it is, what of a list its caller may see, and every text in it.

use portcullis_core::halt::Reason;
use portcullis_core::mcp::Kind as Offered;
use portcullis_core::record::Finding;

use super::pass::{Blocked, By, pass};
use super::surfaces::{answered, said, unknown};
use super::{McpRules, Shows};
use crate::dialect::prompt::Reader;
use crate::dialect::splice::{Edit, splice};
use crate::dialect::surfaces::Origin;
use crate::dialect::tape::{Kind, Tape};

/// The lists that a result may have: the member, what it lists, and what an element is called by.
const LISTS: [(&str, Offered, &str); 4] = [
    ("tools", Offered::Tool, "name"),
    ("prompts", Offered::Prompt, "name"),
    ("resources", Offered::Resource, "uri"),
    ("resourceTemplates", Offered::Resource, "uriTemplate"),
];

/// What a message of a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It answers a request, whose id this is, as JSON.
    Response(String),
    /// It asks the client something.
    Request,
    /// It tells the client something.
    Notification,
}

/// Why a message does not leave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    /// What it is; `None` for what is no message.
    pub(super) said: Option<Said>,
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// Screens a message; what is to be sent in its place, if that differs.
///
/// # Errors
/// [`Reason::AnswerUnreadable`] for what is no message of the protocol, [`Reason::AnswerBlocked`] for what a rule blocks.
pub(super) fn screen(
    rules: &McpRules,
    shows: &dyn Shows,
    text: &str,
    findings: &mut Vec<Finding>,
) -> Result<Option<String>, Stopped> {
    let tape = parse(text)?;
    let (said, method) = kind(&tape).map_err(unreadable)?;
    if method.as_deref() == Some("notifications/resources/updated") && !is_shown(&tape, shows) {
        let detail = "a resource that may not be read".to_owned();
        return Err(Stopped { said: Some(said), reason: Reason::AnswerBlocked, detail });
    }
    let shortened = match said {
        Said::Response(_) => shorten(&tape, shows),
        Said::Request | Said::Notification => None,
    };
    let text = shortened.as_deref().unwrap_or(text);
    let tape = parse(text)?;
    let table = match &method {
        None => answered(),
        Some(method) => match said_by(rules, method) {
            Some(table) => table,
            None => return Err(unreadable("a message has a method that is not known")),
        },
    };
    let reader = Reader { screen: &rules.results, orders: rules.orders, tiers: &[] };
    let by =
        By { reader, table, otherwise: Origin::Document, unread: &rules.unread, rewrites_settings: true };
    match pass(by, &tape, findings) {
        Ok(edits) if edits.is_empty() => Ok(shortened),
        Ok(mut edits) => Ok(Some(splice(text, &mut edits))),
        Err(Blocked(detail)) => Err(Stopped { said: Some(said), reason: Reason::AnswerBlocked, detail }),
    }
}

fn parse(text: &str) -> Result<Tape<'_>, Stopped> {
    Tape::parse(text).map_err(|error| unreadable(&error.to_string()))
}

fn said_by(rules: &McpRules, method: &str) -> Option<&'static crate::dialect::surfaces::Table> {
    said(method).or_else(|| rules.methods.iter().any(|one| **one == *method).then(unknown))
}

/// What a message is, and its method where it has one.
fn kind(tape: &Tape<'_>) -> Result<(Said, Option<String>), &'static str> {
    let member = |name| tape.member(0, name);
    let text = |name| member(name).and_then(|id| tape.string(id));
    if text("jsonrpc").as_deref() != Some("2.0") {
        return Err("no message of JSON-RPC 2.0");
    }
    let id = match member("id").and_then(|id| tape.node(id)) {
        None => None,
        Some(node) if matches!(node.kind, Kind::String | Kind::Number | Kind::Null) => {
            Some(node.span.of(tape.text).to_owned())
        }
        Some(_) => return Err("an id is neither text nor a number"),
    };
    let answers = u8::from(member("result").is_some()) + u8::from(member("error").is_some());
    match (member("method"), text("method"), id, answers) {
        (Some(_), Some(method), Some(_), 0) => Ok((Said::Request, Some(method.into_owned()))),
        (Some(_), Some(method), None, 0) => Ok((Said::Notification, Some(method.into_owned()))),
        (None, None, Some(id), 1) => Ok((Said::Response(id), None)),
        // An error about what could not be read has no id.
        (None, None, None, 1) if member("error").is_some() => Ok((Said::Response("null".into()), None)),
        _ => Err("neither a request, nor a notification, nor a response"),
    }
}

fn is_shown(tape: &Tape<'_>, shows: &dyn Shows) -> bool {
    let uri = tape.member(0, "params").and_then(|params| tape.member(params, "uri"));
    uri.and_then(|uri| tape.string(uri)).is_some_and(|uri| shows.shows(Offered::Resource, &uri))
}

/// Takes out of a list what its caller may not call, whichever request it answers; `None` where all of it stays.
fn shorten(tape: &Tape<'_>, shows: &dyn Shows) -> Option<String> {
    let result = tape.member(0, "result")?;
    let mut edits = Vec::new();
    let mut is_list = false;
    for (member, kind, name) in LISTS {
        let Some(list) = tape.member(result, member) else { continue };
        is_list = true;
        let Some(node) = tape.node(list).filter(|node| node.kind == Kind::Array) else { continue };
        let all = tape.children(list).count();
        let kept: Vec<&str> = tape
            .children(list)
            .filter(|one| {
                let name = tape.member(*one, name).and_then(|id| tape.string(id));
                name.is_some_and(|name| shows.shows(kind, &name))
            })
            .filter_map(|one| tape.node(one).map(|node| node.span.of(tape.text)))
            .collect();
        if kept.len() < all {
            edits.push(Edit { span: node.span, json: format!("[{}]", kept.join(",")) });
        }
    }
    // What one caller may see is kept for no other.
    if is_list
        && let Some(scope) = tape.member(result, "cacheScope")
        && tape.string(scope).as_deref() != Some("private")
        && let Some(node) = tape.node(scope)
    {
        edits.push(Edit::string(node.span, "private"));
    }
    (!edits.is_empty()).then(|| splice(tape.text, &mut edits))
}

fn unreadable(detail: &str) -> Stopped {
    Stopped { said: None, reason: Reason::AnswerUnreadable, detail: detail.to_owned() }
}
