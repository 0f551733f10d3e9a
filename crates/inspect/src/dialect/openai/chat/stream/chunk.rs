//! The whole reading of one chunk: which strings are deltas of which text, and what else stands in it.

use bytes::BytesMut;

use super::super::channel::{Channel, Step};
use super::super::usage;
use super::{CHANNELS, Choice, Hole, State, StreamEnd, TEMPLATES};
use crate::dialect::spelling::tokens;
use crate::dialect::splice::{Edit, contains, pointer, splice};
use crate::dialect::tape::{Kind, Node, Span, Tape};
use crate::dialect::template::{Filling, Template};
use crate::dialect::text::{Form, Left, whole};
use crate::sse::Event;

/// Members that name or mark something and are not joined by a client; each is screened for itself.
const NAMES: [&str; 7] = ["finish_reason", "id", "name", "object", "role", "stop_reason", "type"];

/// A delta in the chunk.
#[derive(Debug)]
struct Delta {
    node: u32,
    span: Span,
    channel: usize,
    left: String,
    is_same: bool,
    is_quiet: bool,
}

/// One entry of `choices`.
#[derive(Debug, Clone, Copy)]
struct Entry {
    node: u32,
    after: u32,
    index: u32,
    is_last: bool,
}

/// What became of a chunk.
#[derive(Debug, Default)]
struct Work {
    edits: Vec<Edit>,
    deltas: Vec<Delta>,
    /// Strings that are screened for themselves but differ from chunk to chunk.
    asides: Vec<Span>,
    /// Whether its shape may be remembered.
    is_plain: bool,
}

impl State {
    /// Reads an event that is no known shape.
    pub(super) fn chunk(
        &mut self,
        event: &Event<'_>,
        text: &str,
        out: &mut BytesMut,
    ) -> Result<(), StreamEnd> {
        let tape = match Tape::parse(text) {
            Ok(tape) => tape,
            Err(_) if self.screen.is_off() => return self.send(event, None, out),
            Err(error) => return Err(error.into()),
        };
        let usage = usage(&tape);
        self.usage = usage.or(self.usage);
        let choices = tape.member(0, "choices");
        if self.hides_usage && usage.is_some() && choices.is_some_and(|id| tape.children(id).next().is_none())
        {
            return Ok(());
        }
        let entries = self.entries(&tape, choices)?;
        let found = self.findings.len();
        let mut work = Work { is_plain: event.is_plain && usage.is_none(), ..Work::default() };
        let result = self.screen(&tape, &entries, &mut work);
        if work.edits.is_empty() && choices.is_some() && self.head.is_empty() {
            self.head = head(&tape);
        }
        work.is_plain &= work.edits.is_empty() && self.findings.len() == found;
        result.and_then(|()| self.deltas(&tape, &entries, &mut work, out)).inspect_err(|end| {
            if *end == StreamEnd::Blocked {
                for delta in work.deltas.iter().filter(|delta| !delta.left.is_empty()) {
                    self.own_chunk(delta.channel, &delta.left, out);
                }
            }
        })?;
        self.logprobs(&tape, &entries, &mut work);
        let changed = work.deltas.iter().filter(|delta| !delta.is_same);
        work.edits.extend(changed.map(|delta| Edit::string(delta.span, &delta.left)));
        if work.edits.is_empty() {
            self.send(event, None, out)?;
        } else {
            self.send(event, Some(&splice(text, &mut work.edits)), out)?;
        }
        self.remember(text, &work);
        Ok(())
    }

    /// The choices of a chunk; each index is noted for the end of the stream.
    fn entries(&mut self, tape: &Tape<'_>, choices: Option<u32>) -> Result<Vec<Entry>, StreamEnd> {
        let mut entries: Vec<Entry> = Vec::new();
        for (nth, node) in choices.into_iter().flat_map(|id| tape.children(id)).enumerate() {
            let index = match tape.member(node, "index") {
                Some(id) => tape.count(id).and_then(|index| u32::try_from(index).ok()),
                None => u32::try_from(nth).ok(),
            };
            let index = index.ok_or(StreamEnd::BadIndex)?;
            if entries.iter().any(|entry| entry.index == index) {
                return Err(StreamEnd::BadIndex);
            }
            let reason = tape.member(node, "finish_reason").and_then(|id| tape.string(id));
            let is_last = reason.is_some_and(|reason| !reason.is_empty());
            let after = tape.node(node).map_or(node, |node| node.after);
            entries.push(Entry { node, after, index, is_last });
            if !self.choices.iter().any(|choice| choice.index == index) {
                if self.choices.len() == CHANNELS {
                    return Err(StreamEnd::TooManyTexts);
                }
                self.choices.push(Choice { index, is_finished: false });
            }
        }
        Ok(entries)
    }

