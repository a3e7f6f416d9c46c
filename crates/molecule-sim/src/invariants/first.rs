//! Invariant: after a rate limit the heartbeat comes before all other lanes.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::Event;
use molecule_core::effect::{EffectId, HostOp};
use molecule_proto::Time;

use super::lanes::{Lane, Lanes};
use super::{Invariant, KnownSecrets, is_dead, of};
use crate::job::JobKind;
use crate::scenario::ScenarioAction;
use crate::trace::{OutcomeRecord, RequestRecord, Sight, Taken, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct TheHeartbeatComesFirst {
    lanes: Lanes,
    /// The loops that send heartbeats.
    loops: BTreeMap<Who, Beats>,
    /// By process: the end of the wait that a 429 asked for, on the agent's clock.
    blocked: BTreeMap<usize, Time>,
}

/// The heartbeats of a loop, on the agent's clock.
#[derive(Debug, Default)]
struct Beats {
    in_flight: Option<EffectId>,
    /// The latest time of the next one, where no limit delays it.
    latest: Time,
    /// Since when a limit delays the next one.
    owed: Option<Time>,
    /// When the store was last prepared, with which a register begins.
    prepared: Time,
    /// The lanes whose last answer was a 401: they send the same request again with another bearer.
    refused: Vec<Lane>,
}

/// The longest wait that a server may ask for, and what is added to it.
const ASKED: Duration = Duration::from_secs(60 + 5);

impl Invariant for TheHeartbeatComesFirst {
    fn name(&self) -> &'static str {
        "the heartbeat comes first"
    }

    fn sentence(&self) -> &'static str {
        "no lane of the loop begins anything between a 429 that delays the heartbeat and that heartbeat"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let (who, now) = (sight.who, sight.clock.mono);
        self.lanes.see(sight);
        match &sight.seen {
            TraceEvent::Asked(ask) if who.kind == JobKind::Run => return self.asked(sight, ask),
            TraceEvent::HostAsked(_, HostOp::Prepare) => {
                if let Some(beats) = self.loops.get_mut(&who) {
                    beats.prepared = now;
                }
            }
            // An answer that comes too late teaches the agent nothing.
            TraceEvent::Landed(landing, taken) => self.landed(sight, landing, *taken == Taken::Yes),
            TraceEvent::Cancelled(id) => {
                if let Some(beats) = self.loops.get_mut(&who) {
                    beats.in_flight = beats.in_flight.filter(|beat| beat != id);
                }
            }
            TraceEvent::Acted(
                ScenarioAction::ClockJumps(_) | ScenarioAction::ClockStands(_) | ScenarioAction::Sleep { .. },
            ) => self.loops.range_mut(of(who.agent)).for_each(|(_, beats)| beats.owed = None),
            // The loop sends no heartbeats then.
            TraceEvent::Told(Event::Paused) | TraceEvent::Stopping(_) | TraceEvent::Ended(_) | TraceEvent::Dropped => {
                self.loops.remove(&who);
            }
            seen if is_dead(seen) => {
                self.loops.retain(|of, _| of.process != who.process);
                self.blocked.remove(&who.process);
            }
            _ => {}
        }
        Ok(())
    }
}

impl TheHeartbeatComesFirst {
    fn asked(&mut self, sight: &Sight<'_>, ask: &RequestRecord) -> Result<(), String> {
        let (who, now) = (sight.who, sight.clock.mono);
        let interval = sight.facts.agents[who.agent].heartbeat();
        if ask.route == Some(Route::Heartbeat) {
            let beats = self.loops.entry(who).or_default();
            (beats.in_flight, beats.latest, beats.owed) = (Some(ask.id), now + interval, None);
            beats.refused.retain(|lane| *lane != Lane::Heartbeat);
            return Ok(());
        }
        let lane = self.lanes.of(who, ask);
        let Some(beats) = self.loops.get_mut(&who) else { return Ok(()) };
        let is_resend = beats.refused.contains(&lane);
        beats.refused.retain(|of| *of != lane);
        let Some(since) = beats.owed else { return Ok(()) };
        // A register that has begun goes on, and so does the question whether a reply was really refused.
        let goes_on = match lane {
            Lane::Register => beats.prepared <= since,
            Lane::Outbox => ask.route == Some(Route::View),
            Lane::Heartbeat | Lane::State | Lane::Events | Lane::Feed | Lane::Ack | Lane::Call => false,
        };
        if is_resend || goes_on {
            return Ok(());
        }
        Err(format!("{} comes before the heartbeat that a 429 delays since {:?}", ask.printed, now.since(since)))
    }

    fn landed(&mut self, sight: &Sight<'_>, landing: &OutcomeRecord, is_taken: bool) {
        let (who, now) = (sight.who, sight.clock.mono);
        let interval = sight.facts.agents[who.agent].heartbeat();
        let status = landing.status.map(|status| status.as_u16());
        if is_taken && status == Some(429) && landing.is_about_the_agent() {
            let until = now + landing.wait.unwrap_or(Duration::from_secs(1));
            let blocked = self.blocked.entry(who.process).or_default();
            *blocked = until.max(*blocked);
        }
        if let Some(beats) = self.loops.get_mut(&who) {
            if beats.in_flight == Some(landing.id) {
                beats.in_flight = None;
                if !landing.is_good() {
                    beats.latest = now + landing.wait.map_or(interval, |_| interval.max(ASKED));
                }
                // The limit delays it, whatever it was to be.
                if status == Some(429) {
                    beats.latest = now;
                }
            }
            if status == Some(401)
                && let Some(ask) = &landing.ask
            {
                beats.refused.push(self.lanes.of(who, ask));
            }
        }
        let blocked = self.blocked.get(&who.process).copied().unwrap_or_default();
        for (of, beats) in self.loops.range_mut(of(who.agent)) {
            if of.process == who.process && beats.in_flight.is_none() && blocked > beats.latest && blocked > now {
                beats.owed.get_or_insert(now);
            }
        }
    }
}
