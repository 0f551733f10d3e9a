//! Text that a reader of the page does not see: in comments, behind styles, in attributes.

use std::ops::Range;

use super::map::{How, Rewrite};
use super::unicode::Step;

/// What markup keeps apart: the texts that are not shown, and the text that is.
#[derive(Debug, Default)]
pub(super) struct Markup {
    /// Ranges that only a machine reads.
    pub(super) hidden: Vec<Range<usize>>,
    /// Ranges that are not part of the shown text: the tags, and what is hidden.
    unseen: Vec<Range<usize>>,
    /// Elements that were followed. Each may cost [`ELEMENT_BYTES`], so there is an end to them.
    elements: usize,
}

/// Attributes whose value is prose.
const PROSE: [&str; 8] =
    ["alt", "title", "aria-label", "aria-description", "content", "placeholder", "summary", "data-content"];
/// What in the style of an element hides its text; compared without spaces.
const HIDING: [&str; 32] = [
    "display:none",
    "visibility:hidden",
    "visibility:collapse",
    "content-visibility:hidden",
    "opacity:0",
    "font-size:0",
    "font-size:1px",
    "color:white",
    "color:#fff",
    "color:#ffffff",
    "color:transparent",
    "color:rgb(255,255,255)",
    "color:rgba(255,255,255",
    "color:rgba(0,0,0,0)",
    "color=\"white",
    "color='white",
    "color=white",
    "color=\"#fff",
    "text-fill-color:transparent",
    "text-indent:-",
    "left:-9",
    "right:-9",
    "top:-9",
    "bottom:-9",
    "translate(-9",
    "scale(0",
    "clip:rect(0",
    "clip:rect(1px",
    "clip-path:inset(50%",
    "clip-path:inset(100%",
    "max-height:0",
    "line-height:0",
];
/// Classes by which style sheets hide text from eyes.
const HIDDEN_CLASSES: [&str; 6] =
    ["sr-only", "visually-hidden", "screen-reader-text", "d-none", "hidden", "invisible"];
/// Elements without an end.
const VOID: [&str; 8] = ["img", "br", "hr", "input", "meta", "link", "source", "wbr"];
/// How far an element is followed to its end, and how many are.
const ELEMENT_BYTES: usize = 16 << 10;
const ELEMENTS: usize = 64;
/// The longest tag, and the longest line of Markdown, that is read.
const TAG_BYTES: usize = 2048;
/// The longest text of an image.
const ALT_BYTES: usize = 512;

/// Reads tags, comments, and the Markdown that is not shown.
pub(super) fn read(text: &str) -> Markup {
    let mut markup = Markup::default();
    let mut at = 0;
    while let Some(found) = text.as_bytes().get(at..).and_then(|rest| memchr::memchr3(b'<', b'[', b'!', rest))
    {
        let start = at + found;
        let rest = text.get(start..).unwrap_or_default();
        let len = if rest.starts_with("<!--") {
            comment(rest, start, &mut markup)
        } else if rest.starts_with('<') {
            tag(rest, start, &mut markup)
        } else if rest.starts_with('[') {
            reference(rest, start, &mut markup)
        } else {
            image(rest, start, &mut markup)
        };
        at = start + len.max(1);
    }
    markup
}

impl Markup {
    /// The text as a reader sees it.
    pub(super) fn shown(&self, text: &str) -> Step {
        let mut rewrite = Rewrite::new(text);
        for range in &self.unseen {
            rewrite.replace(range.clone(), "", How::Whole);
        }
        rewrite.finish()
    }
}

/// The beginning of a text: what is sought for every sign of a text is sought nearby, or the cost would be its square.
fn head(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or_default()
}

fn comment(rest: &str, start: usize, markup: &mut Markup) -> usize {
    let body = rest.get(4..).unwrap_or_default();
    let (inner, len) = body.find("-->").map_or((body.len(), rest.len()), |end| (end, end + 7));
    markup.hidden.push(start + 4..start + 4 + inner);
    markup.unseen.push(start..start + len);
    len
}

/// An element's tag, with what it hides.
fn tag(rest: &str, start: usize, markup: &mut Markup) -> usize {
    let name_from = if rest.starts_with("</") { 2 } else { 1 };
    let after = rest.get(name_from..).unwrap_or_default();
    let name = after.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return 1;
    }
    let Some(len) = memchr::memchr(b'>', head(rest, TAG_BYTES).as_bytes()).map(|end| end + 1) else {
        return 1;
    };
    let attributes = rest.get(name_from + name.len()..len - 1).unwrap_or_default();
    if !attributes.is_empty() && !attributes.starts_with(|c: char| c.is_ascii_whitespace() || c == '/') {
        return 1;
    }
    let offset = start + name_from + name.len();
    for name in PROSE {
        if let Some(range) = attribute(attributes, name) {
            markup.hidden.push(offset + range.start..offset + range.end);
        }
    }
    let is_open = name_from == 1 && !VOID.iter().any(|void| void.eq_ignore_ascii_case(name));
    if is_open && (hides(attributes) || matches!(name, "template" | "noscript")) {
        let body = rest.get(len..).unwrap_or_default();
        markup.elements += 1;
        if markup.elements <= ELEMENTS
            && let Some((inner, whole)) = element(body, name)
        {
            markup.hidden.push(start + len..start + len + inner);
            markup.unseen.push(start..start + len + whole);
            return len + whole;
        }
    }
    markup.unseen.push(start..start + len);
    len
}

