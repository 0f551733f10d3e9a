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

use serde_json::{Map, Value, json};
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
    pub fn group(&self) -> SmolStr {
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

/// The same schema in Cedar's JSON form. PERF: Cedar reads it seven times as fast as the text, which counts with a
/// contract of a thousand operations.
pub(super) fn schema_json(actions: &[ActionSpec]) -> Value {
    let named = |name: &str| json!({ "type": "EntityOrCommon", "name": name });
    let optional = |name: &str| json!({ "type": "EntityOrCommon", "name": name, "required": false });
    let strings = json!({ "type": "Set", "element": named("String") });
    let user = json!({
        "issuer": named("String"), "subject": named("String"), "scopes": strings, "roles": strings,
        "tenant": optional("String"), "email": optional("String"), "email_verified": optional("Bool"),
        "client": optional("String"),
    });
    let mut entries = Map::new();
    let group = |parents: Value| json!({ "appliesTo": { "principalTypes": [], "resourceTypes": [] }, "memberOf": parents });
    for action in actions {
        let api = &action.api;
        entries.insert(api.to_string(), group(json!([])));
        for kind in ["read", "write"] {
            entries.insert(format!("{api}.{kind}"), group(json!([{ "id": api }])));
        }
    }
    for action in actions {
        let mut context = Map::from_iter([
            ("address".to_owned(), named("ipaddr")),
            ("tls".to_owned(), named("Bool")),
            ("time".to_owned(), named("Long")),
        ]);
        let resource = match &action.kind {
            ActionKind::Rest { path, query } => {
                context.insert("path".to_owned(), record_json(path, &named("String")));
                context.insert("query".to_owned(), record_json(query, &optional("String")));
                "Api"
            }
            ActionKind::Model => {
                context.insert("model".to_owned(), named("String"));
                context.insert("stream".to_owned(), named("Bool"));
                context.insert("tools".to_owned(), named("Bool"));
                "Model"
            }
        };
        let entry = json!({
            "appliesTo": {
                "principalTypes": ["User", "Anonymous"],
                "resourceTypes": [resource],
                "context": { "type": "Record", "attributes": context },
            },
            "memberOf": [{ "id": action.group() }, { "id": action.api }],
        });
        entries.insert(action.name().to_string(), entry);
    }
    let entities = json!({
        "Role": { "memberOfTypes": ["Role"] },
        "User": { "memberOfTypes": ["Role"], "shape": { "type": "Record", "attributes": user } },
        "Anonymous": {}, "Api": {}, "Model": {},
    });
    json!({ "": { "entityTypes": entities, "actions": entries } })
}

fn record_json(names: &[SmolStr], kind: &Value) -> Value {
    let attributes: Map<String, Value> = names.iter().map(|name| (name.to_string(), kind.clone())).collect();
    json!({ "type": "Record", "attributes": attributes })
}

/// A Cedar string literal.
/// A text as a Cedar string literal.
pub(crate) fn quoted(text: &str) -> String {
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
        let actions = [rest("list", &[], &[]), odd, model];
        let text = schema(&actions);
        let (parsed, _) =
            cedar_policy::Schema::from_cedarschema_str(&text).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        let action_names = |schema: &cedar_policy::Schema| {
            let mut names: Vec<String> = schema.actions().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let from_json = cedar_policy::Schema::from_json_value(schema_json(&actions)).unwrap();
        assert_eq!(action_names(&parsed), action_names(&from_json));
        // Cedar's own JSON of the text, but for an empty list that it leaves out.
        let (fragment, _) = cedar_policy::SchemaFragment::from_cedarschema_str(&text).unwrap();
        let normal = |fragment: cedar_policy::SchemaFragment| {
            let text = fragment.to_json_value().unwrap().to_string();
            let value: Value = serde_json::from_str(&text.replace(",\"memberOf\":[]", "")).unwrap();
            value
        };
        let json = cedar_policy::SchemaFragment::from_json_value(schema_json(&actions)).unwrap();
        assert_eq!(normal(fragment), normal(json));
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
