//! Descriptor sets (`protoc --descriptor_set_out --include_imports`, `buf build`) compiled to what messages are held to.

use rustc_hash::FxHashMap;

use super::wire::{Reader, Value, WireFault};

/// The messages and methods of a descriptor set.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enumeration>,
    methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// `package.Service`.
    pub service: Box<str>,
    /// Its name in the service.
    pub name: Box<str>,
    /// Whether requests are streams.
    pub streams_requests: bool,
    /// Whether answers are streams.
    pub streams_answers: bool,
    /// Whether it is declared free of side effects (`idempotency_level = NO_SIDE_EFFECTS`).
    pub reads: bool,
    pub(super) input: usize,
    pub(super) output: usize,
}

impl Method {
    /// `package.Service.Method`, the id of its operation.
    pub fn id(&self) -> String {
        format!("{}.{}", self.service, self.name)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    /// By number.
    pub(super) fields: Vec<Field>,
    pub(super) is_map_entry: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) is_repeated: bool,
    pub(super) presence: Presence,
    pub(super) one_of: Option<u32>,
}

/// What it means that a field is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// The default, which cannot be told from a default that is sent.
    Implicit,
    /// Nothing.
    Explicit,
    /// An error.
    Required,
}

/// The type of a field; messages and enumerations by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int64,
    Uint64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    /// Known and never accepted.
    Group,
    Message(usize),
    Bytes,
    Uint32,
    Enum(usize),
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Enumeration {
    pub(super) values: Vec<(i32, Box<str>)>,
}

/// Why a descriptor set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// Other bytes, or a `.proto` file itself.
    #[error("it is no descriptor set: it {0}")]
    Wire(#[from] WireFault),
    /// A text that is not UTF-8, or something without a name or type.
    #[error("it is no descriptor set: a name or type is missing in it")]
    Malformed,
    /// The set was made without its imports.
    #[error("`{0}` is not in the descriptor set")]
    Unresolved(Box<str>),
    /// What editions change is not read.
    #[error("`{0}` is written for an edition; only proto2 and proto3 are read")]
    Edition(Box<str>),
    /// Two files say the same.
    #[error("`{0}` is in the descriptor set twice")]
    Twice(Box<str>),
    /// Nothing to call.
    #[error("there is no service in the descriptor set")]
    NoService,
}

impl Schema {
    /// Takes a serialized `FileDescriptorSet`; returns its messages and methods.
    ///
    /// # Errors
    /// Bytes that are none, names that lead nowhere or to two things, files of editions, a set without services.
    pub fn parse(bytes: &[u8]) -> Result<Self, SchemaFault> {
        let mut builder = Builder::default();
        each(bytes, |number, value| match (number, value) {
            (1, Value::Bytes(file)) => builder.file(file),
            _ => Ok(()),
        })?;
        builder.finish()
    }

    /// All methods.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Leaves the methods that `keep` names.
    pub fn retain(&mut self, keep: impl Fn(&Method) -> bool) {
        self.methods.retain(keep);
    }

    /// Names of the services, each once, in the order of the set.
    pub fn services(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for method in &self.methods {
            if !names.contains(&&*method.service) {
                names.push(&method.service);
            }
        }
        names
    }
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(at)
    }
}

impl Enumeration {
    pub(super) fn name(&self, number: i32) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == number).map(|(_, name)| &**name)
    }
}

/// Calls `field` with each field of a message.
fn each<'b>(
    bytes: &'b [u8],
    mut field: impl FnMut(u32, Value<'b>) -> Result<(), SchemaFault>,
) -> Result<(), SchemaFault> {
    let mut reader = Reader::new(bytes);
    while let Some(sent) = reader.next()? {
        field(sent.number, sent.value)?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, SchemaFault> {
    std::str::from_utf8(bytes).map_err(|_| SchemaFault::Malformed)
}

/// What is known of a field before all names are.
#[derive(Debug, Default)]
struct RawField<'b> {
    name: &'b str,
    number: u32,
    label: u64,
    kind: u64,
    type_name: &'b str,
    one_of: Option<u32>,
    is_optional: bool,
}

#[derive(Debug, Default)]
struct RawMessage<'b> {
    fields: Vec<RawField<'b>>,
    is_map_entry: bool,
    is_proto3: bool,
}

