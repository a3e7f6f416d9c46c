//! Invariant: loops end for a reason, and in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::effect::HostOp;
use molecule_core::machine::StopLevel;
use molecule_core::{Ended, Error, ErrorKind, Event};
use molecule_proto::{Time, WorkspaceStatus};

use super::{Invariant, KnownSecrets, is_dead, of};
use crate::agent::Agent;
use crate::job::{Ending, JobKind};
use crate::scenario::ScenarioAction;
use crate::trace::{OutcomeRecord, Says, Sight, Taken, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct EndsForAReason {
    loops: BTreeMap<Who, Life>,
    /// Processes that the application asked to stop.
    stopped: BTreeSet<usize>,
    /// Processes that have registered.
    registered: BTreeSet<usize>,
}

/// The history of a loop.
#[derive(Debug, Default)]
struct Life {
    /// Whether its process had registered before the loop began.
    was_registered: bool,
    asked: bool,
    paused: bool,
    /// The times at which the platform first and last said that the workspace is gone, on the agent's clock.
    gone: Option<(Time, Time)>,
    /// Consecutive registers that the platform refused with 401, at least an interval after each other.
    refused: u32,
    /// The time of the last of them.
    refused_at: Option<Time>,
    /// The timeout of the register in flight; the loop finishes the register and the store operation below before it
    /// stops.
    register_under_way: Option<Duration>,
    storing: bool,
    /// The time by which it must have ended.
    ends_by: Option<Time>,
}

/// The longest that a stop takes, release of the lock included.
const AT_ONCE: Duration = Duration::from_millis(100);
/// The longest that a stop takes with a request in flight: its timeout, and a moment to store the answer.
const FINISHING: Duration = Duration::from_secs(31);
/// The longest that a stop waits for handlers and replies, before the last heartbeat.
const DRAINING: Duration = Duration::from_secs(31);
/// The same for a register without a bearer: it may mint a token, and has the timeout of its whole call.
const FINISHING_A_MINT: Duration = Duration::from_secs(91);

impl Invariant for EndsForAReason {
    fn name(&self) -> &'static str {
        "the loop ends for a reason"
    }

    fn sentence(&self) -> &'static str {
        "the loop ends when the platform said paused, or twice and an interval apart deleted, when it was stopped, or when the \
         credential is dead and registering was refused three times, each an interval after the one before; fails only before it has registered; and when it is stopped it ends within 100 ms, \
         or as soon as a register is finished, and its handlers and replies, for which it waits 30 s, before a last heartbeat"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let who = sight.who;
        match &sight.seen {
            TraceEvent::StopRaised => {
                self.stopped.insert(who.process);
            }
            TraceEvent::Told(Event::Registered { .. }) => {
                self.registered.insert(who.process);
            }
            TraceEvent::Acted(ScenarioAction::Sleep { secs, .. }) => {
                let asleep = Duration::from_secs((*secs).into());
                let lives = self.loops.range_mut(of(who.agent));
                lives.for_each(|(_, life)| life.ends_by = life.ends_by.map(|by| by + asleep));
            }
            seen if is_dead(seen) => {
                self.loops.retain(|other, _| other.process != who.process);
            }
            _ => {}
        }
        if who.kind != JobKind::Run {
            return Ok(());
        }
        self.ends_in_time(sight)?;
        match &sight.seen {
            TraceEvent::Began => {
                let was_registered = self.registered.contains(&who.process);
                self.loops.insert(who, Life { was_registered, ..Life::default() });
            }
            TraceEvent::Ended(Ending::Run(result)) => {
                let Some(life) = self.loops.remove(&who) else { return Ok(()) };
                return match result {
                    Ok(ended) => self.ended(sight, known, &life, *ended),
                    Err(error) => failed(&life, error),
                };
            }
            seen => {
                if let Some(life) = self.loops.get_mut(&who) {
                    let agent = &sight.facts.agents[who.agent];
                    let end_interval = end_interval(agent);
                    let drains = agent.setup.handler.is_some();
                    life.see(sight.at, sight.clock.mono, end_interval, drains, seen);
                }
            }
        }
        Ok(())
    }
}

