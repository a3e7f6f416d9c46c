//! The world: time, the platform, the network, the agents and their computers; it runs from one planned event to the
//! next.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use molecule_core::CallOutcome;
use molecule_core::effect::EffectId;
use molecule_core::machine::Now;
use molecule_platform::{Config, DispatchId, Platform};
use molecule_proto::{ActivityId, Time, Token};

use crate::agent::{Agent, ORGANISATION};
use crate::clients::Clients;
use crate::clock::BEGINNING;
use crate::forms::FormInFlight;
use crate::invariants::{BrokenInvariant, InvariantSet};
use crate::peers::{AgentServers, By};
use crate::process::Process;
use crate::relay::{AgentRequest, PlatformCalls};
use crate::sabotage::Saboteurs;
use crate::scenario::{AgentSetup, Scenario};
use crate::streams::StreamInFlight;
use crate::trace::{Facts, Sight, TraceEvent, Who};
use crate::traffic::RequestInFlight;
use crate::weather::Weather;

/// The administrator's token in every world.
pub(crate) const ADMIN: &str = "simulated-admin-credential-that-nobody-may-print";

/// A text that every secret of an owner contains.
pub(crate) const SECRET_MARK: &str = "hush-hush";

/// The state of a running scenario.
pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: Time,
    queue: crate::queue::EventQueue<Happening>,
    pub(crate) platform: Platform,
    pub(crate) agents: Vec<Agent>,
    pub(crate) peers: AgentServers,
    pub(crate) mail: PlatformCalls,
    /// Processes by number; `None` for one that ended.
    pub(crate) processes: Vec<Option<Process>>,
    pub(crate) flights: BTreeMap<u64, RequestInFlight>,
    /// Open streams, each by the number of its request.
    pub(crate) streams: BTreeMap<u64, StreamInFlight>,
    /// Forms with files that servers receive.
    pub(crate) forms: BTreeMap<u64, FormInFlight>,
    pub(crate) clients: Clients,
    pub(crate) weather: Weather,
    pub(crate) database_up: bool,
    pub(crate) rng: Rng,
    watch: InvariantSet,
    broken: Option<BrokenInvariant>,
    trace: Option<TraceLines>,
    pub(crate) saboteurs: Option<Saboteurs<'a>>,
    pub(crate) requests: u64,
    pub(crate) limited: u64,
    pub(crate) absences: u64,
    steps: u64,
    /// Outcomes of calls of peers, in the order in which the calls ended; calls that ended with an error are left out.
    outcomes: Vec<CallOutcome>,
}

