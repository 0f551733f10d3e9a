//! Active content: markup that runs, loads or redirects as soon as it is shown as HTML.
//!
//! Tags that are dangerous by name, event-handler attributes, and URLs with a scheme that executes.

use std::sync::LazyLock;

use super::cursor::{Cursor, More};
use super::phrase::Phrases;
use super::{Bytes, Match, Probe, Start, is_no_word};

/// Longest tag that is waited for; a longer one is cut there, and what is left of it is not a tag any more.
const LONGEST_TAG: usize = 512;

/// Elements that run or load something.
const TAGS: &[&str] = &[
    "script",
    "iframe",
    "frame",
    "frameset",
    "object",
    "embed",
    "applet",
    "base",
    "meta",
    "link",
    "svg:script",
    "isindex",
    "portal",
    "fencedframe",
    "xml",
    "bgsound",
    "layer",
    "import",
];

pub(super) const STARTS: &[Start] = &[
    Start {
        left: |_| true,
        bytes: Bytes::Words(&[b"<sc", b"<if", b"<fr", b"<ob", b"<em", b"<ap", b"<ba", b"<me", b"<li"]),
    },
    Start {
        left: |_| true,
        bytes: Bytes::Words(&[b"<sv", b"<is", b"<po", b"<fe", b"<xm", b"<bg", b"<la", b"<im"]),
    },
    Start {
        left: |b| is_no_word(b) && !matches!(b, b'.' | b'-'),
        bytes: Bytes::Classes([
            |b| matches!(b, b'o' | b'O'),
            |b| matches!(b, b'n' | b'N'),
            |b| b.is_ascii_alphabetic(),
        ]),
    },
    Start { left: is_no_word, bytes: Bytes::Classes([|b| matches!(b, b'j' | b'J'), is_split_a, is_split_v]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"vbs", b"dat", b"beh", b"moz"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"exp"]) },
];

/// `a`, or what browsers skip inside a scheme.
fn is_split_a(byte: u8) -> bool {
    matches!(byte, b'a' | b'A' | b'\t' | b'\n' | b'\r' | b'&')
}

fn is_split_v(byte: u8) -> bool {
    is_split_a(byte) || matches!(byte, b'v' | b'V' | b'#' | b't' | b'T' | b'n' | b'N')
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the patterns are constants, and the tests below compile them")]
    Phrases::new(&patterns()).expect("constant patterns compile")
});

/// What may stand between the letters of a scheme without a browser minding (WHATWG URL, basic URL parser).
const SKIPPED: &str = r"(?:[\t\r\n]|&(?:tab|newline);?|&#(?:x?0*(?:9|a|d|10|13));?){0,4}";

fn patterns() -> Vec<(&'static str, String)> {
    let spaced = |word: &str| word.chars().map(|c| c.to_string()).collect::<Vec<_>>().join(SKIPPED);
    let colon = r"(?::|&colon;?|&#(?:0{0,6}58|x0{0,6}3a);?|\\x3a|\\u003a|\\0{0,4}3a)";
    let handler = "on(?:abort|activate|after[a-z]{3,12}|animation[a-z]{3,12}|auxclick|before[a-z]{3,20}|begin|blur|bounce|cancel|canplay\
        (?:through)?|change|click|close|command|contextmenu|copy|cuechange|cut|dblclick|drag[a-z]{0,8}|drop|durationchange|emptied|end\
        |ended|error|finish|focus(?:in|out)?|form(?:data|change|input)|fullscreen[a-z]{3,8}|gotpointercapture|hashchange|help|input|invalid|key(?:down\
        |press|up)|languagechange|load(?:eddata|edmetadata|end|start)?|lostpointercapture|message(?:error)?|mouse[a-z]{2,8}|move|offline|online|orientationchange|page(?:\
        hide|show)|paste|pause|play(?:ing)?|pointer[a-z]{2,12}|popstate|progress|propertychange|ratechange|readystatechange|rejectionhandled|repeat|reset\
        |resize|scroll(?:end)?|search|seek(?:ed|ing)|select(?:ionchange|start)?|show|slotchange|stalled|start|storage|submit|suspend|timeupdate|toggle\
        |touch[a-z]{3,8}|transition[a-z]{3,8}|unhandledrejection|unload|volumechange|waiting|webkit[a-z]{3,30}|wheel)";
    vec![
        (
            "script in a style",
            r"expression\s{0,2}\(\s{0,2}(?:alert|eval|document|window|confirm|prompt|javascript)\s{0,2}[(.:]"
                .into(),
        ),
        ("script in a style", r"behaviou?r\s{0,2}:\s{0,2}url\s{0,2}\(".into()),
        ("script in a style", r"moz-binding\s{0,2}:\s{0,2}url\s{0,2}\(".into()),
        ("event handler", format!(r"{handler}[\s/]{{0,8}}=")),
        ("script URL", format!(r"{}{SKIPPED}{colon}", spaced("javascript"))),
        ("script URL", format!(r"vbscript{SKIPPED}{colon}\s{{0,4}}[a-z]")),
        (
            "data URL",
            format!(r"data{colon}\s{{0,4}}(?:text/html|image/svg\+xml|application/xhtml\+xml|text/xml)[;,]"),
        ),
    ]
}

