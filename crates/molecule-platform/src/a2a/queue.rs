//! The queue of messages for busy agents, and their delivery with the agent's next heartbeat (contract section 11;
//! April 7.5).
//!
//! An agent that answers with an error gets a message five times. An agent that cannot be reached is waited for, and the
//! message is dropped with the first try after three minutes of that. A server with a provisioner also has a sweeper,
//! which delivers without a heartbeat; it is not modelled.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use molecule_proto::{
    A2aAnswer, A2aRefusal, DatabaseTime, DelegationId, Dialect, Now, QueueId, QueueItem, QueueStatus, QueuedAnswer,
    RefusalKind, Time, WorkspaceId,
};

use crate::a2a::deliver::{UNREACHABLE, with_retry_after};
use crate::a2a::{Delivery, Envelope, Purpose, Sender, SenderClass};
use crate::inspect::Queued;
use crate::platform::Platform;
use crate::reply::{self, Refusal, Response};

/// The priority of messages from people and agents.
const PRIORITY: i64 = 50;
/// The most attempts to deliver a message.
const ATTEMPTS: u32 = 5;
/// The shortest time between two attempts.
const BETWEEN: Duration = Duration::from_secs(5);
/// The time after which a message to an agent that cannot be reached is dropped.
const SETTLING: Duration = Duration::from_secs(180);
/// The `Retry-After` in seconds for an agent that has its own queue.
const BUSY: u64 = 30;

/// The queued messages, and those that were delivered.
#[derive(Clone, Default)]
pub(crate) struct Queue {
    entries: BTreeMap<QueueId, Entry>,
    counter: u64,
}

#[derive(Clone)]
struct Entry {
    item: QueueItem,
    /// Its position among the entries of the same priority.
    place: u64,
    sender: Sender,
    envelope: Envelope,
    delegation: Option<DelegationId>,
    not_before: Time,
    expires: Option<Time>,
    /// The time of the first try that did not reach the agent.
    unreachable_since: Option<Time>,
}

impl Entry {
    fn is_open(&self) -> bool {
        matches!(self.item.status, QueueStatus::Queued | QueueStatus::Dispatched)
    }

    fn waits_for(&self, target: &WorkspaceId) -> bool {
        self.item.workspace_id == *target && self.item.status == QueueStatus::Queued
    }
}

impl Queue {
    /// The item of a message that is already queued or dispatched.
    fn known(&self, delivery: &Delivery) -> Option<QueueId> {
        let id = delivery.envelope.message_id()?;
        let same = |entry: &&Entry| {
            entry.is_open() && entry.item.workspace_id == delivery.target && entry.envelope.message_id() == Some(id)
        };
        self.entries.values().find(same).map(|entry| entry.item.queue_id.clone())
    }

    fn depth(&self, target: &WorkspaceId) -> u64 {
        self.entries.values().filter(|entry| entry.waits_for(target)).count() as u64
    }

    /// The next message to deliver: the oldest of the highest priority.
    fn next(&self, now: Time, target: &WorkspaceId) -> Option<QueueId> {
        let due = self.entries.values().filter(|entry| {
            let alive = entry.expires.is_none_or(|at| now < at);
            entry.waits_for(target) && entry.not_before <= now && alive
        });
        due.min_by_key(|entry| (-entry.item.priority, entry.place)).map(|entry| entry.item.queue_id.clone())
    }

    /// The items of an agent, oldest first.
    pub(crate) fn of(&self, target: &WorkspaceId) -> Vec<Queued<'_>> {
        let mut entries: Vec<&Entry> =
            self.entries.values().filter(|entry| entry.item.workspace_id == *target).collect();
        entries.sort_by_key(|entry| entry.place);
        let shown = entries.into_iter().map(|entry| Queued {
            item: &entry.item,
            message_id: entry.envelope.message_id(),
            source: entry.sender.source.as_ref(),
        });
        shown.collect()
    }

    /// An item, and the sender of its message.
    pub(crate) fn get(&self, id: &QueueId) -> Option<(&QueueItem, Option<&WorkspaceId>)> {
        self.entries.get(id).map(|entry| (&entry.item, entry.sender.source.as_ref()))
    }
}

