//! Where text stands in a chat-completions request: one table, held against the contract by a test.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// How a field is screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// Text.
    Text,
    /// A list of parts or a text; parts that are text are also screened as the one text that the model reads.
    Parts,
    /// JSON written as text.
    JsonText,
    /// JSON of the client's own shape: every string and every name in it is text.
    Tree,
    /// A link, which is text, or data inside a `data:` URL, which is not.
    Link,
    /// Encoded sound or file, or a value that the contract enumerates: nothing to read.
    Nothing,
}

/// Every field of the request; `*` stands for any element. What is not listed is screened like [`Surface::Tree`],
/// so a field that is forgotten here is read and not missed.
pub(super) const SURFACES: &[(&str, Surface)] = &[
    ("/model", Surface::Text),
    ("/messages/*/role", Surface::Nothing),
    ("/messages/*/content", Surface::Parts),
    ("/messages/*/content/*/type", Surface::Nothing),
    ("/messages/*/content/*/text", Surface::Text),
    ("/messages/*/content/*/refusal", Surface::Text),
    ("/messages/*/content/*/image_url/url", Surface::Link),
    ("/messages/*/content/*/image_url/detail", Surface::Nothing),
    ("/messages/*/content/*/input_audio/data", Surface::Nothing),
    ("/messages/*/content/*/input_audio/format", Surface::Nothing),
    ("/messages/*/content/*/file/file_data", Surface::Nothing),
    ("/messages/*/content/*/file/file_id", Surface::Text),
    ("/messages/*/content/*/file/filename", Surface::Text),
    ("/messages/*/content/*/prompt_cache_breakpoint/mode", Surface::Nothing),
    ("/messages/*/content/*/prompt_cache_breakpoint/ttl", Surface::Nothing),
    ("/messages/*/name", Surface::Text),
    ("/messages/*/refusal", Surface::Text),
    ("/messages/*/audio/id", Surface::Text),
    ("/messages/*/annotations/*/type", Surface::Nothing),
    ("/messages/*/annotations/*/url_citation/start_index", Surface::Nothing),
    ("/messages/*/annotations/*/url_citation/end_index", Surface::Nothing),
    ("/messages/*/annotations/*/url_citation/title", Surface::Text),
    ("/messages/*/annotations/*/url_citation/url", Surface::Text),
    ("/messages/*/tool_call_id", Surface::Text),
    ("/messages/*/tool_calls/*/id", Surface::Text),
    ("/messages/*/tool_calls/*/type", Surface::Nothing),
    ("/messages/*/tool_calls/*/function/name", Surface::Text),
    ("/messages/*/tool_calls/*/function/arguments", Surface::JsonText),
    ("/messages/*/tool_calls/*/custom/name", Surface::Text),
    ("/messages/*/tool_calls/*/custom/input", Surface::Text),
    ("/messages/*/function_call/name", Surface::Text),
    ("/messages/*/function_call/arguments", Surface::JsonText),
    ("/audio/format", Surface::Nothing),
    ("/audio/voice", Surface::Text),
    ("/audio/voice/id", Surface::Text),
    ("/frequency_penalty", Surface::Nothing),
    ("/function_call", Surface::Text),
    ("/function_call/name", Surface::Text),
    ("/functions/*/name", Surface::Text),
    ("/functions/*/description", Surface::Text),
    ("/functions/*/parameters", Surface::Tree),
    ("/logit_bias", Surface::Tree),
    ("/logprobs", Surface::Nothing),
    ("/max_completion_tokens", Surface::Nothing),
    ("/max_tokens", Surface::Nothing),
    ("/metadata", Surface::Tree),
    ("/modalities/*", Surface::Nothing),
    ("/moderation/model", Surface::Text),
    ("/moderation/policy/input/mode", Surface::Nothing),
    ("/moderation/policy/output/mode", Surface::Nothing),
    ("/n", Surface::Nothing),
    ("/parallel_tool_calls", Surface::Nothing),
    ("/prediction/type", Surface::Nothing),
    ("/prediction/content", Surface::Parts),
    ("/prediction/content/*/type", Surface::Nothing),
    ("/prediction/content/*/text", Surface::Text),
    ("/prediction/content/*/prompt_cache_breakpoint/mode", Surface::Nothing),
    ("/prediction/content/*/prompt_cache_breakpoint/ttl", Surface::Nothing),
    ("/presence_penalty", Surface::Nothing),
    ("/prompt_cache_key", Surface::Text),
    ("/prompt_cache_options/mode", Surface::Nothing),
    ("/prompt_cache_options/ttl", Surface::Nothing),
    ("/prompt_cache_retention", Surface::Nothing),
    ("/reasoning_effort", Surface::Nothing),
    ("/response_format/type", Surface::Nothing),
    ("/response_format/json_schema/name", Surface::Text),
    ("/response_format/json_schema/description", Surface::Text),
    ("/response_format/json_schema/schema", Surface::Tree),
    ("/response_format/json_schema/strict", Surface::Nothing),
    ("/safety_identifier", Surface::Text),
    ("/seed", Surface::Nothing),
    ("/service_tier", Surface::Nothing),
    ("/stop", Surface::Text),
    ("/stop/*", Surface::Text),
    ("/store", Surface::Nothing),
    ("/stream", Surface::Nothing),
    ("/stream_options/include_usage", Surface::Nothing),
    ("/stream_options/include_obfuscation", Surface::Nothing),
    ("/temperature", Surface::Nothing),
    ("/tool_choice", Surface::Text),
    ("/tool_choice/type", Surface::Nothing),
    ("/tool_choice/function/name", Surface::Text),
    ("/tool_choice/custom/name", Surface::Text),
    ("/tool_choice/allowed_tools/mode", Surface::Nothing),
    ("/tool_choice/allowed_tools/tools/*", Surface::Tree),
    ("/tools/*/type", Surface::Nothing),
    ("/tools/*/function/name", Surface::Text),
    ("/tools/*/function/description", Surface::Text),
    ("/tools/*/function/parameters", Surface::Tree),
    ("/tools/*/function/strict", Surface::Nothing),
    ("/tools/*/custom/name", Surface::Text),
    ("/tools/*/custom/description", Surface::Text),
    ("/tools/*/custom/format/type", Surface::Nothing),
    ("/tools/*/custom/format/grammar/definition", Surface::Text),
    ("/tools/*/custom/format/grammar/syntax", Surface::Nothing),
    ("/top_logprobs", Surface::Nothing),
    ("/top_p", Surface::Nothing),
    ("/user", Surface::Text),
    ("/verbosity", Surface::Nothing),
    ("/web_search_options/search_context_size", Surface::Nothing),
    ("/web_search_options/user_location/type", Surface::Nothing),
    ("/web_search_options/user_location/approximate/city", Surface::Text),
    ("/web_search_options/user_location/approximate/country", Surface::Text),
    ("/web_search_options/user_location/approximate/region", Surface::Text),
    ("/web_search_options/user_location/approximate/timezone", Surface::Text),
];

