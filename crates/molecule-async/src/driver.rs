//! Drives machines: a clock, a `match` on [`Effect`], and a way to wait.
//!
//! A call is driven by its caller's own task; the loop by a task of its own, so that a caller who is busy with something else
//! holds back no heartbeat. Dropping the caller's future says `cancel()`, and what is left is driven in a task until the
//! machine is done, so that a token that was minted is saved. Requests are given up on `Cancel`; acts on the store run on
//! threads for blocking work and are never interrupted.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Cx, MAX_STEPS, Machine, Now, Step, Wake};
use molecule_core::session::Session;
use molecule_core::{Config, Ended, Result, Run, StopLevel};
use molecule_host::trace::Span;
use molecule_host::{Clock, Host, Listener, OnEvent};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::act::{Act, Acts};
use crate::driven::{Drivable, Driven, Task};
use crate::fetch::fetch;
use crate::http::Client;
use crate::loops::{Changes, Loops};
use crate::store_act::dispose;

/// One agent's session, and what its machines are driven with.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Shared>);

struct Shared {
    session: Mutex<Session>,
    clock: Clock,
    host: Host,
    client: Client,
    listener: Listener,
    loops: Loops,
}

impl Driver {
    pub(crate) fn new(config: Config, host: Host, client: Client, on_event: Option<OnEvent>) -> Self {
        let (listener, seed) = (Listener::new(on_event, &config), molecule_host::seed());
        let session = Mutex::new(Session::new(config, seed));
        Self(Arc::new(Shared { session, clock: Clock::start(), host, client, listener, loops: Loops::default() }))
    }

    /// The session, for an act that waits for nothing.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.0.session()
    }

    /// Drives a call to its end.
    pub(crate) fn call<M, T>(&self, machine: M) -> Driven<M>
    where
        M: Machine<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        Driven::new(Drive::new(&self.0, machine, None))
    }

    /// Drives the loop to its end.
    pub(crate) async fn run(&self) -> Result<Ended> {
        let (place, mut changes) = self.0.loops.enter();
        place.wait_for_the_last(&mut changes, || self.session().stop_level() != StopLevel::None).await;
        Task::of(Driven::new(Drive::new(&self.0, Run::new(), Some(changes))))?.await
    }

    /// Raises the stop latch, which a loop that starts later finds, and tells the loops that run.
    pub(crate) fn stop(&self, now: bool) {
        self.session().raise_stop(now);
        self.look_again();
    }

    /// Lets every loop that runs look at the session again.
    pub(crate) fn look_again(&self) {
        self.0.loops.look_again();
    }
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a machine decide, with the session locked for this one act.
    fn decide<T>(&self, now: Now, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        act(&mut Cx { now, session: &mut self.session() })
    }
}

/// One machine and what it has under way.
pub(crate) struct Drive<M: Machine> {
    shared: Arc<Shared>,
    /// Made for the first act on the store. The locks that the machine took go with it.
    host: Option<Host>,
    machine: M,
    span: Span,
    /// Says that the session changed.
    changes: Option<Changes>,
    acts: Acts,
    /// When to poll the machine though nothing came; the timer is made once and then set anew.
    wake: Option<Wake>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether something came since the machine was idle.
    is_due: bool,
}

enum Input {
    Outcome(EffectId, Outcome),
    /// The session changed, or the wake is due.
    LookAgain,
}

impl<M: Drivable> Drive<M> {
    fn new(shared: &Arc<Shared>, machine: M, changes: Option<Changes>) -> Self {
        let (shared, span) = (shared.clone(), shared.listener.span(machine.operation()));
        let acts = Acts::default();
        Self { shared, host: None, machine, span, changes, acts, wake: None, timer: None, is_due: true }
    }

    /// Nobody waits for the output any more.
    pub(crate) fn cancel(&mut self) {
        self.shared.decide(self.shared.clock.now(), |cx| self.machine.cancel(cx));
        self.is_due = true;
    }

