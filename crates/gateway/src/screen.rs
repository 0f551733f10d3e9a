//! screen: the answer is judged as strictly as the request, whole or chunk by chunk, by the same machines.
//!
//! The types can be named outside of this crate:
//!
//! ```
//! use portcullis_gateway::screen::{Answer, Forwarded, Screened};
//!
//! fn pass(answer: Answer<Screened>) -> Answer<Screened> {
//!     answer
//! }
//! # fn also(_: Forwarded) {}
//! ```
//!
//! What the upstream sent is not what may leave:
//!
//! ```compile_fail,E0308
//! use portcullis_gateway::screen::{Answer, Forwarded, Screened};
//!
//! fn pass(answer: Answer<Forwarded>) -> Answer<Screened> {
//!     answer
//! }
//! ```
//!
//! And an answer cannot be made but from what was forwarded and judged:
//!
//! ```compile_fail,E0451
//! use portcullis_gateway::screen::{Answer, Forwarded};
//!
//! fn other(answer: Answer<Forwarded>, parts: http::response::Parts) -> Answer<Forwarded> {
//!     Answer { parts, ..answer }
//! }
//! ```
//!
//! ```compile_fail,E0603
//! use portcullis_gateway::pipeline::run;
//! ```

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method, StatusCode, response};
use http_body::Body;
use parking_lot::Mutex;
use portcullis_core::contract::OperationIndex;
use portcullis_core::graph::Expected;
use portcullis_core::guard::{Guard, GuardSet, Skip, Way};
use portcullis_core::halt::{Halt, Reason, Violation};
use portcullis_core::record::{Outcome, Phase};
use portcullis_core::route::{Route, Surface};
use portcullis_core::validate::{
    AnswerLines, Answers, answer_needs_body, strip_answer_headers, validate_answer, validate_answer_head,
};
use portcullis_inspect::answer::{screen_bytes, screen_fields, screen_json, screen_text};
use portcullis_inspect::coverage::{self, Reach, Site};
use portcullis_inspect::dialect::mcp::{self, McpRules, McpStream};
use portcullis_inspect::dialect::{self, Endpoint, ModelRules, Stream};
use portcullis_inspect::judge::{Verdict, judge as judge_findings};
use portcullis_inspect::vault::Vault;

use crate::forward::UpstreamBody;
use crate::forward::asked::Shown;
use crate::gate::{Gate, Guards};
use crate::judges::Judge;
use crate::owners::{self, Due};
use crate::record::{Draft, Recording};
use crate::switched::Switched;
use crate::tools::Exchange;

mod body;
mod grpc;
mod lines;

pub(crate) use body::Report;
pub use body::{BodyError, ScreenedBody};

/// Largest answer that is read whole to be judged. Larger ones are refused, never passed unseen.
const WHOLE: usize = 16 << 20;

/// An answer at stage `S`.
#[derive(Debug)]
pub struct Answer<S> {
    parts: response::Parts,
    stage: S,
}

/// Proof that the answer came from the upstream that the request's route names.
#[derive(Debug)]
pub struct Forwarded {
    pub(crate) content: Content,
    pub(crate) route: Arc<Route>,
    pub(crate) operation: OperationIndex,
    pub(crate) method: Method,
    pub(crate) hides_usage: bool,
    /// What the tokens stand for that the model was shown.
    pub(crate) vault: Option<Arc<Vault>>,
    pub(crate) due: Option<Due>,
    /// What a graph was asked for.
    pub(crate) expected: Option<Expected>,
    /// What a request shows that is still coming.
    pub(crate) shown: Option<Arc<Mutex<Shown>>>,
    /// With a tool server.
    pub(crate) tools: Option<Exchange>,
}

/// What follows the head of an upstream's answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// A body.
    Body(UpstreamBody),
    /// The connection itself, now a WebSocket.
    Switched(Box<Switched>),
}

/// Proof that the answer passed contract and detectors, or that each chunk of it will before it leaves.
#[derive(Debug)]
pub struct Screened {
    body: ScreenedBody,
    switched: Option<Box<Switched>>,
}