/// A planned event.
#[derive(Debug)]
pub(crate) enum Happening {
    /// An action of the scenario.
    ScenarioAction(usize),
    /// A machine's wake.
    Wake { process: usize, job: u32, wake: u64 },
    /// A request reaches its server.
    Arrives(u64),
    /// A request's outcome reaches its process.
    Lands(u64),
    /// A call of the platform reaches an agent's server.
    Knocks(DispatchId),
    /// The server of a process judges heads again.
    JudgedAgain(usize),
    /// An agent's server sends its answer.
    Speaks(AgentRequest),
    /// The outcome of a call reaches the platform.
    Returns(DispatchId),
    /// A client's request reaches an agent's server.
    ClientAsks(u64),
    /// A client waits no longer.
    ClientLeaves(u64),
    /// A piece of a form reaches an agent's server.
    FormFlows(u64),
    /// Pieces of a stream reach its process, or its end does.
    StreamFlows(u64),
    /// A stream may have been silent for too long.
    StreamSilent(u64),
    /// A handler ends.
    HandlerEnds { process: usize, job: u32, id: EffectId },
    /// An application gives a reply that its handler put off.
    RepliesLate { agent: usize, message: ActivityId },
    /// The platform's wake.
    PlatformWakes,
    /// A host operation is done.
    Performed { process: usize, job: u32, id: EffectId },
    /// A caller gives up: its call is cancelled, or (`dies`) dropped.
    GivesUp { process: usize, job: u32, dies: bool },
    /// A program starts.
    Starts(usize),
    /// A program tries again in the same process after an error.
    TriesAgain { agent: usize, process: usize },
    /// A clock that stands still may go on.
    ClockGoesOn(usize),
    /// Time passes.
    Tick,
    /// All faults end.
    Finale,
    /// All loops are asked to stop.
    StopAll,
    /// The world ends.
    Over,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct RunResult {
    /// The invariant that broke, if one did.
    pub broken: Option<BrokenInvariant>,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Requests that machines started.
    pub requests: u64,
    /// Requests that the platform refused with 429.
    pub limited: u64,
    /// Number of agents found not online, sampled every 10 s, although the loop had run for 2 minutes.
    pub absences: u64,
    /// Steps of all machines.
    pub steps: u64,
    /// Outcomes of calls of peers, in the order in which the calls ended; calls that ended with an error are left out.
    pub outcomes: Vec<CallOutcome>,
    /// The last lines of the trace, if one was asked for.
    pub trace: Vec<String>,
}

struct TraceLines {
    lines: std::collections::VecDeque<String>,
    most: usize,
}

/// The interval of [`TraceEvent::Tick`], at which the invariants look at the world even if nothing happens.
const TICK: Duration = Duration::from_secs(10);

/// Runs a scenario to its end, or to the first invariant that breaks.
pub fn run(scenario: &Scenario) -> RunResult {
    World::new(scenario, None).run_to_end()
}

/// Runs a scenario with saboteurs between machines and driver.
pub fn run_sabotaged(scenario: &Scenario, saboteurs: Saboteurs<'_>) -> RunResult {
    World { saboteurs: Some(saboteurs), ..World::new(scenario, None) }.run_to_end()
}

/// Runs a scenario and keeps the last `lines` lines of the trace.
pub fn run_traced(scenario: &Scenario, lines: usize) -> RunResult {
    World::new(scenario, Some(TraceLines { lines: std::collections::VecDeque::new(), most: lines })).run_to_end()
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, trace: Option<TraceLines>) -> Self {
        let setup = &scenario.setup;
        let mut rng = Rng::with_seed(scenario.seed);
        let mut platform = Platform::new(
            Config::new(setup.dialect)
                .provisioner(setup.provisioner)
                .development(!setup.public)
                .rate_limit(setup.rate_limit)
                .admin_token(Token::new(ADMIN).ok())
                .organisation(setup.rate_limit.map(|_| ORGANISATION.to_owned()))
                .seed(rng.u64(..)),
        );
        platform.set_rows_late(Duration::from_secs(setup.rows_late_s.into()));
        let mut world = Self {
            scenario,
            now: BEGINNING,
            queue: crate::queue::EventQueue::new(),
            platform,
            agents: Vec::new(),
            peers: AgentServers::default(),
            mail: PlatformCalls::default(),
            processes: Vec::new(),
            flights: BTreeMap::new(),
            streams: BTreeMap::new(),
            forms: BTreeMap::new(),
            clients: Clients::default(),
            weather: Weather::fair(),
            database_up: true,
            rng,
            watch: InvariantSet::new(),
            broken: None,
            trace,
            saboteurs: None,
            requests: 0,
            limited: 0,
            absences: 0,
            steps: 0,
            outcomes: Vec::new(),
        };
        for setup in &scenario.setup.agents {
            for _ in 0..setup.count {
                world.create(AgentSetup { count: 1, ..setup.clone() });
            }
        }
        let tokens = (0..world.agents.len()).flat_map(|agent| world.tokens_for_peers(agent));
        for (_, token) in tokens.collect::<Vec<_>>() {
            world.watch().keeps_secret(&token);
        }
        let lasts_ms = u64::from(scenario.lasts_s) * 1000;
        for (number, timed) in scenario.acts.iter().enumerate().filter(|(_, timed)| timed.at_ms <= lasts_ms) {
            world.plan(BEGINNING + Duration::from_millis(timed.at_ms), Happening::ScenarioAction(number));
        }
        world.plan(BEGINNING + TICK, Happening::Tick);
        world.plan(BEGINNING + Duration::from_secs(scenario.lasts_s.into()), Happening::Finale);
        world
    }

