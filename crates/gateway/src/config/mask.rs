//! Keeps secrets out of the lines that diagnostics print, also where the file is too broken to be understood.

use super::tree::Span;

/// How keys end whose value, when it is a text and no reference, may be a secret.
const SECRET_KEYS: [&str; 10] = [
    "credential",
    "credentials",
    "token",
    "secret",
    "password",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "authorization",
];

/// The line with every value masked that follows a key of a secret and is no reference to one.
pub(crate) fn line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(':') {
        out.push_str(before);
        out.push(':');
        rest = after;
        if is_secret_key(before) {
            let blanks = rest.len().saturating_sub(rest.trim_start_matches([' ', '"', '\'']).len());
            let (blank, value) = rest.split_at_checked(blanks).unwrap_or((rest, ""));
            out.push_str(blank);
            let length = secret_length(value, blank);
            let (hidden, after) = value.split_at_checked(length).unwrap_or((value, ""));
            out.extend(hidden.chars().map(|_| '*'));
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The line with the characters of `at` masked.
pub(crate) fn span(line: &str, at: Span) -> String {
    let begin = usize::try_from(at.column).unwrap_or(usize::MAX).saturating_sub(1);
    let end = begin.saturating_add(usize::try_from(at.length).unwrap_or(usize::MAX));
    line.chars().enumerate().map(|(i, c)| if (begin..end).contains(&i) { '*' } else { c }).collect()
}

/// Whether a key holds secrets by its name. Also used for keys that are unknown.
pub(crate) fn is_secret_key(before: &str) -> bool {
    let key = before.trim_end_matches(['"', '\'', ' ']);
    let key = key.rsplit(['{', ',', ' ', '"', '\'', '\t']).next().unwrap_or_default();
    let key = key.to_ascii_lowercase();
    key == "value" || SECRET_KEYS.iter().any(|secret| key.ends_with(secret))
}

/// How many bytes of `value` must be hidden.
fn secret_length(value: &str, blank: &str) -> usize {
    let is_reference = ["env:", "file:", "vault:"].iter().any(|scheme| value.starts_with(scheme));
    if is_reference || value.starts_with(['{', '|', '>', '#']) || blank.is_empty() {
        return 0;
    }
    if value.starts_with(['[', '&']) {
        return value.len();
    }
    let ends: &[char] = match blank.trim_start().chars().next() {
        Some('"') => &['"'],
        Some('\'') => &['\''],
        _ => &[',', '}', '#'],
    };
    value.find(ends).unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_columns_kept() {
        let check = |text, expected| assert_eq!(line(text), expected);
        check("credential: sk-123", "credential: ******");
        check(
            "a: { url: \"http://x\", credential: \"sk-1, 2\" }",
            "a: { url: \"http://x\", credential: \"*******\" }",
        );
        check("{ value: 'hunter2', scheme: Bearer }", "{ value: '*******', scheme: Bearer }");
        check("credential: env:NAME", "credential: env:NAME");
        check("credential: { value: file:a }", "credential: { value: file:a }");
        check("\"apiKey\": \"abc\"", "\"apiKey\": \"***\"");
        check("max_lifetime: 15m", "max_lifetime: 15m");
        check("token: héllo # note", "token: ******# note");
        check("credential: [a, b]", "credential: ******");
        check("tokens: 50k/hour", "tokens: 50k/hour");
    }

    #[test]
    fn a_span_is_hidden() {
        assert_eq!(span("é: abc d", Span { line: 1, column: 4, length: 3 }), "é: *** d");
    }
}
