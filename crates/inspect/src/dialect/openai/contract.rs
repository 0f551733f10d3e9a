//! The contract of a route, put together from those of the endpoints that it offers.

use serde_json::{Value, json};

use crate::dialect::Offer;
use crate::dialect::kinds::open_kinds;

/// `POST /chat/completions`.
pub(crate) const CHAT: &str = include_str!("../../../contracts/openai-chat.openapi.json");
/// `POST /embeddings`.
pub(crate) const EMBEDDINGS: &str = include_str!("../../../contracts/openai-embeddings.openapi.json");
/// `GET /models` and `GET /models/{model}`.
const MODELS: &str = include_str!("../../../contracts/openai-models.openapi.json");
/// `POST /responses`.
pub(crate) const RESPONSES: &str = include_str!("../../../contracts/openai-responses.openapi.json");

/// The OpenAPI 3.1 document of what is offered. Where the operator lets unknown kinds pass, every list of kinds takes
/// one more: any but the known ones.
pub fn contract(offer: Offer, passes_unknown: bool) -> Value {
    let offered: &[&str] = match offer {
        Offer::All => &[CHAT, RESPONSES, EMBEDDINGS],
        Offer::Chat => &[CHAT],
        Offer::Responses => &[RESPONSES],
        Offer::Embeddings => &[EMBEDDINGS],
    };
    let mut whole = parsed(MODELS);
    for part in offered {
        let part = parsed(part);
        for at in ["/paths", "/components/schemas"] {
            let more = part.pointer(at).and_then(Value::as_object).cloned().unwrap_or_default();
            if let Some(members) = whole.pointer_mut(at).and_then(Value::as_object_mut) {
                members.extend(more);
            }
        }
    }
    if let Some(info) = whole.get_mut("info").filter(|_| offer == Offer::All) {
        *info = json!({ "title": "OpenAI", "version": "1" });
    }
    if passes_unknown {
        open_kinds(&mut whole);
    }
    whole
}

/// INVARIANT: a test reads every contract; one that could not be read would offer nothing.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use portcullis_core::contract::{Contract, ContractOptions};

    use serde_json::Map;

    use super::*;

    const OFFERS: [(Offer, &[&str]); 4] = [
        (Offer::All, &["createChatCompletion", "createEmbedding", "createResponse"]),
        (Offer::Chat, &["createChatCompletion"]),
        (Offer::Responses, &["createResponse"]),
        (Offer::Embeddings, &["createEmbedding"]),
    ];

    #[test]
    fn a_route_offers_what_it_says_and_the_list_of_models() {
        for (offer, operations) in OFFERS {
            for passes_unknown in [false, true] {
                let contract =
                    Contract::compile(contract(offer, passes_unknown), &ContractOptions::default());
                let contract = contract.unwrap();
                let mut ids: Vec<&str> = contract.operations().iter().map(|one| &*one.id).collect();
                ids.sort_unstable();
                let mut expected = [operations, &["listModels", "retrieveModel"]].concat();
                expected.sort_unstable();
                assert_eq!(ids, expected);
            }
        }
    }

    #[test]
    fn schemas_of_one_name_are_the_same() {
        let mut all = Map::new();
        for part in [CHAT, EMBEDDINGS, MODELS, RESPONSES] {
            let part: Value = serde_json::from_str(part).unwrap();
            for (name, schema) in part["components"]["schemas"].as_object().unwrap() {
                assert_eq!(all.entry(name).or_insert_with(|| schema.clone()), schema, "{name}");
            }
        }
    }

    #[test]
    fn unknown_kinds_are_any_but_the_known_ones() {
        let whole = contract(Offer::All, true);
        let kinds = |at: &str, name: &str| -> Value {
            let choices = whole.pointer(at).unwrap().as_array().unwrap();
            choices.last().unwrap()["properties"][name]["not"]["enum"].clone()
        };
        let roles =
            kinds("/components/schemas/ChatCompletionRequest/properties/messages/items/oneOf", "role");
        assert_eq!(roles, json!(["assistant", "developer", "function", "system", "tool", "user"]));
        let items = kinds("/components/schemas/ResponsesInputItem/anyOf", "type");
        assert!(items.as_array().unwrap().contains(&json!("function_call_output")), "{items}");
        assert_eq!(contract(Offer::All, false).to_string().matches("\"not\"").count(), 0);
    }
}