impl Answer<Forwarded> {
    pub(crate) fn new(parts: response::Parts, stage: Forwarded) -> Self {
        Self { parts, stage }
    }
}

impl Answer<Screened> {
    /// Takes the answer apart; only `respond` may write it.
    pub(crate) fn into_wire(self) -> (response::Parts, ScreenedBody, Option<Box<Switched>>) {
        (self.parts, self.stage.body, self.stage.switched)
    }

    fn screened(parts: response::Parts, body: ScreenedBody, switched: Option<Box<Switched>>) -> Self {
        Self { parts, stage: Screened { body, switched } }
    }
}

/// Takes the upstream's answer; proves that it may leave.
///
/// # Errors
/// 502 when the answer breaks the contract, is blocked, too large to be judged, or encoded so that it cannot be.
pub(crate) async fn screen(
    gate: &Gate,
    guards: &Guards,
    answer: Answer<Forwarded>,
    record: &mut Recording,
) -> Result<Answer<Screened>, Halt> {
    let Answer { mut parts, stage } = answer;
    let Forwarded { content, route, operation, method, hides_usage, vault, due, expected, shown, tools } =
        stage;
    let body = match content {
        Content::Body(body) => body,
        Content::Switched(switched) => {
            return Ok(Answer::screened(parts, ScreenedBody::empty(), Some(switched)));
        }
    };
    let guards_due = guards.due_of_answer(&route);
    let restoring = guards.model.as_ref().zip(vault).map(|(rules, vault)| rules.restoring(&vault));
    let judged = Judged {
        gate,
        guards,
        model: restoring.as_ref().or(guards.model.as_ref()),
        restores: restoring.is_some(),
        route: &route,
        operation,
        due: due.as_ref(),
        expected: expected.as_ref(),
        shown,
        tools: tools.as_ref(),
    };
    let manner = judged.manner(&method, &parts, &body)?;
    if !matches!(manner, Manner::Whole | Manner::Model | Manner::Tools) && route.surface != Surface::Grpc {
        judged.hold_head_to_contract(&parts, &mut record.draft)?;
    }
    strip_answer_headers(&route, operation, parts.status, &mut parts.headers);
    judged.fields(&parts.headers, record)?;
    if manner.reads() {
        record.draft.guards.applied(Way::Answer, guards_due);
    }
    let body = judged.leaving(manner, &mut parts, body, hides_usage, record).await?;
    record.draft.guards.due(Way::Answer, guards_due);
    record.draft.message = Bytes::new();
    Ok(Answer::screened(parts, body, None))
}

fn no_rules() -> Halt {
    Halt::new(Reason::Internal, "a model route without rules")
}

/// How an answer is judged.
enum Manner {
    Empty,
    /// Nothing is configured that would read it.
    Pass,
    /// No detector can read it, and the operator lets it pass.
    Unread,
    Whole,
    Text,
    /// Of no kind that is known to be text.
    Bytes,
    /// JSON, line by line.
    Lines(AnswerLines),
    /// Messages of gRPC, one by one.
    Grpc,
    /// Deltas of a model.
    Model,
    /// Messages of a tool server.
    Tools,
}

impl Manner {
    /// Whether detectors see all that there is.
    const fn reads(&self) -> bool {
        !matches!(self, Self::Pass | Self::Unread)
    }
}

/// By what an answer is judged.
struct Judged<'a> {
    gate: &'a Gate,
    guards: &'a Guards,
    /// The rules of a model, which know what the tokens of this request stand for.
    model: Option<&'a ModelRules>,
    /// Whether there are any.
    restores: bool,
    route: &'a Arc<Route>,
    operation: OperationIndex,
    due: Option<&'a Due>,
    expected: Option<&'a Expected>,
    shown: Option<Arc<Mutex<Shown>>>,
    tools: Option<&'a Exchange>,
}

