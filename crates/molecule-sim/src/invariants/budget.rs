//! Invariant: the rate of requests, backoff after failures, and the number of retries.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use molecule_core::Event;
use molecule_core::effect::HostOp;
use molecule_proto::Time;

use super::inbox_backoff::InboxBackoff;
use super::lanes::{Lane, Lanes};
use super::{Invariant, KnownSecrets, is_dead};
use crate::agent::Agent;
use crate::job::JobKind;
use crate::trace::{OutcomeRecord, RequestRecord, Says, Sight, Taken, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct WithinBudgetAndBackoff {
    lanes: BTreeMap<(Who, Lane), Backoff>,
    lane_of: Lanes,
    inbox: InboxBackoff,
    calls: BTreeMap<(Who, Route), u32>,
    /// By process: the end of the wait that a 429 asked for, on the agent's clock, and the time of that answer.
    blocked: BTreeMap<usize, (Time, Time)>,
    /// By process: the time until which the window's remaining requests are less than three quarters of what heartbeats
    /// could need.
    scarce: BTreeMap<usize, Time>,
    /// By loop: the time of its last poll of the state, on the agent's clock.
    looked: BTreeMap<Who, Time>,
    /// By loop: the time at which it last prepared the store, which begins an attempt to register.
    prepared: BTreeMap<Who, Time>,
    /// By loop: the times of its requests in the last minute.
    lately: BTreeMap<Who, VecDeque<Time>>,
    /// Processes that have registered.
    registered: BTreeSet<usize>,
    /// Loops whose first register is done.
    opened: BTreeSet<Who>,
    /// Machines whose last register succeeded.
    taken_in: BTreeSet<Who>,
}

#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    /// The earliest time of the next request, on the agent's clock.
    until: Time,
    /// The bearer of a request that was refused with 401, and when.
    refused: Option<(Option<String>, Time)>,
}

/// Requests of one call: four, and at most three more, one for each change of its bearer. A register is sent once more
/// if the server requires a URL.
const MOST_OF_A_CALL: u32 = 4 + 3;

/// A poll of the state that waited this long is sent even if the window is scarce.
const PATIENCE: Duration = Duration::from_secs(300);

impl Invariant for WithinBudgetAndBackoff {
    fn name(&self) -> &'static str {
        "within budget and backoff"
    }

    fn sentence(&self) -> &'static str {
        "after a 429 no lane of the loop begins anything before the time that the server named; after the n-th failure in a row \
         a lane waits at least half of 2^(n-1) seconds, or of its interval, or what the server asked for; a look at the state \
         leaves a scarce window to the heartbeats; and a call sends at most four requests besides those for a new bearer"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let agent = &sight.facts.agents[sight.who.agent];
        let who = sight.who;
        self.lane_of.see(sight);
        self.inbox.see(sight)?;
        match &sight.seen {
            TraceEvent::Asked(ask) => match who.kind {
                JobKind::Run => self.of_the_loop(sight, agent, ask)?,
                _ => self.of_a_call(sight, ask)?,
            },
            TraceEvent::HostAsked(_, HostOp::Prepare) => {
                self.prepared.insert(who, sight.clock.mono);
            }
            // An answer that comes too late teaches the agent nothing.
            TraceEvent::Landed(landing, Taken::Yes) => {
                // A loop skips the retries of the first register if another machine of its process has registered.
                if landing.locked && self.registered.contains(&who.process) {
                    self.opened.insert(who);
                }
                self.landed(sight, agent, landing);
            }
            TraceEvent::Told(Event::Registered { .. }) => self.registered(who),
            // The register succeeded; only the store did not take its token.
            TraceEvent::Told(Event::Warning(text))
                if text.contains("not be stored") && self.taken_in.contains(&who) =>
            {
                self.registered(who);
            }
            TraceEvent::Told(Event::Resumed) => {
                self.lanes.remove(&(who, Lane::Heartbeat));
            }
            // This also covers a state that made the register needless.
            TraceEvent::Told(Event::Recovered { lane: molecule_core::Lane::Register, .. }) => {
                self.lanes.remove(&(who, Lane::Register));
            }
            TraceEvent::Ended(_) | TraceEvent::Dropped => self.forget(|of| of == who),
            seen if is_dead(seen) => {
                self.forget(|of| of.process == who.process);
                self.blocked.remove(&who.process);
                self.scarce.remove(&who.process);
                self.registered.remove(&who.process);
            }
            _ => {}
        }
        Ok(())
    }
}

