//! Drives [`Inbound`]: a clock, a `match` on its turns, and who waits for which answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Handle, Outcome, Sent};
use molecule_core::machine::Cx;
use molecule_core::machines::{Answer, Caller, Inbound, InboundCall, Turn};
use molecule_host::trace::Span;
use molecule_host::{Cancel, Host};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::facade::{Facade, Hook};
use crate::race::race;
use crate::state::{Batch, State};
use crate::threads::begin;

/// The state of one server, and what performs its effects.
pub(crate) struct Driver<F> {
    facade: F,
    pub(crate) host: Host,
    pub(crate) hook: Option<Hook>,
    pub(crate) upload_bytes: u64,
    span: Span,
    state: Mutex<State>,
    /// The tasks of effects. They end with the server.
    tasks: Mutex<JoinSet<()>>,
    /// Says that the wake has changed, or that a drain may be over.
    changed: Notify,
}

impl<F: Facade> Driver<F> {
    pub(crate) fn new(facade: F, host: Host, inbound: Inbound, hook: Option<Hook>, upload_bytes: u64) -> Arc<Self> {
        let span = facade.session().span("serve");
        Arc::new(Self {
            facade,
            host,
            hook,
            upload_bytes,
            span,
            state: Mutex::new(State::new(inbound)),
            tasks: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Takes a call, and performs what it asks for. Whoever gets a ticket asks the state for the answer afterwards.
    pub(crate) fn call(self: &Arc<Self>, caller: Caller, call: InboundCall) -> Answer {
        let (answer, mut batch) = self.decide(|state, cx| (state.handle(cx, caller, call), state.poll(cx)));
        // A handler that is ready at once needs no task. It is polled last, so that nothing else waits for it.
        let last = batch.turns.pop_if(|turn| matches!(turn, Turn::Start(_, Effect::Handle(_))));
        let is_due = self.perform_all(&mut batch);
        let ended = last.and_then(|turn| self.begin_handler(turn));
        self.go_on(batch, ended, is_due);
        answer
    }

    /// Polls and performs until there is nothing to do.
    pub(crate) fn advance(self: &Arc<Self>) {
        let mut batch = self.decide(|state, cx| state.poll(cx));
        let is_due = self.perform_all(&mut batch);
        self.go_on(batch, None, is_due);
    }

    /// Feeds an outcome, and polls and performs while something is due.
    fn go_on(self: &Arc<Self>, mut batch: Batch, mut ended: Option<(EffectId, Outcome)>, mut is_due: bool) {
        while is_due || ended.is_some() {
            let lost = self.decide(|state, cx| {
                state.recycle(&mut batch);
                let lost = ended.take().and_then(|(id, outcome)| state.inbound.feed(cx, id, outcome).err());
                batch = state.poll(cx);
                lost
            });
            if let Some(outcome) = lost {
                self.host.dispose(outcome);
            }
            is_due = self.perform_all(&mut batch);
        }
        self.lock().recycle(&mut batch);
    }

    /// Performs all turns of a batch, and returns whether more is to be done.
    fn perform_all(self: &Arc<Self>, batch: &mut Batch) -> bool {
        if batch.is_awaited {
            self.changed.notify_one();
        }
        let mut is_due = !batch.is_last;
        for turn in batch.turns.drain(..) {
            is_due |= self.perform(turn);
        }
        for (waiting, answer) in batch.answers.drain(..) {
            // The caller may have hung up in this moment.
            let _ = waiting.send(answer);
        }
        is_due
    }

    /// Polls a handler for the first time. Returns its outcome if it is ready; else it goes on in a task of its own.
    fn begin_handler(self: &Arc<Self>, turn: Turn) -> Option<(EffectId, Outcome)> {
        let Turn::Start(id, effect) = turn else { return None };
        let span = self.span.effect(&effect);
        let Effect::Handle(handle) = effect else { return None };
        let mut handling = Box::pin(Arc::clone(self).handling(handle, span));
        // A future is told of its progress by the waker of its last poll, which is the task's.
        match handling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some((id, outcome)),
            Poll::Pending => {
                self.go_on_handling(id, handling);
                None
            }
        }
    }

    fn go_on_handling(self: &Arc<Self>, id: EffectId, handling: impl Future<Output = Outcome> + Send + 'static) {
        let driver = Arc::clone(self);
        self.spawn(async move {
            let outcome = handling.await;
            driver.feed(id, outcome);
            driver.advance();
        });
    }

    /// Locks the server's state, and then the session.
    pub(crate) fn decide<T>(&self, act: impl FnOnce(&mut State, &mut Cx<'_>) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.facade.session().decide(None, |cx| act(&mut state, cx))
    }

    /// Performs a turn, and returns whether its outcome is there already.
    fn perform(self: &Arc<Self>, turn: Turn) -> bool {
        match turn {
            Turn::Start(id, effect) => return self.start(id, effect),
            // A handler sees it on its message; answers are the state's.
            Turn::Cancel(_) | Turn::Idle(_) | Turn::Answer(..) => {}
            Turn::LookUp(id, feed) => {
                let driver = Arc::clone(self);
                self.spawn(async move {
                    let page = driver.facade.look_up(feed).await;
                    driver.decide(|state, cx| state.inbound.looked_up(cx, id, page));
                    driver.advance();
                });
            }
            Turn::Event(event) => self.facade.session().tell(&event),
        }
        false
    }

    fn start(self: &Arc<Self>, id: EffectId, effect: Effect) -> bool {
        let span = self.span.effect(&effect);
        match effect {
            Effect::Handle(handle) => self.go_on_handling(id, Arc::clone(self).handling(handle, span)),
            Effect::Host(op) => {
                let (driver, act) = (Arc::clone(self), self.host.begin(op));
                let perform = move || {
                    let outcome = span.in_scope(|| act.perform(&Cancel::default()));
                    driver.feed(id, outcome);
                    driver
                };
                if self.host.is_in_memory() {
                    perform();
                    return true;
                }
                // The outcome is fed by the thread that has it: nobody else has to wake up for it.
                let begun = begin(move || perform().advance());
                if begun.is_none() {
                    self.feed(id, failed());
                    return true;
                }
            }
            // Nothing else is asked for.
            Effect::Http(..) | Effect::Fetch(..) | Effect::Upload(..) | Effect::Watch(..) | Effect::Decode(_) => {
                self.feed(id, failed());
                return true;
            }
        }
        false
    }

    async fn handling(self: Arc<Self>, handle: Handle, span: Span) -> Outcome {
        self.facade.handle(handle, span).await
    }

    fn feed(&self, id: EffectId, outcome: Outcome) {
        let fed = self.decide(|state, cx| state.inbound.feed(cx, id, outcome));
        if let Err(outcome) = fed {
            self.host.dispose(outcome);
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until calls can be admitted.
    pub(crate) async fn opened(self: &Arc<Self>) {
        self.until(Inbound::is_open).await;
    }

    /// Starts no further handler, and waits until those that run have ended or had their time.
    pub(crate) async fn drained(self: &Arc<Self>) {
        self.decide(|state, cx| state.inbound.drain(cx));
        self.until(Inbound::is_drained).await;
    }

    /// Polls at each wake until the state is as wanted.
    async fn until(self: &Arc<Self>, is_reached: impl Fn(&Inbound) -> bool) {
        loop {
            self.advance();
            let timer = {
                let mut state = self.lock();
                if is_reached(&state.inbound) {
                    return;
                }
                state.timer = state.wake.as_ref().map(|wake| wake.at);
                state.timer
            };
            match timer {
                Some(at) => {
                    let at = Instant::now() + at.since(self.facade.session().now().mono);
                    race(sleep_until(at), self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Drops the handlers that are at work, each at its next `.await`.
    pub(crate) fn abort(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Polls at each wake, for as long as it is polled itself.
    pub(crate) async fn keep_time(self: &Arc<Self>) {
        self.until(|_| false).await;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of an effect whose performer is gone.
fn failed() -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled))
}
