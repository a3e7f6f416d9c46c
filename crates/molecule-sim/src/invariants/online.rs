//! Invariant: a reference model of the state that every agent reaches while nothing disturbs it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::effect::EffectId;
use molecule_core::{ErrorKind, Event};
use molecule_proto::{Time, WorkspaceStatus};

use super::ends::end_interval;
use super::{Invariant, KnownSecrets, is_dead};
use crate::acts::task;
use crate::agent::{Agent, Program};
use crate::drive::PATIENCE;
use crate::job::{Ending, JobKind};
use crate::scenario::{Mood, ScenarioAction};
use crate::trace::{OutcomeRecord, Sight, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct OnlineAgainSoon {
    agents: BTreeMap<usize, Calm>,
}

#[derive(Debug, Default)]
struct Calm {
    /// The time since which nothing disturbs the agent.
    since: Time,
    /// Its requests in flight that met a network fault.
    gusty: BTreeSet<(usize, EffectId)>,
    last_beat: Time,
    /// Whether its workspace was paused or resumed and has not been online since. Only a poll of the state shows that;
    /// a heartbeat does not.
    needs_a_look: bool,
    /// The latest report of its process: the number of active tasks.
    reported: Option<u8>,
    /// The error with which the program failed last, if only an owner can fix it; the program may be trying again.
    hopeless: Option<ErrorKind>,
    /// When its program began its latest attempt.
    began: Time,
}

/// The state that an agent should reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Gone,
    Paused,
    /// The workspace has tokens, the agent has none of them, and the platform mints no other.
    Locked,
    Live,
}

/// The server's rate limit window; requests that waited for a refill are spread over it.
const WINDOW: Duration = Duration::from_secs(60);

/// The duration of a request.
const SLACK: Duration = Duration::from_secs(1);

impl Invariant for OnlineAgainSoon {
    fn name(&self) -> &'static str {
        "online again soon"
    }

    fn sentence(&self) -> &'static str {
        "two heartbeat intervals after everything is well again a running agent is online with heartbeats at its pace, and \
         the platform shows what it last reported; a loop has ended if its workspace is gone, or paused and it does not wait, or its credential is dead; and a program that fails fails \
         for one of these reasons"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        if let TraceEvent::Acted(ScenarioAction::Weather(_) | ScenarioAction::Database { .. }) = sight.seen {
            self.agents.values_mut().for_each(|calm| calm.since = calm.since.max(sight.at));
        }
        let agent = &sight.facts.agents[sight.who.agent];
        let calm = self.agents.entry(sight.who.agent).or_default();
        calm.disturb(sight, agent);
        calm.note(sight, agent);
        if matches!(sight.seen, TraceEvent::Tick) {
            calm.judge(sight, agent, truth(sight, known, agent))
        } else {
            Ok(())
        }
    }
}

