//! Where text stands in a request for a message: what each kind of block has, and where blocks stand. Held against the
//! contract by a test.

use crate::dialect::surfaces::Origin::{Author, Document, Setting};
use crate::dialect::surfaces::Surface::{Nothing, Parts, Sealed, Source, Text, Tree};
use crate::dialect::surfaces::{Origin, Row, Surface};

/// Fields of the request itself.
const REQUEST: &[Row] = &[
    ("/model", Text, Setting),
    ("/max_tokens", Nothing, Setting),
    ("/messages/*/role", Nothing, Setting),
    ("/messages/*/content", Parts, Author),
    ("/system", Parts, Author),
    ("/output_config/effort", Nothing, Setting),
    ("/output_config/format/type", Nothing, Setting),
    ("/output_config/format/schema", Tree, Document),
    ("/speed", Nothing, Setting),
    ("/thinking/type", Nothing, Setting),
    ("/thinking/budget_tokens", Nothing, Setting),
    ("/thinking/display", Nothing, Setting),
    ("/tool_choice/type", Nothing, Setting),
    ("/tool_choice/name", Text, Setting),
    ("/tool_choice/disable_parallel_tool_use", Nothing, Setting),
    ("/container", Text, Setting),
    ("/container/id", Text, Setting),
    ("/container/skills/*/skill_id", Text, Setting),
    ("/container/skills/*/type", Nothing, Setting),
    ("/container/skills/*/version", Text, Setting),
    ("/diagnostics/previous_message_id", Text, Setting),
    ("/inference_geo", Text, Setting),
    ("/metadata/user_id", Text, Setting),
    ("/service_tier", Nothing, Setting),
    ("/stop_sequences/*", Text, Setting),
    ("/stream", Nothing, Setting),
    ("/temperature", Nothing, Setting),
    ("/top_k", Nothing, Setting),
    ("/top_p", Nothing, Setting),
];

const CACHE: &[Row] = &[("/cache_control/type", Nothing, Setting), ("/cache_control/ttl", Nothing, Setting)];

const KIND: &[Row] = &[("/type", Nothing, Setting)];

/// A text, and what it cites.
const TEXT: &[Row] = &[
    ("/text", Text, Author),
    ("/citations/*/type", Nothing, Setting),
    ("/citations/*/cited_text", Text, Document),
    ("/citations/*/document_index", Nothing, Setting),
    ("/citations/*/document_title", Text, Document),
    ("/citations/*/file_id", Text, Setting),
    ("/citations/*/start_char_index", Nothing, Setting),
    ("/citations/*/end_char_index", Nothing, Setting),
    ("/citations/*/start_page_number", Nothing, Setting),
    ("/citations/*/end_page_number", Nothing, Setting),
    ("/citations/*/start_block_index", Nothing, Setting),
    ("/citations/*/end_block_index", Nothing, Setting),
    ("/citations/*/search_result_index", Nothing, Setting),
    ("/citations/*/encrypted_index", Sealed, Setting),
    ("/citations/*/title", Text, Document),
    ("/citations/*/url", Text, Setting),
    ("/citations/*/source", Text, Setting),
];

/// What pictures and documents are made of.
const SOURCE: &[Row] = &[
    ("/source/type", Nothing, Setting),
    ("/source/media_type", Nothing, Setting),
    ("/source/data", Source, Author),
    ("/source/url", Text, Setting),
    ("/source/file_id", Text, Setting),
];

const IMAGE: &[Row] = &[("/transformations/oversized_image", Nothing, Setting)];

const DOCUMENT: &[Row] = &[
    ("/source/content", Parts, Author),
    ("/title", Text, Author),
    ("/context", Text, Author),
    ("/citations/enabled", Nothing, Setting),
];

/// What somebody found; the title is a document's too.
const SEARCH_RESULT: &[Row] = &[("/source", Text, Setting), ("/content", Parts, Author)];

