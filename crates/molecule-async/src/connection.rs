//! One open connection, which moves while whoever uses it waits for it: it needs no task of its own, and no word between
//! two tasks costs a turn of the runtime.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use molecule_core::effect::{Fault, FaultKind, Sent};
use tokio::io::{AsyncRead, AsyncWrite};

/// What is read of an answer at once. Its head must fit.
const BUFFER: usize = 64 * 1024;

/// HTTP/1 on an open stream. Dropping it closes the stream.
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// hyper's half of it, which reads and writes whenever it is polled; `None` once that has ended. What ended it reaches
    /// the request that it concerns.
    io: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl Connection {
    /// Begins HTTP/1 on a stream.
    pub(crate) async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Fault> {
        let (requests, io) = Builder::new()
            .max_buf_size(BUFFER)
            // Requests are small: head and body go out together, copied into one buffer.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Fault::with_source(Sent::No, FaultKind::Connect, error))?;
        Ok(Self { requests, io: Some(Box::pin(io)) })
    }

    /// Whether it takes a request, as far as the runtime knows what has arrived.
    pub(crate) fn is_open(&mut self) -> bool {
        // Nobody waits for it, and whoever used it last need not be woken for it any more.
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.io.is_some() && self.requests.is_ready()
    }

    /// Sends a request and waits for the answer's head. A request that was not written comes back.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let answer = self.requests.try_send_request(request);
        self.drive(answer).await
    }

    /// The next piece of an answer's body.
    pub(crate) async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        self.drive(body.frame()).await
    }

    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.advance(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(io) = &mut self.io
            && let Poll::Ready(_) = io.as_mut().poll(cx)
        {
            self.io = None;
        }
    }
}