    /// Polls until the machine is idle or done. The clocks are read once, and again when the application had its turn.
    fn advance(&mut self, mut now: Now) -> Step<M::Output> {
        for _ in 0..MAX_STEPS {
            match self.shared.decide(now, |cx| self.machine.poll(cx)) {
                Step::Start(id, effect) => self.start(id, effect),
                Step::Cancel(id) => self.acts.cancel(id),
                Step::Event(event) => {
                    self.shared.listener.tell(&event);
                    now = self.shared.clock.now();
                }
                end @ (Step::Idle(_) | Step::Done(_)) => return end,
            }
        }
        debug_assert!(false, "a machine gave more than {MAX_STEPS} steps without input");
        Step::Idle(Some(Wake { at: now.mono + Duration::from_secs(1), why: "too many steps" }))
    }

    fn start(&mut self, id: EffectId, effect: Effect) {
        let span = self.span.effect(&effect);
        let act = match effect {
            Effect::Http(request, limits) => Act::request(self.shared.client.send(request, limits), span),
            Effect::Fetch(request, limits, dest) => {
                let (client, host) = (self.shared.client.clone(), self.host().clone());
                let work = |progress| async move {
                    fetch(client, host, (request, limits, dest), progress).await.unwrap_or_else(Outcome::Failed)
                };
                Act::fetch(work, span)
            }
            Effect::Host(op) => Act::store(self.host(), op, span),
            Effect::Decode(decode) => Act::decode(decode),
        };
        self.acts.push(id, act);
    }

    fn host(&mut self) -> &Host {
        self.host.get_or_insert_with(|| self.shared.host.apart())
    }

    fn take(&mut self, now: Now, input: Input) {
        match input {
            Input::Outcome(id, outcome) => {
                if let Err(outcome) = self.shared.decide(now, |cx| self.machine.feed(cx, id, outcome)) {
                    dispose(self.host(), outcome);
                }
            }
            Input::LookAgain => {}
        }
    }

    /// Whatever comes first. A change of the session goes before outcomes, so that a stop is not overtaken.
    fn input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Some(changes) = &mut self.changes
            && let Poll::Ready(Some(())) = changes.poll_recv(cx)
        {
            return Poll::Ready(Input::LookAgain);
        }
        if let Poll::Ready((id, outcome)) = self.acts.poll(cx) {
            return Poll::Ready(Input::Outcome(id, outcome));
        }
        match (&self.wake, &mut self.timer) {
            (Some(_), Some(timer)) => timer.as_mut().poll(cx).map(|()| Input::LookAgain),
            (_, _) => Poll::Pending,
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<M::Output> {
        let mut read = None;
        loop {
            if std::mem::take(&mut self.is_due) {
                match self.advance(read.unwrap_or_else(|| self.shared.clock.now())) {
                    Step::Done(output) => return Poll::Ready(output),
                    Step::Idle(wake) => self.wake = wake,
                    Step::Start(..) | Step::Cancel(_) | Step::Event(_) => self.wake = None,
                }
                self.set_timer();
            }
            let input = ready!(self.input(cx));
            let now = self.shared.clock.now();
            self.take(now, input);
            read = Some(now);
            self.is_due = true;
        }
    }

    fn set_timer(&mut self) {
        let Some(wake) = &self.wake else { return };
        let at = Instant::now() + wake.at.since(self.shared.clock.now().mono);
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(sleep_until(at))),
        }
    }
}

impl<M: Machine> Drop for Drive<M> {
    fn drop(&mut self) {
        if let Some(host) = &self.host {
            host.give_the_lock_back();
        }
    }
}

/// Nothing of it is pinned: requests and the timer are where they stay.
impl<M: Machine> Unpin for Drive<M> {}

impl<M: Drivable> Future for Drive<M> {
    type Output = M::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Output> {
        let this = self.get_mut();
        this.span.clone().in_scope(|| this.go_on(cx))
    }
}
