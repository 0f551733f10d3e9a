//! JSON under a screen: every string value, every key and every long number, each a text of its own.
//!
//! The text is read as it stands. Strings without escapes are screened where they lie, and a redaction replaces one
//! string literal and leaves every other byte as it was: number formats, white space and the order of keys stay.

use memchr::{memchr, memchr2};
use portcullis_core::record::Finding;

use crate::machine::Screen;
use crate::text;

/// Deepest nesting that is read.
const DEEPEST: usize = 256;

/// Shortest number that can be a card number.
const SHORTEST_NUMBER: usize = 13;

/// The text is not JSON, so its strings cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not well-formed JSON at byte {0}")]
pub(crate) struct NotJson(pub(crate) usize);

/// What becomes of a JSON text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It may leave as it is.
    Unchanged,
    /// It may leave in this form.
    Rewritten(String),
    /// Nothing of it may leave.
    Blocked,
}

/// Screens a JSON text, or several of them separated by white space. `at` comes before the pointers in findings.
pub(crate) fn screen(
    screen: &Screen,
    json: &str,
    at: &str,
    findings: &mut Vec<Finding>,
) -> Result<Outcome, NotJson> {
    // PERF: without escapes each string lies in the text as it is, with a quote on either side; to detectors a quote
    // is as good as the end of a text. So where the raw text has nothing to find, no string of it has.
    let is_clean = || !screen.has_fields() && memchr(b'\\', json.as_bytes()).is_none() && !screen.finds(json);
    if screen.is_off() || is_clean() {
        return Ok(Outcome::Unchanged);
    }
    let walk = Walk {
        screen,
        json,
        at: 0,
        prefix: at,
        path: Vec::new(),
        expects_key: false,
        sent: 0,
        out: String::new(),
        findings,
    };
    walk.run()
}

/// A container that the walk is inside of.
enum Step<'t> {
    /// The key, as written.
    Object(&'t str),
    /// The index.
    Array(usize),
}

struct Walk<'s, 't> {
    screen: &'s Screen,
    json: &'t str,
    at: usize,
    prefix: &'s str,
    path: Vec<Step<'t>>,
    expects_key: bool,
    /// Everything before was copied to `out`, or nothing was and `out` is empty.
    sent: usize,
    out: String,
    findings: &'s mut Vec<Finding>,
}

impl<'t> Walk<'_, 't> {
    fn run(mut self) -> Result<Outcome, NotJson> {
        while let Some(byte) = self.json.as_bytes().get(self.at) {
            let is_blocked = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {
                    self.at += 1;
                    false
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number(),
                b'a'..=b'z' => {
                    self.at += self.run_of(|byte| byte.is_ascii_lowercase());
                    false
                }
                _ => {
                    self.structure(*byte)?;
                    self.at += 1;
                    false
                }
            };
            if is_blocked {
                return Ok(Outcome::Blocked);
            }
        }
        if !self.path.is_empty() {
            return Err(NotJson(self.at));
        }
        if self.sent == 0 {
            return Ok(Outcome::Unchanged);
        }
        self.out.push_str(self.json.get(self.sent..).unwrap_or_default());
        Ok(Outcome::Rewritten(self.out))
    }

    fn structure(&mut self, byte: u8) -> Result<(), NotJson> {
        let depth = self.path.len();
        match (byte, self.path.last_mut()) {
            (b'{' | b'[', _) if depth == DEEPEST => return Err(NotJson(self.at)),
            (b'{', _) => {
                self.path.push(Step::Object(""));
                self.expects_key = true;
            }
            (b'[', _) => {
                self.path.push(Step::Array(0));
                self.expects_key = false;
            }
            (b'}', Some(Step::Object(_))) | (b']', Some(Step::Array(_))) => {
                self.path.pop();
                self.expects_key = false;
            }
            (b',', Some(Step::Object(_))) => self.expects_key = true,
            (b',', Some(Step::Array(index))) => *index += 1,
            (b':', Some(Step::Object(_))) => self.expects_key = false,
            _ => return Err(NotJson(self.at)),
        }
        Ok(())
    }

    /// Reads and screens the string at hand; says whether it blocks.
    fn string(&mut self) -> Result<bool, NotJson> {
        let start = self.at;
        let (end, is_escaped) = string_end(self.json.as_bytes(), start + 1).ok_or(NotJson(start))?;
        let literal = self.json.get(start + 1..end).ok_or(NotJson(start))?;
        self.at = end + 1;
        if self.expects_key
            && let Some(Step::Object(key)) = self.path.last_mut()
        {
            *key = literal;
        }
        if is_escaped {
            let value = unescape(literal).ok_or(NotJson(start))?;
            return Ok(self.value(&value, start));
        }
        Ok(self.value(literal, start))
    }

    fn number(&mut self) -> bool {
        let start = self.at;
        self.at +=
            self.run_of(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
        if self.at - start < SHORTEST_NUMBER {
            return false;
        }
        let number = self.json.get(start..self.at).unwrap_or_default();
        self.value(number, start)
    }

    /// Screens the value of the literal from `start` to here; says whether it blocks.
    fn value(&mut self, value: &str, start: usize) -> bool {
        let (prefix, path) = (self.prefix, &self.path);
        let screen = self.screen.at(|| pointer("", path));
        let found = text::screen(&screen, value, self.findings, || pointer(prefix, path));
        let Some(found) = found else { return false };
        if found.is_changed && !found.is_blocked {
            self.out.push_str(self.json.get(self.sent..start).unwrap_or_default());
            escape(&found.text, &mut self.out);
            self.sent = self.at;
        }
        found.is_blocked
    }

    fn run_of(&self, class: impl Fn(u8) -> bool) -> usize {
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        rest.iter().take_while(|byte| class(**byte)).count()
    }
}

