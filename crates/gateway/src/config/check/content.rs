//! What an operator says of content: levels, allow-lists, fields, rules.

use portcullis_inspect::content::{LONGEST, Languages, Phrase, Shape, Topic};
use portcullis_inspect::machine::Allow;

use super::Checker;
use crate::config::file;
use crate::config::read::At;
use crate::config::settings::{ContentKind, ContentRule, Detectors, Field, Level, Wider};
use crate::config::tree::Span;

impl Checker<'_, '_> {
    /// Holds levels to what can be done at all.
    pub(super) fn possible(&mut self, at: Span, levels: [Level; 6], is_prompt: bool) {
        let [pii, secrets, others @ ..] = levels;
        if pii == Level::Tokenise && !is_prompt {
            self.error(
                "unsupported",
                at,
                "tokens are made on the way to a model and given back in its answer",
            )
            .expected("`pii: tokenise` in a model's `prompt`");
        }
        let is_personal = |level: Level| matches!(level, Level::Mask | Level::Tokenise);
        if is_personal(secrets) || others.into_iter().any(is_personal) {
            self.error("unsupported", at, "only personal data is masked or replaced by tokens")
                .expected("`off`, `observe`, `redact` or `block` for what is not `pii`");
        }
    }

    /// Values that are no finding; what means nothing is reported.
    pub(super) fn allow(&mut self, written: Option<&Vec<At<String>>>) -> Vec<String> {
        let mut allowed = Vec::new();
        for entry in written.into_iter().flatten() {
            match Allow::parse([entry.value.as_str()]) {
                Ok(_) => allowed.push(entry.value.clone()),
                Err((_, error)) => {
                    self.error("bad-value", entry.at, format!("`{}` is {error}", entry.value))
                        .expected("such as `*@example.com`, `+49 30 1234567` or `10.0.0.0/8`");
                }
            }
        }
        allowed
    }

    /// Fields with levels of their own. `known` are the fields that there are.
    pub(super) fn fields(
        &mut self,
        written: &[At<file::Field>],
        around: [Level; 6],
        known: &[String],
        is_prompt: bool,
    ) -> Vec<Field> {
        let mut fields = Vec::new();
        for At { at, value } in written {
            if known.is_empty() {
                self.error("unsupported", *at, "fields are of APIs with a contract and of models");
                continue;
            }
            let Some(pointer) = &value.at else { continue };
            if !known.iter().any(|field| meets(&pointer.value, field)) {
                self.error("unknown-field", pointer.at, format!("there is no field `{}`", pointer.value))
                    .nearest(&pointer.value, known.iter().map(|field| field.trim_end_matches("/*")));
                continue;
            }
            let written =
                [value.pii, value.secrets, value.injection, value.active_content, value.links, value.code];
            let mut levels = around;
            for (level, written) in levels.iter_mut().zip(written) {
                *level = written.map_or(*level, level_of);
            }
            self.possible(*at, levels, is_prompt);
            fields.push(Field { at: pointer.value.clone(), levels });
        }
        fields
    }

    /// Rules of the operator's own.
    pub(super) fn content_rules(&mut self, written: &[At<file::ContentRule>]) -> Vec<ContentRule> {
        let mut rules: Vec<ContentRule> = Vec::new();
        for At { at, value } in written {
            let (Some(name), Some(action)) = (&value.name, &value.action) else { continue };
            if rules.iter().any(|rule| rule.name == name.value) {
                self.error("repeated-name", name.at, format!("another rule is called `{}`", name.value));
            }
            let Some(kind) = self.content_kind(*at, value) else { continue };
            let level = match action.value {
                file::RuleAction::Observe => Level::Observe,
                file::RuleAction::Redact => Level::Redact,
                file::RuleAction::Block => Level::Block,
            };
            let ends = matches!(
                kind,
                ContentKind::Languages(_)
                    | ContentKind::Schema { .. }
                    | ContentKind::Phrase { wider: Some(Wider::End), .. }
            );
            if ends && level == Level::Redact {
                self.error("unsupported", action.at, "such a rule does not know which part to replace")
                    .expected("`observe` or `block`");
                continue;
            }
            rules.push(ContentRule { name: name.value.clone(), action: level, kind });
        }
        rules
    }

