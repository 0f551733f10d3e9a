//! Answers that come whole: every string of the JSON is screened where it stands, and only what changed is replaced.

use bytes::Bytes;
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::Finding;

use super::usage;
use crate::dialect::splice::{Edit, contains, pointer, splice};
use crate::dialect::tape::{Kind, Span, Tape};
use crate::dialect::text::{Form, Left, whole};
use crate::dialect::{ModelRules, Screened};

/// Takes a whole JSON answer of the model (a message, a count, an error, a list of models). Proves that every string in
/// it, names of members included, passed the answer's screen. What was found goes to `findings`, also on a refusal.
///
/// What a tool is called with is screened as the JSON text that it is, because that is how it comes in a stream.
/// Citations say a text once more: a text that was redacted loses them. A signature vouches for what a model thought:
/// where that was redacted it vouches for nothing, and is emptied.
///
/// # Errors
/// [`Reason::AnswerUnreadable`] for what is not unambiguous JSON, [`Reason::AnswerBlocked`] for what a rule blocks.
pub fn screen_answer(
    rules: &ModelRules,
    body: &Bytes,
    findings: &mut Vec<Finding>,
) -> Result<Screened, Halt> {
    let unreadable = |detail: String| Halt::new(Reason::AnswerUnreadable, detail);
    let text = std::str::from_utf8(body).map_err(|error| unreadable(error.to_string()))?;
    let tape = Tape::parse(text).map_err(|error| unreadable(error.to_string()))?;
    let usage = usage(&tape, 0, None);
    if rules.answer.is_off() {
        return Ok(Screened { body: body.clone(), usage });
    }
    let mut reading = Reading { rules, tape: &tape, findings, edits: Vec::new() };
    reading.nodes()?;
    reading.blocks()?;
    let mut edits = reading.edits;
    let body = if edits.is_empty() { body.clone() } else { Bytes::from(splice(text, &mut edits)) };
    Ok(Screened { body, usage })
}

/// One pass over an answer.
struct Reading<'r, 't> {
    rules: &'r ModelRules,
    tape: &'r Tape<'t>,
    findings: &'r mut Vec<Finding>,
    edits: Vec<Edit>,
}

impl Reading<'_, '_> {
    /// Screens every name and every string, and the input of every call.
    fn nodes(&mut self) -> Result<(), Halt> {
        let inputs = self.inputs();
        let (mut next, count) = (0, u32::try_from(self.tape.nodes.len()).unwrap_or(u32::MAX));
        while next < count {
            let id = next;
            next += 1;
            let Some(node) = self.tape.node(id).copied() else { break };
            if let (Some(name), Some(span)) = (self.tape.key(id), node.key) {
                self.string(id, &name, span)?;
            }
            if inputs.contains(&id) {
                self.input(id, node.span)?;
                next = node.after;
            } else if let Some(text) = self.tape.string(id) {
                self.string(id, &text, node.span)?;
            }
        }
        Ok(())
    }

    /// What the calls of tools in the message are called with.
    fn inputs(&self) -> Vec<u32> {
        let blocks =
            self.tape.member(0, "content").into_iter().flat_map(|content| self.tape.children(content));
        let input = |block| self.tape.member(block, "input");
        let is_json = |id: &u32| {
            self.tape.node(*id).is_some_and(|node| matches!(node.kind, Kind::Object | Kind::Array))
        };
        blocks.filter_map(input).filter(is_json).collect()
    }

    fn string(&mut self, id: u32, text: &str, span: Span) -> Result<(), Halt> {
        match whole(&self.rules.answer, text, Form::Plain, self.findings, || pointer(self.tape, id)) {
            Left::Same => Ok(()),
            Left::Changed(text) => {
                self.edits.push(Edit::string(span, &text));
                Ok(())
            }
            Left::Blocked => Err(self.blocked(id)),
        }
    }

