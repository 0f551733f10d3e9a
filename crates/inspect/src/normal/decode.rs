//! Spans that were encoded: the decoded text takes their place.

use std::ops::Range;

use super::map::{How, Rewrite};
use super::scan::ENCODED_BYTES;
use super::unicode::{Step, is_shown};
use super::{Signal, Signals};

/// Base64 (RFC 4648, both alphabets), and hexadecimal with or without signs between the pairs. `room` is how many
/// bytes may still be decoded.
pub(super) fn encoded(text: &str, room: &mut usize, signals: &mut Signals) -> Step {
    let mut rewrite = Rewrite::new(text);
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut hex_done = 0;
    while let Some(start) = next(bytes, at, is_base64) {
        let end = end_of(bytes, start, is_base64);
        at = end;
        let mut found = None;
        // No pair is read twice, or the cost would be the square of the length.
        if start >= hex_done {
            let (range, pairs) = hex(bytes, start);
            hex_done = range.end;
            found = pairs.and_then(readable).map(|text| (range, Signal::Hex, text));
        }
        if found.is_none() {
            found = base64(bytes, start, end)
                .and_then(|(range, bytes)| Some((range, Signal::Base64, readable(bytes)?)));
        }
        let Some((range, signal, decoded)) = found else { continue };
        at = range.end.max(end);
        if decoded.len() > *room {
            signals.add(Signal::Bounded, range);
            continue;
        }
        *room -= decoded.len();
        signals.add(signal, range.clone());
        rewrite.replace(range, &decoded, How::Whole);
    }
    rewrite.finish()
}

fn next(bytes: &[u8], from: usize, is: fn(u8) -> bool) -> Option<usize> {
    Some(from + bytes.get(from..)?.iter().position(|b| is(*b))?)
}

