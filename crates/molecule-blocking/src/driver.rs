//! Drives machines: a clock, a `match` on [`Effect`], and a way to wait.
//!
//! A call is driven on its caller's thread and performs its effects there, one after the other. The loop is driven on its
//! caller's thread too, but each effect is performed on a thread of its own, so that no lane waits for another and a stop
//! waits for none. `Cancel` means "forget": the performer goes on, and its outcome is given back by the machine, or finds
//! nobody, and is disposed of.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Cx, MAX_STEPS, Machine, Step, Wake};
use molecule_core::session::Session;
use molecule_core::{Config, Ended, Result, Run};
use molecule_host::trace::Span;
use molecule_host::{Clock, Host, Listener, OnEvent};

use crate::fetch::fetch;
use crate::http::Client;
use crate::reply::{Due, Reply};

/// Enough for a TLS handshake; a loop has a handful of such threads at a time.
const STACK: usize = 256 * 1024;

/// What an author's own store may need, such as a keyring's library: as much as threads have by default.
const HOST_STACK: usize = 2 * 1024 * 1024;

/// One agent's session, and what its machines are driven with.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Shared>);

struct Shared {
    session: Mutex<Session>,
    clock: Clock,
    performer: Performer,
    listener: Listener,
    /// The loops that run, each by the sender of its inputs.
    loops: Mutex<Vec<Sender<Input>>>,
}

/// What a driver waits for.
pub(crate) enum Input {
    Outcome(EffectId, Due),
    /// The session changed.
    LookAgain,
}

impl Driver {
    pub(crate) fn new(config: Config, host: Host, client: Client, on_event: Option<OnEvent>) -> Self {
        let listener = Listener::new(on_event, &config);
        let session = Mutex::new(Session::new(config, molecule_host::seed()));
        let performer = Performer { client, host, span: Span::none() };
        Self(Arc::new(Shared { session, clock: Clock::start(), performer, listener, loops: Mutex::default() }))
    }

    /// The session, for an act that waits for nothing.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.0.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives a call to its end.
    pub(crate) fn call<M, T>(&self, machine: M) -> Result<T>
    where
        M: Machine<Output = Result<T>>,
    {
        let (sender, inputs) = mpsc::channel();
        let performer = self.0.performer.apart(self.0.listener.span(machine.operation()));
        let perform = |id, effect| performer.perform_here(&sender, id, effect);
        performer.span.in_scope(|| self.drive(machine, &inputs, &performer.host, perform))
    }

    /// Drives the loop to its end.
    pub(crate) fn run(&self) -> Result<Ended> {
        let (sender, inputs) = mpsc::channel();
        // Forgets the loops that ended; one that runs takes no harm from a look.
        self.look_again();
        self.loops().push(sender.clone());
        let machine = Run::new();
        let performer = self.0.performer.apart(self.0.listener.span(machine.operation()));
        // Where a callback panics, effects that are under way would keep the lock.
        let _unlocked = Unlock(&performer.host);
        let perform = |id, effect| performer.perform_beside(&sender, id, effect);
        performer.span.in_scope(|| self.drive(machine, &inputs, &performer.host, perform))
    }

    /// Raises the stop latch, which a loop that starts later finds, and tells the loops that run.
    pub(crate) fn stop(&self, now: bool) {
        self.session().raise_stop(now);
        self.look_again();
    }

    /// Lets every loop that runs look at the session again.
    pub(crate) fn look_again(&self) {
        self.loops().retain(|running| running.send(Input::LookAgain).is_ok());
    }

    fn loops(&self) -> MutexGuard<'_, Vec<Sender<Input>>> {
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive<M: Machine>(
        &self,
        mut machine: M,
        inputs: &Receiver<Input>,
        host: &Host,
        mut start: impl FnMut(EffectId, Effect),
    ) -> M::Output {
        loop {
            let wake = match self.advance(&mut machine, &mut start) {
                Step::Done(output) => return output,
                Step::Idle(wake) => wake,
                Step::Start(..) | Step::Cancel(_) | Step::Event(_) => None,
            };
            match self.input(wake, inputs) {
                Some(Input::Outcome(id, due)) => {
                    if let Some(outcome) = due.take()
                        && let Err(outcome) = self.decide(|cx| machine.feed(cx, id, outcome))
                    {
                        host.dispose(outcome);
                    }
                }
                Some(Input::LookAgain) | None => {}
            }
        }
    }

