//! The end of a world: all faults end, the agents get time to recover, and the invariants check the final state.

use std::time::Duration;

use molecule_proto::WorkspaceStatus;

use crate::agent::{Agent, Program};
use crate::handler::Handler;
use crate::scenario::{AfterError, ScenarioAction};
use crate::trace::TraceEvent;
use crate::weather::Weather;
use crate::world::{Happening, World};

impl World<'_> {
    /// Ends all faults, starts programs that are down, and leaves enough time for every wait that a server asked for.
    pub(crate) fn finale(&mut self) {
        self.weather = Weather::fair();
        self.platform.set_database_down(false);
        self.database_up = true;
        for agent in &mut self.agents {
            agent.disk.set_mood(crate::scenario::Mood::Fine);
            agent.strikes.clear();
            agent.doom = None;
            agent.poison = (0, false);
            agent.handler = Handler::default();
        }
        // A crash may wait for the end of an effect that lasts until the stop, such as a stream.
        let running: Vec<usize> = self.agents.iter().filter_map(|agent| agent.process).collect();
        for number in running {
            if let Some(process) = self.process_mut(number) {
                process.fatal = None;
            }
        }
        self.see_all(|_| TraceEvent::Finale);
        for agent in 0..self.agents.len() {
            if !matches!(self.agents[agent].program, Program::Finished(_)) {
                self.plan(self.now, Happening::Starts(agent));
            }
        }
        let slowest = self.agents.iter().map(|agent| agent.heartbeat().max(agent.state())).max().unwrap_or_default();
        // Replies wait for up to 300 s between two tries.
        let receives = self.agents.iter().any(|agent| agent.setup.handler.is_some());
        let replies = if receives { Duration::from_secs(300) } else { Duration::ZERO };
        // A server that was not reachable is checked again after half an hour at the latest.
        let is_auto = |agent: &Agent| agent.setup.server.as_ref().is_some_and(|server| server.auto);
        let checks = if self.agents.iter().any(is_auto) { Duration::from_secs(33 * 60) } else { Duration::ZERO };
        let replies = replies.max(checks);
        self.plan(self.now + Duration::from_secs(150) + 5 * slowest + replies, Happening::StopAll);
    }

    pub(crate) fn count_absences(&mut self) {
        let grace = Duration::from_secs(120);
        let absent = self.agents.iter().filter(|agent| {
            let has_run = agent.program == Program::Looping && self.now.since(agent.looping_since) > grace;
            has_run && self.platform.status(&agent.workspace) != Some(WorkspaceStatus::Online)
        });
        self.absences += absent.count() as u64;
    }

    pub(crate) fn stop_all(&mut self) {
        self.see_all(|_| TraceEvent::Tick);
        self.see_all(|_| TraceEvent::Settled);
        for agent in 0..self.agents.len() {
            self.agents[agent].setup.after_error = AfterError::End;
            self.stop(agent, false);
        }
        // The latest call may take this long.
        let limits = self.scenario.acts.iter().map(|timed| match timed.act {
            ScenarioAction::Call { call, .. } => call.limit_s(),
            _ => 0,
        });
        let longest = limits.max().unwrap_or_default();
        self.plan(self.now + Duration::from_secs(longest.max(150)), Happening::Over);
    }
}
