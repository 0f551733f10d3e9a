//! The whole reading of one event: which strings are pieces of texts, which say a text once more, and what else stands
//! in it.

use std::ops::Range;

use bytes::BytesMut;

use super::grammar::{self, Delta, Kept, When};
use super::{CHANNELS, Channel, Hole, LIMITS, State, StreamEnd, TEMPLATES};
use crate::dialect::deltas::Deltas;
use crate::dialect::document::is_encoded;
use crate::dialect::spelling::drop_misspelt;
use crate::dialect::splice::{Edit, pointer, splice};
use crate::dialect::tape::{Kind, Span, Tape};
use crate::dialect::template::{Filling, Template};
use crate::dialect::text::{Form, Left, whole};
use crate::sse::Event;

/// What a string of an event is, if it is one of a text that a client joins.
#[derive(Debug, Clone, Copy)]
enum Text {
    /// A piece of this channel's.
    Piece(usize),
    /// All of it, and how much was found in its pieces, which was reported then.
    Whole(Form, usize),
}

/// A piece in the event.
#[derive(Debug)]
struct Piece {
    node: u32,
    span: Span,
    channel: usize,
    left: String,
    is_same: bool,
    is_quiet: bool,
}

/// What became of an event.
#[derive(Debug, Default)]
struct Work {
    edits: Vec<Edit>,
    pieces: Vec<Piece>,
    /// Strings that are screened for themselves but differ from event to event.
    asides: Vec<Span>,
    number: Option<Span>,
    /// Whether the event is nothing but deltas.
    is_delta: bool,
    /// Whether its shape may be remembered.
    is_plain: bool,
}

impl State {
    /// Reads an event that is no known shape.
    pub(super) fn read(
        &mut self,
        event: &Event<'_>,
        text: &str,
        out: &mut BytesMut,
    ) -> Result<(), StreamEnd> {
        let reads = !self.screen.is_off() || !self.hidden.is_empty();
        let tape = match Tape::parse(text) {
            Ok(tape) => tape,
            Err(_) if !reads => return self.send(event, None, out),
            Err(error) => return Err(error.into()),
        };
        let name = grammar::name(&tape).unwrap_or_default();
        if reads && !(self.is_of_the_dialect(&name) && is_called(event, &name)) {
            return Err(StreamEnd::UnknownEvent);
        }
        let usage = (self.grammar.usage)(&tape, self.usage);
        let is_counted = usage != self.usage;
        self.usage = usage;
        self.end(&tape, &name, out)?;
        let found = self.findings.len();
        let mut work =
            Work { is_plain: event.data_at.is_some() && !is_counted, is_delta: true, ..Work::default() };
        let texts = self.texts(&tape, &name, &mut work)?;
        self.screen(&tape, &texts, &mut work)?;
        self.seals(&tape, &name, &mut work.edits)?;
        work.is_plain &= work.edits.is_empty() && self.findings.len() == found;
        let result = self.pieces(&tape, &mut work);
        if result == Err(StreamEnd::Blocked) && work.is_delta {
            for piece in &work.pieces {
                self.own_event(piece.channel, &piece.left, out);
            }
        }
        result?;
        let changed = work.pieces.iter().filter(|piece| !piece.is_same);
        work.edits.extend(changed.map(|piece| Edit::string(piece.span, &piece.left)));
        if !self.screen.is_off() {
            let pieces = &work.pieces;
            let is_quiet =
                |node| pieces.iter().find(|piece| piece.node == node).is_none_or(|piece| piece.is_quiet);
            work.is_plain &= !drop_misspelt(&tape, &mut work.edits, is_quiet);
        }
        self.count(&tape, &mut work);
        self.remember(event, &work);
        let changed = (!work.edits.is_empty()).then(|| splice(text, &mut work.edits));
        if let Some(place) = self.quoted(&tape, &name)? {
            return self.wait(place, event, changed.as_deref());
        }
        self.send(event, changed.as_deref(), out)?;
        self.begin(&tape, &name)?;
        self.keep(&name, changed.as_deref().unwrap_or(text))?;
        self.is_ended |= self.grammar.ends.contains(&name.as_str());
        Ok(())
    }

