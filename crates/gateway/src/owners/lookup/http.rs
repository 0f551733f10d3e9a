//! A lookup over HTTP: one path, and where in its answer the owner is.

use bytes::BytesMut;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::authorize::{Pointer, owner_in};
use smol_str::SmolStr;

use super::{LARGEST, LookupError};
use crate::config::settings;
use crate::forward::{OutBody, Upstream, UpstreamRulesError};

/// What stands for itself in a path segment (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked over HTTP.
#[derive(Debug)]
pub(super) struct HttpSource {
    upstream: Upstream,
    before: Box<str>,
    after: Box<str>,
    owner: Pointer,
}

impl HttpSource {
    /// Compiles; opens no connection.
    pub(super) fn compile(
        upstream: &settings::Upstream,
        path: &str,
        owner: &Pointer,
    ) -> Result<Self, UpstreamRulesError> {
        let (before, after) = path.split_once("{}").unwrap_or((path, ""));
        Ok(Self {
            upstream: Upstream::compile(crate::compile::upstream_rules("lookup", upstream))?,
            before: before.into(),
            after: after.into(),
            owner: owner.clone(),
        })
    }

    /// The owner that the answer names; `None` for 404.
    pub(super) async fn owner(&self, identifier: &str) -> Result<Option<SmolStr>, LookupError> {
        // SMUGGLING: an identifier is one segment, whatever it says.
        if identifier.is_empty() || identifier.bytes().all(|byte| byte == b'.') {
            return Err(LookupError::Identifier);
        }
        let mut target = String::from(self.upstream.base_path());
        target.push_str(&self.before);
        target.extend(utf8_percent_encode(identifier, SEGMENT));
        target.push_str(&self.after);
        let mut request = Request::new(OutBody::default());
        *request.uri_mut() = target.parse().map_err(|_| LookupError::Identifier)?;
        let headers = request.headers_mut();
        self.upstream.sign(headers);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let answer = self.upstream.send(Box::new(request.into())).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            other => return Err(LookupError::Status(other)),
        }
        let mut body = answer.into_body();
        let mut text = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                if text.len() + data.len() > LARGEST {
                    return Err(LookupError::TooLong);
                }
                text.extend_from_slice(&data);
            }
        }
        owner_in(&text, &self.owner).map(Some).ok_or(LookupError::Unreadable)
    }
}