    /// Finds the deltas and screens everything else.
    fn screen(&mut self, tape: &Tape<'_>, entries: &[Entry], work: &mut Work) -> Result<(), StreamEnd> {
        for (id, node) in (0..).zip(&tape.nodes) {
            let key = tape.key(id);
            if let (Some(name), Some(span)) = (&key, node.key) {
                self.aside(tape, id, name, span, work)?;
            }
            if node.kind != Kind::String {
                continue;
            }
            let entry = entries.iter().find(|entry| entry.node < id && id < entry.after);
            let steps = entry.map(|entry| steps(tape, entry.node, id)).unwrap_or_default();
            match entry {
                Some(entry) if is_text(&steps) => {
                    let channel = self.channel(entry.index, &steps)?;
                    let delta = Delta {
                        node: id,
                        span: node.span,
                        channel,
                        left: String::new(),
                        is_same: true,
                        is_quiet: true,
                    };
                    work.deltas.push(delta);
                }
                _ => {
                    self.aside(tape, id, &tape.string(id).unwrap_or_default(), node.span, work)?;
                    if key.as_deref() == Some("obfuscation") && is_member_of_root(tape, id) {
                        work.asides.push(node.span);
                    }
                }
            }
        }
        Ok(())
    }

    fn aside(
        &mut self,
        tape: &Tape<'_>,
        id: u32,
        text: &str,
        span: Span,
        work: &mut Work,
    ) -> Result<(), StreamEnd> {
        match whole(&self.screen, text, Form::Plain, &mut self.findings, || pointer(tape, id)) {
            Left::Same => Ok(()),
            Left::Changed(text) => {
                work.edits.push(Edit::string(span, &text));
                Ok(())
            }
            Left::Blocked => Err(StreamEnd::Blocked),
        }
    }

    /// The number of the channel at the end of `steps`, which may be new.
    fn channel(&mut self, choice: u32, steps: &[Step]) -> Result<usize, StreamEnd> {
        let path = path(steps);
        if let Some(known) = self.channels.iter().position(|one| one.choice == choice && one.path == path) {
            return Ok(known);
        }
        if self.channels.len() == CHANNELS {
            return Err(StreamEnd::TooManyTexts);
        }
        self.channels.push(Channel::new(&self.screen, choice, path, steps));
        Ok(self.channels.len() - 1)
    }

    /// Sends the deltas through their machines, and ends those of choices that are over.
    fn deltas(
        &mut self,
        tape: &Tape<'_>,
        entries: &[Entry],
        work: &mut Work,
        out: &mut BytesMut,
    ) -> Result<(), StreamEnd> {
        for delta in &mut work.deltas {
            let text = tape.string(delta.node).unwrap_or_default();
            if self.is_finished(delta.channel) {
                if text.is_empty() || self.screen.is_off() {
                    continue;
                }
                return Err(StreamEnd::LateText);
            }
            let Some(channel) = self.channels.get_mut(delta.channel) else { continue };
            let passed = channel.push(&text, &mut delta.left, &mut self.findings);
            (delta.is_same, delta.is_quiet) = (passed.is_same, passed.is_quiet);
            if passed.is_blocked {
                return Err(StreamEnd::Blocked);
            }
        }
        for entry in entries.iter().filter(|entry| entry.is_last) {
            work.is_plain = false;
            // The last delta of a channel gets what was held after it.
            for delta in work.deltas.iter_mut().rev() {
                let is_here = self.channels.get(delta.channel).is_some_and(|one| one.choice == entry.index);
                if is_here && !self.is_finished(delta.channel) {
                    self.end_delta(delta, tape)?;
                }
            }
            self.flush(Some(entry.index), out)?;
            if let Some(choice) = self.choices.iter_mut().find(|choice| choice.index == entry.index) {
                choice.is_finished = true;
            }
            self.templates.clear();
            self.oldest_template = 0;
        }
        Ok(())
    }

    /// Ends the channel of a delta in the event that ends its choice.
    fn end_delta(&mut self, delta: &mut Delta, tape: &Tape<'_>) -> Result<(), StreamEnd> {
        let Some(channel) = self.channels.get_mut(delta.channel) else { return Ok(()) };
        let length = delta.left.len();
        let is_blocked = channel.finish(&mut delta.left, &mut self.findings);
        if delta.left.len() != length {
            delta.is_same = tape.string(delta.node).is_some_and(|text| text == delta.left);
        }
        if is_blocked { Err(StreamEnd::Blocked) } else { Ok(()) }
    }

