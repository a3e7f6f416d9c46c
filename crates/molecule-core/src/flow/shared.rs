//! The state that a flow and its code share: the current wait, and the events and locks since the last poll.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use molecule_proto::{Now, Wake};

use super::child::{Child, lock};
use crate::effect::decode::Decoded;
use crate::effect::{Effect, EffectId, HostResult, LockId, Outcome};
use crate::event::Event;
use crate::session::Session;

/// The state that a flow and its code share. One thread at a time polls both, so the mutex never blocks.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(super) struct Inner {
    /// The session, while the future is polled and the code does not use it.
    pub(super) lent: Option<(Now, Session)>,
    pub(super) label: &'static str,
    pub(super) wait: Wait,
    /// The outcome of the awaited effect: one that fits it, or a fault.
    pub(super) came: Option<Outcome>,
    pub(super) events: VecDeque<Event>,
    pub(super) is_cancelled: bool,
    pub(super) has_turn: bool,
    /// The locks whose guards were dropped.
    pub(super) returned: Vec<LockId>,
    pub(super) unlocking: Option<EffectId>,
}

impl Inner {
    /// Returns whether there is anything to do other than to poll the future.
    pub(super) fn has_something_to_do(&self) -> bool {
        !(matches!(self.wait, Wait::Nothing) && self.events.is_empty() && self.returned.is_empty())
    }
}

/// The wait of a flow.
#[derive(Default)]
pub(super) enum Wait {
    /// The flow does not wait: its future is polled.
    #[default]
    Nothing,
    /// An effect that the driver has not started yet. The event `begun` is reported once it has.
    Start(Box<Start>),
    /// The outcome of an effect.
    Outcome { id: EffectId, fits: Fits, on_cancel: OnCancel },
    /// The outcome of an effect whose cancel the driver has not got yet.
    Tell { id: EffectId, fits: Fits },
    /// A cancelled effect, whose outcome is not awaited any more.
    GiveUp(EffectId),
    /// A child machine.
    Child(Box<dyn Child>),
    /// A point in time.
    Until(Wake),
    /// A moment, or whatever the machine is polled for before it.
    NextPoll(Wake),
}

/// An effect to start. It is large, and each poll moves the wait, so it is boxed.
pub(super) struct Start {
    pub(super) effect: Effect,
    pub(super) fits: Fits,
    pub(super) on_cancel: OnCancel,
    pub(super) begun: Option<Event>,
}

/// How a cancel of the flow affects the awaited effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnCancel {
    /// The effect is cancelled, and its outcome is not awaited.
    GiveUp,
    /// The effect is cancelled, and its outcome is awaited. An effect that has not started is not started any more.
    Tell,
    /// The effect is finished, and started if it has not started yet.
    Finish,
}

/// The outcomes that answer an effect. A fault answers every effect.
#[derive(Clone, Copy)]
pub(super) enum Fits {
    Any,
    Response,
    Host(fn(&HostResult) -> bool),
    Decoded(fn(&Decoded) -> bool),
}

impl Fits {
    pub(super) fn admit(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Any, _) | (_, Outcome::Failed(_)) => true,
            (Self::Response, outcome) => matches!(outcome, Outcome::Response(_)),
            (Self::Host(fits), outcome) => matches!(outcome, Outcome::Host(result) if fits(result)),
            (Self::Decoded(fits), outcome) => matches!(outcome, Outcome::Decoded(decoded) if fits(decoded)),
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }
}
