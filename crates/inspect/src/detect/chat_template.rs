//! Control tokens of chat templates. Only the template may write them; in text they forge a turn of the talk.
//!
//! A tokenizer takes them as the template spells them and not otherwise, so these are looked for as they are spelt.
//! Redacted, a token is the detector's placeholder, which no tokenizer has a token for.

use super::cursor::{Cursor, More};
use super::{Bytes, Match, Probe, Start};

/// Tokens of other shapes than `<|name|>`, with the family that goes to the record.
const TOKENS: &[(&str, &str)] = &[
    ("<start_of_turn>", "Gemma"),
    ("<end_of_turn>", "Gemma"),
    ("<start_of_image>", "Gemma"),
    ("<bos>", "end of text"),
    ("<eos>", "end of text"),
    ("<s>", "end of text"),
    ("</s>", "end of text"),
    ("<end_of_utterance>", "end of text"),
    ("<BOS_TOKEN>", "Command R"),
    ("<EOS_TOKEN>", "Command R"),
    ("<fim_prefix>", "fill in the middle"),
    ("<fim_suffix>", "fill in the middle"),
    ("<fim_middle>", "fill in the middle"),
    ("<fim_pad>", "fill in the middle"),
    ("<tool_call>", "tool call"),
    ("</tool_call>", "tool call"),
    ("<tool_calls>", "tool call"),
    ("</tool_calls>", "tool call"),
    ("<tool_response>", "tool call"),
    ("</tool_response>", "tool call"),
    ("<function_calls>", "tool call"),
    ("</function_calls>", "tool call"),
    ("<function_results>", "tool call"),
    ("</function_results>", "tool call"),
    ("[INST]", "Llama 2"),
    ("[/INST]", "Llama 2"),
    ("<<SYS>>", "Llama 2"),
    ("<</SYS>>", "Llama 2"),
    ("[SYSTEM_PROMPT]", "Mistral"),
    ("[/SYSTEM_PROMPT]", "Mistral"),
    ("[AVAILABLE_TOOLS]", "Mistral"),
    ("[/AVAILABLE_TOOLS]", "Mistral"),
    ("[TOOL_RESULTS]", "Mistral"),
    ("[/TOOL_RESULTS]", "Mistral"),
    ("[TOOL_CALLS]", "Mistral"),
    ("[TOOL_CONTENT]", "Mistral"),
    ("[gMASK]", "GLM"),
];

/// Names between `<|` and `|>` by which a family is known; any other name is a token too.
const NAMES: &[(&[u8], &str)] = &[
    (b"im_", "ChatML"),
    (b"system", "role token"),
    (b"user", "role token"),
    (b"assistant", "role token"),
    (b"endof", "end of text"),
    (b"end|", "end of text"),
    (b"fim_", "fill in the middle"),
    (b"eot_id", "Llama 3"),
    (b"eom_id", "Llama 3"),
    (b"begin_of_text", "Llama 3"),
    (b"end_of_text", "Llama 3"),
    (b"start_header_id", "Llama 3"),
    (b"end_header_id", "Llama 3"),
    (b"header_", "Llama 4"),
    (b"eot|", "Llama 4"),
    (b"start|", "Harmony"),
    (b"channel", "Harmony"),
    (b"message", "Harmony"),
    (b"START_OF_TURN", "Command R"),
    (b"END_OF_TURN", "Command R"),
];

/// Longest name.
const NAME: usize = 48;
/// The bar of DeepSeek's tokens: U+FF5C.
const WIDE_BAR: &[u8] = "｜".as_bytes();

fn anywhere(_: u8) -> bool {
    true
}

fn of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/')
}

pub(super) const STARTS: &[Start] = &[
    Start { left: anywhere, bytes: Bytes::Classes([|b| matches!(b, b'<' | b'['), |b| b == b'|', of_name]) },
    Start {
        left: anywhere,
        bytes: Bytes::Prefixes(&[
            b"<st",
            b"<en",
            b"<bo",
            b"<eo",
            b"<s>",
            b"</s",
            b"<BO",
            b"<EO",
            b"<fi",
            b"<to",
            b"</t",
            b"<fu",
            b"</f",
            b"<<S",
            b"<</",
            b"<\xef\xbd",
        ]),
    },
    Start {
        left: anywhere,
        bytes: Bytes::Prefixes(&[b"[IN", b"[/I", b"[SY", b"[/S", b"[AV", b"[/A", b"[TO", b"[/T", b"[gM"]),
    },
];

