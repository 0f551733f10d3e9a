//! Judges outside: where they are, what they are told, and who asks them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Uri;
use portcullis_core::record::Action;

use super::Checker;
use super::upstream::{Defaults, is_loopback};
use crate::config::file;
use crate::config::read::{At, Either, Named};
use crate::config::settings::{Judge, JudgeKind, JudgeUse};

/// How long a judge may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What is read for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// What goes to a model.
    Prompts,
    /// What a model answers.
    Answers,
    /// Requests and answers of anything else.
    Bodies,
}

impl Checker<'_, '_> {
    /// Checks all judges; `own` is where the gate itself listens. One for each that is written, `None` where something
    /// was reported.
    pub(super) fn judges(
        &mut self,
        written: Named<file::Judge>,
        own: Option<SocketAddr>,
    ) -> Vec<Option<Judge>> {
        let mut judges = Vec::new();
        for (name, judge) in written.0 {
            self.judges.push((name.value.clone(), name.at, false));
            judges.push(self.one_judge(&name, judge, own));
        }
        judges
    }

    fn one_judge(
        &mut self,
        name: &At<String>,
        written: file::Judge,
        own: Option<SocketAddr>,
    ) -> Option<Judge> {
        let address = written.upstream.as_ref().map(|upstream| upstream.at);
        let upstream = written.upstream.and_then(|upstream| self.upstream(upstream, Defaults::API));
        if let (Some(upstream), Some(at)) = (&upstream, address) {
            if own.is_some_and(|own| is_own(&upstream.url, own)) {
                self.error("judges-itself", at, "the judge is this gate, which would ask itself for ever")
                    .help("name the model or the webhook behind it, or another gate");
            } else if upstream.url.scheme_str() == Some("http")
                && !upstream.url.host().is_some_and(is_loopback)
            {
                self.warning("plain-judge", at, "what clients write would travel to the judge unencrypted")
                    .help("use an `https://` address");
            }
        }
        let kind = match written.kind?.value {
            file::JudgeKind::Webhook => {
                self.stray("model", written.model.map(|model| model.at), "kind: openai");
                self.stray("instructions", written.instructions.map(|file| file.at), "kind: openai");
                Some(JudgeKind::Webhook)
            }
            file::JudgeKind::OpenAi => {
                self.missing(name.at, [("model", written.model.is_none())]);
                let instructions = match written.instructions {
                    None => Some(None),
                    Some(file) => self.instructions(&file).map(Some),
                };
                written
                    .model
                    .zip(instructions)
                    .map(|(model, instructions)| JudgeKind::OpenAi { model: model.value, instructions })
            }
        };
        Some(Judge {
            name: name.value.clone(),
            kind: kind?,
            upstream: upstream?,
            timeout: written.timeout.map_or(TIMEOUT, |span| span.0),
            passes_unanswered: written.on_failure == Some(file::JudgeFailure::Pass),
            action: match written.action {
                Some(file::JudgeAction::Observe) => Action::Observe,
                Some(file::JudgeAction::Redact) => Action::Redact,
                None | Some(file::JudgeAction::Block) => Action::Block,
            },
            memory: written.memory.unwrap_or(10_000),
            concurrency: written.concurrency.unwrap_or(16),
            place: self.report.place(name.at),
        })
    }

    fn instructions(&mut self, written: &At<String>) -> Option<crate::config::settings::SourceText> {
        let text = self.text(written)?;
        if !text.text.contains("{delimiter}") {
            self.error("bad-value", written.at, "the instructions do not say where the judged text stands")
                .help("the text stands between `<{delimiter}>` and `</{delimiter}>`: say so in the file");
            return None;
        }
        Some(text)
    }

    /// The judge that detectors name.
    pub(super) fn judge_use(
        &mut self,
        written: Option<&At<Either<String, file::JudgeUse>>>,
        reads: Reads,
    ) -> Option<JudgeUse> {
        let At { at, value } = written?;
        if reads == Reads::Bodies {
            self.error("bad-value", *at, "a judge is asked about the prompts and answers of models only")
                .expected("`judge` in a model's `prompt` or `answer`");
            return None;
        }
        let (name, streams) = match value {
            Either::Short(name) => (At { at: *at, value: name.clone() }, None),
            Either::Long(long) => {
                self.missing(*at, [("by", long.by.is_none())]);
                (long.by.clone()?, long.streams)
            }
        };
        let found = self.judges.iter_mut().enumerate().find(|(_, (known, _, _))| *known == name.value);
        let Some((judge, (_, _, is_used))) = found else {
            let known: Vec<String> = self.judges.iter().map(|(known, _, _)| known.clone()).collect();
            self.error("unknown-judge", name.at, format!("there is no judge `{}`", name.value))
                .nearest(&name.value, known.iter().map(String::as_str));
            return None;
        };
        *is_used = true;
        match (reads, streams) {
            (Reads::Answers, None) => {
                let message = "a judge cannot run on answers that leave while they come";
                self.error("guard-cannot-run", *at, message).help(format!(
                    "write `judge: {{ by: {}, streams: hold }}`: streams are then held until they are judged",
                    name.value
                ));
                None
            }
            (Reads::Prompts, Some(file::JudgeStreams::Hold)) => {
                self.error("bad-value", *at, "a prompt is no stream").help("leave `streams` out");
                None
            }
            _ => Some(JudgeUse { judge, holds: streams.is_some() }),
        }
    }

    pub(super) fn report_unused_judges(&mut self) {
        let unused: Vec<_> = self.judges.iter().filter(|(_, _, is_used)| !is_used).cloned().collect();
        for (name, at, _) in unused {
            self.warning("unused-judge", at, format!("nobody asks the judge `{name}`"));
        }
    }
}

/// Whether an address is where the gate listens, as far as it can be read off.
fn is_own(url: &Uri, own: SocketAddr) -> bool {
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let is_here = is_loopback(host) && (own.ip().is_loopback() || own.ip().is_unspecified());
    url.port_u16().unwrap_or(default) == own.port() && (is_here || address == Some(own.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_known_by_its_address() {
        for (url, own, expected) in [
            ("http://127.0.0.1:8080/v1", "127.0.0.1:8080", true),
            ("http://localhost:8080", "0.0.0.0:8080", true),
            ("https://[::1]", "[::]:443", true),
            ("http://10.0.0.1:8080", "10.0.0.1:8080", true),
            ("http://10.0.0.1:8080", "0.0.0.0:8080", false),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false),
            ("https://judge.example.com", "0.0.0.0:443", false),
        ] {
            assert_eq!(is_own(&url.parse().unwrap(), own.parse().unwrap()), expected, "{url} {own}");
        }
    }
}