/// What a model thought. The provider signed it, so it cannot be rewritten: see the request.
const THINKING: &[Row] =
    &[("/thinking", Text, Author), ("/signature", Sealed, Setting), ("/data", Sealed, Setting)];

/// Calls of tools, and what their results are called by.
const CALL: &[Row] = &[
    ("/id", Text, Setting),
    ("/name", Text, Setting),
    ("/input", Tree, Author),
    ("/caller/type", Nothing, Setting),
    ("/caller/tool_id", Text, Setting),
    ("/toolset_name", Text, Setting),
    ("/tool_use_id", Text, Setting),
    ("/is_error", Nothing, Setting),
    ("/file_id", Text, Setting),
];

/// What lies in the results of a client's tools and of searches.
const RESULT: &[Row] = &[
    ("/tool_name", Text, Setting),
    ("/tabs/*/tab_id", Text, Setting),
    ("/tabs/*/title", Text, Author),
    ("/tabs/*/url", Text, Setting),
    ("/tabs/*/active", Nothing, Setting),
    ("/state_changes/*/type", Nothing, Setting),
    ("/state_changes/*/tab_id", Text, Setting),
    ("/state_changes/*/download_id", Text, Setting),
    ("/state_changes/*/url", Text, Setting),
    ("/state_changes/*/path", Text, Setting),
    ("/state_changes/*/size_bytes", Nothing, Setting),
    ("/state_changes/*/error", Text, Author),
    ("/url", Text, Setting),
    ("/encrypted_content", Sealed, Setting),
    ("/page_age", Text, Setting),
];

/// The result of a provider's tool, where it is one object.
const OUTCOME: &[Row] = &[
    ("/content", Parts, Author),
    ("/content/*/type", Nothing, Setting),
    ("/content/*/file_id", Text, Setting),
    ("/error_code", Text, Setting),
    ("/error_message", Text, Author),
    ("/url", Text, Setting),
    ("/retrieved_at", Text, Setting),
    ("/return_code", Nothing, Setting),
    ("/stderr", Text, Author),
    ("/stdout", Text, Author),
    ("/encrypted_stdout", Sealed, Setting),
    ("/file_type", Nothing, Setting),
    ("/num_lines", Nothing, Setting),
    ("/start_line", Nothing, Setting),
    ("/total_lines", Nothing, Setting),
    ("/is_file_update", Nothing, Setting),
    ("/lines/*", Text, Author),
    ("/new_lines", Nothing, Setting),
    ("/new_start", Nothing, Setting),
    ("/old_lines", Nothing, Setting),
    ("/old_start", Nothing, Setting),
    ("/tool_references/*/type", Nothing, Setting),
    ("/tool_references/*/tool_name", Text, Setting),
    ("/tool_references/*/cache_control/type", Nothing, Setting),
    ("/tool_references/*/cache_control/ttl", Nothing, Setting),
];

/// A tool that a client offers, or asks the provider for.
const TOOL: &[Row] = &[
    ("/name", Text, Setting),
    ("/description", Text, Document),
    ("/input_schema", Tree, Document),
    ("/input_examples/*", Tree, Document),
    ("/eager_input_streaming", Nothing, Setting),
    ("/allowed_callers/*", Nothing, Setting),
    ("/defer_loading", Nothing, Setting),
    ("/strict", Nothing, Setting),
    ("/max_characters", Nothing, Setting),
    ("/allowed_domains/*", Text, Setting),
    ("/blocked_domains/*", Text, Setting),
    ("/max_uses", Nothing, Setting),
    ("/max_content_tokens", Nothing, Setting),
    ("/response_inclusion", Nothing, Setting),
    ("/use_cache", Nothing, Setting),
    ("/user_location/type", Nothing, Setting),
    ("/user_location/city", Text, Setting),
    ("/user_location/country", Text, Setting),
    ("/user_location/region", Text, Setting),
    ("/user_location/timezone", Text, Setting),
    ("/citations/enabled", Nothing, Setting),
    ("/url_sources/client_tool_results/type", Nothing, Setting),
    ("/url_sources/client_tool_results/tools/*/type", Nothing, Setting),
    ("/url_sources/client_tool_results/tools/*/name", Text, Setting),
    ("/url_sources/server_tool_results/type", Nothing, Setting),
    ("/url_sources/server_tool_results/tools/*/type", Nothing, Setting),
    ("/url_sources/server_tool_results/tools/*/name", Text, Setting),
    ("/url_sources/user_input/type", Nothing, Setting),
    ("/url_sources/user_input/tools/*/type", Nothing, Setting),
    ("/url_sources/user_input/tools/*/name", Text, Setting),
    ("/configs", Tree, Setting),
];

