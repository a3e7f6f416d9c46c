//! The connections of a server: it reads a request, applies the rules, asks the platform, and writes the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::Shared;
use super::body::{Body, Closed, half, whole};
use super::events::Events;
use super::front::{Admission, Decision, Fate};
use super::rule::{Action, RuleId};
use crate::answer::Answer;
use crate::input::Input;

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

async fn answer(request: Request<Incoming>, peer: SocketAddr, shared: &Arc<Shared>) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let admission = shared.front.as_ref().map_or(Admission::Admit, |front| front.admit(&head, peer));
    let most = match admission {
        Admission::Admit => shared.lock().platform.most_body(head.uri.path()),
        Admission::AtMost(most) => most,
        Admission::Refuse(response) => return Ok(whole(response)),
    };
    let body = match Limited::new(body, most).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(whole(too_large(most))),
        Err(_) => return Err(Closed),
    };
    let request = Request::from_parts(head, body);
    if let Some(front) = &shared.front {
        return decided(front.decide(request, peer).await, peer, shared).await;
    }
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

/// Does what the front decided.
async fn decided(decision: Decision, peer: SocketAddr, shared: &Arc<Shared>) -> Result<Response<Body>, Closed> {
    match decision {
        Decision::Answer(response) => Ok(whole(response)),
        Decision::Stream(head, body) => Ok(head.map(|()| Body::Stream(body))),
        Decision::Platform(request, conditions) => {
            if !conditions.delay.is_zero() {
                tokio::time::sleep(conditions.delay).await;
            }
            let begun = platform(request, peer, shared, conditions.database_down);
            match conditions.fate {
                Fate::Whole => begun.end().await,
                Fate::Half => begun.end_halved().await,
                Fate::Lost => {
                    drop(begun);
                    Err(Closed)
                }
            }
        }
    }
}

/// Applies the rule, or lets the platform answer.
async fn ruled(
    request: Request<Bytes>,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    rule: Option<(RuleId, Action)>,
) -> Result<Response<Body>, Closed> {
    let begin = |request| platform(request, peer, shared, false);
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
pub(super) enum Begun {
    Answered(Response<Bytes>),
    Waiting(oneshot::Receiver<Response<Bytes>>),
    Streaming(Response<Events>),
}

impl Begun {
    /// An event stream is not halved: it has no length.
    async fn end_halved(self) -> Result<Response<Body>, Closed> {
        match self {
            Self::Answered(response) => Ok(half(response)),
            Self::Waiting(answer) => answer.await.map(half).map_err(|_| Closed),
            Self::Streaming(response) => Ok(response.map(Body::Events)),
        }
    }

    async fn end(self) -> Result<Response<Body>, Closed> {
        match self {
            Self::Answered(response) => Ok(whole(response)),
            // The sender is dropped without an answer only when the server stops.
            Self::Waiting(answer) => answer.await.map(whole).map_err(|_| Closed),
            Self::Streaming(response) => Ok(response.map(Body::Events)),
        }
    }
}

/// Passes a request to the platform, whose database may be unreachable for it.
pub(super) fn platform(request: Request<Bytes>, peer: SocketAddr, shared: &Arc<Shared>, database_down: bool) -> Begun {
    let mut state = shared.lock();
    let database_down = database_down && !state.platform.is_database_down();
    if database_down {
        shared.set_database_down(&mut state, true);
    }
    let step = shared.step(&mut state, Input::Request { peer: Some(peer.ip()), request });
    let begun = match step.answer.expect("a request has an answer") {
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
    };
    shared.execute(&mut state, &step.turns);
    if database_down {
        shared.set_database_down(&mut state, false);
    }
    drop(state);
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
