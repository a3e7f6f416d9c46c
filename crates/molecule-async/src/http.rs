//! Performs one request: a connection, the answer's head, its body, each under its limit, and the table from hyper's
//! errors to faults.
//!
//! It sends nothing twice and follows no redirect; both are decisions of the machines.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use molecule_core::effect::{Fault, FaultKind, Limits, Phase, Sent};
use molecule_core::{BaseUrl, Result, Transport};
use molecule_host::{Clock, Names};
use tokio::time::Instant;

use crate::body::RequestBody;
use crate::clock::{Wait, timer};
use crate::connection::Connection;
use crate::connector::Connector;
use crate::origin::Origin;
use crate::pool::Pool;
use crate::tls;

/// Longer than any stream is open; tokio's timers take no end of time.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A pool of connections, and how they are opened. Clones share it, so that many agents can use one.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    pool: Arc<Pool>,
    clock: Clock,
}

impl Client {
    /// A client that connects in this way. It needs no runtime. Connections belong to the runtime that opened them, and each runtime
    /// opens its own.
    ///
    /// # Errors
    /// `Config` if a certificate or the proxy's URL makes no sense.
    pub fn new(transport: &Transport) -> Result<Self> {
        Self::with(transport, Names::default())
    }

    /// A client that takes addresses from this function and not from the operating system. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn with_names(
        transport: &Transport,
        names: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::with(transport, Names::given(names))
    }

    fn with(transport: &Transport, names: Names) -> Result<Self> {
        let connector = Connector::new(transport, names)?;
        Ok(Self(Arc::new(Inner { connector, pool: Arc::default(), clock: Clock::start() })))
    }

    /// # Errors
    /// `Config` if this build cannot speak to the platform, or its proxy cannot be used.
    pub(crate) fn check_base_url(&self, base_url: &BaseUrl) -> Result<()> {
        self.0.connector.check(base_url)
    }

    /// Sends a request and reads the whole answer, whatever its status. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> impl Future<Output = Result<Response<Bytes>, Fault>> + Send + use<> {
        let (client, mut asked) = (self.clone(), Asked::new(request, limits));
        async move {
            let mut answer = client.open(&mut asked).await?;
            let body = answer.whole().await?;
            Ok(answer.give_back().map(|()| body))
        }
    }

    /// Sends a request and reads the answer's head.
    pub(crate) async fn open<'a>(&'a self, asked: &'a mut Asked) -> Result<Answer<'a>, Fault> {
        let end = Instant::now() + asked.limits.total;
        asked.origin.set_here();
        loop {
            let mut connection = self.connection(asked, end).await?;
            // A request is a few hundred bytes, so the time to write it counts towards the head limit.
            let head = Wait::new(Phase::Head, asked.limits.head, end, Sent::Maybe);
            let answer = pin!(connection.send(asked.request.take().unwrap_or_default()));
            match connection.wait(head, answer).await.inspect_err(|_| self.0.failed(asked, &connection))? {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let head = Response::from_parts(head, ());
                    return Ok(Answer { head, body, connection, client: &self.0, asked, end });
                }
                // A request that comes back was not written: an idle connection had closed meanwhile. There may be others.
                Err(mut error) => match error.take_message() {
                    unsent @ Some(_) if connection.is_proven => asked.request = unsent,
                    Some(_) => return Err(fault(Sent::No, error.into_error())),
                    None => {
                        self.0.failed(asked, &connection);
                        return Err(fault(Sent::Maybe, error.into_error()));
                    }
                },
            }
        }
    }

    /// A connection to the origin: an idle one that was heard within the limit, or a new one.
    async fn connection(&self, asked: &Asked, end: Instant) -> Result<Connection, Fault> {
        let Asked { origin, limits, .. } = asked;
        if let Some(kept) = self.0.pool.take(origin, self.0.clock.now(), limits.max_idle).await {
            return Ok(kept);
        }
        self.0.pool.watch_runtime();
        // Boxed, since it is rare and large and would be part of every request's future.
        let mut open = Box::pin(self.0.connector.open(origin.uri(), limits.reach));
        let mut connect = Wait::new(Phase::Connect, limits.connect, end, Sent::No);
        let mut timer = timer();
        let opened = poll_fn(|cx| match open.as_mut().poll(cx) {
            Poll::Pending => connect.is_over(cx, &mut timer).map(Err),
            opened => opened,
        });
        opened.await
    }
}

