//! Invariant: no reply to people is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::Event;
use molecule_core::effect::EffectId;
use molecule_proto::{ActivityId, Time};

use super::messages::{Answer, Author, receives, row};
use super::{Invariant, KnownSecrets};
use crate::trace::{HandlerSaid, Sight, Taken, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NoReplyIsLost {
    running: BTreeMap<(usize, EffectId), ActivityId>,
    /// By agent and row: when the handler gave the reply.
    owed: BTreeMap<(usize, ActivityId), Time>,
}

/// The longest wait between two tries of a reply, and the time of a look at the feed.
const ENOUGH: Duration = Duration::from_secs(400);

impl Invariant for NoReplyIsLost {
    fn name(&self) -> &'static str {
        "no reply is lost"
    }

    fn sentence(&self) -> &'static str {
        "a reply that the handler gave to a person or a channel is taken by the platform while the agent lives long enough, or its \
         end is told"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        match &sight.seen {
            TraceEvent::Offered(id, message) => {
                // The process died before the reply was stored: the handler gives another one.
                self.owed.remove(&(agent, message.id().clone()));
                self.running.insert((process, *id), message.id().clone());
            }
            TraceEvent::Landed(landing, taken) => {
                if let Some(id) = self.running.remove(&(process, landing.id))
                    && matches!(landing.said, Some(HandlerSaid::Reply { .. }))
                    && *taken == Taken::Yes
                    && matches!(row(sight, &id).and_then(Author::of), Some(Author::User | Author::Channel(_)))
                {
                    self.owed.insert((agent, id), sight.at);
                }
            }
            // A message is a dead letter whose last attempt has killed the process before its reply was stored.
            TraceEvent::Told(
                Event::ReplyEnded { message, .. }
                | Event::ReplyDropped { message, .. }
                | Event::DeadLetter { message, .. },
            ) => {
                self.owed.remove(&(agent, message.clone()));
            }
            TraceEvent::Answered(ask, status, _) if status.is_success() => {
                if let Some(answer) = Answer::of(sight.who.kind, ask) {
                    self.owed.remove(&(agent, answer.row));
                }
            }
            TraceEvent::Settled if receives(sight, known, &sight.facts.agents[agent], ENOUGH) => {
                let owed = self.owed.iter().find(|((of, _), at)| *of == agent && **at + ENOUGH <= sight.at);
                if let Some(((_, row), _)) = owed {
                    return Err(format!("the reply to {row} reached nobody, and nothing said why"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
