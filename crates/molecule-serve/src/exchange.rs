//! One request and its answer.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use molecule_core::machines::Refusal;
use tokio::time::sleep;

use crate::alarm::Alarm;
use crate::answer::{Ending, says_close, written};
use crate::body::Pieces;
use crate::budget::Taken;
use crate::connection::Serving;
use crate::connections::Slot;
use crate::head::{Framing, Head};
use crate::service::{Admission, Answer, Service};
use crate::wire::Wire;

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

/// One connection, and the server that it belongs to.
pub(crate) struct Line<'c, S> {
    pub(crate) serving: &'c Serving<S>,
    pub(crate) slot: &'c Slot,
    pub(crate) wire: Wire,
    pub(crate) alarm: Alarm,
    pub(crate) from: IpAddr,
}

impl<S: Service> Line<'_, S> {
    /// Reads the rest of the request with this head, and answers it.
    pub(crate) async fn exchange(&mut self, head: Head) -> After {
        let Head { parts, framing, keeps_open, .. } = head;
        let (is_head, version) = (parts.method == Method::HEAD, parts.version);
        let Answer::Ready(answer) = self.answer(parts, framing).await else { return After::Gone };
        let closes = !keeps_open
            || !self.wire.is_read()
            || self.serving.is_draining()
            || self.slot.leaves_after_answer()
            || says_close(&answer);
        let ending = if closes { Ending::Closed } else { Ending::Open(version) };
        let (head, body) = written(answer, is_head, ending, &self.serving.date.now());
        match self.send(head, body).await {
            false => After::Gone,
            true if closes => After::Close,
            true => After::Open,
        }
    }

    async fn answer(&mut self, head: Parts, framing: Framing) -> Answer {
        let service = &self.serving.service;
        // The memory of the body is taken until it is answered: until then somebody holds what was read of it.
        match self.admit(&head).await {
            Admission::Answer(answer) => Answer::Ready(answer),
            Admission::Cut | Admission::Later(_) => Answer::Cut,
            Admission::Call(caller) => match self.read(framing).await {
                Ok((body, _memory)) => self.attended(service.call(caller, head, body)).await,
                Err(refusal) => Answer::Ready(refusal.answer()),
            },
            Admission::Other => match self.read(framing).await {
                Ok((body, _memory)) => self.attended(service.other(head, body)).await,
                Err(refusal) => Answer::Ready(refusal.answer()),
            },
            Admission::Ingest => {
                match Pieces::of_form(&mut self.wire, &mut self.alarm, framing, &self.serving.limits) {
                    Ok(pieces) => service.ingest(head, pieces).await,
                    Err(refusal) => Answer::Ready(refusal.answer()),
                }
            }
        }
    }

    /// Judges a head, again and again while the service cannot. Nothing of its body is read meanwhile.
    async fn admit(&self, head: &Parts) -> Admission<S::Caller> {
        loop {
            match self.serving.service.admit(head, self.from) {
                Admission::Later(wait) => sleep(wait).await,
                admission => return admission,
            }
        }
    }

    async fn read(&mut self, framing: Framing) -> Result<(Bytes, Taken), Refusal> {
        let pieces = Pieces::of_call(&mut self.wire, &mut self.alarm, framing, &self.serving.limits)?;
        pieces.whole(&self.serving.budget).await
    }

    /// Waits for an answer while its caller waits for it, too.
    async fn attended(&mut self, answering: impl Future<Output = Answer>) -> Answer {
        let mut answering = pin!(answering);
        poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => self.wire.poll_hung_up(cx).map(|()| Answer::Cut),
        })
        .await
    }

    /// Writes an answer, and returns whether all of it was taken. One that nobody reads is given up.
    async fn send(&mut self, mut head: Bytes, mut body: Bytes) -> bool {
        let Self { serving, wire, alarm, .. } = self;
        loop {
            let is_last = head.is_empty() && body.is_empty();
            let sending = poll_fn(|cx| wire.poll_send(cx, &mut head, &mut body));
            match alarm.within(serving.limits.body_gap, sending).await {
                Some(Ok(())) if is_last => return true,
                Some(Ok(())) => {}
                Some(Err(_)) | None => return false,
            }
        }
    }
}
