//! The open event streams, and the events that they carry (contract section 18.6).
//!
//! The model tells the events that were seen on a running server and that an agent may act on. It is simpler than the
//! server: it tells nothing of approvals, sweeps, hibernation and resumes, nor of the answer to a message from the web
//! interface; and what April's server tells of a person's message beside its row was never seen. An event about a row comes when the row becomes visible, see
//! [`set_rows_late`](crate::Platform::set_rows_late).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use molecule_proto::{ActivityRow, Dialect, Now, Time, UnixTime, WorkspaceId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Ticket, Turn};
use crate::platform::Platform;

/// The number of events for which a stream has room, beyond the buffers of its connection. If its client reads too
/// slowly, further events are lost without a word.
///
/// A driver that writes the chunks of [`Turn::Chunk`] to a client keeps at most this many of them for each stream, and
/// drops the newer ones. [`serve()`](crate::serve()) does.
pub const STREAM_ROOM: usize = 64;

/// The first line of every stream.
const PING: &str = ": ping\n\n";

/// The open streams.
#[derive(Clone, Default)]
pub(crate) struct Streams {
    workspaces: BTreeMap<Ticket, WorkspaceId>,
    tickets: BTreeMap<WorkspaceId, BTreeSet<Ticket>>,
    /// The events of rows that are not visible yet, by the time at which they become visible.
    late: BTreeMap<(Time, u64), (WorkspaceId, Bytes)>,
    /// The number of late events so far, which keeps those of the same time in order.
    counter: u64,
    silent: bool,
}

impl Streams {
    fn open(&mut self, ticket: Ticket, id: WorkspaceId) {
        self.tickets.entry(id.clone()).or_default().insert(ticket);
        self.workspaces.insert(ticket, id);
    }

    fn close(&mut self, ticket: Ticket) {
        let Some(id) = self.workspaces.remove(&ticket) else { return };
        if let Some(tickets) = self.tickets.get_mut(&id) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.tickets.remove(&id);
            }
        }
    }

    /// The instructions that carry an event to each stream of a workspace.
    fn chunks(&self, id: &WorkspaceId, event: &Bytes) -> Vec<Turn> {
        if self.silent {
            return Vec::new();
        }
        let tickets = self.tickets.get(id).into_iter().flatten();
        tickets.map(|ticket| Turn::Chunk(*ticket, event.clone())).collect()
    }
}

/// An event as a stream carries it.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'a str,
    /// Milliseconds since 1970.
    timestamp: i64,
    data: Value,
}

impl Platform {
    /// Opens a stream of a workspace's events; returns its ticket.
    pub(crate) fn open_stream(&mut self, id: WorkspaceId) -> Ticket {
        let ticket = self.mail.ticket();
        self.streams.open(ticket, id);
        self.mail.add_turn(Turn::Chunk(ticket, Bytes::from_static(PING.as_bytes())));
        ticket
    }

    /// Closes an event stream, because its client closed the connection. An unknown ticket changes nothing. Nothing
    /// else ends a stream: not a pause, a rotation, a removal, nor the deletion of the token that opened it.
    pub fn close_stream(&mut self, ticket: Ticket) {
        self.streams.close(ticket);
    }

    /// The number of open event streams of a workspace.
    pub fn open_streams(&self, id: &WorkspaceId) -> usize {
        self.streams.tickets.get(id).map_or(0, BTreeSet::len)
    }

    /// The open event streams of all workspaces.
    pub fn streams(&self) -> impl Iterator<Item = Ticket> + '_ {
        self.streams.workspaces.keys().copied()
    }

    /// Makes the event streams silent, or lets them speak again. A silent stream stays open and loses every event, like
    /// one behind a proxy that buffers it.
    pub fn set_streams_silent(&mut self, silent: bool) {
        self.streams.silent = silent;
    }

    pub(crate) fn has_streams(&self, id: &WorkspaceId) -> bool {
        self.streams.tickets.contains_key(id)
    }

    /// Tells the streams of a workspace about an event. Its data is made only if there is a stream.
    pub(crate) fn emit(&mut self, now: Now, id: &WorkspaceId, about: &str, data: impl FnOnce() -> Value) {
        self.emit_from(now, None, id, about, data);
    }

    /// Tells the streams of a workspace about an event, at once or at a later time.
    pub(crate) fn emit_from(
        &mut self,
        now: Now,
        from: Option<Time>,
        id: &WorkspaceId,
        about: &str,
        data: impl FnOnce() -> Value,
    ) {
        if !self.has_streams(id) {
            return;
        }
        let event = Event { r#type: about, timestamp: millis(now.unix), data: data() };
        let text = serde_json::to_string(&event).expect("an event has text keys and finite numbers");
        let event = Bytes::from(format!("data: {text}\n\n"));
        match from.filter(|from| *from > now.mono) {
            Some(from) => {
                self.streams.counter += 1;
                self.streams.late.insert((from, self.streams.counter), (id.clone(), event));
            }
            None => self.tell(id, &event),
        }
    }

    /// Tells the streams of a workspace about a row of its feed. April's server tells neither the message's id nor its
    /// body.
    pub(crate) fn tell_of_row(&mut self, now: Now, from: Option<Time>, row: &ActivityRow, message_id: Option<&str>) {
        let current = self.config.dialect == Dialect::Current;
        self.emit_from(now, from, &row.workspace_id, "ACTIVITY_LOGGED", || {
            let mut told = json!({
                "activity_type": row.activity_type,
                "duration_ms": row.duration_ms,
                "method": row.method,
                "source_id": row.source_id,
                "status": row.status,
                "summary": row.summary,
                "target_id": row.target_id,
            });
            if current {
                told["request_body"] = json!(row.request_body);
                if let Some(id) = message_id {
                    told["message_id"] = json!(id);
                }
                if let Some(answer) = &row.response_body {
                    told["response_body"] = answer.clone();
                }
            }
            told
        });
    }

    /// Tells the events whose rows have become visible.
    pub(crate) fn settle_streams(&mut self, now: Time) {
        while let Some(entry) = self.streams.late.first_entry().filter(|entry| entry.key().0 <= now) {
            let (id, event) = entry.remove();
            self.tell(&id, &event);
        }
    }

    /// The time at which the next late event is told.
    pub(crate) fn stream_wake(&self) -> Option<Time> {
        self.streams.late.keys().next().map(|(at, _)| *at)
    }

    fn tell(&mut self, id: &WorkspaceId, event: &Bytes) {
        let chunks = self.streams.chunks(id, event);
        chunks.into_iter().for_each(|chunk| self.mail.add_turn(chunk));
    }
}

/// The head of an event stream's answer.
pub(crate) fn head() -> http::Response<()> {
    let mut head = http::Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    head.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    head
}

fn millis(time: UnixTime) -> i64 {
    time.as_secs().saturating_mul(1000).saturating_add(i64::from(time.subsec_nanos() / 1_000_000))
}
