//! What vouches for a text, or quotes what it was taken from: worth nothing where the text was changed.

use bytes::BytesMut;

use super::grammar::{self, EchoKind};
use super::read::numbers;
use super::{State, StreamEnd};
use crate::dialect::frame::send;
use crate::dialect::splice::{Edit, contains};
use crate::dialect::tape::Tape;
use crate::dialect::text::{Form, Left, whole};
use crate::sse::Event;

/// Most bytes of events that wait at a time.
const WAITING: usize = 4 << 20;

/// An event that waits for the end of a text.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The place of the text.
    place: String,
    /// What it quotes.
    quoted: String,
    /// Whether anything of it was replaced.
    is_edited: bool,
    event: BytesMut,
}

impl State {
    /// Empties what vouches for a text that was changed.
    pub(super) fn seals(
        &mut self,
        tape: &Tape<'_>,
        name: &str,
        edits: &mut Vec<Edit>,
    ) -> Result<(), StreamEnd> {
        for row in self.grammar.echoes.iter().filter(|row| row.event == name && row.kind == EchoKind::Seal) {
            let place = grammar::filled(row.place, &numbers(tape, row.numbers)?);
            let value = grammar::at(tape, row.value).and_then(|id| tape.node(id));
            let Some(span) = value.map(|node| node.span) else { continue };
            if self.is_changed(&place) || edits.iter().any(|edit| contains(span, edit.span)) {
                edits.retain(|edit| !contains(span, edit.span));
                edits.push(Edit { span, json: "\"\"".into() });
            }
        }
        Ok(())
    }

    /// What an event quotes, and the place of the text that it waits for, if it quotes something.
    pub(super) fn quoted(&self, tape: &Tape<'_>, name: &str) -> Result<Option<(String, String)>, StreamEnd> {
        let mut rows = self.grammar.echoes.iter().filter(|row| row.kind == EchoKind::Quote);
        let Some(row) = rows.find(|row| row.event == name && !self.screen.is_off()) else { return Ok(None) };
        let place = grammar::filled(row.place, &numbers(tape, row.numbers)?);
        let quoted = grammar::at(tape, row.value).and_then(|id| tape.string(id)).unwrap_or_default();
        Ok(Some((place, quoted.into_owned())))
    }

    /// Lets an event wait for the end of a text.
    pub(super) fn wait(
        &mut self,
        (place, quoted): (String, String),
        event: &Event<'_>,
        json: Option<&str>,
    ) -> Result<(), StreamEnd> {
        let mut bytes = BytesMut::new();
        send(&self.screen, &mut self.findings, event, json, &mut bytes)?;
        self.waiting.push(Waiting { place, quoted, is_edited: json.is_some(), event: bytes });
        let size: usize = self.waiting.iter().map(|one| one.event.len()).sum();
        if size > WAITING { Err(StreamEnd::TooManyTexts) } else { Ok(()) }
    }

    /// Lets go what waited for the end of the texts within a place, where it may leave.
    pub(super) fn release(&mut self, place: &str, out: &mut BytesMut) -> Result<(), StreamEnd> {
        while let Some(first) = self.waiting.iter().find(|one| grammar::is_within(place, &one.place)) {
            let text = first.place.clone();
            let (over, waiting): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.waiting).into_iter().partition(|one| one.place == text);
            self.waiting = waiting;
            let quoted: String = over.iter().map(|one| one.quoted.as_str()).collect();
            let found = self.findings.len();
            let at = || text.replace('/', " ");
            let left = whole(&self.screen, &quoted, Form::Plain, &mut self.findings, at);
            if left == Left::Blocked {
                return Err(StreamEnd::Blocked);
            }
            if left == Left::Same || over.iter().any(|one| one.is_edited) {
                // What each quotes was reported before.
                self.findings.truncate(found);
            }
            if left == Left::Same && !self.is_changed(&text) {
                over.iter().for_each(|one| out.extend_from_slice(&one.event));
            }
        }
        Ok(())
    }

    fn is_changed(&self, place: &str) -> bool {
        let channel = self.places.get(place).and_then(|nth| self.channels.get(*nth));
        channel.is_some_and(|channel| channel.deltas.is_changed())
    }
}