impl Calm {
    fn disturb(&mut self, sight: &Sight<'_>, agent: &Agent) {
        let now = sight.at;
        if matches!(sight.seen, TraceEvent::Began) && is_program(sight, agent) {
            self.began = now;
        }
        let until = match &sight.seen {
            TraceEvent::Asked(ask) if ask.gust.is_some() => {
                self.gusty.insert((sight.who.process, ask.id));
                now
            }
            TraceEvent::Landed(landing, _) => self.landed(sight, agent, landing),
            TraceEvent::Ended(ending) if is_program(sight, agent) => match ending {
                Ending::Run(Err(error)) | Ending::Register(Err(error)) if is_hopeless(error.kind()) => {
                    self.hopeless = Some(error.kind());
                    // What an owner mended during the attempt is seen by the next one.
                    if self.began <= self.since { now + PATIENCE } else { self.since }
                }
                Ending::Run(Err(error)) | Ending::Register(Err(error)) => {
                    // The process has a valid token in memory.
                    if error.kind() == ErrorKind::TokenNotSaved {
                        self.hopeless = None;
                    }
                    now + PATIENCE
                }
                _ => {
                    self.hopeless = None;
                    now
                }
            },
            TraceEvent::Began if is_program(sight, agent) && self.hopeless.is_none() => now,
            // A stopped clock extends every wait by the same time.
            TraceEvent::Acted(ScenarioAction::ClockStands(secs) | ScenarioAction::Sleep { secs, counted: false }) => {
                self.since.max(now) + Duration::from_secs((*secs).into())
            }
            TraceEvent::Acted(_) | TraceEvent::Handed(_) | TraceEvent::Finale => now,
            seen if is_dead(seen) => {
                self.gusty.retain(|(process, _)| *process != sight.who.process);
                self.reported = None;
                if agent.program == Program::Crashed {
                    self.hopeless = None;
                }
                self.since
            }
            _ => self.since,
        };
        let disturbed = !sight.facts.fair
            || agent.is_odd(now)
            || agent.disk.mood() != Mood::Fine
            || agent.doom.is_some()
            || !self.gusty.is_empty();
        self.since = self.since.max(until).max(if disturbed { now } else { Time::ZERO });
    }

    /// Returns the end of the wait that an answer causes.
    fn landed(&mut self, sight: &Sight<'_>, agent: &Agent, landing: &OutcomeRecord) -> Time {
        // A wait begins only when the clock goes on.
        let now = sight.at.max(agent.still_until);
        let was_gusty = self.gusty.remove(&(sight.who.process, landing.id));
        if !landing.is_about_the_agent() && landing.ask.is_some() {
            return if was_gusty { now } else { self.since };
        }
        let status = landing.status.map_or(0, |status| status.as_u16());
        // Polls of the state wait for a refill, and are spread over the time after it.
        if let Some((left, limit, reset)) = landing.left
            && u64::from(left) < u64::from(limit) * u64::from(reset + 1) / 60
        {
            return now + Duration::from_secs(u64::from(reset) + 1) + WINDOW;
        }
        if status == 429 {
            return now + landing.wait.unwrap_or_default() + WINDOW;
        }
        if was_gusty || status >= 500 {
            return now + landing.wait.unwrap_or_default();
        }
        self.since
    }

    fn note(&mut self, sight: &Sight<'_>, agent: &Agent) {
        match &sight.seen {
            TraceEvent::Landed(landing, _) => {
                let is_beat = landing.ask.as_ref().is_some_and(|ask| ask.route == Some(Route::Heartbeat));
                if is_beat && landing.is_good() {
                    self.last_beat = sight.at;
                }
            }
            TraceEvent::Acted(ScenarioAction::Report(tasks)) if agent.process.is_some() => self.reported = Some(*tasks),
            TraceEvent::Told(Event::Registered { .. }) => self.hopeless = None,
            TraceEvent::Told(Event::Paused) => self.hopeless = None,
            TraceEvent::Told(Event::Resumed) => self.since = self.since.max(sight.at),
            TraceEvent::Acted(ScenarioAction::Pause | ScenarioAction::Resume) => self.needs_a_look = true,
            TraceEvent::Tick if is_online(sight, agent) => self.needs_a_look = false,
            _ => {}
        }
    }

