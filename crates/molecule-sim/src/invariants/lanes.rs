//! Invariant: at most one request is in flight in each lane.

use std::collections::BTreeMap;

use molecule_core::effect::EffectId;

use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::trace::{RequestRecord, Sight, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct OneRequestPerLane {
    open: BTreeMap<(Who, Lane), EffectId>,
}

/// The lanes of a loop, and that of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Heartbeat,
    State,
    Register,
    Events,
    /// The only lane of a call outside the loop.
    Call,
}

impl Lane {
    pub(super) fn of(who: Who, ask: &RequestRecord) -> Self {
        match (who.kind, ask.route) {
            (JobKind::Run, Some(Route::Heartbeat)) => Self::Heartbeat,
            (JobKind::Run, Some(Route::State)) => Self::State,
            (JobKind::Run, Some(Route::Events)) => Self::Events,
            (JobKind::Run, _) => Self::Register,
            _ => Self::Call,
        }
    }
}

impl OneRequestPerLane {
    /// Removes an ended request of a machine, or all of its requests.
    fn close(&mut self, who: Who, ended: Option<EffectId>) {
        for lane in [Lane::Heartbeat, Lane::State, Lane::Register, Lane::Events, Lane::Call] {
            if self.open.get(&(who, lane)).is_some_and(|id| ended.is_none_or(|ended| ended == *id)) {
                self.open.remove(&(who, lane));
            }
        }
    }
}

impl Invariant for OneRequestPerLane {
    fn name(&self) -> &'static str {
        "one request per lane"
    }

    fn sentence(&self) -> &'static str {
        "at most one request is under way in each lane of the loop, and in each call"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        match &sight.seen {
            TraceEvent::Asked(ask) => {
                let lane = Lane::of(sight.who, ask);
                if let Some(other) = self.open.insert((sight.who, lane), ask.id) {
                    return Err(format!("{lane:?}: {} while {other:?} is under way", ask.printed));
                }
            }
            TraceEvent::Landed(landing, _) => self.close(sight.who, Some(landing.id)),
            TraceEvent::Cancelled(id) => self.close(sight.who, Some(*id)),
            TraceEvent::Ended(_) | TraceEvent::Dropped => self.close(sight.who, None),
            seen if is_dead(seen) => self.open.retain(|(who, _), _| who.process != sight.who.process),
            _ => {}
        }
        Ok(())
    }
}
