//! Invariant: calls of peers and waits end in time, with a true outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::{CallOutcome, Error, QueueOutcome};
use molecule_proto::{QueueId, QueueStatus, Reply, Time};

use super::doubles::peer_of;
use super::{Invariant, KnownSecrets, is_dead, of};
use crate::job::{Ending, JobKind};
use crate::scenario::ScenarioAction;
use crate::trace::{OutcomeRecord, Sight, TraceEvent, Who};
use crate::weather::{Gust, Route};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct CallsEndInTimeAndTruthfully {
    calls: BTreeMap<Who, OpenCall>,
}

/// A call or a wait in progress.
#[derive(Debug, Default)]
struct OpenCall {
    /// The time by which it must have ended.
    ends_by: Time,
    message: Option<String>,
    /// Whether it got an answer that is neither the platform's nor the peer's, or that nobody can decode.
    odd: bool,
    /// Whether its last request was answered.
    answered: bool,
    item: Option<QueueId>,
}

/// The last request has a timeout of at least 1 s; host operations and a cancellation take a moment.
const SLACK: Duration = Duration::from_secs(3);

/// The duration of the last poll.
const LOOK: Duration = Duration::from_secs(1);

impl Invariant for CallsEndInTimeAndTruthfully {
    fn name(&self) -> &'static str {
        "calls end in time and truthfully"
    }

    fn sentence(&self) -> &'static str {
        "a call of a peer ends by its limit, and a wait with the look that its patience allows; what it ends with is so: replied \
         if the peer handled the message and said that, queued if the platform has it in its queue, accepted if it is in the \
         peer's feed, not delivered if no peer handled it, and worth another try only then"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let who = sight.who;
        self.in_time(sight)?;
        match &sight.seen {
            TraceEvent::Began => {
                if let Some(limit) = limit(who.kind) {
                    let agent = &sight.facts.agents[who.agent];
                    let counts_from = sight.at.max(agent.still_until).max(agent.asleep_until);
                    self.calls.insert(who, OpenCall { ends_by: counts_from + limit, ..OpenCall::default() });
                }
            }
            TraceEvent::Asked(ask) => {
                if let Some(call) = self.calls.get_mut(&who) {
                    let about = ask.about.as_ref();
                    call.message = about.and_then(|about| about.message.clone()).or(call.message.take());
                    call.item = call.item.take().or_else(|| item_of(&ask.printed));
                }
            }
            TraceEvent::Landed(landing, _) => {
                if let Some(call) = self.calls.get_mut(&who) {
                    call.landed(landing);
                }
            }
            TraceEvent::Acted(ScenarioAction::Sleep { secs, .. } | ScenarioAction::ClockStands(secs)) => {
                let by = Duration::from_secs((*secs).into());
                self.calls.range_mut(of(who.agent)).for_each(|(_, call)| call.ends_by = call.ends_by + by);
            }
            TraceEvent::Ended(ending) => {
                let Some(call) = self.calls.remove(&who) else { return Ok(()) };
                return match ending {
                    Ending::CallPeer(Ok(outcome)) => call.told(sight, outcome),
                    Ending::CallPeer(Err(error)) => call.failed(sight, error),
                    Ending::WaitQueueItem(Ok(outcome)) => call.waited(sight, outcome),
                    _ => Ok(()),
                };
            }
            TraceEvent::Dropped => drop(self.calls.remove(&who)),
            seen if is_dead(seen) => self.calls.retain(|of, _| of.process != who.process),
            _ => {}
        }
        Ok(())
    }
}

impl CallsEndInTimeAndTruthfully {
    fn in_time(&self, sight: &Sight<'_>) -> Result<(), String> {
        if sight.facts.agents[sight.who.agent].is_odd(sight.at) {
            return Ok(());
        }
        match self.calls.range(of(sight.who.agent)).find(|(_, call)| call.ends_by < sight.at) {
            Some((who, _)) => Err(format!("{:?} {} goes on after its limit", who.kind, who.job)),
            None => Ok(()),
        }
    }
}

impl OpenCall {
    fn landed(&mut self, landing: &OutcomeRecord) {
        let Some(ask) = &landing.ask else { return };
        if !matches!(ask.route, Some(Route::A2a | Route::Direct)) {
            return;
        }
        self.answered = landing.status.is_some();
        self.odd |= matches!(
            ask.gust,
            Some(
                Gust::Page { .. }
                    | Gust::LongPage { .. }
                    | Gust::Framework { .. }
                    | Gust::Echo { .. }
                    | Gust::TooLarge
                    | Gust::Corrupt
            )
        );
    }