impl Judged<'_> {
    /// What may leave of a body that is judged in this manner.
    async fn leaving(
        &self,
        manner: Manner,
        parts: &mut response::Parts,
        body: UpstreamBody,
        hides_usage: bool,
        record: &mut Recording,
    ) -> Result<ScreenedBody, Halt> {
        let guards_due = self.guards.due_of_answer(self.route);
        Ok(match manner {
            Manner::Empty => {
                if self.route.surface == Surface::Grpc {
                    let draft = &mut record.draft;
                    let screen = &self.guards.screens.answer;
                    self.note_shown(draft);
                    grpc::head_alone(screen, &parts.headers, &mut draft.findings, &mut draft.notes)?;
                }
                record.close(Phase::Screen, Outcome::Passed);
                ScreenedBody::empty()
            }
            Manner::Pass => {
                // Of what has no schema a contract holds the head, and that was done.
                record.draft.guards.applied(Way::Answer, GuardSet::NONE.with(Guard::Contract));
                record.close(Phase::Screen, Outcome::None);
                ScreenedBody::passed(body)
            }
            Manner::Whole => {
                let body = self.whole(parts, body, record).await?;
                record.close(Phase::Screen, Outcome::Passed);
                ScreenedBody::whole(body)
            }
            Manner::Lines(lines) => {
                record.draft.is_stream = true;
                without_length(&mut parts.headers);
                let observes = self.route.validate.answers == Answers::Observe;
                ScreenedBody::lines(body, lines, &self.guards.screens.answer, observes)
            }
            Manner::Unread => {
                record
                    .draft
                    .guards
                    .applied(Way::Answer, guards_due.without(self.guards.screens.answer.guards()));
                record.draft.guards.skipped(Way::Answer, self.guards.screens.answer.guards(), Skip::Unread);
                record.close(Phase::Screen, Outcome::None);
                ScreenedBody::passed(body)
            }
            Manner::Bytes => {
                record.draft.is_stream = true;
                ScreenedBody::bytes(body, &self.guards.screens.answer)
            }
            Manner::Text => {
                record.draft.is_stream = true;
                without_length(&mut parts.headers);
                ScreenedBody::text(body, &self.guards.screens.answer)
            }
            Manner::Grpc => {
                let method = self.route.grpc.as_ref().and_then(|grpc| grpc.method(self.operation));
                record.draft.is_stream = method.is_some_and(|method| method.streams_answers);
                without_length(&mut parts.headers);
                ScreenedBody::grpc(grpc::Messages::new(body, self))
            }
            Manner::Model => {
                record.draft.is_stream = true;
                without_length(&mut parts.headers);
                self.spoken(body, hides_usage, record).await?
            }
            Manner::Tools => {
                record.draft.is_stream = true;
                without_length(&mut parts.headers);
                self.messages(body, record)?
            }
        })
    }

    /// What a model says while it says it, or, where somebody judges all of it, once it is said.
    async fn spoken(
        &self,
        body: UpstreamBody,
        hides_usage: bool,
        record: &mut Recording,
    ) -> Result<ScreenedBody, Halt> {
        let rules = self.model.ok_or_else(no_rules)?;
        let endpoint = self.endpoint()?;
        let stream = Stream::new(endpoint, rules, hides_usage, record.id().as_str());
        let stream = stream
            .ok_or_else(|| Halt::new(Reason::AnswerUnreadable, "a stream in answer to what has none"))?;
        match &self.guards.answer_judge {
            None => Ok(ScreenedBody::model(body, stream)),
            Some(judge) => {
                let plain = self.guards.model.as_ref().filter(|_| self.restores);
                let id = record.id().as_str();
                let told = plain.and_then(|rules| Stream::new(endpoint, rules, hides_usage, id));
                held(judge, body, (stream, told), record).await
            }
        }
    }

    fn manner(&self, method: &Method, parts: &response::Parts, body: &UpstreamBody) -> Result<Manner, Halt> {
        if self.route.surface == Surface::Grpc {
            return self.grpc_manner(parts, body);
        }
        let is_bodiless = *method == Method::HEAD
            || parts.status == StatusCode::NO_CONTENT
            || parts.status == StatusCode::NOT_MODIFIED;
        let needs_contract = self.route.validate.answers != Answers::Off;
        if self.due.is_none() && !self.guards.reads_answers(self.route) {
            return Ok(if is_bodiless { Manner::Empty } else { Manner::Pass });
        }
        if is_encoded(&parts.headers) && !is_bodiless {
            return Err(Halt::new(
                Reason::AnswerUnreadable,
                "the upstream encoded an answer it was asked not to",
            ));
        }
        let media = &*media_type(&parts.headers);
        let is_screened = !self.guards.screens.answer.is_off();
        match self.route.surface {
            // Who owns what the answer shows is known when all of it is there: nothing leaves before.
            _ if self.due.is_some() => {
                let is_readable = is_bodiless
                    || body.is_end_stream()
                    || is_json(media)
                    || (media != "text/event-stream" && !parts.status.is_success());
                let detail = "whose it is cannot be read from such an answer";
                is_readable
                    .then_some(Manner::Whole)
                    .ok_or_else(|| Halt::new(Reason::AnswerUnreadable, detail))
            }
            _ if is_bodiless && !needs_contract => Ok(Manner::Empty),
            Surface::Model(_) if media == "text/event-stream" => Ok(Manner::Model),
            Surface::Model(_) if is_json(media) => Ok(Manner::Whole),
            Surface::Model(_) => {
                Err(Halt::new(Reason::AnswerUnreadable, format!("a model answered with `{media}`")))
            }
            Surface::Mcp if body.is_end_stream() => Ok(Manner::Empty),
            Surface::Mcp if media == "text/event-stream" => Ok(Manner::Tools),
            Surface::Mcp if is_json(media) => Ok(Manner::Whole),
            // What says nothing of its kind may be text, and mostly is nothing at all.
            Surface::Mcp if media.is_empty() || matches!(Site::of_body(media), Site::Text) => {
                Ok(Manner::Text)
            }
            Surface::Mcp => {
                Err(Halt::new(Reason::AnswerUnreadable, format!("a tool server answered with `{media}`")))
            }
            Surface::GraphQl if is_bodiless || is_json(media) => Ok(Manner::Whole),
            Surface::GraphQl => {
                Err(Halt::new(Reason::AnswerUnreadable, format!("a graph answered with `{media}`")))
            }
            Surface::Rest if needs_contract => {
                let lines = AnswerLines::new(self.route, self.operation, parts.status, &parts.headers);
                if let Some(lines) = lines.filter(|_| !body.is_end_stream()) {
                    return Ok(Manner::Lines(lines));
                }
                let needs = answer_needs_body(self.route, self.operation, parts.status, &parts.headers);
                let is_read = needs || is_bodiless || (is_screened && is_json(media)) || body.is_end_stream();
                match is_read {
                    true => Ok(Manner::Whole),
                    false if is_screened => self.streamed(media),
                    false => Ok(Manner::Pass),
                }
            }
            Surface::Grpc => Ok(Manner::Grpc),
            Surface::Rest if is_json(media) => Ok(Manner::Whole),
            Surface::Rest if body.is_end_stream() => Ok(Manner::Empty),
            Surface::Rest if is_screened => self.streamed(media),
            Surface::Rest => Ok(Manner::Pass),
        }
    }

    /// How detectors read what is no JSON, chunk by chunk.
    fn streamed(&self, media: &str) -> Result<Manner, Halt> {
        // What does not say what it is may be text, and a client may take it for that.
        let site = if media.is_empty() { Site::Text } else { Site::of_body(media) };
        match coverage::detectors(site) {
            Reach::Reads => Ok(Manner::Text),
            Reach::ReadsOnly => Ok(Manner::Bytes),
            Reach::Outside(_) | Reach::Blind(_) if self.guards.screens.answer_unread.allows(media) => {
                Ok(Manner::Unread)
            }
            Reach::Outside(_) | Reach::Blind(_) => {
                let detail = format!("no detector can read `{media}`, and `unread` does not list it");
                Err(Halt::new(Reason::AnswerUnreadable, detail))
            }
        }
    }

    /// Detectors on what an application wrote into the head.
    fn fields(&self, headers: &HeaderMap, record: &mut Recording) -> Result<(), Halt> {
        let screen = &self.guards.screens.answer;
        match screen_fields(screen, headers, &mut record.draft.findings) {
            Verdict::Block => {
                Err(Halt::new(Reason::AnswerBlocked, "a rule blocked a header, see the findings"))
            }
            Verdict::Pass | Verdict::Redact => Ok(()),
        }
    }

    /// What a model was asked for.
    fn endpoint(&self) -> Result<Endpoint, Halt> {
        Endpoint::of(self.route, self.operation)
            .ok_or_else(|| Halt::new(Reason::Internal, "a model's operation without an endpoint"))
    }

    /// What a request showed that was still coming when its answer began.
    fn note_shown(&self, draft: &mut Draft) {
        if let Some(shown) = &self.shown {
            let mut shown = shown.lock();
            draft.findings.append(&mut shown.findings);
            draft.bytes_in = shown.bytes;
        }
    }

    /// Messages of a tool server, one by one.
    fn messages(&self, body: UpstreamBody, record: &Recording) -> Result<ScreenedBody, Halt> {
        let (rules, tools) = self.tools()?;
        let stream = McpStream::new(rules, tools.shows(), tools.open(), record.id().as_str());
        let stop = tools.is_endless().then(|| self.gate.lifetime.stop.clone());
        Ok(ScreenedBody::tools(body, stream, stop))
    }

    /// By what a tool server is judged.
    fn tools(&self) -> Result<(&McpRules, &Exchange), Halt> {
        let rules = self.guards.screens.tools.as_ref().zip(self.tools);
        rules.ok_or_else(|| Halt::new(Reason::Internal, "a tool server without rules"))
    }

    fn grpc_manner(&self, parts: &response::Parts, body: &UpstreamBody) -> Result<Manner, Halt> {
        grpc::check_head(parts)?;
        if !self.guards.reads_answers(self.route) && self.shown.is_none() {
            return Ok(Manner::Pass);
        }
        if body.is_end_stream() {
            return Ok(Manner::Empty);
        }
        grpc::check_readable(&parts.headers)?;
        Ok(Manner::Grpc)
    }

    async fn whole(
        &self,
        parts: &mut response::Parts,
        body: UpstreamBody,
        record: &mut Recording,
    ) -> Result<Bytes, Halt> {
        let length = parts.headers.get(CONTENT_LENGTH).cloned();
        let mut bytes = collect(body).await?;
        let before = bytes.len();
        if let Some(due) = self.due {
            due.judge(self.route, self.operation, parts.status, &bytes)?;
        }
        bytes = self.hold_to_contract(parts, bytes, &mut record.draft)?;
        if let Some(due) = self.due {
            bytes = due.settle(self.gate, (self.route, self.operation), parts, bytes, record).await?;
        }
        let came = bytes.clone();
        let (bytes, verdict) = self.detect(parts, bytes, &mut record.draft)?;
        if verdict == Verdict::Block {
            return Err(Halt::new(Reason::AnswerBlocked, "a rule blocked the answer, see the findings"));
        }
        if let Some(judge) = &self.guards.answer_judge {
            // What tokens stand for is the client's to hear, and nobody else's.
            let told = match self.guards.model.as_ref().filter(|_| self.restores) {
                None => bytes.clone(),
                Some(rules) => dialect::screen_answer(self.endpoint()?, rules, &came, &mut Vec::new())?.body,
            };
            hear(judge, &dialect::spoken(&told), &mut record.draft).await?;
        }
        if bytes.len() != before {
            parts.headers.remove(ETAG);
        }
        if self.due.is_some() {
            owners::keep_private(&mut parts.headers, bytes.is_empty());
        }
        // The length of an answer to HEAD speaks of a body that was not sent.
        if !(bytes.is_empty() && length.is_some()) {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        Ok(bytes)
    }

    /// The body that may leave: as it came, or without what the contract does not name.
    fn hold_to_contract(
        &self,
        parts: &response::Parts,
        bytes: Bytes,
        draft: &mut Draft,
    ) -> Result<Bytes, Halt> {
        if self.route.validate.answers == Answers::Off {
            return Ok(bytes);
        }
        if let Some(graph) = &self.route.graph {
            let expected =
                self.expected.ok_or_else(|| Halt::new(Reason::Internal, "no operation was sent"))?;
            let strips = self.route.validate.answers == Answers::Strip;
            return match graph.check_answer(expected, &bytes, strips) {
                Ok(stripped) => Ok(stripped.map_or(bytes, Bytes::from)),
                Err(violations) => self.broken(&violations, draft).map(|()| bytes),
            };
        }
        match validate_answer(self.route, self.operation, parts.status, &parts.headers, &bytes) {
            Ok(held) => Ok(held.body.map_or(bytes, Bytes::from)),
            Err(violations) => self.broken(&violations, draft).map(|()| bytes),
        }
    }

    /// Status, media type and headers of an answer whose body nobody holds to the contract.
    fn hold_head_to_contract(&self, parts: &response::Parts, draft: &mut Draft) -> Result<(), Halt> {
        let violations = validate_answer_head(self.route, self.operation, parts.status, &parts.headers);
        if violations.is_empty() { Ok(()) } else { self.broken(&violations, draft) }
    }

    /// Refuses the answer, or notes what is wrong with it where the route only observes.
    fn broken(&self, violations: &[Violation], draft: &mut Draft) -> Result<(), Halt> {
        let detail: Vec<String> =
            violations.iter().map(|one| format!("{}: {}", one.at, one.message)).collect();
        if self.route.validate.answers == Answers::Observe {
            draft.notes.extend(detail.into_iter().map(|one| format!("answer: {one}")));
            return Ok(());
        }
        Err(Halt::new(Reason::AnswerInvalid, detail.join("; ")))
    }

    fn detect(
        &self,
        parts: &response::Parts,
        bytes: Bytes,
        draft: &mut Draft,
    ) -> Result<(Bytes, Verdict), Halt> {
        let screen = &self.guards.screens.answer;
        match self.route.surface {
            Surface::Model(_) => {
                let rules = self.model.ok_or_else(no_rules)?;
                let screened = dialect::screen_answer(self.endpoint()?, rules, &bytes, &mut draft.findings)?;
                draft.usage = screened.usage;
                Ok((screened.body, Verdict::Pass))
            }
            Surface::Grpc => Err(Halt::new(Reason::Internal, "messages are not read as one")),
            Surface::Mcp => {
                let (rules, tools) = self.tools()?;
                let shows = tools.shows();
                let message = mcp::screen_answer(rules, &*shows, &bytes, &mut draft.findings);
                match message {
                    // Whatever refuses a request before it is read as a message says so in a form of its own.
                    Err(halt)
                        if halt.reason() == Some(Reason::AnswerUnreadable) && !parts.status.is_success() => {}
                    other => return Ok((other?, Verdict::Pass)),
                }
                let screened = screen_json(screen, &bytes, "answer:")
                    .map_err(|error| Halt::new(Reason::AnswerUnreadable, error.to_string()))?;
                draft.findings.extend(screened.findings);
                Ok((screened.body, screened.verdict))
            }
            Surface::Rest | Surface::GraphQl if screen.is_off() || bytes.is_empty() => {
                Ok((bytes, Verdict::Pass))
            }
            Surface::Rest | Surface::GraphQl => {
                let media = &*media_type(&parts.headers);
                let screened = match self.streamed(media) {
                    _ if is_json(media) => screen_json(screen, &bytes, "answer:"),
                    Ok(Manner::Unread) => {
                        draft.guards.skipped(Way::Answer, screen.guards(), Skip::Unread);
                        return Ok((bytes, Verdict::Pass));
                    }
                    Ok(Manner::Bytes) => Ok(screen_bytes(screen, &bytes, "answer")),
                    Ok(_) => screen_text(screen, &bytes, "answer"),
                    Err(halt) => return Err(halt),
                };
                let screened =
                    screened.map_err(|error| Halt::new(Reason::AnswerUnreadable, error.to_string()))?;
                draft.findings.extend(screened.findings);
                Ok((screened.body, screened.verdict))
            }
        }
    }
}

