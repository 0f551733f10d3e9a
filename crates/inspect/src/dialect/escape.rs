//! JSON that travels as text inside a string (`arguments` of a tool call): rewritten, piece by piece, so that a
//! detector sees the characters which the inner JSON stands for and not their escapes.
//!
//! [`Unescape::push`] turns `\u0040` into `@` and `\/` into `/`, which mean the same in JSON, and stands in for
//! `\n` and its like by control characters that JSON text cannot contain raw, so that a word after a line break
//! does not begin with `n`. [`escape`] turns those back afterwards.

use super::Screen;

/// `\n`, `\t`, `\r`, `\b`, `\f` and what stands in for each.
const STAND_INS: [(u8, char); 5] =
    [(b'n', '\u{b}'), (b't', '\u{c}'), (b'r', '\u{1d}'), (b'b', '\u{1e}'), (b'f', '\u{1f}')];

/// The transducer of one text; knows an escape that is cut between two pieces.
#[derive(Debug, Default)]
pub(crate) struct Unescape {
    /// An unfinished escape: `\`, `\u00`, or a high surrogate's and the begin of its partner.
    pending: String,
}

impl Unescape {
    /// Bytes of an unfinished escape held back.
    pub(crate) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Takes the next piece and appends what it stands for.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        // PERF: most pieces have no escape.
        if self.pending.is_empty() && !piece.as_bytes().contains(&b'\\') {
            out.push_str(piece);
            return;
        }
        for character in piece.chars() {
            self.step(character, out);
        }
    }

    /// The text is over: an unfinished escape leaves as it is.
    pub(crate) fn finish(&mut self, out: &mut String) {
        out.push_str(&self.pending);
        self.pending.clear();
    }

    fn step(&mut self, character: char, out: &mut String) {
        self.pending.push(character);
        loop {
            let pending = std::mem::take(&mut self.pending);
            match read(&pending) {
                Read::More => {
                    self.pending = pending;
                    return;
                }
                Read::Is(character) => out.push(character),
                Read::Keep(length) => {
                    let (kept, rest) = pending.split_at_checked(length).unwrap_or((&pending, ""));
                    out.push_str(kept);
                    rest.clone_into(&mut self.pending);
                }
            }
            if self.pending.is_empty() {
                return;
            }
        }
    }
}

/// Turns the stand-ins back. Call it on what may leave.
pub(crate) fn escape(text: &str, out: &mut String) {
    if !text.bytes().any(|byte| STAND_INS.iter().any(|(_, stand_in)| u32::from(byte) == u32::from(*stand_in)))
    {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match STAND_INS.iter().find(|(_, stand_in)| *stand_in == character) {
            Some((letter, _)) => out.extend(['\\', char::from(*letter)]),
            None => out.push(character),
        }
    }
}

/// Knows of a JSON text, however it is cut, whether it stands inside a string at the moment.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    is_string: bool,
    is_escaped: bool,
}

impl Inside {
    /// Takes what may leave next and appends it as [`escape`] does. A placeholder that stands where a number did becomes a
    /// string, so that what is left is JSON. Returns whether there was one.
    pub(crate) fn write(&mut self, text: &str, out: &mut String) -> bool {
        let (mut sent, mut at) = (0, 0);
        while let Some(byte) = text.as_bytes().get(at) {
            let start = at;
            at += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.is_string,
                b'"' => self.is_string = !self.is_string,
                b'[' if !self.is_string => {
                    let Some(length) = text.get(start..).and_then(Screen::placeholder) else { continue };
                    at = start + length;
                    escape(text.get(sent..start).unwrap_or_default(), out);
                    for part in ["\"", text.get(start..at).unwrap_or_default(), "\""] {
                        out.push_str(part);
                    }
                    sent = at;
                }
                _ => {}
            }
        }
        escape(text.get(sent..).unwrap_or_default(), out);
        sent > 0
    }
}

/// Appends what a JSON string must hold to mean `value`, line ends and the like by their stand-ins.
pub(crate) fn quoted(value: &str, out: &mut String) {
    let json = serde_json::to_string(value).unwrap_or_default();
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    let mut unescape = Unescape::default();
    unescape.push(inner, out);
    unescape.finish(out);
}

/// What a piece of a JSON string means; the piece itself where it means nothing by itself.
pub(crate) fn meant(piece: &str) -> String {
    let mut json = String::from("\"");
    escape(piece, &mut json);
    json.push('"');
    serde_json::from_str(&json).unwrap_or_else(|_| piece.to_owned())
}

enum Read {
    /// Wait for more.
    More,
    /// The whole stands for this.
    Is(char),
    /// The first so many bytes stay as they are.
    Keep(usize),
}

