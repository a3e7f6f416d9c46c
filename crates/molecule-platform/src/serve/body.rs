//! The bodies of a server's answers.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::events::Events;

/// The body of an answer.
pub(super) enum Body {
    /// All of it.
    Whole(Full<Bytes>),
    /// The first part of it, after which the connection is broken off.
    Part(Part),
    /// The platform's event stream.
    Events(Events),
    /// A stream of the front, which ends with its sender.
    Stream(mpsc::Receiver<Bytes>),
}

/// What is still to do for a body that is broken off. The pause lets the connection write the bytes before it ends.
pub(super) enum Part {
    Write(Bytes),
    Pause,
    Break,
}

/// The error of a connection that is closed on purpose: by a rule, by the front, or in the middle of an event stream.
#[derive(Debug)]
pub(super) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

/// An answer with its whole body.
pub(super) fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| Body::Whole(Full::new(body)))
}

/// An answer whose head states the whole length, and whose body is broken off in its middle.
pub(super) fn half(response: Response<Bytes>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let first = body.slice(..body.len() / 2);
    Response::from_parts(head, Body::Part(Part::Write(first)))
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        match &mut *self {
            Self::Whole(full) => {
                let frame = ready!(Pin::new(full).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never: Infallible| match never {})))
            }
            Self::Part(part) => match std::mem::replace(part, Part::Break) {
                Part::Write(bytes) => {
                    *part = Part::Pause;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                Part::Pause => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Part::Break => Poll::Ready(Some(Err(Closed))),
            },
            Self::Events(events) => Pin::new(events).poll_frame(cx),
            Self::Stream(stream) => Poll::Ready(ready!(stream.poll_recv(cx)).map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Part(_) | Self::Events(_) | Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Part(_) | Self::Events(_) | Self::Stream(_) => SizeHint::default(),
        }
    }
}