fn end_of(bytes: &[u8], from: usize, is: fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !is(*b)).unwrap_or(rest.len())
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The run from `start` to `end`, with the lines it goes on in, and with its padding.
fn base64(bytes: &[u8], start: usize, mut end: usize) -> Option<(Range<usize>, Vec<u8>)> {
    let mut signs: Vec<u8> = bytes.get(start..end)?.to_vec();
    // Lines as MIME breaks them (RFC 2045): full ones, then a shorter one.
    let width = signs.len();
    while width >= 40 && signs.len().is_multiple_of(width) {
        let gap = end_of(bytes, end, |b| matches!(b, b'\r' | b'\n'));
        let line = end_of(bytes, gap, is_base64);
        if gap == end || line == gap || line - gap > width {
            break;
        }
        signs.extend_from_slice(bytes.get(gap..line)?);
        end = line;
    }
    if signs.len() < ENCODED_BYTES || signs.len() % 4 == 1 {
        return None;
    }
    let padded = end_of(bytes, end, |b| b == b'=').min(end + 2);
    let mut out = Vec::with_capacity(signs.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for sign in signs {
        bits = bits << 6 | six(sign)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
        bits &= 0xffff;
    }
    Some((start..padded, out))
}

fn six(sign: u8) -> Option<u32> {
    Some(u32::from(match sign {
        b'A'..=b'Z' => sign - b'A',
        b'a'..=b'z' => sign - b'a' + 26,
        b'0'..=b'9' => sign - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// Pairs of hexadecimal digits from `start` on: without signs, or each behind the same sign or two (`69 67`,
/// `0x69,0x67`, `69:67`). Answers how far they go, and their bytes if they are enough.
fn hex(bytes: &[u8], start: usize) -> (Range<usize>, Option<Vec<u8>>) {
    let mut out = Vec::new();
    let mut at = start;
    let mut end = start;
    loop {
        let mut from = at;
        if bytes.get(from) == Some(&b'0') && matches!(bytes.get(from + 1), Some(b'x' | b'X')) {
            from += 2;
        }
        let (Some(high), Some(low)) = (digit(bytes, from), digit(bytes, from + 1)) else { break };
        out.push(high << 4 | low);
        end = from + 2;
        at = end;
        let mut width = 0;
        while width < 2 && matches!(bytes.get(at), Some(b' ' | b',' | b':' | b'-' | b';')) {
            at += 1;
            width += 1;
        }
    }
    let is_cut = bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (start..end, (out.len() >= ENCODED_BYTES / 2 && !is_cut).then_some(out))
}

fn digit(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = char::from(*bytes.get(at)?).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// The bytes as a text, if somebody wrote them as one: UTF-8, nothing that is not shown, letters for the most part.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let (mut letters, mut all) = (0_usize, 0_usize);
    for c in text.chars() {
        if !is_shown(c) {
            return None;
        }
        all += 1;
        letters += usize::from(c.is_alphabetic() || c == ' ');
    }
    (letters * 10 >= all * 7 && text.len() * 2 >= ENCODED_BYTES).then_some(text)
}

/// Escapes of one character each: `%41`, `\u0041`, `\u{41}`, `\x41`, `&#65;`, `&#x41;`, `&amp;`.
pub(super) fn escapes(text: &str, room: &mut usize, signals: &mut Signals) -> Step {
    let mut rewrite = Rewrite::new(text);
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut buffer = [0; 4];
    while let Some(start) = next(bytes, at, |b| matches!(b, b'%' | b'\\' | b'&')) {
        let rest = bytes.get(start..).unwrap_or_default();
        let found = match rest.first() {
            Some(b'%') => percent(rest).map(|found| (found, Signal::Percent)),
            Some(b'\\') => backslash(rest).map(|found| (found, Signal::Escapes)),
            _ => entity(rest).map(|found| (found, Signal::Entities)),
        };
        at = start + 1;
        let Some(((c, len), signal)) = found else { continue };
        at = start + len;
        if c.len_utf8() > *room {
            signals.add(Signal::Bounded, start..at);
            break;
        }
        *room -= c.len_utf8();
        signals.add(signal, start..at);
        rewrite.replace(start..at, c.encode_utf8(&mut buffer), How::Whole);
    }
    rewrite.finish()
}

/// The character, and how many bytes it was written with.
type Escape = Option<(char, usize)>;

/// RFC 3986: one character in UTF-8, each byte escaped.
fn percent(rest: &[u8]) -> Escape {
    let byte = |index: usize| {
        let at = index * 3;
        (rest.get(at) == Some(&b'%'))
            .then(|| Some(digit(rest, at + 1)? << 4 | digit(rest, at + 2)?))
            .flatten()
    };
    utf8(byte).map(|(c, bytes)| (c, bytes * 3))
}

/// The first character of bytes that are asked for one by one.
fn utf8(byte: impl Fn(usize) -> Option<u8>) -> Escape {
    let first = byte(0)?;
    let len = match first {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let bytes: Option<Vec<u8>> = (0..len).map(byte).collect();
    let bytes = bytes?;
    let c = std::str::from_utf8(&bytes).ok()?.chars().next()?;
    is_shown(c).then_some((c, len))
}

fn backslash(rest: &[u8]) -> Escape {
    match rest.get(1)? {
        b'x' => {
            let byte = |index: usize| {
                let at = index * 4;
                let is_escape = rest.get(at) == Some(&b'\\') && rest.get(at + 1) == Some(&b'x');
                is_escape.then(|| Some(digit(rest, at + 2)? << 4 | digit(rest, at + 3)?)).flatten()
            };
            utf8(byte).map(|(c, bytes)| (c, bytes * 4))
        }
        b'u' if rest.get(2) == Some(&b'{') => {
            let (code, digits) = number(rest.get(3..)?, 16, 6)?;
            (rest.get(3 + digits) == Some(&b'}')).then_some(())?;
            shown(code).map(|c| (c, digits + 4))
        }
        b'u' => {
            let (high, digits) = number(rest.get(2..)?, 16, 4)?;
            (digits == 4).then_some(())?;
            if !(0xd800..0xdc00).contains(&high) {
                return shown(high).map(|c| (c, 6));
            }
            let low =
                rest.get(6..8).filter(|sign| *sign == b"\\u").and_then(|_| number(rest.get(8..)?, 16, 4));
            let low = low.map(|(low, _)| low).filter(|low| (0xdc00..0xe000).contains(low))?;
            shown(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).map(|c| (c, 12))
        }
        b'U' => {
            let (code, digits) = number(rest.get(2..)?, 16, 8)?;
            (digits == 8).then_some(())?;
            shown(code).map(|c| (c, 10))
        }
        _ => None,
    }
}

fn entity(rest: &[u8]) -> Escape {
    if rest.get(1) == Some(&b'#') {
        let is_hex = matches!(rest.get(2), Some(b'x' | b'X'));
        let from = if is_hex { 3 } else { 2 };
        let (code, digits) = number(rest.get(from..)?, if is_hex { 16 } else { 10 }, 7)?;
        let semicolon = usize::from(rest.get(from + digits) == Some(&b';'));
        return shown(code).map(|c| (c, from + digits + semicolon));
    }
    [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&apos;", '\''),
        ("&nbsp;", ' '),
        ("&NewLine;", '\n'),
        ("&Tab;", '\t'),
        ("&zwnj;", '\u{200c}'),
        ("&zwj;", '\u{200d}'),
        ("&shy;", '\u{ad}'),
    ]
    .into_iter()
    .find(|(name, _)| rest.starts_with(name.as_bytes()))
    .map(|(name, c)| (c, name.len()))
}

/// A number of at most `limit` digits, and how many it has.
fn number(rest: &[u8], radix: u32, limit: usize) -> Option<(u32, usize)> {
    let digits = rest.iter().take(limit).map_while(|b| char::from(*b).to_digit(radix));
    let (mut code, mut len) = (0_u32, 0);
    for digit in digits {
        code = code.checked_mul(radix)?.checked_add(digit)?;
        len += 1;
    }
    (len > 0).then_some((code, len))
}

fn shown(code: u32) -> Option<char> {
    char::from_u32(code).filter(|c| is_shown(*c))
}