    fn told(&self, sight: &Sight<'_>, outcome: &CallOutcome) -> Result<(), String> {
        let (Some(target), Some(message)) = (peer_of(sight.who.kind), &self.message) else {
            // No message was sent: only a peer without a URL allows that.
            let holds = matches!(outcome, CallOutcome::NoUrl { .. });
            return if holds { Ok(()) } else { Err(format!("{outcome}, and nothing was sent")) };
        };
        let peers = sight.facts.peers;
        if self.odd || peers.imitated(target, message) {
            return Ok(());
        }
        let handled = !peers.handled(target, message).is_empty();
        let peer = sight.facts.agents.get(target).map(|agent| &agent.workspace);
        // An agent's own server answers itself, and what its inbox has, without the handler, and says nothing.
        let is_answered_without =
            serves(sight, target) && (target == sight.who.agent || sight.facts.agents[target].setup.handler.is_some());
        let holds = match outcome {
            // April's server passes on the beginning of an answer above its limit, which the simulator makes of zeros.
            CallOutcome::Replied(Reply::Text(text)) if text.starts_with('\0') => handled,
            // The reply is the part of the body that came before the network cut it.
            CallOutcome::Replied(Reply::Text(text)) if is_cut_reply(text, message) => handled,
            CallOutcome::Replied(reply) if reply.texts().is_empty() && serves(sight, target) => {
                handled || is_answered_without
            }
            CallOutcome::Replied(reply) => handled && format!("{reply:?}").contains(&format!("re: {message}")),
            CallOutcome::Queued { queue_id: Some(id), .. } => {
                sight.facts.platform.queue_item(id).is_some_and(|item| Some(&item.workspace_id) == peer)
            }
            CallOutcome::Queued { queue_id: None, .. } | CallOutcome::AnswerLater => false,
            CallOutcome::AcceptedForPoll => peer.is_some_and(|peer| {
                let rows = sight.facts.platform.activity(peer);
                // The feed is deleted with its workspace.
                sight.facts.platform.status(peer).is_none()
                    || rows.iter().any(|row| names(row.request_body.as_ref(), message))
            }),
            CallOutcome::DeliveredReplyLost => handled || is_answered_without,
            CallOutcome::PeerError { .. } => self.answered,
            CallOutcome::Busy { .. } => self.answered,
            CallOutcome::Waking { .. }
            | CallOutcome::NotEnrolled { .. }
            | CallOutcome::OverBudget
            | CallOutcome::Denied { .. }
            | CallOutcome::NotFound
            | CallOutcome::NoUrl { .. }
            | CallOutcome::Unreachable
            | CallOutcome::UnsafeUrl => !handled,
            _ => false,
        };
        if holds { Ok(()) } else { Err(format!("it says: {outcome}; handled: {handled}")) }
    }

    /// Checks an error: a retryable one means that no peer handled the message.
    fn failed(&self, sight: &Sight<'_>, error: &Error) -> Result<(), String> {
        let (Some(target), Some(message)) = (peer_of(sight.who.kind), &self.message) else { return Ok(()) };
        let handled = !sight.facts.peers.handled(target, message).is_empty();
        if error.is_retryable() && handled {
            return Err(format!("agent {target} handled {message}, and the same call may be made again: {error}"));
        }
        if error.message_id() != Some(message.as_str()) {
            return Err(format!("the error does not name message {message}: {error}"));
        }
        Ok(())
    }

    fn waited(&self, sight: &Sight<'_>, outcome: &QueueOutcome) -> Result<(), String> {
        let item = self.item.as_ref().and_then(|id| sight.facts.platform.queue_item(id));
        let status = item.map(|item| item.status.clone());
        let holds = match outcome {
            QueueOutcome::Replied(_)
            | QueueOutcome::PeerError { .. }
            | QueueOutcome::DeliveredReplyLost
            | QueueOutcome::Lost => status == Some(QueueStatus::Completed),
            QueueOutcome::Expired => status == Some(QueueStatus::Queued),
            QueueOutcome::Dropped { .. } => status == Some(QueueStatus::Dropped),
            QueueOutcome::Failed { .. } => status == Some(QueueStatus::Failed),
            _ => false,
        };
        if holds { Ok(()) } else { Err(format!("it waited for {outcome:?}, and the platform says {status:?}")) }
    }
}

fn limit(kind: JobKind) -> Option<Duration> {
    match kind {
        JobKind::CallPeer(call) => Some(Duration::from_secs(call.limit_s.into()) + SLACK),
        JobKind::WaitDelegation(limit_s) | JobKind::WaitQueueItem(limit_s) => {
            Some(Duration::from_secs(limit_s.into()) + LOOK + SLACK)
        }
        _ => None,
    }
}

/// The queue item in the path of a poll.
fn item_of(printed: &str) -> Option<QueueId> {
    let (_, rest) = printed.split_once("/a2a/queue/")?;
    rest.get(..36)?.parse().ok()
}

fn names(body: Option<&serde_json::Value>, message: &str) -> bool {
    body.is_some_and(|body| body["params"]["message"]["messageId"] == message)
}

/// Returns whether a text is the beginning of the JSON reply to this message, cut inside the message's id or before it.
fn is_cut_reply(text: &str, message: &str) -> bool {
    let id = text.split_once("\"re: ").map(|(_, id)| id);
    let is_reply = text.starts_with("{\"id\":") || text.starts_with("{\"jsonrpc\":");
    is_reply && id.is_none_or(|id| message.starts_with(id))
}

/// Returns whether an agent has a server of the SDK.
fn serves(sight: &Sight<'_>, agent: usize) -> bool {
    sight.facts.agents.get(agent).is_some_and(|agent| agent.setup.server.is_some())
}