    fn judge(&self, sight: &Sight<'_>, agent: &Agent, truth: Truth) -> Result<(), String> {
        let program = match (agent.program, self.hopeless) {
            (Program::Registering | Program::Looping, Some(kind)) => Program::Waiting(kind),
            (program, _) => program,
        };
        let calm_for = sight.at.since(self.since);
        let slower = agent.heartbeat().max(agent.state());
        let most = match truth {
            // A revoked credential is refused three times, one interval after each other, before the loop ends.
            Truth::Locked => 2 * slower + 2 * end_interval(agent) + slower,
            // Only a poll of the state shows a deletion or a pause; a deletion must be confirmed after an interval.
            Truth::Gone => 2 * slower + end_interval(agent),
            Truth::Paused => 2 * slower,
            Truth::Live if self.needs_a_look => 2 * slower,
            Truth::Live => 2 * agent.heartbeat(),
        };
        if calm_for <= most + SLACK {
            return Ok(());
        }
        let wrong = |what: &str| Err(format!("{truth:?} and calm for {calm_for:?}, and {program:?}: {what}"));
        match (truth, program) {
            (_, Program::NotStarted | Program::Finished(_) | Program::Failed(_) | Program::Crashed) => Ok(()),
            (_, Program::Registering) => wrong("the register does not end"),
            (Truth::Live, Program::Waiting(_)) => wrong("it should be online"),
            (Truth::Live, Program::Looping) => {
                if !is_online(sight, agent) {
                    let status = sight.facts.platform.status(&agent.workspace);
                    return wrong(&format!("the platform shows {status:?}"));
                }
                let shown = sight.facts.platform.reported_work(&agent.workspace).map(|(shown, _)| shown);
                if self.reported.is_some_and(|tasks| shown != Some(task(tasks))) {
                    return wrong(&format!("the platform shows {shown:?} as its work"));
                }
                if sight.at.since(self.last_beat) > agent.heartbeat() + SLACK {
                    return wrong(&format!("the last beat was {:?} ago", sight.at.since(self.last_beat)));
                }
                Ok(())
            }
            (Truth::Paused, Program::Looping) if agent.setup.waits_on_pause => Ok(()),
            (Truth::Paused | Truth::Gone | Truth::Locked, Program::Looping) => wrong("the loop should have ended"),
            (Truth::Paused, Program::Waiting(_)) => wrong("a pause is no error"),
            (Truth::Gone | Truth::Locked, Program::Waiting(kind)) if is_hopeless(kind) => Ok(()),
            (Truth::Gone | Truth::Locked, Program::Waiting(_)) => wrong("another error says what is the matter"),
        }
    }
}

fn is_online(sight: &Sight<'_>, agent: &Agent) -> bool {
    let status = sight.facts.platform.status(&agent.workspace);
    matches!(status, Some(WorkspaceStatus::Online | WorkspaceStatus::Degraded))
}

fn truth(sight: &Sight<'_>, known: &KnownSecrets, agent: &Agent) -> Truth {
    let platform = sight.facts.platform;
    match platform.status(&agent.workspace) {
        None | Some(WorkspaceStatus::Removed) => return Truth::Gone,
        Some(WorkspaceStatus::Paused) => return Truth::Paused,
        Some(_) => {}
    }
    let has_one = known.has_live_token(&sight.facts, agent, sight.who.process);
    let asks = platform.live_tokens(&agent.workspace) > 0;
    if asks && !has_one { Truth::Locked } else { Truth::Live }
}

/// Returns whether this machine is the one that the program waits for.
fn is_program(sight: &Sight<'_>, agent: &Agent) -> bool {
    let does = match sight.who.kind {
        JobKind::Run => true,
        JobKind::Register => agent.program == Program::Registering,
        JobKind::LookUp(_)
        | JobKind::Serve
        | JobKind::Recover { .. }
        | JobKind::Beat
        | JobKind::State
        | JobKind::Secrets
        | JobKind::Card
        | JobKind::Peers
        | JobKind::Discover
        | JobKind::CheckAccess
        | JobKind::CallPeer(_)
        | JobKind::Delegate
        | JobKind::Delegations
        | JobKind::WaitDelegation(_)
        | JobKind::QueueItem
        | JobKind::WaitQueueItem(_)
        | JobKind::RetryDeadLetter
        | JobKind::ReplyTo => false,
    };
    does && agent.process == Some(sight.who.process)
}

/// Returns whether only an owner can fix this error.
fn is_hopeless(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TokenNotHeld | ErrorKind::Revoked | ErrorKind::Removed | ErrorKind::NotCreated)
}
