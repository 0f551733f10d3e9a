//! The Model Context Protocol over Streamable HTTP: what a message asks for, and what that needs.
//!
//! The contract is a table of methods in code ([`METHODS`]). [`Mcp::read`] finds which of them a message calls and
//! on what, [`Mcp::wants`] which actions of policy that is, and what breaks the table is told by `validate`. Tools and
//! prompts have an action each, by the names that the operator lists; what is not listed does not exist, unless
//! the operator lets it. The same question ([`Mcp::of`]) decides what a list shows.

mod message;
mod methods;

use http::HeaderMap;
use http::header::ORIGIN;
use smol_str::{SmolStr, format_smolstr};

pub use message::{Message, MessageKind, id_of};
pub use methods::{ERROR, Field, Kind, METHODS, Method, Needs, RESULT, Shape, method};

use crate::halt::{Halt, Reason};

/// The transport as a contract: one path, `POST`, `GET` and `DELETE`.
pub const TRANSPORT: &str = include_str!("transport.json");

/// Most bytes of a name that nobody listed in a record.
const SHOWN: usize = 64;

/// What a tool server may be asked for.
#[derive(Debug, Clone, Default)]
pub struct McpRules {
    /// Its tools.
    pub tools: Vec<Callable>,
    /// Its prompts.
    pub prompts: Vec<Callable>,
    /// Whether tools and prompts that are not listed may be called, under the actions `tools.call` and `prompts.get`.
    pub lets_unlisted: bool,
    /// Methods, of either side, that no table knows and that pass nevertheless.
    pub methods: Vec<SmolStr>,
    /// Whether parameters may have members that no table knows.
    pub lets_unknown_fields: bool,
    /// Web origins from which it may be called: `https://app.example.com`.
    pub origins: Vec<Box<str>>,
}

/// A tool or a prompt that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callable {
    /// Its name.
    pub name: SmolStr,
    /// Whether it only reads: decides between the groups `<server>.read` and `<server>.write`.
    pub reads: bool,
}

/// A tool server's rules, compiled.
#[derive(Debug)]
pub struct Mcp {
    rules: McpRules,
    actions: Vec<McpAction>,
}

/// An action of a tool server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpAction {
    /// `session`, `tools.list`, `tools.call.search_orders`.
    pub id: SmolStr,
    /// Whether it only reads.
    pub reads: bool,
    /// What the context's path has: `name` or `uri`, or nothing.
    pub fact: Option<&'static str>,
}

/// Something that policy is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its index in [`Mcp::actions`]; `None` where there is no such action.
    pub action: Option<usize>,
    /// Its id, for the record.
    pub id: SmolStr,
    /// The context's path.
    pub path: Vec<(Box<str>, Box<str>)>,
}

impl Mcp {
    /// Compiles the rules.
    pub fn new(rules: McpRules) -> Self {
        let action = |id: &str, reads, fact| McpAction { id: SmolStr::new(id), reads, fact };
        let mut actions = vec![
            action("session", true, None),
            action("tools.list", true, None),
            action("prompts.list", true, None),
            action("resources.list", true, None),
            action("resources.read", true, Some("uri")),
            action("resources.subscribe", true, Some("uri")),
            action("completion.complete", true, None),
        ];
        if rules.lets_unlisted {
            actions.push(action("tools.call", false, Some("name")));
            actions.push(action("prompts.get", true, Some("name")));
        }
        for tool in &rules.tools {
            actions.push(McpAction {
                reads: tool.reads,
                ..action(&called(Kind::Tool, &tool.name), false, None)
            });
        }
        for prompt in &rules.prompts {
            let id = called(Kind::Prompt, &prompt.name);
            actions.push(McpAction { reads: prompt.reads, ..action(&id, true, None) });
        }
        for method in &rules.methods {
            let id = method.replace('/', ".");
            if !actions.iter().any(|known| known.id == id) {
                actions.push(action(&id, false, None));
            }
        }
        Self { rules, actions }
    }

    /// Every action.
    pub fn actions(&self) -> &[McpAction] {
        &self.actions
    }

    /// The rules.
    pub fn rules(&self) -> &McpRules {
        &self.rules
    }

