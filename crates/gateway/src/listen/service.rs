//! Between the protocol and the handler: answers for refused heads, and knows when a request is over.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_core::request::Peer;

use super::Handler;
use super::lifetime::{Busy, Lifetime};

/// Serves one connection.
pub(super) struct Service<H> {
    pub(super) handler: H,
    pub(super) peer: Peer,
    pub(super) lifetime: Arc<Lifetime>,
}

impl<H: Handler> hyper::service::Service<Request<Incoming>> for Service<H> {
    type Response = Response<Watched<H::Body>>;
    type Error = Infallible;
    // PERF: boxed, because hyper keeps room for the future as long as the connection lives, busy or idle.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let busy = self.lifetime.begin();
        if let Some(violation) = self.lifetime.next_request() {
            let mut response = self.handler.refused(self.peer, violation.reason(), violation.as_str());
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Box::pin(ready(Ok(response.map(|body| Watched { body, _busy: busy }))));
        }
        let lifetime = Arc::clone(&self.lifetime);
        let (handler, peer) = (self.handler.clone(), self.peer);
        Box::pin(async move {
            let response = handler.handle(peer, request).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                lifetime.upgrade();
            }
            Ok(response.map(|body| Watched { body, _busy: busy }))
        })
    }
}

/// An answer's body; the request is in flight until it is dropped.
pub(super) struct Watched<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
