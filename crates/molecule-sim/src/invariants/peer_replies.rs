//! Invariant: replies to peers reach them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::effect::EffectId;
use molecule_core::{Event, ReplyEnd};
use molecule_proto::{ActivityId, Time, WorkspaceId, WorkspaceStatus};

use super::messages::{Answer, Author, message_id, receives, row};
use super::pushed::said;
use super::{Invariant, KnownSecrets};
use crate::agent::Program;
use crate::scenario::ScenarioAction;
use crate::trace::{HandlerSaid, Sight, Taken, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct RepliesReachTheirPeers {
    running: BTreeMap<(usize, EffectId), ActivityId>,
    /// By agent and row: the replies that handlers gave to peers.
    replies: BTreeMap<(usize, ActivityId), Given>,
    /// Agents that had no budget, or were not allowed to call peers, for a while.
    limited: BTreeSet<usize>,
    /// By agent: the messages that its own server has taken, or that its inbox has offered.
    taken: BTreeMap<usize, BTreeSet<String>>,
}

#[derive(Debug)]
struct Given {
    to: WorkspaceId,
    at: Time,
    /// The ids under which it was sent.
    ids: BTreeSet<String>,
    /// Whether the platform is said to have it; `None` before its end.
    is_delivered: Option<bool>,
}

/// The longest wait between two tries of a reply, and some time for the tries.
const ENOUGH: Duration = Duration::from_secs(400);

impl Invariant for RepliesReachTheirPeers {
    fn name(&self) -> &'static str {
        "replies reach their peers"
    }

    fn sentence(&self) -> &'static str {
        "a reply that the handler gave to a peer is in the feed of one that polls, and with the server of one that has a server, while \
         both live long enough, unless another end of it is told"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        match &sight.seen {
            TraceEvent::Offered(id, message) => {
                // The process died before the reply was stored: the handler gives another one.
                self.replies.remove(&(agent, message.id().clone()));
                self.running.insert((process, *id), message.id().clone());
                self.taken.entry(agent).or_default().extend(message.message_id().map(str::to_owned));
            }
            TraceEvent::Landed(landing, taken) => {
                if let Some(id) = self.running.remove(&(process, landing.id))
                    && matches!(landing.said, Some(HandlerSaid::Reply { .. }))
                    && *taken == Taken::Yes
                    && let Some(Author::Peer(to)) = row(sight, &id).and_then(Author::of)
                {
                    let given = Given { to, at: sight.at, ids: BTreeSet::new(), is_delivered: None };
                    self.replies.insert((agent, id), given);
                }
            }
            TraceEvent::Asked(ask) => {
                if let Some(answer) = Answer::of(sight.who.kind, ask)
                    && let Some(given) = self.replies.get_mut(&(agent, answer.row))
                {
                    given.ids.insert(answer.message_id);
                }
            }
            TraceEvent::Told(Event::ReplyEnded { message, end, .. }) => {
                if let Some(given) = self.replies.get_mut(&(agent, message.clone())) {
                    given.is_delivered = Some(*end == ReplyEnd::Delivered);
                }
            }
            TraceEvent::Told(Event::ReplyDropped { message, .. } | Event::DeadLetter { message, .. }) => {
                self.replies.remove(&(agent, message.clone()));
            }
            TraceEvent::Reacted(delivery, reaction) if said(delivery, reaction).is_some() => {
                self.taken.entry(agent).or_default().insert(delivery.message.clone());
            }
            TraceEvent::Acted(ScenarioAction::Broke(true) | ScenarioAction::Muted(true)) => {
                self.limited.insert(agent);
            }
            TraceEvent::Settled if receives(sight, known, &sight.facts.agents[agent], ENOUGH) => {
                return self.judge(sight);
            }
            _ => {}
        }
        Ok(())
    }
}

impl RepliesReachTheirPeers {
    fn judge(&self, sight: &Sight<'_>) -> Result<(), String> {
        let agent = sight.who.agent;
        let given = self.replies.iter().filter(|((of, _), given)| *of == agent && given.at + ENOUGH <= sight.at);
        for ((_, id), given) in given {
            if given.is_delivered == Some(false) || !self.can_have(sight, &given.to) {
                continue;
            }
            let has_it = match self.server_of(sight, &given.to) {
                Some(taken) => given.ids.iter().any(|id| taken.contains(id)),
                None => {
                    let rows = sight.facts.platform.activity(&given.to);
                    rows.iter().any(|row| message_id(row).is_some_and(|id| given.ids.contains(id)))
                }
            };
            if !has_it {
                let told = if given.is_delivered.is_some() { "it is said to be delivered" } else { "nothing said why" };
                return Err(format!("the reply to {id} has not reached {}, and {told}", given.to));
            }
        }
        Ok(())
    }

    /// What an agent with a server has got; `None` for one that polls.
    fn server_of(&self, sight: &Sight<'_>, to: &WorkspaceId) -> Option<&BTreeSet<String>> {
        static NOTHING: BTreeSet<String> = BTreeSet::new();
        let place = sight.facts.agents.iter().position(|agent| agent.workspace == *to)?;
        sight.facts.agents[place].setup.server.as_ref()?;
        Some(self.taken.get(&place).unwrap_or(&NOTHING))
    }

    /// Returns whether whatever is sent from one agent to this workspace must be in its feed.
    fn can_have(&self, sight: &Sight<'_>, to: &WorkspaceId) -> bool {
        let agents = sight.facts.agents;
        let Some(place) = agents.iter().position(|agent| agent.workspace == *to) else { return false };
        let peer = &agents[place];
        let status = sight.facts.platform.status(to);
        !self.limited.contains(&place)
            && !self.limited.contains(&sight.who.agent)
            && (!peer.was_pushed || peer.setup.server.is_some())
            && !peer.was_pruned
            && peer.program == Program::Looping
            && peer.looping_since + ENOUGH <= sight.at
            && matches!(status, Some(WorkspaceStatus::Online | WorkspaceStatus::Degraded))
    }
}
