//! Names: media types, and ids for operations that have none.

/// The media type of an HTML form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The media type of a form with parts (RFC 7578).
pub(crate) const MULTIPART: &str = "multipart/form-data";

/// Whether a media type without parameters is JSON texts, one a line.
pub(crate) fn is_json_lines(essence: &str) -> bool {
    matches!(
        essence,
        "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/json-lines"
    )
}

/// A media type in lower case without its parameters.
pub(crate) fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type without parameters is JSON (RFC 6839 section 3.1).
pub(crate) fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// `get`, `/orders/{orderId}/lines` → `getOrdersOrderIdLines`.
pub(super) fn slug(method: &str, template: &str) -> String {
    let mut out = method.to_ascii_lowercase();
    for word in template.split(|one: char| !one.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.extend(letters);
    }
    out
}
