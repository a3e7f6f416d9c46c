//! Drives machines: a clock, a `match` on [`Effect`], and a way to wait.
//!
//! Every call is driven in a task of its own. Dropping the caller's future says `cancel()`, and the task goes on until the
//! machine is done, so that a token that was minted is saved. Effects are tasks too: requests are aborted on `Cancel`,
//! acts on the store run on threads for blocking work and are never interrupted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Cx, MAX_STEPS, Machine, Step, Wake};
use molecule_core::session::Session;
use molecule_core::{Config, Ended, Error, Event, Result, Run, RunCommand, StopLevel};
use molecule_host::{Clock, Host};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::due::Due;
use crate::events::Listener;
use crate::http::Client;

/// One agent's session, and what its machines are driven with.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Shared>);

struct Shared {
    session: Mutex<Session>,
    clock: Clock,
    host: Host,
    client: Client,
    listener: Listener,
    /// The loops that run, each by the sender of its commands.
    loops: Mutex<Vec<UnboundedSender<RunCommand>>>,
}

impl Driver {
    pub(crate) fn new(config: Config, host: Host, client: Client, listener: Listener) -> Self {
        let session = Mutex::new(Session::new(config, molecule_host::seed()));
        Self(Arc::new(Shared { session, clock: Clock::start(), host, client, listener, loops: Mutex::default() }))
    }

    /// The session, for an act that waits for nothing.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.0.session()
    }

    /// Drives a call to its end.
    pub(crate) async fn call<M, T>(&self, machine: M) -> Result<T>
    where
        M: Machine<Command = Infallible, Event = Event, Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (_, commands) = unbounded_channel();
        self.drive(machine, commands).await
    }

    /// Drives the loop to its end.
    pub(crate) async fn run(&self) -> Result<Ended> {
        let (sender, commands) = unbounded_channel();
        self.loops().retain(|running| !running.is_closed());
        self.loops().push(sender);
        self.drive(Run::new(), commands).await
    }

    /// Raises the stop latch, which a loop that starts later finds, and tells the loops that run.
    pub(crate) fn stop(&self, now: bool) {
        let command = match self.session().raise_stop(now) {
            StopLevel::None => return,
            StopLevel::Finish => RunCommand::Stop,
            StopLevel::Now => RunCommand::StopNow,
        };
        self.command(command);
    }

    /// Says something to every loop that runs.
    pub(crate) fn command(&self, command: RunCommand) {
        self.loops().retain(|running| running.send(command).is_ok());
    }

    fn loops(&self) -> MutexGuard<'_, Vec<UnboundedSender<RunCommand>>> {
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drive<M, T>(&self, machine: M, commands: UnboundedReceiver<M::Command>) -> Result<T>
    where
        M: Machine<Event = Event, Output = Result<T>> + Send + 'static,
        M::Command: Send,
        T: Send + 'static,
    {
        let runtime = Handle::try_current().map_err(|_| {
            Error::config("no tokio runtime runs here", "await the call inside one, with its time and net drivers on")
        })?;
        // Dropped with this future, whether it is done or given up: the task sees it.
        let (_caller, gone) = oneshot::channel();
        let (sender, outcomes) = unbounded_channel();
        let (shared, host, requests) = (self.0.clone(), self.0.host.apart(), BTreeMap::new());
        let drive = Drive { shared, host, machine, sender, outcomes, requests, gone: Some(gone) };
        match runtime.spawn(drive.run(commands)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Error::cancelled("the call")),
            },
        }
    }
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a machine decide: both clocks read once, the session locked for this one act.
    fn decide<T>(&self, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut session = self.session();
        act(&mut Cx { now: self.clock.now(), session: &mut session })
    }
}

/// One machine and what it has in flight.
struct Drive<M> {
    shared: Arc<Shared>,
    host: Host,
    machine: M,
    sender: UnboundedSender<(EffectId, Outcome)>,
    outcomes: UnboundedReceiver<(EffectId, Outcome)>,
    requests: BTreeMap<EffectId, AbortHandle>,
    /// Ready when the caller's future is gone; `None` once that was said.
    gone: Option<oneshot::Receiver<Infallible>>,
}

