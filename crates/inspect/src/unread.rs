//! What may pass though no detector can read it, as an operator wrote it.

/// What an operator wrote in `unread`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Unread {
    /// No detectors were written, so the defaults hold, which are about text and claim nothing more.
    #[default]
    Unclaimed,
    /// Detectors were written: what they cannot read passes only if it is listed.
    Only(Box<[Box<str>]>),
}

impl Unread {
    /// The word for messages of a WebSocket.
    pub const WEBSOCKET: &'static str = "websocket";

    /// These media types (`image/png`, `image/*`), in lower case, and [`Self::WEBSOCKET`].
    pub fn only(listed: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self::Only(listed.into_iter().map(Into::into).collect())
    }

    /// Whether a media type, in lower case, may pass unread.
    pub fn allows(&self, media: &str) -> bool {
        match self {
            Self::Unclaimed => true,
            Self::Only(listed) => listed.iter().any(|range| match range.strip_suffix('*') {
                Some(start) if start.ends_with('/') => media.starts_with(start),
                _ => **range == *media,
            }),
        }
    }

    /// Whether detectors were written, which then claim everything that is not listed.
    pub const fn is_claimed(&self) -> bool {
        matches!(self, Self::Only(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_passes_where_detectors_are_written() {
        let unread = Unread::only(["image/*", "application/pdf", Unread::WEBSOCKET]);
        for (media, expected) in [
            ("image/png", true),
            ("imagex/png", false),
            ("application/pdf", true),
            ("application/pdfx", false),
            ("application/zip", false),
            ("websocket", true),
            ("", false),
        ] {
            assert_eq!(unread.allows(media), expected, "{media}");
            assert!(Unread::Unclaimed.allows(media));
        }
        assert!(!Unread::only([""; 0]).allows("image/png"));
    }
}
