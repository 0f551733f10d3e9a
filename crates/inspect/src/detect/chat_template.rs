//! Control tokens of chat templates. Only the template may write them; in text they forge a turn of the talk.

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start};

/// The tokens, as the templates spell them, with the family that goes to the record.
const TOKENS: &[(&str, &str)] = &[
    ("<|im_start|>", "ChatML"),
    ("<|im_end|>", "ChatML"),
    ("<|im_sep|>", "ChatML"),
    ("<|system|>", "role token"),
    ("<|user|>", "role token"),
    ("<|assistant|>", "role token"),
    ("<|endoftext|>", "end of text"),
    ("<|end|>", "end of text"),
    ("<|eot_id|>", "Llama 3"),
    ("<|eom_id|>", "Llama 3"),
    ("<|begin_of_text|>", "Llama 3"),
    ("<|end_of_text|>", "Llama 3"),
    ("<|start_header_id|>", "Llama 3"),
    ("<|end_header_id|>", "Llama 3"),
    ("<|start|>", "Harmony"),
    ("<|channel|>", "Harmony"),
    ("<|message|>", "Harmony"),
    ("<start_of_turn>", "Gemma"),
    ("<end_of_turn>", "Gemma"),
    ("[INST]", "Llama 2"),
    ("[/INST]", "Llama 2"),
    ("<<SYS>>", "Llama 2"),
    ("<</SYS>>", "Llama 2"),
    ("[SYSTEM_PROMPT]", "Mistral"),
    ("[/SYSTEM_PROMPT]", "Mistral"),
    ("[AVAILABLE_TOOLS]", "Mistral"),
    ("[TOOL_RESULTS]", "Mistral"),
];

fn anywhere(_: u8) -> bool {
    true
}

pub(super) const STARTS: &[Start] = &[
    Start {
        left: anywhere,
        bytes: Bytes::Prefixes(&[
            b"<|i", b"<|s", b"<|u", b"<|a", b"<|e", b"<|b", b"<|c", b"<|m", b"<st", b"<en", b"<<S", b"<</",
        ]),
    },
    Start { left: anywhere, bytes: Bytes::Prefixes(&[b"[IN", b"[/I", b"[SY", b"[/S", b"[AV", b"[TO"]) },
];

/// Whether a token starts here.
pub(super) fn probe(cursor: &Cursor<'_>) -> Probe {
    for (token, family) in TOKENS {
        let mut cursor = cursor.clone();
        if cursor.eat_literal(token.as_bytes())? {
            return Ok(Some(Match::exact(cursor.at(), family)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{STARTS, TOKENS};
    use crate::detect::{Detector, redacted};

    #[test]
    fn every_token_is_found() {
        for (token, _) in TOKENS {
            let bytes = token.as_bytes();
            assert!(STARTS.iter().any(|start| (0..3).all(|i| start.admits(i, bytes[i]))), "{token}");
            assert_eq!(redacted(Detector::ChatTemplate, &format!("a{token}b")), "a[chat-template]b");
        }
    }

    #[test]
    fn leaves_brackets_of_other_kinds() {
        for text in [
            "a <| b |> c",
            "[INFO] started",
            "[SYSTEM32]",
            "<strong>x</strong>",
            "<<SYSTEM",
            "[inst]",
            "x <|> y",
        ] {
            assert_eq!(redacted(Detector::ChatTemplate, text), text);
        }
    }
}