impl Inner {
    /// Closes the idle neighbours of a connection on which a request failed. After a sleep, or a change of the network, all of them may
    /// be dead, and a retry must not meet the next one.
    fn failed(&self, asked: &Asked, connection: &Connection) {
        if connection.is_proven {
            self.pool.forget(&asked.origin);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A request and the origin that it goes to.
pub(crate) struct Asked {
    origin: Origin,
    /// `None` while it is in flight.
    request: Option<Request<RequestBody>>,
    limits: Limits,
}

impl Asked {
    /// The request as HTTP/1 wants it: the path as its target, and a length where a server expects one.
    pub(crate) fn new(request: Request<Bytes>, limits: Limits) -> Self {
        let (mut head, body) = request.into_parts();
        if body.is_empty() && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Self::with_body(Request::from_parts(head, RequestBody::Whole(Full::new(body))), limits)
    }

    /// The same with a body that says its length itself.
    pub(crate) fn with_body(request: Request<RequestBody>, limits: Limits) -> Self {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let origin = Origin::of(mem::replace(&mut head.uri, path.into()), limits.reach);
        Self { origin, request: Some(Request::from_parts(head, body)), limits }
    }
}

/// An answer whose body is still to be read.
pub(crate) struct Answer<'a> {
    head: Response<()>,
    body: Incoming,
    connection: Connection,
    client: &'a Inner,
    asked: &'a Asked,
    end: Instant,
}

impl Answer<'_> {
    pub(crate) fn head(&self) -> &Response<()> {
        &self.head
    }

    /// Reads the body to its end, at most [`Limits::max_body`] bytes.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, Fault> {
        // A single piece, as most answers have, is not copied.
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        // A body whose declared length is too long is refused unread.
        let mut length = self.body.size_hint().lower();
        while length <= self.asked.limits.max_body {
            match self.piece().await? {
                None => return Ok(if all.is_empty() { first } else { all.freeze() }),
                Some(piece) if first.is_empty() => first = piece,
                Some(piece) => {
                    if all.is_empty() {
                        all.extend_from_slice(&first);
                    }
                    all.extend_from_slice(&piece);
                }
            }
            length = length.max(first.len().max(all.len()) as u64);
        }
        Err(Fault::too_large(mem::take(&mut self.head)))
    }

    /// The next piece of the body, within the read limit and the deadline of the whole; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        let Self { body, connection, client, asked, end, .. } = self;
        while !body.is_end_stream() {
            let piece = Wait::new(Phase::Read, asked.limits.read, *end, Sent::Maybe);
            let frame =
                connection.wait(piece, pin!(body.frame())).await.inspect_err(|_| client.failed(asked, connection))?;
            let Some(frame) = frame.transpose().map_err(|error| fault(Sent::Maybe, error))? else { break };
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Has the body outlive the limit of the whole, as a stream does.
    pub(crate) fn has_no_end(&mut self) {
        self.end = Instant::now() + FOREVER;
    }

    /// Closes the connection.
    pub(crate) fn close(self) -> Response<()> {
        self.head
    }

    /// Gives the connection back to the pool, after the answer was read to its end.
    pub(crate) fn give_back(self) -> Response<()> {
        self.client.pool.give(&self.asked.origin, self.connection, self.client.clock.now());
        self.head
    }
}

fn fault(sent: Sent, error: hyper::Error) -> Fault {
    Fault::with_source(sent, kind(&error), error)
}

/// The table from the errors that hyper has on an open connection to kinds of faults.
fn kind(error: &hyper::Error) -> FaultKind {
    match error {
        // An alert after the handshake, also where it came before the request was written.
        error if io_error(error).is_some_and(tls::is_alert) => FaultKind::Tls,
        // The answer is no HTTP, or HTTP/2 unasked, or its head is too long.
        error if error.is_parse() => FaultKind::Protocol,
        // The server closed the connection in the middle of an answer, or instead of one.
        error if error.is_incomplete_message() => FaultKind::Interrupted,
        // The connection was closed before the request was written.
        error if error.is_canceled() => FaultKind::Interrupted,
        // The connection was closed before all was written.
        error if error.is_closed() => FaultKind::Interrupted,
        // The request's body could not be written to its end.
        error if error.is_body_write_aborted() => FaultKind::Interrupted,
        // HTTP/1 cannot carry the request; machines ask for no such one.
        error if error.is_user() => FaultKind::Protocol,
        // The connection was reset or broken, or the body is not framed as its head says.
        error => match io_error(error) {
            Some(cause) if is_framing(cause) => FaultKind::Protocol,
            Some(_) | None => FaultKind::Interrupted,
        },
    }
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// Whether it is hyper's error for a body that is not framed as its head says.
fn is_framing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}
