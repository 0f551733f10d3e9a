//! One pass over a message by the table of its fields: every text is screened and read where it stands, and what nobody
//! changed leaves as the very bytes that came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::record::Finding;

use crate::coverage::{self, Reach, Site};
use crate::dialect::document;
use crate::dialect::prompt::{Elsewhere, Read, Reader};
use crate::dialect::splice::{Edit, pointer};
use crate::dialect::surfaces::{Known, Origin, Surface, Table};
use crate::dialect::tape::{Kind, Span, Tape};
use crate::dialect::text::{Form, Left, keep, whole};
use crate::elsewhere::Hearing;
use crate::linear::Channel;
use crate::unread::Unread;

/// Shortest text that is asked for orders, in bytes: a word is no sentence. Words that make one together are asked together.
const SENTENCE: usize = 16;
/// Shortest number that can be a card number.
const SHORTEST_NUMBER: usize = 13;

/// By what a message is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'b> {
    pub(super) reader: Reader<'b>,
    pub(super) table: &'b Table,
    /// Who wrote what no table knows.
    pub(super) otherwise: Origin,
    /// What may pass though nobody can read it.
    pub(super) unread: &'b Unread,
    /// Whether names and identifiers may be rewritten: not where a permit was given for them.
    pub(super) rewrites_settings: bool,
}

/// Something may not go on: where it stands and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blocked(pub(super) String);

/// What is to be put in the place of something else.
///
/// # Errors
/// [`Blocked`] for what a rule blocks, and for what would have to be redacted and cannot be.
pub(super) fn pass(by: By<'_>, tape: &Tape<'_>, findings: &mut Vec<Finding>) -> Result<Vec<Edit>, Blocked> {
    if by.reader.screen.is_off() && by.reader.orders.is_none() {
        return Ok(Vec::new());
    }
    let mut pass = Pass { by, tape, findings, edits: Vec::new(), path: String::new() };
    pass.value(0, 0, None)?;
    Ok(pass.edits)
}

struct Pass<'p> {
    by: By<'p>,
    tape: &'p Tape<'p>,
    findings: &'p mut Vec<Finding>,
    edits: Vec<Edit>,
    /// Of the table's form, with `*` for elements.
    path: String,
}

