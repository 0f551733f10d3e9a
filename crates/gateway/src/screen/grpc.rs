//! Answers of gRPC: each message is judged when it is whole and leaves then, and the trailers after them. What may not
//! leave ends the answer as gRPC ends one, with a status that says so.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, response};
use http_body::{Body, Frame};
use parking_lot::Mutex;
use percent_encoding::percent_decode;
use portcullis_core::contract::OperationIndex;
use portcullis_core::grpc::{self, FrameFault, Frames, PREFIX, Status};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::Finding;
use portcullis_core::route::Route;
use portcullis_core::validate::Answers;
use portcullis_inspect::answer::screen_fields;
use portcullis_inspect::inspect::message_texts;
use portcullis_inspect::judge::{Verdict, judge};
use portcullis_inspect::machine::Screen;

use super::{BodyError, Judged, Report, WHOLE};
use crate::forward::UpstreamBody;
use crate::forward::asked::Shown;
use crate::respond::{GRPC_MESSAGE, GRPC_STATUS};

/// An answer of gRPC under judgement.
#[derive(Debug)]
pub(super) struct Messages {
    body: Option<UpstreamBody>,
    route: Arc<Route>,
    operation: OperationIndex,
    screen: Screen,
    frames: Frames,
    count: u64,
    /// The trailers that end the answer.
    end: Option<HeaderMap>,
    is_over: bool,
    findings: Vec<Finding>,
    notes: Vec<String>,
    fault: Option<(Reason, String)>,
    /// What the request shows, where it is still coming.
    shown: Option<Arc<Mutex<Shown>>>,
}

/// Why an answer cannot go on.
type Fault = (Reason, String);

/// What is wrong with the head of an answer, whoever reads what follows.
pub(super) fn check_head(parts: &response::Parts) -> Result<(), Halt> {
    if parts.status != StatusCode::OK {
        // What stands between here and the service answers so; the mapping is that of gRPC's own clients.
        let reason = match parts.status.as_u16() {
            429 | 502..=504 => Reason::UpstreamUnreachable,
            _ => Reason::AnswerInvalid,
        };
        return Err(Halt::new(reason, format!("the upstream answered {} to gRPC", parts.status)));
    }
    if !grpc::is_grpc(&parts.headers) {
        return Err(Halt::new(Reason::AnswerUnreadable, "the upstream's answer is no gRPC"));
    }
    Ok(())
}

/// Whether the messages that follow this head can be read.
pub(super) fn check_readable(headers: &HeaderMap) -> Result<(), Halt> {
    if !grpc::is_protobuf(headers) || grpc::is_compressed(headers) {
        let detail = "the upstream's messages are compressed, or no protocol buffers";
        return Err(Halt::new(Reason::AnswerUnreadable, detail));
    }
    Ok(())
}

