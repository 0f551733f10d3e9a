//! Secrets: held, never shown.

use std::fmt;

use zeroize::Zeroizing;

/// A text that must not be seen: no `Display`, no `Serialize`, a `Debug` that says nothing, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text; the caller should keep no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends or signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Where a secret is: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference<'t> {
    /// `env:NAME`
    Variable(&'t str),
    /// `file:path`
    File(&'t str),
}

/// Why a text is not a reference to a secret. Deliberately without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAReference {
    /// The text is (or may be) the secret itself.
    Inline,
    /// `vault:` comes in a later version.
    Later,
    /// `env:` or `file:` and nothing behind it, or no name of a variable.
    Empty,
}

impl<'t> Reference<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, NotAReference> {
        if let Some(name) = text.strip_prefix("env:") {
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if is_name { Ok(Self::Variable(name)) } else { Err(NotAReference::Empty) };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.is_empty() { Err(NotAReference::Empty) } else { Ok(Self::File(path)) };
        }
        Err(if text.starts_with("vault:") { NotAReference::Later } else { NotAReference::Inline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
    }

    #[test]
    fn only_references_are_taken() {
        assert_eq!(Reference::parse("env:KEY_1"), Ok(Reference::Variable("KEY_1")));
        assert_eq!(Reference::parse("file:keys/a"), Ok(Reference::File("keys/a")));
        assert_eq!(Reference::parse("sk-123"), Err(NotAReference::Inline));
        assert_eq!(Reference::parse("vault:kv/a#b"), Err(NotAReference::Later));
        assert_eq!(Reference::parse("env:"), Err(NotAReference::Empty));
        assert_eq!(Reference::parse("env:sk-abc"), Err(NotAReference::Empty));
    }
}
