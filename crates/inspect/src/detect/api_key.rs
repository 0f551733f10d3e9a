//! Keys and tokens of well-known providers, by the shapes that the providers publish.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start, Tail, is_no_word};

/// One shape: a prefix, then so many bytes of a class.
struct Shape {
    prefix: &'static str,
    body: fn(u8) -> bool,
    least: usize,
    /// Exactly `least` bytes and then a border, or at least so many and then the rest of the token.
    is_exact: bool,
}

/// A shape of fixed length.
const fn exact(prefix: &'static str, body: fn(u8) -> bool, length: usize) -> Shape {
    Shape { prefix, body, least: length, is_exact: true }
}

/// A shape of open length.
const fn open(prefix: &'static str, body: fn(u8) -> bool, least: usize) -> Shape {
    Shape { prefix, body, least, is_exact: false }
}

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

fn url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn dotted(byte: u8) -> bool {
    url(byte) || byte == b'.'
}

fn dashed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// The shapes, by their first byte; where several fit, the first does.
const SHAPES: &[Shape] = &[
    exact("AKIA", upper, 16),
    exact("ASIA", upper, 16),
    exact("ABIA", upper, 16),
    exact("ACCA", upper, 16),
    exact("AIza", url, 35),
    open("SG.", dotted, 50),
    exact("SK", hex, 32),
    open("dckr_pat_", url, 20),
    open("dckr_oat_", url, 20),
    exact("dapi", |b| b.is_ascii_hexdigit(), 32),
    open("figd_", url, 36),
    open("ghp_", alnum, 30),
    open("gho_", alnum, 30),
    open("ghu_", alnum, 30),
    open("ghs_", alnum, 30),
    open("ghr_", alnum, 30),
    open("github_pat_", super::is_word, 30),
    open("glpat-", dotted, 20),
    open("glrt-", dotted, 20),
    open("gldt-", dotted, 20),
    open("gsk_", alnum, 40),
    open("glsa_", super::is_word, 32),
    open("glc_eyJ", super::is_token, 32),
    open("hf_", alnum, 30),
    open("hvs.", url, 24),
    open("hvb.", url, 24),
    open("lin_api_", alnum, 32),
    open("npm_", alnum, 36),
    open("ntn_", alnum, 40),
    open("ops_eyJ", url, 100),
    open("pypi-", url, 50),
    open("rk_live_", alnum, 16),
    open("rk_test_", alnum, 16),
    open("sk-ant-", url, 32),
    open("sk-proj-", url, 32),
    open("sk-svcacct-", url, 32),
    open("sk-admin-", url, 32),
    open("sk-or-v1-", hex, 40),
    open("sk-", alnum, 32),
    open("sk_live_", alnum, 16),
    open("sk_test_", alnum, 16),
    exact("shpat_", |b| b.is_ascii_hexdigit(), 32),
    exact("shpca_", |b| b.is_ascii_hexdigit(), 32),
    exact("shppa_", |b| b.is_ascii_hexdigit(), 32),
    exact("shpss_", |b| b.is_ascii_hexdigit(), 32),
    open("tskey-", dashed, 20),
    open("whsec_", alnum, 24),
    open("xoxa-", dashed, 20),
    open("xoxb-", dashed, 20),
    open("xoxp-", dashed, 20),
    open("xoxr-", dashed, 20),
    open("xoxs-", dashed, 20),
    open("xoxe-", dashed, 20),
    open("xapp-", dashed, 20),
];

/// What a token may not be glued to on its left.
fn left(byte: u8) -> bool {
    is_no_word(byte) && byte != b'-'
}

pub(super) const STARTS: &[Start] = &[
    Start { left, bytes: Bytes::Prefixes(&[b"sk-", b"sk_", b"rk_"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"AKI", b"ASI", b"ABI", b"ACC", b"AIz"]) },
    Start {
        left,
        bytes: Bytes::Prefixes(&[b"ghp", b"gho", b"ghu", b"ghs", b"ghr", b"git", b"glp", b"glr", b"gld"]),
    },
    Start { left, bytes: Bytes::Prefixes(&[b"gsk", b"gls", b"glc", b"whs"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"xox", b"xap", b"dck", b"dap", b"fig"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"npm", b"pyp", b"hf_", b"hvs", b"hvb", b"lin", b"ntn"]) },
    Start { left, bytes: Bytes::Prefixes(&[b"shp", b"tsk", b"ops"]) },
    Start {
        left,
        bytes: Bytes::Classes([|b| b == b'S', |b| matches!(b, b'G' | b'K'), |b| b == b'.' || hex(b)]),
    },
];

