//! Judges outside: a webhook, or a model that speaks OpenAI's chat completions, asked about texts that every other tier
//! let pass.
//!
//! What is judged may try to talk to who judges. So a model is shown it behind a delimiter that nobody could know, is asked
//! for one word, and anything but that word is no answer; and whatever a judge says, it can only stop a text, never
//! open what another tier closed.

mod memory;
mod opinion;
mod question;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use portcullis_core::record::{Action, Finding, Severity};
use portcullis_inspect::elsewhere::{Passage, Said, Tier, TierRules};
use portcullis_inspect::linear::Channel;
use tokio::sync::Semaphore;

use self::memory::Memory;
use self::opinion::Opinion;
pub use self::opinion::Unreadable;
use crate::config::settings;
use crate::forward::{BodyError, ForwardError, OutBody, Upstream, UpstreamRulesError};

/// Longest text of one question, in bytes. Longer texts are asked about in pieces.
const LONGEST: usize = 32 << 10;
/// How much two pieces have in common, so that nothing is cut in two that is shorter.
const OVERLAP: usize = 1 << 10;
/// Longest answer that is read.
const LARGEST: usize = 64 << 10;
/// Most pieces of one text: what is longer is not judged.
const MOST_PIECES: usize = 64;

/// Marks a question of a gate's, so that a judge that is the gate itself is found out.
pub(crate) const MARK: HeaderName = HeaderName::from_static("portcullis-judge");

/// What the questions of this process are marked with: drawn once, so that nobody else's are taken for them.
pub(crate) fn mark() -> &'static HeaderValue {
    static MARKED: LazyLock<HeaderValue> = LazyLock::new(|| {
        let mut drawn = [0; 16];
        // Without it a loop is found only by its length, and that by the time-out.
        let _ = aws_lc_rs::rand::fill(&mut drawn);
        let word: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::from_str(&word).unwrap_or(HeaderValue::from_static("-"))
    });
    &MARKED
}

/// A compiled judge.
pub struct Judge {
    name: Box<str>,
    upstream: Upstream,
    kind: Kind,
    timeout: Duration,
    /// What is done about what it objects to.
    pub(crate) action: Action,
    /// Whether a text may pass that it did not answer about.
    pub(crate) passes_unanswered: bool,
    memory: Memory,
    asked: Semaphore,
    concurrency: usize,
}

/// What it speaks.
#[derive(Debug)]
enum Kind {
    Webhook,
    Model { model: Box<str>, instructions: Arc<str> },
}

/// Who wrote a text, as a judge is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Writer {
    /// A client's user.
    User,
    /// A document or a tool.
    Document,
    /// The model that answers.
    Model,
}

impl Writer {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Document => "document",
            Self::Model => "model",
        }
    }
}

impl From<Channel> for Writer {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::User => Self::User,
            Channel::Document => Self::Document,
        }
    }
}