impl Platform {
    /// Queues a message for its agent, and returns the answer for its sender. A repeated message keeps its item. A
    /// greeting is not queued.
    pub(super) fn wait_in_queue(&mut self, now: Now, delivery: &Delivery, elapsed_ms: i64) -> Response {
        if delivery.sender.class == SenderClass::Unlogged {
            return Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE).into();
        }
        let row = self.workspaces.get(&delivery.target);
        if self.config.dialect == Dialect::April && row.is_some_and(|row| row.has_own_queue) {
            return busy();
        }
        let id = match self.mail.queue.known(delivery) {
            Some(id) => id,
            None => self.enqueue(now, delivery, PRIORITY),
        };
        if self.config.dialect == Dialect::Current && !matches!(delivery.purpose, Purpose::Drain(_)) {
            let mut row = self.message_row(now, delivery, " (queued: target busy)");
            row.duration_ms = Some(elapsed_ms);
            self.log_and_tell(now, row);
        }
        let answer = QueuedAnswer::new(id, self.mail.queue.depth(&delivery.target));
        reply::plain_json(StatusCode::ACCEPTED, &answer)
    }

    /// Queues a message, which the next heartbeat of its idle agent delivers if no other message comes first.
    pub(crate) fn enqueue(&mut self, now: Now, delivery: &Delivery, priority: i64) -> QueueId {
        let id = self.random.queue_id();
        let mut item = QueueItem::new(id.clone(), delivery.target.clone(), now.unix);
        item.priority = priority;
        let life = delivery.envelope.expires_in().map(Duration::from_secs);
        item.expires_at = life.map(|life| DatabaseTime(now.unix + life));
        let delegation = match &delivery.purpose {
            Purpose::Delegation(id) => Some(id.clone()),
            Purpose::Call(_) | Purpose::Drain(_) | Purpose::Greeting(_) | Purpose::Unanswered => None,
        };
        self.mail.queue.counter += 1;
        let entry = Entry {
            item,
            place: self.mail.queue.counter,
            sender: delivery.sender.clone(),
            envelope: delivery.envelope.clone(),
            delegation,
            not_before: now.mono,
            expires: life.map(|life| now.mono + life),
            unreachable_since: None,
        };
        self.mail.queue.entries.insert(id.clone(), entry);
        id
    }

    /// Delivers one queued message to an agent that is no longer busy.
    pub(crate) fn drain(&mut self, now: Now, target: &WorkspaceId) {
        let Some(id) = self.mail.queue.next(now.mono, target) else { return };
        let Some(entry) = self.mail.queue.entries.get_mut(&id) else { return };
        entry.item.status = QueueStatus::Dispatched;
        entry.item.attempts += 1;
        entry.item.dispatched_at = Some(DatabaseTime(now.unix));
        let delivery = Delivery {
            target: target.clone(),
            sender: entry.sender.clone(),
            envelope: entry.envelope.clone(),
            purpose: Purpose::Drain(id),
        };
        self.send(now, delivery);
    }

    /// Takes the answer to a queued message. If the agent was busy again, the message counts as delivered and is lost.
    pub(super) fn drained(&mut self, now: Now, id: &QueueId, response: &Response) {
        let Some(entry) = self.mail.queue.entries.get_mut(id) else { return };
        if !response.status().is_success() {
            return entry.missed(now, response);
        }
        entry.item.status = QueueStatus::Completed;
        entry.item.completed_at = Some(DatabaseTime(now.unix));
        if matches!(A2aAnswer::read(response.body()), A2aAnswer::Queued(_)) {
            return;
        }
        entry.item.response_body = serde_json::from_slice(response.body()).ok();
        if let Some(delegation) = entry.delegation.clone() {
            self.delegated_late(now, &delegation, response);
        }
    }
}

impl Entry {
    /// Notes a failed attempt, and decides whether there is another one.
    fn missed(&mut self, now: Now, response: &Response) {
        let (error, was_reached) = match A2aAnswer::read(response.body()) {
            A2aAnswer::Refused(refusal) => {
                let kind = refusal.kind(response.status());
                (refusal.error, !matches!(kind, RefusalKind::Unreachable | RefusalKind::NoUrl))
            }
            _ => (response.status().to_string(), true),
        };
        self.item.last_error = Some(error);
        self.item.status = if was_reached {
            if self.item.attempts >= ATTEMPTS { QueueStatus::Failed } else { QueueStatus::Queued }
        } else {
            self.item.attempts = self.item.attempts.saturating_sub(1);
            let since = *self.unreachable_since.get_or_insert(now.mono);
            if now.mono.since(since) >= SETTLING { QueueStatus::Dropped } else { QueueStatus::Queued }
        };
        self.not_before = now.mono + BETWEEN;
    }
}

/// The answer for an agent that reported its own queue.
fn busy() -> Response {
    let mut refusal = A2aRefusal::new("workspace agent busy — retry after a short backoff");
    refusal.busy = Some(true);
    refusal.retry_after = Some(BUSY);
    refusal.native_session = Some(true);
    with_retry_after(reply::json(StatusCode::SERVICE_UNAVAILABLE, &refusal), BUSY)
}
