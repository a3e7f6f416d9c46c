//! The life of a connection: it waits for a request, has it answered, and waits again.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use molecule_core::machines::Refusal;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ServerLimits;
use crate::answer::last_words;
use crate::budget::Budget;
use crate::connections::{Connections, Slot};
use crate::exchange::{After, Hyper, exchange, hyper};
use crate::race::race;
use crate::service::Service;
use crate::tls::Tls;
use crate::wire::{SharedWire, Wire};

/// How long a connection whose end was announced is read from, so that the other side sees the last answer and no reset.
const LINGER: Duration = Duration::from_secs(2);

/// The most bytes that are read from such a connection: what a client has on the way before it sees the answer. One that sends
/// more is cut, for example in a body without end.
const LINGER_BYTES: usize = 1024 * 1024;

/// How long a connection that waits keeps hyper and its buffers.
const KEPT: Duration = Duration::from_secs(1);

const TOO_SLOW: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the head of the request came too slowly");

/// What the connections of one server share.
pub(crate) struct Serving<S> {
    pub(crate) service: S,
    pub(crate) limits: ServerLimits,
    pub(crate) budget: Budget,
    pub(crate) connections: Connections,
    pub(crate) tls: Tls,
    is_draining: AtomicBool,
}

impl<S: Service> Serving<S> {
    pub(crate) fn new(service: S, limits: ServerLimits, tls: Tls) -> Self {
        let budget = Budget::new(limits.body_budget);
        let connections = Connections::new(limits.connections, limits.connections_per_address);
        Self { service, limits, budget, connections, tls, is_draining: AtomicBool::new(false) }
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
    requests(&serving, &slot, SharedWire::new(stream), from).await;
}

async fn requests<S: Service>(serving: &Serving<S>, slot: &Slot, wire: SharedWire, from: IpAddr) {
    let limits = &serving.limits;
    let course = wire.course();
    let mut kept: Option<Hyper<'_>> = None;
    let mut patience = limits.head_time;
    let last_words = loop {
        let is_kept = kept.is_some();
        let wait = if is_kept { patience.min(KEPT) } else { patience };
        match first_byte(slot, &wire, wait).await {
            First::Byte => {}
            First::Late if is_kept && patience > KEPT => {
                // It waits on without hyper's buffers.
                (kept, patience) = (None, patience.saturating_sub(KEPT));
                wire.rest();
                continue;
            }
            // What says nothing is closed without a word.
            First::Late | First::End => {
                drop(kept);
                if let Some(mut wire) = wire.into_wire() {
                    let _ = timeout(LINGER, wire.finish(b"")).await;
                }
                return;
            }
        }
        slot.begins();
        match head(slot, &wire, limits).await {
            Ok(true) => slot.busy(),
            Ok(false) => return,
            Err(refusal) => break last_words(refusal),
        }
        let hyper = kept.get_or_insert_with(|| hyper(serving, slot, wire.clone(), from));
        match exchange(hyper, &course, limits.body_gap).await {
            After::Open if course.is_read() && slot.idle() => patience = limits.idle,
            After::Open | After::Close => break String::new(),
            After::Gone => return,
        }
    };
    drop(kept);
    if let Some(wire) = wire.into_wire() {
        close(slot, wire, last_words.as_bytes()).await;
    }
}

/// Waits for a request. What has come already is served even where the connection has to leave: the platform does not send
/// a message again of which it knows that it was written.
async fn first_byte(slot: &Slot, wire: &SharedWire, patience: Duration) -> First {
    let byte = async { wire.first_byte().await.map_or(First::End, |()| First::Byte) };
    let told_to_leave = async {
        slot.told_to_leave().await;
        First::End
    };
    timeout(patience, race(byte, told_to_leave)).await.unwrap_or(First::Late)
}

/// What comes first on a connection that waits.
enum First {
    Byte,
    /// The connection ends, or has to.
    End,
    /// Nothing in time.
    Late,
}

/// Reads the head of a request, and returns whether there is one.
async fn head(slot: &Slot, wire: &SharedWire, limits: &ServerLimits) -> Result<bool, Refusal> {
    let told_to_leave = async {
        slot.told_to_leave().await;
        Err(TOO_SLOW)
    };
    let read = timeout(limits.head_time, race(wire.read_head(limits.head_bytes), told_to_leave));
    read.await.unwrap_or(Err(TOO_SLOW))
}

/// Closes a connection. A close while bytes are unread would reset it, and the last answer might be lost with it.
async fn close(slot: &Slot, mut wire: Wire, last_words: &[u8]) {
    slot.over();
    let closing = async {
        if wire.finish(last_words).await.is_ok() {
            wire.drain(LINGER_BYTES).await;
        }
    };
    let _ = timeout(LINGER, race(closing, slot.told_to_leave())).await;
}
