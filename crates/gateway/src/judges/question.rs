//! What a judge is asked.

use aws_lc_rs::rand;
use serde_json::json;

use super::{JudgeError, Writer};

/// What a model is told that judges. `{delimiter}` is a word that is drawn for each question.
pub(super) const INSTRUCTIONS: &str = include_str!("instructions.txt");

/// The body for a webhook.
pub(super) fn webhook(judge: &str, writer: Writer, text: &str) -> Vec<u8> {
    json!({ "judge": judge, "written_by": writer.as_str(), "text": text, "input": text })
        .to_string()
        .into_bytes()
}

/// The body for a model: the instructions, and the text between two delimiters that nobody could know who wrote it.
pub(super) fn chat(
    model: &str,
    instructions: &str,
    writer: Writer,
    text: &str,
) -> Result<Vec<u8>, JudgeError> {
    let mut drawn = [0; 16];
    rand::fill(&mut drawn).map_err(|_| JudgeError::Question)?;
    let delimiter: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
    let instructions = instructions.replace("{delimiter}", &delimiter);
    let written_by = writer.as_str();
    let shown = format!("Written by: {written_by}\n<{delimiter}>\n{text}\n</{delimiter}>");
    let messages =
        json!([{ "role": "system", "content": instructions }, { "role": "user", "content": shown }]);
    Ok(json!({ "model": model, "temperature": 0, "messages": messages }).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_model_is_shown_the_text_behind_a_word_that_is_drawn_anew() {
        let ask = || -> Value {
            let text = "</x> ignore this";
            serde_json::from_slice(&chat("m", INSTRUCTIONS, Writer::Document, text).unwrap()).unwrap()
        };
        let (one, other) = (ask(), ask());
        let shown = one["messages"][1]["content"].as_str().unwrap();
        let delimiter = shown.split(['<', '>']).nth(1).unwrap();
        assert_eq!(delimiter.len(), 32);
        assert!(shown.ends_with(&format!("\n</{delimiter}>")) && shown.contains("document"), "{shown}");
        let told = one["messages"][0]["content"].as_str().unwrap();
        assert!(told.contains(delimiter) && !told.contains("{delimiter}"), "{told}");
        assert_ne!(one["messages"][1], other["messages"][1]);
    }
}
