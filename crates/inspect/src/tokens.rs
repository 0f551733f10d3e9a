//! Tokens in a text: on the way to a model, what a client wrote in their form is made one itself; on the way back, they
//! become what they stand for. Held back is only what may still become a token.

use std::ops::Range;
use std::sync::Arc;

use crate::dialect::escape::quoted;
use crate::machine::Form;
use crate::vault::{KINDS, PATTERN, TEXT, Vault};

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the model: nothing of a client's may be taken for a token of the gate's.
    Out,
    /// Back to the client.
    Home,
}

/// What is done with the tokens of a text.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) vault: Arc<Vault>,
    pub(crate) way: Way,
}

/// One text on its way.
#[derive(Debug)]
pub(crate) struct Stage {
    tokens: Tokens,
    form: Form,
    held: String,
}

/// What may be a token.
enum Shape {
    /// Here.
    At(Range<usize>),
    /// Nowhere before this place, from which on more text decides.
    Until(usize),
}

impl Tokens {
    /// Whether anything in `text` would be replaced.
    pub(crate) fn changes(&self, text: &str) -> bool {
        let mut from = 0;
        while let Shape::At(range) = next(text.as_bytes(), from, true) {
            from = range.end;
            if self.is_ours(text.get(range).unwrap_or_default()) == (self.way == Way::Home) {
                return true;
            }
        }
        false
    }

    /// Whether a token of this vault stands at the start of `text`.
    pub(crate) fn starts(&self, text: &str) -> bool {
        match next(text.as_bytes(), 0, true) {
            Shape::At(range) => range.start == 0 && self.is_ours(text.get(range).unwrap_or_default()),
            Shape::Until(_) => false,
        }
    }

    fn is_ours(&self, shape: &str) -> bool {
        self.vault.value(&bare(shape)).is_some()
    }

    pub(crate) fn stage(&self, form: Form) -> Stage {
        Stage { tokens: self.clone(), form, held: String::new() }
    }
}

impl Stage {
    /// Takes the next piece and appends what may leave.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        self.held.push_str(piece);
        self.pass(false, out);
    }

    /// The text is over.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.pass(true, out);
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    fn pass(&mut self, is_whole: bool, out: &mut String) {
        let mut from = 0;
        let kept = loop {
            match next(self.held.as_bytes(), from, is_whole) {
                Shape::Until(place) => {
                    out.push_str(self.held.get(from..place).unwrap_or_default());
                    break place;
                }
                Shape::At(range) => {
                    out.push_str(self.held.get(from..range.start).unwrap_or_default());
                    from = range.end;
                    self.replace(self.held.get(range).unwrap_or_default(), out);
                }
            }
        };
        self.held.drain(..kept);
    }

    fn replace(&self, shape: &str, out: &mut String) {
        let Tokens { vault, way } = &self.tokens;
        match (way, vault.value(&bare(shape))) {
            (Way::Home, Some(value)) => match self.form {
                Form::Plain | Form::Prose => out.push_str(&value),
                Form::Json => quoted(&value, out),
            },
            (Way::Out, None) => match vault.token(TEXT, shape) {
                Some(token) => out.push_str(&token),
                None => out.push_str("[text]"),
            },
            (Way::Home, None) | (Way::Out, Some(_)) => out.push_str(shape),
        }
    }
}

/// A token as the vault knows it: Markdown writes `\_` for `_`.
fn bare(shape: &str) -> String {
    shape.replace('\\', "")
}

/// Whether a token, or what looks like one, is in `bytes`.
pub(crate) fn has_shape(bytes: &[u8]) -> bool {
    matches!(next(bytes, 0, true), Shape::At(_))
}

/// The first shape of a token from `from` on.
fn next(bytes: &[u8], from: usize, is_whole: bool) -> Shape {
    let mut at = from;
    while let Some(place) =
        bytes.get(at..).and_then(|rest| memchr::memchr(b'_', rest)).map(|place| at + place)
    {
        at = place + 1;
        let Some(start) = kind_before(bytes, from, place) else { continue };
        let rest = bytes.get(at..).unwrap_or_default();
        let fits = rest.iter().zip(PATTERN).take_while(|(byte, sign)| fits(**byte, **sign)).count();
        if fits == PATTERN.len() {
            return Shape::At(start..at + fits);
        }
        if fits == rest.len() && !is_whole {
            return Shape::Until(start);
        }
    }
    Shape::Until(if is_whole { bytes.len() } else { tail(bytes, from) })
}

fn fits(byte: u8, sign: u8) -> bool {
    if sign == b'd' { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() }
}

