//! One open connection. It is polled by the request that uses it, and not by a task of its own, so that no message between two tasks
//! costs a turn of the runtime.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use molecule_core::effect::{Fault, FaultKind, Sent};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::RequestBody;
use crate::clock::{Timer, Wait, timer};

/// The size of the read buffer. An answer's head must fit.
const BUFFER: usize = 64 * 1024;

/// HTTP/1 on an open stream. Dropping it closes the stream.
pub(crate) struct Connection {
    requests: SendRequest<RequestBody>,
    /// The `Host` of its requests.
    host: Option<HeaderValue>,
    /// hyper's half of the connection, which reads and writes when it is polled; `None` once it has ended. Its error reaches the
    /// request that it concerns.
    io: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    timer: Timer,
    /// Whether it served a second request, which shows that the server keeps connections.
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
            // Requests are small, so head and body are copied into one buffer and written together.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Fault::with_source(Sent::No, FaultKind::Connect, error))?;
        let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        Ok(Self { requests, host, io: Some(Box::pin(io)), timer: timer(), is_proven: false })
    }

    /// Polls the connection, and returns whether it takes a request.
    pub(crate) fn is_open(&mut self) -> bool {
        // No task waits, and the one that used it last must not be woken by the next request.
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.is_ready()
    }

    /// Whether it took requests when it was last polled. hyper looks for a close again before it writes, and gives the request back
    /// then.
    pub(crate) fn is_ready(&self) -> bool {
        self.io.is_some() && self.requests.is_ready()
    }

    /// Sends a request; the head of its answer is to be [waited](Self::wait) for. A request that was not written comes back.
    pub(crate) fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + Send + use<> {
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        self.requests.try_send_request(request)
    }

    /// Waits for an answer's head or a piece of its body, and polls the connection meanwhile.
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
