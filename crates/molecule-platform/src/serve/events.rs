//! The body of an event stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use super::Shared;
use super::body::Closed;
use crate::answer::Ticket;
use crate::input::Input;
use crate::streams::STREAM_ROOM;

/// The events of a stream, from the room that the server has for them. It ends when its client closes the connection;
/// without its sender it breaks the connection off.
pub(super) struct Events {
    ticket: Ticket,
    room: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
}

impl Events {
    pub(super) fn new(ticket: Ticket, shared: Arc<Shared>) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, room) = mpsc::channel(STREAM_ROOM);
        (sender, Self { ticket, room, shared })
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        let event = ready!(self.room.poll_recv(cx));
        Poll::Ready(Some(event.map(Frame::data).ok_or(Closed)))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.lock().streams.remove(&self.ticket);
        self.shared.run(Input::CloseStream { ticket: self.ticket });
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