impl EndsForAReason {
    fn ends_in_time(&self, sight: &Sight<'_>) -> Result<(), String> {
        let awake = !sight.facts.agents[sight.who.agent].is_odd(sight.at);
        let late = self
            .loops
            .iter()
            .find(|(who, life)| who.agent == sight.who.agent && life.ends_by.is_some_and(|by| awake && by < sight.at));
        match late {
            Some((who, _)) => Err(format!("loop {} was stopped and goes on", who.job)),
            None => Ok(()),
        }
    }

    fn ended(&self, sight: &Sight<'_>, known: &KnownSecrets, life: &Life, ended: Ended) -> Result<(), String> {
        let agent = &sight.facts.agents[sight.who.agent];
        let platform = sight.facts.platform;
        let (holds, otherwise) = match ended {
            Ended::Paused => (life.paused && !agent.setup.waits_on_pause, "nothing said that the workspace is paused"),
            Ended::Deleted => {
                let gone = matches!(platform.status(&agent.workspace), None | Some(WorkspaceStatus::Removed));
                let twice = life.gone.is_some_and(|(first, last)| last.since(first) >= end_interval(agent));
                (
                    twice && gone,
                    "nothing said twice and an interval apart that the workspace was deleted, or it was not",
                )
            }
            Ended::Stopped => (self.stopped.contains(&sight.who.process), "nobody stopped it"),
            Ended::Unauthorized => {
                let lives = known.has_live_token(&sight.facts, agent, sight.who.process);
                (
                    life.refused >= 3 && !lives,
                    "a credential lives, or it was not refused three times, an interval apart",
                )
            }
            _ => (false, "an end that is not known here"),
        };
        if holds { Ok(()) } else { Err(format!("it ended {ended}: {otherwise}")) }
    }
}

impl Life {
    fn see(&mut self, at: Time, clock: Time, end_interval: Duration, drains: bool, seen: &TraceEvent<'_>) {
        match seen {
            TraceEvent::Asked(ask) => {
                self.asked = true;
                if ask.route == Some(Route::Register) {
                    self.register_under_way = Some(if ask.bearer.is_some() { FINISHING } else { FINISHING_A_MINT });
                }
            }
            TraceEvent::HostAsked(_, HostOp::Replace(..)) => self.storing = true,
            TraceEvent::Told(Event::Registered { .. }) => (self.refused, self.refused_at) = (0, None),
            TraceEvent::Landed(landing, taken) => self.landed(landing, *taken, clock, end_interval),
            TraceEvent::Stopping(StopLevel::Now) => self.ends_by = Some(at + AT_ONCE),
            TraceEvent::Stopping(StopLevel::Finish) => {
                let storing = if self.storing { FINISHING } else { AT_ONCE };
                let finishing = self.register_under_way.unwrap_or(storing);
                let finishing = if drains { finishing.max(DRAINING) + FINISHING } else { finishing };
                self.ends_by = Some(at + finishing);
            }
            _ => {}
        }
    }

    fn landed(&mut self, landing: &OutcomeRecord, taken: Taken, clock: Time, end_interval: Duration) {
        let Some(ask) = &landing.ask else {
            self.storing = false;
            return;
        };
        if ask.route == Some(Route::Register) {
            self.register_under_way = None;
            let refused = landing.status.is_some_and(|status| status.as_u16() == 401)
                && landing.error.as_ref().is_some_and(|error| error.ends_with("workspace auth token"));
            if refused && self.refused_at.is_none_or(|last| clock.since(last) >= end_interval) {
                self.refused += 1;
                self.refused_at = Some(clock);
            }
        }
        if taken == Taken::Yes {
            self.paused |= landing.says == Some(Says::Paused);
            if landing.says == Some(Says::Gone) {
                self.gone = Some((self.gone.map_or(clock, |(first, _)| first), clock));
            }
        }
    }
}

/// The least time between two signs of an end: a heartbeat interval, and at least 15 s, so that a short failure of a
/// gateway is not taken for one.
pub(super) fn end_interval(agent: &Agent) -> Duration {
    agent.heartbeat().max(Duration::from_secs(15))
}

/// A loop may fail only with an error of its first register, or of the lock before it.
fn failed(life: &Life, error: &Error) -> Result<(), String> {
    let kind = error.kind();
    let before_anything = matches!(kind, ErrorKind::Locked | ErrorKind::Storage) && !life.asked;
    let holds = before_anything || (!life.was_registered && kind != ErrorKind::Locked);
    if holds { Ok(()) } else { Err(format!("it had registered and failed: {error}")) }
}
