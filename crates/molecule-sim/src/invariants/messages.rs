//! Which rows of a feed are messages for an agent, and what its handler did with them, read without the code that is
//! judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::Event;
use molecule_core::effect::EffectId;
use molecule_core::machine::Now;
use molecule_proto::{ActivityId, ActivityRow, ActivityType, Time, WorkspaceId, WorkspaceStatus};
use serde_json::Value;

use super::{KnownSecrets, is_dead};
use crate::agent::{Agent, Program};
use crate::clock::platform_now;
use crate::job::JobKind;
use crate::scenario::Mood;
use crate::trace::{RequestRecord, Sight, Taken, TraceEvent};
use crate::weather::Route;

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Author {
    User,
    Peer(WorkspaceId),
    /// A chat in a channel.
    Channel(String),
    Webhook,
    Platform,
}

impl Author {
    /// Who wrote the message in a row; `None` if the row is no message for its agent.
    pub(super) fn of(row: &ActivityRow) -> Option<Self> {
        match row.activity_type {
            ActivityType::BroadcastReceive => return Some(Self::Platform),
            ActivityType::A2aReceive => {}
            _ => return None,
        }
        if row.source_id.as_ref() == Some(&row.workspace_id) {
            return None;
        }
        let body = row.request_body.as_ref()?;
        if row.method.as_deref() == Some("chat_upload_receive") {
            return Some(Self::User);
        }
        let is_busy = row.summary.as_deref().is_some_and(|summary| summary.ends_with("(queued: target busy)"));
        // An agent's own server says nothing in the answer if its inbox has the message.
        let says_nothing = |answer: &Value| answer["result"]["parts"].as_array().is_some_and(Vec::is_empty);
        let is_refusal =
            |answer: &Value| row.seq.is_some() && answer["error"].is_string() && answer["jsonrpc"].is_null();
        let is_answer = |answer: &&Value| answer["status"] != "queued" && !says_nothing(answer) && !is_refusal(answer);
        let answer = row.response_body.as_ref().filter(is_answer);
        if row.method.as_deref() != Some("message/send") || is_busy || (answer.is_some() && row.status != "error") {
            return None;
        }
        let (around, message) = (&body["params"]["metadata"], body["params"]["message"].as_object()?);
        if let Some(source) = &row.source_id {
            return Some(Self::Peer(source.clone()));
        }
        let id = message.get("messageId").and_then(Value::as_str).unwrap_or_default();
        if around["source"] == "canvas_user" {
            return Some(Self::User);
        }
        let turns = ["inbox-nudge-", "stall-probe-", "request-", "cron-"];
        if message.get("metadata").is_some_and(|inside| inside["source"] == "platform")
            || turns.iter().any(|turn| id.starts_with(turn))
        {
            return Some(Self::Platform);
        }
        if around["source"] == "github" {
            return Some(Self::Webhook);
        }
        if id.starts_with("channel-") {
            return Some(Self::Channel(around["chat_id"].as_str().unwrap_or_default().to_owned()));
        }
        Some(Self::User)
    }

    pub(super) fn may_be_answered(&self) -> bool {
        matches!(self, Self::User | Self::Peer(_) | Self::Channel(_))
    }
}

/// The id of the message in a row.
pub(super) fn message_id(row: &ActivityRow) -> Option<&str> {
    row.request_body.as_ref()?["params"]["message"]["messageId"].as_str()
}

/// The metadata of the message in a row.
pub(super) fn metadata(row: &ActivityRow) -> &Value {
    row.request_body.as_ref().map_or(&Value::Null, |body| &body["params"]["message"]["metadata"])
}

/// The row of an agent's feed with this id.
pub(super) fn row<'a>(sight: &Sight<'a>, id: &ActivityId) -> Option<&'a ActivityRow> {
    rows(sight).into_iter().find(|row| row.id == *id)
}

/// The rows of an agent's feed, the newest first.
pub(super) fn rows<'a>(sight: &Sight<'a>) -> Vec<&'a ActivityRow> {
    sight.facts.platform.activity(&sight.facts.agents[sight.who.agent].workspace)
}

/// The time from which readers see a row.
pub(super) fn visible_from(sight: &Sight<'_>, row: &ActivityRow) -> Time {
    let age = platform_now(sight.at).unix.since(row.created_at);
    let created =
        Time::from_nanos(sight.at.as_nanos().saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)));
    sight.facts.platform.activity_visible_from(row).unwrap_or(created)
}