/// Whether a token starts here.
pub(super) fn probe(cursor: &Cursor<'_>) -> Probe {
    for (token, family) in TOKENS {
        let mut cursor = cursor.clone();
        if cursor.eat_literal(token.as_bytes())? {
            return Ok(Some(Match::exact(cursor.at(), family)));
        }
    }
    for (open, close) in [(&b"<|"[..], &b"|>"[..]), (b"[|", b"|]")] {
        if let Some(found) = between(cursor.clone(), open, close)? {
            return Ok(Some(found));
        }
    }
    wide(cursor.clone())
}

/// `<|name|>`.
fn between(mut cursor: Cursor<'_>, open: &[u8], close: &[u8]) -> Probe {
    if !cursor.eat_literal(open)? || cursor.eat_while(NAME, of_name)? == 0 || !cursor.eat_literal(close)? {
        return Ok(None);
    }
    let name = cursor.seen().get(open.len()..).unwrap_or_default();
    let known = NAMES.iter().find(|(start, _)| name.starts_with(start));
    Ok(Some(Match::exact(cursor.at(), known.map_or("control token", |(_, family)| family))))
}

/// `<｜name｜>`, as DeepSeek spells it; its names hold more than ASCII.
fn wide(mut cursor: Cursor<'_>) -> Result<Option<Match>, More> {
    if !cursor.eat_literal(b"<")? || !cursor.eat_literal(WIDE_BAR)? {
        return Ok(None);
    }
    let named = cursor.eat_while(NAME, |byte| byte >= 0x80 || of_name(byte))?;
    let is_closed =
        named > WIDE_BAR.len() && cursor.seen().ends_with(WIDE_BAR) && cursor.eat_literal(b">")?;
    Ok(is_closed.then(|| Match::exact(cursor.at(), "DeepSeek")))
}

#[cfg(test)]
mod tests {
    use super::{STARTS, TOKENS};
    use crate::detect::{Detector, finds, redacted};

    fn check(token: &str, family: &str) {
        let bytes = token.as_bytes();
        assert!(STARTS.iter().any(|start| (0..3).all(|i| start.admits(i, bytes[i]))), "{token}");
        assert_eq!(redacted(Detector::ChatTemplate, &format!("a{token}b")), "a[chat-template]b");
        assert_eq!(finds(Detector::ChatTemplate, token), [family], "{token}");
    }

    #[test]
    fn every_token_is_found() {
        for (token, family) in TOKENS {
            check(token, family);
        }
        for (token, family) in [
            ("<|im_start|>", "ChatML"),
            ("<|im_sep|>", "ChatML"),
            ("<|assistant|>", "role token"),
            ("<|endoftext|>", "end of text"),
            ("<|end|>", "end of text"),
            ("<|eot_id|>", "Llama 3"),
            ("<|start_header_id|>", "Llama 3"),
            ("<|reserved_special_token_7|>", "control token"),
            ("<|python_tag|>", "control token"),
            ("<|header_start|>", "Llama 4"),
            ("<|eot|>", "Llama 4"),
            ("<|start|>", "Harmony"),
            ("<|channel|>", "Harmony"),
            ("<|fim_prefix|>", "fill in the middle"),
            ("<|START_OF_TURN_TOKEN|>", "Command R"),
            ("<|vision_start|>", "control token"),
            ("[|system|]", "role token"),
            ("<｜begin▁of▁sentence｜>", "DeepSeek"),
            ("<｜User｜>", "DeepSeek"),
        ] {
            check(token, family);
        }
    }

    #[test]
    fn leaves_brackets_of_other_kinds() {
        for text in [
            "a <| b |> c",
            "[INFO] started",
            "[SYSTEM32]",
            "<strong>x</strong>",
            "<section>",
            "<<SYSTEM",
            "[inst]",
            "x <|> y",
            "f <| g",
            "[|1, 2|]",
            "<｜>",
        ] {
            assert_eq!(redacted(Detector::ChatTemplate, text), text);
        }
    }
}
