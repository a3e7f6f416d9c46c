//! Invariant: no message is lost between the push and the feed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::Event;
use molecule_proto::ActivityId;

use super::messages::{Author, is_due, is_well, message_id, rows};
use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NothingIsLostBetween {
    /// By agent: the rows that were offered or are dead letters, and the ids of messages that were offered.
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
        "every message to an agent that is pushed to and reads its feed as well is offered to the handler while the agent lives long \
         enough, whichever way it takes, unless its row has an answer"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let agent = sight.who.agent;
        let setup = &sight.facts.agents[agent].setup;
        if setup.handler.is_none() || setup.server.is_none() {
            return Ok(());
        }
        match &sight.seen {
            TraceEvent::Offered(_, message) => {
                self.rows.entry(agent).or_default().insert(message.id().clone());
                self.ids.entry(agent).or_default().extend(message.message_id().map(str::to_owned));
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
