//! Fences: the tags around what others wrote, known by a code that was drawn for one request.

/// A code nobody could guess: ten letters and digits, fifty bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; 10]);

/// Thirty-two signs that are not taken for one another.
const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Tags begin so.
const OPEN: &str = "<document-";
const CLOSE: &str = "</document-";
/// What stands for a space in marked text: U+02C6, which text has no other use for.
pub(crate) const MARK: char = '\u{2c6}';

/// How what others wrote is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// Whether its words are joined by a mark in place of spaces.
    pub marks: bool,
    /// Of the request.
    pub code: Code,
}

impl Code {
    /// The code for these random bytes.
    pub fn new(random: [u8; 10]) -> Self {
        Self(random.map(|byte| SIGNS.get(usize::from(byte % 32)).copied().unwrap_or(b'a')))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A canary for these random bytes: sixteen letters and digits, eighty bits.
pub fn canary(random: [u8; 16]) -> String {
    random.iter().filter_map(|byte| SIGNS.get(usize::from(byte % 32))).map(|sign| char::from(*sign)).collect()
}

impl Fence {
    /// The tags of the request.
    pub(crate) fn tags(&self) -> [String; 2] {
        [OPEN, CLOSE].map(|start| [start, self.code.as_str(), ">"].concat())
    }

    /// Puts `text` behind the fence. What looks like a fence in it is changed so that it is none; the count says how
    /// often.
    pub(crate) fn around(&self, text: &str) -> (String, usize) {
        let [open, close] = self.tags();
        let (text, forged) = without_fences(text);
        let text = if self.marks { text.replace(' ', MARK.encode_utf8(&mut [0; 2])) } else { text };
        ([&*open, "\n", &*text, "\n", &*close].concat(), forged)
    }
}

/// The text with every sign that opens something like a fence taken for a word: `<document-` becomes `(document-`.
fn without_fences(text: &str) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    let mut forged = 0;
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let is_fence = is_like_fence(from);
        forged += usize::from(is_fence);
        out.push(if is_fence { '(' } else { '<' });
        rest = from.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    (out, forged)
}

/// Whether a tag with the name of a fence opens here, however it is spaced and whatever its case.
fn is_like_fence(from: &str) -> bool {
    let is_filler = |c: char| c == '/' || c == '<' || c.is_whitespace();
    let name = from.get(1..).unwrap_or_default().trim_start_matches(is_filler);
    let (Some(word), Some(rest)) = (name.get(..8), name.get(8..)) else { return false };
    word.eq_ignore_ascii_case("document")
        && rest
            .trim_start()
            .starts_with(['-', '_', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2212}'])
}

/// Takes the fences of a request out of what its model says.
#[derive(Debug)]
pub(super) struct Unfence {
    tags: [String; 2],
    marks: bool,
    held: String,
}

impl Unfence {
    pub(super) fn new(fence: Fence) -> Self {
        Self { tags: fence.tags(), marks: fence.marks, held: String::new() }
    }

    /// Takes a piece and appends to `out` what is no fence.
    pub(super) fn push(&mut self, piece: &str, is_last: bool, out: &mut String) {
        let from = out.len();
        if self.held.is_empty() && !piece.contains('<') {
            out.push_str(piece);
        } else {
            self.held.push_str(piece);
            let text = std::mem::take(&mut self.held);
            let mut rest = text.as_str();
            while let Some(at) = rest.find('<') {
                let (before, tag) = rest.split_at(at);
                out.push_str(before);
                if let Some(after) = self.tags.iter().find_map(|own| tag.strip_prefix(own.as_str())) {
                    rest = after;
                } else if !is_last && self.tags.iter().any(|own| own.starts_with(tag)) {
                    self.held.push_str(tag);
                    rest = "";
                } else {
                    out.push('<');
                    rest = tag.get(1..).unwrap_or_default();
                }
            }
            out.push_str(rest);
        }
        if self.marks && out.get(from..).is_some_and(|new| new.contains(MARK)) {
            let plain = out.get(from..).unwrap_or_default().replace(MARK, " ");
            out.truncate(from);
            out.push_str(&plain);
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }
}
