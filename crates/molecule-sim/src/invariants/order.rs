//! Invariant: the messages of one sender come in order.

use molecule_core::InboundMessage;

use super::messages::{Author, HandlerLog, is_due, row, rows, visible_from};
use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NothingOvertakes {
    log: HandlerLog,
}

impl Invariant for NothingOvertakes {
    fn name(&self) -> &'static str {
        "nothing overtakes"
    }

    fn sentence(&self) -> &'static str {
        "no message is offered to the handler before every earlier one of its sender that was visible before it is handled, or \
         is a dead letter"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        self.log.see(sight);
        match &sight.seen {
            TraceEvent::Offered(_, message) if !sight.facts.agents[sight.who.agent].was_pushed => {
                self.comes_in_order(sight, message)
            }
            _ => Ok(()),
        }
    }
}

impl NothingOvertakes {
    fn comes_in_order(&self, sight: &Sight<'_>, message: &InboundMessage) -> Result<(), String> {
        let Some(this) = row(sight, message.id()) else { return Ok(()) };
        let author = Author::of(this);
        let visible = visible_from(sight, this);
        let place = |row: &molecule_proto::ActivityRow| (row.created_at, row.seq);
        let overtaken = rows(sight).into_iter().find(|row| {
            place(row) < place(this)
                && Author::of(row) == author
                && is_due(sight, row, std::time::Duration::ZERO)
                && visible_from(sight, row) < visible
                && !self.log.is_done(sight.who.agent, row)
                && row.method == this.method
        });
        match overtaken {
            Some(row) => Err(format!("{} is offered before {} of {author:?}, which came first", this.id, row.id)),
            None => Ok(()),
        }
    }
}