/// Reads a stream whole, judges it, and lets it go as one. The second of the streams is what the judge is told, where that
/// is something else: tokens, and not what they stand for.
async fn held(
    judge: &Judge,
    body: UpstreamBody,
    (mut stream, told): (Stream, Option<Stream>),
    record: &mut Recording,
) -> Result<ScreenedBody, Halt> {
    let bytes = collect(body).await?;
    let mut out = BytesMut::new();
    let end = stream.push(&bytes, &mut out).and_then(|()| stream.finish(&mut out));
    let draft = &mut record.draft;
    draft.findings.extend(stream.take_findings());
    draft.usage = stream.usage();
    // Nothing has left, so what a rule stopped is an answer that was refused, and no stream that ends early.
    end.map_err(|end| Halt::new(end.reason(), end.to_string()))?;
    let mut apart = BytesMut::new();
    let told = match told {
        None => &out,
        Some(mut told) => {
            let end = told.push(&bytes, &mut apart).and_then(|()| told.finish(&mut apart));
            end.map_err(|end| Halt::new(end.reason(), end.to_string()))?;
            &apart
        }
    };
    hear(judge, &dialect::spoken_stream(told), draft).await?;
    record.close(Phase::Screen, Outcome::Passed);
    Ok(ScreenedBody::whole(out.freeze()))
}