    fn is_of_the_dialect(&self, name: &str) -> bool {
        self.passes_unknown || self.grammar.knows(name)
    }

    /// Ends the texts that the event ends.
    fn end(&mut self, tape: &Tape<'_>, name: &str, out: &mut BytesMut) -> Result<(), StreamEnd> {
        let rows = self.grammar.wholes.iter().filter(|row| row.event == name);
        for row in rows.filter(|row| row.when == When::End) {
            let place = grammar::filled(row.place, &numbers(tape, row.numbers)?);
            self.end_texts(&place, out)?;
        }
        Ok(())
    }

    /// Notes which places an event that left has begun and ended.
    fn begin(&mut self, tape: &Tape<'_>, name: &str) -> Result<(), StreamEnd> {
        for row in self.grammar.wholes.iter().filter(|row| row.event == name) {
            let place = grammar::filled(row.place, &numbers(tape, row.numbers)?);
            match row.when {
                When::End => self.open.retain(|open| !grammar::is_within(&place, open)),
                When::Begin if !row.numbers.is_empty() && !self.open.contains(&place) => {
                    if self.open.len() == CHANNELS {
                        return Err(StreamEnd::TooManyTexts);
                    }
                    self.open.push(place);
                }
                When::Begin => {}
            }
        }
        Ok(())
    }

    /// The strings of the event that are of texts which a client joins, by their nodes.
    fn texts(&mut self, tape: &Tape<'_>, name: &str, work: &mut Work) -> Result<Vec<(u32, Text)>, StreamEnd> {
        let mut found = Vec::new();
        for row in self.grammar.deltas.iter().filter(|row| row.event == name) {
            let Some(id) = grammar::at(tape, row.piece) else { continue };
            match tape.node(id).map(|node| node.kind) {
                Some(Kind::String) => {}
                Some(Kind::Null) => continue,
                // A piece that is no text might still be joined to one.
                _ => return Err(StreamEnd::UnknownEvent),
            }
            let numbers = numbers(tape, row.numbers)?;
            let place = grammar::filled(row.place, &numbers);
            found.push((id, Text::Piece(self.channel(tape, row, place, numbers)?)));
        }
        for row in self.grammar.wholes.iter().filter(|row| row.event == name) {
            (work.is_plain, work.is_delta) = (false, false);
            let Some(value) = row.value.and_then(|value| grammar::at(tape, value)) else { continue };
            let place = grammar::filled(row.place, &numbers(tape, row.numbers)?);
            let mut strings = Vec::new();
            grammar::strings(tape, value, &place, &mut strings);
            for (id, place) in strings {
                let Some(text) = self.grammar.texts_at(&place) else { continue };
                let known = self.places.get(place.as_str()).and_then(|nth| self.channels.get(*nth));
                let is_empty = tape.string(id).is_none_or(|text| text.is_empty());
                let text = match row.when {
                    When::Begin if known.is_none() && !is_empty => {
                        let numbers = grammar::numbers(text.place, &place);
                        Text::Piece(self.channel(tape, text, place, numbers)?)
                    }
                    _ => Text::Whole(text.form, known.map_or(0, |channel| channel.deltas.found())),
                };
                found.push((id, text));
            }
        }
        found.sort_by_key(|(id, _)| *id);
        Ok(found)
    }

