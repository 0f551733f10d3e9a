//! Words that are understood in order to be refused well: what a later version brings, what is called otherwise.

/// Keys of a later version: the type, the key, what it is about.
const LATER_KEYS: [(&str, &str, &str); 11] = [
    ("File", "tools", "tool servers (MCP)"),
    ("File", "ledger", "the tamper-evident ledger; `record` writes plain records"),
    ("File", "state", "state shared by many gates; this version counts in one process"),
    ("Identity", "api_keys", "API keys"),
    ("Holder", "key_scope", "API keys"),
    ("Holder", "certificate", "client certificates (mutual TLS)"),
    ("Budget", "tokens", "budgets of tokens; `limit` counts requests"),
    ("Budget", "cost", "budgets of money; `limit` counts requests"),
    ("Budget", "when", "conditional budgets"),
    ("Issuer", "introspection", "token introspection (RFC 7662)"),
    ("PublicListener", "client_ca", "client certificates (mutual TLS)"),
];

/// Words of a later version: the type, the word.
const LATER_WORDS: [(&str, &str); 0] = [];

/// Keys that other gates, or earlier drafts, call otherwise: the type, their word, ours.
const CALLED_OTHERWISE: [(&str, &str, &str); 57] = [
    ("File", "routes", "apis"),
    ("File", "services", "apis"),
    ("File", "llms", "models"),
    ("File", "policies", "policy"),
    ("File", "log", "record"),
    ("File", "auth", "identity"),
    ("File", "authentication", "identity"),
    ("File", "listen", "listeners"),
    ("File", "server", "listeners"),
    ("Identity", "jwt", "issuers"),
    ("Identity", "providers", "issuers"),
    ("Api", "spec", "contract"),
    ("Api", "openapi", "contract"),
    ("Api", "schema", "contract"),
    ("Api", "prefix", "base_path"),
    ("Api", "path", "base_path"),
    ("Api", "backend", "upstream"),
    ("Api", "target", "upstream"),
    ("Api", "url", "upstream"),
    ("Api", "auth", "identify"),
    ("Api", "authentication", "identify"),
    ("Api", "authorization", "authorize"),
    ("Api", "rate_limit", "budgets"),
    ("Api", "rate_limits", "budgets"),
    ("Api", "limits", "budgets"),
    ("Api", "responses", "answers"),
    ("Api", "validate", "requests"),
    ("Model", "provider", "upstream"),
    ("Model", "backend", "upstream"),
    ("Model", "url", "upstream"),
    ("Model", "path", "base_path"),
    ("Model", "auth", "identify"),
    ("Model", "system_prompt", "system"),
    ("Model", "input", "prompt"),
    ("Model", "inspect", "prompt"),
    ("Model", "output", "answer"),
    ("Model", "screen", "answer"),
    ("Model", "rate_limits", "budgets"),
    ("Issuer", "jwks_uri", "jwks"),
    ("Issuer", "jwks_url", "jwks"),
    ("Issuer", "typ", "type"),
    ("Tls", "cert", "certificate"),
    ("Tls", "private_key", "key"),
    ("Upstream", "api_key", "credential"),
    ("Postgres", "username", "user"),
    ("Postgres", "dbname", "database"),
    ("Postgres", "address", "host"),
    ("Postgres", "sslmode", "tls"),
    ("Lookup", "sql", "query"),
    ("Lookup", "url", "upstream"),
    ("Ownership", "file", "path"),
    ("Role", "permissions", "may"),
    ("Role", "members", "held_by"),
    ("Role", "inherits", "includes"),
    ("Grant", "actions", "action"),
    ("Grant", "expires", "until"),
    ("Holder", "role", "group"),
];

/// What a key of a later version is about.
pub(crate) fn later_key(of: &str, key: &str) -> Option<&'static str> {
    LATER_KEYS.iter().find(|(in_type, name, _)| *in_type == of && *name == key).map(|(_, _, about)| *about)
}

/// Whether a later version knows the word.
pub(crate) fn is_later_word(of: &str, word: &str) -> bool {
    LATER_WORDS.contains(&(of, word))
}

/// What we call that key.
pub(crate) fn called_otherwise(of: &str, key: &str) -> Option<&'static str> {
    CALLED_OTHERWISE
        .iter()
        .find(|(in_type, name, _)| *in_type == of && *name == key)
        .map(|(_, _, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;

    #[test]
    fn every_row_names_a_type_and_a_key_that_exist() {
        let keys = |of: &str| schema::properties(of).unwrap_or_else(|| panic!("no type {of}"));
        for (of, key, _) in LATER_KEYS {
            assert!(!keys(of).contains_key(key), "{of}.{key} is in this version");
        }
        for (of, theirs, ours) in CALLED_OTHERWISE {
            assert!(keys(of).contains_key(ours) && !keys(of).contains_key(theirs), "{of}.{theirs}");
        }
    }
}
