//! Answers of JSON lines: each is held to the contract when it is whole, and leaves then.

use bytes::BytesMut;
use portcullis_core::halt::{Reason, Violation};
use portcullis_core::validate::AnswerLines;
use portcullis_inspect::answer::TextStream;

use super::WHOLE;
use super::body::{BodyError, Chunks, Flow, Report};

/// Most notes of one stream: an upstream may answer without end.
const MOST_NOTES: usize = 32;

/// A stream of lines, before the detectors.
#[derive(Debug)]
pub(super) struct Lines {
    lines: AnswerLines,
    /// The detectors, where any read answers.
    text: Option<TextStream>,
    observes: bool,
    /// The line that has not ended.
    pending: BytesMut,
    notes: Vec<String>,
    end: Option<(Reason, String)>,
    /// What ends the stream once the lines before it have left.
    broken: Option<BodyError>,
}

impl Lines {
    pub(super) fn new(lines: AnswerLines, text: Option<TextStream>, observes: bool) -> Self {
        Self { lines, text, observes, pending: BytesMut::new(), notes: Vec::new(), end: None, broken: None }
    }

    fn line(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), BodyError> {
        let stripped = match self.lines.next(line) {
            Ok(stripped) => stripped,
            Err(violations) => {
                let told = violations.into_iter().map(|Violation { at, message }| format!("{at}: {message}"));
                if !self.observes {
                    self.end = Some((Reason::AnswerInvalid, told.collect::<Vec<_>>().join("; ")));
                    return Err(BodyError::Invalid);
                }
                let left = MOST_NOTES.saturating_sub(self.notes.len());
                self.notes.extend(told.take(left).map(|one| format!("answer: {one}")));
                None
            }
        };
        let line = stripped.as_deref().unwrap_or(line);
        match &mut self.text {
            Some(text) => Chunks::push(text, line, out).map(drop),
            None => {
                out.extend_from_slice(line);
                Ok(())
            }
        }
    }
}

impl Chunks for Box<Lines> {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Flow, BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let searched = self.pending.len();
        self.pending.extend_from_slice(bytes);
        let mut from = searched;
        while let Some(at) = self.pending.iter().skip(from).position(|byte| *byte == b'\n') {
            let line = self.pending.split_to(from + at + 1);
            from = 0;
            if let Err(error) = self.line(&line, out) {
                if out.is_empty() {
                    return Err(error);
                }
                self.broken = Some(error);
                return Ok(Flow::On);
            }
        }
        if self.pending.len() > WHOLE {
            return Err(BodyError::Unreadable);
        }
        Ok(Flow::On)
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let rest = self.pending.split();
        if !rest.is_empty() {
            self.line(&rest, out)?;
        }
        match &mut self.text {
            Some(text) => Chunks::finish(text, out),
            None => Ok(()),
        }
    }

    fn report(&mut self) -> Report {
        let findings = self.text.as_mut().map(TextStream::take_findings).unwrap_or_default();
        let notes = std::mem::take(&mut self.notes);
        Report { findings, end: self.end.take(), is_stream: true, notes, ..Report::default() }
    }
}
