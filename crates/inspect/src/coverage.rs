//! Where each guard runs. The phases ask these tables while they read, and `portcullis coverage` prints them: what is
//! printed is what is done.
//!
//! A [`Site`] is a kind of place that text can stand in; a guard either reads it, or has nothing to do there, or is
//! blind there. What a guard is blind to passes only where the operator wrote so ([`Unread`]).

use portcullis_core::guard::{Guard, GuardSet};

use crate::detect::Group;
use crate::dialect::{Field, Origin};
pub use crate::fields::is_protocol;
pub use crate::media::is_opaque;
pub use crate::unread::Unread;

/// A kind of place that something can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// Parameters in the path.
    Path,
    /// Names and values of the query.
    Query,
    /// Header fields that the application reads, metadata of gRPC, trailers.
    Fields,
    /// Header fields of HTTP itself, and credentials.
    Protocol,
    /// A body of JSON, or lines of it.
    Json,
    /// A form in a query's clothes.
    Form,
    /// A body of text.
    Text,
    /// A form of parts.
    Parts,
    /// A body of no kind that is known to be text: read as far as it is.
    Bytes,
    /// A body whose text, if it has any, is compressed, drawn or spoken.
    Opaque,
    /// Variables of a graph's operations.
    Variables,
    /// Literals in a graph's documents.
    Literals,
    /// A message of gRPC.
    Message,
    /// The message of a status of gRPC.
    Status,
    /// A field of a request to a model that somebody wrote in words.
    Prose,
    /// A field of a request to a model that is text and no prose: a name, a setting, a link.
    Setting,
    /// A field of a request to a model that the contract enumerates, or a number.
    Value,
    /// A picture, a sound, a file within a request to a model.
    Encoded,
    /// What a provider encrypted.
    Sealed,
    /// What a model says: every string of its answer.
    Said,
    /// Messages of a WebSocket.
    Frames,
}

/// What a guard does at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It reads it, and what it redacts is replaced.
    Reads,
    /// It reads it, and nothing there can be rewritten: what it would redact it blocks.
    ReadsOnly,
    /// There is nothing there that it is about.
    Outside(Why),
    /// It is about what may stand there and cannot read it.
    Blind(Why),
}

/// Why a guard does not read a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The field is HTTP's own, or a credential.
    Protocol,
    /// The contract enumerates what may stand there.
    Value,
    /// Only who encrypted it reads it.
    Sealed,
    /// It is text and no prose, and gives no orders.
    NoProse,
    /// It is no prompt: nobody says who wrote what.
    NoPrompt,
    /// No role stands there.
    NoRole,
    /// No object is named there.
    NoObject,
    /// A contract says nothing of it.
    NoSchema,
    /// It is compressed, drawn or spoken.
    Opaque,
    /// It is a picture, a sound or a file.
    Encoded,
    /// It is no HTTP any more.
    Frames,
    /// No model says it.
    NotSaid,
}

impl Why {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "fields of HTTP itself and credentials are read by whoever they are for",
            Self::Value => "the contract enumerates what may stand there",
            Self::Sealed => "only the provider reads what it encrypted itself",
            Self::NoProse => "a name or a setting is no prose that could give orders",
            Self::NoPrompt => "the classifier reads what users and documents tell a model",
            Self::NoRole => "no role stands there",
            Self::NoObject => "no object is named there",
            Self::NoSchema => "a contract names its media type and says nothing of what is in it",
            Self::Opaque => "what is compressed, drawn or spoken cannot be read as text",
            Self::Encoded => "a picture, a sound or a file cannot be read as text",
            Self::Frames => "messages of a WebSocket are passed as they are",
            Self::NotSaid => "it listens to what a model says",
        }
    }
}

impl Site {
    /// The name in coverage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Fields => "header fields",
            Self::Protocol => "fields of HTTP, credentials",
            Self::Json => "JSON",
            Self::Form => "form",
            Self::Text => "text",
            Self::Parts => "multipart",
            Self::Bytes => "other bytes",
            Self::Opaque => "images, archives and the like",
            Self::Variables => "variables",
            Self::Literals => "literals",
            Self::Message => "messages",
            Self::Status => "status message",
            Self::Prose => "prose",
            Self::Setting => "names and settings",
            Self::Value => "enumerated values",
            Self::Encoded => "images, sounds, files",
            Self::Sealed => "what the provider encrypted",
            Self::Said => "answer",
            Self::Frames => "WebSocket messages",
        }
    }

    /// The site of a field of a request to a model. A link is text here; what is data in it is [`Site::Encoded`].
    pub const fn of_field(field: Field, origin: Origin) -> Self {
        match (field, origin) {
            (Field::Nothing, _) => Self::Value,
            (Field::Sealed, _) => Self::Sealed,
            (Field::Encoded, _) => Self::Encoded,
            (_, Origin::Setting) | (Field::Link, _) => Self::Setting,
            (Field::Text | Field::Parts | Field::JsonText | Field::Tree | Field::Data | Field::Source, _) => {
                Self::Prose
            }
        }
    }

    /// The site of a body with this media type, in lower case and without parameters.
    pub fn of_body(media: &str) -> Self {
        crate::media::Media::of_essence(media).site()
    }
}