    fn input(&mut self, id: u32, span: Span) -> Result<(), Halt> {
        let text = span.of(self.tape.text);
        match whole(&self.rules.answer, text, Form::Json, self.findings, || pointer(self.tape, id)) {
            Left::Same => Ok(()),
            // What was taken out may have been more than a value.
            Left::Changed(json) if Tape::parse(&json).is_ok() => {
                self.edits.push(Edit { span, json });
                Ok(())
            }
            Left::Changed(_) | Left::Blocked => Err(self.blocked(id)),
        }
    }

    /// Takes from the blocks that were changed what says their text once more, or vouches for it.
    fn blocks(&mut self) -> Result<(), Halt> {
        let Some(content) = self.tape.member(0, "content") else { return Ok(()) };
        for block in self.tape.children(content) {
            if let Some(citations) = self.tape.member(block, "citations") {
                let is_changed = self.is_changed(self.tape.member(block, "text"));
                if is_changed || !self.cited_passes(citations)? {
                    self.replace(citations, "null");
                }
            }
            if let Some(signature) = self.tape.member(block, "signature")
                && self.is_changed(Some(block))
            {
                self.replace(signature, "\"\"");
            }
        }
        Ok(())
    }

    fn is_changed(&self, id: Option<u32>) -> bool {
        let span = id.and_then(|id| self.tape.node(id)).map(|node| node.span);
        span.is_some_and(|span| self.edits.iter().any(|edit| contains(span, edit.span)))
    }

    /// Whether what a list of citations quotes, all of it together, may leave.
    fn cited_passes(&mut self, citations: u32) -> Result<bool, Halt> {
        let quoted = self.tape.children(citations).filter_map(|one| self.tape.member(one, "cited_text"));
        let quoted: String = quoted.filter_map(|id| self.tape.string(id)).collect();
        let known = self.findings.len();
        let left =
            whole(&self.rules.answer, &quoted, Form::Plain, self.findings, || pointer(self.tape, citations));
        match left {
            Left::Same => {
                // Each was reported where it stands.
                self.findings.truncate(known);
                Ok(true)
            }
            // Without what each says alone: that was replaced where it stands.
            Left::Changed(_) if self.is_changed(Some(citations)) => {
                self.findings.truncate(known);
                Ok(false)
            }
            Left::Changed(_) => Ok(false),
            Left::Blocked => Err(self.blocked(citations)),
        }
    }

    fn replace(&mut self, id: u32, json: &str) {
        let Some(span) = self.tape.node(id).map(|node| node.span) else { return };
        self.edits.retain(|edit| !contains(span, edit.span));
        self.edits.push(Edit { span, json: json.to_owned() });
    }

