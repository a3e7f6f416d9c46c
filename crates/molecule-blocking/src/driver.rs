//! Drives machines: a clock, a `match` on [`Effect`], and a way to wait.
//!
//! A call is driven on its caller's thread, and its effects are performed there one after the other. The loop is driven on its
//! caller's thread too, but each of its effects has a thread of its own, so that no lane waits for another and a stop waits for none.
//! A cancelled watch ends soon. Any other cancelled effect goes on, and its outcome is disposed of; so does a handler.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};

use molecule_core::effect::{Effect, EffectId, Handle, Outcome};
use molecule_core::machine::{Machine, Wake};
use molecule_core::machines::Run;
use molecule_core::{Ended, Result};
use molecule_host::trace::Span;
use molecule_host::{Cancel, Host, MAX_INPUTS, Perform, SharedSession, Undelivered};

use crate::fetch::fetch;
use crate::handler::{self, AnyHandler, Handler};
use crate::http::Client;
use crate::reply_slot::ReplySlot;
use crate::threads::Threads;
use crate::upload::upload;
use crate::watch::{Abort, Pace, Part, Watches, watch};

/// The stack of a thread for a request: enough for a TLS handshake. A loop has a handful of such threads at a time.
const STACK: usize = 256 * 1024;

/// The stack of a thread for an act of the host, as threads have it by default: a custom store may need it, such as a keyring's
/// library.
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
    /// A piece of a stream.
    Part(EffectId, Part),
    /// The session changed.
    LookAgain,
}

impl Driver {
    pub(crate) fn new(session: SharedSession, host: Host, client: Client) -> Self {
        Self { session, host, client }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Drives a call to its end.
    pub(crate) fn call<M, T>(&self, machine: M) -> Result<T>
    where
        M: Machine<Output = Result<T>>,
    {
        let (sender, inputs) = channel();
        let effects = Effects::new(self.performer(&machine), sender, None, false);
        self.drive(machine, &inputs, effects)
    }

    /// Drives the loop to its end.
    pub(crate) fn run(&self) -> Result<Ended> {
        self.drive_loop(Run::new(), None)
    }

    /// Drives the loop that offers messages to this handler to its end.
    pub(crate) fn run_with(&self, handler: impl Handler) -> Result<Ended> {
        self.drive_loop(Run::with_inbox(), Some(AnyHandler::new(handler)))
    }

    pub(crate) fn drive_loop<M: Machine>(&self, machine: M, handler: Option<AnyHandler>) -> M::Output {
        let (sender, inputs) = channel();
        let changes = sender.clone();
        self.session.add_loop(move || changes.send(Input::LookAgain).is_ok());
        let performer = self.performer(&machine);
        // Effects in flight would keep the lock where a callback panics.
        let _unlocked = Unlock(performer.host.clone());
        self.drive(machine, &inputs, Effects::new(performer, sender, handler, true))
    }

    /// The performer of one machine, in its span. The machine's locks are given back with it.
    fn performer(&self, machine: &impl Machine) -> Performer {
        let span = self.session.span(machine.operation());
        Performer { client: self.client.clone(), host: self.host.apart(), span }
    }

    fn drive<M: Machine>(&self, mut machine: M, inputs: &Receiver<Input>, mut effects: Effects) -> M::Output {
        let (span, host) = (effects.performer.span.clone(), effects.performer.host.clone());
        span.in_scope(|| {
            let mut taken = 0;
            loop {
                let wake = match self.session.advance(&mut machine, None, taken, &mut effects) {
                    ControlFlow::Break(output) => return output,
                    ControlFlow::Continue(wake) => wake,
                };
                taken = 0;
                let mut next = self.input(wake, inputs);
                while let Some(input) = next.take() {
                    taken += 1;
                    let is_last = !effects.is_loop || matches!(input, Input::LookAgain) || taken == MAX_INPUTS;
                    match input {
                        Input::Part(id, part) => {
                            // A piece that the machine does not want needs no disposal.
                            let part = Outcome::Part(part.bytes.clone());
                            let _ = self.session.decide(None, |cx| machine.feed(cx, id, part));
                        }
                        Input::Outcome(id, outcome) => {
                            let outcome = outcome.take();
                            if outcome.is_final() {
                                effects.watches.ended(id);
                            }
                            if let Err(outcome) = self.session.decide(None, |cx| machine.feed(cx, id, outcome)) {
                                host.dispose(outcome);
                            }
                        }
                        Input::LookAgain => {}
                    }
                    // The outcomes that are there already go in together, so that one append to the inbox serves them all.
                    next = if is_last { None } else { inputs.try_recv().ok() };
                }
            }
        })
    }

    /// Waits for an outcome, a change of the session, or the wake.
    fn input(&self, wake: Option<Wake>, inputs: &Receiver<Input>) -> Option<Input> {
        match wake {
            Some(wake) => inputs.recv_timeout(wake.at.since(self.session.now().mono)).ok(),
            None => inputs.recv().ok(),
        }
    }
}

/// Gives the agent's lock back when it is dropped.
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
    watches: Watches,
    handler: Option<AnyHandler>,
    is_loop: bool,
    requests: Threads,
    hosts: Threads,
    handlers: Threads,
}

