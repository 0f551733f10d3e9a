//! Requests that are streams: each message is judged when it is whole, and goes on to the upstream then.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::Mutex;
use portcullis_core::authorize::{OperationRules, object_forbidden};
use portcullis_core::contract::OperationIndex;
use portcullis_core::grpc::{self, FrameFault, Frames, PREFIX};
use portcullis_core::halt::{Halt, Reason};
use portcullis_core::identify::Principal;
use portcullis_core::record::Finding;
use portcullis_core::route::Route;
use portcullis_inspect::inspect::message_texts;
use portcullis_inspect::judge::{Verdict, judge};
use portcullis_inspect::machine::Screen;

/// What a request that is still coming has shown so far, for those who write its answer and its record.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Why it was stopped.
    pub(crate) fault: Option<Halt>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) bytes: u64,
}

/// The messages of a request on their way to the upstream.
pub(crate) struct Asked {
    incoming: Incoming,
    route: Arc<Route>,
    operation: OperationIndex,
    principal: Principal,
    screen: Screen,
    frames: Frames,
    shown: Arc<Mutex<Shown>>,
    /// What was judged already and is to be sent first.
    kept: Option<Bytes>,
    is_over: bool,
}

/// The request may not go on. Why stands in what it has [`Shown`].
#[derive(Debug, thiserror::Error)]
#[error("the request was stopped")]
pub(crate) struct Stopped;

/// By what the messages of a request are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) route: &'a Arc<Route>,
    pub(crate) operation: OperationIndex,
    pub(crate) principal: &'a Principal,
    pub(crate) screen: &'a Screen,
}

impl Asked {
    /// Takes what comes from the client, and by what it is judged.
    pub(crate) fn new(incoming: Incoming, by: By<'_>) -> Self {
        Self {
            incoming,
            route: Arc::clone(by.route),
            operation: by.operation,
            principal: by.principal.clone(),
            screen: by.screen.clone(),
            frames: Frames::new(by.route.body_limit(by.operation)),
            shown: Arc::default(),
            kept: None,
            is_over: false,
        }
    }

    /// What it shows, now and later.
    pub(crate) fn shown(&self) -> Arc<Mutex<Shown>> {
        Arc::clone(&self.shown)
    }

    fn judge(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Halt> {
        self.frames.push(data);
        while let Some(message) = self.frames.take().map_err(unframed)? {
            self.message(message.get(PREFIX..).unwrap_or_default())?;
            out.extend_from_slice(&message);
        }
        Ok(())
    }

    fn message(&self, message: &[u8]) -> Result<(), Halt> {
        let rules = &self.route.validate;
        let internal = || Halt::new(Reason::Internal, "the method is not in the descriptors");
        let grpc = self.route.grpc.as_ref().ok_or_else(internal)?;
        if let Some(objects) = self.route.authorize.objects.of(self.operation) {
            let fields = grpc.message_fields(self.operation, message);
            let fields = fields.map_err(|why| Halt::new(Reason::BodyMalformed, why))?;
            // A stream may outlast what was waived when it began.
            let judged = objects.judge_message(&self.principal, &fields, now());
            judged.map_err(|error| object_forbidden(&self.route.authorize, &error))?;
        }
        let wants_texts = !self.screen.is_off();
        let read = grpc.read_request(self.operation, message, rules.unknown_fields, wants_texts);
        let read = read.ok_or_else(internal)?;
        if rules.request && !read.violations.is_empty() {
            return Err(Halt::new(Reason::BodyInvalid, grpc::detail(&read.violations)));
        }
        let mut findings = Vec::new();
        message_texts(&self.screen, &read.texts, &mut findings);
        let verdict = judge(&findings);
        self.shown.lock().findings.append(&mut findings);
        match verdict {
            Verdict::Block => {
                Err(Halt::new(Reason::ContentBlocked, "a rule blocked a message, see the findings"))
            }
            Verdict::Pass | Verdict::Redact => Ok(()),
        }
    }

    /// Whether the first message must be judged before anything is sent: a stream that names nobody's object may not
    /// mean everybody's.
    pub(crate) fn is_bound(&self) -> bool {
        self.route.authorize.objects.of(self.operation).is_some_and(OperationRules::binds)
    }

    /// Waits for the first messages, and keeps them for the upstream.
    ///
    /// # Errors
    /// What stops the request, and a stream without messages.
    pub(crate) async fn first(&mut self) -> Result<(), Halt> {
        match poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
            Some(Ok(frame)) => {
                self.kept = frame.into_data().ok();
                Ok(())
            }
            None => Err(Halt::new(Reason::BodyMalformed, "there is no message")),
            Some(Err(Stopped)) => {
                let why = self.shown.lock().fault.take();
                Err(why.unwrap_or_else(|| Halt::new(Reason::Internal, "the request was stopped")))
            }
        }
    }

    fn stop(&mut self, fault: Halt) -> Stopped {
        self.is_over = true;
        self.shown.lock().fault.get_or_insert(fault);
        Stopped
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = Stopped;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        let this = self.get_mut();
        if let Some(kept) = this.kept.take() {
            return Poll::Ready(Some(Ok(Frame::data(kept))));
        }
        while !this.is_over {
            let data = match ready!(Pin::new(&mut this.incoming).poll_frame(cx)) {
                // Clients of gRPC send no trailers, and nothing would read them.
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(
                        this.stop(Halt::new(Reason::BodyIncomplete, error.to_string()))
                    )));
                }
                None if this.frames.is_between() => break,
                None => {
                    let fault = Halt::new(Reason::BodyMalformed, "the request ends within a message");
                    return Poll::Ready(Some(Err(this.stop(fault))));
                }
            };
            this.shown.lock().bytes += data.len() as u64;
            let mut out = BytesMut::new();
            if let Err(fault) = this.judge(&data, &mut out) {
                return Poll::Ready(Some(Err(this.stop(fault))));
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
            }
        }
        this.is_over = true;
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.kept.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

fn unframed(fault: FrameFault) -> Halt {
    let reason = match fault {
        FrameFault::TooLong(_) => Reason::BodyTooLarge,
        FrameFault::Compressed => Reason::MediaTypeUnsupported,
        _ => Reason::BodyMalformed,
    };
    Halt::new(reason, fault.to_string())
}

/// A body for HTTP/2: whole, or judged on its way.
pub(crate) enum OutStream {
    Whole(Bytes),
    Asked(Box<Asked>),
}

impl Body for OutStream {
    type Data = Bytes;
    type Error = Stopped;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Asked(asked) => Pin::new(&mut **asked).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Asked(asked) => asked.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Asked(asked) => asked.size_hint(),
        }
    }
}

/// Seconds since the epoch; a clock before it reads as the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
