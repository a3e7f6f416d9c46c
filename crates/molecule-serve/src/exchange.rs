//! One request and its answer, by hyper.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use molecule_core::machines::Refusal;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::{AnswerBody, close_after};
use crate::body::Pieces;
use crate::budget::Taken;
use crate::connection::Serving;
use crate::connections::Slot;
use crate::service::{Admission, Answer, Service};
use crate::wire::{Course, SharedWire};

/// The most bytes that hyper buffers of a request's body before somebody takes them.
const BODY_BUFFER: usize = 64 * 1024;

/// A connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It can carry another request.
    Open,
    /// It is to be closed, after the other side has read the answer.
    Close,
    /// It is gone, or is to be cut.
    Gone,
}

/// hyper closes the connection of a request whose service fails.
const WITHOUT_ANSWER: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// hyper on one connection. It is kept from one request to the next while they come, since its buffers are large.
pub(crate) type Hyper<'s> = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send + 's>>;

/// Has hyper serve a connection, of which it gets one request at a time.
pub(crate) fn hyper<'s, S: Service>(
    serving: &'s Serving<S>,
    slot: &'s Slot,
    wire: SharedWire,
    from: IpAddr,
) -> Hyper<'s> {
    let course = wire.course();
    let service = service_fn(move |request| answer(serving, slot, Arc::clone(&course), request, from));
    let mut builder = http1::Builder::new();
    // The head was read within its time, and is here as a whole.
    builder.header_read_timeout(None).max_buf_size(BODY_BUFFER.max(serving.limits.head_bytes + 1));
    Box::pin(builder.serve_connection(TokioIo::new(wire), service))
}

/// Has hyper read the request whose head was checked, and write its answer.
pub(crate) async fn exchange(hyper: &mut Hyper<'_>, course: &Course, patience: Duration) -> After {
    let mut stalled = pin!(sleep_until(Instant::now()));
    let mut written = None;
    poll_fn(|cx| {
        if let Poll::Ready(ended) = hyper.as_mut().poll(cx) {
            return Poll::Ready(if ended.is_ok() { After::Close } else { After::Gone });
        }
        if course.is_sent() {
            return Poll::Ready(After::Open);
        }
        if !course.is_taken() {
            return Poll::Pending;
        }
        // An answer that nobody reads is given up.
        loop {
            if written != Some(course.written()) {
                written = Some(course.written());
                stalled.as_mut().reset(Instant::now() + patience);
            }
            if stalled.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if written == Some(course.written()) {
                return Poll::Ready(After::Gone);
            }
        }
    })
    .await
}

async fn answer<S: Service>(
    serving: &Serving<S>,
    slot: &Slot,
    course: Arc<Course>,
    request: Request<Incoming>,
    from: IpAddr,
) -> Result<Response<AnswerBody>, io::Error> {
    let (head, body) = request.into_parts();
    let service = &serving.service;
    // The memory of the body is taken until it is answered: until then somebody holds what was read of it.
    let (answer, memory) = match admit(service, &head, from).await {
        Admission::Answer(answer) => (Answer::Ready(answer), Taken::default()),
        Admission::Cut | Admission::Later(_) => (Answer::Cut, Taken::default()),
        Admission::Call(caller) => match read(serving, body).await {
            Ok((body, memory)) => (service.call(caller, head, body).await, memory),
            Err(refusal) => (Answer::Ready(refusal.answer()), Taken::default()),
        },
        Admission::Other => match read(serving, body).await {
            Ok((body, memory)) => (service.other(head, body).await, memory),
            Err(refusal) => (Answer::Ready(refusal.answer()), Taken::default()),
        },
        Admission::Ingest => {
            let answer = match Pieces::of_form(body, &serving.limits) {
                Ok(pieces) => service.ingest(head, pieces).await,
                Err(refusal) => Answer::Ready(refusal.answer()),
            };
            (answer, Taken::default())
        }
    };
    drop(memory);
    let Answer::Ready(mut answer) = answer else { return Err(WITHOUT_ANSWER.into()) };
    if !course.is_read() || serving.is_draining() || slot.leaves_after_answer() {
        close_after(&mut answer);
    }
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, AnswerBody::new(body, course)))
}

/// Judges a head, again and again while the service cannot. Nothing of its body is read meanwhile.
async fn admit<S: Service>(service: &S, head: &Parts, from: IpAddr) -> Admission<S::Caller> {
    loop {
        match service.admit(head, from) {
            Admission::Later(wait) => sleep(wait).await,
            admission => return admission,
        }
    }
}

async fn read<S: Service>(serving: &Serving<S>, body: Incoming) -> Result<(Bytes, Taken), Refusal> {
    Pieces::of_call(body, &serving.limits)?.whole(&serving.budget).await
}
