//! What is wrong with a document, and where.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One thing that keeps a document from being a contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    /// Where: a JSON pointer into the document (RFC 6901).
    pub pointer: String,
    /// What is wrong: lower case, no final period.
    pub message: String,
}

/// A place in the document, built on the way down without allocating.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    above: Option<&'a Self>,
    segment: &'a str,
}

impl<'a> Place<'a> {
    /// The place that `pointer`, itself a JSON pointer, names.
    pub(super) fn root(pointer: &'a str) -> Self {
        Self { above: None, segment: pointer }
    }

    /// The place of the member `segment` below this one.
    pub(super) fn join(&'a self, segment: &'a str) -> Self {
        Self { above: Some(self), segment }
    }

    /// The last member on the way to this place.
    pub(super) fn segment(&self) -> &'a str {
        self.segment
    }

    /// The JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let Some(above) = self.above else { return self.segment.to_owned() };
        let mut pointer = above.pointer();
        pointer.push('/');
        pointer.push_str(&escaped(self.segment));
        pointer
    }

    /// Whether this is an extension member (`x-…`).
    pub(super) fn is_extension(&self) -> bool {
        self.segment.starts_with("x-")
    }

    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { pointer: self.pointer(), message: message.into() }
    }
}

/// `segment` as it stands in a JSON pointer.
pub(crate) fn escaped(segment: &str) -> Cow<'_, str> {
    if !segment.contains(['~', '/']) {
        return Cow::Borrowed(segment);
    }
    let mut out = String::with_capacity(segment.len() + 4);
    for one in segment.chars() {
        match one {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// `pointer` with one more member.
pub(super) fn joined(pointer: &str, segment: &str) -> String {
    let mut out = String::with_capacity(pointer.len() + segment.len() + 1);
    // A write to a string cannot fail.
    let _ = write!(out, "{pointer}/{}", escaped(segment));
    out
}