/// The value of an attribute.
fn attribute(attributes: &str, name: &str) -> Option<Range<usize>> {
    let lower = attributes.to_ascii_lowercase();
    let mut at = 0;
    loop {
        let found = at + lower.get(at..)?.find(name)?;
        at = found + name.len();
        let before = lower.as_bytes().get(found.checked_sub(1)?)?;
        let tail = lower.get(at..)?;
        let trimmed = tail.trim_start();
        let Some(value) = trimmed.strip_prefix('=') else { continue };
        if !before.is_ascii_whitespace() && !matches!(before, b'"' | b'\'') {
            continue;
        }
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let from = lower.len() - value.len() + 1;
        let len = lower.get(from..)?.find(quote)?;
        return (len > 0).then_some(from..from + len);
    }
}

/// Whether attributes hide what their element holds.
fn hides(attributes: &str) -> bool {
    if attributes.is_empty() {
        return false;
    }
    let mut lower = attributes.to_ascii_lowercase();
    let parts = || lower.split(|c: char| c.is_ascii_whitespace() || c == '/');
    let is_marked = parts().any(|part| part == "hidden" || part.starts_with("hidden="));
    let class = attribute(attributes, "class").and_then(|range| lower.get(range));
    let is_classed =
        class.is_some_and(|class| class.split_ascii_whitespace().any(|name| HIDDEN_CLASSES.contains(&name)));
    lower.retain(|c| !c.is_ascii_whitespace());
    is_marked
        || is_classed
        || ["aria-hidden=\"true", "aria-hidden='true", "aria-hidden=true"].iter().any(|it| lower.contains(it))
        || HIDING.iter().any(|style| {
            // What is hidden is the text, not what stands behind it: `background-color:white` hides nothing.
            lower.match_indices(style).any(|(at, _)| {
                let before = lower.get(..at).unwrap_or_default();
                let after = lower.get(at + style.len()..).unwrap_or_default();
                let digits = after.bytes().take_while(u8::is_ascii_digit).count();
                let is_of_other =
                    (before.ends_with('-') && style.starts_with(['c', 'o'])) || before.ends_with("bg");
                let is_far =
                    if style.ends_with("-9") { digits > 1 } else { digits == 0 || style.ends_with('-') };
                !is_of_other && !after.starts_with('.') && is_far
            })
        })
}

/// How long the body of an element is, without and with its end tag.
fn element(body: &str, name: &str) -> Option<(usize, usize)> {
    let mut depth = 1_usize;
    let mut at = 0;
    while at < ELEMENT_BYTES {
        at += body.get(at..)?.find('<')?;
        let rest = body.get(at..)?;
        let is_end = rest.starts_with("</");
        let from = if is_end { 2 } else { 1 };
        let named = rest.get(from..from + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name));
        let is_whole = rest.as_bytes().get(from + name.len()).is_some_and(|b| !b.is_ascii_alphanumeric());
        if named && is_whole {
            if is_end {
                depth -= 1;
                if depth == 0 {
                    return Some((at, at + rest.find('>')? + 1));
                }
            } else {
                depth += 1;
            }
        }
        at += 1;
    }
    None
}

/// `[//]: # (text)`, `[comment]: <> (text)`: link targets that nothing links to.
fn reference(rest: &str, start: usize, markup: &mut Markup) -> usize {
    let line = head(rest, TAG_BYTES).lines().next().unwrap_or_default();
    let Some((label, target)) = line.split_once("]:") else { return link(rest, start, markup) };
    if label.len() > 64 || !matches!(target.trim_start().chars().next(), Some('#' | '<')) {
        return 1;
    }
    let Some(from) = target.find(['(', '"', '\'']) else { return 1 };
    let from = label.len() + 2 + from + 1;
    let to = line.trim_end().trim_end_matches([')', '"', '\'']).len();
    if from >= to {
        return 1;
    }
    markup.hidden.push(start + from..start + to);
    markup.unseen.push(start..start + line.len());
    line.len()
}

/// `](target "title")`: the title of a link.
fn link(rest: &str, start: usize, markup: &mut Markup) -> usize {
    let line = head(rest, TAG_BYTES).lines().next().unwrap_or_default();
    let Some(open) = line.find("](") else { return 1 };
    let target = line.get(open + 2..).unwrap_or_default();
    let target = target.split(')').next().unwrap_or_default();
    if let Some(quote) = target.find(" \"") {
        let from = open + 2 + quote + 2;
        let to = open + 2 + target.trim_end_matches('"').len();
        if from < to {
            markup.hidden.push(start + from..start + to);
        }
    }
    open + 1
}

/// `![text](target)`: shown only where the image is not.
fn image(rest: &str, start: usize, markup: &mut Markup) -> usize {
    let Some(body) = rest.strip_prefix("![") else { return 1 };
    let Some(len) = head(body, ALT_BYTES).find("](").filter(|len| *len > 0) else { return 1 };
    markup.hidden.push(start + 2..start + 2 + len);
    2 + len
}