/// Compiles the phrases, once.
pub(super) fn prepare() {
    LazyLock::force(&PHRASES);
}

/// Whether active content starts here.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if cursor.peek()? == Some(b'<') {
        return tag(&mut cursor);
    }
    let Some(found) = PHRASES.probe(cursor.clone())? else { return Ok(None) };
    let is_meant = match cursor.peek()? {
        Some(b'j' | b'J') => runs(cursor, found.len)?,
        Some(b'o' | b'O') => {
            // `==` compares.
            cursor.eat_while(found.len, |_| true)?;
            cursor.is_border(|b| matches!(b, b'=' | b'>'))?
        }
        _ => true,
    };
    Ok(is_meant.then_some(found))
}

/// `javascript:` is also how people write about the language. It is a URL in a place for URLs, or where code follows.
fn runs(mut cursor: Cursor<'_>, len: usize) -> Result<bool, More> {
    if matches!(cursor.before(), b'"' | b'\'' | b'=' | b'(' | b'`' | b';') {
        return Ok(true);
    }
    cursor.eat_while(len, |_| true)?;
    cursor.eat_while(8, |b| b.is_ascii_whitespace())?;
    cursor.eat_while(64, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'/' | b'+' | b':' | b'\\')
    })?;
    Ok(cursor.peek()?.is_some_and(|b| matches!(b, b'(' | b'`' | b'=' | b'[' | b'%' | b'{' | b'&' | b';')))
}

/// A dangerous tag up to its `>`.
fn tag(cursor: &mut Cursor<'_>) -> Probe {
    cursor.next()?;
    let name_at = cursor.at();
    cursor.eat_while(16, |b| b.is_ascii_alphabetic() || b == b':')?;
    let name = cursor.seen().get(name_at..).unwrap_or_default();
    if !TAGS.iter().any(|tag| name.eq_ignore_ascii_case(tag.as_bytes())) {
        return Ok(None);
    }
    // A browser ends the name at white space, `/` or `>`; an encoded or control sign stands for one of them.
    let Some(after) = cursor.peek()? else { return Ok(Some(Match::exact(cursor.at(), "tag"))) };
    if after.is_ascii_alphanumeric() || matches!(after, b'-' | b'_' | b'.') || after >= 0x80 {
        return Ok(None);
    }
    cursor.eat_while(LONGEST_TAG, |b| b.is_ascii() && !matches!(b, b'<' | b'>'))?;
    cursor.eat(|b| b == b'>')?;
    Ok(Some(Match::exact(cursor.at(), "tag")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_what_runs() {
        for (text, expected) in [
            ("a<script>alert(1)</script>", "a[active-content]alert(1)</script>"),
            ("<SCRIPT SRC=//x.example/a.js></SCRIPT>", "[active-content]</SCRIPT>"),
            ("<img src=x onerror=alert(1)>", "<img src=x [active-content]alert(1)>"),
            ("<svg/onload=alert(1)>", "<svg/[active-content]alert(1)>"),
            ("<a href=\"javascript:alert(1)\">", "<a href=\"[active-content]alert(1)\">"),
            ("[x](javascript:alert(1))", "[x]([active-content]alert(1))"),
            ("go to javascript:eval(x)", "go to [active-content]eval(x)"),
            ("java\tscript:alert(1)", "[active-content]alert(1)"),
            ("<a href='java&Tab;script&colon;alert(1)'>", "<a href='[active-content]alert(1)'>"),
            ("data:text/html;base64,PHNjcmlwdD4=", "[active-content]base64,PHNjcmlwdD4="),
            ("<iframe src=//x.example>", "[active-content]"),
            ("<body OnLoad = \"x()\">", "<body [active-content] \"x()\">"),
            ("<script", "[active-content]"),
            ("<x style=\"a:expression(alert(1))\">", "<x style=\"a:[active-content]1))\">"),
            (
                "{-moz-binding:url(\"http://x.example/x.xml\")}",
                "{-[active-content]\"http://x.example/x.xml\")}",
            ),
            ("<a href=\"javascript\\x3Aalert(1)\">", "<a href=\"[active-content]alert(1)\">"),
        ] {
            assert_eq!(redacted(Detector::ActiveContent, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_text_about_the_web() {
        for text in [
            "JavaScript: The Good Parts",
            "I like javascript: it is everywhere.",
            "if a<b then c",
            "<b>bold</b> and <i>x</i>",
            "window.onload = f",
            "element.onclick=f",
            "data:image/png;base64,iVBORw0KGgo=",
            "once = 1, only = 2, online shops",
            "<scripture>",
            "<base64>",
            "<linker>",
            "on error = resume",
            "if onload == 1",
            "x < script",
            "<p class=\"x\">",
            "ongoing=true",
            "<https://example.com>",
            "<meta-analysis>",
            "an expression (alert or not) and its behavior: url",
        ] {
            assert_eq!(redacted(Detector::ActiveContent, text), text);
        }
    }

    #[test]
    fn the_automaton_stays_small() {
        assert!(PHRASES.memory() < 1 << 20, "{}", PHRASES.memory());
    }
}
