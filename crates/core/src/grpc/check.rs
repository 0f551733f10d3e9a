//! Is a message what its descriptor says, and does it have one reading.

use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use super::descriptor::{Enumeration, Field, Kind, Message, Presence, Schema};
use super::wire::{Packed, Reader, Value, WireFault};
use crate::contract::shelf::MOST_VIOLATIONS;
use crate::halt::Violation;
use crate::validate::Unknown;

/// How many messages deep is read: what the libraries of protocol buffers read as well.
const DEEPEST: u8 = 100;

/// What a message comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked<'b> {
    /// All that is wrong with it, at most 32.
    pub violations: Vec<Violation>,
    /// Its texts and where each stands: what is UTF-8 of fields of type `string` and `bytes`, and of unknown ones.
    pub texts: Vec<(String, &'b str)>,
}

/// Names of fields and their values as text.
pub type Fields = Vec<(Box<str>, Box<str>)>;

/// One scalar, read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scalar<'b> {
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Text(&'b str),
    Bytes(&'b [u8]),
    /// Floating point: valid whatever it is.
    Float,
    Enum(usize, i32),
}

impl Schema {
    /// Checks the message of that index; gathers its texts where they are wanted.
    pub(super) fn check<'b>(
        &self,
        message: usize,
        bytes: &'b [u8],
        unknown: Unknown,
        wants_texts: bool,
    ) -> Checked<'b> {
        let mut walk =
            Walk { schema: self, unknown, wants_texts, at: String::new(), checked: Checked::default() };
        walk.message(message, bytes, DEEPEST);
        walk.checked
    }

    /// The scalar fields at the top of a message as texts, by name. What is not sent is its default, where that is
    /// what it means; else it is left out.
    ///
    /// # Errors
    /// A message in which one of them has no reading, or two.
    pub(super) fn scalars(&self, message: usize, bytes: &[u8]) -> Result<Fields, &'static str> {
        let message = self.messages.get(message).ok_or("the message is not in the descriptors")?;
        let mut found = Fields::new();
        let mut reader = Reader::new(bytes);
        while let Some(sent) = reader.next().map_err(said)? {
            let Some(field) = message.field(sent.number).filter(|field| field.is_fact()) else { continue };
            let scalar = scalar(field.kind, sent.value)?;
            let Some(text) = self.text(scalar) else { continue };
            if found.iter().any(|(name, _)| *name == field.name) {
                return Err("a field is sent twice");
            }
            found.push((field.name.clone(), text.as_str().into()));
        }
        for field in message.fields.iter().filter(|field| field.is_fact()) {
            if found.iter().any(|(name, _)| *name == field.name) {
                continue;
            }
            match field.presence {
                Presence::Implicit => {
                    found.push((field.name.clone(), self.default_of(field.kind).as_str().into()))
                }
                Presence::Required => return Err("a required field is missing"),
                Presence::Explicit => {}
            }
        }
        Ok(found)
    }

    /// The scalar fields at the top of a message that [`scalars`](Self::scalars) gives: their names, and whether it
    /// always gives them.
    pub(super) fn scalar_names(&self, message: usize) -> impl Iterator<Item = (&str, bool)> {
        let fields = self.messages.get(message).into_iter().flat_map(|message| &message.fields);
        let facts = fields.filter(|field| field.is_fact());
        facts.map(|field| (&*field.name, field.presence != Presence::Explicit))
    }

    fn text(&self, scalar: Scalar<'_>) -> Option<SmolStr> {
        Some(match scalar {
            Scalar::Signed(value) => format_smolstr!("{value}"),
            Scalar::Unsigned(value) => format_smolstr!("{value}"),
            Scalar::Bool(value) => SmolStr::new_static(if value { "true" } else { "false" }),
            Scalar::Text(text) => text.into(),
            Scalar::Enum(index, number) => {
                let name = self.enums.get(index).and_then(|known| known.name(number));
                name.map_or_else(|| format_smolstr!("{number}"), SmolStr::from)
            }
            Scalar::Bytes(_) | Scalar::Float => return None,
        })
    }

    fn default_of(&self, kind: Kind) -> SmolStr {
        let scalar = match kind {
            Kind::String => Scalar::Text(""),
            Kind::Bool => Scalar::Bool(false),
            Kind::Enum(index) => Scalar::Enum(index, 0),
            _ => Scalar::Unsigned(0),
        };
        self.text(scalar).unwrap_or_default()
    }
}

impl Field {
    /// Whether policies and object rules can speak of it.
    fn is_fact(&self) -> bool {
        let is_text =
            !matches!(self.kind, Kind::Double | Kind::Float | Kind::Group | Kind::Message(_) | Kind::Bytes);
        is_text && !self.is_repeated
    }
}

