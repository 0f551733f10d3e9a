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
    type Future = Answer<H::Body>;

    fn call(&self, request: Request<Incoming>) -> Answer<H::Body> {
        let busy = self.lifetime.begin();
        let future: BoxFuture<H::Body> = match self.lifetime.next_request() {
            None => Box::pin(self.handler.clone().handle(self.peer, request)),
            Some(violation) => {
                let mut response = self.handler.refused(self.peer, violation.reason(), violation.as_str());
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                Box::pin(ready(response))
            }
        };
        Answer { future, busy: Some(busy) }
    }
}

// PERF: boxed, because hyper keeps room for the future as long as the connection lives, busy or idle.
type BoxFuture<B> = Pin<Box<dyn Future<Output = Response<B>> + Send>>;

/// A request being answered.
pub(super) struct Answer<B> {
    future: BoxFuture<B>,
    busy: Option<Busy>,
}

impl<B> Future for Answer<B> {
    type Output = Result<Response<Watched<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.future.as_mut().poll(cx).map(|response| {
            let busy = this.busy.take();
            if let Some(busy) = busy.as_ref().filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS)
            {
                busy.upgrade();
            }
            Ok(response.map(|body| Watched { body, _busy: busy }))
        })
    }
}

/// An answer's body; the request is in flight until it is dropped.
pub(super) struct Watched<B> {
    body: B,
    _busy: Option<Busy>,
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