    /// What calling a tool, getting a prompt or reading a resource needs.
    pub fn of(&self, kind: Kind, name: &str) -> Wanted {
        let own = match kind {
            Kind::Resource => return self.wanted("resources.read", Some(name)),
            Kind::Tool | Kind::Prompt => called(kind, name),
        };
        if self.index(&own).is_some() {
            return self.wanted(&own, None);
        }
        let rest = if kind == Kind::Tool { "tools.call" } else { "prompts.get" };
        let wanted = self.wanted(rest, Some(name));
        // Whatever a client calls a tool goes into the record.
        Wanted { id: format_smolstr!("{rest}.{}", shown(name)), ..wanted }
    }

    /// What a message needs, all of it; never empty.
    pub fn wants(&self, message: &Message) -> Vec<Wanted> {
        let session = || self.wanted("session", None);
        let Some(method) = message.known() else {
            return match message.kind() {
                MessageKind::Response => vec![session()],
                MessageKind::Request | MessageKind::Notification => {
                    vec![self.wanted(&message.method().replace('/', "."), None)]
                }
            };
        };
        match method.needs {
            Needs::Session => vec![session()],
            Needs::List(Kind::Tool) => vec![self.wanted("tools.list", None)],
            Needs::List(Kind::Prompt) => vec![self.wanted("prompts.list", None)],
            Needs::List(Kind::Resource) => vec![self.wanted("resources.list", None)],
            Needs::One(kind) => vec![self.of(kind, message.name().unwrap_or_default())],
            Needs::Subscribe => {
                let resources = message.resources();
                let mut wanted: Vec<Wanted> = resources
                    .iter()
                    .flat_map(|uri| {
                        [self.wanted("resources.subscribe", Some(uri)), self.of(Kind::Resource, uri)]
                    })
                    .collect();
                if wanted.is_empty() {
                    wanted.push(session());
                }
                wanted
            }
            Needs::Complete => {
                let completed = message.completes().map(|(kind, name)| self.of(kind, name));
                [Some(self.wanted("completion.complete", None)), completed].into_iter().flatten().collect()
            }
        }
    }

    /// What a `GET` or a `DELETE` needs.
    pub fn of_session(&self) -> Wanted {
        self.wanted("session", None)
    }

    fn wanted(&self, id: &str, fact: Option<&str>) -> Wanted {
        let action = self.index(id);
        let name = action.and_then(|index| self.actions.get(index)?.fact);
        let path = name.zip(fact).map(|(name, fact)| (name.into(), fact.into())).into_iter().collect();
        Wanted { action, id: SmolStr::new(id), path }
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.actions.iter().position(|action| action.id == id)
    }

    /// Refuses a call from a web page of somebody else's.
    ///
    /// A page whose name was bound to this machine's address sends that name as its host as well, so that a host
    /// that equals the origin shows nothing. Pages of the caller's own machine may call a gate on it.
    ///
    /// # Errors
    /// [`Reason::Forbidden`] for an origin that is not listed.
    pub fn check_origin(&self, headers: &HeaderMap, authority: &str) -> Result<(), Halt> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let host = origin.split_once("://").map(|(_, host)| host).unwrap_or_default();
        let is_near = is_loopback(host) && is_loopback(authority);
        if is_near || self.rules.origins.iter().any(|listed| **listed == *origin) {
            return Ok(());
        }
        let name: String = origin.chars().take(SHOWN).collect();
        Err(Halt::new(Reason::Forbidden, format!("the origin `{name}` is not listed")))
    }
}

/// The action of a tool or a prompt that is listed.
fn called(kind: Kind, name: &str) -> SmolStr {
    match kind {
        Kind::Tool => format_smolstr!("tools.call.{name}"),
        Kind::Prompt => format_smolstr!("prompts.get.{name}"),
        Kind::Resource => SmolStr::new_static("resources.read"),
    }
}

/// As much of a name as a record takes.
pub(crate) fn shown(name: &str) -> &str {
    name.get(..name.floor_char_boundary(SHOWN)).unwrap_or(name)
}

/// Whether a host, perhaps with a port, can only be this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests;