/// Why a judge did not answer.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// It cannot be reached or broke the exchange.
    #[error("judge: {0}")]
    Forward(#[from] ForwardError),
    /// Its answer broke off.
    #[error("judge: {0}")]
    Body(#[from] BodyError),
    /// Not in time, or too many were asking.
    #[error("judge: no answer in time")]
    Timeout,
    /// Anything but 200; redirects are not followed.
    #[error("judge: answered {0}")]
    Status(StatusCode),
    /// Longer than is read.
    #[error("judge: the answer is longer than {LARGEST} bytes")]
    TooLong,
    /// Its answer is no verdict.
    #[error("judge: {0}")]
    Unreadable(#[from] Unreadable),
    /// The text is longer than is asked about.
    #[error("judge: the text is too long")]
    TooMuch,
    /// The question has no form on the wire.
    #[error("judge: the question cannot be written")]
    Question,
}

impl JudgeError {
    /// For the record, where nothing of the error's own words is needed.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Forward(_) => "unreachable",
            Self::Body(_) => "broken off",
            Self::Timeout => "no answer in time",
            Self::Status(_) => "answered an error",
            Self::TooLong => "answer too long",
            Self::Unreadable(_) => "no verdict",
            Self::TooMuch => "text too long",
            Self::Question => "no question",
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Judge {
    /// Compiles; opens no connection.
    ///
    /// # Errors
    /// Rules that make no upstream.
    pub(crate) fn compile(settings: &settings::Judge) -> Result<Self, UpstreamRulesError> {
        let kind = match &settings.kind {
            settings::JudgeKind::Webhook => Kind::Webhook,
            settings::JudgeKind::OpenAi { model, instructions } => Kind::Model {
                model: model.as_str().into(),
                instructions: match instructions {
                    Some(file) => Arc::clone(&file.text),
                    None => question::INSTRUCTIONS.into(),
                },
            },
        };
        Ok(Self {
            name: settings.name.as_str().into(),
            upstream: Upstream::compile(crate::compile::upstream_rules("judge", &settings.upstream))?,
            kind,
            timeout: settings.timeout,
            action: settings.action,
            passes_unanswered: settings.passes_unanswered,
            memory: Memory::new(settings.memory),
            asked: Semaphore::new(settings.concurrency),
            concurrency: settings.concurrency,
        })
    }

    /// What is done about prompts by what it says.
    pub(crate) fn rules(&self) -> TierRules {
        let unread = if self.passes_unanswered { Action::Observe } else { Action::Block };
        TierRules { tier: Tier::Judge, action: self.action, unread }
    }

    /// Asks about texts of one request, all within one time-out: each with what was said of it.
    pub(crate) async fn hear(&self, passages: Vec<Passage>) -> Vec<(Passage, Said)> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let asked = passages.into_iter().map(|passage| async move {
            let asked =
                tokio::time::timeout_at(deadline, self.opinion(passage.channel.into(), &passage.text));
            let said = match asked.await.unwrap_or(Err(JudgeError::Timeout)) {
                Ok(opinion) => self.said(&opinion, passage.text.len()),
                Err(error) => {
                    tracing::warn!(judge = &*self.name, %error, "a text was not judged");
                    Said::Unread(error.word())
                }
            };
            (passage, said)
        });
        stream::iter(asked).buffered(self.concurrency).collect().await
    }

    /// Asks about what a model answers; a finding where it objects.
    ///
    /// # Errors
    /// The finding says that it did not answer, and its action whether the answer passes all the same.
    pub(crate) async fn hear_answer(&self, text: &str) -> Result<Option<Finding>, Finding> {
        let asked = tokio::time::timeout(self.timeout, self.opinion(Writer::Model, text)).await;
        let finding = |detector, action, evidence| Finding {
            detector,
            at: "answer".to_owned(),
            severity: Severity::High,
            action,
            evidence,
        };
        match asked.unwrap_or(Err(JudgeError::Timeout)) {
            Ok(opinion) if opinion.is_flagged => {
                // An answer is judged as one: there is no piece of it that could be taken out.
                let action = if self.action == Action::Observe { Action::Observe } else { Action::Block };
                Ok(Some(finding("judge", action, self.evidence(&opinion))))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(judge = &*self.name, %error, "an answer was not judged");
                let action = if self.passes_unanswered { Action::Observe } else { Action::Block };
                Err(finding("unread-text", action, format!("judge {}: {}", self.name, error.word())))
            }
        }
    }

    fn said(&self, opinion: &Opinion, length: usize) -> Said {
        match opinion.is_flagged {
            false => Said::Ordinary,
            true => Said::Order { evidence: self.evidence(opinion), is_sure: true, range: 0..length },
        }
    }

    /// The judge's name, its category and its score, and nothing of the text.
    fn evidence(&self, opinion: &Opinion) -> String {
        let mut evidence = self.name.to_string();
        if let Some(category) = &opinion.category {
            evidence.push(' ');
            evidence.push_str(category);
        }
        if let Some(score) = opinion.score {
            evidence.push_str(&format!(" {score:.2}"));
        }
        evidence
    }

    /// What the judge says of a text: the worst that it says of a piece of it.
    async fn opinion(&self, writer: Writer, text: &str) -> Result<Opinion, JudgeError> {
        let mut worst = Opinion::default();
        for (nth, piece) in pieces(text).enumerate() {
            if nth == MOST_PIECES {
                return Err(JudgeError::TooMuch);
            }
            let opinion = self.remembered(writer, piece).await?;
            if opinion.is_flagged {
                return Ok(opinion);
            }
            worst = opinion;
        }
        Ok(worst)
    }

    /// What it said of the text before, or says now. What was not answered is not remembered.
    async fn remembered(&self, writer: Writer, text: &str) -> Result<Opinion, JudgeError> {
        let mut key = [0; 32];
        let whole = [writer.as_str(), "\0", text].concat();
        for (to, from) in key.iter_mut().zip(digest(&SHA256, whole.as_bytes()).as_ref()) {
            *to = *from;
        }
        if let Some(known) = self.memory.get(&key) {
            return Ok(known);
        }
        let _turn = self.asked.acquire().await.map_err(|_| JudgeError::Timeout)?;
        let opinion = self.ask(writer, text).await?;
        self.memory.keep(key, &opinion);
        Ok(opinion)
    }

    async fn ask(&self, writer: Writer, text: &str) -> Result<Opinion, JudgeError> {
        let body = match &self.kind {
            Kind::Webhook => question::webhook(&self.name, writer, text),
            Kind::Model { model, instructions } => question::chat(model, instructions, writer, text)?,
        };
        let path = match self.kind {
            Kind::Webhook => "",
            Kind::Model { .. } => "/chat/completions",
        };
        let target = [self.upstream.base_path(), path].concat();
        let target = if target.is_empty() { "/" } else { &target };
        let length = body.len();
        let mut request = Request::new(OutBody::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = target.parse().map_err(|_| JudgeError::Question)?;
        let headers = request.headers_mut();
        self.upstream.sign(headers);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(MARK, mark().clone());
        let answer = self.upstream.send(Box::new(request.into())).await?;
        if answer.status() != StatusCode::OK {
            return Err(JudgeError::Status(answer.status()));
        }
        let mut body = answer.into_body();
        let mut said = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                if said.len() + data.len() > LARGEST {
                    return Err(JudgeError::TooLong);
                }
                said.extend_from_slice(&data);
            }
        }
        Ok(match self.kind {
            Kind::Webhook => opinion::of_webhook(&said)?,
            Kind::Model { .. } => opinion::of_chat(&said)?,
        })
    }
}

/// A text in pieces that overlap; one where it is short, and none of an empty one.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.trim().is_empty());
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = whole.floor_char_boundary(LONGEST);
        let (piece, after) = whole.split_at_checked(end)?;
        rest = match after.is_empty() {
            true => None,
            false => whole.get(whole.floor_char_boundary(end - OVERLAP)..),
        };
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_asked_about_in_pieces_that_overlap() {
        for (text, count) in [
            (String::new(), 0),
            (" \n".to_owned(), 0),
            ("é".repeat(LONGEST / 2), 1),
            ("é".repeat(LONGEST / 2 + 1), 2),
            (format!("x{}", "é".repeat(LONGEST)), 3),
        ] {
            let pieces: Vec<&str> = pieces(&text).collect();
            assert_eq!(pieces.len(), count);
            assert!(pieces.iter().all(|piece| piece.len() <= LONGEST));
            let mut at = 0;
            for piece in pieces {
                let start = piece.as_ptr() as usize - text.as_ptr() as usize;
                assert!(start <= at && (start == 0 || at - start >= OVERLAP - 4), "{start} {at}");
                at = start + piece.len();
            }
            assert!(at == text.len() || count == 0);
        }
    }
}
