//! The tool server's part of the tour.

use serde_json::{Value, json};

use super::super::Tokens;
use super::{Step, call, step};

fn message(token: &str, session: Option<&str>, message: &Value) -> Vec<u8> {
    let request =
        String::from_utf8(call("POST", "/crm/mcp", token, Some(&message.to_string()))).unwrap_or_default();
    let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
    let more = format!("\r\nAccept: application/json, text/event-stream\r\n{session}");
    request.replacen("\r\n", &more, 1).into_bytes()
}

pub(super) fn steps(tokens: &Tokens) -> Vec<Step> {
    const PRIVATE: &[&str] = &["alice.ampere@", "4242 4242"];
    let (alice, bob, carol) = (&tokens.alice, &tokens.bob, &tokens.carol);
    let ask = |token: &str, method: &str, params: Value| {
        message(token, None, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    };
    let tool = |name: &str, arguments: Value| {
        ask(alice, "tools/call", json!({ "name": name, "arguments": arguments }))
    };
    let find = |query: &str| tool("search_orders", json!({ "query": query }));
    let begin = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "tour", "version": "1" } });
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let list = json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }]);
    vec![
        step("a session with the tools begins", ask(alice, "initialize", begin), 200, "passed")
            .with(&["serverInfo"]),
        step("the same session, in another's hands", message(bob, Some("demo-1"), &ping), 404, "authorize")
            .with(&["\"error\""]),
        step(
            "the session, in the hands of who began it",
            message(alice, Some("demo-1"), &ping),
            200,
            "passed",
        ),
        step("a list of tools shows what may be called", ask(alice, "tools/list", json!({})), 200, "passed")
            .with(&["search_orders", "order_history"])
            .without(&["export_customers", "convert_currency"]),
        step("a tool is called", find("mugs"), 200, "passed").with(&["on its way"]),
        step("personal data in a tool's result", find("alice"), 200, "passed")
            .with(&["two mugs"])
            .without(PRIVATE),
        step(
            "personal data on the way to a result, streamed",
            tool("order_history", json!({ "order": "o-1" })),
            200,
            "passed",
        )
        .with(&["warehouse", "carrier"])
        .without(PRIVATE),
        step("a tool's result that gives orders", find("review"), 502, "screen")
            .with(&["\"error\""])
            .without(&["evil.example"]),
        step("a tool whose description gives orders", ask(carol, "tools/list", json!({})), 502, "screen")
            .without(&["id_rsa"]),
        step(
            "a tool of somebody else's",
            tool("export_customers", json!({ "format": "csv" })),
            403,
            "authorize",
        )
        .with(&["\"error\""])
        .without(&["@example.com"]),
        step("a tool that there is not", tool("delete_everything", json!({})), 403, "authorize"),
        step(
            "a key on its way to a tool",
            find("sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy"),
            403,
            "inspect",
        ),
        step(
            "a method that the protocol does not know",
            ask(alice, "tools/delete", json!({})),
            404,
            "authorize",
        )
        .with(&["-32601"]),
        step(
            "a member that the protocol does not know",
            ask(alice, "tools/call", json!({ "name": "search_orders", "sudo": true })),
            422,
            "validate",
        ),
        step("several messages in one", message(alice, None, &list), 422, "validate").with(&["-32600"]),
    ]
}
