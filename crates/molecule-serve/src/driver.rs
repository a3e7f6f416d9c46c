//! Drives [`Inbound`]: a clock, a `match` on its turns, and who waits for which answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Handle, Outcome, Sent};
use molecule_core::machine::{Cx, Wake};
use molecule_core::machines::{Answer, Inbound, Ticket, Turn};
use molecule_host::trace::Span;
use molecule_host::{Cancel, Host};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::facade::{Facade, Hook};
use crate::race::race;

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
    was_open: bool,
}

impl<F: Facade> Driver<F> {
    pub(crate) fn new(facade: F, host: Host, inbound: Inbound, hook: Option<Hook>, upload_bytes: u64) -> Arc<Self> {
        let span = facade.session().span("serve");
        let state = State { inbound, waiting: BTreeMap::new(), wake: None, was_open: false };
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
        loop {
            match self.decide(|state, cx| state.poll(cx)) {
                (Turn::Idle(_), is_awaited) => {
                    if is_awaited {
                        self.changed.notify_one();
                    }
                    return;
                }
                (turn, _) => self.perform(turn),
            }
        }
    }

    /// Locks the server's state, and then the session.
    pub(crate) fn decide<T>(&self, act: impl FnOnce(&mut State, &mut Cx<'_>) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.facade.session().decide(None, |cx| act(&mut state, cx))
    }

    fn perform(self: &Arc<Self>, turn: Turn) {
        match turn {
            Turn::Start(id, effect) => self.start(id, effect),
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
    }

    fn start(self: &Arc<Self>, id: EffectId, effect: Effect) {
        let span = self.span.effect(&effect);
        match effect {
            Effect::Handle(handle) => self.spawn(Arc::clone(self).handle(id, handle, span)),
            Effect::Host(op) => {
                let (driver, act) = (Arc::clone(self), self.host.begin(op));
                let perform = move || {
                    let outcome = span.in_scope(|| act.perform(&Cancel::default()));
                    driver.feed(id, outcome);
                };
                if self.host.is_in_memory() {
                    perform();
                } else {
                    let driver = Arc::clone(self);
                    // Its outcome is fed by its own thread: nobody else has to wake up for it.
                    drop(spawn_blocking(move || {
                        perform();
                        driver.advance();
                    }));
                }
            }
            // Nothing else is asked for.
            Effect::Http(..) | Effect::Fetch(..) | Effect::Upload(..) | Effect::Watch(..) | Effect::Decode(_) => {
                self.feed(id, failed())
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
            let wake = {
                let state = self.lock();
                if is_reached(&state.inbound) {
                    return;
                }
                state.wake.as_ref().map(|wake| wake.at)
            };
            match wake {
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

impl State {
    /// Polls, and returns whether somebody waits for the state that is reached now.
    fn poll(&mut self, cx: &mut Cx<'_>) -> (Turn, bool) {
        let turn = self.inbound.poll(cx);
        let Turn::Idle(wake) = &turn else { return (turn, false) };
        let is_earlier = match (wake, &self.wake) {
            (Some(wake), Some(before)) => wake.at < before.at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        self.wake.clone_from(wake);
        let has_opened = !std::mem::replace(&mut self.was_open, self.inbound.is_open()) && self.was_open;
        (turn, is_earlier || has_opened || self.inbound.is_drained())
    }
}

/// The outcome of an effect whose performer is gone.
fn failed() -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled))
}