    /// The number of the channel at a place, which may be new.
    fn channel(
        &mut self,
        tape: &Tape<'_>,
        row: &'static Delta,
        place: String,
        numbers: Vec<u64>,
    ) -> Result<usize, StreamEnd> {
        if let Some(known) = self.places.get(place.as_str()) {
            return Ok(*known);
        }
        if self.channels.len() == CHANNELS {
            return Err(StreamEnd::TooManyTexts);
        }
        let id = self.grammar.id.and_then(|(name, pointers)| {
            let id = pointers.iter().find_map(|pointer| grammar::at(tape, pointer))?;
            Some((name, serde_json::to_string(&tape.string(id)?).ok()?))
        });
        let pointer = || [self.grammar.root, "/", &place].concat();
        let deltas = Deltas::new(&self.screen.at(pointer), row.form, place.replace('/', " "));
        let place: Box<str> = place.into();
        self.places.insert(place.clone(), self.channels.len());
        self.channels.push(Channel { row, place, numbers, id, deltas, is_over: false });
        Ok(self.channels.len() - 1)
    }

    /// Screens all of the event but its pieces, and takes out what the operator wrote.
    fn screen(&mut self, tape: &Tape<'_>, texts: &[(u32, Text)], work: &mut Work) -> Result<(), StreamEnd> {
        let hidden: Vec<Range<u32>> = self
            .hidden
            .iter()
            .filter_map(|at| grammar::at(tape, at))
            .filter_map(|id| tape.node(id).map(|node| (id, node)))
            .filter(|(_, node)| node.kind != Kind::Null)
            .map(|(id, node)| {
                work.edits.push(Edit::null(node.span));
                id..node.after
            })
            .collect();
        for (id, node) in (0..).zip(&tape.nodes) {
            if hidden.iter().any(|hidden| hidden.contains(&id)) {
                continue;
            }
            let key = tape.key(id);
            if let (Some(name), Some(span)) = (&key, node.key) {
                self.aside(tape, id, (name, span, Form::Plain), 0, work)?;
            }
            let Some(text) = tape.string(id) else { continue };
            let known = texts.binary_search_by_key(&id, |(id, _)| *id).ok().and_then(|nth| texts.get(nth));
            match known {
                Some((_, Text::Piece(channel))) => work.pieces.push(Piece {
                    node: id,
                    span: node.span,
                    channel: *channel,
                    left: String::new(),
                    is_same: true,
                    is_quiet: true,
                }),
                Some((_, Text::Whole(form, known))) => {
                    self.aside(tape, id, (&text, node.span, *form), *known, work)?;
                }
                None if key.as_deref().is_some_and(|name| is_encoded(name, &text)) => {}
                None => {
                    let is_json = key.as_deref() == Some("arguments");
                    let form = if is_json { Form::Json } else { Form::Plain };
                    self.aside(tape, id, (&text, node.span, form), 0, work)?;
                    if key.as_deref() == Some("obfuscation") && tape.children(0).any(|child| child == id) {
                        work.asides.push(node.span);
                    }
                }
            }
        }
        Ok(())
    }

    /// Screens a string for itself; so much as is `known` of it was found and reported before.
    fn aside(
        &mut self,
        tape: &Tape<'_>,
        id: u32,
        (text, span, form): (&str, Span, Form),
        known: usize,
        work: &mut Work,
    ) -> Result<(), StreamEnd> {
        let found = self.findings.len();
        let left = whole(&self.screen, text, form, &mut self.findings, || pointer(tape, id));
        if self.findings.len() - found <= known && left != Left::Blocked {
            self.findings.truncate(found);
        }
        match left {
            Left::Same => Ok(()),
            Left::Changed(text) => {
                work.edits.push(Edit::string(span, &text));
                Ok(())
            }
            Left::Blocked => Err(StreamEnd::Blocked),
        }
    }

    /// Sends the pieces through their machines.
    fn pieces(&mut self, tape: &Tape<'_>, work: &mut Work) -> Result<(), StreamEnd> {
        for piece in &mut work.pieces {
            let text = tape.string(piece.node).unwrap_or_default();
            let Some(channel) = self.channels.get_mut(piece.channel) else { continue };
            if channel.is_over {
                if text.is_empty() || self.screen.is_off() {
                    continue;
                }
                return Err(StreamEnd::LateText);
            }
            let passed = channel.deltas.push(&text, &mut piece.left, &mut self.findings);
            (piece.is_same, piece.is_quiet) = (passed.is_same, passed.is_quiet);
            if passed.is_blocked {
                return Err(StreamEnd::Blocked);
            }
        }
        Ok(())
    }

