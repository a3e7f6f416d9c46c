//! The life of a connection: it waits for a request, has it answered, and waits again.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use molecule_core::machines::Refusal;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ServerLimits;
use crate::alarm::Alarm;
use crate::answer::last_words;
use crate::budget::Budget;
use crate::connections::{Connections, Slot};
use crate::date::Date;
use crate::exchange::{After, Line};
use crate::head::Head;
use crate::race::race;
use crate::service::Service;
use crate::tls::Tls;
use crate::wire::Wire;

/// How long a connection whose end was announced is read from, so that the other side sees the last answer and no reset.
const LINGER: Duration = Duration::from_secs(2);

/// The most bytes that are read from such a connection: what a client has on the way before it sees the answer. One that sends
/// more is cut, for example in a body without end.
const LINGER_BYTES: usize = 1024 * 1024;

const TOO_SLOW: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the head of the request came too slowly");

/// What the connections of one server share.
pub(crate) struct Serving<S> {
    pub(crate) service: S,
    pub(crate) limits: ServerLimits,
    pub(crate) budget: Budget,
    pub(crate) connections: Connections,
    pub(crate) tls: Tls,
    pub(crate) date: Date,
    is_draining: AtomicBool,
}

impl<S: Service> Serving<S> {
    pub(crate) fn new(service: S, limits: ServerLimits, tls: Tls) -> Self {
        let budget = Budget::new(limits.body_budget);
        let connections = Connections::new(limits.connections, limits.connections_per_address);
        Self { service, limits, budget, connections, tls, date: Date::default(), is_draining: AtomicBool::new(false) }
    }

    /// Says with each answer from now on that the connection is closed after it.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve<S: Service>(serving: Arc<Serving<S>>, slot: Slot, stream: TcpStream, from: IpAddr) {
    // Whoever waits for a place is idle: there is no reason to cut it before somebody else needs the room.
    if !slot.is_let_in(serving.limits.idle).await {
        return;
    }
    let Ok(Some(stream)) = timeout(serving.limits.head_time, serving.tls.accept(stream)).await else { return };
    let (wire, alarm) = (Wire::new(stream), Alarm::new());
    Line { serving: &serving, slot: &slot, wire, alarm, from }.requests().await;
}

impl<S: Service> Line<'_, S> {
    async fn requests(mut self) {
        let limits = &self.serving.limits;
        let mut patience = limits.head_time;
        loop {
            if !self.first_byte(patience).await {
                // What says nothing is closed without a word.
                let _ = timeout(LINGER, self.wire.finish(b"")).await;
                return;
            }
            let head = match self.head().await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(refusal) => return self.close(last_words(refusal).as_bytes()).await,
            };
            self.slot.busy();
            match self.exchange(head).await {
                After::Open if self.slot.idle() => patience = limits.idle,
                After::Open | After::Close => return self.close(b"").await,
                After::Gone => return,
            }
        }
    }

    /// Waits for a request; `false` if there is none in time, or the connection ends or has to. What has come already is served
    /// even where the connection has to leave: the platform does not send a message again of which it knows that it was
    /// written.
    async fn first_byte(&mut self, patience: Duration) -> bool {
        let Self { slot, wire, alarm, .. } = self;
        let byte = poll_fn(|cx| match wire.poll_first_byte(cx) {
            Poll::Ready(is_there) => Poll::Ready(is_there),
            Poll::Pending => slot.poll_told_to_leave(cx).map(|()| false),
        });
        alarm.within(patience, byte).await.unwrap_or(false)
    }

    /// Reads the head of a request; `None` if the connection breaks.
    async fn head(&mut self) -> Result<Option<Head>, Refusal> {
        let Self { slot, wire, alarm, serving, .. } = self;
        let limits = &serving.limits;
        let mut has_begun = false;
        let head = poll_fn(|cx| {
            if let Poll::Ready(head) = wire.poll_head(cx, limits.head_bytes) {
                return Poll::Ready(head);
            }
            if !std::mem::replace(&mut has_begun, true) {
                slot.begins();
            }
            slot.poll_told_to_leave(cx).map(|()| Err(TOO_SLOW))
        });
        alarm.within(limits.head_time, head).await.unwrap_or(Err(TOO_SLOW))
    }

    /// Closes the connection. A close while bytes are unread would reset it, and the last answer might be lost with it.
    async fn close(&mut self, last_words: &[u8]) {
        let Self { slot, wire, .. } = self;
        slot.over();
        let closing = async {
            if wire.finish(last_words).await.is_ok() {
                wire.drain(LINGER_BYTES).await;
            }
        };
        let _ = timeout(LINGER, race(closing, slot.told_to_leave())).await;
    }
}
