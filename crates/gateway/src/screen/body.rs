//! The body of an answer on its way out: whole, or through a screen chunk by chunk.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use portcullis_core::halt::Reason;
use portcullis_core::record::{Finding, Usage};
use portcullis_core::validate::AnswerLines;
use portcullis_inspect::answer::{ByteStream, TextStream};
use portcullis_inspect::dialect::mcp::McpStream;
use portcullis_inspect::dialect::{Stream, StreamEnd};
use portcullis_inspect::machine::Screen;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::grpc;
use super::lines::Lines;
use crate::forward::UpstreamBody;

/// Why an answer broke off after its head had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// The upstream failed.
    Upstream(Reason),
    /// What came cannot be screened, so it cannot leave.
    Unreadable,
    /// A rule blocked what came.
    Blocked,
    /// What came breaks the contract.
    Invalid,
}

impl BodyError {
    /// The row of the table of halts.
    pub fn reason(self) -> Reason {
        match self {
            Self::Upstream(reason) => reason,
            Self::Unreadable => Reason::AnswerUnreadable,
            Self::Blocked => Reason::AnswerBlocked,
            Self::Invalid => Reason::AnswerInvalid,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream(_) => "the upstream broke off its answer",
            Self::Unreadable => "the stream could not be read by the screen",
            Self::Blocked => "a rule blocked the stream",
            Self::Invalid => "a line of the stream broke the contract",
        })
    }
}

impl std::error::Error for BodyError {}

/// What a stream has to say for the record.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) usage: Option<Usage>,
    /// Why the stream was ended before its time.
    pub(crate) end: Option<(Reason, String)>,
    pub(crate) is_stream: bool,
    /// What only is observed.
    pub(crate) notes: Vec<String>,
    /// Bytes of a request that came while it was answered.
    pub(crate) bytes_in: u64,
}

/// A body of which every byte passed the screen.
#[derive(Debug)]
pub struct ScreenedBody(Inner);

#[derive(Debug)]
enum Inner {
    Whole(Option<Bytes>),
    Pass(UpstreamBody),
    Text(Streamed<TextStream>),
    Bytes(Streamed<ByteStream>),
    Lines(Streamed<Box<Lines>>),
    Grpc(Box<grpc::Messages>),
    Model(Streamed<Box<Spoken>>),
    /// Until the gate stops.
    Stopped(Streamed<Box<Spoken>>, Pin<Box<WaitForCancellationFutureOwned>>),
}

impl ScreenedBody {
    pub(crate) fn empty() -> Self {
        Self(Inner::Whole(None))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Inner::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    /// What nobody reads.
    pub(super) fn passed(body: UpstreamBody) -> Self {
        Self(Inner::Pass(body))
    }

    /// Text, under this screen.
    pub(super) fn text(body: UpstreamBody, screen: &Screen) -> Self {
        Self(Inner::Text(Streamed::new(body, TextStream::new(screen))))
    }

    /// Of no kind that is known to be text, under this screen.
    pub(super) fn bytes(body: UpstreamBody, screen: &Screen) -> Self {
        Self(Inner::Bytes(Streamed::new(body, ByteStream::new(screen))))
    }

    /// JSON, line by line: held to the contract, and under this screen.
    pub(super) fn lines(body: UpstreamBody, lines: AnswerLines, screen: &Screen, observes: bool) -> Self {
        let text = (!screen.is_off()).then(|| TextStream::new(screen));
        Self(Inner::Lines(Streamed::new(body, Box::new(Lines::new(lines, text, observes)))))
    }

    /// Messages of gRPC, one by one.
    pub(super) fn grpc(messages: grpc::Messages) -> Self {
        Self(Inner::Grpc(Box::new(messages)))
    }

    /// What a model says.
    pub(super) fn model(body: UpstreamBody, stream: Stream) -> Self {
        Self(Inner::Model(Streamed::new(body, Box::new(Spoken { stream, end: None }))))
    }

    /// What a tool server says; ends with `stop`, if that is given.
    pub(super) fn tools(body: UpstreamBody, stream: McpStream, stop: Option<CancellationToken>) -> Self {
        let spoken = Box::new(Spoken { stream: Stream::Mcp(Box::new(stream)), end: None });
        let streamed = Streamed::new(body, spoken);
        match stop {
            None => Self(Inner::Model(streamed)),
            Some(stop) => Self(Inner::Stopped(streamed, Box::pin(stop.cancelled_owned()))),
        }
    }

    pub(crate) fn report(&mut self) -> Report {
        match &mut self.0 {
            Inner::Whole(_) | Inner::Pass(_) => Report::default(),
            Inner::Text(streamed) => streamed.screen.report(),
            Inner::Bytes(streamed) => streamed.screen.report(),
            Inner::Lines(streamed) => streamed.screen.report(),
            Inner::Grpc(messages) => messages.report(),
            Inner::Model(streamed) | Inner::Stopped(streamed, _) => streamed.screen.report(),
        }
    }
}

impl Body for ScreenedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Pass(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Upstream(error.reason()))))
            }
            Inner::Text(streamed) => streamed.poll_frame(cx),
            Inner::Bytes(streamed) => streamed.poll_frame(cx),
            Inner::Lines(streamed) => streamed.poll_frame(cx),
            Inner::Grpc(messages) => messages.poll_frame(cx),
            Inner::Model(streamed) => streamed.poll_frame(cx),
            Inner::Stopped(streamed, stop) => {
                if stop.as_mut().poll(cx).is_ready() {
                    streamed.stop();
                }
                streamed.poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Pass(body) => body.is_end_stream(),
            Inner::Text(streamed) => streamed.is_over,
            Inner::Bytes(streamed) => streamed.is_over,
            Inner::Lines(streamed) => streamed.is_over,
            Inner::Grpc(messages) => messages.is_over(),
            Inner::Model(streamed) | Inner::Stopped(streamed, _) => streamed.is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Inner::Pass(body) => body.size_hint(),
            Inner::Text(_)
            | Inner::Bytes(_)
            | Inner::Lines(_)
            | Inner::Grpc(_)
            | Inner::Model(_)
            | Inner::Stopped(..) => SizeHint::new(),
        }
    }
}