    /// Moves the event's number on by what was put in before it.
    fn count(&mut self, tape: &Tape<'_>, work: &mut Work) {
        let id = self.grammar.number.and_then(|name| tape.member(0, name));
        let Some((number, node)) = id.and_then(|id| Some((tape.count(id)?, tape.node(id)?))) else { return };
        let number = number.saturating_add(self.added);
        if self.added > 0 {
            work.edits.push(Edit { span: node.span, json: number.to_string() });
        }
        work.number = Some(node.span);
        self.number = number.saturating_add(1);
    }

    /// Keeps what the end of the stream may need, as it left.
    fn keep(&mut self, name: &str, text: &str) -> Result<(), StreamEnd> {
        for (nth, (event, at, which)) in self.grammar.kept.iter().enumerate() {
            if *event != name {
                continue;
            }
            let tape = Tape::parse(text)?;
            let Some(node) = grammar::at(&tape, at).and_then(|id| tape.node(id)) else { continue };
            if *which == Kept::Newest {
                self.kept.retain(|(row, _)| *row != nth);
            }
            let size: usize = self.kept.iter().map(|(_, json)| json.len()).sum();
            if self.kept.len() < CHANNELS && size < LIMITS.line {
                self.kept.push((nth, node.span.of(text).to_owned()));
            }
        }
        Ok(())
    }

    /// Remembers the shape of an event of which nothing but texts and its number may vary.
    fn remember(&mut self, event: &Event<'_>, work: &Work) {
        #[cfg(test)]
        if self.is_forgetful {
            return;
        }
        let is_over = |piece: &Piece| self.channels.get(piece.channel).is_none_or(|channel| channel.is_over);
        if !work.is_plain || work.pieces.is_empty() || work.pieces.iter().any(is_over) {
            return;
        }
        let (Some(at), Ok(raw)) = (event.data_at, std::str::from_utf8(event.raw)) else { return };
        let pieces =
            work.pieces.iter().map(|piece| (piece.span, Filling::Text, Hole::Channel(piece.channel)));
        let asides = work.asides.iter().map(|span| (*span, Filling::Text, Hole::Aside));
        let number = work.number.iter().map(|span| (*span, Filling::Number, Hole::Number));
        let mut spans: Vec<_> = pieces
            .chain(asides)
            .chain(number)
            .filter_map(|(span, filling, hole)| Some((span.moved(at)?, filling, hole)))
            .collect();
        spans.sort_by_key(|(span, ..)| span.start);
        let Some(template) = Template::new(raw, &spans) else { return };
        match self.templates.get_mut(self.oldest_template) {
            Some(oldest) => *oldest = template,
            None => self.templates.push(template),
        }
        self.oldest_template = (self.oldest_template + 1) % TEMPLATES;
    }
}

/// The members of an event that number a place.
pub(super) fn numbers(tape: &Tape<'_>, names: &[&str]) -> Result<Vec<u64>, StreamEnd> {
    let number = |name: &&str| tape.member(0, name).and_then(|id| tape.count(id));
    names.iter().map(|name| number(name).ok_or(StreamEnd::BadIndex)).collect()
}

/// Whether the lines of an event call it what its data do, if they call it anything.
// BYPASS: SDKs differ in which of the two they go by.
fn is_called(event: &Event<'_>, name: &str) -> bool {
    let kind = name.split('/').next().unwrap_or_default();
    event.other_lines().all(|line| {
        let Some(rest) = line.strip_prefix(b"event") else { return true };
        match rest.strip_prefix(b":") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value) == kind.as_bytes(),
            None => !rest.is_empty(),
        }
    })
}