/// Whether a key starts here.
pub(super) fn probe(cursor: &Cursor<'_>) -> Probe {
    let Some(first) = cursor.peek()? else { return Ok(None) };
    let from = SHAPES.partition_point(|shape| shape.first() < first);
    for shape in SHAPES.iter().skip(from).take_while(|shape| shape.first() == first) {
        if let Some(found) = shape.probe(cursor.clone())? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl Shape {
    fn first(&self) -> u8 {
        self.prefix.as_bytes().first().copied().unwrap_or_default()
    }

    fn probe(&self, mut cursor: Cursor<'_>) -> Probe {
        if !cursor.eat_literal(self.prefix.as_bytes())?
            || cursor.eat_while(self.least, self.body)? < self.least
        {
            return Ok(None);
        }
        let len = cursor.at();
        // A key is random: it has digits or both cases. Words joined by dashes have neither.
        let body = cursor.seen().get(self.prefix.len()..).unwrap_or_default();
        let has = |class: fn(&u8) -> bool| body.iter().any(class);
        let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        if !is_mixed && !has(u8::is_ascii_digit) {
            return Ok(None);
        }
        if !self.is_exact {
            return Ok(Some(Match { len, tail: Tail::Token, label: self.prefix }));
        }
        Ok(cursor.is_border(url)?.then_some(Match::exact(len, self.prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::{SHAPES, STARTS};
    use crate::detect::{Detector, finds, redacted};

    /// A key of each shape, made up here so that no scanner takes this file for a leak.
    fn example(prefix: &str, least: usize) -> String {
        let body: String = "A7b3".chars().cycle().take(least).collect();
        let hex: String = "a7b3".chars().cycle().take(least).collect();
        if prefix == "SK" || prefix == "dapi" || prefix.starts_with("shp") || prefix == "sk-or-v1-" {
            return [prefix, &hex].concat();
        }
        [prefix, &body.replace('b', if prefix.starts_with('A') { "B" } else { "b" })].concat()
    }

    #[test]
    fn every_shape_can_start_and_is_found() {
        for shape in SHAPES {
            let key = example(shape.prefix, shape.least);
            let bytes = key.as_bytes();
            let can_start =
                STARTS.iter().any(|start| (start.left)(b' ') && (0..3).all(|i| start.admits(i, bytes[i])));
            assert!(can_start, "{}", shape.prefix);
            assert_eq!(
                redacted(Detector::ApiKey, &format!("key={key}, next")),
                "key=[api-key], next",
                "{key}"
            );
            assert_eq!(redacted(Detector::ApiKey, &format!("\"{key}\"")), "\"[api-key]\"", "{key}");
        }
    }

    #[test]
    fn shapes_are_in_order() {
        assert!(SHAPES.is_sorted_by_key(super::Shape::first));
    }

    #[test]
    fn the_whole_token_goes_however_long() {
        let text = format!("use {}{} now", example("sk-proj-", 64), "-_x".repeat(2000));
        assert_eq!(redacted(Detector::ApiKey, &text), "use [api-key] now");
    }

    #[test]
    fn leaves_what_only_begins_like_a_key() {
        for text in [
            "sk-openai-123456",
            "sk-learn and sk-image",
            "ask-me-anything-about-this-long-sentence-with-dashes",
            "AKIA1234",
            "AKIAIOSFODNN7EXAMPLE9",
            "ghp_short",
            "task-runner-that-is-quite-long-but-made-of-words-only",
            "sk-ant-api02-notarealkey",
            "SG.md",
            "npm_config_registry",
            "hf_hub_download",
            "xoxb-",
            "pypi-server",
            "dapi",
            "SKU1234",
            "skip_live_1234567890123456",
        ] {
            assert_eq!(redacted(Detector::ApiKey, text), text);
        }
    }

    #[test]
    fn evidence_names_the_shape_only() {
        assert_eq!(finds(Detector::ApiKey, &example("ghp_", 36)), ["ghp_***"]);
    }
}
