//! The protocol between machines and drivers. It may change in any release.
//!
//! A machine is polled for [`Step`]s. It never performs I/O: it asks for effects, and its driver performs them and
//! feeds the outcomes back. The contract:
//!
//! 1. After `feed`, a wake, or a change of the session (a stop, a reported URL), poll until [`Step::Idle`] or
//!    [`Step::Done`]. A loop may be fed several outcomes first, if they are there at the same time. A machine returns at
//!    most [`MAX_STEPS`] steps for each input.
//! 2. For every [`Step::Start`] the driver feeds exactly one final outcome, in any order and at any later time. If the
//!    machine is done before that, the driver disposes of the outcome as if `feed` had given it back. A fault is an
//!    outcome, and so is the end of a cancelled effect. [`Outcome::Progress`] and [`Outcome::Part`] come before the final
//!    one, for a fetch and a watch alone.
//! 3. [`Machine::feed`] gives back an outcome that is not its own, unchanged. A parent offers an outcome to its children
//!    and stores none. The driver disposes of what the root gives back, so late, unknown and repeated ids do no harm.
//! 4. A machine returns `Idle(None)` only while an effect is in flight. `Idle(Some(wake))` has `wake.at > now.mono`.
//! 5. Time may jump or stand still, and machines survive both with saturating arithmetic. Drivers pass the time that they
//!    read from the clock, never the deadline that they waited for.
//! 6. Nothing follows [`Step::Done`]. [`Machine::cancel`] bounds the number of steps, not the time: work that must be
//!    finished (a save after a mint, the release of a lock) is finished.

pub use molecule_proto::{Now, Wake};

pub use crate::session::{Session, StopLevel, peer_cache};

use crate::effect::{Effect, EffectId, Outcome};
use crate::event::Event;

/// The most steps that a machine gives for one input.
pub const MAX_STEPS: usize = 64;

/// What a machine may read and change while it decides.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The clocks.
    pub now: Now,
    /// The state that the agent's calls share.
    pub session: &'a mut Session,
}

/// The next step of a machine.
#[must_use = "a step that is dropped is an effect that never happens or an answer that nobody gets"]
#[derive(Debug)]
pub enum Step<Out> {
    /// Perform the effect and feed its outcome under the same id. Poll again at once.
    Start(EffectId, Effect),
    /// The outcome of the effect no longer matters, and its performer may stop. Poll again at once. The final outcome
    /// must be fed all the same: for a fetch, it says that the performer no longer uses the destination. A handler goes on,
    /// since only its message can tell it to end.
    Cancel(EffectId),
    /// An event for the application. Poll again at once.
    Event(Event),
    /// The machine waits for an outcome, a change of the session, or the wake.
    Idle(Option<Wake>),
    /// The machine is finished. Never poll it again.
    Done(Out),
}

/// Returns a child's step as its parent's. Every step but `Done` is the same for both.
pub(crate) fn pass<Out, ParentOut>(step: Step<Out>) -> Step<ParentOut> {
    match step {
        Step::Start(id, effect) => Step::Start(id, effect),
        Step::Cancel(id) => Step::Cancel(id),
        Step::Event(event) => Step::Event(event),
        Step::Idle(wake) => Step::Idle(wake),
        Step::Done(_) => unreachable!("a parent takes its child's end before it passes its steps on"),
    }
}

/// A state machine that decides: a call or a loop.
pub trait Machine {
    /// The type of its result.
    type Output;

    /// Returns the machine's operation for logs, as [`Error::operation`](crate::Error::operation) names it.
    fn operation(&self) -> &'static str;

    /// Returns the next step.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output>;

    /// Takes the outcome of an effect.
    ///
    /// # Errors
    /// Gives the outcome back unchanged unless the effect is one of this machine's and still in flight.
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;

    /// Cancels the machine, since its caller is gone. `Done` follows within a bounded number of steps.
    fn cancel(&mut self, cx: &mut Cx<'_>);
}
