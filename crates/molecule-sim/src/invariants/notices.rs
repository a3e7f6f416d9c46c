//! Invariant: people see a reply once.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::InboxOptions;
use molecule_core::effect::EffectId;
use molecule_proto::Time;

use super::messages::Answer;
use super::{Invariant, KnownSecrets, is_dead};
use crate::trace::{Sight, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NoticesComeOnce {
    /// By agent and text: how often the platform took the notice.
    taken: BTreeMap<(usize, String), u32>,
    doubles: BTreeMap<usize, u32>,
    crashes: BTreeMap<usize, u32>,
    /// By process and effect: when a notice was sent.
    sent: BTreeMap<(usize, EffectId), Time>,
    /// By agent and text: notices that the platform took so late that the agent had already looked for them.
    late: BTreeSet<(usize, String)>,
}

impl Invariant for NoticesComeOnce {
    fn name(&self) -> &'static str {
        "notices come once"
    }

    fn sentence(&self) -> &'static str {
        "the user gets each reply once, but for at most one double for each end of a process, and for one that reached the \
         platform later than a row takes to become visible"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let agent = sight.who.agent;
        match &sight.seen {
            TraceEvent::Asked(ask) if ask.route == Some(Route::Notify) => {
                self.sent.insert((sight.who.process, ask.id), sight.at);
            }
            TraceEvent::Answered(ask, status, _) if ask.route == Some(Route::Notify) && status.is_success() => {
                let Some(answer) = Answer::of(sight.who.kind, ask) else { return Ok(()) };
                let sent = self.sent.remove(&(sight.who.process, ask.id)).unwrap_or_default();
                if sight.at.since(sent) > InboxOptions::default().trail {
                    self.late.insert((agent, answer.text.clone()));
                }
                let is_late = self.late.contains(&(agent, answer.text.clone()));
                let taken = self.taken.entry((agent, answer.text)).or_default();
                *taken += 1;
                if *taken > 1 && !is_late {
                    let doubles = self.doubles.entry(agent).or_default();
                    *doubles += 1;
                    let crashes = self.crashes.get(&agent).copied().unwrap_or_default();
                    // The row by which the agent knows that the user has it may be gone.
                    if *doubles > crashes && !sight.facts.agents[agent].was_pruned {
                        return Err(format!(
                            "the user gets the reply to {} for the {taken}th time, the {doubles}th double after {crashes} crashes",
                            answer.row
                        ));
                    }
                }
            }
            seen if is_dead(seen) => *self.crashes.entry(agent).or_default() += 1,
            _ => {}
        }
        Ok(())
    }
}