impl Pass<'_> {
    /// Reads a value that stands in `around`; within a tree, by `tree`.
    fn value(&mut self, id: u32, around: u32, tree: Option<Origin>) -> Result<(), Blocked> {
        if tree.is_some() {
            return self.within(id, tree);
        }
        match self.by.table.lookup(&self.path) {
            None => self.within(id, if self.path.is_empty() { None } else { Some(self.by.otherwise) }),
            Some(Known::Way) => self.within(id, None),
            Some(Known::Field(Surface::Data, origin)) => self.encoded(id, around, origin),
            Some(Known::Field(Surface::Parts, origin)) => {
                // One part in the place of a list of them has fields of its own.
                let is_list = self.tape.node(id).is_some_and(|node| node.kind == Kind::Array);
                let known = self.findings.len();
                self.within(id, None)?;
                if is_list { self.together(id, origin, known) } else { Ok(()) }
            }
            Some(Known::Field(Surface::Text, origin)) if self.is_leaf(id) => self.leaf(id, origin, false),
            Some(Known::Field(_, origin)) => self.within(id, Some(origin)),
        }
    }

    fn is_leaf(&self, id: u32) -> bool {
        self.tape.node(id).is_some_and(|node| !matches!(node.kind, Kind::Object | Kind::Array))
    }

    /// What stands in a value: by the table, or all of it within a tree.
    fn within(&mut self, id: u32, tree: Option<Origin>) -> Result<(), Blocked> {
        let Some(node) = self.tape.node(id) else { return Ok(()) };
        match node.kind {
            Kind::Object => self.members(id, tree),
            Kind::Array => {
                for child in self.tape.children(id) {
                    let length = self.path.len();
                    self.path.push_str("/*");
                    self.value(child, id, tree)?;
                    self.path.truncate(length);
                }
                Ok(())
            }
            _ => self.leaf(id, tree.unwrap_or(self.by.otherwise), true),
        }
    }

    fn members(&mut self, id: u32, tree: Option<Origin>) -> Result<(), Blocked> {
        let mut renamed = 0;
        for child in self.tape.children(id) {
            let name = self.tape.key(child).unwrap_or_default();
            let length = self.path.len();
            self.path.push('/');
            self.path.push_str(&name);
            if (tree.is_some() || self.by.table.lookup(&self.path).is_none())
                && let Some(span) = self.tape.node(child).and_then(|node| node.key)
                && self.text(child, &name, span, Origin::Setting, true)?
            {
                renamed += 1;
            }
            self.value(child, id, tree)?;
            self.path.truncate(length);
        }
        if renamed > 1 {
            return Err(self.blocked(id, "two names could become one"));
        }
        Ok(())
    }

    /// A string, or a number that is long enough to be something else.
    fn leaf(&mut self, id: u32, origin: Origin, is_tree: bool) -> Result<(), Blocked> {
        let Some(node) = self.tape.node(id) else { return Ok(()) };
        match node.kind {
            Kind::String => {
                let text = self.tape.string(id).unwrap_or_default();
                self.text(id, &text, node.span, origin, is_tree).map(drop)
            }
            Kind::Number if (node.span.end - node.span.start) as usize >= SHORTEST_NUMBER => {
                let text = node.span.of(self.tape.text).to_owned();
                self.text(id, &text, node.span, Origin::Setting, true).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Screens and reads a text, and replaces what stands at `span` if it changed; says whether it did.
    fn text(
        &mut self,
        id: u32,
        text: &str,
        span: Span,
        origin: Origin,
        is_tree: bool,
    ) -> Result<bool, Blocked> {
        let Some(left) = self.left(id, text, origin)? else { return Ok(false) };
        if origin == Origin::Setting && !is_tree && !self.by.rewrites_settings {
            return Err(self.blocked(id, "not to be redacted"));
        }
        self.edits.push(Edit::string(span, &left));
        Ok(true)
    }

    /// What is left of a text; `None` where that is all of it.
    fn left(&mut self, id: u32, text: &str, origin: Origin) -> Result<Option<String>, Blocked> {
        let tape = self.tape;
        // A field may have rules of its own.
        let screen = self.by.reader.screen.at(|| &self.path);
        let reader = Reader { screen: &screen, ..self.by.reader };
        let left = match whole(reader.screen, text, Form::Plain, self.findings, || pointer(tape, id)) {
            Left::Same => None,
            Left::Changed(text) => Some(text),
            Left::Blocked => return Err(self.blocked(id, "blocked")),
        };
        let mut found = Vec::new();
        let seen = left.as_deref().unwrap_or(text);
        let read = reader.read(seen, channel(seen, origin), nobody(&mut Hearing::default()), &mut found);
        keep(found, self.findings, || pointer(tape, id));
        match read {
            Read::Same => Ok(left),
            Read::Changed(text) => Ok(Some(text)),
            Read::Blocked => Err(self.blocked(id, "blocked")),
        }
    }

    /// Data in base64 of whatever `mimeType` stands beside it. Text in it is read.
    fn encoded(&mut self, id: u32, around: u32, origin: Origin) -> Result<(), Blocked> {
        let Some(text) = self.tape.string(id) else { return self.within(id, Some(origin)) };
        let Ok(bytes) = STANDARD.decode(text.as_bytes()) else {
            // What is no data is what a reader takes it for.
            return self.leaf(id, origin, false);
        };
        let media = self.tape.member(around, "mimeType").and_then(|id| self.tape.string(id));
        let media = media.unwrap_or_default().to_ascii_lowercase();
        let is_drawn = media == "image/svg+xml";
        let is_media = ["image/", "audio/", "video/"].iter().any(|kind| media.starts_with(kind));
        if is_media && !is_drawn {
            return self.unread(id, &media);
        }
        let Ok(inner) = String::from_utf8(bytes) else {
            // What its media type says of text is not so.
            return self.unread(id, &document::media(&text));
        };
        if let (Some(left), Some(node)) = (self.left(id, &inner, origin)?, self.tape.node(id)) {
            self.edits.push(Edit::string(node.span, &STANDARD.encode(left)));
        }
        Ok(())
    }

    /// What nobody can read passes only where it is written.
    fn unread(&self, id: u32, media: &str) -> Result<(), Blocked> {
        match coverage::detectors(Site::Encoded) {
            Reach::Blind(_) if !self.by.unread.allows(media) => {
                Err(self.blocked(id, "what no detector can read, and `unread` does not list,"))
            }
            _ => Ok(()),
        }
    }

    /// Reads the texts of a list of parts once more as the one text that a model reads. What is found across their
    /// borders stands in no one part, so it cannot be redacted.
    fn together(&mut self, list: u32, origin: Origin, known: usize) -> Result<(), Blocked> {
        let mut texts = 0;
        let mut together = String::new();
        for part in self.tape.children(list) {
            let inner = self.tape.member(part, "resource").unwrap_or(part);
            let Some(id) = self.tape.member(inner, "text") else { continue };
            let Some(node) = self.tape.node(id).filter(|node| node.kind == Kind::String) else { continue };
            texts += 1;
            match self.edits.iter().find(|edit| edit.span == node.span) {
                Some(edit) => {
                    together.push_str(&serde_json::from_str::<String>(&edit.json).unwrap_or_default())
                }
                None => together.push_str(&self.tape.string(id).unwrap_or_default()),
            }
        }
        if texts < 2 {
            return Ok(());
        }
        let (tape, reader) = (self.tape, self.by.reader);
        let mut found = Vec::new();
        let screened = whole(reader.screen, &together, Form::Plain, &mut found, || pointer(tape, list));
        let read = match screened {
            Left::Same => {
                let channel = channel(&together, origin);
                reader.read(&together, channel, nobody(&mut Hearing::default()), &mut found)
            }
            Left::Changed(_) | Left::Blocked => Read::Blocked,
        };
        let own = self.findings.get(known..).unwrap_or_default();
        found.retain(|one| !own.iter().any(|other| other.detector == one.detector));
        keep(found, self.findings, || pointer(tape, list));
        if read == Read::Same { Ok(()) } else { Err(self.blocked(list, "parts together")) }
    }

    fn blocked(&self, id: u32, why: &str) -> Blocked {
        Blocked(format!("{why} at {}", pointer(self.tape, id)))
    }
}

/// Nobody else is asked about a message: a stream waits for nobody.
fn nobody(hearing: &mut Hearing) -> Elsewhere<'_> {
    Elsewhere { hearing, at: "" }
}

/// Who wrote a text, if it is somebody who may give no orders.
fn channel(text: &str, origin: Origin) -> Option<Channel> {
    if text.len() < SENTENCE {
        return None;
    }
    match origin {
        Origin::Setting => None,
        Origin::User | Origin::Author => Some(Channel::User),
        Origin::Document => Some(Channel::Document),
    }
}
