//! The body that goes to the client, with the record that ends when it does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portcullis_core::halt::Halt;
use portcullis_core::record::{Outcome, Phase};

use crate::record::Recording;
use crate::screen::{BodyError, ScreenedBody};

/// A screened body that counts what leaves, and emits the record when it ends or is dropped.
#[derive(Debug)]
pub struct Tracked {
    body: ScreenedBody,
    record: Option<Recording>,
    /// Why the body broke off, where that has not been said yet.
    broken: Option<BodyError>,
}

impl Tracked {
    pub(crate) fn new(body: ScreenedBody, record: Recording) -> Self {
        Self { body, record: Some(record), broken: None }
    }

    /// A body whose record ends elsewhere.
    pub(crate) fn untracked(body: ScreenedBody) -> Self {
        Self { body, record: None, broken: None }
    }

    /// What the body learnt goes into the record, and the record is emitted.
    fn end(&mut self, error: Option<&BodyError>) {
        let Some(mut record) = self.record.take() else { return };
        let report = self.body.report();
        record.draft.findings.extend(report.findings);
        record.draft.notes.extend(report.notes);
        record.draft.bytes_in += report.bytes_in;
        record.draft.usage = report.usage.or(record.draft.usage);
        if record.draft.halt.is_none() {
            match (error, report.end) {
                (_, Some((reason, detail))) => record.halted(&Halt::new(reason, detail)),
                (Some(error), None) => record.halted(&Halt::new(error.reason(), error.to_string())),
                (None, None) if report.is_stream => record.close(Phase::Screen, Outcome::Passed),
                (None, None) => {}
            }
        }
        // What broke off did not leave whole; what a screen ended did, well-formed.
        if error.is_none() {
            record.complete();
        }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(record), Some(data)) = (&mut self.record, frame.data_ref()) {
                    record.sent(data.len());
                }
                if self.body.is_end_stream() {
                    self.end(None);
                }
            }
            Some(Err(error)) => {
                let error = *error;
                self.end(Some(&error));
                // An error cuts the connection with what hyper has not written yet, perhaps even the head. Pending
                // once lets what came before it leave.
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => self.end(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // hyper drops a body that is over without polling it: that is an end. Anything else is a client gone away.
        if self.body.is_end_stream() {
            self.end(None);
        } else if let Some(record) = &mut self.record {
            let report = self.body.report();
            record.draft.findings.extend(report.findings);
            record.draft.notes.extend(report.notes);
            record.draft.bytes_in += report.bytes_in;
            record.draft.usage = report.usage.or(record.draft.usage);
        }
    }
}