struct Walk<'s, 'b> {
    schema: &'s Schema,
    unknown: Unknown,
    wants_texts: bool,
    /// Where the walk is: `/order/lines/0/name`.
    at: String,
    checked: Checked<'b>,
}

impl<'b> Walk<'_, 'b> {
    fn wrong(&mut self, message: &str) {
        if self.checked.violations.len() < MOST_VIOLATIONS {
            self.checked.violations.push(Violation { at: self.at.clone(), message: message.to_owned() });
        }
    }

    fn found(&mut self, bytes: &'b [u8]) {
        if let (true, Ok(text)) = (self.wants_texts && !bytes.is_empty(), std::str::from_utf8(bytes)) {
            self.checked.texts.push((self.at.clone(), text));
        }
    }

    fn message(&mut self, index: usize, bytes: &'b [u8], deepest: u8) {
        let schema = self.schema;
        let (Some(message), Some(deepest)) = (schema.messages.get(index), deepest.checked_sub(1)) else {
            return self.wrong("is nested too deeply");
        };
        let mut seen = Seen::default();
        let mut reader = Reader::new(bytes);
        loop {
            if self.checked.violations.len() >= MOST_VIOLATIONS {
                return;
            }
            let sent = match reader.next() {
                Ok(Some(sent)) => sent,
                Ok(None) => break,
                Err(fault) => return self.wrong(said(fault)),
            };
            let mark = self.at.len();
            match message.field(sent.number) {
                Some(field) => {
                    let index = seen.count(field);
                    self.enter(field, index);
                    if let Err(why) = seen.note(schema, field, sent.value) {
                        self.wrong(why);
                    }
                    self.value(field, sent.value, deepest);
                }
                None => self.unnamed(sent.number, sent.value),
            }
            self.at.truncate(mark);
        }
        for field in message.fields.iter().filter(|field| field.presence == Presence::Required) {
            if !seen.numbers.contains(&field.number) {
                let mark = self.at.len();
                self.enter(field, None);
                self.wrong("is missing");
                self.at.truncate(mark);
            }
        }
    }

    fn enter(&mut self, field: &Field, index: Option<u32>) {
        self.at.push('/');
        self.at.push_str(&field.name);
        if let Some(index) = index {
            self.at.push('/');
            self.at.push_str(&format_smolstr!("{index}"));
        }
    }

    fn unnamed(&mut self, number: u32, value: Value<'b>) {
        self.at.push('/');
        self.at.push_str(&format_smolstr!("{number}"));
        if self.unknown == Unknown::Refuse {
            self.wrong("is not in the contract");
        }
        if let Value::Bytes(bytes) = value {
            self.found(bytes);
        }
    }

    fn value(&mut self, field: &Field, value: Value<'b>, deepest: u8) {
        match (field.kind, value, packed(field.kind)) {
            (Kind::Message(index), Value::Bytes(bytes), _) => self.message(index, bytes, deepest),
            (kind, Value::Bytes(bytes), Some(like)) if field.is_repeated => {
                let mut reader = Reader::new(bytes);
                loop {
                    match reader.packed(like) {
                        Ok(Some(value)) => self.scalar(kind, value),
                        Ok(None) => return,
                        Err(fault) => return self.wrong(said(fault)),
                    }
                    if self.checked.violations.len() >= MOST_VIOLATIONS {
                        return;
                    }
                }
            }
            (kind, value, _) => self.scalar(kind, value),
        }
    }

    fn scalar(&mut self, kind: Kind, value: Value<'b>) {
        match scalar(kind, value) {
            Ok(Scalar::Text(text)) => self.found(text.as_bytes()),
            Ok(Scalar::Bytes(bytes)) => self.found(bytes),
            Ok(Scalar::Enum(index, number)) => {
                let is_known = self.schema.enums.get(index).is_some_and(|known| known.has(number));
                if !is_known && self.unknown == Unknown::Refuse {
                    self.wrong("is no value of its enumeration");
                }
            }
            Ok(_) => {}
            Err(why) => self.wrong(why),
        }
    }
}

impl Enumeration {
    fn has(&self, number: i32) -> bool {
        self.values.iter().any(|(known, _)| *known == number)
    }
}

/// What of a message was sent so far.
#[derive(Debug, Default)]
struct Seen {
    numbers: SmallVec<[u32; 16]>,
    one_ofs: SmallVec<[u32; 4]>,
    repeated: SmallVec<[(u32, u32); 4]>,
    keys: FxHashSet<(u32, SmolStr)>,
}

impl Seen {
    /// Which element of a repeated field this is.
    fn count(&mut self, field: &Field) -> Option<u32> {
        if !field.is_repeated {
            return None;
        }
        match self.repeated.iter_mut().find(|(number, _)| *number == field.number) {
            Some((_, count)) => {
                *count += 1;
                Some(*count)
            }
            None => {
                self.repeated.push((field.number, 0));
                Some(0)
            }
        }
    }

