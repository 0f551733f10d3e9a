//! A request and the proof of how far it came.
//!
//! `Request<S>` can only be made by [`receive`](crate::receive::receive), and only moves on by
//! [`advance`](Request::advance), which needs a value of the next stage. Stage types have private fields and are
//! built in one function each, so holding a `Request<Authorized>` is proof that policy said Allow to this very
//! request. Later stages hold the earlier ones and dereference to them: `principal()` stays reachable.
//!
//! # What does not compile
//!
//! The phases in their order do:
//!
//! ```
//! use std::time::SystemTime;
//! use portcullis_core::admit::{Buckets, admit};
//! use portcullis_core::authorize::authorize;
//! use portcullis_core::halt::Halt;
//! use portcullis_core::identify::Identified;
//! use portcullis_core::policy::Policy;
//! use portcullis_core::request::Request;
//! use portcullis_core::validate::{Validated, validate};
//!
//! fn pass(buckets: &Buckets, policy: &Policy, request: Request<Identified>) -> Result<Request<Validated>, Halt> {
//!     let request = admit(buckets, request, 0)?;
//!     let request = authorize(policy, request, SystemTime::UNIX_EPOCH)?;
//!     validate(request)
//! }
//! ```
//!
//! Without `admit` they do not:
//!
//! ```compile_fail,E0308
//! use std::time::SystemTime;
//! use portcullis_core::authorize::authorize;
//! use portcullis_core::halt::Halt;
//! use portcullis_core::identify::Identified;
//! use portcullis_core::policy::Policy;
//! use portcullis_core::request::Request;
//! use portcullis_core::validate::{Validated, validate};
//!
//! fn pass(policy: &Policy, request: Request<Identified>) -> Result<Request<Validated>, Halt> {
//!     let request = authorize(policy, request, SystemTime::UNIX_EPOCH)?;
//!     validate(request)
//! }
//! ```
//!
//! Nor without `authorize`:
//!
//! ```compile_fail,E0308
//! use portcullis_core::admit::Admitted;
//! use portcullis_core::halt::Halt;
//! use portcullis_core::request::Request;
//! use portcullis_core::validate::{Validated, validate};
//!
//! fn pass(request: Request<Admitted>) -> Result<Request<Validated>, Halt> {
//!     validate(request)
//! }
//! ```
//!
//! A body is attached once, after `admit` and before anybody judged it:
//!
//! ```
//! use portcullis_core::{admit::Admitted, request::Request};
//!
//! fn with_body(request: Request<Admitted>) -> Request<Admitted> {
//!     request.with_body("{}".into())
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use portcullis_core::{authorize::Authorized, request::Request};
//!
//! fn with_body(request: Request<Authorized>) -> Request<Authorized> {
//!     request.with_body("{}".into())
//! }
//! ```
//!
//! No stage can be built outside its phase, whatever its parts are:
//!
//! ```
//! use portcullis_core::{authorize::Permit, identify::Identified, request::Request};
//!
//! fn permit() -> Permit {
//!     Permit { action: None, policies: Vec::new() }
//! }
//! fn same(request: Request<Identified>) -> Request<Identified> {
//!     request.advance(|stage| stage)
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use portcullis_core::authorize::{Authorized, Permit};
//! use portcullis_core::{admit::Admitted, request::Request};
//!
//! fn allowed(request: Request<Admitted>) -> Request<Authorized> {
//!     let permit = Permit { action: None, policies: Vec::new() };
//!     request.advance(|admitted| Authorized {
//!         admitted, permit, envelope: None, obligations: None, graph: None, mcp: None,
//!     })
//! }
//! ```
//!
//! A request passes once: it cannot be copied on the way.
//!
//! ```compile_fail,E0277
//! use portcullis_core::{receive::Received, request::Request};
//!
//! fn twice(request: Request<Received>) -> (Request<Received>, Request<Received>) {
//!     (Clone::clone(&request), request)
//! }
//! ```

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};

use crate::receive::path::CanonicalPath;

/// What came over the wire, before anything was proven.
#[derive(Debug)]
pub struct Wire {
    /// Method, target, version and headers as parsed.
    pub parts: http::request::Parts,
    /// Who is at the other end of the connection.
    pub peer: Peer,
    /// Whether a body follows (`Content-Length` above zero, `Transfer-Encoding`, or an open HTTP/2 stream).
    pub has_body: bool,
}

/// The other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address: the connection's, or what a trusted proxy said of it.
    pub address: IpAddr,
    /// Whether the connection is TLS.
    pub is_tls: bool,
}

/// The canonical head. The raw target is not kept: nothing can read it again.
#[derive(Debug)]
pub struct Head {
    /// Method.
    pub method: Method,
    /// The one canonical path, decoded.
    pub path: CanonicalPath,
    /// The raw query without `?`, already checked for well-formed escapes.
    pub query: Option<Box<str>>,
    /// Version the client spoke.
    pub version: Version,
    /// Headers, hop-by-hop and gate-owned ones removed.
    pub headers: HeaderMap,
    /// Host without userinfo, lower case, with port if given.
    pub authority: Box<str>,
    /// The client.
    pub peer: Peer,
    /// Whether the client asks to become a WebSocket (RFC 6455), on a route that allows it.
    pub is_upgrade: bool,
}

/// A request at stage `S`.
#[derive(Debug)]
pub struct Request<S> {
    // PERF: boxed, because a request moves from stage to stage.
    head: Box<Head>,
    body: Bytes,
    stage: S,
}

impl<S> Request<S> {
    pub(crate) fn new(head: Head, stage: S) -> Self {
        Self { head: Box::new(head), body: Bytes::new(), stage }
    }

    /// The canonical head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The body, whole; empty until it was read.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The proof, and everything that was learnt on the way.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// Moves on: `next` gets the old stage to nest and must return the new one, which only its own phase can build.
    pub fn advance<T>(self, next: impl FnOnce(S) -> T) -> Request<T> {
        Request { head: self.head, body: self.body, stage: next(self.stage) }
    }

    /// Takes the head out, for the one caller that builds the upstream request from it. The proof ends here: a stage
    /// that outlived its request could be put on another.
    pub fn into_head(self) -> Head {
        *self.head
    }
}

impl Request<crate::admit::Admitted> {
    /// Attaches the body that was read under the limit of this operation.
    #[must_use]
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}
