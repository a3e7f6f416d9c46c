//! Invariant: no message is lost between the push and the feed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::Event;
use molecule_core::effect::{EffectId, FaultKind, Sent};
use molecule_proto::ActivityId;

use super::messages::{Author, is_due, is_well, message_id, rows};
use super::{Invariant, KnownSecrets, is_dead};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NothingIsLostBetween {
    /// The rows that are being offered, and the ids of their messages.
    running: BTreeMap<(usize, EffectId), (ActivityId, Option<String>)>,
    /// By agent: the rows that a handler was called with or that are dead letters, and the ids of such messages.
    rows: BTreeMap<usize, BTreeSet<ActivityId>>,
    ids: BTreeMap<usize, BTreeSet<String>>,
}

/// How long the agent must have been well, and the message visible: the feed is read every five minutes beside the pushes, a row is
/// left to its push for two, and the handlers may be busy.
const ENOUGH: Duration = Duration::from_secs(500);

impl Invariant for NothingIsLostBetween {
    fn name(&self) -> &'static str {
        "nothing is lost between push and feed"
    }

    fn sentence(&self) -> &'static str {
        "every message to an agent that is pushed to and reads its feed as well has its handler called while the agent lives long \
         enough, whichever way it takes, unless its row has an answer"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        let setup = &sight.facts.agents[agent].setup;
        if setup.handler.is_none() || setup.server.is_none() {
            return Ok(());
        }
        match &sight.seen {
            TraceEvent::Offered(id, message) => {
                let named = (message.id().clone(), message.message_id().map(str::to_owned));
                self.running.insert((process, *id), named);
            }
            TraceEvent::Landed(landing, _) => {
                // A handler that could not be called has not had the message.
                let was_called = landing.fault != Some((Sent::No, FaultKind::Handler));
                if let Some(named) = self.running.remove(&(process, landing.id)).filter(|_| was_called) {
                    self.had(agent, named);
                }
            }
            seen if is_dead(seen) => {
                let (left, others) =
                    std::mem::take(&mut self.running).into_iter().partition(|((of, _), _)| *of == process);
                self.running = others;
                let left: BTreeMap<_, _> = left;
                left.into_values().for_each(|named| self.had(agent, named));
            }
            TraceEvent::Told(Event::DeadLetter { message, .. }) => {
                self.rows.entry(agent).or_default().insert(message.clone());
            }
            TraceEvent::Settled if is_well(sight, known, &sight.facts.agents[agent], ENOUGH) => {
                let has = |row: &ActivityId| self.rows.get(&agent).is_some_and(|offered| offered.contains(row));
                let has_id = |id: &str| self.ids.get(&agent).is_some_and(|ids| ids.contains(id));
                let lost = rows(sight).into_iter().find(|row| {
                    Author::of(row).is_some()
                        && is_due(sight, row, ENOUGH)
                        && !has(&row.id)
                        && !message_id(row).is_some_and(has_id)
                        // A file that belongs to a message.
                        && row.method.as_deref() != Some("chat_upload_receive")
                });
                if let Some(row) = lost {
                    let author = Author::of(row);
                    return Err(format!("{} of {author:?}, created at {}, was never offered", row.id, row.created_at));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl NothingIsLostBetween {
    fn had(&mut self, agent: usize, (row, id): (ActivityId, Option<String>)) {
        self.rows.entry(agent).or_default().insert(row);
        self.ids.entry(agent).or_default().extend(id);
    }
}
