//! Whose objects are, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Span, Upstream};
use crate::config::read::{At, Either, OneOrMany};

/// Whose the objects must be that a parameter names, or that an answer lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    /// Name of a path, query, header or cookie parameter of the contract, or of a property at the top of a request
    /// body. Wherever the name stands, the values must agree.
    pub(crate) parameter: Option<At<String>>,
    /// More places that name the same object: `body:/POINTER`, `query:NAME`, `header:NAME` or `cookie:NAME`.
    #[serde(default)]
    pub(crate) also: Vec<At<String>>,
    /// Only for these operations. Default: for all that have the parameter.
    pub(crate) operations: Option<Vec<At<String>>>,
    /// What says whose it is: `claim:NAME` (the value is the caller's claim), `response:/POINTER` (the answer says
    /// it, before it leaves; before a write a probe is read), `body:/POINTER` (the request's body says it), or
    /// `created-by` (the gate remembers who created it).
    pub(crate) owner: Option<At<String>>,
    /// The same for the tenant: as `owner`, for every operation that has the parameter, compared with
    /// `claim:tenant` unless `equals` says otherwise.
    pub(crate) tenant: Option<At<String>>,
    /// Asks another server, or a database, whose it is.
    pub(crate) lookup: Option<At<Lookup>>,
    /// The claim that the owner is compared with. Default: `claim:sub`.
    pub(crate) equals: Option<At<String>>,
    /// Callers who are not bound: `role:NAME`, `scope:NAME` or `claim:NAME=VALUE`, or a list of them.
    pub(crate) unless: Option<OneOrMany<At<String>>>,
    /// The operation that reads the object before it is written. Default: the `GET` of the same path, or of the
    /// nearest path above it that has the parameter.
    pub(crate) probe: Option<At<String>>,
    /// With `created-by`: what creates it.
    pub(crate) created: Option<At<Created>>,
    /// Judges each element of a list in the answer.
    pub(crate) list: Option<At<List>>,
}

/// What creates an object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Created {
    /// The operation, or a list of them.
    #[schemars(extend("x-required" = true))]
    pub(crate) by: Option<OneOrMany<At<String>>>,
    /// Where its answer says the identifier: a JSON pointer, or `header:location` for the last segment of that header.
    #[schemars(extend("default" = "/id"))]
    pub(crate) id: Option<At<String>>,
}

/// A list in an answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// The operations that answer it.
    #[schemars(extend("x-required" = true))]
    pub(crate) operations: Option<OneOrMany<At<String>>>,
    /// JSON pointer to the list; `""` where the answer is the list.
    #[schemars(extend("default" = ""))]
    pub(crate) items: Option<At<String>>,
    /// JSON pointer within an element to its owner.
    #[schemars(extend("x-required" = true))]
    pub(crate) owner: Option<At<String>>,
    /// What is done about elements of others.
    #[schemars(extend("default" = "drop"))]
    pub(crate) foreign: Option<Excess>,
}

/// A server that knows whose an object is: `upstream`, `path` and `owner`, or `postgres` and `query`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    /// Where a server of HTTP is: an address, or a mapping.
    pub(crate) upstream: Option<At<Either<String, Upstream>>>,
    /// With `upstream`: the path that is read (`GET`); `{}` in it becomes the identifier, encoded.
    pub(crate) path: Option<At<String>>,
    /// With `upstream`: JSON pointer to the owner in its answer.
    pub(crate) owner: Option<At<String>>,
    /// A server of `postgres` at the top of the file.
    pub(crate) postgres: Option<At<String>>,
    /// With `postgres`: one statement whose one parameter, `$1`, is the identifier, and whose one column is the owner,
    /// as `select owner from orders where id = $1`. It is prepared, runs in a read-only transaction, and is stopped
    /// at the `timeout`. No row is an object that nobody knows of; two, and `null`, refuse the call. `$1` and the
    /// column are text, an integer or a UUID; others are cast in the statement, as `code::text = $1`.
    pub(crate) query: Option<At<String>>,
    /// For the whole exchange. What takes longer refuses the call.
    #[schemars(extend("default" = "2s"))]
    pub(crate) timeout: Option<Span>,
    /// How long an answer is remembered.
    #[schemars(extend("default" = "30s"))]
    pub(crate) ttl: Option<Span>,
    /// How many answers are remembered.
    #[schemars(range(min = 1, max = 1000000), extend("default" = 10000))]
    pub(crate) entries: Option<usize>,
}

