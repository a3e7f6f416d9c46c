//! Invariant: a message is handled once, whichever way it comes.

use std::collections::BTreeMap;

use molecule_core::Sender;
use molecule_core::effect::{EffectId, FaultKind, HostOp, Sent, Slot};

use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::trace::{Sight, Taken, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct HandledOnce {
    running: BTreeMap<(usize, EffectId), Named>,
    /// What became of each message's last run.
    ended: BTreeMap<Named, Run>,
    /// The records of runs on their way to the disk: all that ended before the append began.
    appends: BTreeMap<(usize, EffectId), (Slot, u64)>,
    /// The slots that are being read.
    loads: BTreeMap<(usize, EffectId), Slot>,
    /// Counts ends of runs and beginnings of appends.
    step: u64,
}

/// An agent, a chat, and the id of a message: ids of a channel's messages count per chat.
type Named = (usize, String, String);

#[derive(Debug)]
struct Run {
    process: usize,
    slot: Slot,
    step: u64,
    is_saved: bool,
}

impl Invariant for HandledOnce {
    fn name(&self) -> &'static str {
        "handled once"
    }

    fn sentence(&self) -> &'static str {
        "the handler of an agent with a server of its own runs once for a message, however often it comes and whether it is pushed, \
         polled or both, unless the process died in it or before its end was stored, or a disk hides what is stored, or the inbox of \
         an earlier process had it and this one's server asks for no senders"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        if sight.facts.agents[agent].setup.server.is_none() {
            return Ok(());
        }
        match &sight.seen {
            TraceEvent::Offered(id, message) => {
                let Some(name) = message.message_id() else { return Ok(()) };
                let chat = message.metadata().get("chat_id").and_then(|chat| chat.as_str()).unwrap_or_default();
                let named = (agent, chat.to_owned(), name.to_owned());
                if self.running.iter().any(|((of, _), running)| *of == process && *running == named) {
                    return Err(format!("two handlers of one process have message {name}"));
                }
                // The inbox's journal knows a message by its sender.
                let is_untold = |run: &Run| {
                    run.process != process
                        && run.slot == Slot::Inbox
                        && sight.who.kind == JobKind::Serve
                        && *message.sender() == Sender::Unknown
                };
                if let Some(run) = self.ended.get(&named)
                    && (run.process == process || run.is_saved)
                    && !is_untold(run)
                {
                    return Err(format!("message {name} was handled, and is handled again"));
                }
                self.running.insert((process, *id), named);
            }
            TraceEvent::HostAsked(id, HostOp::Load(slot)) => {
                self.loads.insert((process, *id), *slot);
            }
            TraceEvent::HostAsked(id, HostOp::Append(slot, ..) | HostOp::Replace(slot, _)) => {
                self.step += 1;
                self.appends.insert((process, *id), (*slot, self.step));
            }
            TraceEvent::Landed(landing, taken) => {
                if let Some(slot) = self.loads.remove(&(process, landing.id))
                    && landing.fault.is_some()
                {
                    // A server serves all the same: what it does not take is lost.
                    self.ended.retain(|(of, ..), run| *of != agent || run.slot != slot);
                }
                if let Some((slot, step)) = self.appends.remove(&(process, landing.id))
                    && landing.fault.is_none()
                {
                    let mut of_it = self.ended.values_mut().filter(|run| run.process == process && run.slot == slot);
                    of_it.by_ref().filter(|run| run.step < step).for_each(|run| run.is_saved = true);
                }
                let Some(named) = self.running.remove(&(process, landing.id)) else { return Ok(()) };
                let slot = if sight.who.kind == JobKind::Serve { Slot::Answers } else { Slot::Inbox };
                let is_over = match landing.fault {
                    // It was not called, or was told to leave it.
                    Some((Sent::No, _) | (_, FaultKind::Cancelled)) => false,
                    // The inbox tries again.
                    Some(_) => slot == Slot::Answers,
                    None => true,
                };
                if is_over && *taken == Taken::Yes {
                    self.step += 1;
                    self.ended.insert(named, Run { process, slot, step: self.step, is_saved: false });
                }
            }
            seen if is_dead(seen) => {
                self.running.retain(|(of, _), _| *of != process);
                self.appends.retain(|(of, _), _| *of != process);
                if let TraceEvent::Died { power: true } = seen {
                    // What is stored durably is judged by what the disk still has.
                    let disk = &sight.facts.agents[agent].disk;
                    let lost = |slot| disk.content(slot, true).is_none();
                    self.ended.retain(|(of, ..), run| *of != agent || !lost(run.slot));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
