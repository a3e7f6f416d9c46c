//! Invariant: a peer gets no message and no delegation twice.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::Sent;

use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::peers::By;
use crate::trace::{About, OutcomeRecord, RequestRecord, Sight, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NoDoubles {
    /// By call: its message, and the outcome of the last request that may have been handled.
    calls: BTreeMap<Who, SentMessage>,
    /// The sending machine of each message.
    senders: BTreeMap<String, Who>,
    /// The delegation of each call.
    delegations: BTreeMap<Who, SentDelegation>,
}

#[derive(Debug)]
struct SentMessage {
    id: String,
    body: bytes::Bytes,
    maybe: Option<String>,
}

#[derive(Debug)]
struct SentDelegation {
    key: String,
    task: String,
    /// The ids of the delegations that the platform created.
    made: BTreeSet<String>,
}

impl Invariant for NoDoubles {
    fn name(&self) -> &'static str {
        "no doubles"
    }

    fn sentence(&self) -> &'static str {
        "a message goes out again, unchanged, only after what certainly left it unhandled, and no peer handles one twice because \
         of its sender; a delegation keeps its key however often it is sent, and the platform makes one of it"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let who = sight.who;
        match &sight.seen {
            TraceEvent::Asked(ask) => match (ask.route, &ask.about) {
                // Replies have an invariant of their own: a peer may get the same message twice, under one id.
                (Some(Route::A2a), Some(_)) if is_reply(who) => Ok(()),
                (Some(Route::A2a | Route::Direct), Some(about)) => self.sends(who, ask, about),
                (Some(Route::Delegate), Some(about)) => self.delegates(who, about),
                _ => Ok(()),
            },
            TraceEvent::Landed(landing, _) => {
                if let Some(message) = self.calls.get_mut(&who)
                    && may_be_handled(landing)
                {
                    message.maybe = Some(landing.printed.clone());
                }
                Ok(())
            }
            TraceEvent::Reached(reached) if reached.handled => {
                let handled = sight.facts.peers.handled(reached.target, &reached.message);
                let ours = handled
                    .iter()
                    .filter(|by| matches!(by, By::Direct(who) | By::Relayed(who) if !is_reply(*who)))
                    .count();
                if ours > 1 {
                    return Err(format!(
                        "agent {} handled message {} twice: {handled:?}",
                        reached.target, reached.message
                    ));
                }
                Ok(())
            }
            TraceEvent::Answered(ask, ..) if ask.route == Some(Route::Delegate) => self.made_one(sight),
            seen if is_dead(seen) => {
                self.calls.retain(|of, _| of.process != who.process);
                self.delegations.retain(|of, _| of.process != who.process);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl NoDoubles {
    fn sends(&mut self, who: Who, ask: &RequestRecord, about: &About) -> Result<(), String> {
        let id = about.message.clone().unwrap_or_default();
        let body = about.request.body().clone();
        if *self.senders.entry(id.clone()).or_insert(who) != who {
            return Err(format!("message {id} was another call's"));
        }
        let Some(before) = self.calls.get(&who) else {
            self.calls.insert(who, SentMessage { id, body, maybe: None });
            return Ok(());
        };
        if before.id != id || before.body != body {
            return Err(format!("one call sends message {id}, and before it sent {}", before.id));
        }
        match &before.maybe {
            Some(became) => Err(format!("{} again, after {became}", ask.printed)),
            None => Ok(()),
        }
    }

    fn delegates(&mut self, who: Who, about: &About) -> Result<(), String> {
        let Some((key, task)) = &about.delegation else { return Ok(()) };
        let first = || SentDelegation { key: key.clone(), task: task.clone(), made: BTreeSet::new() };
        let first = self.delegations.entry(who).or_insert_with(first);
        if first.key != *key || first.task != *task || key.is_empty() {
            return Err(format!("a delegation under the key {key:?}, and before it was {:?}", first.key));
        }
        Ok(())
    }

    /// Checks that the platform created one delegation. A failed one releases its key, so that the next request creates
    /// another.
    fn made_one(&mut self, sight: &Sight<'_>) -> Result<(), String> {
        let Some(delegation) = self.delegations.get_mut(&sight.who) else { return Ok(()) };
        let source = &sight.facts.agents[sight.who.agent].workspace;
        let mut failed = 0;
        for row in sight.facts.platform.activity(source) {
            failed += usize::from(row.method.as_deref() == Some("delegate_result") && row.status == "failed");
            let Some(body) = &row.request_body else { continue };
            if let Some(id) = body["delegation_id"].as_str().filter(|_| body["task"] == delegation.task.as_str()) {
                delegation.made.insert(id.to_owned());
            }
        }
        match delegation.made.len() {
            made if made > 1 + failed => Err(format!("the platform made {made} delegations of one")),
            _ => Ok(()),
        }
    }
}

/// Returns whether the messages of a machine are replies.
fn is_reply(who: Who) -> bool {
    matches!(who.kind, JobKind::Run | JobKind::ReplyTo)
}

/// Returns whether somebody may have handled the message of a request with this outcome. Nobody has if the request was
/// never sent, if the called peer refused it at once, or if the platform itself refused it; nobody else's refusal
/// counts.
fn may_be_handled(landing: &OutcomeRecord) -> bool {
    let direct = match landing.ask.as_ref().and_then(|ask| ask.route) {
        Some(Route::Direct) => true,
        Some(Route::A2a) => false,
        _ => return false,
    };
    match (landing.status.map(|status| status.as_u16()), landing.fault) {
        (Some(401 | 403 | 404 | 405), _) if direct => false,
        (Some(_), _) if direct => true,
        (Some(401 | 429), _) if landing.is_about_the_agent() => false,
        (Some(503), _) => !landing.unavailable,
        (Some(_), _) => true,
        (None, Some((sent, _))) => sent == Sent::Maybe,
        (None, None) => false,
    }
}

/// The index of the called agent.
pub(super) fn peer_of(kind: JobKind) -> Option<usize> {
    match kind {
        JobKind::CallPeer(call) => Some(call.to.into()),
        _ => None,
    }
}