    fn run_to_end(mut self) -> RunResult {
        while self.broken.is_none()
            && let Some((at, what)) = self.queue.next(Time::from_nanos(u64::MAX))
        {
            self.now = at;
            if matches!(what, Happening::Over) {
                self.see_all(|_| TraceEvent::Over);
                break;
            }
            self.happens(what);
        }
        RunResult {
            broken: self.broken,
            simulated: self.now.since(BEGINNING),
            requests: self.requests,
            limited: self.limited,
            absences: self.absences,
            steps: self.steps,
            outcomes: self.outcomes,
            trace: self.trace.map(|trace| trace.lines.into()).unwrap_or_default(),
        }
    }

    /// A world that a test runs by itself.
    #[cfg(test)]
    pub(crate) fn of(scenario: &'a Scenario) -> Self {
        Self::new(scenario, None)
    }

    /// Runs it for this time.
    #[cfg(test)]
    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, what)) = self.queue.next(until) {
            self.now = at;
            self.happens(what);
        }
        self.now = until;
        assert!(self.broken.is_none(), "{:?}", self.broken);
    }

    fn happens(&mut self, what: Happening) {
        if let Some(until) = self.suspended_until(&what) {
            return self.plan(until, what);
        }
        match what {
            Happening::ScenarioAction(number) => {
                self.act(number);
                self.pump(By::Platform);
            }
            Happening::Wake { process, job, wake } => {
                if self.process(process).is_some_and(|process| process.is_armed(job, wake)) {
                    self.drive(process, job);
                }
            }
            Happening::Arrives(flight) => self.arrives(flight),
            Happening::Lands(flight) => self.lands(flight),
            Happening::Knocks(id) => self.knocks(id),
            Happening::JudgedAgain(process) => self.judge_again(process),
            Happening::Speaks(exchange) => self.speaks(exchange),
            Happening::Returns(id) => self.returns(id),
            Happening::ClientAsks(client) => self.client_asks(client),
            Happening::ClientLeaves(client) => self.caller_left(AgentRequest::Client(client)),
            Happening::FormFlows(form) => self.form_flows(form),
            Happening::StreamFlows(stream) => self.stream_flows(stream),
            Happening::StreamSilent(stream) => self.stream_silent(stream),
            Happening::HandlerEnds { process, job, id } => self.handler_ends(process, job, id),
            Happening::RepliesLate { agent, message } => self.replies_late(agent, message),
            Happening::PlatformWakes => self.platform_wakes(),
            Happening::Performed { process, job, id } => self.performed(process, job, id),
            Happening::GivesUp { process, job, dies: false } => self.gives_up(process, job),
            Happening::GivesUp { process, job, dies: true } => self.drops(process, job),
            Happening::Starts(agent) => self.start(agent),
            Happening::TriesAgain { agent, process } => self.tries_again(agent, process),
            Happening::ClockGoesOn(agent) => {
                if self.now >= self.agents[agent].still_until {
                    self.agents[agent].clock.stand_still(self.now, false);
                }
            }
            Happening::Tick => {
                self.plan(self.now + TICK, Happening::Tick);
                self.count_absences();
                self.see_all(|_| TraceEvent::Tick);
            }
            Happening::Finale => self.finale(),
            Happening::StopAll => self.stop_all(),
            Happening::Over => {}
        }
    }

    /// The end of the suspension of the computer on which this would happen, if it is suspended.
    fn suspended_until(&self, what: &Happening) -> Option<Time> {
        let agent = match what {
            Happening::ScenarioAction(number) => {
                let timed = &self.scenario.acts[*number];
                timed.act.is_of_the_agent().then_some(timed.agent)?
            }
            Happening::Wake { process, .. }
            | Happening::Performed { process, .. }
            | Happening::HandlerEnds { process, .. }
            | Happening::GivesUp { process, .. }
            | Happening::TriesAgain { process, .. }
            | Happening::JudgedAgain(process) => self.process(*process)?.agent,
            Happening::FormFlows(form) => self.process(self.forms.get(form)?.process)?.agent,
            Happening::Lands(flight) => self.process(self.flights.get(flight)?.who.process)?.agent,
            Happening::StreamFlows(stream) | Happening::StreamSilent(stream) => {
                self.process(self.streams.get(stream)?.who.process)?.agent
            }
            Happening::Starts(agent) | Happening::RepliesLate { agent, .. } => *agent,
            Happening::Finale => {
                let last = self.agents.iter().map(|agent| agent.asleep_until.max(agent.still_until)).max()?;
                return (last > self.now).then_some(last);
            }
            Happening::Arrives(_)
            | Happening::Knocks(_)
            | Happening::ClientAsks(_)
            | Happening::ClientLeaves(_)
            | Happening::Speaks(_)
            | Happening::Returns(_)
            | Happening::PlatformWakes
            | Happening::ClockGoesOn(_)
            | Happening::Tick
            | Happening::StopAll
            | Happening::Over => return None,
        };
        let until = self.agents.get(agent)?.asleep_until;
        (until > self.now).then_some(until)
    }

    pub(crate) fn plan(&mut self, at: Time, what: Happening) {
        self.queue.plan(at, what);
    }

    pub(crate) fn process(&self, number: usize) -> Option<&Process> {
        self.processes.get(number)?.as_ref()
    }

    pub(crate) fn process_mut(&mut self, number: usize) -> Option<&mut Process> {
        self.processes.get_mut(number)?.as_mut()
    }

    pub(crate) fn clock(&self, agent: usize) -> Now {
        self.agents[agent].clock.read(self.now)
    }

    pub(crate) fn stepped(&mut self) {
        self.steps += 1;
    }

    pub(crate) fn record_outcome(&mut self, outcome: &CallOutcome) {
        self.outcomes.push(outcome.clone());
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Shows an event to every invariant and writes it into the trace.
    pub(crate) fn see(&mut self, who: Who, seen: TraceEvent<'_>) {
        if let Some(trace) = &mut self.trace
            && !matches!(seen, TraceEvent::Tick | TraceEvent::Printed(_))
        {
            if trace.lines.len() == trace.most {
                trace.lines.pop_front();
            }
            let at = self.now.since(BEGINNING).as_secs_f64();
            trace
                .lines
                .push_back(format!("{at:11.3} {}.{}.{} {:?} {seen:?}", who.agent, who.process, who.job, who.kind));
        }
        let facts = Facts {
            platform: &self.platform,
            agents: &self.agents,
            peers: &self.peers,
            fair: self.weather.is_fair() && self.database_up,
            is_limited: self.scenario.setup.rate_limit.is_some(),
        };
        let remembered = self.process(who.process).map_or(0, |process| process.session.peers().len());
        let clock = self.agents[who.agent].clock.read(self.now);
        let sight = Sight { at: self.now, who, clock, seen, facts, remembered };
        if let Some(broken) = self.watch.see(&sight) {
            self.broken.get_or_insert(broken);
        }
    }

    /// Shows an event that concerns no machine to the invariants, once for each agent.
    pub(crate) fn see_all(&mut self, seen: impl Fn(usize) -> TraceEvent<'static>) {
        for agent in 0..self.agents.len() {
            self.see(self.program(agent), seen(agent));
        }
    }

    /// The [`Who`] of an agent's program, for events that concern no machine.
    pub(crate) fn program(&self, agent: usize) -> Who {
        let process = self.agents[agent].process.unwrap_or(usize::MAX);
        Who { agent, process, job: 0, kind: crate::job::JobKind::Run }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(crate) fn watch(&mut self) -> &mut InvariantSet {
        &mut self.watch
    }
}