/// Where the string that starts at `from` ends (at its quote), and whether it has escapes.
fn string_end(bytes: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut at = from;
    let mut is_escaped = false;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at, is_escaped));
        }
        is_escaped = true;
        at += 2;
    }
}

/// What a string literal means (RFC 8259 section 7). Half a surrogate pair becomes U+FFFD.
fn unescape(literal: &str) -> Option<String> {
    let mut value = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        value.push_str(plain);
        let mut signs = escaped.chars();
        value.push(match signs.next()? {
            sign @ ('"' | '\\' | '/') => sign,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (sign, length) = unicode(signs.as_str())?;
                signs = signs.as_str().get(length..)?.chars();
                sign
            }
            _ => return None,
        });
        rest = signs.as_str();
    }
    value.push_str(rest);
    Some(value)
}

/// The character of an escape whose four hex digits are next, and the bytes that it takes.
fn unicode(rest: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = rest.get(from..from + 4)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let high = unit(0)?;
    if (0xD800..0xDC00).contains(&high)
        && rest.get(4..6) == Some("\\u")
        && let Some(low @ 0xDC00..0xE000) = unit(6)
    {
        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return Some((char::from_u32(code)?, 10));
    }
    Some((char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 4))
}

/// Writes `value` as a string literal.
fn escape(value: &str, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push('"');
    for sign in value.chars() {
        match sign {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..'\u{20}' => {
                let code = u32::from(sign);
                out.push_str("\\u00");
                out.push(if code < 16 { '0' } else { '1' });
                out.push(HEX.get((code & 15) as usize).copied().unwrap_or('0'));
            }
            _ => out.push(sign),
        }
    }
    out.push('"');
}

