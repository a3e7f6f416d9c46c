//! Executes the actions of a scenario.

use std::time::Duration;

use molecule_core::Report;
use molecule_core::effect::Slot;

use crate::agent::{Program, url};
use crate::clock::platform_now;
use crate::scenario::{Moment, ScenarioAction, ServerSetup};
use crate::trace::TraceEvent;
use crate::world::{Happening, SECRET_MARK, World};

impl ScenarioAction {
    /// Returns whether the action happens on the agent's computer, so that it waits while the computer is suspended.
    pub(crate) fn is_of_the_agent(&self) -> bool {
        match self {
            Self::Pause
            | Self::Resume
            | Self::Rotate
            | Self::HandOver
            | Self::RevokeAll
            | Self::Delete { .. }
            | Self::SetSecret(_)
            | Self::Hibernate
            | Self::Broke(_)
            | Self::Muted(_)
            | Self::Writes(_)
            | Self::Prune(_)
            | Self::Handler(_)
            | Self::Poison { .. }
            | Self::Door(_)
            | Self::Client(_)
            | Self::Database { .. }
            | Self::Weather(_)
            | Self::Strike { .. }
            | Self::ConnectionsDie
            | Self::Crash(_)
            | Self::Disk(_) => false,
            Self::Call { .. }
            | Self::Report(_)
            | Self::SetUrl(_)
            | Self::Forget(_)
            | Self::Stop
            | Self::StopNow
            | Self::SecondLoop
            | Self::Start
            | Self::SetCalendar(_)
            | Self::ClockJumps(_)
            | Self::ClockStands(_)
            | Self::Sleep { .. } => true,
        }
    }
}