/// Where blocks stand, and what may stand there. `Author` is who wrote the block: see the request.
const PLACES: &[(&str, &[&[Row]])] = &[
    ("", &[REQUEST, CACHE]),
    ("/system/*", &[KIND, TEXT, CACHE]),
    ("/messages/*/content/*", &[KIND, TEXT, CACHE, SOURCE, IMAGE, DOCUMENT, SEARCH_RESULT, THINKING, CALL]),
    ("/messages/*/content/*/source/content/*", &[KIND, TEXT, CACHE, SOURCE, IMAGE]),
    ("/messages/*/content/*/content/*", &[KIND, TEXT, CACHE, SOURCE, IMAGE, DOCUMENT, SEARCH_RESULT, RESULT]),
    ("/messages/*/content/*/content/*/content/*", &[KIND, TEXT, CACHE]),
    ("/messages/*/content/*/content/*/source/content/*", &[KIND, TEXT, CACHE, SOURCE, IMAGE]),
    ("/messages/*/content/*/content", &[KIND, OUTCOME]),
    ("/messages/*/content/*/content/content", &[KIND, CACHE, SOURCE, DOCUMENT]),
    ("/messages/*/content/*/content/content/source/content/*", &[KIND, TEXT, CACHE, SOURCE, IMAGE]),
    ("/tools/*", &[KIND, CACHE, TOOL]),
];

/// Every field of the request.
pub(crate) fn surfaces() -> Vec<(String, Surface, Origin)> {
    let groups = PLACES.iter().flat_map(|(place, groups)| groups.iter().map(move |group| (place, group)));
    groups
        .flat_map(|(place, group)| group.iter().map(move |row| (place, row)))
        .map(|(place, (path, surface, origin))| ([place, *path].concat(), *surface, *origin))
        .collect()
}

/// What stands in an answer: each text with a place that it stands in.
pub(crate) const ANSWERS: &[(&str, &str)] = &[
    ("content", "/content/0/text"),
    ("reasoning", "/content/0/thinking"),
    ("tool arguments", "/content/0/input/note"),
    ("everything else", "/content/0/citations/0/document_title"),
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dialect::anthropic::CONTRACT;
    use crate::dialect::surfaces::tests::check_table;

    #[test]
    fn every_field_of_the_contract_is_in_the_table_and_every_row_is_a_field() {
        let rows = surfaces();
        let sealed = ["/signature", "/data", "/encrypted_index", "/encrypted_content", "/encrypted_stdout"];
        let is_sealed =
            |path: &str| sealed.iter().any(|end| path.ends_with(end)) && !path.ends_with("/source/data");
        let encoded: Vec<_> =
            rows.iter().map(|(path, ..)| path.as_str()).filter(|path| is_sealed(path)).collect();
        check_table(CONTRACT, "MessagesRequest", &rows, &encoded);
    }

    #[test]
    fn what_is_counted_is_a_part_of_what_is_asked() {
        let contract: Value = serde_json::from_str(CONTRACT).unwrap();
        let fields =
            |name: &str| contract["components"]["schemas"][name]["properties"].as_object().unwrap().clone();
        let (asked, counted) = (fields("MessagesRequest"), fields("CountTokensRequest"));
        assert!(counted.iter().all(|(name, field)| asked.get(name) == Some(field)));
    }
}
