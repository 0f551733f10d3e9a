//! Whose objects are, and who sees what of them.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::authorize::{CreatedId, Place as Stands, Pointer, Who};

use super::{Postgres, Upstream};
use crate::config::diagnostic::Place;

/// An object rule. It has an owner, or a list, or both.
#[derive(Debug, Clone)]
pub struct Object {
    /// The parameter, as the contract names it; empty where there is only a list.
    pub parameter: String,
    /// More places that name the same object.
    pub also: Vec<Stands>,
    /// Only for these operations; empty: for all that have the parameter.
    pub operations: Vec<String>,
    /// What says whose it is.
    pub owner: Option<ObjectOwner>,
    /// The claim that must say the same.
    pub equals: String,
    /// Who is not bound.
    pub unless: Vec<Who>,
    /// A list in answers.
    pub list: Option<List>,
    /// Where it is written.
    pub place: Place,
}

/// What says whose an object is.
#[derive(Debug, Clone)]
pub enum ObjectOwner {
    /// The parameter itself is the owner's name.
    Named,
    /// The request's body.
    Body(Pointer),
    /// The answer, or the answer to a probe.
    Answer {
        /// Where in it.
        owner: Pointer,
        /// The operation that reads the object before a write, where one is named.
        probe: Option<String>,
    },
    /// What the gate remembers.
    Created {
        /// The operations that create it.
        by: Vec<String>,
        /// Where their answers say its identifier.
        id: CreatedId,
    },
    /// Another server.
    Lookup(Box<Lookup>),
}

/// A server that knows whose an object is.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// What is asked.
    pub source: LookupSource,
    /// For the whole exchange.
    pub timeout: Duration,
    /// How long an answer is remembered.
    pub ttl: Duration,
    /// How many answers are remembered.
    pub entries: usize,
}

/// What a lookup asks.
#[derive(Debug, Clone)]
pub enum LookupSource {
    /// A server of HTTP.
    Http {
        /// Where it is.
        upstream: Box<Upstream>,
        /// The path, with `{}` for the identifier.
        path: String,
        /// Where in its answer the owner is.
        owner: Pointer,
    },
    /// A database.
    Postgres {
        /// How it is reached.
        server: Arc<Postgres>,
        /// One statement whose one parameter, `$1`, is the identifier, and whose one column is the owner.
        query: Arc<str>,
    },
}

/// A list in the answers of some operations.
#[derive(Debug, Clone)]
pub struct List {
    /// The operations; never empty.
    pub operations: Vec<String>,
    /// Where the list is.
    pub items: Pointer,
    /// Where in an element its owner is.
    pub owner: Pointer,
    /// Whether one foreign element refuses the answer.
    pub refuses: bool,
}

/// A parameter that needs no owner.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// Its name.
    pub parameter: String,
    /// `path`, `query`, `header`, `cookie` or `body`; empty: wherever it stands.
    pub stands_in: &'static str,
    /// Only for these operations; empty: for all.
    pub operations: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub by: Option<String>,
    /// The last day on which it holds.
    pub until: Option<jiff::civil::Date>,
    /// Where it is written.
    pub place: Place,
}

/// When a day is over, in seconds since the epoch: from then on what held until that day holds no more.
pub(crate) fn over(day: jiff::civil::Date) -> i64 {
    // Of the last day there is, the beginning is its end: nothing is later.
    let next = day.tomorrow().unwrap_or(day);
    let midnight = next.to_datetime(jiff::civil::Time::midnight());
    jiff::tz::TimeZone::UTC.to_timestamp(midnight).map_or(i64::MIN, jiff::Timestamp::as_second)
}

/// A property filter.
#[derive(Debug, Clone)]
pub struct Expose {
    /// The operations; never empty.
    pub operations: Vec<String>,
    /// Whom it names; never empty.
    pub to: Vec<Who>,
    /// What they see of answers.
    pub answers: Vec<Pointer>,
    /// What they may send.
    pub requests: Vec<Pointer>,
    /// Whether an answer with more is refused.
    pub refuses: bool,
    /// Where it is written.
    pub place: Place,
}
