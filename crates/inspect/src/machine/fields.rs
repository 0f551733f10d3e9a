//! Fields that have a screen of their own.

use super::Screen;

/// Screens by where a text stands: the longest way that leads there counts.
#[derive(Debug, Default)]
pub(super) struct Fields(Box<[(Box<str>, Screen)]>);

impl Fields {
    /// JSON pointers, with `*` for any element or name, and what is looked for there and below.
    pub(super) fn new(mut fields: Vec<(Box<str>, Screen)>) -> Self {
        fields.sort_by_key(|(way, _)| std::cmp::Reverse(way.matches('/').count()));
        Self(fields.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The screen of what stands at `pointer`, if it has one of its own.
    pub(super) fn at(&self, pointer: &str) -> Option<&Screen> {
        self.0.iter().find(|(way, _)| covers(way, pointer)).map(|(_, screen)| screen)
    }
}

/// Whether `pointer` is `way` or leads on from it.
fn covers(way: &str, pointer: &str) -> bool {
    let mut steps = pointer.split('/');
    way.split('/').all(|expected| steps.next().is_some_and(|step| expected == "*" || expected == step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_covers_what_is_below_it() {
        for (way, pointer, expected) in [
            ("/metadata", "/metadata", true),
            ("/metadata", "/metadata/a/b", true),
            ("/metadata", "/metadatax", false),
            ("/messages/*/content", "/messages/3/content/0/text", true),
            ("/messages/*/content", "/messages/*/content", true),
            ("/messages/*/content", "/messages/3", false),
        ] {
            assert_eq!(covers(way, pointer), expected, "{way} {pointer}");
        }
    }
}