/// What the table knows of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Field(Surface),
    /// Only on the way to fields.
    Way,
}

static KNOWN: LazyLock<FxHashMap<&'static str, Known>> = LazyLock::new(|| {
    let mut known = FxHashMap::default();
    for (path, surface) in SURFACES {
        for (at, _) in path.match_indices('/').skip(1) {
            known.entry(path.split_at(at).0).or_insert(Known::Way);
        }
        known.insert(*path, Known::Field(*surface));
    }
    known
});

/// Looks up a path of the table's form; `None` for what the table does not know.
pub(super) fn lookup(path: &str) -> Option<Known> {
    KNOWN.get(path).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Collects the paths of all fields that `schema` allows, and of those the ones that may hold free text.
    fn fields(
        document: &Value,
        schema: &Value,
        path: &str,
        all: &mut BTreeSet<String>,
        free: &mut BTreeSet<String>,
    ) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
            return fields(document, target, path, all, free);
        }
        for choice in
            ["anyOf", "oneOf", "allOf"].iter().filter_map(|name| schema.get(*name)?.as_array()).flatten()
        {
            fields(document, choice, path, all, free);
        }
        let kinds = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let is_open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
        let is_free =
            kinds.contains(&"string") && schema.get("enum").is_none() && schema.get("const").is_none();
        if is_free || is_open {
            free.insert(path.to_owned());
        }
        if let Some(items) = schema.get("items") {
            fields(document, items, &format!("{path}/*"), all, free);
        } else if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, schema) in properties {
                fields(document, schema, &format!("{path}/{name}"), all, free);
            }
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{path} must be closed");
        } else if kinds.iter().any(|kind| *kind != "null") {
            all.insert(path.to_owned());
        }
    }

    #[test]
    fn every_field_of_the_contract_is_in_the_table_and_every_row_is_a_field() {
        let document: Value = serde_json::from_str(super::super::CONTRACT).unwrap();
        let request = &document["components"]["schemas"]["ChatCompletionRequest"];
        let (mut all, mut free) = (BTreeSet::new(), BTreeSet::new());
        fields(&document, request, "", &mut all, &mut free);
        assert!(all.len() > 80 && free.len() > 40, "the contract was read");
        let mut expected: BTreeSet<_> = all.iter().map(String::as_str).collect();
        expected.extend(
            free.iter().filter(|path| lookup(path) == Some(Known::Field(Surface::Tree))).map(String::as_str),
        );
        let under_tree = |path: &str| {
            free.iter().any(|tree| {
                lookup(tree) == Some(Known::Field(Surface::Tree)) && path.starts_with(&format!("{tree}/"))
            })
        };
        let table: BTreeSet<_> = SURFACES.iter().map(|(path, _)| *path).collect();
        assert_eq!(SURFACES.len(), table.len(), "a path stands twice");
        let missing: Vec<_> = expected.difference(&table).filter(|path| !under_tree(path)).collect();
        assert!(missing.is_empty(), "not in the table: {missing:?}");
        let stale: Vec<_> = table.difference(&expected).collect();
        assert!(stale.is_empty(), "not in the contract: {stale:?}");
        let encoded = ["/messages/*/content/*/input_audio/data", "/messages/*/content/*/file/file_data"];
        for path in &free {
            let is_read = lookup(path) != Some(Known::Field(Surface::Nothing));
            assert_eq!(is_read, !encoded.contains(&path.as_str()), "{path}");
        }
    }
}
