//! Where text stands in messages, and who wrote it: a table for each method of a client's and of a server's, and one
//! for all answers.
//!
//! An answer does not say what it answers, and a stream may repeat one of an older exchange; but the members of results
//! have names of their own, so that one table holds all. What stands in no table is read like [`Surface::Tree`].

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::dialect::surfaces::{Origin, Row, Surface, Table};
use Origin::{Document, Setting, User};
use Surface::{Data, Parts, Text, Tree};

/// What a method's messages hold.
pub(super) type Messages = (&'static str, &'static [Row]);

/// What clients send, by method; the last row is what they answer.
///
/// [`Setting`] is what the permit was given for, or an identifier: nothing in it can be redacted.
pub(super) const SENT: &[Messages] = &[
    (
        "initialize",
        &[
            ("/params/protocolVersion", Text, Setting),
            ("/params/capabilities", Tree, User),
            ("/params/clientInfo/name", Text, User),
            ("/params/clientInfo/version", Text, User),
            ("/params/clientInfo/title", Text, User),
            ("/params/clientInfo/description", Text, User),
            ("/params/clientInfo/websiteUrl", Text, User),
            ("/params/clientInfo/icons/*/src", Text, User),
            ("/params/clientInfo/icons/*/mimeType", Text, User),
            ("/params/clientInfo/icons/*/sizes/*", Text, User),
            ("/params/clientInfo/icons/*/theme", Text, User),
        ],
    ),
    ("ping", &[]),
    ("logging/setLevel", &[("/params/level", Text, Setting)]),
    ("server/discover", &[]),
    (
        "subscriptions/listen",
        &[
            ("/params/notifications/toolsListChanged", Text, Setting),
            ("/params/notifications/promptsListChanged", Text, Setting),
            ("/params/notifications/resourcesListChanged", Text, Setting),
            ("/params/notifications/resourceSubscriptions/*", Text, Setting),
        ],
    ),
    ("tools/list", &[("/params/cursor", Text, Setting)]),
    (
        "tools/call",
        &[
            ("/params/name", Text, Setting),
            ("/params/arguments", Tree, User),
            ("/params/inputResponses", Tree, User),
            ("/params/requestState", Text, Setting),
        ],
    ),
    ("prompts/list", &[("/params/cursor", Text, Setting)]),
    (
        "prompts/get",
        &[
            ("/params/name", Text, Setting),
            ("/params/arguments", Tree, User),
            ("/params/inputResponses", Tree, User),
            ("/params/requestState", Text, Setting),
        ],
    ),
    ("resources/list", &[("/params/cursor", Text, Setting)]),
    ("resources/templates/list", &[("/params/cursor", Text, Setting)]),
    (
        "resources/read",
        &[
            ("/params/uri", Text, Setting),
            ("/params/inputResponses", Tree, User),
            ("/params/requestState", Text, Setting),
        ],
    ),
    ("resources/subscribe", &[("/params/uri", Text, Setting)]),
    ("resources/unsubscribe", &[("/params/uri", Text, Setting)]),
    (
        "completion/complete",
        &[
            ("/params/ref/type", Text, Setting),
            ("/params/ref/name", Text, Setting),
            ("/params/ref/title", Text, User),
            ("/params/ref/uri", Text, Setting),
            ("/params/argument/name", Text, Setting),
            ("/params/argument/value", Text, User),
            ("/params/context/arguments", Tree, User),
        ],
    ),
    ("notifications/initialized", &[]),
    ("notifications/cancelled", &[("/params/requestId", Text, Setting), ("/params/reason", Text, User)]),
    (
        "notifications/progress",
        &[
            ("/params/progressToken", Text, Setting),
            ("/params/progress", Text, Setting),
            ("/params/total", Text, Setting),
            ("/params/message", Text, User),
        ],
    ),
    ("notifications/roots/list_changed", &[]),
    (
        "",
        &[
            ("/result/role", Text, Setting),
            ("/result/content", Tree, User),
            ("/result/model", Text, User),
            ("/result/stopReason", Text, User),
            ("/result/action", Text, Setting),
            ("/result/roots/*/uri", Text, User),
            ("/result/roots/*/name", Text, User),
            ("/result/roots/*/_meta", Tree, User),
            ("/error/code", Text, Setting),
            ("/error/message", Text, User),
            ("/error/data", Tree, User),
        ],
    ),
];