    /// Takes the log probabilities from a choice where they could spell more than its deltas say.
    fn logprobs(&self, tape: &Tape<'_>, entries: &[Entry], work: &mut Work) {
        for entry in entries {
            let Some(id) = tape.member(entry.node, "logprobs") else { continue };
            let Some(node) = tape.node(id).filter(|node| node.kind != Kind::Null) else { continue };
            work.is_plain = false;
            if self.screen.is_off() {
                continue;
            }
            let inside = |span: Span| tape.node(entry.node).is_some_and(|outer| contains(outer.span, span));
            let is_quiet = work.deltas.iter().filter(|delta| inside(delta.span)).all(|delta| delta.is_quiet);
            if !is_quiet || !is_spelt(tape, entry.node, id) {
                work.edits.retain(|edit| !contains(node.span, edit.span));
                work.edits.push(Edit::null(node.span));
            }
        }
    }

    /// Remembers the shape of a chunk of which nothing but texts may vary.
    fn remember(&mut self, text: &str, work: &Work) {
        #[cfg(test)]
        if self.is_forgetful {
            return;
        }
        // A finished choice takes no more text, so its chunks must be read in full.
        if !work.is_plain || work.deltas.iter().any(|delta| self.is_finished(delta.channel)) {
            return;
        }
        let deltas = work.deltas.iter().map(|delta| (delta.span, Hole::Channel(delta.channel)));
        let asides = work.asides.iter().map(|span| (*span, Hole::Aside));
        let mut spans: Vec<_> =
            deltas.chain(asides).map(|(span, hole)| (span, Filling::Text, hole)).collect();
        spans.sort_by_key(|(span, ..)| span.start);
        let Some(template) = Template::new(text, &spans) else { return };
        match self.templates.get_mut(self.oldest_template) {
            Some(oldest) => *oldest = template,
            None => self.templates.push(template),
        }
        self.oldest_template = (self.oldest_template + 1) % TEMPLATES;
    }
}

/// Whether a string of a choice is part of a text that its client joins.
fn is_text(steps: &[Step]) -> bool {
    match (steps.first(), steps.last()) {
        (Some(Step::Member(first)), _) if first == "logprobs" => false,
        (_, Some(Step::Member(last))) => !NAMES.contains(&last.as_str()),
        _ => true,
    }
}

/// Whether the log probabilities of a choice spell its deltas and nothing else.
fn is_spelt(tape: &Tape<'_>, choice: u32, logprobs: u32) -> bool {
    let delta = tape.member(choice, "delta");
    tape.children(logprobs).all(|list| {
        let name = tape.key(list).unwrap_or_default();
        let text = delta.and_then(|delta| tape.member(delta, &name)).and_then(|id| tape.string(id));
        tokens(tape, list) == text.unwrap_or_default()
    })
}

fn is_member_of_root(tape: &Tape<'_>, id: u32) -> bool {
    tape.children(0).any(|child| child == id)
}

/// The way from a choice down to one of its nodes.
fn steps(tape: &Tape<'_>, choice: u32, id: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = choice;
    let holds = |node: Option<&Node>| node.is_some_and(|node| id < node.after);
    while at != id {
        let Some((nth, child)) =
            (0..).zip(tape.children(at)).find(|(_, child)| *child <= id && holds(tape.node(*child)))
        else {
            break;
        };
        steps.push(match tape.key(child) {
            Some(name) => Step::Member(name.into_owned()),
            None => match tape.member(child, "index").and_then(|index| tape.count(index)) {
                Some(index) => Step::Element(index, true),
                None => Step::Element(nth, false),
            },
        });
        at = child;
    }
    steps
}

fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        if !path.is_empty() {
            path.push('.');
        }
        match step {
            Step::Member(name) => path.push_str(name),
            Step::Element(at, _) => path.push_str(&at.to_string()),
        }
    }
    path
}

/// The members that every chunk of a stream repeats, as they came.
fn head(tape: &Tape<'_>) -> String {
    let mut head = String::new();
    for name in ["id", "object", "created", "model", "system_fingerprint"] {
        let Some(node) = tape.member(0, name).and_then(|id| tape.node(id)) else { continue };
        if !head.is_empty() {
            head.push(',');
        }
        head.push('"');
        head.push_str(name);
        head.push_str("\":");
        head.push_str(node.span.of(tape.text));
    }
    head
}
