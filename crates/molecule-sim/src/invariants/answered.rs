//! Invariant: only what may be answered is answered, and the answer goes back to whoever wrote the message.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::EffectId;
use molecule_proto::ActivityId;

use super::messages::{Answer, Author, metadata, row};
use super::{Invariant, KnownSecrets, is_dead};
use crate::trace::{HandlerSaid, Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct AnsweredIsWhatMayBe {
    running: BTreeMap<(usize, EffectId), ActivityId>,
    /// Handlers that returned, and whose process does not know it yet.
    returned: BTreeSet<(usize, EffectId)>,
    /// By agent and row: whether the handler's reply may answer a reply.
    said: BTreeMap<(usize, ActivityId), bool>,
}

impl Invariant for AnsweredIsWhatMayBe {
    fn name(&self) -> &'static str {
        "answered is what may be"
    }

    fn sentence(&self) -> &'static str {
        "a reply goes out only if the handler gave it, to the peer or the people who wrote the message; none goes out to the \
         platform or a webhook, to a reply unless the handler wants that, or to a message that more than 8 replies led to"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        match &sight.seen {
            TraceEvent::Offered(id, message) => {
                self.running.insert((process, *id), message.id().clone());
            }
            TraceEvent::HandlerEnds(id, _) => {
                self.returned.insert((process, *id));
            }
            // A handler that put its reply off may have kept the handle before its process died.
            seen if is_dead(seen) => {
                let is_its = |handler: &&(usize, EffectId)| handler.0 == process;
                for handler in self.returned.iter().filter(is_its) {
                    if let Some(row) = self.running.remove(handler) {
                        self.said.entry((agent, row)).or_default();
                    }
                }
                self.returned.retain(|(of, _)| *of != process);
            }
            TraceEvent::Landed(landing, _) => {
                self.returned.remove(&(process, landing.id));
                if let Some(row) = self.running.remove(&(process, landing.id)) {
                    match landing.said {
                        Some(HandlerSaid::Reply { is_continued }) => {
                            *self.said.entry((agent, row)).or_default() |= is_continued;
                        }
                        Some(HandlerSaid::Later) => {
                            self.said.entry((agent, row)).or_default();
                        }
                        Some(HandlerSaid::Nothing) | None => {}
                    }
                }
            }
            TraceEvent::Asked(ask) => {
                if let Some(answer) = Answer::of(sight.who.kind, ask) {
                    return self.may_be(sight, &answer);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl AnsweredIsWhatMayBe {
    fn may_be(&self, sight: &Sight<'_>, answer: &Answer) -> Result<(), String> {
        let id = &answer.row;
        let Some(&is_continued) = self.said.get(&(sight.who.agent, id.clone())) else {
            return Err(format!("{id} is answered, and no handler did that"));
        };
        // The workspace may be gone, and its feed with it.
        let Some(row) = row(sight, id) else { return Ok(()) };
        let Some(author) = Author::of(row) else { return Err(format!("{id} is answered, and is no message")) };
        let metadata = metadata(row);
        if !author.may_be_answered() {
            return Err(format!("{id} of {author:?} is answered, and nobody reads that"));
        }
        let back = match &author {
            Author::Peer(peer) => answer.to.as_ref() == Some(peer),
            _ => answer.to.is_none(),
        };
        if !back {
            return Err(format!("{id} of {author:?} is answered to {:?}", answer.to));
        }
        if metadata["molecule.hops"].as_u64().unwrap_or_default() > 8 {
            return Err(format!("{id} is answered, after {} replies", metadata["molecule.hops"]));
        }
        if metadata["molecule.in_reply_to"].is_string() && !is_continued {
            return Err(format!("{id} is a reply, and is answered"));
        }
        Ok(())
    }
}