/// A sans-I/O screen over a stream of bytes.
pub(super) trait Chunks {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Flow, BodyError>;
    fn finish(&mut self, out: &mut BytesMut) -> Result<(), BodyError>;
    fn report(&mut self) -> Report;
}

/// Whether more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    /// What is in `out` is the last of it.
    Over,
}

impl Chunks for TextStream {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Flow, BodyError> {
        Self::push(self, bytes, out).map_err(|_| BodyError::Unreadable)?;
        // A blocked text has no form in which its end could be told from a whole one: the connection is cut.
        if self.is_blocked() { Err(BodyError::Blocked) } else { Ok(Flow::On) }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), BodyError> {
        Self::finish(self, out).map_err(|_| BodyError::Unreadable)?;
        if self.is_blocked() { Err(BodyError::Blocked) } else { Ok(()) }
    }

    fn report(&mut self) -> Report {
        Report { findings: self.take_findings(), is_stream: true, ..Report::default() }
    }
}

impl Chunks for ByteStream {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Flow, BodyError> {
        Self::push(self, bytes, out);
        if self.is_blocked() { Err(BodyError::Blocked) } else { Ok(Flow::On) }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), BodyError> {
        Self::finish(self, out);
        if self.is_blocked() { Err(BodyError::Blocked) } else { Ok(()) }
    }

    fn report(&mut self) -> Report {
        Report { findings: self.take_findings(), is_stream: true, ..Report::default() }
    }
}

/// A model's stream, and why it was ended before its time. Its end is well-formed and has been written either way.
#[derive(Debug)]
struct Spoken {
    stream: Stream,
    end: Option<StreamEnd>,
}

impl Chunks for Box<Spoken> {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Flow, BodyError> {
        if let Err(end) = self.stream.push(bytes, out) {
            self.end = Some(end);
        }
        Ok(if self.stream.is_over() { Flow::Over } else { Flow::On })
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), BodyError> {
        if let Err(end) = self.stream.finish(out) {
            self.end = Some(end);
        }
        Ok(())
    }

    fn report(&mut self) -> Report {
        Report {
            findings: self.stream.take_findings(),
            usage: self.stream.usage(),
            end: self.end.map(|end| (end.reason(), end.to_string())),
            is_stream: true,
            notes: Vec::new(),
            bytes_in: 0,
        }
    }
}

/// An upstream body that goes through a screen chunk by chunk.
#[derive(Debug)]
struct Streamed<C> {
    body: Option<UpstreamBody>,
    screen: C,
    is_over: bool,
}

impl<C: Chunks> Streamed<C> {
    fn new(body: UpstreamBody, screen: C) -> Self {
        Self { body: Some(body), screen, is_over: false }
    }

    /// Nothing more is taken from the upstream.
    fn stop(&mut self) {
        self.body = None;
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let result = ready!(self.poll_screened(cx));
        if !matches!(result, Some(Ok(_))) {
            self.is_over = true;
            self.body = None;
        }
        Poll::Ready(result)
    }

    fn poll_screened(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Upstream(error.reason())))),
                None => {
                    self.body = None;
                    let mut out = BytesMut::new();
                    let rest = self.screen.finish(&mut out).map(|()| Frame::data(out.freeze()));
                    return Poll::Ready(match rest {
                        Ok(frame) if frame.data_ref().is_some_and(Bytes::is_empty) => None,
                        other => Some(other),
                    });
                }
            };
            // Trailers of a screened stream are dropped: nothing has read them.
            let Ok(data) = frame.into_data() else { continue };
            let mut out = BytesMut::with_capacity(data.len());
            match self.screen.push(&data, &mut out) {
                // What came before the offence was judged and may leave; the error follows on the next poll.
                Ok(Flow::On) => {}
                Ok(Flow::Over) => self.body = None,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
            }
        }
    }
}