#[derive(Debug, Default)]
struct RawMethod<'b> {
    name: &'b str,
    input: &'b str,
    output: &'b str,
    streams_requests: bool,
    streams_answers: bool,
    reads: bool,
}

/// Gathers the files of a set, then resolves what they name.
#[derive(Debug, Default)]
struct Builder<'b> {
    /// Full names with a dot before them.
    message_names: FxHashMap<String, usize>,
    enum_names: FxHashMap<String, usize>,
    messages: Vec<RawMessage<'b>>,
    enums: Vec<Enumeration>,
    services: Vec<(String, RawMethod<'b>)>,
}

impl<'b> Builder<'b> {
    fn file(&mut self, bytes: &'b [u8]) -> Result<(), SchemaFault> {
        let (mut name, mut scope, mut is_proto3, mut has_edition) = ("", String::new(), false, false);
        each(bytes, |number, value| {
            match (number, value) {
                (1, Value::Bytes(value)) => name = text(value)?,
                (2, Value::Bytes(value)) if !value.is_empty() => scope = format!(".{}", text(value)?),
                (12, Value::Bytes(value)) => {
                    (is_proto3, has_edition) = (value == b"proto3", value == b"editions")
                }
                _ => {}
            }
            Ok(())
        })?;
        if has_edition {
            return Err(SchemaFault::Edition(name.into()));
        }
        each(bytes, |number, value| match (number, value) {
            (4, Value::Bytes(value)) => self.message(value, &scope, is_proto3),
            (5, Value::Bytes(value)) => self.enumeration(value, &scope),
            (6, Value::Bytes(value)) => self.service(value, &scope),
            _ => Ok(()),
        })
    }

