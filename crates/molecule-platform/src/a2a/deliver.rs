//! The delivery of a message, up to the call of its agent (contract section 9.4; April 7.2).

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use molecule_proto::{
    A2aRefusal, AcceptedAnswer, AcceptedMode, ActivityRow, ActivityType, DelegationId, DeliveryMode, Dialect, Now,
    QueueId, Time, WorkspaceId, WorkspaceStatus,
};
use serde_json::json;

use crate::a2a::{Envelope, request};
use crate::answer::Ticket;
use crate::platform::Platform;
use crate::reply::{self, Refusal, Response};
use crate::url_rules;

/// The seconds that a hibernated agent needs to wake.
const WAKING: u64 = 15;

/// A message that is to be delivered to a workspace.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) target: WorkspaceId,
    pub(crate) sender: Sender,
    pub(crate) envelope: Envelope,
    pub(crate) purpose: Purpose,
}

/// The sender of a message.
#[derive(Clone)]
pub(crate) struct Sender {
    /// The source workspace in rows; `None` for everybody but agents.
    pub(crate) source: Option<WorkspaceId>,
    pub(crate) class: SenderClass,
    /// Whether the call may last longer than 30 minutes.
    pub(crate) unbounded: bool,
}

/// The class of a sender, which decides what the feed and the event streams show of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SenderClass {
    Agent,
    /// A person, and what looks like one in the feed: a third party at the inbound door, the platform's turns about
    /// requests, April's schedules.
    Person,
    /// A turn of the platform that is shown as a notice: a nudge, a probe. Its answer is not stored.
    Notice,
    /// A turn of the platform without any row: the first greeting, April's restart context.
    Unlogged,
    /// A channel or a webhook. The current server writes one row, after the delivery; April's writes none.
    Channel,
}

impl SenderClass {
    fn is_logged_first(self) -> bool {
        match self {
            Self::Agent | Self::Person | Self::Notice => true,
            Self::Unlogged | Self::Channel => false,
        }
    }
}

impl Sender {
    /// A sender that is not an agent.
    pub(crate) fn of_class(class: SenderClass) -> Self {
        Self { source: None, class, unbounded: true }
    }
}

/// The use of an agent's answer.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// A request waits for the answer.
    Call(Ticket),
    /// The message was queued for its agent.
    Drain(QueueId),
    /// The message is a delegated task.
    Delegation(DelegationId),
    /// The platform shows the answer to the workspace's user.
    Greeting(WorkspaceId),
    /// Nobody waits for the answer.
    Unanswered,
}

impl Platform {
    /// Sends a message for which no request waits, and processes its answer.
    pub(crate) fn send(&mut self, now: Now, delivery: Delivery) {
        let purpose = delivery.purpose.clone();
        if let Some(response) = self.deliver(now, delivery) {
            self.conclude(now, purpose, response);
        }
    }