impl WithinBudgetAndBackoff {
    fn of_the_loop(&mut self, sight: &Sight<'_>, agent: &Agent, ask: &RequestRecord) -> Result<(), String> {
        self.not_a_storm(sight, agent)?;
        let (who, now) = (sight.who, sight.clock.mono);
        let lane = self.lane_of.of(who, ask);
        // Until the first register is done, a loop retries like a call.
        if !self.opened.contains(&who) {
            return Ok(());
        }
        let (blocked, said) = self.blocked.get(&who.process).copied().unwrap_or_default();
        let began = if lane == Lane::Register { self.prepared.get(&who).copied() } else { None };
        let backoff = self.lanes.entry((who, lane)).or_default();
        let refused = backoff.refused.take();
        let follows = ask.route == Some(Route::Register);
        match refused {
            // This is the same attempt with another bearer.
            Some((bearer, _)) if ask.bearer != bearer && ask.route != Some(Route::View) => return Ok(()),
            Some((_, at)) if !follows => backoff.fail(at, None, interval(agent, lane)),
            Some(_) | None => {}
        }
        if follows {
            return Ok(());
        }
        if now < blocked && began.is_none_or(|began| began > said) {
            return Err(format!("{} comes {:?} before the rate limit ends", ask.printed, blocked.since(now)));
        }
        if lane == Lane::State {
            let refills = self.scarce.get(&who.process).copied().unwrap_or_default();
            let looked = self.looked.insert(who, now);
            if now < refills && looked.is_some_and(|looked| now.since(looked) < PATIENCE) {
                return Err(format!("{} comes {:?} before the window refills", ask.printed, refills.since(now)));
            }
        }
        if now < backoff.until && !lane.is_of_the_inbox() {
            let early = backoff.until.since(now);
            return Err(format!("{} comes {early:?} early, after {} failures", ask.printed, backoff.failures));
        }
        Ok(())
    }

    /// Limits the requests in a minute, whatever happens.
    fn not_a_storm(&mut self, sight: &Sight<'_>, agent: &Agent) -> Result<(), String> {
        let lately = self.lately.entry(sight.who).or_default();
        lately.push_back(sight.at);
        while lately.front().is_some_and(|first| sight.at.since(*first) > Duration::from_secs(60)) {
            lately.pop_front();
        }
        let turns = 60 / agent.setup.heartbeat_s.max(1) + 60 / agent.setup.state_s.max(1);
        // Each of three lanes may be told every time to come again within 1 s.
        let most = 3 * 60 + 6 * usize::try_from(turns).unwrap_or(usize::MAX / 12);
        // The feed is read at least every 5 s, and replies are sent.
        let most = if agent.setup.handler.is_some() { most + 300 } else { most };
        if lately.len() > most {
            return Err(format!("{} requests within a minute", lately.len()));
        }
        Ok(())
    }

