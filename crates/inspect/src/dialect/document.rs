//! Documents that travel encoded inside a string: `data:` URLs and base64. What is text in them is read; pictures, sound
//! and formats of office programs are not.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::media;

/// However it was written.
const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The first bytes of formats which hold no text that can be read as it is, after so many others.
const BINARY: [(usize, &[u8]); 18] = [
    (0, b"\x89PNG"),
    (0, b"\xff\xd8\xff"),
    (0, b"GIF8"),
    (0, b"RIFF"),
    (0, b"II*\0"),
    (0, b"MM\0*"),
    (0, b"%PDF"),
    (0, b"PK\x03\x04"),
    (0, b"\xd0\xcf\x11\xe0"),
    (0, b"\x1f\x8b"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"fLaC"),
    (0, b"\xff\xfb"),
    (0, b"\xff\xf3"),
    (0, b"\x1aE\xdf\xa3"),
    (4, b"ftyp"),
    (0, b"\0\0\0\x0cjP"),
];

/// What base64 of known formats begins with.
const KNOWN: [(&str, &str); 9] = [
    ("iVBORw0K", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBER", "application/pdf"),
    ("UEsDB", "application/zip"),
    ("SUQz", "audio/mpeg"),
    ("T2dnUw", "audio/ogg"),
    ("ZkxhQ", "audio/flac"),
];

/// The media type of an encoded document, in lower case: what it says, else what it begins like, else that of bytes.
pub(crate) fn media(data: &str) -> String {
    let said = data.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let said = said.and_then(|_| data.get(5..)?.split([';', ',']).next()).filter(|said| !said.is_empty());
    let known = || KNOWN.iter().find(|(start, _)| data.starts_with(start)).map(|(_, media)| *media);
    said.or_else(known).unwrap_or("application/octet-stream").to_ascii_lowercase()
}

/// What a string holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// Nothing but what is written.
    Plain,
    /// Bytes that are no text.
    Binary,
    /// Text.
    Text(Text),
}

/// The text of a document, and how another is put in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// What stands before the data.
    head: String,
    is_base64: bool,
}

impl Text {
    /// Whether nothing but its looks says that the string is encoded.
    pub(crate) fn is_guessed(&self) -> bool {
        self.head.is_empty()
    }

    /// The string with other text for the document's.
    pub(crate) fn with(&self, text: &str) -> String {
        let data = match self.is_base64 {
            true => base64::engine::general_purpose::STANDARD.encode(text),
            false => text.bytes().fold(String::with_capacity(text.len()), |mut data, byte| {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        data.push(char::from(byte));
                    }
                    _ => data.push_str(&format!("%{byte:02X}")),
                }
                data
            }),
        };
        [self.head.as_str(), &data].concat()
    }
}

/// Reads a string as a document: a `data:` URL, or bare base64.
pub(crate) fn read(written: &str) -> Document {
    let is_url = written.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let (head, data) = match written.split_once(',').filter(|_| is_url) {
        Some((head, data)) => (head, data),
        None if is_url => return Document::Plain,
        None => ("", written),
    };
    let is_base64 = !is_url || head.to_ascii_lowercase().trim_end().ends_with(";base64");
    let full = written.get(..written.len() - data.len()).unwrap_or_default().to_owned();
    if !is_base64 {
        // Without escapes it is what is written.
        return match data.contains('%') {
            true => {
                let text = media::decode(&data.replace('+', "%2B")).into_owned();
                Document::Text(Text { text, head: full, is_base64 })
            }
            false => Document::Plain,
        };
    }
    let Some(bytes) = decoded(data) else { return Document::Plain };
    match text_of(&bytes, head) {
        Some(text) => Document::Text(Text { text, head: full, is_base64 }),
        None if is_url || is_binary(&bytes) => Document::Binary,
        None => Document::Plain,
    }
}

/// Whether a member of an answer is encoded for machines and holds nothing that a client would read.
pub(crate) fn is_encoded(name: &str, text: &str) -> bool {
    match name {
        "embedding" | "encrypted_content" => {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
        }
        "result" | "partial_image_b64" | "b64_json" => read(text) == Document::Binary,
        _ => false,
    }
}

