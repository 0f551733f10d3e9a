//! One canonical path out of many spellings, or a refusal.

/// A decoded path with one reading: starts with `/`, no empty, `.` or `..` segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath(Box<str>);

impl CanonicalPath {
    /// The decoded path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
