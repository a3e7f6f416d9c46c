//! Invariant: the interval between heartbeats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::Event;
use molecule_proto::{Time, WorkspaceStatus};

use super::{Invariant, KnownSecrets, is_dead, of};
use crate::job::JobKind;
use crate::scenario::ScenarioAction;
use crate::trace::{Sight, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct HeartbeatsKeepTheirPace {
    loops: BTreeMap<Who, HeartbeatPace>,
    /// Loops that send no more heartbeats: they wait for a resume, or are stopping.
    resting: BTreeSet<Who>,
}

#[derive(Debug, Clone, Copy)]
struct HeartbeatPace {
    last: Time,
    /// Whether the lane had no fault since the last heartbeat.
    free: bool,
    /// Whether the server answered 429 since the last heartbeat.
    throttled: bool,
}

/// The tolerance for a heartbeat that was sent: it is sent at once when it is due, and clocks are read in whole steps.
const SLACK: Duration = Duration::from_millis(50);
/// The tolerance for a missing heartbeat, which shows only at the next event.
const OVERDUE: Duration = Duration::from_secs(1);

/// A server asks for a wait of at most 60 s, and a request of another lane may have been in flight for 30 s.
const LIMITED: Duration = Duration::from_secs(60 + 30 + 1);

impl Invariant for HeartbeatsKeepTheirPace {
    fn name(&self) -> &'static str {
        "heartbeats keep their pace"
    }

    fn sentence(&self) -> &'static str {
        "while its workspace exists and the heartbeat's own lane meets fair weather, beats are at most one interval apart, whatever the other lanes do; \
         where a rate limit holds them back, at most half an interval more than the server asked to wait"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let agent = &sight.facts.agents[sight.who.agent];
        let odd = agent.is_odd(sight.at);
        let most = agent.heartbeat() * 3 / 2 + LIMITED;
        let status = sight.facts.platform.status(&agent.workspace);
        if status.is_none_or(|status| status == WorkspaceStatus::Removed) {
            // A loop that drains after a deletion has nobody to tell that it lives.
            self.loops.retain(|who, _| who.agent != sight.who.agent);
        }
        for (_, pace) in self.loops.range_mut(of(sight.who.agent)) {
            pace.free &= !odd;
            let gap = sight.at.since(pace.last);
            if pace.free && gap > most {
                return Err(format!("no heartbeat for {gap:?}"));
            }
            if pace.free && !pace.throttled && gap > agent.heartbeat() + OVERDUE {
                return Err(format!("no heartbeat for {gap:?}, and {:?} between them", agent.heartbeat()));
            }
        }
        if sight.who.kind == JobKind::Run {
            self.of_the_loop(sight, agent.heartbeat())?;
        }
        match &sight.seen {
            TraceEvent::Landed(landing, _)
                if landing.is_about_the_agent() && landing.status.is_some_and(|status| status.as_u16() == 429) =>
            {
                // The application decides when a call outside the loop is repeated.
                let of_the_loop = sight.who.kind == JobKind::Run;
                self.each(
                    sight.who.agent,
                    |who| who.process == sight.who.process,
                    |pace| {
                        pace.throttled = true;
                        pace.free &= of_the_loop;
                    },
                );
            }
            TraceEvent::Acted(
                ScenarioAction::SetCalendar(_)
                | ScenarioAction::ClockJumps(_)
                | ScenarioAction::ClockStands(_)
                | ScenarioAction::Sleep { .. },
            ) => {
                self.each(sight.who.agent, |_| true, |pace| pace.free = false);
            }
            seen if is_dead(seen) => self.loops.retain(|who, _| who.process != sight.who.process),
            _ => {}
        }
        Ok(())
    }
}

impl HeartbeatsKeepTheirPace {
    fn of_the_loop(&mut self, sight: &Sight<'_>, interval: Duration) -> Result<(), String> {
        match &sight.seen {
            TraceEvent::Asked(ask) if ask.route == Some(Route::Heartbeat) && !self.resting.contains(&sight.who) => {
                let free = ask.gust.is_none();
                let pace = HeartbeatPace { last: sight.at, free, throttled: false };
                if let Some(before) = self.loops.insert(sight.who, pace) {
                    let gap = sight.at.since(before.last);
                    if before.free && !before.throttled && gap > interval + SLACK {
                        return Err(format!("{gap:?} between two heartbeats, and {interval:?} were asked for"));
                    }
                }
            }
            TraceEvent::Landed(landing, _) => {
                let is_beat = landing.ask.as_ref().is_some_and(|ask| ask.route == Some(Route::Heartbeat));
                let limited = landing.status.is_some_and(|status| status.as_u16() == 429);
                if is_beat && !landing.is_good() && !limited {
                    self.each(sight.who.agent, |who| who == sight.who, |pace| pace.free = false);
                }
            }
            TraceEvent::Told(Event::Paused) | TraceEvent::Stopping(_) => {
                self.loops.remove(&sight.who);
                self.resting.insert(sight.who);
            }
            TraceEvent::Told(Event::Resumed) => {
                self.resting.remove(&sight.who);
            }
            TraceEvent::Ended(_) => {
                self.loops.remove(&sight.who);
            }
            _ => {}
        }
        Ok(())
    }

    fn each(&mut self, agent: usize, which: impl Fn(Who) -> bool, change: impl Fn(&mut HeartbeatPace)) {
        self.loops.range_mut(of(agent)).filter(|(who, _)| which(**who)).for_each(|(_, pace)| change(pace));
    }
}
