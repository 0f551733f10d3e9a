//! One pass over a request by the table of its fields: every text is screened and read where it stands, and only what
//! changed is replaced.

use portcullis_core::halt::{Halt, Reason};
use portcullis_core::record::Finding;
use serde_json::{Map, Value};

use super::ModelRules;
use super::document::{self, Document};
use super::fence::Fencing;
use super::prompt::{Elsewhere, Read, Reader};
use super::surfaces::{Known, Origin, Surface, Table};
use super::text::{Form, Left, keep, whole};
use crate::coverage::{self, Reach, Site};
use crate::elsewhere::Hearing;
use crate::linear::Channel;

/// Shortest text that is asked for orders where it is one of many in a tree, in bytes: a name is no sentence.
const SENTENCE: usize = 16;

/// Who wrote a message, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// Somebody who may give orders.
    Operator,
    /// The user, or a model in a conversation that the user tells.
    User,
    /// A document or a tool.
    Document,
}

/// Who wrote a member or an element: its path of the table's form, its value, who wrote what it stands in.
pub(crate) type Authors = fn(&str, &Value, &ModelRules, Author) -> Author;

/// One pass over a document; paths are kept in step with it.
pub(crate) struct Walk<'w> {
    rules: &'w ModelRules,
    table: &'w Table,
    authors: Authors,
    hearing: &'w mut Hearing,
    findings: &'w mut Vec<Finding>,
    /// Of the table's form, with `*` for elements.
    path: String,
    /// The JSON pointer.
    at: String,
    author: Author,
    /// Of the field at hand.
    origin: Origin,
    is_tree: bool,
    /// Whether the object at hand says that its data are in base64.
    is_encoded: bool,
    /// Bytes that fences added.
    added: usize,
}

impl<'w> Walk<'w> {
    /// Starts at the root of a document.
    pub(crate) fn new(
        rules: &'w ModelRules,
        table: &'w Table,
        authors: Authors,
        hearing: &'w mut Hearing,
        findings: &'w mut Vec<Finding>,
    ) -> Self {
        let (path, at) = (String::new(), String::new());
        let (author, origin) = (Author::User, Origin::User);
        let (is_tree, is_encoded, added) = (false, false, 0);
        Self {
            rules,
            table,
            authors,
            hearing,
            findings,
            path,
            at,
            author,
            origin,
            is_tree,
            is_encoded,
            added,
        }
    }

    /// Who wrote what stands outside of any list.
    pub(crate) fn by(mut self, author: Author) -> Self {
        self.author = author;
        self
    }

    /// Screens and reads the document; what is to be sent in its place, if that differs.
    ///
    /// # Errors
    /// [`Reason::ContentBlocked`] for what a rule blocks, and for what would have to be redacted and cannot be.
    pub(crate) fn document(&mut self, document: &Value) -> Result<Option<Value>, Halt> {
        let asks = self.rules.orders.is_some() || !self.rules.tiers.is_empty();
        let is_off = self.rules.prompt.is_off() && !asks;
        let screened = if is_off { None } else { self.container(document)? };
        let Some(fence) = self.rules.fence else { return Ok(screened) };
        let mut fenced = screened.unwrap_or_else(|| document.clone());
        let (rules, table, authors) = (self.rules, self.table, self.authors);
        let (path, at) = (String::new(), String::new());
        let mut fencing =
            Fencing { rules, table, authors, findings: self.findings, fence, path, at, added: 0 };
        fencing.value(&mut fenced, Author::User);
        self.added = fencing.added;
        Ok(Some(fenced))
    }

    /// Bytes that the gate added: to the operator's text, and by fences.
    pub(crate) fn added_bytes(&self) -> usize {
        self.rules.added_bytes + self.added
    }

    /// A replacement for `value`, if it needs one.
    fn value(&mut self, value: &Value) -> Result<Option<Value>, Halt> {
        let Some(known) = self.table.lookup(&self.path) else {
            self.origin = Origin::User;
            return self.tree(value);
        };
        let (surface, origin) = match known {
            Known::Way => return self.container(value),
            Known::Field(surface, origin) => (surface, origin),
        };
        self.origin = origin;
        match surface {
            // BYPASS: what is one of a few words in one kind of item may be an object in another.
            Surface::Nothing if value.is_object() || value.is_array() => self.container(value),
            Surface::Nothing | Surface::Sealed => Ok(None),
            Surface::Encoded => self.encoded(value),
            Surface::JsonText => self.text(value, Form::Json),
            Surface::Link if is_data(value) => self.data(value, false),
            Surface::Data if value.is_string() => self.data(value, false),
            Surface::Source if self.is_encoded && value.is_string() => self.data(value, true),
            Surface::Parts if value.is_array() => self.parts(value),
            Surface::Text | Surface::Link | Surface::Parts | Surface::Source if value.is_string() => {
                self.text(value, Form::Plain)
            }
            Surface::Text | Surface::Parts => self.container(value),
            Surface::Tree | Surface::Link | Surface::Data | Surface::Source => self.tree(value),
        }
    }

