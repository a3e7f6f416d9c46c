//! The connections of a server: it reads a request, applies the rules, asks the platform, and writes the answer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::Shared;
use super::events::Events;
use super::rule::{Action, RuleId};
use crate::answer::Answer;

/// The pause after an error of the listener, such as too many open files.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// Accepts connections until the runtime ends.
pub(super) async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, peer, Arc::clone(&shared)));
            }
            Err(_) => tokio::time::sleep(AFTER_ERROR).await,
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // Small answers are written at once. Otherwise an answer on a reused connection waits for the peer's
    // acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, peer, &shared));
    // An error means that the peer closed the connection, or that a rule did.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The body of an answer: whole, or a stream of events.
type Body = Either<Full<Bytes>, Events>;

/// The error of a connection that is closed on purpose: by a rule, or in the middle of an event stream.
#[derive(Debug)]
pub(super) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn answer(request: Request<Incoming>, peer: SocketAddr, shared: &Arc<Shared>) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let most = shared.lock().platform.most_body(head.uri.path());
    let body = match Limited::new(body, most).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(whole(too_large(most))),
        Err(_) => return Err(Closed),
    };
    let request = Request::from_parts(head, body);
    let (number, rule) = {
        let now = shared.now();
        let mut state = shared.lock();
        (state.log.add(now, peer, &request), state.rules.take(&request))
    };
    shared.changed();
    let response = ruled(request, peer, shared, rule).await?;
    shared.lock().log.answered(number, response.status());
    shared.changed();
    Ok(response)
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| Either::Left(Full::new(body)))
}

/// Applies the rule, or lets the platform answer.
async fn ruled(
    request: Request<Bytes>,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    rule: Option<(RuleId, Action)>,
) -> Result<Response<Body>, Closed> {
    let begin = |request| platform(request, peer, shared);
    match rule {
        None => begin(request).end().await,
        Some((id, Action::Stall)) => {
            released(shared, id).await;
            begin(request).end().await
        }
        Some((id, Action::StallAnswer)) => {
            let response = begin(request).end().await;
            released(shared, id).await;
            response
        }
        Some((_, Action::Delay(delay))) => {
            tokio::time::sleep(delay).await;
            begin(request).end().await
        }
        Some((_, Action::DelayAnswer(delay))) => {
            let response = begin(request).end().await;
            tokio::time::sleep(delay).await;
            response
        }
        Some((_, Action::Answer(response))) => Ok(whole(response)),
        Some((_, Action::CloseBefore)) => Err(Closed),
        Some((_, Action::CloseAfter)) => {
            drop(begin(request));
            Err(Closed)
        }
    }
}

/// A request that the platform has received.
enum Begun {
    Answered(Response<Bytes>),
    Waiting(oneshot::Receiver<Response<Bytes>>),
    Streaming(Response<Events>),
}

impl Begun {
    async fn end(self) -> Result<Response<Body>, Closed> {
        match self {
            Self::Answered(response) => Ok(whole(response)),
            // The sender is dropped without an answer only when the server stops.
            Self::Waiting(answer) => answer.await.map(whole).map_err(|_| Closed),
            Self::Streaming(response) => Ok(response.map(Either::Right)),
        }
    }
}

fn platform(request: Request<Bytes>, peer: SocketAddr, shared: &Arc<Shared>) -> Begun {
    let now = shared.now();
    let begun = {
        let mut state = shared.lock();
        match state.platform.handle(now, Some(peer.ip()), request) {
            Answer::Ready(response) => Begun::Answered(response),
            Answer::Later(ticket) => {
                let (sender, answer) = oneshot::channel();
                state.waiting.insert(ticket, sender);
                Begun::Waiting(answer)
            }
            Answer::Stream(ticket, head) => {
                let (sender, events) = Events::new(ticket, Arc::clone(shared));
                state.streams.insert(ticket, sender);
                Begun::Streaming(head.map(|()| events))
            }
        }
    };
    shared.changed();
    begun
}

/// Waits until a rule is removed.
async fn released(shared: &Shared, id: RuleId) {
    let mut released = shared.released.subscribe();
    while shared.lock().rules.stands(id) {
        // The sender lives as long as the server.
        let _ = released.changed().await;
    }
}

fn too_large(most: usize) -> Response<Bytes> {
    let text = format!(
        "{{\"error\":\"request body exceeds {most} byte limit: A2A body exceeds size limit\",\"truncated\":true,\"max_bytes\":{most}}}"
    );
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}
