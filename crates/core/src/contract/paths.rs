//! Which operation a path and a method name.
//!
//! A tree of segments. At each step fixed text goes before text with a hole in it, and that before a hole alone
//! (OpenAPI 3.1 section 4.8.8.2), with a way back when the rest does not fit.

use std::sync::Arc;

use http::Method;
use rustc_hash::FxHashMap;

use super::{OperationIndex, PathParameters};

/// What a path and a method lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// An operation, with its path parameters.
    Operation(OperationIndex, PathParameters),
    /// The path exists, the method does not.
    MethodNotAllowed {
        /// Methods that do.
        allow: Vec<Method>,
    },
    /// There is no such path.
    NotFound,
}

/// Why a path template is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateFault {
    #[error("a path must start with `/`")]
    NoSlash,
    #[error("a path must not hold a query or fragment")]
    Query,
    #[error("a path must not hold an empty segment, `.` or `..`")]
    Segment,
    #[error("braces do not pair")]
    Braces,
    #[error("two parameters stand side by side with nothing between")]
    Adjacent,
    #[error("the parameter `{0}` stands in the path twice")]
    Twice(Box<str>),
    #[error("percent-encoding is not well-formed")]
    Encoding,
    #[error("the path matches the same requests as `{0}`")]
    Ambiguous(Box<str>),
}

/// A path template, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    segments: Vec<Vec<Part>>,
    pub(super) names: Vec<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Hole,
}

impl Template {
    pub(super) fn parse(template: &str) -> Result<Self, TemplateFault> {
        let rest = template.strip_prefix('/').ok_or(TemplateFault::NoSlash)?;
        if template.contains(['?', '#']) {
            return Err(TemplateFault::Query);
        }
        let mut parsed = Self { segments: Vec::new(), names: Vec::new() };
        let last = rest.split('/').count() - 1;
        for (index, segment) in rest.split('/').enumerate() {
            if matches!(segment, "." | "..") || segment.is_empty() && index != last {
                return Err(TemplateFault::Segment);
            }
            let parts = parsed.parts(segment)?;
            parsed.segments.push(parts);
        }
        Ok(parsed)
    }

    fn parts(&mut self, segment: &str) -> Result<Vec<Part>, TemplateFault> {
        let (mut parts, mut rest) = (Vec::new(), segment);
        while let Some((text, hole)) = rest.split_once('{') {
            let (name, after) = hole.split_once('}').ok_or(TemplateFault::Braces)?;
            if text.contains('}') || name.contains('{') || name.is_empty() {
                return Err(TemplateFault::Braces);
            }
            if !text.is_empty() {
                parts.push(Part::Text(decoded(text)?));
            } else if parts.last() == Some(&Part::Hole) {
                return Err(TemplateFault::Adjacent);
            }
            if self.names.iter().any(|known| **known == *name) {
                return Err(TemplateFault::Twice(name.into()));
            }
            self.names.push(name.into());
            parts.push(Part::Hole);
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateFault::Braces);
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(decoded(rest)?));
        }
        Ok(parts)
    }
}