fn read(pending: &str) -> Read {
    let bytes = pending.as_bytes();
    let first = pending.chars().next().map_or(1, char::len_utf8);
    match bytes {
        [b'\\'] => Read::More,
        [b'\\', b'/'] => Read::Is('/'),
        [b'\\', b'u', hex @ ..] => unicode(pending, hex),
        [b'\\', letter, ..] => match STAND_INS.iter().find(|(name, _)| name == letter) {
            Some((_, stand_in)) => Read::Is(*stand_in),
            None => Read::Keep(1 + pending.chars().nth(1).map_or(0, char::len_utf8)),
        },
        _ => Read::Keep(first),
    }
}

fn unicode(pending: &str, hex: &[u8]) -> Read {
    let digits = hex.iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits < 4 {
        // Either not yet four digits, or never.
        return if digits == hex.len() { Read::More } else { Read::Keep(2 + digits) };
    }
    let high = unit(pending, 2);
    match high {
        0xD800..=0xDBFF => {
            let rest = pending.as_bytes().get(6..).unwrap_or_default();
            let wanted = rest.iter().zip(b"\\u").take_while(|(have, want)| have == want).count();
            let digits = rest.iter().skip(2).take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
            if wanted < rest.len().min(2) || digits < rest.len().saturating_sub(2) {
                return Read::Keep(6);
            }
            if rest.len() < 6 {
                return Read::More;
            }
            let low = unit(pending, 8);
            match char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low & 0x3FF)) {
                Some(character) if (0xDC00..=0xDFFF).contains(&low) => Read::Is(character),
                _ => Read::Keep(6),
            }
        }
        0x08 => Read::Is('\u{1e}'),
        0x09 => Read::Is('\u{c}'),
        0x0A => Read::Is('\u{b}'),
        0x0C => Read::Is('\u{1f}'),
        0x0D => Read::Is('\u{1d}'),
        0x22 | 0x5C | 0x00..=0x1F => Read::Keep(6),
        _ => char::from_u32(high).map_or(Read::Keep(6), Read::Is),
    }
}

/// The four hexadecimal digits at `at`.
fn unit(text: &str, at: usize) -> u32 {
    text.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(pieces: &[&str]) -> String {
        let (mut unescape, mut out) = (Unescape::default(), String::new());
        for piece in pieces {
            unescape.push(piece, &mut out);
        }
        unescape.finish(&mut out);
        out
    }

    fn check(text: &str, seen: &str, left: &str) {
        let out = whole(&[text]);
        assert_eq!(out, seen, "{text}");
        let mut back = String::new();
        escape(&out, &mut back);
        assert_eq!(back, left, "{text}");
    }

    #[test]
    fn a_detector_sees_characters() {
        check(r#"{"to":"a\u0040b.com"}"#, r#"{"to":"a@b.com"}"#, r#"{"to":"a@b.com"}"#);
        check(r"x\nsk-1", "x\u{b}sk-1", r"x\nsk-1");
        check(r"\\nx", r"\\nx", r"\\nx");
        check(r#"\"\u0022\u005c\u0000"#, r#"\"\u0022\u005c\u0000"#, r#"\"\u0022\u005c\u0000"#);
        check(r"https:\/\/a", "https://a", "https://a");
        check(r"\ud83d\ude00!", "😀!", "😀!");
        check(r"\ud83d\u0041", r"\ud83dA", r"\ud83dA");
        check(r"\ud83d\n\ud83dx", "\\ud83d\u{b}\\ud83dx", r"\ud83d\n\ud83dx");
        check(r"\u00zz\q\é\u12", r"\u00zz\q\é\u12", r"\u00zz\q\é\u12");
        check("\\", "\\", "\\");
    }

    #[test]
    fn a_placeholder_is_a_string_wherever_it_stands() {
        let check = |pieces: &[&str], expected: &str| {
            let (mut inside, mut out) = (Inside::default(), String::new());
            for piece in pieces {
                inside.write(piece, &mut out);
            }
            assert_eq!(out, expected, "{pieces:?}");
        };
        check(&[r#"{"a":[word],"b":[[word],1]}"#], r#"{"a":"[word]","b":["[word]",1]}"#);
        check(&[r#"{"a":"[word] \"[word]"}"#], r#"{"a":"[word] \"[word]"}"#);
        check(&[r#"{"a":"x\"#, r#"" [word]","b":"#, "[word]}"], r#"{"a":"x\" [word]","b":"[word]"}"#);
        check(&[r#"["\\",[word],[true],[1]]"#], r#"["\\","[word]",[true],[1]]"#);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_and_the_json_means_the_same(
            text in r#"(\\u(d83d|de00|0040|000a|00)|\\[nt/"\\uq]|[a-f0-9é]){0,12}"#, cut in 0usize..40,
        ) {
            let cut = (0..=cut.min(text.len())).rev().find(|cut| text.is_char_boundary(*cut)).unwrap();
            let seen = whole(&[&text]);
            let (head, tail) = text.split_at(cut);
            prop_assert_eq!(&seen, &whole(&[head, tail]));
            let mut back = String::new();
            escape(&seen, &mut back);
            let parse = |body: &str| serde_json::from_str::<String>(&format!("\"{body}\"")).ok();
            prop_assert_eq!(parse(&text), parse(&back));
        }
    }
}