/// What detectors do at a site: they are all alike in this.
pub const fn detectors(site: Site) -> Reach {
    match site {
        Site::Json | Site::Form | Site::Text | Site::Variables | Site::Prose | Site::Setting | Site::Said => {
            Reach::Reads
        }
        Site::Path
        | Site::Query
        | Site::Fields
        | Site::Parts
        | Site::Bytes
        | Site::Literals
        | Site::Message
        | Site::Status => Reach::ReadsOnly,
        Site::Protocol => Reach::Outside(Why::Protocol),
        Site::Value => Reach::Outside(Why::Value),
        Site::Sealed => Reach::Outside(Why::Sealed),
        Site::Opaque => Reach::Blind(Why::Opaque),
        Site::Encoded => Reach::Blind(Why::Encoded),
        Site::Frames => Reach::Blind(Why::Frames),
    }
}

/// What those do who are asked whether a text gives orders.
pub const fn orders(site: Site) -> Reach {
    match site {
        Site::Prose => Reach::Reads,
        Site::Setting => Reach::Outside(Why::NoProse),
        Site::Value => Reach::Outside(Why::Value),
        Site::Sealed => Reach::Outside(Why::Sealed),
        Site::Encoded => Reach::Blind(Why::Encoded),
        _ => Reach::Outside(Why::NoPrompt),
    }
}

/// What `guard` does at `site`.
pub const fn reach(guard: Guard, site: Site) -> Reach {
    match guard {
        Guard::Pii
        | Guard::Secrets
        | Guard::Injection
        | Guard::ActiveContent
        | Guard::Links
        | Guard::Code
        | Guard::ForgedRoles
        | Guard::Rules => detectors(site),
        Guard::Classifier | Guard::Encoder => orders(site),
        // It is asked about answers as well: there it is about anything, and about all of it as one.
        Guard::Judge => match site {
            Site::Said => Reach::ReadsOnly,
            site => orders(site),
        },
        Guard::Fence => match site {
            Site::Prose => Reach::Reads,
            _ => Reach::Outside(Why::NoProse),
        },
        Guard::Leak => match site {
            Site::Said => Reach::Reads,
            _ => Reach::Outside(Why::NotSaid),
        },
        Guard::Roles => match site {
            Site::Prose => Reach::Reads,
            _ => Reach::Outside(Why::NoRole),
        },
        Guard::Contract => match site {
            Site::Protocol => Reach::Outside(Why::Protocol),
            Site::Bytes | Site::Opaque | Site::Text | Site::Frames | Site::Status | Site::Said => {
                Reach::Outside(Why::NoSchema)
            }
            _ => Reach::ReadsOnly,
        },
        Guard::Objects => match site {
            Site::Path | Site::Query | Site::Fields | Site::Json | Site::Message | Site::Variables => {
                Reach::ReadsOnly
            }
            _ => Reach::Outside(Why::NoObject),
        },
        Guard::Expose => match site {
            Site::Json => Reach::Reads,
            _ => Reach::Outside(Why::NoObject),
        },
    }
}

/// The guard that a group of detectors is.
pub const fn guard(group: Group) -> Guard {
    match group {
        Group::Pii => Guard::Pii,
        Group::Secrets => Guard::Secrets,
        Group::Injection => Guard::Injection,
        Group::Roles => Guard::ForgedRoles,
        Group::ActiveContent => Guard::ActiveContent,
        Group::Links => Guard::Links,
        Group::Code => Guard::Code,
    }
}

/// The guards that are blind to something: they read text and nothing else.
pub fn readers() -> GuardSet {
    Guard::ALL.into_iter().filter(|guard| matches!(reach(*guard, Site::Encoded), Reach::Blind(_))).collect()
}
