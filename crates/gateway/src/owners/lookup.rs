//! Another server that knows whose an object is, asked over HTTP and remembered for a while.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::authorize::{Pointer, owner_in};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::config::settings;
use crate::forward::{ForwardError, OutBody, Upstream, UpstreamRulesError};

/// Largest answer that is read.
const LARGEST: usize = 64 << 10;
/// What stands for itself in a path segment (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A compiled lookup.
#[derive(Debug)]
pub struct Lookup {
    upstream: Upstream,
    before: Box<str>,
    after: Box<str>,
    owner: Pointer,
    timeout: Duration,
    ttl: Duration,
    entries: usize,
    known: Mutex<FxHashMap<SmolStr, Entry>>,
}

/// One answer, perhaps still awaited: whoever comes meanwhile waits for the same one.
#[derive(Debug, Clone)]
struct Entry {
    owner: Arc<OnceCell<Option<SmolStr>>>,
    until: Instant,
}

/// Why nobody can say whose an object is.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The server cannot be reached or broke the exchange.
    #[error("lookup: {0}")]
    Forward(#[from] ForwardError),
    /// Its answer broke off.
    #[error("lookup: {0}")]
    Body(#[from] crate::forward::BodyError),
    /// It took too long.
    #[error("lookup: no answer in time")]
    Timeout,
    /// Neither 200 nor 404.
    #[error("lookup: answered {0}")]
    Status(StatusCode),
    /// Longer than is read.
    #[error("lookup: the answer is longer than {LARGEST} bytes")]
    TooLong,
    /// The answer has no owner where one should be.
    #[error("lookup: the answer names no owner")]
    Unreadable,
    /// The identifier has no form in a path.
    #[error("lookup: the identifier has no form in a path")]
    Identifier,
}

impl Lookup {
    /// Compiles; opens no connection.
    pub(crate) fn compile(settings: &settings::Lookup) -> Result<Self, UpstreamRulesError> {
        let (before, after) = settings.path.split_once("{}").unwrap_or((&settings.path, ""));
        Ok(Self {
            upstream: Upstream::compile(crate::compile::upstream_rules("lookup", &settings.upstream))?,
            before: before.into(),
            after: after.into(),
            owner: settings.owner.clone(),
            timeout: settings.timeout,
            ttl: settings.ttl,
            entries: settings.entries,
            known: Mutex::default(),
        })
    }

    /// The owner of an object; `None` where the server knows of no such object.
    ///
    /// # Errors
    /// The server cannot say. That is not remembered.
    pub async fn owner(&self, identifier: &str) -> Result<Option<SmolStr>, LookupError> {
        let cell = self.entry(identifier);
        let whole = tokio::time::timeout(self.timeout, cell.get_or_try_init(|| self.fetch(identifier)));
        whole.await.map_err(|_| LookupError::Timeout)?.cloned()
    }

    fn entry(&self, identifier: &str) -> Arc<OnceCell<Option<SmolStr>>> {
        let now = Instant::now();
        let mut known = self.known.lock();
        if let Some(entry) = known.get(identifier).filter(|entry| entry.until > now) {
            return Arc::clone(&entry.owner);
        }
        if known.len() >= self.entries {
            known.retain(|_, entry| entry.until > now);
        }
        if known.len() >= self.entries
            && let Some(one) = known.keys().next().cloned()
        {
            known.remove(&one);
        }
        let owner = Arc::new(OnceCell::new());
        // An answer that is long in coming is remembered for as much shorter: what is old is never taken for new.
        let entry = Entry { owner: Arc::clone(&owner), until: now + self.ttl };
        known.insert(identifier.into(), entry);
        owner
    }

    async fn fetch(&self, identifier: &str) -> Result<Option<SmolStr>, LookupError> {
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
