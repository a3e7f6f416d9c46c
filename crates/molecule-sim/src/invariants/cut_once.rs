//! Invariant: a server that has no room never cuts a message twice.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::{EffectId, HostOp, Slot};

use super::{Invariant, KnownSecrets, is_dead};
use crate::peers::By;
use crate::served::Reaction;
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct CutOnce {
    /// By agent: the messages that its server cut.
    cut: BTreeMap<usize, BTreeSet<String>>,
    /// By agent: those that are not stored yet.
    unsaved: BTreeMap<usize, BTreeSet<String>>,
    appends: BTreeMap<(usize, EffectId), BTreeSet<String>>,
}

impl Invariant for CutOnce {
    fn name(&self) -> &'static str {
        "cut once"
    }

    fn sentence(&self) -> &'static str {
        "an agent's own server that has no room cuts a message of the platform at most once, because a second cut loses it, unless the \
         process died before the first one was stored"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        match &sight.seen {
            // The platform does not see what becomes of a copy.
            TraceEvent::Reacted(delivery, Reaction::Cuts) if !delivery.is_copy => {
                let id = &delivery.message;
                if !self.cut.entry(agent).or_default().insert(id.clone()) {
                    return Err(format!("message {id} is cut a second time ({:?})", delivery.by));
                }
                self.unsaved.entry(agent).or_default().insert(id.clone());
            }
            // The server may handle it by then, and lose it once more in a crash.
            TraceEvent::Reacted(delivery, _) if matches!(delivery.by, By::Platform | By::Relayed(_)) => {}
            TraceEvent::HostAsked(id, HostOp::Append(Slot::Answers, ..) | HostOp::Replace(Slot::Answers, _)) => {
                let waiting = self.unsaved.get(&agent).cloned().unwrap_or_default();
                self.appends.insert((process, *id), waiting);
            }
            TraceEvent::Landed(landing, _) => {
                if let Some(saved) = self.appends.remove(&(process, landing.id))
                    && landing.fault.is_none()
                    && let Some(unsaved) = self.unsaved.get_mut(&agent)
                {
                    unsaved.retain(|id| !saved.contains(id));
                }
            }
            seen if is_dead(seen) => {
                self.appends.retain(|(of, _), _| *of != process);
                let lost = match seen {
                    TraceEvent::Died { power: true } => self.cut.get(&agent).cloned().unwrap_or_default(),
                    _ => self.unsaved.get(&agent).cloned().unwrap_or_default(),
                };
                self.unsaved.remove(&agent);
                if let Some(cut) = self.cut.get_mut(&agent) {
                    cut.retain(|id| !lost.contains(id));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
