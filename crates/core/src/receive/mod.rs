//! receive: one unambiguous request, one canonical path, one operation.
//!
//! The bytes of HTTP/1 were checked by [`strict`] before a parser saw them; here the parsed head is brought to its
//! one form, whatever version it came by. What has two readings is refused, never repaired.

pub mod path;
pub mod strict;

mod authority;
mod client;
mod headers;
mod sketch;

use std::sync::Arc;

use http::header::{ALLOW, HeaderValue};
use http::{Method, Version};
use ipnet::IpNet;

use crate::contract::{Contract, Found, Location, Operation, OperationIndex, PathParameters, Style};
use crate::halt::{Halt, Reason};
use crate::request::{Head, Peer, Request, Wire};
use crate::route::{Route, Routes};
use headers::Upgrade;
use path::{CanonicalPath, PathError};
use strict::HeadLimits;

/// Proof that the request is unambiguous, within its limits, and names an operation of a configured route.
#[derive(Debug)]
pub struct Received {
    route: Arc<Route>,
    operation: OperationIndex,
    path_parameters: PathParameters,
}

impl Received {
    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The operation in the route's contract.
    pub fn operation(&self) -> OperationIndex {
        self.operation
    }

    /// Path parameters, decoded, in the template's order.
    pub fn path_parameters(&self) -> &PathParameters {
        &self.path_parameters
    }
}

/// What `receive` needs to know beside the routes.
#[derive(Debug, Clone, Default)]
pub struct ReceiveRules {
    /// Whose word about the client's address counts. Empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// Limits of a head; they hold for HTTP/2 as well.
    pub limits: HeadLimits,
}

/// Methods that may be in a contract. `CONNECT`, `TRACE` and unknown ones never pass.
const METHODS: &[Method] =
    &[Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS];

/// Takes what came over the wire; proves that it has one reading.
///
/// The head that comes out has no `Host`, `Content-Length`, hop-by-hop, forwarding or gate-owned header any more.
///
/// # Errors
/// 400 for ambiguity, 404 and 405 for what no contract names, 414, 417 and 431.
pub fn receive(routes: &Routes, rules: &ReceiveRules, wire: Wire) -> Result<Request<Received>, Halt> {
    let Wire { mut parts, peer, has_body } = wire;
    if !matches!(parts.version, Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2) {
        return Err(Halt::new(Reason::MalformedRequest, "unknown version"));
    }
    if !METHODS.contains(&parts.method) {
        return Err(not_allowed("method is never allowed", METHODS));
    }
    check_size(&parts, &rules.limits)?;
    let authority = authority::canonical(&parts)?;
    let path = canonical_path(routes, parts.uri.path())?;
    let query = canonical_query(parts.uri.query())?;

    let address = client::address(&parts.headers, peer.address, &rules.trusted_proxies)?;
    let upgrade = headers::clean(&mut parts)?;

    let has_matrix = || Halt::new(Reason::AmbiguousPath, PathError::MatrixParameter.to_string());
    let (route, rest) = routes.find(path.as_str()).ok_or_else(|| match path.has_matrix() {
        true => has_matrix(),
        false => unknown(Halt::new(Reason::UnknownRoute, "no route has this path"), &path),
    })?;
    let found = route.contract.find(&parts.method, rest);
    if path.has_matrix() && !is_all_matrix(&route.contract, &found, &path) {
        return Err(has_matrix());
    }
    let (operation, path_parameters) = match found {
        Found::Operation(operation, path_parameters) => (operation, path_parameters),
        Found::MethodNotAllowed { allow } => {
            return Err(unknown(not_allowed("method is not in the contract", &allow), &path));
        }
        Found::NotFound => {
            return Err(unknown(Halt::new(Reason::UnknownRoute, "no operation has this path"), &path));
        }
    };
    if has_body && !route.contract.operation(operation).is_some_and(Operation::takes_body) {
        return Err(Halt::new(Reason::UnexpectedBody, "the operation takes no body"));
    }
    let is_upgrade = match upgrade {
        Upgrade::None => false,
        Upgrade::WebSocket if route.allows_websocket && !has_body => true,
        Upgrade::WebSocket => return Err(Halt::new(Reason::UpgradeRefused, "the route takes no WebSocket")),
    };

    let route = Arc::clone(route);
    let head = Head {
        method: parts.method,
        path,
        query,
        version: parts.version,
        headers: parts.headers,
        authority,
        peer: Peer { address, is_tls: peer.is_tls },
        is_upgrade,
    };
    Ok(Request::new(head, Received { route, operation, path_parameters }))
}

fn canonical_path(routes: &Routes, raw: &str) -> Result<CanonicalPath, Halt> {
    let path = match CanonicalPath::parse(raw) {
        Err(PathError::MatrixParameter) if routes.iter().any(|route| route.contract.takes_matrix()) => {
            CanonicalPath::parse_with_matrix(raw)
        }
        other => other,
    };
    path.map_err(|error| Halt::new(Reason::AmbiguousPath, error.to_string()))
}

/// Whether each `;` of a path stands in a parameter that the contract writes so.
fn is_all_matrix(contract: &Contract, found: &Found, path: &CanonicalPath) -> bool {
    let Found::Operation(operation, parameters) = found else { return false };
    let Some(operation) = contract.operation(*operation) else { return false };
    let semicolons = |text: &str| text.bytes().filter(|byte| *byte == b';').count();
    let is_matrix = |name: &str| {
        operation.parameter(Location::Path, name).is_some_and(|parameter| parameter.style == Style::Matrix)
    };
    let values = parameters.iter().filter(|(name, value)| is_matrix(name) && value.starts_with(';'));
    values.map(|(_, value)| semicolons(value)).sum::<usize>() == semicolons(path.as_str())
}

/// For HTTP/1 this was seen in the bytes already; for HTTP/2 it is seen here.
fn check_size(parts: &http::request::Parts, limits: &HeadLimits) -> Result<(), Halt> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target {
        return Err(Halt::new(Reason::TargetTooLong, "target is over the limit"));
    }
    // A name, a value and four bytes between and after them, as in HTTP/1.
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if parts.headers.len() > limits.headers || bytes > limits.header_bytes {
        return Err(Halt::new(Reason::HeadersTooLarge, "header fields are over the limit"));
    }
    Ok(())
}

fn canonical_query(query: Option<&str>) -> Result<Option<Box<str>>, Halt> {
    match query {
        None | Some("") => Ok(None),
        Some(query) if path::is_well_formed_query(query) => Ok(Some(query.into())),
        Some(_) => {
            Err(Halt::new(Reason::AmbiguousPath, "query has a broken escape, NUL or control character"))
        }
    }
}

/// Says in the record what was looked for, without what may name a person.
fn unknown(halt: Halt, path: &CanonicalPath) -> Halt {
    halt.with_path(sketch::sketch(path.as_str()))
}

fn not_allowed(detail: &'static str, allow: &[Method]) -> Halt {
    let names: Vec<&str> = allow.iter().map(Method::as_str).collect();
    let halt = Halt::new(Reason::MethodNotAllowed, detail);
    match HeaderValue::from_str(&names.join(", ")) {
        Ok(value) => halt.with_header(ALLOW, value),
        Err(_) => halt,
    }
}

#[cfg(test)]
mod tests;
