//! The Cedar schema that the contracts imply: what a policy may speak of.
//!
//! | entity | attributes | parents |
//! |---|---|---|
//! | `User::"<issuer>/<subject>"` | `issuer`, `subject`, `scopes`, `roles`, and if the token has them `tenant`, `email`, `email_verified`, `client` | `Role` of each role or group |
//! | `Anonymous::"anonymous"` | none | none |
//! | `Role::"<name>"` | none | the roles it inherits |
//! | `Action::"<api>.<operation>"` | none | `Action::"<api>"`, and `Action::"<api>.read"` or `Action::"<api>.write"` |
//! | `Api::"<api>"`, `Model::"<name>"` | none | none |

use std::collections::BTreeSet;
use std::fmt::Write;

use smol_str::{SmolStr, format_smolstr};

/// One operation that a policy can speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionSpec {
    /// Name of the API or model in the configuration.
    pub api: SmolStr,
    /// `operationId` of the contract.
    pub operation: SmolStr,
    /// Whether the method only reads (GET, HEAD): decides between the groups `<api>.read` and `<api>.write`.
    pub reads: bool,
    /// What its context has.
    pub kind: ActionKind,
}

/// What the context of an action has, apart from the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionKind {
    /// An operation of an HTTP API.
    Rest {
        /// Names of the path parameters: all required.
        path: Vec<SmolStr>,
        /// Names of the declared scalar query parameters: all optional.
        query: Vec<SmolStr>,
    },
    /// A call of a language model.
    Model,
}

impl ActionSpec {
    /// `<api>.<operation>`, the id of the action.
    pub fn name(&self) -> SmolStr {
        format_smolstr!("{}.{}", self.api, self.operation)
    }

    /// `<api>.read` or `<api>.write`.
    pub(super) fn group(&self) -> SmolStr {
        format_smolstr!("{}.{}", self.api, if self.reads { "read" } else { "write" })
    }
}

/// What every schema begins with.
const ENTITIES: &str = "\
entity Role in [Role];
entity User in [Role] {
  issuer: String,
  subject: String,
  scopes: Set<String>,
  roles: Set<String>,
  tenant?: String,
  email?: String,
  email_verified?: Bool,
  client?: String,
};
entity Anonymous;
entity Api;
entity Model;
";

/// The human-readable Cedar schema of these actions.
pub fn schema(actions: &[ActionSpec]) -> String {
    let mut text = String::from(ENTITIES);
    let apis: BTreeSet<&str> = actions.iter().map(|action| &*action.api).collect();
    for api in apis {
        let id = quoted(api);
        let (read, write) = (quoted(&format!("{api}.read")), quoted(&format!("{api}.write")));
        // A String takes whatever is written to it: there is no error to look at, here and below.
        let _ = write!(text, "\naction {id};\naction {read} in [{id}];\naction {write} in [{id}];\n");
    }
    text.push('\n');
    for action in actions {
        let (resource, context) = match &action.kind {
            ActionKind::Rest { path, query } => {
                ("Api", format!("path: {}, query: {}", record(path, ""), record(query, "?")))
            }
            ActionKind::Model => ("Model", "model: String, stream: Bool, tools: Bool".to_owned()),
        };
        let (name, group, api) = (quoted(&action.name()), quoted(&action.group()), quoted(&action.api));
        let _ = write!(
            text,
            "action {name} in [{group}, {api}] appliesTo {{\n  principal: [User, Anonymous],\n  \
             resource: [{resource}],\n  context: {{ address: ipaddr, tls: Bool, time: Long, {context} }},\n}};\n"
        );
    }
    text
}

fn record(names: &[SmolStr], optional: &str) -> String {
    let names: BTreeSet<&SmolStr> = names.iter().collect();
    let fields: Vec<String> =
        names.into_iter().map(|name| format!("{}{optional}: String", quoted(name))).collect();
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

/// A Cedar string literal.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(operation: &str, path: &[&str], query: &[&str]) -> ActionSpec {
        let names = |names: &[&str]| names.iter().map(SmolStr::new).collect();
        ActionSpec {
            api: "orders".into(),
            operation: operation.into(),
            reads: true,
            kind: ActionKind::Rest { path: names(path), query: names(query) },
        }
    }

    #[test]
    fn cedar_reads_what_is_written_whatever_the_names_are() {
        let model = ActionSpec {
            api: "assistant".into(),
            operation: "chat".into(),
            reads: false,
            kind: ActionKind::Model,
        };
        let odd = rest(
            "repos/get\"\\\n\u{202e}é",
            &["user-id", "in", "Ünï", "a b"],
            &["filter[x]", "", "page", "page"],
        );
        let text = schema(&[rest("list", &[], &[]), odd, model]);
        let (parsed, _) =
            cedar_policy::Schema::from_cedarschema_str(&text).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        // Two groups and the API's own for each of two APIs, and three operations.
        assert_eq!(parsed.actions().count(), 9);
    }

    #[test]
    fn parameters_are_typed_per_operation() {
        let text = schema(&[rest("one", &["orderId"], &["page"])]);
        assert!(text.contains(r#"path: { "orderId": String }, query: { "page"?: String }"#), "{text}");
        assert!(text.contains(r#"action "orders.one" in ["orders.read", "orders"]"#), "{text}");
    }
}