/// What servers send unasked, by method.
pub(super) const SAID: &[Messages] = &[
    ("ping", &[]),
    ("roots/list", &[]),
    (
        "sampling/createMessage",
        &[
            ("/params/messages/*/role", Text, Setting),
            ("/params/messages/*/content", Parts, Document),
            ("/params/messages/*/content/text", Text, Document),
            ("/params/messages/*/content/data", Data, Document),
            ("/params/messages/*/content/*/text", Text, Document),
            ("/params/messages/*/content/*/data", Data, Document),
            ("/params/systemPrompt", Text, Document),
            ("/params/includeContext", Text, Setting),
            ("/params/stopSequences/*", Text, Document),
            ("/params/metadata", Tree, Document),
            ("/params/modelPreferences", Tree, Setting),
            ("/params/tools", Tree, Document),
            ("/params/toolChoice", Tree, Setting),
        ],
    ),
    (
        "elicitation/create",
        &[
            ("/params/mode", Text, Setting),
            ("/params/message", Text, Document),
            ("/params/requestedSchema", Tree, Document),
            ("/params/url", Text, Document),
            ("/params/elicitationId", Text, Setting),
        ],
    ),
    ("notifications/cancelled", &[("/params/requestId", Text, Setting), ("/params/reason", Text, Document)]),
    (
        "notifications/progress",
        &[("/params/progressToken", Text, Setting), ("/params/message", Text, Document)],
    ),
    (
        "notifications/message",
        &[
            ("/params/level", Text, Setting),
            ("/params/logger", Text, Setting),
            ("/params/data", Tree, Document),
        ],
    ),
    ("notifications/tools/list_changed", &[]),
    ("notifications/prompts/list_changed", &[]),
    ("notifications/resources/list_changed", &[]),
    ("notifications/resources/updated", &[("/params/uri", Text, Setting)]),
    ("notifications/elicitation/complete", &[("/params/elicitationId", Text, Setting)]),
    ("notifications/subscriptions/acknowledged", &[("/params/notifications", Tree, Setting)]),
];

/// What servers answer.
pub(super) const ANSWERED: &[Row] = &[
    ("/error/code", Text, Setting),
    ("/error/message", Text, Document),
    ("/error/data", Tree, Document),
    ("/result/resultType", Text, Setting),
    ("/result/cacheScope", Text, Setting),
    ("/result/nextCursor", Text, Setting),
    ("/result/requestState", Text, Setting),
    ("/result/inputRequests", Tree, Document),
    // initialize, server/discover
    ("/result/protocolVersion", Text, Setting),
    ("/result/supportedVersions/*", Text, Setting),
    ("/result/capabilities", Tree, Setting),
    ("/result/instructions", Text, Document),
    ("/result/serverInfo", Tree, Document),
    // tools/list
    ("/result/tools/*/name", Text, Setting),
    ("/result/tools/*/title", Text, Document),
    ("/result/tools/*/description", Text, Document),
    ("/result/tools/*/inputSchema", Tree, Document),
    ("/result/tools/*/outputSchema", Tree, Document),
    ("/result/tools/*/annotations", Tree, Document),
    ("/result/tools/*/icons", Tree, Setting),
    ("/result/tools/*/execution", Tree, Setting),
    // tools/call
    ("/result/content", Parts, Document),
    ("/result/content/*/type", Text, Setting),
    ("/result/content/*/text", Text, Document),
    ("/result/content/*/data", Data, Document),
    ("/result/content/*/mimeType", Text, Setting),
    ("/result/content/*/uri", Text, Setting),
    ("/result/content/*/name", Text, Document),
    ("/result/content/*/title", Text, Document),
    ("/result/content/*/description", Text, Document),
    ("/result/content/*/annotations", Tree, Setting),
    ("/result/content/*/resource/uri", Text, Setting),
    ("/result/content/*/resource/mimeType", Text, Setting),
    ("/result/content/*/resource/text", Text, Document),
    ("/result/content/*/resource/blob", Data, Document),
    ("/result/structuredContent", Tree, Document),
    // prompts/list, prompts/get
    ("/result/prompts/*/name", Text, Setting),
    ("/result/prompts/*/title", Text, Document),
    ("/result/prompts/*/description", Text, Document),
    ("/result/prompts/*/arguments", Tree, Document),
    ("/result/prompts/*/icons", Tree, Setting),
    ("/result/description", Text, Document),
    ("/result/messages/*/role", Text, Setting),
    ("/result/messages/*/content", Parts, Document),
    ("/result/messages/*/content/type", Text, Setting),
    ("/result/messages/*/content/text", Text, Document),
    ("/result/messages/*/content/data", Data, Document),
    ("/result/messages/*/content/mimeType", Text, Setting),
    ("/result/messages/*/content/resource/uri", Text, Setting),
    ("/result/messages/*/content/resource/mimeType", Text, Setting),
    ("/result/messages/*/content/resource/text", Text, Document),
    ("/result/messages/*/content/resource/blob", Data, Document),
    // resources/list, resources/templates/list, resources/read
    ("/result/resources/*/uri", Text, Setting),
    ("/result/resources/*/name", Text, Document),
    ("/result/resources/*/title", Text, Document),
    ("/result/resources/*/description", Text, Document),
    ("/result/resources/*/mimeType", Text, Setting),
    ("/result/resources/*/icons", Tree, Setting),
    ("/result/resourceTemplates/*/uriTemplate", Text, Setting),
    ("/result/resourceTemplates/*/name", Text, Document),
    ("/result/resourceTemplates/*/title", Text, Document),
    ("/result/resourceTemplates/*/description", Text, Document),
    ("/result/resourceTemplates/*/mimeType", Text, Setting),
    ("/result/resourceTemplates/*/icons", Tree, Setting),
    ("/result/contents", Parts, Document),
    ("/result/contents/*/uri", Text, Setting),
    ("/result/contents/*/mimeType", Text, Setting),
    ("/result/contents/*/text", Text, Document),
    ("/result/contents/*/blob", Data, Document),
    // completion/complete
    ("/result/completion/values/*", Text, Document),
];

