//! One configured upstream: sends a request, gives the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::asked::{Asked, OutStream};
use super::body::{Limits, UpstreamBody};
use super::connect::Connector;
use super::error::ForwardError;
use super::h1::{Failure, H1};
use super::h2::{Place, Unanswered};
use super::pool::Pool;
use super::rules::{SecretHeader, UpstreamRules, UpstreamRulesError};
use super::stream::Stream;
use crate::websocket::proves_handshake;

/// A request body, whole; empty is no body.
pub type OutBody = Bytes;

/// What is sent to an upstream.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Head and body.
    pub request: Request<OutBody>,
    /// More of the head, as lines of HTTP/1.1 with their ends. None where HTTP/2 may be spoken.
    pub(super) lines: Vec<u8>,
}

impl From<Request<OutBody>> for Outgoing {
    fn from(request: Request<OutBody>) -> Self {
        Self { request, lines: Vec::new() }
    }
}

/// A connection that rested longer than this may have been closed by the upstream at this very moment.
const FRESH: Duration = Duration::from_secs(1);
/// Stands for "no limit" where a point in time is needed.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One configured upstream, with its connections.
pub struct Upstream {
    name: Box<str>,
    connector: Connector,
    pool: Arc<Pool>,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) host: HeaderValue,
    /// Path of the URL without a final slash; put before every path.
    pub(super) base: Box<str>,
    pub(super) preserve_host: bool,
    pub(super) credential: Option<(HeaderName, SecretHeader)>,
    pub(super) http2: bool,
    first_byte_timeout: Duration,
    total_timeout: Option<Duration>,
    idle_timeout: Duration,
}

/// How a WebSocket handshake was answered.
#[derive(Debug)]
pub enum Upgrade {
    /// The upstream switched: its 101, its connection, and what it already sent of the new protocol.
    Switched(Response<()>, Stream, Bytes),
    /// The upstream answered as if nothing was asked.
    Declined(Response<UpstreamBody>),
}