    fn of_a_call(&mut self, sight: &Sight<'_>, ask: &RequestRecord) -> Result<(), String> {
        let Some(route) = ask.route else { return Ok(()) };
        let count = self.calls.entry((sight.who, route)).or_default();
        *count += 1;
        let most = match sight.who.kind {
            // A wait polls six times within half a minute, then at most once in 15 s; each poll is one request unless
            // the bearer changes.
            JobKind::WaitDelegation(limit_s) | JobKind::WaitQueueItem(limit_s) => (8 + u32::from(limit_s) / 15) * 4,
            // Its outbox tries again as long as its limit allows.
            JobKind::ReplyTo => 100,
            _ if route == Route::Register => 2 * MOST_OF_A_CALL,
            _ => MOST_OF_A_CALL,
        };
        if *count > most {
            return Err(format!("{} is sent for the {count}th time", ask.printed));
        }
        let until = self.lanes.get(&(sight.who, Lane::Call)).map_or(Time::ZERO, |backoff| backoff.until);
        if sight.clock.mono < until {
            let early = until.since(sight.clock.mono);
            return Err(format!("{} comes {early:?} before the server's Retry-After", ask.printed));
        }
        Ok(())
    }

    fn landed(&mut self, sight: &Sight<'_>, agent: &Agent, landing: &OutcomeRecord) {
        let Some(ask) = &landing.ask else { return };
        let (who, now) = (sight.who, sight.clock.mono);
        let status = landing.status.map(|status| status.as_u16());
        let ours = landing.is_about_the_agent();
        if status == Some(429) && ours {
            let until = now + landing.wait.unwrap_or(Duration::from_secs(1));
            let blocked = self.blocked.entry(who.process).or_default();
            *blocked = (until.max(blocked.0), now);
        }
        if let Some((left, limit, reset)) = landing.left.filter(|_| ours) {
            let scarce = u64::from(left) * 80 < u64::from(limit) * u64::from(reset);
            let refills = if scarce { now + Duration::from_secs(reset.into()) } else { Time::ZERO };
            self.scarce.insert(who.process, refills);
        }
        if ask.route == Some(Route::Register) {
            if landing.is_good() {
                self.taken_in.insert(who)
            } else {
                self.taken_in.remove(&who)
            };
        }
        let lane = self.lane_of.of(who, ask);
        let backoff = self.lanes.entry((who, lane)).or_default();
        if who.kind != JobKind::Run {
            // A wait that a directly called peer asks for does not concern the platform.
            let asked = landing.wait.filter(|_| ask.route != Some(Route::Direct));
            backoff.until = asked.map_or(Time::ZERO, |wait| now + wait);
            return;
        }
        match status {
            Some(401) => backoff.refused = Some((ask.bearer.clone(), now)),
            // April's server requires a URL, and the next register contains one.
            Some(400) if ask.route == Some(Route::Register) => {}
            _ if ask.route == Some(Route::View) && landing.says == Some(Says::Present) => {}
            _ if landing.is_good() => *backoff = Backoff::default(),
            _ => backoff.fail(now, landing.wait, interval(agent, lane)),
        }
    }

    /// Resets the heartbeat lane, because a heartbeat follows a register at once.
    fn registered(&mut self, who: Who) {
        self.registered.insert(who.process);
        self.opened.insert(who);
        self.lanes.retain(|(of, lane), _| of.process != who.process || *lane != Lane::Heartbeat);
    }

    fn forget(&mut self, of: impl Fn(Who) -> bool) {
        self.lanes.retain(|(who, _), _| !of(*who));
        self.calls.retain(|(who, _), _| !of(*who));
        self.lately.retain(|who, _| !of(*who));
        self.prepared.retain(|who, _| !of(*who));
        self.looked.retain(|who, _| !of(*who));
        self.opened.retain(|who| !of(*who));
        self.taken_in.retain(|who| !of(*who));
    }
}

impl Backoff {
    fn fail(&mut self, at: Time, asked: Option<Duration>, interval: Duration) {
        self.failures = self.failures.saturating_add(1);
        let doubled = Duration::from_secs(1 << (self.failures - 1).min(10));
        self.until = at + asked.unwrap_or(doubled.min(interval) / 2);
    }
}

fn interval(agent: &Agent, lane: Lane) -> Duration {
    match lane {
        Lane::State => agent.state(),
        Lane::Heartbeat | Lane::Register | Lane::Events | Lane::Feed | Lane::Ack | Lane::Outbox | Lane::Call => {
            agent.heartbeat()
        }
    }
}