    fn message(&mut self, bytes: &'b [u8], scope: &str, is_proto3: bool) -> Result<(), SchemaFault> {
        let full = named(bytes, scope)?;
        let mut message = RawMessage { is_proto3, ..RawMessage::default() };
        each(bytes, |number, value| {
            match (number, value) {
                (2, Value::Bytes(value)) => message.fields.push(field(value)?),
                (3, Value::Bytes(value)) => self.message(value, &full, is_proto3)?,
                (4, Value::Bytes(value)) => self.enumeration(value, &full)?,
                (7, Value::Bytes(options)) => each(options, |number, value| {
                    message.is_map_entry |= (number, value) == (7, Value::Varint(1));
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        let index = self.messages.len();
        self.messages.push(message);
        match self.message_names.insert(full.clone(), index) {
            None => Ok(()),
            Some(_) => Err(SchemaFault::Twice(full.trim_start_matches('.').into())),
        }
    }

    fn enumeration(&mut self, bytes: &'b [u8], scope: &str) -> Result<(), SchemaFault> {
        let full = named(bytes, scope)?;
        let mut found = Enumeration::default();
        each(bytes, |number, value| {
            let (2, Value::Bytes(value)) = (number, value) else { return Ok(()) };
            let (mut name, mut at) = ("", 0);
            each(value, |number, value| {
                match (number, value) {
                    (1, Value::Bytes(value)) => name = text(value)?,
                    (2, Value::Varint(value)) => at = super::check::low_32(value),
                    _ => {}
                }
                Ok(())
            })?;
            found.values.push((at, name.into()));
            Ok(())
        })?;
        let index = self.enums.len();
        self.enums.push(found);
        match self.enum_names.insert(full.clone(), index) {
            None => Ok(()),
            Some(_) => Err(SchemaFault::Twice(full.trim_start_matches('.').into())),
        }
    }

    fn service(&mut self, bytes: &'b [u8], scope: &str) -> Result<(), SchemaFault> {
        let full = named(bytes, scope)?.trim_start_matches('.').to_owned();
        if self.services.iter().any(|(known, _)| *known == full) {
            return Err(SchemaFault::Twice(full.into()));
        }
        each(bytes, |number, value| {
            if let (2, Value::Bytes(value)) = (number, value) {
                self.services.push((full.clone(), method(value)?));
            }
            Ok(())
        })
    }

    fn finish(self) -> Result<Schema, SchemaFault> {
        let mut schema = Schema { enums: self.enums, ..Schema::default() };
        let find = |names: &FxHashMap<String, usize>, name: &str| {
            let unresolved = || SchemaFault::Unresolved(name.trim_start_matches('.').into());
            names.get(name).copied().ok_or_else(unresolved)
        };
        for raw in self.messages {
            let mut message = Message { fields: Vec::new(), is_map_entry: raw.is_map_entry };
            for field in raw.fields {
                let kind = match field.kind {
                    11 => Kind::Message(find(&self.message_names, field.type_name)?),
                    14 => Kind::Enum(find(&self.enum_names, field.type_name)?),
                    other => scalar(other).ok_or(SchemaFault::Malformed)?,
                };
                let is_apart =
                    field.is_optional || field.one_of.is_some() || matches!(kind, Kind::Message(_));
                message.fields.push(Field {
                    name: field.name.into(),
                    number: field.number,
                    kind,
                    is_repeated: field.label == 3,
                    presence: match field.label {
                        2 => Presence::Required,
                        _ if raw.is_proto3 && !is_apart => Presence::Implicit,
                        _ => Presence::Explicit,
                    },
                    // The group that proto3 makes for one optional field is no choice.
                    one_of: field.one_of.filter(|_| !field.is_optional),
                });
            }
            message.fields.sort_by_key(|field| field.number);
            schema.messages.push(message);
        }
        for (service, method) in self.services {
            schema.methods.push(Method {
                service: service.into(),
                name: method.name.into(),
                streams_requests: method.streams_requests,
                streams_answers: method.streams_answers,
                reads: method.reads,
                input: find(&self.message_names, method.input)?,
                output: find(&self.message_names, method.output)?,
            });
        }
        if schema.methods.is_empty() { Err(SchemaFault::NoService) } else { Ok(schema) }
    }
}

/// The full name of what has its own name in field 1.
fn named(bytes: &[u8], scope: &str) -> Result<String, SchemaFault> {
    let mut name = "";
    each(bytes, |number, value| {
        if let (1, Value::Bytes(value)) = (number, value) {
            name = text(value)?;
        }
        Ok(())
    })?;
    if name.is_empty() { Err(SchemaFault::Malformed) } else { Ok(format!("{scope}.{name}")) }
}

fn field(bytes: &[u8]) -> Result<RawField<'_>, SchemaFault> {
    let mut field = RawField::default();
    each(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(value)) => field.name = text(value)?,
            (3, Value::Varint(value)) => {
                field.number = u32::try_from(value).map_err(|_| SchemaFault::Malformed)?
            }
            (4, Value::Varint(value)) => field.label = value,
            (5, Value::Varint(value)) => field.kind = value,
            (6, Value::Bytes(value)) => field.type_name = text(value)?,
            (9, Value::Varint(value)) => field.one_of = u32::try_from(value).ok(),
            (17, Value::Varint(value)) => field.is_optional = value == 1,
            _ => {}
        }
        Ok(())
    })?;
    if field.name.is_empty() || field.number == 0 { Err(SchemaFault::Malformed) } else { Ok(field) }
}

fn method(bytes: &[u8]) -> Result<RawMethod<'_>, SchemaFault> {
    let mut method = RawMethod::default();
    each(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(value)) => method.name = text(value)?,
            (2, Value::Bytes(value)) => method.input = text(value)?,
            (3, Value::Bytes(value)) => method.output = text(value)?,
            (4, Value::Bytes(options)) => each(options, |number, value| {
                method.reads |= (number, value) == (34, Value::Varint(1));
                Ok(())
            })?,
            (5, Value::Varint(value)) => method.streams_requests = value == 1,
            (6, Value::Varint(value)) => method.streams_answers = value == 1,
            _ => {}
        }
        Ok(())
    })?;
    if method.name.is_empty() { Err(SchemaFault::Malformed) } else { Ok(method) }
}

/// `FieldDescriptorProto.Type`, but for messages and enumerations.
fn scalar(number: u64) -> Option<Kind> {
    Some(match number {
        1 => Kind::Double,
        2 => Kind::Float,
        3 => Kind::Int64,
        4 => Kind::Uint64,
        5 => Kind::Int32,
        6 => Kind::Fixed64,
        7 => Kind::Fixed32,
        8 => Kind::Bool,
        9 => Kind::String,
        10 => Kind::Group,
        12 => Kind::Bytes,
        13 => Kind::Uint32,
        15 => Kind::Sfixed32,
        16 => Kind::Sfixed64,
        17 => Kind::Sint32,
        18 => Kind::Sint64,
        _ => return None,
    })
}