impl Messages {
    pub(super) fn new(body: UpstreamBody, judged: &Judged<'_>) -> Self {
        Self {
            body: Some(body),
            route: Arc::clone(judged.route),
            operation: judged.operation,
            screen: judged.guards.screens.answer.clone(),
            frames: Frames::new(WHOLE),
            count: 0,
            end: None,
            is_over: false,
            findings: Vec::new(),
            notes: Vec::new(),
            fault: None,
            shown: judged.shown.clone(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn report(&mut self) -> Report {
        let mut findings = std::mem::take(&mut self.findings);
        let mut bytes_in = 0;
        if let Some(shown) = &self.shown {
            let mut shown = shown.lock();
            findings.append(&mut shown.findings);
            bytes_in = std::mem::take(&mut shown.bytes);
        }
        Report {
            findings,
            bytes_in,
            notes: std::mem::take(&mut self.notes),
            end: self.fault.take(),
            is_stream: true,
            usage: None,
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(trailers) = self.end.take() {
                self.is_over = true;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
            let mut out = BytesMut::new();
            let ended = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.data(&data, &mut out).map(|()| None),
                    Err(frame) => self.trailers(frame.into_trailers().unwrap_or_default()).map(Some),
                },
                Some(Err(error)) => {
                    Err(self.stopped().unwrap_or_else(|| (error.reason(), error.to_string())))
                }
                None => Err((Reason::AnswerInvalid, "the answer ends without a status".to_owned())),
            };
            match ended {
                Ok(None) => {}
                Ok(Some(trailers)) => self.finish(trailers),
                Err(fault) => {
                    self.finish(told(fault.0));
                    self.fault = Some(fault);
                }
            }
            // What came before an offence was judged and may leave; the end follows on the next poll.
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
            }
        }
    }

    /// What stopped the request, which breaks off the answer as well.
    fn stopped(&self) -> Option<Fault> {
        match self.shown.as_ref().and_then(|shown| shown.lock().fault.take())? {
            Halt::Refusal(refusal) | Halt::Fault(refusal) => {
                Some((refusal.reason, refusal.detail.into_owned()))
            }
            Halt::Reply(_) => None,
        }
    }

    fn finish(&mut self, trailers: HeaderMap) {
        self.body = None;
        self.end = Some(trailers);
    }

    fn data(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        self.frames.push(data);
        while let Some(message) = self.frames.take().map_err(unframed)? {
            self.count += 1;
            self.message(message.get(PREFIX..).unwrap_or_default())?;
            out.extend_from_slice(&message);
        }
        Ok(())
    }

    fn message(&mut self, message: &[u8]) -> Result<(), Fault> {
        let rules = &self.route.validate;
        let grpc = self.route.grpc.as_ref();
        let internal = || (Reason::Internal, "the method is not in the descriptors".to_owned());
        let method = grpc.and_then(|grpc| grpc.method(self.operation)).ok_or_else(internal)?;
        let is_checked = rules.answers != Answers::Off;
        if is_checked && self.count > 1 && !method.streams_answers {
            return Err((Reason::AnswerInvalid, "more than one message".to_owned()));
        }
        let wants_texts = !self.screen.is_off();
        let read = grpc
            .and_then(|grpc| grpc.read_answer(self.operation, message, rules.unknown_answers, wants_texts));
        let read = read.ok_or_else(internal)?;
        if is_checked && !read.violations.is_empty() {
            let detail = grpc::detail(&read.violations);
            if rules.answers != Answers::Observe {
                return Err((Reason::AnswerInvalid, detail));
            }
            self.notes.push(format!("answer: {detail}"));
        }
        let known = self.findings.len();
        message_texts(&self.screen, &read.texts, &mut self.findings);
        self.blocked(known)
    }

    fn blocked(&self, known: usize) -> Result<(), Fault> {
        match judge(self.findings.get(known..).unwrap_or_default()) {
            Verdict::Block => {
                Err((Reason::AnswerBlocked, "a rule blocked the answer, see the findings".to_owned()))
            }
            Verdict::Pass | Verdict::Redact => Ok(()),
        }
    }

    fn trailers(&mut self, mut trailers: HeaderMap) -> Result<HeaderMap, Fault> {
        if !self.frames.is_between() {
            return Err((Reason::AnswerInvalid, "the answer ends within a message".to_owned()));
        }
        let dropped: Vec<_> = trailers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
        for name in &dropped {
            trailers.remove(name);
        }
        let status = self.status(&trailers)?;
        if screen_fields(&self.screen, &trailers, &mut self.findings) == Verdict::Block {
            return Err((Reason::AnswerBlocked, "a rule blocked the trailers, see the findings".to_owned()));
        }
        let is_short = status == "0" && self.count == 0 && self.route.validate.answers == Answers::Enforce;
        let streams = self.route.grpc.as_ref().and_then(|grpc| grpc.method(self.operation));
        if is_short && streams.is_some_and(|method| !method.streams_answers) {
            return Err((Reason::AnswerInvalid, "no message and no error".to_owned()));
        }
        Ok(trailers)
    }

    /// The status that a map of fields says, whose message is judged.
    fn status(&mut self, fields: &HeaderMap) -> Result<String, Fault> {
        let status = single_status(fields)
            .ok_or_else(|| (Reason::AnswerInvalid, "the answer has no clear status".to_owned()))?;
        if status != "0" {
            self.notes.push(format!("grpc-status {status}"));
        }
        let known = self.findings.len();
        screen_status(&self.screen, fields, &mut self.findings);
        self.blocked(known)?;
        Ok(status)
    }
}

/// Judges an answer that is a head alone, where the status stands in the head.
pub(super) fn head_alone(
    screen: &Screen,
    headers: &HeaderMap,
    findings: &mut Vec<Finding>,
    notes: &mut Vec<String>,
) -> Result<(), Halt> {
    let status = single_status(headers)
        .ok_or_else(|| Halt::new(Reason::AnswerInvalid, "the answer has no clear status"))?;
    if status == "0" {
        return Err(Halt::new(Reason::AnswerInvalid, "no message and no error"));
    }
    notes.push(format!("grpc-status {status}"));
    let known = findings.len();
    screen_status(screen, headers, findings);
    match judge(findings.get(known..).unwrap_or_default()) {
        Verdict::Block => {
            Err(Halt::new(Reason::AnswerBlocked, "a rule blocked the status, see the findings"))
        }
        Verdict::Pass | Verdict::Redact => Ok(()),
    }
}

/// Screens the message of a status, which an upstream writes as it likes.
fn screen_status(screen: &Screen, fields: &HeaderMap, findings: &mut Vec<Finding>) {
    if screen.is_off() {
        return;
    }
    for value in fields.get_all(GRPC_MESSAGE) {
        let decoded = percent_decode(value.as_bytes()).decode_utf8_lossy().into_owned();
        message_texts(screen, &[("grpc-message".to_owned(), &*decoded)], findings);
    }
}

fn single_status(fields: &HeaderMap) -> Option<String> {
    let mut all = fields.get_all(GRPC_STATUS).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let text = only.to_str().ok()?;
    let is_code = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_code.then(|| text.to_owned())
}

fn is_ours(name: &str) -> bool {
    name.starts_with("x-portcullis-") || name == "x-request-id"
}

fn unframed(fault: FrameFault) -> Fault {
    let reason = match fault {
        FrameFault::TooLong(_) => Reason::AnswerTooLarge,
        _ => Reason::AnswerUnreadable,
    };
    (reason, fault.to_string())
}

/// The trailers that end an answer before its time.
fn told(reason: Reason) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static(Status::of_reason(reason).as_str()));
    trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(reason.title()));
    trailers
}