impl World<'_> {
    /// Executes the action with this index. An action of an agent that does not exist does nothing.
    pub(crate) fn act(&mut self, number: usize) {
        let scenario = self.scenario;
        let timed = &scenario.acts[number];
        let agent = timed.agent;
        if agent >= self.agents.len() {
            return;
        }
        self.see(self.program(agent), TraceEvent::Acted(&timed.act));
        let now = platform_now(self.now);
        let workspace = self.agents[agent].workspace.clone();
        match &timed.act {
            // A refused request of the owner changes nothing.
            ScenarioAction::Pause => drop(self.platform.pause(now, &workspace, false)),
            ScenarioAction::Resume => drop(self.platform.resume(now, &workspace, false)),
            ScenarioAction::Rotate => self.rotate(agent, false),
            ScenarioAction::HandOver => self.rotate(agent, true),
            ScenarioAction::RevokeAll => drop(self.platform.revoke_tokens(&workspace)),
            ScenarioAction::Delete { purge } => drop(self.platform.delete(now, &workspace, *purge)),
            ScenarioAction::SetSecret(value) => {
                self.platform.set_secret(now, &workspace, "KEY", &format!("{SECRET_MARK}-{value}"));
            }
            ScenarioAction::Hibernate => drop(self.platform.hibernate(now, &workspace)),
            ScenarioAction::Broke(broke) => drop(self.platform.set_budget(&workspace, broke.then_some(0))),
            ScenarioAction::Muted(muted) => drop(self.platform.set_can_delegate(&workspace, !muted)),
            ScenarioAction::Writes(writer) => self.writes(number, agent, *writer),
            ScenarioAction::Prune(older_s) => {
                let before = now.unix - Duration::from_secs((*older_s).into());
                self.agents[agent].was_pruned |= self.platform.prune_activity(&workspace, before) > 0;
            }
            ScenarioAction::Handler(handler) => self.agents[agent].handler = *handler,
            ScenarioAction::Poison { times, power } => self.agents[agent].poison = (*times, *power),
            ScenarioAction::Door(door) => self.peers.set(agent, door),
            ScenarioAction::Client(ask) => self.client(number, agent, *ask),
            ScenarioAction::Database { up } => {
                self.platform.set_database_down(!up);
                self.database_up = *up;
            }
            ScenarioAction::Weather(weather) => self.weather = weather.clone(),
            ScenarioAction::Strike { route, gust } => self.agents[agent].strikes.push_back((*route, gust.clone())),
            ScenarioAction::ConnectionsDie => {
                let own = self.processes.iter_mut().flatten().filter(|process| process.agent == agent);
                own.for_each(|process| process.idle.die());
                self.streams_die(agent);
            }
            ScenarioAction::Call { call, gives_up_ms, dies } => self.call(agent, *call, *gives_up_ms, *dies),
            ScenarioAction::Report(tasks) => self.report(agent, *tasks),
            ScenarioAction::SetUrl(number) => self.set_url(agent, *number),
            ScenarioAction::Forget(peer) => self.forget_peer(agent, *peer),
            ScenarioAction::Stop => self.stop(agent, false),
            ScenarioAction::StopNow => self.stop(agent, true),
            ScenarioAction::SecondLoop => self.second_loop(agent),
            ScenarioAction::Start => self.start_anew(agent),
            ScenarioAction::Crash(crash) if crash.after_effects == 0 && crash.moment == Moment::Before => {
                self.crash(agent, *crash)
            }
            ScenarioAction::Crash(crash) => self.agents[agent].doom = Some(*crash),
            ScenarioAction::Disk(mood) => self.agents[agent].disk.set_mood(*mood),
            ScenarioAction::SetCalendar(by) => {
                let at = self.now;
                self.agents[agent].clock.set_calendar(at, (*by).into());
            }
            ScenarioAction::ClockJumps(by) => {
                let at = self.now;
                self.agents[agent].clock.jump(at, Duration::from_secs((*by).into()));
            }
            ScenarioAction::ClockStands(secs) => self.stand_still(agent, *secs),
            ScenarioAction::Sleep { secs, counted } => {
                // A NAT or proxy on the way has dropped the connections by the time the computer wakes.
                let own = self.processes.iter_mut().flatten().filter(|process| process.agent == agent);
                own.for_each(|process| process.idle.die());
                self.streams_die(agent);
                self.agents[agent].asleep_until = self.now + Duration::from_secs((*secs).into());
                if !counted {
                    self.stand_still(agent, *secs);
                }
            }
        }
    }

    fn rotate(&mut self, agent: usize, hand_over: bool) {
        let workspace = self.agents[agent].workspace.clone();
        let Some(token) = self.platform.rotate(platform_now(self.now), &workspace) else { return };
        self.watch().knows(token.expose());
        if hand_over {
            self.agents[agent].disk.put(Slot::Token, token.expose());
            self.see(self.program(agent), TraceEvent::Handed(token.expose()));
        }
    }

    fn report(&mut self, agent: usize, tasks: u8) {
        let Some(process) = self.agents[agent].process.and_then(|number| self.process_mut(number)) else { return };
        let report = Report::new().active_tasks(tasks.into()).current_task(task(tasks));
        // A count and a plain text are always valid.
        let _ = process.session.report(report);
    }

    fn set_url(&mut self, agent: usize, number: Option<u8>) {
        let reported = number.map(|number| url(agent, number));
        self.agents[agent].published.extend(reported.clone());
        self.agents[agent].was_pushed |= reported.is_some();
        self.agents[agent].reported_url.clone_from(&reported);
        let Some(process) = self.agents[agent].process else { return };
        let server = self.agents[agent].setup.server.as_ref();
        let (has_server, plan) = (server.is_some(), server.map_or(molecule_core::Plan::Push, ServerSetup::plan));
        if let Some(living) = self.process_mut(process) {
            match reported {
                Some(url) if has_server => drop(living.session.serve(url, plan)),
                None if has_server => living.session.unserve(),
                reported => drop(living.session.set_reported_url(reported)),
            }
        }
        self.poll_loops(process, None);
    }

    fn forget_peer(&mut self, agent: usize, peer: u8) {
        let id = self.workspace_at(peer);
        if let Some(process) = self.agents[agent].process.and_then(|number| self.process_mut(number)) {
            let _ = process.session.invalidate_peer_url(id);
        }
    }

    fn second_loop(&mut self, agent: usize) {
        if self.agents[agent].program != Program::Looping {
            return;
        }
        let number = self.new_process(agent);
        if let Some(process) = self.process_mut(number) {
            process.is_rival = true;
        }
        self.begin_loop(agent, number);
    }

    /// Starts the program. Its loop may have ended in a process that still runs; that process ends first.
    fn start_anew(&mut self, agent: usize) {
        if let (Program::Finished(_), Some(process)) = (self.agents[agent].program, self.agents[agent].process) {
            self.dies(process, false);
        }
        self.start(agent);
    }

    fn stand_still(&mut self, agent: usize, secs: u32) {
        let until = self.now + Duration::from_secs(secs.into());
        let at = self.now;
        let computer = &mut self.agents[agent];
        computer.still_until = computer.still_until.max(until);
        computer.clock.stand_still(at, true);
        self.plan(until, Happening::ClockGoesOn(agent));
    }
}

/// The `current_task` text of a report with this many active tasks.
pub(crate) fn task(tasks: u8) -> String {
    format!("task {tasks}")
}