fn decoded(text: &str) -> Result<Box<str>, TemplateFault> {
    let broken = text.match_indices('%').any(|(at, _)| {
        !text.get(at + 1..at + 3).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    let text =
        percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| TemplateFault::Encoding)?;
    if broken || text.contains('/') { Err(TemplateFault::Encoding) } else { Ok(text.into()) }
}

/// All paths of a contract.
#[derive(Debug, Default)]
pub(super) struct Paths {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    fixed: FxHashMap<Box<str>, Self>,
    /// Those with the most fixed text first.
    open: Vec<(Vec<Part>, Self)>,
    leaf: Option<Leaf>,
}

/// What ends at a node. Real documents name a parameter differently for different methods, so each has its own.
#[derive(Debug, Default)]
struct Leaf {
    methods: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    method: Method,
    operation: OperationIndex,
    template: Arc<str>,
    names: Arc<[Box<str>]>,
}

impl Paths {
    /// Adds a path with its methods.
    pub(super) fn insert(
        &mut self,
        template: &str,
        parsed: Template,
        methods: Vec<(Method, OperationIndex)>,
    ) -> Result<(), TemplateFault> {
        let mut node = &mut self.root;
        for parts in parsed.segments {
            node = node.child(parts);
        }
        let leaf = node.leaf.get_or_insert_default();
        let (template, names) = (Arc::<str>::from(template), Arc::from(parsed.names));
        for (method, operation) in methods {
            if let Some(known) = leaf.methods.iter().find(|known| known.method == method) {
                return Err(TemplateFault::Ambiguous((&*known.template).into()));
            }
            let (template, names) = (Arc::clone(&template), Arc::clone(&names));
            leaf.methods.push(Entry { method, operation, template, names });
        }
        Ok(())
    }

    /// What `rest`, empty or starting with `/`, and `method` lead to.
    pub(super) fn find(&self, method: &Method, rest: &str) -> Found {
        let mut values = Vec::new();
        let Some(leaf) = self.root.find(rest.strip_prefix('/').unwrap_or(rest), &mut values) else {
            return Found::NotFound;
        };
        match leaf.methods.iter().find(|entry| entry.method == *method) {
            Some(entry) => {
                let values = entry.names.iter().cloned().zip(values.into_iter().map(Box::from)).collect();
                Found::Operation(entry.operation, PathParameters(values))
            }
            None => Found::MethodNotAllowed {
                allow: leaf.methods.iter().map(|entry| entry.method.clone()).collect(),
            },
        }
    }
}

impl Node {
    fn child(&mut self, parts: Vec<Part>) -> &mut Self {
        if let [Part::Text(text)] = parts.as_slice() {
            return self.fixed.entry(text.clone()).or_default();
        }
        let weight = |parts: &[Part]| -> usize {
            parts.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum()
        };
        let at = match self.open.iter().position(|(known, _)| *known == parts) {
            Some(at) => at,
            None => {
                let at = self.open.partition_point(|(known, _)| weight(known) >= weight(&parts));
                self.open.insert(at, (parts, Self::default()));
                at
            }
        };
        // INVARIANT: `at` was just found or inserted; the fixed child is never reached.
        match self.open.get_mut(at) {
            Some((_, node)) => node,
            None => self.fixed.entry("".into()).or_default(),
        }
    }

    fn find<'n, 'p>(&'n self, rest: &'p str, values: &mut Vec<&'p str>) -> Option<&'n Leaf> {
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        if let Some(leaf) = self.fixed.get(segment).and_then(|node| node.go_on(after, values)) {
            return Some(leaf);
        }
        for (parts, node) in &self.open {
            let known = values.len();
            if fill(parts, segment, values)
                && let Some(leaf) = node.go_on(after, values)
            {
                return Some(leaf);
            }
            values.truncate(known);
        }
        None
    }

    fn go_on<'n, 'p>(&'n self, after: Option<&'p str>, values: &mut Vec<&'p str>) -> Option<&'n Leaf> {
        match after {
            None => self.leaf.as_ref(),
            Some(rest) => self.find(rest, values),
        }
    }
}

/// Whether `segment` fits `parts` in exactly one way; pushes what fills the holes.
fn fill<'p>(parts: &[Part], segment: &'p str, values: &mut Vec<&'p str>) -> bool {
    let mut rest = segment;
    let mut is_open = false;
    for (index, part) in parts.iter().enumerate() {
        let Part::Text(text) = part else {
            is_open = true;
            continue;
        };
        if !is_open {
            let Some(after) = rest.strip_prefix(&**text) else { return false };
            rest = after;
            continue;
        }
        let found = if index + 1 == parts.len() {
            rest.strip_suffix(&**text).map(|value| (value, ""))
        } else {
            // Where the text between two holes occurs twice, the upstream could split elsewhere: no match.
            rest.split_once(&**text).filter(|(value, _)| rest.rfind(&**text) == Some(value.len()))
        };
        let Some((value, after)) = found.filter(|(value, _)| !value.is_empty()) else { return false };
        values.push(value);
        (rest, is_open) = (after, false);
    }
    if is_open {
        values.push(rest);
        return !rest.is_empty();
    }
    rest.is_empty()
}
