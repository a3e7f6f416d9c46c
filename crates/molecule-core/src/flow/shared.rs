//! What a flow and its code share: what is waited for, and what was told and given back meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use molecule_proto::{Now, Wake};

use super::child::{Child, lock};
use crate::effect::decode::Decoded;
use crate::effect::{Effect, EffectId, HostResult, LockId, Outcome};
use crate::event::Event;
use crate::session::Session;

/// What a flow and its code share. Both are polled by one thread at a time, so nobody ever waits for the lock.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(super) struct Inner {
    /// The session, while the future is polled and does not look at it.
    pub(super) lent: Option<(Now, Session)>,
    pub(super) label: &'static str,
    pub(super) wait: Wait,
    /// What came of the effect that was waited for: an outcome that fits it, or a fault.
    pub(super) came: Option<Outcome>,
    pub(super) events: VecDeque<Event>,
    pub(super) is_cancelled: bool,
    pub(super) has_turn: bool,
    /// Locks whose guards are gone.
    pub(super) returned: Vec<LockId>,
    pub(super) unlocking: Option<EffectId>,
}

impl Inner {
    /// Whether there is anything to do but to poll the future.
    pub(super) fn has_something_to_do(&self) -> bool {
        !(matches!(self.wait, Wait::Nothing) && self.events.is_empty() && self.returned.is_empty())
    }
}

/// What a flow waits for.
#[derive(Default)]
pub(super) enum Wait {
    /// Nothing: its future is polled.
    #[default]
    Nothing,
    /// An effect that the driver does not know yet. `begun` is told once it does.
    Start { effect: Effect, fits: Fits, on_cancel: OnCancel, begun: Option<Event> },
    /// An effect's outcome.
    Outcome { id: EffectId, fits: Fits, on_cancel: OnCancel },
    /// An effect's outcome, of which the driver does not know yet that nobody waits for it.
    Tell { id: EffectId, fits: Fits },
    /// An effect whose outcome is not waited for any more.
    GiveUp(EffectId),
    /// A child machine.
    Child(Box<dyn Child>),
    /// A moment.
    Until(Wake),
    /// A moment, or whatever the machine is polled for before it.
    NextPoll(Wake),
}

/// What becomes of an effect whose outcome is waited for, when the flow is cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnCancel {
    /// It is cancelled, and its outcome is not waited for.
    GiveUp,
    /// It is cancelled, and its outcome is waited for. It is not started any more.
    Tell,
    /// It is finished, and started if it was not yet.
    Finish,
}

/// Which outcome answers an effect; a fault answers every one.
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