    /// SMUGGLING: of two values of one field, two members of one choice and two values of one key most readers take
    /// the last, and some the first; two messages are merged by some.
    fn note(&mut self, schema: &Schema, field: &Field, value: Value<'_>) -> Result<(), &'static str> {
        if field.is_repeated {
            return match field.kind {
                Kind::Message(entry) => self.key(schema, schema.messages.get(entry), field, value),
                _ => Ok(()),
            };
        }
        if self.numbers.contains(&field.number) {
            return Err("is sent twice");
        }
        self.numbers.push(field.number);
        if let Some(one_of) = field.one_of {
            if self.one_ofs.contains(&one_of) {
                return Err("is sent beside another of which only one may be");
            }
            self.one_ofs.push(one_of);
        }
        Ok(())
    }

    fn key(
        &mut self,
        schema: &Schema,
        entry: Option<&Message>,
        field: &Field,
        value: Value<'_>,
    ) -> Result<(), &'static str> {
        let (Some(entry), Value::Bytes(bytes)) = (entry.filter(|entry| entry.is_map_entry), value) else {
            return Ok(());
        };
        let Some(declared) = entry.field(1) else { return Ok(()) };
        let mut key = schema.default_of(declared.kind);
        let mut reader = Reader::new(bytes);
        while let Some(sent) = reader.next().map_err(said)? {
            if sent.number == 1 {
                key = schema.text(scalar(declared.kind, sent.value)?).unwrap_or_default();
            }
        }
        if self.keys.insert((field.number, key)) { Ok(()) } else { Err("has a key that is sent twice") }
    }
}

fn packed(kind: Kind) -> Option<Packed> {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Some(Packed::Fixed64),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Some(Packed::Fixed32),
        Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group => None,
        Kind::Int64
        | Kind::Uint64
        | Kind::Int32
        | Kind::Bool
        | Kind::Uint32
        | Kind::Enum(_)
        | Kind::Sint32
        | Kind::Sint64 => Some(Packed::Varint),
    }
}

/// Reads a scalar; what is out of range of its type is refused, for some readers cut it and some do not.
fn scalar(kind: Kind, value: Value<'_>) -> Result<Scalar<'_>, &'static str> {
    const RANGE: &str = "is out of range";
    let narrow = |value: u64| i32::try_from(signed(value)).map_err(|_| RANGE);
    Ok(match (kind, value) {
        (Kind::Double, Value::Fixed64(_)) | (Kind::Float, Value::Fixed32(_)) => Scalar::Float,
        (Kind::Int64, Value::Varint(value)) | (Kind::Sfixed64, Value::Fixed64(value)) => {
            Scalar::Signed(signed(value))
        }
        (Kind::Uint64, Value::Varint(value)) | (Kind::Fixed64, Value::Fixed64(value)) => {
            Scalar::Unsigned(value)
        }
        (Kind::Int32, Value::Varint(value)) => Scalar::Signed(narrow(value)?.into()),
        (Kind::Uint32, Value::Varint(value)) => {
            Scalar::Unsigned(u32::try_from(value).map_err(|_| RANGE)?.into())
        }
        (Kind::Fixed32, Value::Fixed32(value)) => Scalar::Unsigned(value.into()),
        (Kind::Sfixed32, Value::Fixed32(value)) => Scalar::Signed(low_32(value.into()).into()),
        (Kind::Bool, Value::Varint(value @ (0 | 1))) => Scalar::Bool(value == 1),
        (Kind::Bool, Value::Varint(_)) => return Err(RANGE),
        (Kind::String, Value::Bytes(bytes)) => {
            Scalar::Text(std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?)
        }
        (Kind::Bytes, Value::Bytes(bytes)) => Scalar::Bytes(bytes),
        (Kind::Enum(index), Value::Varint(value)) => Scalar::Enum(index, narrow(value)?),
        (Kind::Sint64, Value::Varint(value)) => Scalar::Signed(zigzag(value)),
        (Kind::Sint32, Value::Varint(value)) => {
            let value = u32::try_from(value).map_err(|_| RANGE)?;
            Scalar::Signed(zigzag(value.into()))
        }
        _ => return Err("is not of its type"),
    })
}

fn signed(value: u64) -> i64 {
    i64::from_le_bytes(value.to_le_bytes())
}

/// The number in the low 32 bits.
pub(super) fn low_32(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn zigzag(value: u64) -> i64 {
    signed(value >> 1) ^ -signed(value & 1)
}

fn said(fault: WireFault) -> &'static str {
    match fault {
        WireFault::Truncated => "ends within a field",
        WireFault::Varint => "has a number that is too long",
        WireFault::Number => "has a field number that is none",
        WireFault::WireType => "has a field of a kind that is not read",
    }
}
