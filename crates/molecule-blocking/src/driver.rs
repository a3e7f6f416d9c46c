//! Drives machines: a clock, a `match` on [`Effect`], and a way to wait.
//!
//! A call is driven on its caller's thread and performs its effects there, one after the other. The loop is driven on its
//! caller's thread too, but each effect is performed on a thread of its own, so that no lane waits for another and a stop
//! waits for none. `Cancel` means "forget": the performer goes on, and its outcome is given back by the machine, or finds
//! nobody, and is disposed of.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Machine, Wake};
use molecule_core::{Ended, Result, Run};
use molecule_host::trace::Span;
use molecule_host::{Host, Perform, SharedSession, Undelivered};

use crate::fetch::fetch;
use crate::http::Client;
use crate::reply_slot::ReplySlot;

/// Enough for a TLS handshake; a loop has a handful of such threads at a time.
const STACK: usize = 256 * 1024;

/// What an author's own store may need, such as a keyring's library: as much as threads have by default.
const HOST_STACK: usize = 2 * 1024 * 1024;

/// Drives the machines of one agent.
#[derive(Clone)]
pub(crate) struct Driver {
    session: SharedSession,
    host: Host,
    client: Client,
}

/// What a driver waits for.
pub(crate) enum Input {
    Outcome(EffectId, Undelivered),
    /// The session changed.
    LookAgain,
}

impl Driver {
    pub(crate) fn new(session: SharedSession, host: Host, client: Client) -> Self {
        Self { session, host, client }
    }

    /// Drives a call to its end.
    pub(crate) fn call<M, T>(&self, machine: M) -> Result<T>
    where
        M: Machine<Output = Result<T>>,
    {
        let (sender, inputs) = channel();
        let performer = self.performer(&machine);
        self.drive(machine, &inputs, Effects { performer, sender, is_loop: false })
    }

    /// Drives the loop to its end.
    pub(crate) fn run(&self) -> Result<Ended> {
        let (sender, inputs) = channel();
        let changes = sender.clone();
        self.session.add_loop(move || changes.send(Input::LookAgain).is_ok());
        let machine = Run::new();
        let performer = self.performer(&machine);
        // Where a callback panics, effects in flight would keep the lock.
        let _unlocked = Unlock(performer.host.clone());
        self.drive(machine, &inputs, Effects { performer, sender, is_loop: true })
    }

    /// For one machine, in its span: its locks go with it.
    fn performer(&self, machine: &impl Machine) -> Performer {
        let span = self.session.span(machine.operation());
        Performer { client: self.client.clone(), host: self.host.apart(), span }
    }

    fn drive<M: Machine>(&self, mut machine: M, inputs: &Receiver<Input>, mut effects: Effects) -> M::Output {
        let (span, host) = (effects.performer.span.clone(), effects.performer.host.clone());
        span.in_scope(|| {
            loop {
                let wake = match self.session.advance(&mut machine, None, &mut effects) {
                    ControlFlow::Break(output) => return output,
                    ControlFlow::Continue(wake) => wake,
                };
                match self.input(wake, inputs) {
                    Some(Input::Outcome(id, outcome)) => {
                        let outcome = outcome.take();
                        if let Err(outcome) = self.session.decide(None, |cx| machine.feed(cx, id, outcome)) {
                            host.dispose(outcome);
                        }
                    }
                    Some(Input::LookAgain) | None => {}
                }
            }
        })
    }

    /// Waits for whatever comes first.
    fn input(&self, wake: Option<Wake>, inputs: &Receiver<Input>) -> Option<Input> {
        match wake {
            Some(wake) => inputs.recv_timeout(wake.at.since(self.session.now().mono)).ok(),
            None => inputs.recv().ok(),
        }
    }
}

/// Gives the agent's lock back, however the loop ends.
struct Unlock(Host);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.give_the_lock_back();
    }
}

/// The effects of one machine.
struct Effects {
    performer: Performer,
    sender: Sender<Input>,
    is_loop: bool,
}

impl Perform for Effects {
    /// An effect of a call is performed now, on the thread that waits for it, unless there is something to tell meanwhile; one of the
    /// loop on a thread of its own.
    fn start(&mut self, id: EffectId, effect: Effect) {
        let reply = ReplySlot::new(&self.sender, id, &self.performer.host);
        // Made here: a collector of this thread alone would not hear of it on another one.
        let span = self.performer.span.effect(&effect);
        match effect {
            Effect::Http(..) | Effect::Host(_) | Effect::Decode(_) if !self.is_loop => {
                self.performer.perform(reply, &span, effect);
            }
            Effect::Http(..) | Effect::Host(_) | Effect::Decode(_) | Effect::Fetch(..) => {
                let stack = if matches!(effect, Effect::Host(_)) { HOST_STACK } else { STACK };
                let performer = self.performer.clone();
                let work = move || performer.perform(reply, &span, effect);
                // A thread that does not start drops the reply, which then says so.
                let _ = thread::Builder::new().name("molecule-effect".to_owned()).stack_size(stack).spawn(work);
            }
        }
    }

    /// Its performer goes on; the machine gives the outcome back, or is gone.
    fn cancel(&mut self, _: EffectId) {}
}

/// Performs effects.
#[derive(Clone)]
struct Performer {
    client: Client,
    host: Host,
    span: Span,
}

impl Performer {
    fn perform(&self, reply: ReplySlot, span: &Span, effect: Effect) {
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
}
