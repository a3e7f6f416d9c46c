//! Invariant: a message is offered to the handler a few times at most.

use std::collections::BTreeMap;

use molecule_core::Event;
use molecule_core::effect::{EffectId, FaultKind, Sent};
use molecule_proto::ActivityId;

use super::{Invariant, KnownSecrets};
use crate::job::{Ending, JobKind};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct AttemptsAreBounded {
    running: BTreeMap<(usize, EffectId), ActivityId>,
    /// By agent and row: the attempts that count.
    attempts: BTreeMap<(usize, ActivityId), u32>,
    /// By agent: ends of loops, which cut attempts off, and power failures, which may take the count.
    pardons: BTreeMap<usize, u32>,
}

/// The option's default.
const MOST: u32 = 3;

impl Invariant for AttemptsAreBounded {
    fn name(&self) -> &'static str {
        "attempts are bounded"
    }

    fn sentence(&self) -> &'static str {
        "a message of the feed is offered three times at most, an attempt that killed its process included, and once more for each end of a \
         loop and each power failure; a dead letter that is retried begins anew"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        match &sight.seen {
            // What is pushed is offered as often as the platform pushes it.
            TraceEvent::Offered(..) if sight.who.kind == JobKind::Serve => {}
            TraceEvent::Offered(id, message) => {
                self.running.insert((process, *id), message.id().clone());
                let attempts = self.attempts.entry((agent, message.id().clone())).or_default();
                *attempts += 1;
                let most = MOST + self.pardons.get(&agent).copied().unwrap_or_default();
                if *attempts > most {
                    return Err(format!(
                        "{} is offered for the {attempts}th time, and {most} are allowed",
                        message.id()
                    ));
                }
            }
            TraceEvent::Landed(landing, _) => {
                let row = self.running.remove(&(process, landing.id));
                // The handler could not be called.
                if let Some(row) = row.filter(|_| landing.fault == Some((Sent::No, FaultKind::Handler)))
                    && let Some(attempts) = self.attempts.get_mut(&(agent, row))
                {
                    *attempts -= 1;
                }
            }
            TraceEvent::Told(Event::DeadLetter { message, .. }) => {
                self.attempts.remove(&(agent, message.clone()));
            }
            TraceEvent::Ended(Ending::Run(_)) | TraceEvent::Died { power: true } => {
                *self.pardons.entry(agent).or_default() += 1;
            }
            _ => {}
        }
        Ok(())
    }
}
