//! Drives machines: a clock, a `match` on [`Effect`], and a way to wait.
//!
//! A call is driven by its caller's task. The loop is driven by a task of its own, so that a busy caller holds back no heartbeat. If the
//! caller's future is dropped, the machine is cancelled and driven in a task until it is done, so that a minted token is saved. A
//! cancelled request is given up. Acts of the host run on threads for blocking work, and are not interrupted. A handler has a task of
//! its own, which is aborted with the machine or when the caller's future is dropped.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use molecule_core::effect::{Effect, EffectId, Outcome};
use molecule_core::machine::{Machine, Now, StopLevel, Wake};
use molecule_core::machines::Run;
use molecule_core::{Ended, Result};
use molecule_host::trace::Span;
use molecule_host::{Host, MAX_INPUTS, Perform, SharedSession};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fetch::fetch;
use crate::handler::{AnyHandler, Handler};
use crate::host_work::dispose;
use crate::http::Client;
use crate::in_flight::{InFlight, Performing};
use crate::loops::{Changes, Loops};
use crate::on_drop::{AbortOnDrop, CancelOnDrop, Spawnable};
use crate::upload::upload;

/// Drives the machines of one agent.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Shared>);

struct Shared {
    session: SharedSession,
    host: Host,
    client: Client,
    loops: Loops,
}

impl Driver {
    pub(crate) fn new(session: SharedSession, host: Host, client: Client) -> Self {
        Self(Arc::new(Shared { session, host, client, loops: Loops::default() }))
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0.host
    }

    /// Drives a call to its end.
    pub(crate) fn call<M, T>(&self, machine: M) -> CancelOnDrop<M>
    where
        M: Machine<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        CancelOnDrop::new(Running::new(&self.0, machine, None))
    }

    /// Drives the loop to its end.
    pub(crate) async fn run(&self) -> Result<Ended> {
        self.drive_loop(Run::new(), None).await
    }

    /// Drives the loop that offers messages to this handler to its end.
    pub(crate) async fn run_with(&self, handler: impl Handler) -> Result<Ended> {
        self.drive_loop(Run::with_inbox(), Some(AnyHandler::new(handler))).await
    }

    pub(crate) async fn drive_loop<M, T>(&self, machine: M, handler: Option<AnyHandler>) -> Result<T>
    where
        M: Machine<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (running, mut changes) = self.0.loops.enter();
        self.0.session.add_loop(running.look_again());
        running.wait_for_the_last(&mut changes, || self.0.session.lock().stop_level() != StopLevel::None).await;
        let running = Running { changes: Some(changes), ..Running::new(&self.0, machine, handler) };
        AbortOnDrop::of(CancelOnDrop::new(running))?.await
    }
}

/// One machine, its effects in flight, and what it waits for.
pub(crate) struct Running<M: Machine> {
    session: SharedSession,
    machine: M,
    effects: Effects,
    /// Says that the session changed.
    changes: Option<Changes>,
    /// When to poll the machine if nothing comes before. The timer is made once and then set anew.
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

impl<M: Spawnable> Running<M> {
    fn new(shared: &Arc<Shared>, machine: M, handler: Option<AnyHandler>) -> Self {
        let session = shared.session.clone();
        let span = session.span(machine.operation());
        let effects = Effects { shared: shared.clone(), host: None, span, handler, in_flight: InFlight::default() };
        Self { session, machine, effects, changes: None, wake: None, timer: None, is_due: true }
    }

    /// Cancels the machine, whose output nobody waits for any more. Its handlers are dropped.
    pub(crate) fn cancel(&mut self) {
        self.effects.in_flight.abort_handlers();
        self.session.decide(None, |cx| self.machine.cancel(cx));
        self.is_due = true;
    }

    fn take(&mut self, now: Now, input: Input) {
        match input {
            Input::Outcome(id, outcome) => {
                if let Err(outcome) = self.session.decide(Some(now), |cx| self.machine.feed(cx, id, outcome)) {
                    dispose(self.effects.host(), outcome);
                }
            }
            Input::LookAgain => {}
        }
    }

