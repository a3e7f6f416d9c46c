//! Drives [`Inbound`]: a clock, a `match` on its turns, and who waits for which answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Handle, Outcome, Sent};
use molecule_core::machine::{Cx, Wake};
use molecule_core::machines::{Answer, Inbound, Ticket, Turn};
use molecule_core::proto::Time;
use molecule_host::trace::Span;
use molecule_host::{Cancel, Host};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::facade::{Facade, Hook};
use crate::race::race;
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

pub(crate) struct State {
    pub(crate) inbound: Inbound,
    /// The callers that wait for their answers.
    pub(crate) waiting: BTreeMap<Ticket, oneshot::Sender<Answer>>,
    wake: Option<Wake>,
    /// When whoever keeps the time wakes up; `None` if nothing is set.
    timer: Option<Time>,
    was_open: bool,
}

impl<F: Facade> Driver<F> {
    pub(crate) fn new(facade: F, host: Host, inbound: Inbound, hook: Option<Hook>, upload_bytes: u64) -> Arc<Self> {
        let span = facade.session().span("serve");
        let state = State { inbound, waiting: BTreeMap::new(), wake: None, timer: None, was_open: false };
        Arc::new(Self {
            facade,
            host,
            hook,
            upload_bytes,
            span,
            state: Mutex::new(state),
            tasks: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Polls and performs until there is nothing to do.
    pub(crate) fn advance(self: &Arc<Self>) {
        let mut is_due = true;
        while is_due {
            let batch = self.decide(|state, cx| state.poll(cx));
            if batch.is_awaited {
                self.changed.notify_one();
            }
            is_due = !batch.is_last;
            for turn in batch.turns {
                is_due |= self.perform(turn);
            }
        }
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
            // A handler sees it on its message.
            Turn::Cancel(_) | Turn::Idle(_) => {}
            Turn::LookUp(id, feed) => {
                let driver = Arc::clone(self);
                self.spawn(async move {
                    let page = driver.facade.look_up(feed).await;
                    driver.decide(|state, cx| state.inbound.looked_up(cx, id, page));
                    driver.advance();
                });
            }
            Turn::Event(event) => self.facade.session().tell(&event),
            Turn::Answer(ticket, answer) => {
                let waiting = self.lock().waiting.remove(&ticket);
                if let Some(waiting) = waiting {
                    // The caller may have hung up in this moment.
                    let _ = waiting.send(answer);
                }
            }
        }
        false
    }

    fn start(self: &Arc<Self>, id: EffectId, effect: Effect) -> bool {
        let span = self.span.effect(&effect);
        match effect {
            Effect::Handle(handle) => {
                self.spawn(Arc::clone(self).handle(id, handle, span));
                false
            }
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
                }
                begun.is_none()
            }
            // Nothing else is asked for.
            Effect::Http(..) | Effect::Fetch(..) | Effect::Upload(..) | Effect::Watch(..) | Effect::Decode(_) => {
                self.feed(id, failed());
                true
            }
        }
    }

    async fn handle(self: Arc<Self>, id: EffectId, handle: Handle, span: Span) {
        let outcome = self.facade.handle(handle, span).await;
        self.feed(id, outcome);
        self.advance();
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

/// The turns of one poll.
struct Batch {
    turns: Vec<Turn>,
    /// After these turns there is nothing to do.
    is_last: bool,
    /// Somebody waits for the state that is reached now, or has to wake up earlier.
    is_awaited: bool,
}

/// The most turns that are taken before they are performed.
const MOST_TURNS: usize = 64;

impl State {
    /// Takes turns until there are no more, under one lock.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Batch {
        let mut turns = Vec::new();
        while turns.len() < MOST_TURNS {
            match self.inbound.poll(cx) {
                Turn::Idle(wake) => {
                    let is_awaited = self.is_awaited(wake.as_ref());
                    self.wake = wake;
                    return Batch { turns, is_last: true, is_awaited };
                }
                turn => turns.push(turn),
            }
        }
        Batch { turns, is_last: false, is_awaited: false }
    }

    fn is_awaited(&mut self, wake: Option<&Wake>) -> bool {
        let is_earlier = wake.is_some_and(|wake| self.timer.is_none_or(|timer| wake.at < timer));
        let was_open = std::mem::replace(&mut self.was_open, self.inbound.is_open());
        is_earlier || was_open != self.was_open || self.inbound.is_drained()
    }
}

/// The outcome of an effect whose performer is gone.
fn failed() -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled))
}