    fn content_kind(&mut self, at: Span, rule: &file::ContentRule) -> Option<ContentKind> {
        let wider = rule.wider.as_ref().map(|wider| match wider.value {
            file::Wider::Hold => Wider::Hold,
            file::Wider::End => Wider::End,
        });
        let given = [
            rule.topic.is_some(),
            rule.phrase.is_some(),
            rule.languages.is_some(),
            rule.length.is_some(),
            rule.schema.is_some(),
        ];
        if given.iter().filter(|is_given| **is_given).count() != 1 {
            self.error("missing-key", at, "a rule looks for one thing")
                .expected("one of `topic`, `phrase`, `languages`, `length` and `schema`");
            return None;
        }
        if let (Some(wider), true) = (&rule.wider, rule.phrase.is_none() && rule.schema.is_none()) {
            self.error("unsupported", wider.at, "only a `phrase` or a `schema` may need to see more");
        }
        if let Some(words) = &rule.topic {
            return self.topic(at, words);
        }
        if let Some(pattern) = &rule.phrase {
            return self.phrase(pattern, wider);
        }
        if let Some(codes) = &rule.languages {
            for code in codes {
                if Languages::new([code.value.as_str()]).is_err() {
                    self.error("bad-value", code.at, format!("no language `{}` can be told", code.value))
                        .expected("a code such as `en`, `de` or `zh`");
                    return None;
                }
            }
            return Some(ContentKind::Languages(codes.iter().map(|code| code.value.clone()).collect()));
        }
        if let Some(length) = &rule.length {
            return Some(ContentKind::Length(length.value));
        }
        let written = rule.schema.as_ref()?;
        let text = self.text(written)?;
        let compiled = serde_json::from_str(&text.text).map_err(|error| error.to_string());
        match compiled.and_then(|schema| Shape::new(&schema)) {
            Ok(_) => Some(ContentKind::Schema { text: text.text, wider: wider.unwrap_or(Wider::End) }),
            Err(error) => {
                self.error(
                    "bad-schema",
                    written.at,
                    format!("`{}` is no JSON Schema: {error}", written.value),
                );
                None
            }
        }
    }

    fn topic(&mut self, at: Span, words: &[At<String>]) -> Option<ContentKind> {
        if words.is_empty() {
            self.error("empty-list", at, "the topic has no words");
            return None;
        }
        for word in words {
            if Topic::new([word.value.as_str()]).is_none() {
                self.error("bad-value", word.at, format!("`{}` has no letter or digit", word.value));
                return None;
            }
        }
        Some(ContentKind::Topic(words.iter().map(|word| word.value.clone()).collect()))
    }

    fn phrase(&mut self, pattern: &At<String>, wider: Option<Wider>) -> Option<ContentKind> {
        match Phrase::new(&pattern.value) {
            Err(error) => {
                self.error("bad-pattern", pattern.at, format!("`{}`: {error}", pattern.value))
                    .expected("a regular expression without look-around");
                None
            }
            Ok(phrase) if wider.is_none() && phrase.longest().is_none_or(|longest| longest > LONGEST) => {
                let message = format!("what `{}` matches may be longer than {LONGEST} bytes", pattern.value);
                self.error("unbounded-pattern", pattern.at, message)
                    .expected("bounds such as `{1,40}` in place of `*` and `+`")
                    .help("or write `wider: hold`, so that nothing leaves before its end, or `wider: end`, which ends the text");
                None
            }
            Ok(_) => Some(ContentKind::Phrase { pattern: pattern.value.clone(), wider }),
        }
    }
}

/// What a written level is.
pub(super) fn level_of(written: file::DetectorLevel) -> Level {
    match written {
        file::DetectorLevel::Off => Level::Off,
        file::DetectorLevel::Observe => Level::Observe,
        file::DetectorLevel::Mask => Level::Mask,
        file::DetectorLevel::Tokenise => Level::Tokenise,
        file::DetectorLevel::Redact => Level::Redact,
        file::DetectorLevel::Block | file::DetectorLevel::Enforce => Level::Block,
    }
}

/// The levels of the six kinds.
pub(super) fn levels(detectors: &Detectors) -> [Level; 6] {
    let Detectors { pii, secrets, injection, active_content, links, code, .. } = detectors;
    [*pii, *secrets, *injection, *active_content, *links, *code]
}

/// Whether a pointer leads to a field, into one, or on the way to one.
fn meets(pointer: &str, field: &str) -> bool {
    let (mut steps, mut known) = (pointer.split('/'), field.split('/'));
    if steps.next() != Some("") {
        return false;
    }
    known.next();
    loop {
        match (steps.next(), known.next()) {
            (None, _) => return true,
            // What has members of any name ends in `*`.
            (Some(_), None) => return field.ends_with("/*"),
            (Some(step), Some(expected)) if step == expected || expected == "*" => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::meets;

    #[test]
    fn pointers_meet_fields() {
        for (pointer, field, expected) in [
            ("/metadata", "/metadata/*", true),
            ("/metadata/email/x", "/metadata/*", true),
            ("/messages/*/content", "/messages/*/content/*/text", true),
            ("/messages/0/content", "/messages/*/content", true),
            ("/messages/*/contents", "/messages/*/content", false),
            ("/user/x", "/user", false),
            ("metadata", "/metadata/*", false),
        ] {
            assert_eq!(meets(pointer, field), expected, "{pointer} {field}");
        }
    }
}