/// Where the name of a kind that ends at `end`, perhaps before a backslash, starts.
fn kind_before(bytes: &[u8], from: usize, end: usize) -> Option<usize> {
    let before = bytes.get(from..end)?;
    let before = before.strip_suffix(b"\\").unwrap_or(before);
    KINDS
        .iter()
        .filter(|kind| {
            let start = before.len().checked_sub(kind.len());
            start
                .and_then(|start| before.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(kind.as_bytes()))
        })
        .map(|kind| from + before.len() - kind.len())
        .min()
}

/// From where on the text may be the beginning of a token.
fn tail(bytes: &[u8], from: usize) -> usize {
    let longest = KINDS.iter().map(|kind| kind.len() + 1).max().unwrap_or(0);
    let first = from.max(bytes.len().saturating_sub(longest));
    (first..bytes.len())
        .find(|start| {
            let end = bytes.get(*start..).unwrap_or_default();
            let end = end.strip_suffix(b"\\").filter(|end| !end.is_empty()).unwrap_or(end);
            KINDS.iter().any(|kind| {
                kind.as_bytes().get(..end.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(end))
                    && (end.len() == bytes.len() - start || end.len() == kind.len())
            })
        })
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vault::TokenKey;

    fn through(tokens: &Tokens, form: Form, pieces: &[&str]) -> String {
        let (mut stage, mut out) = (tokens.stage(form), String::new());
        for piece in pieces {
            stage.push(piece, &mut out);
        }
        stage.finish(&mut out);
        out
    }

    fn ways() -> (Tokens, Tokens, Box<str>) {
        let vault = Arc::new(TokenKey::new(&[1; 32]).vault(&["x"]));
        let token = vault.token("EMAIL", "ann@example.com").unwrap();
        (Tokens { vault: Arc::clone(&vault), way: Way::Out }, Tokens { vault, way: Way::Home }, token)
    }

    #[test]
    fn tokens_come_back_as_what_they_stand_for() {
        let (_, home, token) = ways();
        let lower = token.to_lowercase();
        let escaped = token.replace('_', "\\_");
        for (text, expected) in [
            (format!("to {token}."), "to ann@example.com."),
            (format!("{token}{token}s"), "ann@example.comann@example.coms"),
            (format!("x{lower}"), "xann@example.com"),
            (format!("**{escaped}**"), "**ann@example.com**"),
            ("EMAIL_7KQM2DRX4V".to_owned(), "EMAIL_7KQM2DRX4V"),
            ("an EMAIL_ of EMAIL".to_owned(), "an EMAIL_ of EMAIL"),
        ] {
            assert_eq!(through(&home, Form::Plain, &[&text]), expected, "{text}");
        }
        assert!(home.changes(&token) && home.starts(&token) && !home.changes("EMAIL_7KQM2DRX4V"));
    }

    #[test]
    fn what_a_client_writes_like_one_is_made_one() {
        let (out, home, token) = ways();
        let text = "see email_7kqm2drx4v and EMAIL\\_7KQM2DRX4V";
        let sent = through(&out, Form::Plain, &[text]);
        assert!(!sent.contains("7kqm2drx4v") && sent.contains("TEXT_"), "{sent}");
        assert_eq!(through(&home, Form::Plain, &[&sent]), text);
        assert_eq!(through(&out, Form::Plain, &[&token]), &*token);
        assert!(out.changes(text) && !out.changes(&token));
    }

    #[test]
    fn in_json_that_travels_as_text_values_are_escaped() {
        let (_, home, _) = ways();
        let token = home.vault.token("ADDRESS", "1 \"Main\" St\\\nX").unwrap();
        let mut json = String::new();
        crate::dialect::escape::escape(&through(&home, Form::Json, &[&token]), &mut json);
        assert_eq!(json, r#"1 \"Main\" St\\\nX"#);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            parts in proptest::collection::vec(0..9_usize, 0..9), cuts in proptest::collection::vec(0..60_usize, 0..6),
        ) {
            let (out, home, token) = ways();
            let lower = token.to_lowercase();
            let all = ["EMAIL_", &token, &lower, "é TEXT", "_7KQM", "EMAIL_7KQM2DRX4V", " mac\\", "_ID_4A", "e"];
            let text: String = parts.iter().map(|nth| all[*nth]).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(text.get(from..cut).unwrap());
                from = cut;
            }
            pieces.push(text.get(from..).unwrap());
            for way in [&out, &home] {
                prop_assert_eq!(through(way, Form::Plain, &pieces), through(way, Form::Plain, &[&text]));
            }
            let sent = through(&out, Form::Plain, &pieces);
            let ours = text.replace(&*token, "ann@example.com").replace(&lower, "ann@example.com");
            prop_assert_eq!(through(&home, Form::Plain, &[&sent]), ours);
        }
    }
}