impl Upstream {
    /// Takes the rules of an upstream; reads its CA file, opens nothing.
    ///
    /// # Errors
    /// A URL that is not plain `http(s)://host[:port][/path]`, or roots that cannot be used.
    pub fn compile(rules: UpstreamRules) -> Result<Self, UpstreamRulesError> {
        let connector = Connector::compile(&rules.url, &rules.tls, rules.http2, rules.connect_timeout)?;
        let parts = rules.url.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(UpstreamRulesError::Url);
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| UpstreamRulesError::Url)?;
        let base = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').into();
        Ok(Self {
            name: rules.name,
            connector,
            pool: Pool::new(rules.max_idle, rules.keep_alive),
            scheme,
            authority,
            host,
            base,
            preserve_host: rules.preserve_host,
            credential: rules.credential,
            http2: rules.http2,
            first_byte_timeout: rules.first_byte_timeout,
            total_timeout: rules.total_timeout,
            idle_timeout: rules.idle_timeout,
        })
    }

    /// Its name, for the record.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Path of its URL, without a final slash.
    pub(crate) fn base_path(&self) -> &str {
        &self.base
    }

    /// Longest time for a whole exchange.
    pub(super) fn total_timeout(&self) -> Option<Duration> {
        self.total_timeout
    }

    /// Puts its host and the gate's own credential for it on a request that is not a client's.
    pub(crate) fn sign(&self, headers: &mut HeaderMap) {
        headers.insert(header::HOST, self.host.clone());
        if let Some((name, value)) = &self.credential {
            headers.insert(name, value.value().clone());
        }
    }

    /// Sends a request in origin form with a `Host`, as [`outbound`](super::outbound::outbound) makes it.
    ///
    /// The answer comes without hop-by-hop fields. A request is sent a second time only if the first time not a
    /// byte of it was written, or, for an idempotent method (RFC 9110 section 9.2.2), if a pooled connection that
    /// had rested longer than a second broke before any answer; never after a time-out.
    ///
    /// # Errors
    /// The upstream cannot be reached, broke the exchange, or did not begin to answer in time.
    pub async fn send(&self, outgoing: Box<Outgoing>) -> Result<Response<UpstreamBody>, ForwardError> {
        let begun = Instant::now();
        let answer = if self.http2 {
            // Multiplexed exchanges are the rarer kind; their state should not widen every request's future.
            let request = Box::new(outgoing.request.map(OutStream::Whole));
            Box::pin(self.send_h2(request, begun, self.answer_deadline(begun))).await
        } else {
            self.send_h1(outgoing, begun).await
        };
        answer.map(without_hop_by_hop)
    }

    /// Sends a request whose body is still coming, over HTTP/2; the whole exchange has its time, and the answer may
    /// begin at any point of it.
    ///
    /// # Errors
    /// As [`send`](Self::send); also when the body was stopped.
    pub(crate) async fn send_asked(
        &self,
        outgoing: Box<Outgoing>,
        asked: Box<Asked>,
    ) -> Result<Response<UpstreamBody>, ForwardError> {
        let begun = Instant::now();
        let mut request = Box::new(outgoing.request.map(|_| OutStream::Asked(asked)));
        request.headers_mut().remove(header::CONTENT_LENGTH);
        let deadline = begun + self.total_timeout.unwrap_or(FAR).min(FAR);
        self.send_h2(request, begun, deadline).await.map(without_hop_by_hop)
    }

    /// Sends a WebSocket handshake over a connection of its own and proves the answer (RFC 6455 section 4.1).
    ///
    /// # Errors
    /// As [`send`](Self::send); also a 101 that does not answer this handshake.
    pub async fn upgrade(&self, outgoing: Box<Outgoing>) -> Result<Upgrade, ForwardError> {
        let begun = Instant::now();
        let key = outgoing
            .request
            .headers()
            .get(header::SEC_WEBSOCKET_KEY)
            .cloned()
            .ok_or(ForwardError::Handshake)?;
        let stream = self.connector.connect(false).await?;
        let deadline = self.answer_deadline(begun);
        let mut connection = H1::over(stream, deadline);
        let response = connection.exchange(&outgoing, deadline).await.map_err(|failure| failure.error)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Upgrade::Declined(without_hop_by_hop(self.answer_h1(response, connection, begun))));
        }
        if !proves_handshake(&key, response.headers()) {
            return Err(ForwardError::Handshake);
        }
        let (stream, already_read) = connection.into_upgraded();
        Ok(Upgrade::Switched(response, stream, already_read))
    }

    async fn send_h1(
        &self,
        outgoing: Box<Outgoing>,
        begun: Instant,
    ) -> Result<Response<UpstreamBody>, ForwardError> {
        let deadline = self.answer_deadline(begun);
        while let Some(mut connection) = self.pool.take() {
            let is_doubtful = begun.saturating_duration_since(connection.rested_at) > FRESH;
            match connection.exchange(&outgoing, deadline).await {
                Ok(response) => return self.no_switch(response, connection, begun),
                Err(Failure { is_unsent: true, .. }) => {}
                Err(Failure { error: error @ ForwardError::FirstByteTimeout, .. }) => return Err(error),
                Err(_) if is_doubtful && outgoing.request.method().is_idempotent() => break,
                Err(Failure { error, .. }) => return Err(error),
            }
        }
        let mut connection = Box::pin(self.open_h1(deadline)).await?;
        match connection.exchange(&outgoing, deadline).await {
            Ok(response) => self.no_switch(response, connection, begun),
            Err(failure) => Err(failure.error),
        }
    }

    async fn open_h1(&self, deadline: Instant) -> Result<Box<H1>, ForwardError> {
        self.pool.keep_swept();
        Ok(H1::over(self.connector.connect(false).await?, deadline))
    }

    async fn send_h2(
        &self,
        mut request: Box<Request<OutStream>>,
        begun: Instant,
        deadline: Instant,
    ) -> Result<Response<UpstreamBody>, ForwardError> {
        // A place may be on a connection that ends at this moment; the request comes back unsent then.
        for _ in 0..3 {
            let place = match self.place(deadline).await? {
                Ok(place) => place,
                Err(mut connection) => {
                    let (parts, body) = request.into_parts();
                    let OutStream::Whole(body) = body else { return Err(ForwardError::Unwritable) };
                    let outgoing = Outgoing::from(Request::from_parts(parts, body));
                    let answer = connection.exchange(&outgoing, deadline).await;
                    let response = answer.map_err(|failure| failure.error)?;
                    return self.no_switch(response, connection, begun);
                }
            };
            request = self.in_absolute_form(request)?;
            match place.exchange(request, deadline).await {
                Ok((response, stream)) => {
                    let limits = self.limits(response.headers(), begun);
                    return Ok(response.map(|incoming| UpstreamBody::h2(incoming, stream, limits)));
                }
                Err(Unanswered { unsent: Some(unsent), .. }) => request = unsent,
                Err(failure) => return Err(failure.error),
            }
        }
        Err(ForwardError::Closed)
    }

    /// A place on an HTTP/2 connection, or an HTTP/1.1 connection where the upstream speaks no HTTP/2.
    async fn place(&self, deadline: Instant) -> Result<Result<Place, Box<H1>>, ForwardError> {
        if let Some(place) = self.pool.multiplexed.place() {
            return Ok(Ok(place));
        }
        let _opening = self.pool.multiplexed.opening.lock().await;
        if let Some(place) = self.pool.multiplexed.place() {
            return Ok(Ok(place));
        }
        self.pool.keep_swept();
        let stream = self.connector.connect(true).await?;
        if self.connector.is_tls() && !stream.is_h2() {
            return Ok(Err(H1::over(stream, deadline)));
        }
        Ok(Ok(self.pool.multiplexed.add(stream).await?))
    }

    /// HTTP/2 names scheme and authority in the target, and has no `Host` (RFC 9113 section 8.3.1).
    fn in_absolute_form(
        &self,
        mut request: Box<Request<OutStream>>,
    ) -> Result<Box<Request<OutStream>>, ForwardError> {
        let host = request.headers_mut().remove(header::HOST);
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        if parts.authority.is_none() {
            let authority = match host {
                Some(host) if host != self.host => Authority::try_from(host.as_bytes()),
                _ => Ok(self.authority.clone()),
            };
            parts.authority = Some(authority.map_err(|_| ForwardError::Unwritable)?);
            parts.scheme = Some(self.scheme.clone());
        }
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| ForwardError::Unwritable)?;
        *request.version_mut() = Version::HTTP_2;
        Ok(request)
    }

    /// An answer of 101 to a request that did not ask for it would turn the connection into something else.
    fn no_switch(
        &self,
        response: Response<()>,
        connection: Box<H1>,
        begun: Instant,
    ) -> Result<Response<UpstreamBody>, ForwardError> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ForwardError::Handshake);
        }
        Ok(self.answer_h1(response, connection, begun))
    }

    fn answer_h1(
        &self,
        response: Response<()>,
        connection: Box<H1>,
        begun: Instant,
    ) -> Response<UpstreamBody> {
        let limits = self.limits(response.headers(), begun);
        response.map(|()| UpstreamBody::h1(connection, Arc::clone(&self.pool), limits))
    }

    fn answer_deadline(&self, begun: Instant) -> Instant {
        let first_byte = begun + self.first_byte_timeout;
        self.total_timeout.map_or(first_byte, |total| first_byte.min(begun + total.min(FAR)))
    }

    fn limits(&self, headers: &HeaderMap, begun: Instant) -> Limits {
        let total = self.total_timeout.filter(|_| !is_event_stream(headers));
        Limits { idle: self.idle_timeout, total: total.map(|total| begun + total.min(FAR)) }
    }

    #[cfg(test)]
    pub(super) fn idle_count(&self) -> usize {
        self.pool.idle_count()
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name).finish_non_exhaustive()
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"text/event-stream";
    let of = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    of.and_then(|value| value.get(..TYPE.len())).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
}