/// Returns whether the agent must have seen a row: it is younger than the backlog of a first start, and older than `age`.
pub(super) fn is_due(sight: &Sight<'_>, row: &ActivityRow, age: Duration) -> bool {
    let Now { unix, .. } = platform_now(sight.at);
    let is_recent = unix.since(row.created_at) < Duration::from_secs(23 * 3600);
    is_recent && visible_from(sight, row) + age <= sight.at
}

/// Returns whether an agent receives every message through its feed, and had all that it needs for that since `time`.
pub(super) fn receives(sight: &Sight<'_>, known: &KnownSecrets, agent: &Agent, time: Duration) -> bool {
    agent.setup.handler.is_some() && !agent.was_pushed && is_well(sight, known, agent, time)
}

/// Returns whether an agent's loop had all that it needs since `time`.
pub(super) fn is_well(sight: &Sight<'_>, known: &KnownSecrets, agent: &Agent, time: Duration) -> bool {
    let status = sight.facts.platform.status(&agent.workspace);
    !sight.facts.is_limited
        && agent.program == Program::Looping
        && agent.looping_since + time <= sight.at
        && agent.disk.mood() == Mood::Fine
        && !agent.is_odd(sight.at)
        && matches!(status, Some(WorkspaceStatus::Online | WorkspaceStatus::Degraded))
        && known.has_live_token(&sight.facts, agent, sight.who.process)
}

/// A request that carries a reply.
#[derive(Debug)]
pub(super) struct Answer {
    /// The row that it answers.
    pub(super) row: ActivityId,
    pub(super) text: String,
    /// The peer that gets it; `None` for the people.
    pub(super) to: Option<WorkspaceId>,
    pub(super) message_id: String,
    pub(super) in_reply_to: String,
}

impl Answer {
    /// Reads a request of a loop, or of an application that replies.
    pub(super) fn of(kind: JobKind, ask: &RequestRecord) -> Option<Self> {
        if !matches!(kind, JobKind::Run | JobKind::ReplyTo) {
            return None;
        }
        let about = ask.about.as_ref()?;
        let body: Value = serde_json::from_slice(about.request.body()).ok()?;
        let message = &body["params"]["message"];
        let text = match ask.route? {
            Route::A2a => &message["parts"][0]["text"],
            Route::Notify => &body["message"],
            _ => return None,
        };
        let text = text.as_str()?.to_owned();
        let row = text.strip_prefix("re: ")?.parse().ok()?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(Self {
            row,
            text,
            to: about.target.clone(),
            message_id: word(&message["messageId"]),
            in_reply_to: word(&message["metadata"]["molecule.in_reply_to"]),
        })
    }
}

/// What the handlers of all agents did.
#[derive(Debug, Default)]
pub(super) struct HandlerLog {
    running: BTreeMap<(usize, EffectId), (ActivityId, Option<String>)>,
    /// By agent: the rows that were handled, or are dead letters.
    done: BTreeMap<usize, BTreeSet<ActivityId>>,
    /// By agent: the ids of those messages. April's server writes a row for each time that a message was sent.
    ids: BTreeMap<usize, BTreeSet<String>>,
}

impl HandlerLog {
    pub(super) fn see(&mut self, sight: &Sight<'_>) {
        let agent = sight.who.agent;
        match &sight.seen {
            TraceEvent::Offered(id, message) => {
                let named = (message.id().clone(), message.message_id().map(str::to_owned));
                self.running.insert((sight.who.process, *id), named);
            }
            TraceEvent::Landed(landing, taken) => {
                if let Some((row, id)) = self.running.remove(&(sight.who.process, landing.id))
                    && landing.said.is_some()
                    && *taken == Taken::Yes
                {
                    self.done.entry(agent).or_default().insert(row);
                    self.ids.entry(agent).or_default().extend(id);
                }
            }
            TraceEvent::Told(Event::DeadLetter { message, .. }) => {
                self.done.entry(agent).or_default().insert(message.clone());
                let id = row(sight, message).and_then(message_id).map(str::to_owned);
                self.ids.entry(agent).or_default().extend(id);
            }
            seen if is_dead(seen) => self.running.retain(|(process, _), _| *process != sight.who.process),
            _ => {}
        }
    }

    /// Returns whether a message was handled, or is a dead letter.
    pub(super) fn has_handled(&self, agent: usize, id: &str) -> bool {
        self.ids.get(&agent).is_some_and(|ids| ids.contains(id))
    }

    pub(super) fn is_done(&self, agent: usize, row: &ActivityRow) -> bool {
        self.done.get(&agent).is_some_and(|done| done.contains(&row.id))
            || message_id(row).is_some_and(|id| self.ids.get(&agent).is_some_and(|ids| ids.contains(id)))
    }
}