/// Asks a judge about what a model said.
async fn hear(judge: &Judge, said: &str, draft: &mut Draft) -> Result<(), Halt> {
    let (finding, reason) = match judge.hear_answer(said).await {
        Ok(None) => return Ok(()),
        Ok(Some(finding)) => (finding, Reason::AnswerBlocked),
        Err(finding) => {
            draft.guards.skipped(Way::Answer, GuardSet::NONE.with(Guard::Judge), Skip::Unanswered);
            (finding, Reason::AnswerUnjudged)
        }
    };
    let detail = format!("{}: {}", finding.detector, finding.evidence);
    let verdict = judge_findings(std::slice::from_ref(&finding));
    draft.findings.push(finding);
    if verdict == Verdict::Block { Err(Halt::new(reason, detail)) } else { Ok(()) }
}

/// Reads an answer whole. One frame, the common case, is not copied.
async fn collect(mut body: UpstreamBody) -> Result<Bytes, Halt> {
    let too_large = || Halt::new(Reason::AnswerTooLarge, format!("more than {WHOLE} bytes"));
    if body.size_hint().lower() > WHOLE as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Halt::new(error.reason(), error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        match &mut rest {
            None if first.is_empty() => first = data,
            None => {
                let mut joined = BytesMut::with_capacity((first.len() + data.len()) * 2);
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                rest = Some(joined);
            }
            Some(joined) => joined.extend_from_slice(&data),
        }
        if rest.as_ref().map_or(first.len(), BytesMut::len) > WHOLE {
            return Err(too_large());
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

fn without_length(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(ETAG);
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_json(media: &str) -> bool {
    media == "application/json" || media.ends_with("+json")
}

/// The media type in lower case, without its parameters; empty when there is none.
fn media_type(headers: &HeaderMap) -> String {
    let whole = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a screen reads an answer with this `Content-Type`: as JSON, or as what.
    fn check(written: Option<&'static str>, expected: (bool, Site)) {
        let mut headers = HeaderMap::new();
        if let Some(written) = written {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(written));
        }
        let media = media_type(&headers);
        assert_eq!((is_json(&media), Site::of_body(&media)), expected, "{written:?}");
    }

    #[test]
    fn answers_are_read_however_their_media_type_is_spelled() {
        check(Some("Application/JSON; charset=utf-8"), (true, Site::Json));
        check(Some("application/Problem+Json"), (true, Site::Json));
        check(Some("TEXT/HTML"), (false, Site::Text));
        check(Some("application/yaml"), (false, Site::Text));
        check(Some("application/octet-stream"), (false, Site::Bytes));
        check(Some("image/png"), (false, Site::Opaque));
        check(Some("image/svg+xml"), (false, Site::Text));
    }
}
