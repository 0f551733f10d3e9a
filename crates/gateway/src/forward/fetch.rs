//! Fetches small documents, such as an issuer's key set, over the same verified connections.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;

use super::body::BodyError;
use super::connect::Connector;
use super::error::ForwardError;
use super::rules::{TlsClientRules, UpstreamRules, UpstreamRulesError};
use super::upstream::{OutBody, Upstream};
use crate::keys::{self, Fetch};

/// Why a document was not had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL that can be fetched.
    #[error("url cannot be fetched: {0}")]
    Url(#[from] UpstreamRulesError),
    /// Not a URL at all.
    #[error("url is not valid: {0}")]
    Syntax(#[from] http::uri::InvalidUri),
    /// Plain HTTP to another machine, where anyone between could forge the document.
    #[error("plain http is fetched from loopback only")]
    Plain,
    /// The server cannot be reached or broke the exchange.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The document broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Anything but 200; redirects are not followed.
    #[error("server answered {0}")]
    Status(StatusCode),
    /// Longer than the limit.
    #[error("document is longer than {0} bytes")]
    TooLong(usize),
    /// Not all of it came in time.
    #[error("document did not come in time")]
    Timeout,
}

/// Gets documents over TLS, or over plain HTTP from loopback.
#[derive(Debug, Clone)]
pub struct Fetcher {
    tls: TlsClientRules,
    timeout: Duration,
    allows_plain: bool,
}

impl Fetcher {
    /// `timeout` is for the whole document.
    pub fn new(tls: TlsClientRules, timeout: Duration) -> Self {
        Self { tls, timeout, allows_plain: false }
    }

    /// Allows plain HTTP to other machines, for a network that is trusted in writing.
    #[must_use]
    pub fn dangerous_allow_plain(mut self) -> Self {
        self.allows_plain = true;
        self
    }

    async fn fetch(&self, url: &str, limit: usize) -> Result<Bytes, FetchError> {
        let full: Uri = url.parse()?;
        let target = full.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        let mut parts = full.into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        let base = Uri::from_parts(parts).map_err(|_| UpstreamRulesError::Url)?;
        let connector = Connector::compile(&base, &self.tls, false, self.timeout)?;
        if !(connector.is_tls() || connector.is_loopback() || self.allows_plain) {
            return Err(FetchError::Plain);
        }
        let rules = UpstreamRules {
            tls: self.tls.clone(),
            connect_timeout: self.timeout,
            first_byte_timeout: self.timeout,
            // One document now and then is not worth an idle connection.
            max_idle: 0,
            ..UpstreamRules::new("fetch", base)
        };
        let upstream = Upstream::compile(rules)?;
        let mut request = Request::new(OutBody::default());
        *request.uri_mut() = target;
        request.headers_mut().insert(header::HOST, upstream.host.clone());
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let answer = upstream.send(Box::new(request.into())).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = answer.into_body();
        let mut document = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                if document.len() + data.len() > limit {
                    return Err(FetchError::TooLong(limit));
                }
                document.extend_from_slice(&data);
            }
        }
        Ok(document.freeze())
    }
}

impl Fetch for Fetcher {
    fn get<'a>(
        &'a self,
        url: &'a str,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, keys::FetchError>> + Send + 'a>> {
        Box::pin(async move {
            let whole = tokio::time::timeout(self.timeout, self.fetch(url, limit));
            whole.await.unwrap_or(Err(FetchError::Timeout)).map_err(Into::into)
        })
    }
}

impl From<FetchError> for keys::FetchError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Status(status) => Self::Status(status.as_u16()),
            FetchError::TooLong(limit) => Self::TooLarge(limit),
            FetchError::Timeout => Self::TimedOut,
            FetchError::Body(_) => Self::Broken(error.to_string()),
            FetchError::Url(_) | FetchError::Syntax(_) | FetchError::Plain | FetchError::Forward(_) => {
                Self::Unreachable(error.to_string())
            }
        }
    }
}