fn decoded(data: &str) -> Option<Vec<u8>> {
    // Lines are broken, words are not: what has spaces was written by somebody.
    let data: Vec<u8> = data.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let is_url_safe = data.iter().any(|byte| b"-_".contains(byte));
    let engine = GeneralPurpose::new(if is_url_safe { &URL_SAFE } else { &STANDARD }, LAX);
    engine.decode(&data).ok().filter(|bytes| !bytes.is_empty())
}

/// The text in the bytes of a document, if they are text or are said to be.
fn text_of(bytes: &[u8], head: &str) -> Option<String> {
    let units = |of: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2).skip(1).filter_map(|pair| pair.try_into().ok());
        String::from_utf16_lossy(&pairs.map(of).collect::<Vec<u16>>())
    };
    match bytes {
        [0xff, 0xfe, ..] if bytes.len().is_multiple_of(2) && !is_binary(bytes) => {
            return Some(units(u16::from_le_bytes));
        }
        [0xfe, 0xff, ..] if bytes.len().is_multiple_of(2) => return Some(units(u16::from_be_bytes)),
        _ => {}
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && !bytes.contains(&0)
    {
        return Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned());
    }
    // What is said to be text and is no UTF-8 is most often of an older alphabet with the same first half.
    let media = head.get(5..).unwrap_or_default().to_ascii_lowercase();
    let is_said = media.starts_with("text/") || media.contains("json") || media.contains("xml");
    is_said.then(|| bytes.iter().map(|byte| char::from(*byte)).collect())
}

fn is_binary(bytes: &[u8]) -> bool {
    BINARY.iter().any(|(at, magic)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Option<&str>, changed: &str) {
        match (read(written), expected) {
            (Document::Text(text), Some(expected)) => {
                assert_eq!(text.text, expected, "{written}");
                assert_eq!(text.with("b é"), changed, "{written}");
            }
            (Document::Plain, None) => assert_eq!(changed, "plain", "{written}"),
            (Document::Binary, None) => assert_eq!(changed, "binary", "{written}"),
            (other, _) => panic!("{written}: {other:?}"),
        }
    }

    #[test]
    fn text_is_read_whatever_it_says_it_is() {
        check("data:text/plain;base64,YSBTRUNSRVQ=", Some("a SECRET"), "data:text/plain;base64,YiDDqQ==");
        check(
            "DATA:image/png;charset=x;BASE64,YSBTRUNSRVQ",
            Some("a SECRET"),
            "DATA:image/png;charset=x;BASE64,YiDDqQ==",
        );
        check("data:;base64,YSBT\nRUNSRVQ=", Some("a SECRET"), "data:;base64,YiDDqQ==");
        check("YSBTRUNSRVQ=", Some("a SECRET"), "YiDDqQ==");
        check("data:text/csv,a%20SECRET", Some("a SECRET"), "data:text/csv,b%20%C3%A9");
        // UTF-16, and an older alphabet.
        check("data:text/plain;base64,//5hAGIA", Some("ab"), "data:text/plain;base64,YiDDqQ==");
        check("data:text/plain;base64,/v8AYQBi", Some("ab"), "data:text/plain;base64,YiDDqQ==");
        check("data:text/plain;base64,Y2Fm6Q==", Some("café"), "data:text/plain;base64,YiDDqQ==");
    }

    #[test]
    fn what_is_no_text_is_binary_and_what_is_not_encoded_is_plain() {
        check("data:image/png;base64,iVBORw0KGgo=", None, "binary");
        check("iVBORw0KGgo=", None, "binary");
        check("data:application/pdf;base64,JVBERi0xLjcKJeLjz9MK", None, "binary");
        check("data:text/plain,a SECRET", None, "plain");
        check("data:text/plain", None, "plain");
        check("a SECRET", None, "plain");
        // A word is not taken for a picture because its letters could be one.
        check("AKIAIOSFODNN7EXAMPLE", None, "plain");
        check("", None, "plain");
    }

    #[test]
    fn vectors_and_pictures_are_no_text() {
        for (name, text, expected) in [
            ("embedding", "AACAPwAAAEA=", true),
            ("embedding", "a SECRET", false),
            ("encrypted_content", "gAAAAAB-_", true),
            ("result", "iVBORw0KGgo=", true),
            ("result", "YSBTRUNSRVQ=", false),
            ("text", "AACAPwAAAEA=", false),
        ] {
            assert_eq!(is_encoded(name, text), expected, "{name} {text}");
        }
    }
}