/// A parameter that needs no owner.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiver {
    /// Its name.
    #[schemars(extend("x-required" = true))]
    pub(crate) parameter: Option<At<String>>,
    /// Only where it stands there. Default: wherever it stands.
    #[serde(rename = "in")]
    pub(crate) place: Option<WaiverPlace>,
    /// Only for these operations. Default: for all that have it.
    pub(crate) operations: Option<Vec<At<String>>>,
    /// Why nobody needs to own what it names.
    #[schemars(extend("x-required" = true))]
    pub(crate) reason: Option<At<String>>,
    /// Who wrote this and answers for it, as reviews show it.
    pub(crate) by: Option<At<String>>,
    /// The last day on which this holds (UTC), as `2027-01-31`. Default: no end. When it is over, the operations are
    /// closed, and the configuration is refused until the waiver is looked at again.
    pub(crate) until: Option<At<String>>,
}

/// Properties that some callers may see and send.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expose {
    /// The operations.
    #[schemars(extend("x-required" = true))]
    pub(crate) operations: Option<OneOrMany<At<String>>>,
    /// Who: `anyone`, `role:NAME`, `scope:NAME`, `claim:NAME=VALUE`, or a list of them.
    #[schemars(extend("x-required" = true))]
    pub(crate) to: Option<OneOrMany<At<String>>>,
    /// JSON pointers to what they may see of answers, and send; `*` is every element of a list, `""` is everything.
    #[schemars(extend("x-required" = true))]
    pub(crate) properties: Option<Vec<At<String>>>,
    /// What they may send, where that differs from what they may see.
    pub(crate) requests: Option<Vec<At<String>>>,
    /// What is done about other properties of an answer.
    #[schemars(extend("default" = "drop"))]
    pub(crate) excess: Option<Excess>,
}

/// Where the gate remembers who created what: `path`, or `postgres`. Where it cannot be read or written, what it
/// decides is refused. The first who created an object owns it for good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ownership {
    /// A file of JSON lines, appended to. It is this gate's alone.
    pub(crate) path: Option<At<String>>,
    /// With `path`: how many objects are remembered; further creations are refused. Default: 1000000.
    #[schemars(range(min = 1, max = 100000000))]
    pub(crate) entries: Option<At<usize>>,
    /// A server of `postgres` at the top of the file. Gates that name the same table share what they remember.
    pub(crate) postgres: Option<At<String>>,
    /// With `postgres`: the table, as `schema.table`. It is created where there is none and the role may create it; the
    /// role needs `select` and `insert` on it. Default: `public.portcullis_owners`.
    pub(crate) table: Option<At<String>>,
    /// With `postgres`: for one question or one entry. What takes longer refuses the call. Default: `2s`.
    pub(crate) timeout: Option<At<Span>>,
}

words! {
    /// What follows where a parameter names an object and is neither bound nor waived.
    Unbound {
        /// The configuration is refused.
        Refuse,
        /// A warning.
        Allow,
    }
    /// What is done about what is not the caller's, or not for them.
    Excess {
        /// It is left out.
        Drop,
        /// The answer is refused.
        Refuse,
    }
    /// Where a waived parameter stands.
    WaiverPlace {
        /// In the path.
        Path,
        /// In the query.
        Query,
        /// A header.
        Header,
        /// A cookie.
        Cookie,
        /// At the top of a request body.
        Body,
    }
}