enum Input<C> {
    Outcome(EffectId, Outcome),
    Command(C),
    Gone,
    Wake,
}

impl<M: Machine<Event = Event>> Drive<M> {
    async fn run(mut self, mut commands: UnboundedReceiver<M::Command>) -> M::Output {
        loop {
            let wake = match self.advance() {
                Step::Done(output) => return output,
                Step::Idle(wake) => wake,
                Step::Start(..) | Step::Cancel(_) | Step::Event(_) => None,
            };
            match self.input(wake, &mut commands).await {
                Input::Outcome(id, outcome) => {
                    self.requests.remove(&id);
                    if let Err(outcome) = self.shared.decide(|cx| self.machine.feed(cx, id, outcome)) {
                        self.host.dispose(outcome);
                    }
                }
                Input::Command(command) => self.shared.decide(|cx| self.machine.command(cx, command)),
                Input::Gone => self.shared.decide(|cx| self.machine.cancel(cx)),
                Input::Wake => {}
            }
        }
    }

    /// Polls until the machine is idle or done.
    fn advance(&mut self) -> Step<Event, M::Output> {
        for _ in 0..MAX_STEPS {
            match self.shared.decide(|cx| self.machine.poll(cx)) {
                Step::Start(id, effect) => self.start(id, effect),
                // The outcome that is due says that it was cancelled. An act on the store goes on; its outcome comes late.
                Step::Cancel(id) => drop(self.requests.remove(&id).map(|request| request.abort())),
                Step::Event(event) => self.shared.listener.tell(&event),
                end @ (Step::Idle(_) | Step::Done(_)) => return end,
            }
        }
        debug_assert!(false, "a machine gave more than {MAX_STEPS} steps without input");
        Step::Idle(Some(Wake { at: self.shared.clock.now().mono + Duration::from_secs(1), why: "too many steps" }))
    }

    fn start(&mut self, id: EffectId, effect: Effect) {
        let host = self.host.clone();
        let due = Due::new(id, host.clone(), self.sender.clone());
        match effect {
            Effect::Http(request, limits) => {
                let client = self.shared.client.clone();
                let task = tokio::spawn(async move {
                    due.feed(client.send(request, limits).await.map_or_else(Outcome::Failed, Outcome::Response));
                });
                self.requests.insert(id, task.abort_handle());
            }
            Effect::Host(op) => drop(tokio::task::spawn_blocking(move || due.feed(host.perform(op)))),
        }
    }

    /// Waits for whatever comes first. Commands go before outcomes, so that a stop is not overtaken.
    async fn input(&mut self, wake: Option<Wake>, commands: &mut UnboundedReceiver<M::Command>) -> Input<M::Command> {
        let now = self.shared.clock.now().mono;
        let mut sleep = pin!(wake.map(|wake| sleep(wake.at.since(now))));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Some(command)) = commands.poll_recv(cx) {
                return Poll::Ready(Input::Command(command));
            }
            if let Poll::Ready(Some((id, outcome))) = self.outcomes.poll_recv(cx) {
                return Poll::Ready(Input::Outcome(id, outcome));
            }
            if let Some(gone) = &mut self.gone
                && Pin::new(gone).poll(cx).is_ready()
            {
                self.gone = None;
                return Poll::Ready(Input::Gone);
            }
            match sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(cx).map(|()| Input::Wake),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// At the end, whichever it is: requests stop, and outcomes that nobody takes any more are disposed of.
impl<M> Drop for Drive<M> {
    fn drop(&mut self) {
        self.requests.values().for_each(AbortHandle::abort);
        self.outcomes.close();
        while let Ok((_, outcome)) = self.outcomes.try_recv() {
            self.host.dispose(outcome);
        }
    }
}
