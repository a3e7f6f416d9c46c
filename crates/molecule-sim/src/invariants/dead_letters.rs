//! Invariant: a dead letter is offered again if the application asks for it, and only then.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::Event;
use molecule_proto::{ActivityId, Time};

use super::messages::receives;
use super::{Invariant, KnownSecrets, is_dead};
use crate::job::{Ending, JobKind};
use crate::trace::{Sight, TraceEvent, Who};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct DeadLettersWaitForARetry {
    /// By agent: the dead letters, and how often a retry of each began.
    letters: BTreeMap<(usize, ActivityId), u32>,
    /// The retries under way.
    retries: BTreeMap<Who, ActivityId>,
    /// Letters that are to be offered again, and since when.
    owed: BTreeMap<(usize, ActivityId), (usize, Time)>,
}

/// How long the agent must have been well.
const ENOUGH: Duration = Duration::from_secs(120);

impl Invariant for DeadLettersWaitForARetry {
    fn name(&self) -> &'static str {
        "dead letters wait for a retry"
    }

    fn sentence(&self) -> &'static str {
        "a dead letter is not offered to the handler unless the application retries it, and then it is, while the agent lives \
         long enough"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let (who, agent) = (sight.who, sight.who.agent);
        match &sight.seen {
            TraceEvent::Told(Event::DeadLetter { message, .. }) => {
                self.letters.insert((agent, message.clone()), 0);
            }
            TraceEvent::Began if who.kind == JobKind::RetryDeadLetter => {
                let Some(letter) = sight.facts.agents[agent].dead_letter.clone() else { return Ok(()) };
                if let Some(retries) = self.letters.get_mut(&(agent, letter.clone())) {
                    *retries += 1;
                }
                self.retries.insert(who, letter);
            }
            TraceEvent::Ended(Ending::RetryDeadLetter(retried)) => {
                let letter = self.retries.remove(&who);
                if let Some(letter) = letter.filter(|_| retried.is_ok())
                    && self.letters.contains_key(&(agent, letter.clone()))
                {
                    self.owed.insert((agent, letter), (who.process, sight.at));
                }
            }
            TraceEvent::Offered(_, message) => {
                let letter = (agent, message.id().clone());
                self.owed.remove(&letter);
                if self.letters.remove(&letter) == Some(0) {
                    return Err(format!("{} is a dead letter and is offered, which nobody asked for", letter.1));
                }
            }
            // The journal did not have the retry yet.
            TraceEvent::Ended(Ending::Run(_)) => self.owed.retain(|_, (process, _)| *process != who.process),
            seen if is_dead(seen) => {
                self.owed.retain(|_, (process, _)| *process != who.process);
                self.retries.retain(|of, _| of.process != who.process);
            }
            TraceEvent::Settled if receives(sight, known, &sight.facts.agents[agent], ENOUGH) => {
                let owed = self.owed.iter().find(|((of, _), (_, at))| *of == agent && *at + ENOUGH <= sight.at);
                if let Some(((_, letter), _)) = owed {
                    return Err(format!("{letter} was retried, and never reached the handler again"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