    /// A picture, a sound or a file, which nobody here can read.
    fn encoded(&mut self, value: &Value) -> Result<Option<Value>, Halt> {
        let is_blind = matches!(coverage::detectors(Site::Encoded), Reach::Blind(_));
        let Some(data) = value.as_str().filter(|_| is_blind && self.rules.unread.is_claimed()) else {
            return Ok(None);
        };
        match self.rules.unread.allows(&document::media(data)) {
            true => Ok(None),
            false => Err(self.blocked("what no detector can read, and `unread` does not list,")),
        }
    }

    /// A value whose members and elements the table knows.
    fn container(&mut self, value: &Value) -> Result<Option<Value>, Halt> {
        match value {
            Value::Object(members) => self.members(members, false),
            Value::Array(elements) => self.elements(elements, false),
            Value::String(_) => self.text(value, Form::Plain),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(None),
        }
    }

    /// A value of any shape: names are text too.
    fn tree(&mut self, value: &Value) -> Result<Option<Value>, Halt> {
        match value {
            Value::Object(members) => self.members(members, true),
            Value::Array(elements) => self.elements(elements, true),
            Value::String(_) => {
                let was_tree = std::mem::replace(&mut self.is_tree, true);
                let left = self.text(value, Form::Plain);
                self.is_tree = was_tree;
                left
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(None),
        }
    }

    fn members(&mut self, members: &Map<String, Value>, is_tree: bool) -> Result<Option<Value>, Halt> {
        let mut replaced: Vec<(&String, Option<String>, Option<Value>)> = Vec::new();
        let is_encoded = members.get("type").and_then(Value::as_str) == Some("base64");
        let was_encoded = std::mem::replace(&mut self.is_encoded, is_encoded);
        for (name, value) in members {
            let (path, at, around) = (self.path.len(), self.at.len(), self.author);
            self.at.push('/');
            self.at.push_str(&name.replace('~', "~0").replace('/', "~1"));
            self.path.push('/');
            self.path.push_str(name);
            let is_unknown = is_tree || self.table.lookup(&self.path).is_none();
            let new_name = if is_unknown { self.name(name)? } else { None };
            self.author = (self.authors)(&self.path, value, self.rules, around);
            let new_value = if is_tree { self.tree(value)? } else { self.value(value)? };
            if new_name.is_some() || new_value.is_some() {
                replaced.push((name, new_name, new_value));
            }
            self.author = around;
            self.path.truncate(path);
            self.at.truncate(at);
        }
        self.is_encoded = was_encoded;
        if replaced.is_empty() {
            return Ok(None);
        }
        let mut changed = members.clone();
        for (name, new_name, new_value) in replaced {
            let old = changed.remove(name).unwrap_or_default();
            let name = new_name.unwrap_or_else(|| name.clone());
            if changed.insert(name, new_value.unwrap_or(old)).is_some() {
                return Err(self.blocked("two names became one"));
            }
        }
        Ok(Some(Value::Object(changed)))
    }

    fn elements(&mut self, elements: &[Value], is_tree: bool) -> Result<Option<Value>, Halt> {
        let mut changed: Option<Vec<Value>> = None;
        for (nth, value) in elements.iter().enumerate() {
            let (path, at) = (self.path.len(), self.at.len());
            self.path.push_str("/*");
            self.at.push('/');
            self.at.push_str(&nth.to_string());
            let around = self.author;
            self.author = (self.authors)(&self.path, value, self.rules, around);
            let new = if is_tree { self.tree(value)? } else { self.value(value)? };
            self.author = around;
            if let Some(new) = new
                && let Some(place) = changed.get_or_insert_with(|| elements.to_vec()).get_mut(nth)
            {
                *place = new;
            }
            self.path.truncate(path);
            self.at.truncate(at);
        }
        Ok(changed.map(Value::Array))
    }

    /// A list of parts: each for itself, and their texts once more as the one text that a model reads.
    fn parts(&mut self, value: &Value) -> Result<Option<Value>, Halt> {
        let Value::Array(parts) = value else { return Ok(None) };
        let changed = self.elements(parts, false)?;
        let parts = changed.as_ref().and_then(Value::as_array).unwrap_or(parts);
        let texts: Vec<(usize, &str)> =
            (0..).zip(parts).filter_map(|(nth, part)| Some((nth, part.get("text")?.as_str()?))).collect();
        if texts.len() < 2 {
            return Ok(changed);
        }
        let mut machine = self.rules.prompt.at(|| &self.path).machine();
        let mut lefts: Vec<(usize, String)> = Vec::with_capacity(texts.len());
        for (nth, text) in &texts {
            let mut left = String::with_capacity(text.len());
            machine.push(text, &mut left);
            lefts.push((*nth, left));
        }
        if let (false, Some((_, last))) = (machine.is_blocked(), lefts.last_mut()) {
            machine.finish(last);
        }
        let found = machine.take_findings();
        if machine.is_blocked() {
            keep(found, self.findings, || self.at.clone());
            return Err(self.blocked("parts together"));
        }
        // Held text moves to a later part; only where that changed the whole is it worth moving.
        let is_same = texts
            .iter()
            .flat_map(|(_, text)| text.bytes())
            .eq(lefts.iter().flat_map(|(_, left)| left.bytes()));
        let together: String = lefts.iter().map(|(_, left)| left.as_str()).collect();
        if is_same {
            return self.together(&together).map(|()| changed);
        }
        keep(found, self.findings, || self.at.clone());
        self.together(&together)?;
        let mut parts = parts.clone();
        for (nth, left) in lefts {
            if let Some(place) = parts.get_mut(nth).and_then(|part| part.get_mut("text")) {
                *place = Value::String(left);
            }
        }
        Ok(Some(Value::Array(parts)))
    }

    /// Reads parts once more as the one text that they are. What is found across their borders stands in no one part,
    /// so what would be redacted is blocked.
    fn together(&mut self, text: &str) -> Result<(), Halt> {
        match self.read(text)? {
            None => Ok(()),
            Some(_) => Err(self.blocked("parts together")),
        }
    }

    /// An encoded document: what is text in it is a document's.
    fn data(&mut self, value: &Value, is_declared: bool) -> Result<Option<Value>, Halt> {
        let text = match value.as_str().map(document::read) {
            Some(Document::Binary) => return self.encoded(value),
            Some(Document::Text(text)) => text,
            Some(Document::Plain) | None => return self.text(value, Form::Plain),
        };
        // BYPASS: what only looks encoded is read as it is written, too.
        if text.is_guessed()
            && !is_declared
            && let Some(changed) = self.text(value, Form::Plain)?
        {
            return Ok(Some(changed));
        }
        let origin = std::mem::replace(&mut self.origin, Origin::Document);
        let left = self.screen(&text.text, Form::Plain);
        self.origin = origin;
        Ok(left?.map(|left| Value::String(text.with(&left))))
    }

    /// The name of a member that the table does not know. It is text, but no sentence.
    fn name(&mut self, name: &str) -> Result<Option<String>, Halt> {
        let origin = std::mem::replace(&mut self.origin, Origin::Setting);
        let left = self.screen(name, Form::Plain);
        self.origin = origin;
        left
    }

    fn text(&mut self, value: &Value, form: Form) -> Result<Option<Value>, Halt> {
        match value {
            Value::String(text) => Ok(self.screen(text, form)?.map(Value::String)),
            _ => self.tree(value),
        }
    }

    fn screen(&mut self, text: &str, form: Form) -> Result<Option<String>, Halt> {
        let screen = self.rules.prompt.at(|| &self.path);
        // What somebody says is a message; names and settings are none.
        let is_prose = form == Form::Plain && self.origin == Origin::Author && !self.is_tree;
        let form = if is_prose { Form::Prose } else { form };
        let left = match whole(&screen, text, form, self.findings, || self.at.clone()) {
            Left::Same => None,
            Left::Changed(text) => Some(text),
            Left::Blocked => return Err(self.blocked("blocked")),
        };
        let read = self.read(left.as_deref().unwrap_or(text))?;
        // What was cut out may have been more than a string of the document.
        if form == Form::Json && read.as_deref().is_some_and(|text| !is_json(text)) {
            return Err(self.blocked("not to be redacted"));
        }
        Ok(read.or(left))
    }

    /// Reads a text that passed as it is written, as a model may read it.
    fn read(&mut self, text: &str) -> Result<Option<String>, Halt> {
        let screen = self.rules.prompt.at(|| &self.path);
        let reader = Reader { screen: &screen, orders: self.rules.orders, tiers: &self.rules.tiers };
        let mut found = Vec::new();
        let channel = self.channel(text);
        let elsewhere = Elsewhere { hearing: self.hearing, at: &self.at };
        let read = reader.read(text, channel, elsewhere, &mut found);
        keep(found, self.findings, || self.at.clone());
        match read {
            Read::Same => Ok(None),
            Read::Changed(text) => Ok(Some(text)),
            Read::Blocked => Err(self.blocked("blocked")),
        }
    }

    /// Who wrote the text at hand, if it is somebody who may give no orders.
    fn channel(&self, text: &str) -> Option<Channel> {
        if self.is_tree && text.len() < SENTENCE {
            return None;
        }
        if matches!(coverage::orders(Site::of_field(Surface::Text, self.origin)), Reach::Outside(_)) {
            return None;
        }
        match (self.origin, self.author) {
            (Origin::Setting, _) | (Origin::Author, Author::Operator) => None,
            (Origin::User, _) | (Origin::Author, Author::User) => Some(Channel::User),
            (Origin::Document, _) | (Origin::Author, Author::Document) => Some(Channel::Document),
        }
    }

    fn blocked(&self, why: &str) -> Halt {
        Halt::new(Reason::ContentBlocked, format!("{why} at {}", self.at))
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn is_data(value: &Value) -> bool {
    let scheme = value.as_str().and_then(|url| url.get(..5));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}