    /// Waits for a change of the session, an outcome, or the wake. A change goes before outcomes, so that no outcome overtakes a stop.
    fn input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Some(changes) = &mut self.changes
            && let Poll::Ready(Some(())) = changes.poll_recv(cx)
        {
            return Poll::Ready(Input::LookAgain);
        }
        if let Poll::Ready((id, outcome)) = self.effects.in_flight.poll(cx) {
            return Poll::Ready(Input::Outcome(id, outcome));
        }
        match (&self.wake, &mut self.timer) {
            (Some(_), Some(timer)) => timer.as_mut().poll(cx).map(|()| Input::LookAgain),
            (_, _) => Poll::Pending,
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<M::Output> {
        let (mut read, mut inputs) = (None, 0);
        loop {
            if std::mem::take(&mut self.is_due) {
                let now = read.unwrap_or_else(|| self.session.now());
                self.wake = match self.session.advance(&mut self.machine, Some(now), inputs, &mut self.effects) {
                    ControlFlow::Break(output) => return Poll::Ready(output),
                    ControlFlow::Continue(wake) => wake,
                };
                self.set_timer();
            }
            inputs = 0;
            let mut input = ready!(self.input(cx));
            loop {
                let now = self.session.now();
                let is_last = self.changes.is_none() || matches!(input, Input::LookAgain);
                self.take(now, input);
                (read, inputs, self.is_due) = (Some(now), inputs + 1, true);
                if is_last || inputs == MAX_INPUTS {
                    break;
                }
                // The outcomes that are there already go in together, so that one append to the inbox serves them all.
                let Poll::Ready(next) = self.input(cx) else { break };
                input = next;
            }
        }
    }

    fn set_timer(&mut self) {
        let Some(wake) = &self.wake else { return };
        let at = Instant::now() + wake.at.since(self.session.now().mono);
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(sleep_until(at))),
        }
    }
}

/// The effects of one machine.
struct Effects {
    shared: Arc<Shared>,
    /// Made for the first act of the host. The locks that the machine took are given back with it.
    host: Option<Host>,
    span: Span,
    handler: Option<AnyHandler>,
    in_flight: InFlight,
}

impl Effects {
    fn host(&mut self) -> &Host {
        self.host.get_or_insert_with(|| self.shared.host.apart())
    }
}

impl Perform for Effects {
    fn start(&mut self, id: EffectId, effect: Effect) {
        let span = self.span.effect(&effect);
        let performing = match effect {
            Effect::Http(request, limits) => Performing::request(self.shared.client.send(request, limits), span),
            Effect::Fetch(request, limits, dest) => {
                let (client, host) = (self.shared.client.clone(), self.host().clone());
                let work = |progress| async move {
                    fetch(client, host, (request, limits, dest), progress).await.unwrap_or_else(Outcome::Failed)
                };
                Performing::fetch(work, span)
            }
            Effect::Upload(request, limits, files) => {
                Performing::request(upload(self.shared.client.clone(), (request, limits, files)), span)
            }
            Effect::Watch(request, limits) => Performing::watch(self.shared.client.clone(), request, limits, span),
            Effect::Handle(handle) => Performing::handle(self.handler.as_ref(), handle, span),
            Effect::Host(op) => Performing::host(self.host(), op, span),
            Effect::Decode(decode) => Performing::decode(decode),
        };
        self.in_flight.push(id, performing);
    }

    fn cancel(&mut self, id: EffectId) {
        self.in_flight.cancel(id);
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        if let Some(host) = &self.host {
            host.give_the_lock_back();
        }
    }
}

/// Requests and the timer are boxed, so nothing in it is pinned.
impl<M: Machine> Unpin for Running<M> {}

impl<M: Spawnable> Future for Running<M> {
    type Output = M::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Output> {
        let this = self.get_mut();
        this.effects.span.clone().in_scope(|| this.go_on(cx))
    }
}