impl Effects {
    fn new(performer: Performer, sender: Sender<Input>, handler: Option<AnyHandler>, is_loop: bool) -> Self {
        let threads = |stack| Threads::new("molecule-effect", Some(stack));
        let (requests, hosts) = (threads(STACK), threads(HOST_STACK));
        let handlers = Threads::new("molecule-handler", None);
        Self { performer, sender, watches: Watches::default(), handler, is_loop, requests, hosts, handlers }
    }
}

impl Perform for Effects {
    /// Performs an effect of a call at once, on this thread, but for a fetch or a watch, which tell something meanwhile. They and the
    /// loop's effects get a thread of their own.
    fn start(&mut self, id: EffectId, effect: Effect) {
        let reply = ReplySlot::new(&self.sender, id, &self.performer.host);
        // The span is made on this thread, whose collector may be one of its own.
        let span = self.performer.span.effect(&effect);
        let abort = self.watches.add(id, &effect);
        // If a thread does not start, the slot is dropped, which is an outcome too.
        match effect {
            Effect::Handle(handle) => handler::begin(self.handler.as_ref(), &self.handlers, handle, reply, span),
            Effect::Host(op) => {
                let act = self.performer.host.begin(op);
                let perform = move || (span.in_scope(|| act.perform(&Cancel::default())), reply);
                if self.is_loop { self.hosts.run(perform, deliver) } else { deliver(perform()) }
            }
            Effect::Http(..) | Effect::Upload(..) | Effect::Decode(_) if !self.is_loop => {
                deliver((self.performer.perform(&reply, &span, effect, &abort), reply));
            }
            Effect::Http(..) | Effect::Upload(..) | Effect::Decode(_) | Effect::Fetch(..) | Effect::Watch(..) => {
                let performer = self.performer.clone();
                self.requests.run(move || (performer.perform(&reply, &span, effect, &abort), reply), deliver);
            }
        }
    }

    /// Ends a watch. Any other effect goes on, and its outcome is disposed of.
    fn cancel(&mut self, id: EffectId) {
        self.watches.abort(id);
    }
}

fn deliver((outcome, reply): (Outcome, ReplySlot)) {
    reply.feed(outcome);
}

/// Performs effects.
#[derive(Clone)]
struct Performer {
    client: Client,
    host: Host,
    span: Span,
}

impl Performer {
    /// Performs an effect; `abort` ends it early if it is a watch.
    fn perform(&self, reply: &ReplySlot, span: &Span, effect: Effect, abort: &Abort) -> Outcome {
        span.in_scope(|| match effect {
            Effect::Http(request, limits) => {
                self.client.send(request, limits).map_or_else(Outcome::Failed, Outcome::Response)
            }
            Effect::Fetch(request, limits, dest) => {
                let tell = |progress| reply.tell(Outcome::Progress(progress));
                fetch(&self.client, &self.host, (request, limits, dest), tell).unwrap_or_else(Outcome::Failed)
            }
            Effect::Upload(request, limits, files) => {
                upload(&self.client, (request, limits, files)).map_or_else(Outcome::Failed, Outcome::Response)
            }
            Effect::Watch(request, limits) => {
                let mut pace = Pace::default();
                let each = |bytes| reply.tell_part(pace.next(bytes));
                watch(&self.client, (request, limits), abort, each).map_or_else(Outcome::Failed, Outcome::Response)
            }
            Effect::Handle(_) => Handle::not_called(&"a handler has a thread of its own"),
            Effect::Host(op) => self.host.perform(op),
            Effect::Decode(decode) => decode.perform(),
        })
    }
}
