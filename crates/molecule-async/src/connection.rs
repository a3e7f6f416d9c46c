//! One open connection, which moves while whoever uses it waits for it: it needs no task of its own, and no word between
//! two tasks costs a turn of the runtime.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use molecule_core::effect::{Fault, FaultKind, Sent};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::{Timer, Wait, timer};

/// What is read of an answer at once. Its head must fit.
const BUFFER: usize = 64 * 1024;

/// HTTP/1 on an open stream. Dropping it closes the stream.
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// What its requests say in `Host`.
    host: Option<HeaderValue>,
    /// hyper's half of it, which reads and writes whenever it is polled; `None` once that has ended. What ended it reaches
    /// the request that it concerns.
    io: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    timer: Timer,
    /// Whether it took a request after its first, so that its other end keeps connections at all.
    pub(crate) is_proven: bool,
}

impl Connection {
    /// Begins HTTP/1 on a stream to the origin of this URL.
    pub(crate) async fn speak(
        uri: &Uri,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Fault> {
        let (requests, io) = Builder::new()
            .max_buf_size(BUFFER)
            // Requests are small: head and body go out together, copied into one buffer.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Fault::with_source(Sent::No, FaultKind::Connect, error))?;
        let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        Ok(Self { requests, host, io: Some(Box::pin(io)), timer: timer(), is_proven: false })
    }

    /// Whether it takes a request, as far as the runtime knows what has arrived.
    pub(crate) fn is_open(&mut self) -> bool {
        // Nobody waits for it, and whoever used it last is not to be woken by the next request.
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.is_ready()
    }

    /// Whether it takes a request, as far as was seen when it moved last. It looks for a close again before it writes: a
    /// request that meets one comes back.
    pub(crate) fn is_ready(&self) -> bool {
        self.io.is_some() && self.requests.is_ready()
    }

    /// Sends a request, for an answer's head to [`wait`](Self::wait) for. A request that was not written comes back.
    pub(crate) fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>> + Send + use<> {
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        self.requests.try_send_request(request)
    }

    /// Waits for what is to come from the connection, which moves meanwhile: an answer's head, or a piece of its body.
    pub(crate) fn wait<F: Future>(
        &mut self,
        mut wait: Wait,
        mut work: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Fault>> {
        poll_fn(move |cx| {
            // It may be there already.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.advance(cx);
            match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Ok(done)),
                Poll::Pending => wait.is_over(cx, &mut self.timer).map(Err),
            }
        })
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(io) = &mut self.io
            && let Poll::Ready(_) = io.as_mut().poll(cx)
        {
            self.io = None;
        }
    }
}
