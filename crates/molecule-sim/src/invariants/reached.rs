//! Invariant: no message is lost on its way to the handler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::Event;
use molecule_proto::ActivityId;

use super::messages::{Author, is_due, message_id, receives, rows};
use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct EveryMessageReachesTheHandler {
    /// By agent: the rows that were offered, and the ids of their messages.
    rows: BTreeMap<usize, BTreeSet<ActivityId>>,
    ids: BTreeMap<usize, BTreeSet<String>>,
}

/// How long the agent must have been well, and the message visible.
const ENOUGH: Duration = Duration::from_secs(120);

impl Invariant for EveryMessageReachesTheHandler {
    fn name(&self) -> &'static str {
        "every message reaches the handler"
    }

    fn sentence(&self) -> &'static str {
        "every message in the feed is offered to the handler at least once while the agent lives long enough, or is a dead letter \
         whose attempts have killed their process"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let agent = sight.who.agent;
        match &sight.seen {
            TraceEvent::Offered(_, message) => {
                self.rows.entry(agent).or_default().insert(message.id().clone());
                self.ids.entry(agent).or_default().extend(message.message_id().map(str::to_owned));
            }
            TraceEvent::Told(Event::DeadLetter { message, .. }) => {
                self.rows.entry(agent).or_default().insert(message.clone());
            }
            TraceEvent::Settled if receives(sight, known, &sight.facts.agents[agent], ENOUGH) => {
                return self.judge(sight);
            }
            _ => {}
        }
        Ok(())
    }
}

impl EveryMessageReachesTheHandler {
    fn judge(&self, sight: &Sight<'_>) -> Result<(), String> {
        let agent = sight.who.agent;
        let lost = rows(sight).into_iter().find(|row| {
            Author::of(row).is_some()
                && is_due(sight, row, ENOUGH)
                && !self.rows.get(&agent).is_some_and(|offered| offered.contains(&row.id))
                && !message_id(row).is_some_and(|id| self.ids.get(&agent).is_some_and(|ids| ids.contains(id)))
                // A file that belongs to a message.
                && row.method.as_deref() != Some("chat_upload_receive")
        });
        match lost {
            Some(row) => {
                let author = Author::of(row);
                Err(format!("{} of {author:?}, created at {}, never reached the handler", row.id, row.created_at))
            }
            None => Ok(()),
        }
    }
}