    /// Polls until the machine is idle or done.
    fn advance<M>(&self, machine: &mut M, start: &mut impl FnMut(EffectId, Effect)) -> Step<M::Output>
    where
        M: Machine,
    {
        for _ in 0..MAX_STEPS {
            match self.decide(|cx| machine.poll(cx)) {
                Step::Start(id, effect) => start(id, effect),
                Step::Cancel(_) => {}
                Step::Event(event) => self.0.listener.tell(&event),
                end @ (Step::Idle(_) | Step::Done(_)) => return end,
            }
        }
        debug_assert!(false, "a machine gave more than {MAX_STEPS} steps without input");
        Step::Idle(Some(Wake { at: self.0.clock.now().mono + Duration::from_secs(1), why: "too many steps" }))
    }

    /// Lets a machine decide: both clocks read once, the session locked for this one act.
    fn decide<T>(&self, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut session = self.session();
        act(&mut Cx { now: self.0.clock.now(), session: &mut session })
    }

    /// Waits for whatever comes first.
    fn input(&self, wake: Option<Wake>, inputs: &Receiver<Input>) -> Option<Input> {
        match wake {
            Some(wake) => inputs.recv_timeout(wake.at.since(self.0.clock.now().mono)).ok(),
            None => inputs.recv().ok(),
        }
    }
}

/// Gives the agent's lock back, however the loop ends.
struct Unlock<'a>(&'a Host);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        self.0.give_the_lock_back();
    }
}

/// Performs effects.
#[derive(Clone)]
struct Performer {
    client: Client,
    host: Host,
    span: Span,
}

impl Performer {
    /// For one machine, in its span: its locks go with it.
    fn apart(&self, span: Span) -> Self {
        Self { client: self.client.clone(), host: self.host.apart(), span }
    }

    fn perform(&self, reply: Reply, span: &Span, effect: Effect) {
        let outcome = span.in_scope(|| match effect {
            Effect::Http(request, limits) => {
                self.client.send(request, limits).map_or_else(Outcome::Failed, Outcome::Response)
            }
            Effect::Fetch(request, limits, dest) => {
                let tell = |progress| reply.tell(Outcome::Progress(progress));
                fetch(&self.client, &self.host, (request, limits, dest), tell).unwrap_or_else(Outcome::Failed)
            }
            Effect::Host(op) => self.host.perform(op),
            Effect::Decode(decode) => decode.perform(),
        });
        reply.feed(outcome);
    }

    /// Performs an effect of a call: now, on the thread that waits for it, or beside it where there is something to tell
    /// meanwhile.
    fn perform_here(&self, sender: &Sender<Input>, id: EffectId, effect: Effect) {
        match effect {
            Effect::Fetch(..) => self.perform_beside(sender, id, effect),
            Effect::Http(..) | Effect::Host(_) | Effect::Decode(_) => {
                self.perform(Reply::new(sender, id, &self.host), &self.span.effect(&effect), effect);
            }
        }
    }

    /// Performs an effect on a thread of its own.
    fn perform_beside(&self, sender: &Sender<Input>, id: EffectId, effect: Effect) {
        let (performer, reply) = (self.clone(), Reply::new(sender, id, &self.host));
        let stack = if matches!(effect, Effect::Host(_)) { HOST_STACK } else { STACK };
        // Made here: a collector of this thread alone would not hear of it over there.
        let span = self.span.effect(&effect);
        let work = move || performer.perform(reply, &span, effect);
        // A thread that does not start drops the reply, which then says so.
        let _ = thread::Builder::new().name("molecule-effect".to_owned()).stack_size(stack).spawn(work);
    }
}
