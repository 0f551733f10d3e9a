//! Documents of GraphQL: each is judged to its end, and what is sent on is read again as what was judged.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use portcullis_core::graph::{Given, Graph, GraphRules, JudgedPart};
use portcullis_core::identify::Principal;

const SDL: &str =
    "type Query { me: User! user(id: ID!): User any(value: Json): Json list(first: Int): [User!]! }
type Mutation { note(text: String!, input: Input): String }
type User { id: ID! name: String friends(first: Int): [User!] }
input Input { text: String = \"x\" inner: Input }
scalar Json";

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let graph = Graph::compile(SDL, GraphRules::default()).expect("the schema is right");
    let body = serde_json::json!({ "query": text, "variables": {} }).to_string();
    let Some(once) = sent(&graph, body.as_bytes()) else { return };
    let twice = sent(&graph, &once).expect("what is sent on is read again");
    assert!(once == twice, "what is sent on says something else when it is read again");
}

/// What is sent on in place of a body.
fn sent(graph: &Graph, body: &[u8]) -> Option<Vec<u8>> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let asked = graph.read(&Given { method: &Method::POST, query: None, headers: &headers, body }).ok()?;
    let judged = graph.judge(&asked, &Principal::Anonymous, &headers, 0).ok()?;
    Some(judged.body(judged.parts.iter().map(JudgedPart::variables)))
}
