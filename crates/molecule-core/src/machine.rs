//! The protocol that every machine speaks, and that every driver honours. It may change in any release.
//!
//! A machine is polled for [`Step`]s. It never performs: it asks for effects, and whoever drives it performs them and
//! feeds the outcomes back. The contract:
//!
//! 1. After `feed`, a change of the session (a stop, a reported URL) or a wake, poll until [`Step::Idle`] or [`Step::Done`]. A machine gives at most
//!    [`MAX_STEPS`] steps without new input.
//! 2. Every [`Step::Start`] is fed exactly one final outcome, in any order and at any later time, unless the machine is
//!    done first; the driver then disposes of the outcome as if it had been given back. A fault is an outcome, and so
//!    is what comes of a cancelled effect.
//! 3. [`Machine::feed`] gives back what is not its own, unchanged. A parent offers an outcome to its children and keeps
//!    none; what the root gives back, the driver disposes of. So late, unknown and repeated ids do no harm.
//! 4. `Idle(None)` only while something is in flight. `Idle(Some(wake))` has `wake.at > now.mono`.
//! 5. Time may jump or stand still; machines saturate and survive. Drivers feed the clock that they read, never the
//!    deadline that they waited for.
//! 6. Nothing comes after [`Step::Done`]. [`Machine::cancel`] bounds steps, not time: what must be finished (a save after
//!    a mint, a lock to give back) is finished.

pub use molecule_proto::{Now, Wake};

pub use crate::session::{Session, StopLevel, peer_cache};

use crate::effect::{Effect, EffectId, Outcome};
use crate::event::Event;

/// The most steps that a machine gives without new input.
pub const MAX_STEPS: usize = 64;

/// What a machine may look at and change while it decides.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The clocks.
    pub now: Now,
    /// What the agent's calls share.
    pub session: &'a mut Session,
}

/// What a machine wants next.
#[must_use = "a step that is dropped is an effect that never happens or an answer that nobody gets"]
#[derive(Debug)]
pub enum Step<Out> {
    /// Perform the effect and feed its outcome under the same id; go on polling at once.
    Start(EffectId, Effect),
    /// The effect's outcome no longer matters; its performer may stop. Go on polling at once. Its final outcome is owed all the
    /// same, and for a fetch it says that the performer has left its destination.
    Cancel(EffectId),
    /// Something for the application; go on polling at once.
    Event(Event),
    /// Nothing to do until an outcome, a change of the session, or the wake.
    Idle(Option<Wake>),
    /// Finished; never poll again.
    Done(Out),
}

/// A child's step as its parent's: every step but `Done` is the same for both.
pub(crate) fn pass<Out, ParentOut>(step: Step<Out>) -> Step<ParentOut> {
    match step {
        Step::Start(id, effect) => Step::Start(id, effect),
        Step::Cancel(id) => Step::Cancel(id),
        Step::Event(event) => Step::Event(event),
        Step::Idle(wake) => Step::Idle(wake),
        Step::Done(_) => unreachable!("a parent takes its child's end before it passes its steps on"),
    }
}

/// A call, or a loop, as a value that decides.
pub trait Machine {
    /// What it ends with.
    type Output;

    /// What it does, as [`Error::operation`](crate::Error::operation) names it: for logs.
    fn operation(&self) -> &'static str;

    /// Asks for the next step.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output>;

    /// Hands over the outcome of an effect.
    ///
    /// # Errors
    /// Gives the outcome back, unchanged, if the effect is not one of this machine's that is still in flight.
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;

    /// The caller is gone: `Done` follows within bounded steps.
    fn cancel(&mut self, cx: &mut Cx<'_>);
}
