//! Invariant: every effect ends exactly once.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::EffectId;
use molecule_core::machine::StopLevel;

use super::{Invariant, KnownSecrets, is_dead};
use crate::trace::{Sight, Taken, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct EveryStartEndsOnce {
    /// By process, because ids are unique only within a session.
    open: BTreeMap<(usize, EffectId), OpenEffect>,
    /// Processes that were stopped at once and abandon their effects.
    hurried: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenEffect {
    Wanted,
    Cancelled,
}

impl Invariant for EveryStartEndsOnce {
    fn name(&self) -> &'static str {
        "every start ends once"
    }

    fn sentence(&self) -> &'static str {
        "every effect that was started is answered or disposed of once, its machine takes it while it lives and wants it, \
         and no lock outlives the loop"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let process = sight.who.process;
        match &sight.seen {
            TraceEvent::Asked(ask) => self.begins(process, ask.id),
            TraceEvent::HostAsked(id, _) | TraceEvent::Offered(id, _) => self.begins(process, *id),
            TraceEvent::Cancelled(id) => match self.open.get_mut(&(process, *id)) {
                Some(open @ OpenEffect::Wanted) => {
                    *open = OpenEffect::Cancelled;
                    Ok(())
                }
                Some(OpenEffect::Cancelled) => Err(format!("effect {} is cancelled twice", id.0)),
                None => Err(format!("effect {} is cancelled and is not under way", id.0)),
            },
            TraceEvent::Streamed(id, _, taken) => match (self.open.get(&(process, *id)), taken) {
                (None, _) => Err(format!("a piece of the stream {} comes after its end", id.0)),
                (Some(OpenEffect::Cancelled), Taken::Yes) => {
                    Err(format!("a piece of the stream {}, which was cancelled, was taken", id.0))
                }
                (Some(OpenEffect::Wanted), Taken::GivenBack) if !self.hurried.contains(&process) => {
                    Err(format!("a piece of the stream {} was given back, and nobody had cancelled it", id.0))
                }
                (Some(_), _) => Ok(()),
            },
            TraceEvent::Landed(landing, taken) => match (self.open.remove(&(process, landing.id)), taken) {
                (None, _) => Err(format!("effect {} ends and was not under way", landing.id.0)),
                (Some(OpenEffect::Cancelled), Taken::Yes) => {
                    Err(format!("effect {} was cancelled and taken", landing.id.0))
                }
                (Some(OpenEffect::Wanted), Taken::GivenBack) if !self.hurried.contains(&process) => {
                    Err(format!("effect {} was given back, and nobody had cancelled it", landing.id.0))
                }
                (Some(_), _) => Ok(()),
            },
            TraceEvent::Stopping(StopLevel::Now) | TraceEvent::Dropped => {
                self.hurried.insert(process);
                Ok(())
            }
            TraceEvent::Over => {
                let left: Vec<u64> =
                    self.open.keys().filter(|(of, _)| *of == process).map(|(_, effect)| effect.0).collect();
                if !left.is_empty() {
                    return Err(format!("effects {left:?} never ended"));
                }
                if sight.facts.agents[sight.who.agent].disk.is_locked() {
                    return Err("the lock is still held".to_owned());
                }
                Ok(())
            }
            seen if is_dead(seen) => {
                self.open.retain(|(of, _), _| *of != process);
                self.hurried.remove(&process);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl EveryStartEndsOnce {
    fn begins(&mut self, process: usize, id: EffectId) -> Result<(), String> {
        match self.open.insert((process, id), OpenEffect::Wanted) {
            None => Ok(()),
            Some(_) => Err(format!("effect {} is started twice", id.0)),
        }
    }
}