/// The JSON pointer to the place at hand (RFC 6901), behind `prefix`. Keys are shown as written.
fn pointer(prefix: &str, path: &[Step<'_>]) -> String {
    let mut pointer = prefix.to_owned();
    for step in path {
        pointer.push('/');
        match step {
            Step::Object(key) => {
                for sign in key.chars().take(64) {
                    match sign {
                        '~' => pointer.push_str("~0"),
                        '/' => pointer.push_str("~1"),
                        _ => pointer.push(sign),
                    }
                }
            }
            Step::Array(index) => pointer.push_str(&index.to_string()),
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use portcullis_core::record::Action;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::detect::Detector;

    fn all(action: Action) -> Screen {
        Screen::new(&Detector::ALL.map(|detector| (detector, action)))
    }

    fn run(action: Action, json: &str) -> (Result<Outcome, NotJson>, Vec<String>) {
        let mut findings = Vec::new();
        let outcome = screen(&all(action), json, "", &mut findings);
        (
            outcome,
            findings.into_iter().map(|finding| format!("{} {}", finding.detector, finding.at)).collect(),
        )
    }

    #[test]
    fn only_the_literal_changes() {
        for (json, expected, at) in [
            (
                r#"{"a": {"b" : ["x", "ann@example.com"]}, "n":1.50e3}"#,
                r#"{"a": {"b" : ["x", "[email]"]}, "n":1.50e3}"#,
                "email /a/b/1",
            ),
            (r#"["a\nb ann\u0040example.com \"q\""]"#, r#"["a\nb [email] \"q\""]"#, "email /0"),
            (r#"{"ann@example.com":1}"#, r#"{"[email]":1}"#, "email /ann@example.com"),
            (r#"{"card":4242424242424242,"x":true}"#, r#"{"card":"[card]","x":true}"#, "card /card"),
            (r#"[1,4242424242424242]"#, r#"[1,"[card]"]"#, "card /1"),
            (r#"{"a/b~":"123-45-6789"}"#, r#"{"a/b~":"[ssn]"}"#, "us-ssn /a~1b~0"),
            (r#""ann@example.com""#, r#""[email]""#, "email "),
            ("{\"a\":1}\n{\"a\":\"ann@example.com\"}\n", "{\"a\":1}\n{\"a\":\"[email]\"}\n", "email /a"),
            (r#"["\u0001 \ud83d\ude00 ann@example.com"]"#, r#"["\u0001 😀 [email]"]"#, "email /0"),
        ] {
            let (outcome, findings) = run(Action::Redact, json);
            assert_eq!(outcome, Ok(Outcome::Rewritten(expected.to_owned())), "{json}");
            assert_eq!(findings, [at], "{json}");
        }
    }

    #[test]
    fn matches_do_not_span_strings() {
        for json in [
            r#"["4242 4242","4242 4242"]"#,
            r#"{"ann":"@example.com"}"#,
            r#"["ignore all","previous instructions"]"#,
            r#"["a\\","@b.co"]"#,
        ] {
            assert_eq!(run(Action::Block, json), (Ok(Outcome::Unchanged), vec![]), "{json}");
        }
    }

    #[test]
    fn blocks_and_observes() {
        assert_eq!(
            run(Action::Block, r#"["a","ann@example.com"]"#),
            (Ok(Outcome::Blocked), vec!["email /1".to_owned()])
        );
        assert_eq!(
            run(Action::Observe, r#"["a","ann@example.com"]"#),
            (Ok(Outcome::Unchanged), vec!["email /1".to_owned()])
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for json in [
            r#"["\x"]"#,
            r#"["a\""#,
            r#"{"a":"\u12"}"#,
            r#"["a\\"}"#,
            r#"["\n""#,
            "[\"ann@example.com\"",
            "(\"ann@example.com\")",
        ] {
            assert!(run(Action::Redact, json).0.is_err(), "{json}");
        }
        let deep = "[".repeat(300) + "\"ann@example.com\"" + &"]".repeat(300);
        assert!(run(Action::Redact, &deep).0.is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = proptest::collection::vec(
            prop_oneof![
                4 => proptest::sample::select(crate::machine::tests::PARTS).prop_map(str::to_owned),
                1 => "\\PC{0,3}",
                1 => Just("\u{1}\\\"/".to_owned()),
            ],
            0..5,
        )
        .prop_map(|parts| parts.concat());
        let leaf = prop_oneof![
            6 => text.clone().prop_map(Value::String),
            1 => any::<u64>().prop_map(Value::from),
            1 => proptest::sample::select(&[4_242_424_242_424_242_u64, 378_282_246_310_005][..]).prop_map(Value::from),
            1 => Just(Value::Null),
        ];
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec((text.clone(), inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// The slow way: parse, screen each text, count what is found.
    fn expected(screen: &Screen, value: &Value) -> usize {
        let one = |text: &str| {
            let mut machine = screen.machine();
            machine.push(text, &mut String::new());
            machine.finish(&mut String::new());
            machine.take_findings().len()
        };
        match value {
            Value::String(text) => one(text),
            Value::Array(items) => items.iter().map(|item| expected(screen, item)).sum(),
            Value::Object(pairs) => pairs.iter().map(|(key, value)| one(key) + expected(screen, value)).sum(),
            Value::Number(number) => one(&number.to_string()),
            Value::Null | Value::Bool(_) => 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn agrees_with_parsing_first(value in value()) {
            let json = value.to_string();
            let observing = all(Action::Observe);
            let mut findings = Vec::new();
            prop_assert_eq!(screen(&observing, &json, "", &mut findings), Ok(Outcome::Unchanged));
            prop_assert_eq!(findings.len(), expected(&observing, &value), "{}", json);
            let mut findings = Vec::new();
            if let Ok(Outcome::Rewritten(rewritten)) = screen(&all(Action::Redact), &json, "", &mut findings) {
                prop_assert!(serde_json::from_str::<Value>(&rewritten).is_ok(), "{}", rewritten);
            }
        }
    }
}
