//! The session of one agent, which its calls and its loops share.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molecule_core::effect::{Effect, EffectId};
use molecule_core::machine::{Cx, MAX_STEPS, Machine, Now, Session, Step, Wake};
use molecule_core::{Config, Event};

use crate::clock::Clock;
use crate::environment::seed;
use crate::listener::{Listener, OnEvent};
use crate::stopper::Stopper;
use crate::trace::Span;

/// The most inputs that a driver gives to a loop before it polls it.
pub const MAX_INPUTS: usize = 64;

/// The session of one agent, with the clock for its machines, the listener for its events, and the loops that are woken
/// when the session changes. Clones are the same session.
#[derive(Clone)]
pub struct SharedSession(Arc<Shared>);

struct Shared {
    session: Mutex<Session>,
    clock: Clock,
    listener: Listener,
    loops: Mutex<Vec<LookAgain>>,
}

/// Makes a loop look at the session again, and returns whether the loop still runs.
type LookAgain = Box<dyn Fn() -> bool + Send>;

/// Performs the effects of a machine.
pub trait Perform {
    /// Starts an effect. The driver feeds its outcome to the machine under the same id.
    fn start(&mut self, id: EffectId, effect: Effect);

    /// Cancels an effect whose outcome no longer matters. The driver still feeds its outcome.
    fn cancel(&mut self, id: EffectId);
}

impl SharedSession {
    /// Creates the session of an agent with this configuration.
    pub fn new(config: Config, on_event: Option<OnEvent>) -> Self {
        let listener = Listener::new(on_event, &config);
        let session = Mutex::new(Session::new(config, seed()));
        Self(Arc::new(Shared { session, clock: Clock::start(), listener, loops: Mutex::default() }))
    }

    /// Locks the session, for an act that does not wait.
    pub fn lock(&self) -> MutexGuard<'_, Session> {
        self.0.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        self.0.clock.now()
    }

    /// Creates the span of a call or a loop, as a child of its caller's span.
    pub fn span(&self, operation: &'static str) -> Span {
        self.0.listener.span(operation)
    }

    /// Tells an event that no machine reports to the application, outside the session's lock.
    pub fn tell(&self, event: &Event) {
        self.0.listener.tell(event);
    }

    /// Locks the session for one act of a machine. `now` is the time that the driver has read; with `None` it is read
    /// after the session is locked.
    pub fn decide<T>(&self, now: Option<Now>, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut session = self.lock();
        act(&mut Cx { now: now.unwrap_or_else(|| self.now()), session: &mut session })
    }

    /// Polls a machine until it is done (`Break`), or idle until its wake or another input (`Continue`). A given `now`
    /// is used for every poll, until the application's callback has run; then the time is read again. `inputs` is the
    /// number of inputs since it was idle, which bounds its steps.
    pub fn advance<M: Machine>(
        &self,
        machine: &mut M,
        mut now: Option<Now>,
        inputs: usize,
        performer: &mut impl Perform,
    ) -> ControlFlow<M::Output, Option<Wake>> {
        for _ in 0..MAX_STEPS * inputs.max(1) {
            match self.decide(now, |cx| machine.poll(cx)) {
                Step::Start(id, effect) => performer.start(id, effect),
                Step::Cancel(id) => performer.cancel(id),
                Step::Event(event) => {
                    self.0.listener.tell(&event);
                    now = now.map(|_| self.now());
                }
                Step::Idle(wake) => return ControlFlow::Continue(wake),
                Step::Done(output) => return ControlFlow::Break(output),
            }
        }
        debug_assert!(false, "a machine gave more than {MAX_STEPS} steps for an input");
        let at = self.now().mono + Duration::from_secs(1);
        ControlFlow::Continue(Some(Wake { at, why: "too many steps" }))
    }

    /// Registers a loop that starts. `look_again` makes it look at the session again, and returns whether it still
    /// runs.
    pub fn add_loop(&self, look_again: impl Fn() -> bool + Send + 'static) {
        // This removes the loops that have ended; a running loop is not harmed by an additional look.
        self.look_again();
        self.loops().push(Box::new(look_again));
    }

    /// Makes every running loop look at the session again, after a change of the session.
    pub fn look_again(&self) {
        self.loops().retain(|look_again| look_again());
    }

    /// Creates a handle that stops the agent's loops.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.clone())
    }

    fn loops(&self) -> MutexGuard<'_, Vec<LookAgain>> {
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use molecule_core::Options;

    use super::*;

    fn shared() -> SharedSession {
        let options = Options::new("https://host.example", "7fda77bf-a467-441c-9fab-7d8aba8e6040");
        SharedSession::new(options.build().unwrap(), None)
    }

    #[test]
    fn a_stop_wakes_the_loops_that_run_and_forgets_the_others() {
        let session = shared();
        let (looks, looked) = channel();
        for (number, runs) in [(1, true), (2, false), (3, true)] {
            let looks = looks.clone();
            session.0.loops.lock().unwrap().push(Box::new(move || looks.send(number).is_ok() && runs));
        }
        session.stopper().stop();
        assert_eq!(looked.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        session.add_loop(|| true);
        assert_eq!(looked.try_iter().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(session.loops().len(), 3);
        assert!(session.stopper().is_stopped());
    }

    /// Starts two effects, reports an event, cancels an effect, and is idle; then it is done.
    #[derive(Default)]
    struct Asking(u64, Vec<Now>);

    impl Machine for Asking {
        type Output = Vec<Now>;

        fn operation(&self) -> &'static str {
            "ask"
        }

        fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Vec<Now>> {
            self.0 += 1;
            self.1.push(cx.now);
            match self.0 {
                1 | 2 => Step::Start(EffectId(self.0), Effect::Host(molecule_core::effect::HostOp::Prepare)),
                3 => Step::Event(molecule_core::Event::Online),
                4 => Step::Cancel(EffectId(1)),
                5 => Step::Idle(None),
                _ => Step::Done(std::mem::take(&mut self.1)),
            }
        }

        fn feed(
            &mut self,
            _: &mut Cx<'_>,
            _: EffectId,
            outcome: molecule_core::effect::Outcome,
        ) -> Result<(), molecule_core::effect::Outcome> {
            Err(outcome)
        }

        fn cancel(&mut self, _: &mut Cx<'_>) {}
    }

    #[derive(Default)]
    struct Asked(Vec<String>);

    impl Perform for Asked {
        fn start(&mut self, id: EffectId, _: Effect) {
            self.0.push(format!("start {}", id.0));
        }

        fn cancel(&mut self, id: EffectId) {
            self.0.push(format!("cancel {}", id.0));
        }
    }

    #[test]
    fn a_machine_is_polled_until_it_is_idle_or_done_at_a_moment_that_holds_until_the_application_had_its_turn() {
        let (session, mut machine, mut asked) = (shared(), Asking::default(), Asked::default());
        let long_ago = Now { mono: molecule_core::proto::Time::ZERO, ..session.now() };
        assert!(matches!(session.advance(&mut machine, Some(long_ago), 0, &mut asked), ControlFlow::Continue(None)));
        assert_eq!(asked.0, ["start 1", "start 2", "cancel 1"]);
        let ControlFlow::Break(moments) = session.advance(&mut machine, None, 0, &mut asked) else {
            panic!("not done")
        };
        assert_eq!(moments[..3], [long_ago; 3]);
        assert!(moments[3..].iter().all(|moment| moment.mono > long_ago.mono), "{moments:?}");
    }
}
