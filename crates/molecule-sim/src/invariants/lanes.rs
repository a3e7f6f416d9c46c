//! Invariant: at most one request is in flight in each lane.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::{EffectId, HostOp};

use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::trace::{RequestRecord, Sight, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct OneRequestPerLane {
    open: BTreeMap<(Who, Lane), BTreeSet<EffectId>>,
    lanes: Lanes,
}

/// The lanes of a loop, and that of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Heartbeat,
    State,
    Register,
    Events,
    /// Reads of the feed: for messages, and for a notice that may have arrived.
    Feed,
    Ack,
    /// Replies, one at a time for each recipient, and the views that confirm that one was refused.
    Outbox,
    /// The only lane of a call outside the loop.
    Call,
}

/// Finds the lanes of requests.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Loops that have prepared the store, with which each register begins, and have not asked the view since.
    registering: BTreeSet<Who>,
    /// Views by which a loop confirms a refusal.
    confirming: BTreeSet<(Who, EffectId)>,
}

impl Lanes {
    /// Sees each event before the lane of its request is asked for.
    pub(super) fn see(&mut self, sight: &Sight<'_>) {
        let who = sight.who;
        match &sight.seen {
            TraceEvent::HostAsked(_, HostOp::Prepare) => {
                self.registering.insert(who);
            }
            TraceEvent::Asked(ask) if ask.route == Some(Route::View) && who.kind == JobKind::Run => {
                let confirms = !self.registering.remove(&who);
                self.confirming.extend(confirms.then_some((who, ask.id)));
            }
            TraceEvent::Ended(_) | TraceEvent::Dropped => self.forget(|of| of == who),
            seen if is_dead(seen) => self.forget(|of| of.process == who.process),
            _ => {}
        }
    }

    fn forget(&mut self, of: impl Fn(Who) -> bool) {
        self.registering.retain(|who| !of(*who));
        self.confirming.retain(|(who, _)| !of(*who));
    }

    pub(super) fn of(&self, who: Who, ask: &RequestRecord) -> Lane {
        match (who.kind, ask.route) {
            (JobKind::Run, Some(Route::Heartbeat)) => Lane::Heartbeat,
            (JobKind::Run, Some(Route::State)) => Lane::State,
            (JobKind::Run, Some(Route::Events)) => Lane::Events,
            (JobKind::Run, Some(Route::Feed)) => Lane::Feed,
            (JobKind::Run, Some(Route::Ack)) => Lane::Ack,
            (JobKind::Run, Some(Route::A2a | Route::Notify)) => Lane::Outbox,
            (JobKind::Run, _) if self.confirming.contains(&(who, ask.id)) => Lane::Outbox,
            (JobKind::Run, _) => Lane::Register,
            _ => Lane::Call,
        }
    }
}

impl Lane {
    /// The most requests that are in flight in it.
    fn most(self) -> usize {
        match self {
            Self::Heartbeat | Self::State | Self::Register | Self::Events | Self::Ack | Self::Call => 1,
            Self::Feed => 2,
            Self::Outbox => 8,
        }
    }

    /// Returns whether it belongs to the receipt of messages, and has a backoff of its own.
    pub(super) fn is_of_the_inbox(self) -> bool {
        matches!(self, Self::Events | Self::Feed | Self::Ack | Self::Outbox)
    }
}

impl OneRequestPerLane {
    /// Removes an ended request of a machine, or all of its requests.
    fn close(&mut self, who: Who, ended: Option<EffectId>) {
        self.open.retain(|(of, _), open| {
            open.retain(|id| *of != who || ended.is_some_and(|ended| ended != *id));
            !open.is_empty()
        });
    }
}

impl Invariant for OneRequestPerLane {
    fn name(&self) -> &'static str {
        "one request per lane"
    }

    fn sentence(&self) -> &'static str {
        "at most one request is under way in each lane of the loop, and in each call; but two reads of the feed, and eight replies"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        self.lanes.see(sight);
        match &sight.seen {
            TraceEvent::Asked(ask) => {
                let lane = self.lanes.of(sight.who, ask);
                let open = self.open.entry((sight.who, lane)).or_default();
                open.insert(ask.id);
                if open.len() > lane.most() {
                    return Err(format!("{lane:?}: {} while {open:?} is under way", ask.printed));
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