    /// Sends a message; returns the answer, or `None` if its agent is being called.
    pub(crate) fn deliver(&mut self, now: Now, delivery: Delivery) -> Option<Response> {
        if let Some(refused) = self.over_budget(&delivery.target) {
            return Some(refused);
        }
        if self.config.dialect == Dialect::Current {
            let row = self.workspaces.get(&delivery.target);
            if row.is_some_and(|row| row.delivery_mode == DeliveryMode::Poll) {
                return Some(self.take_for_poll(now, &delivery));
            }
            self.log_ingest(now, &delivery);
            if let Some(response) = self.asleep_or_awaited(now, &delivery) {
                return Some(response);
            }
        }
        let url = match self.reach(now.mono, &delivery.target) {
            Ok(url) => url,
            Err(response) => return Some(response),
        };
        let secret = match self.secret_for(&delivery.target, &url) {
            Ok(secret) => secret,
            Err(refusal) => return Some(refusal.into()),
        };
        match request::call(&url, secret.as_ref(), delivery.envelope.bytes()) {
            Some(request) => {
                self.take_off(now, delivery, url, request);
                None
            }
            None => Some(Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE).into()),
        }
    }

    /// Logs the message in the feed of a poll agent, whatever the agent's status. Nobody reads the feed of a removed
    /// one. A message from the queue has an answer in its row from the beginning, which is only the platform's own.
    fn take_for_poll(&mut self, now: Now, delivery: &Delivery) -> Response {
        let answer = AcceptedAnswer::new(AcceptedMode::Poll, delivery.envelope.method());
        let drained = matches!(delivery.purpose, Purpose::Drain(_));
        if delivery.sender.class != SenderClass::Unlogged {
            self.log_ingest(now, delivery);
            let suffix = if drained { " (queued turn reply)" } else { " (queued for poll)" };
            let mut row = self.message_row(now, delivery, suffix);
            row.response_body = drained.then(|| json!(answer));
            match delivery.envelope.message_id() {
                Some(id) => {
                    let placeholder = row.response_body.clone();
                    self.log_message(now, id, row);
                    if let Some(first) = self.feed.message(&delivery.target, id) {
                        first.response_body = first.response_body.take().or(placeholder);
                    }
                }
                None => {
                    self.log_and_tell(now, row);
                }
            }
        }
        self.note_outbound(now, delivery);
        reply::plain_json(StatusCode::OK, &answer)
    }

    /// The answer for a target without a URL that hibernates or has not registered yet; `None` for any other target.
    fn asleep_or_awaited(&mut self, now: Now, delivery: &Delivery) -> Option<Response> {
        let row = self.workspaces.get_mut(&delivery.target)?;
        if self.urls.get(now.mono, &row.id).is_some() || !row.url.is_empty() {
            return None;
        }
        match row.status {
            WorkspaceStatus::Hibernated => {
                row.wake(now);
                Some(waking())
            }
            WorkspaceStatus::Provisioning | WorkspaceStatus::AwaitingAgent => {
                Some(self.wait_in_queue(now, delivery, 0))
            }
            _ => None,
        }
    }

    /// The refusal for a workspace that has spent its budget. The periods that the current server names were never
    /// recorded.
    pub(crate) fn over_budget(&self, id: &WorkspaceId) -> Option<Response> {
        let row = self.workspaces.get(id)?;
        if row.reported.monthly_spend < row.budget_limit? {
            return None;
        }
        let mut refusal = A2aRefusal::new("workspace budget limit exceeded");
        refusal.exceeded_periods = (self.config.dialect == Dialect::Current).then(|| json!(["monthly"]));
        Some(reply::json(StatusCode::PAYMENT_REQUIRED, &refusal))
    }

    /// Returns the URL at which a workspace is called, or the answer that says why it cannot be called.
    pub(crate) fn reach(&self, now: Time, id: &WorkspaceId) -> Result<String, Response> {
        let row = self.workspaces.get(id).ok_or(Refusal::not_found("workspace not found"))?;
        // This includes the URL of a removed workspace, because only a pause clears it.
        let stored = Some(row.url.as_str()).filter(|url| !url.is_empty());
        let Some(url) = self.urls.get(now, id).or(stored) else {
            let mut refusal = A2aRefusal::new("workspace has no URL");
            refusal.status = Some(row.status.clone());
            return Err(reply::json(StatusCode::SERVICE_UNAVAILABLE, &refusal));
        };
        if !url_rules::is_dialable(&self.config, url) {
            return Err(Refusal::new(StatusCode::BAD_GATEWAY, "workspace URL is not publicly routable").into());
        }
        Ok(url.to_owned())
    }

    /// The credential with which the platform calls an agent; April's server has none.
    pub(super) fn secret_for(
        &self,
        id: &WorkspaceId,
        url: &str,
    ) -> Result<Option<molecule_proto::InboundSecret>, Refusal> {
        let local = url_rules::is_local_literal(url) && !self.config.bearer_to_local;
        if self.config.dialect == Dialect::April || local {
            return Ok(None);
        }
        let secret = self.workspaces.get(id).and_then(|row| row.inbound_secret.clone());
        let error = "workspace not yet enrolled in inbound auth (RFC #2312)";
        secret.map(Some).ok_or(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))
    }

    /// Logs a message that has an id. The current server does so before it processes the message. The event streams are
    /// told once more about a message without a source, with its text.
    fn log_ingest(&mut self, now: Now, delivery: &Delivery) {
        let class = delivery.sender.class;
        let Some(id) = delivery.envelope.message_id().filter(|_| class.is_logged_first()) else { return };
        let row = self.message_row(now, delivery, " (ingest)");
        self.log_message(now, id, row);
        if class == SenderClass::Agent || delivery.sender.source.is_some() {
            return;
        }
        let from = self.message_visible_from(&delivery.target, id);
        self.emit_from(now, from, &delivery.target, "USER_MESSAGE", || {
            let mut told = json!({"content": delivery.envelope.text(), "message_id": id});
            if class == SenderClass::Notice {
                told["role"] = json!("system");
                told["systemKind"] = json!("notice");
            }
            told
        });
    }

    /// Creates the row of a message in the feed of its target.
    pub(super) fn message_row(&mut self, now: Now, delivery: &Delivery, suffix: &str) -> ActivityRow {
        let name = self.workspaces.get(&delivery.target).map_or("", |row| row.name.as_str());
        let method = delivery.envelope.method();
        let summary = format!("{method} → {name}{suffix}");
        let mut row = self.new_activity(now, &delivery.target, ActivityType::A2aReceive);
        row.source_id.clone_from(&delivery.sender.source);
        row.target_id = Some(delivery.target.clone());
        row.method = Some(method.to_owned());
        row.summary = Some(summary);
        row.request_body = Some(delivery.envelope.value());
        row
    }

    /// Notes the time at which the sender last sent a message to another workspace; the sender's view shows it. No
    /// recording shows that a message to a poll agent counts too.
    pub(super) fn note_outbound(&mut self, now: Now, delivery: &Delivery) {
        let source = delivery.sender.source.as_ref().and_then(|source| self.workspaces.get_mut(source));
        if let Some(row) = source {
            row.last_outbound = Some(now);
        }
    }
}

pub(super) const UNREACHABLE: &str = "failed to reach workspace agent";

/// The answer to the first message, which wakes a hibernated agent. Its text was never recorded.
fn waking() -> Response {
    let mut refusal = A2aRefusal::new("workspace is waking from hibernation — retry shortly");
    refusal.waking = Some(true);
    refusal.retry_after = Some(WAKING);
    with_retry_after(reply::json(StatusCode::SERVICE_UNAVAILABLE, &refusal), WAKING)
}

pub(super) fn with_retry_after(mut response: http::Response<Bytes>, seconds: u64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