/// Removes what concerns the upstream connection alone (RFC 9110 section 7.6.1), and what only we may say.
fn without_hop_by_hop<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    let mut dropped: SmallVec<[HeaderName; 4]> = SmallVec::new();
    let mut is_coded = false;
    for name in headers.keys() {
        match name.as_str() {
            "connection" => {
                let values = headers.get_all(header::CONNECTION).into_iter();
                dropped.extend(values.flat_map(|value| named(value.as_bytes())));
            }
            "transfer-encoding" => is_coded = true,
            other if is_ours_or_of_the_hop(other) => {}
            _ => continue,
        }
        dropped.push(name.clone());
    }
    for name in &dropped {
        headers.remove(name);
    }
    if is_coded {
        // SMUGGLING: with both, the transfer coding decided the length (RFC 9112 section 6.3).
        headers.remove(header::CONTENT_LENGTH);
    }
    response
}

fn is_ours_or_of_the_hop(name: &str) -> bool {
    matches!(name, "keep-alive" | "proxy-connection" | "proxy-authenticate" | "te" | "upgrade")
        || name.starts_with("x-portcullis-")
}

/// What a value of `Connection` names. Not even an upstream may take away how its answer is read.
fn named(value: &[u8]) -> impl Iterator<Item = HeaderName> {
    let names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let is_option =
        |name: &&[u8]| name.eq_ignore_ascii_case(b"close") || name.eq_ignore_ascii_case(b"keep-alive");
    names
        .filter(move |name| !is_option(name))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE)
}
