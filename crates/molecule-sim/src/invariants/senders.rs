//! Invariant: a pushed message is from whoever its credential or the platform says.

use std::collections::BTreeMap;

use molecule_core::Sender;
use molecule_proto::WorkspaceId;

use super::credentials::direct_sender;
use super::messages::{message_id, rows};
use super::{Invariant, KnownSecrets};
use crate::job::JobKind;
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct SendersAreProven {
    /// By agent and message: the direct peer whose token the latest request with it had.
    direct: BTreeMap<(usize, String), Option<WorkspaceId>>,
}

impl Invariant for SendersAreProven {
    fn name(&self) -> &'static str {
        "senders are proven"
    }

    fn sentence(&self) -> &'static str {
        "a message that is pushed to an agent is from the peer whose token it came with, or from the one that the platform's feed \
         names, and from no peer without either"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let agent = sight.who.agent;
        match &sight.seen {
            TraceEvent::Delivered(delivery) if !delivery.message.is_empty() => {
                let sender = direct_sender(&sight.facts, delivery).cloned();
                self.direct.insert((agent, delivery.message.clone()), sender);
            }
            TraceEvent::Offered(_, message) if sight.who.kind == JobKind::Serve => {
                let Some(id) = message.message_id() else { return Ok(()) };
                let direct = self.direct.get(&(agent, id.to_owned())).cloned().flatten();
                let told = match message.sender() {
                    Sender::Peer { id, .. } => Some(id),
                    _ => None,
                };
                let in_feed = || {
                    let row = rows(sight).into_iter().find(|row| message_id(row) == Some(id));
                    row.and_then(|row| row.source_id.clone())
                };
                match (&direct, told) {
                    (None, None) => {}
                    (Some(direct), Some(told)) if direct == told => {}
                    (None, Some(told)) if in_feed().as_ref() == Some(told) => {}
                    _ => return Err(format!("message {id} is said to be from {told:?}, and came from {direct:?}")),
                }
            }
            _ => {}
        }
        Ok(())
    }
}