    fn blocked(&self, id: u32) -> Halt {
        Halt::new(Reason::AnswerBlocked, format!("blocked at {}", pointer(self.tape, id)))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::record::Usage;

    use super::*;
    use crate::dialect::Screen;

    fn rules() -> ModelRules {
        ModelRules { answer: Screen::on(), ..ModelRules::default() }
    }

    fn check(body: &str, expected: &str, at: &[&str]) {
        let mut findings = Vec::new();
        let screened = screen_answer(&rules(), &Bytes::from(body.to_owned()), &mut findings).unwrap();
        assert_eq!(std::str::from_utf8(&screened.body).unwrap(), expected);
        assert_eq!(findings.iter().map(|finding| finding.at.as_str()).collect::<Vec<_>>(), at, "{body}");
    }

    fn same(body: &str) {
        check(body, body, &[]);
    }

    #[test]
    fn what_is_clean_keeps_its_bytes() {
        same(
            r#"{ "id" : "x", "content":[{"type":"text","text":"\u0041 SECRE"},{"type":"tool_use","input":{ "a":[1.50e3,"\u0041"]}}] }"#,
        );
        same(
            r#"{"content":[{"type":"thinking","thinking":"a","signature":"sig"},{"type":"text","text":"b","citations":[{"cited_text":"SEC"},{"cited_text":"ond"}]}]}"#,
        );
        same(r#"{"input_tokens":14}"#);
        same("[]");
    }

    #[test]
    fn every_string_is_screened_where_it_stands() {
        check(
            r#"{"content":[{"type":"text","text":"a \u0053ECRET"}],"model":"SECRET"}"#,
            r#"{"content":[{"type":"text","text":"a [word]"}],"model":"[word]"}"#,
            &["/content/0/text", "/model"],
        );
        check(
            r#"{"content":[{"type":"web_search_tool_result","content":[{"title":"SECRET","url":"https://SECRET"}]}]}"#,
            r#"{"content":[{"type":"web_search_tool_result","content":[{"title":"[word]","url":"https://[word]"}]}]}"#,
            &["/content/0/content/0/title", "/content/0/content/0/url"],
        );
        check(
            r#"{"error":{"message":"SECRET"},"SECRET":1}"#,
            r#"{"error":{"message":"[word]"},"[word]":1}"#,
            &["/error/message", "/SECRET"],
        );
    }

    #[test]
    fn what_a_tool_is_called_with_is_json() {
        check(
            r#"{"content":[{"type":"tool_use","name":"f","input":{"to":"\u0053ECRET\n", "SECRET":["SECRET"]}}]}"#,
            r#"{"content":[{"type":"tool_use","name":"f","input":{"to":"[word]\n", "[word]":["[word]"]}}]}"#,
            &["/content/0/input", "/content/0/input", "/content/0/input"],
        );
    }

    #[test]
    fn citations_do_not_spell_what_was_redacted() {
        check(
            r#"{"content":[{"text":"SECRET","citations":[{"cited_text":"ECRE"}]},{"text":"a","citations":[{"cited_text":"b"}]}]}"#,
            r#"{"content":[{"text":"[word]","citations":null},{"text":"a","citations":[{"cited_text":"b"}]}]}"#,
            &["/content/0/text"],
        );
        check(
            r#"{"content":[{"text":"a","citations":[{"cited_text":"SEC"},{"cited_text":"RET"}]}]}"#,
            r#"{"content":[{"text":"a","citations":null}]}"#,
            &["/content/0/citations"],
        );
    }

    #[test]
    fn a_signature_vouches_for_what_was_not_changed() {
        check(
            r#"{"content":[{"type":"thinking","thinking":"SECRET","signature":"c2ln"},{"type":"thinking","thinking":"a","signature":"c2ln"}]}"#,
            r#"{"content":[{"type":"thinking","thinking":"[word]","signature":""},{"type":"thinking","thinking":"a","signature":"c2ln"}]}"#,
            &["/content/0/thinking"],
        );
    }

    #[test]
    fn what_is_blocked_or_ambiguous_does_not_leave() {
        let fails = |body: &'static str| {
            screen_answer(&rules(), &Bytes::from_static(body.as_bytes()), &mut Vec::new())
                .unwrap_err()
                .reason()
                .unwrap()
        };
        assert_eq!(fails(r#"{"content":[{"text":"FORBIDDEN"}]}"#), Reason::AnswerBlocked);
        assert_eq!(fails(r#"{"content":[{"input":{"a":"FORBIDDEN"}}]}"#), Reason::AnswerBlocked);
        assert_eq!(
            fails(r#"{"content":[{"citations":[{"cited_text":"FORB"},{"cited_text":"IDDEN"}]}]}"#),
            Reason::AnswerBlocked
        );
        assert_eq!(fails(r#"{"content":"a","content":"b"}"#), Reason::AnswerUnreadable);
        assert_eq!(fails("<html>"), Reason::AnswerUnreadable);
    }

    #[test]
    fn usage_is_read_with_what_was_cached() {
        let body = Bytes::from_static(
            br#"{"usage":{"input_tokens":3,"cache_creation_input_tokens":10,"cache_read_input_tokens":null,"output_tokens":4}}"#,
        );
        let screened = screen_answer(&ModelRules::default(), &body, &mut Vec::new()).unwrap();
        assert_eq!(screened.usage, Some(Usage { prompt_tokens: 13, completion_tokens: 4, total_tokens: 17 }));
    }
}