type Tables = FxHashMap<&'static str, Table>;

static SENT_TABLES: LazyLock<Tables> = LazyLock::new(|| tables(SENT));
static SAID_TABLES: LazyLock<Tables> = LazyLock::new(|| tables(SAID));
static ANSWERED_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(ANSWERED));
/// Of a method that passes in writing: all of it is a tree.
static NONE: LazyLock<Table> = LazyLock::new(|| Table::new(&[] as &[Row]));

fn tables(all: &'static [Messages]) -> Tables {
    all.iter().map(|(method, rows)| (*method, Table::new(rows))).collect()
}

/// The table of what a client sends by this method; empty where no row knows the method.
pub(super) fn sent(method: &str) -> &'static Table {
    SENT_TABLES.get(method).unwrap_or(&NONE)
}

/// The table of what a server sends by this method, if a row knows it.
pub(super) fn said(method: &str) -> Option<&'static Table> {
    SAID_TABLES.get(method)
}

/// The table of what a server answers.
pub(super) fn answered() -> &'static Table {
    &ANSWERED_TABLE
}

/// The empty table.
pub(super) fn unknown() -> &'static Table {
    &NONE
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use portcullis_core::mcp::{ERROR, Field, METHODS, RESULT, Shape};

    use super::*;

    fn paths(fields: &[Field], at: &str, all: &mut BTreeSet<String>) {
        for field in fields {
            let here = format!("{at}/{}", field.name);
            match field.shape {
                Shape::Object(fields) => paths(fields, &here, all),
                Shape::List(fields) => paths(fields, &format!("{here}/*"), all),
                Shape::TextList => drop(all.insert(format!("{here}/*"))),
                _ => drop(all.insert(here)),
            }
        }
    }

    fn check(method: &str, expected: &BTreeSet<String>) {
        let (_, rows) = SENT.iter().find(|(name, _)| *name == method).unwrap_or_else(|| panic!("{method}"));
        let found: BTreeSet<String> = rows.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(rows.len(), found.len(), "{method}: a path stands twice");
        assert_eq!(found, *expected, "{method}");
    }

    #[test]
    fn every_field_of_every_method_is_in_its_table_and_every_row_is_a_field() {
        for method in METHODS {
            let mut all = BTreeSet::new();
            paths(method.params, "/params", &mut all);
            check(method.name, &all);
        }
        let mut all = BTreeSet::new();
        paths(RESULT, "/result", &mut all);
        paths(ERROR, "/error", &mut all);
        check("", &all);
        assert_eq!(SENT.len(), METHODS.len() + 1);
    }

    #[test]
    fn what_a_server_offers_is_read_as_a_document() {
        for path in ["/result/tools/*/description", "/result/content/*/text", "/result/instructions"] {
            let (_, _, origin) = ANSWERED.iter().find(|(at, ..)| *at == path).unwrap();
            assert_eq!(*origin, Document, "{path}");
        }
        let paths: BTreeSet<_> = ANSWERED.iter().map(|(path, ..)| path).collect();
        assert_eq!(paths.len(), ANSWERED.len(), "a path stands twice");
    }
}
