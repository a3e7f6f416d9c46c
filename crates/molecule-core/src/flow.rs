//! Sequences as machines: an `async fn` whose waits are a machine's.
//!
//! There is no runtime and no waker. A [`Flow`] polls its future when an outcome has come or a wake is due, and for the time of that poll
//! it lends the session to it, so that a poll of a flow is as atomic as one of any machine. The code of a flow gets a [`Line`]: the way to
//! the session ([`Line::with`]) and to the driver ([`Line::host`], [`Line::http`], [`Line::decode`], [`Line::run`], [`Line::pause`],
//! [`Line::turn`]). Each wait has a label, which `Debug` shows. Which outcome fits which effect is checked here, once.
//!
//! A flow that is cancelled gives up what it waits for: an effect is cancelled, a child machine is told as its [`Parting`] says.
//! The wait then ends with [`Cancelled`], which `?` hands to the flow's end. What must be finished is awaited by
//! [`Line::host_to_the_end`]; what may be told to end, and whose outcome is owed all the same, by [`Line::host_until_told`] and
//! [`Line::run_to_the_last_outcome`].

mod limited;

pub(crate) use limited::Limited;

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use molecule_proto::{Now, Wake};

use crate::effect::decode::{Decode, Decoded};
use crate::effect::{Effect, EffectId, Fault, HostOp, HostResult, Limits, LockId, Outcome, Slot, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::machine::{Cx, Machine, Step};
use crate::session::Session;
use crate::session::turn::Turn;

/// A machine that is written as an `async fn`.
pub(crate) struct Flow<Out> {
    operation: &'static str,
    body: Option<Pin<Box<dyn Future<Output = Out> + Send>>>,
    /// What the future ended with, until the locks that it held are given back.
    output: Option<Out>,
    shared: Shared,
}

/// What the code of a flow is given.
#[derive(Clone)]
pub(crate) struct Line {
    operation: &'static str,
    shared: Shared,
}

/// The caller of a flow is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancelled(&'static str);

impl From<Cancelled> for Error {
    fn from(Cancelled(operation): Cancelled) -> Self {
        Self::cancelled(operation)
    }
}

/// What becomes of a child machine when its flow is cancelled.
pub(crate) struct Parting<M> {
    /// Tells the child.
    pub(crate) cancel: fn(&mut M, &mut Cx<'_>),
    /// Whether the flow waits for the child's end all the same.
    pub(crate) is_bound: fn(&M) -> bool,
}

impl<M: Machine> Parting<M> {
    /// The child is cancelled too.
    pub(crate) fn give_up() -> Self {
        Self { cancel: M::cancel, is_bound: |_| false }
    }

    /// The child goes on to its end.
    pub(crate) fn finish() -> Self {
        Self { cancel: |_, _| {}, is_bound: |_| true }
    }
}

/// What a flow and its code share. Both are polled by one thread at a time, so nobody ever waits for the lock.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// The session, while the future is polled and does not look at it.
    lent: Option<(Now, Session)>,
    label: &'static str,
    wait: Wait,
    /// What came of the effect that was waited for: an outcome that fits it, or a fault.
    came: Option<Outcome>,
    events: VecDeque<Event>,
    is_cancelled: bool,
    has_turn: bool,
    /// Locks whose guards are gone.
    returned: Vec<LockId>,
    unlocking: Option<EffectId>,
}

impl Inner {
    /// Whether there is anything to do but to poll the future.
    fn has_something_to_do(&self) -> bool {
        !(matches!(self.wait, Wait::Nothing) && self.events.is_empty() && self.returned.is_empty())
    }
}

/// What a flow waits for.
#[derive(Default)]
enum Wait {
    /// Nothing: its future is polled.
    #[default]
    Nothing,
    /// An effect that the driver does not know yet. `begun` is told once it does.
    Start { effect: Effect, fits: Fits, on_cancel: OnCancel, begun: Option<Event> },
    /// An effect's outcome.
    Outcome { id: EffectId, fits: Fits, on_cancel: OnCancel },
    /// An effect's outcome, of which the driver does not know yet that nobody waits for it.
    Tell { id: EffectId, fits: Fits },
    /// An effect whose outcome is not waited for any more.
    GiveUp(EffectId),
    /// A child machine.
    Child(Box<dyn Child>),
    /// A moment.
    Until(Wake),
}

/// What becomes of an effect whose outcome is waited for, when the flow is cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnCancel {
    /// It is cancelled, and its outcome is not waited for.
    GiveUp,
    /// It is cancelled, and its outcome is waited for. It is not started any more.
    Tell,
    /// It is finished, and started if it was not yet.
    Finish,
}

/// Which outcome answers an effect; a fault answers every one.
#[derive(Clone, Copy)]
enum Fits {
    Any,
    Response,
    Host(fn(&HostResult) -> bool),
    Decoded(fn(&Decoded) -> bool),
}

impl Fits {
    fn admit(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Any, _) | (_, Outcome::Failed(_)) => true,
            (Self::Response, outcome) => matches!(outcome, Outcome::Response(_)),
            (Self::Host(fits), outcome) => matches!(outcome, Outcome::Host(result) if fits(result)),
            (Self::Decoded(fits), outcome) => matches!(outcome, Outcome::Decoded(decoded) if fits(decoded)),
        }
    }
}

/// A child machine whose output goes into a slot of its waiter's.
trait Child: Send {
    /// `Done` without an output: that is in the slot.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<()>;
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;
    fn cancel(&mut self, cx: &mut Cx<'_>);
    fn is_bound(&self) -> bool;
    /// Whether the outcome of an effect that it gives up is waited for in its stead.
    fn owes_outcome(&self) -> bool;
    fn debug(&self) -> &dyn Debug;
}

struct Running<M: Machine> {
    /// Until it ends.
    machine: Option<M>,
    parting: Parting<M>,
    owes_outcome: bool,
    end: Slotted<M>,
}

/// A child at its end, and its output.
type Slotted<M> = Arc<Mutex<Option<(M, <M as Machine>::Output)>>>;

impl<M: Machine<Output: Send> + Debug + Send> Child for Running<M> {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<()> {
        let Some(machine) = &mut self.machine else { return Step::Done(()) };
        match machine.poll(cx) {
            Step::Start(id, effect) => Step::Start(id, effect),
            Step::Cancel(id) => Step::Cancel(id),
            Step::Event(event) => Step::Event(event),
            Step::Idle(wake) => Step::Idle(wake),
            Step::Done(output) => {
                *lock(&self.end) = self.machine.take().map(|machine| (machine, output));
                Step::Done(())
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.machine {
            Some(machine) => machine.feed(cx, id, outcome),
            None => Err(outcome),
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Some(machine) = &mut self.machine {
            (self.parting.cancel)(machine, cx);
        }
    }

    fn is_bound(&self) -> bool {
        self.machine.as_ref().is_some_and(self.parting.is_bound)
    }

    fn owes_outcome(&self) -> bool {
        self.owes_outcome
    }

    fn debug(&self) -> &dyn Debug {
        &self.machine
    }
}

impl<Out> Flow<Out> {
    /// A flow that runs this code.
    pub(crate) fn new<F>(operation: &'static str, code: impl FnOnce(Line) -> F) -> Self
    where
        F: Future<Output = Out> + Send + 'static,
    {
        let shared = Shared::default();
        let body = Box::pin(code(Line { operation, shared: shared.clone() }));
        Self { operation, body: Some(body), output: None, shared }
    }

    /// Whether it waits for something that outlives a cancel.
    pub(crate) fn must_be_finished(&self) -> bool {
        match &self.shared.lock().wait {
            Wait::Child(child) => child.is_bound(),
            Wait::Start { on_cancel, .. } => *on_cancel == OnCancel::Finish,
            Wait::Outcome { on_cancel, .. } => *on_cancel != OnCancel::GiveUp,
            Wait::Tell { .. } => true,
            Wait::Nothing | Wait::GiveUp(_) | Wait::Until(_) => false,
        }
    }

    /// Whether its code ran to its end.
    fn is_over(&self) -> bool {
        self.body.is_none()
    }

    /// Polls the future, with the session lent to it.
    fn resume(&mut self, cx: &mut Cx<'_>) {
        let Some(body) = &mut self.body else { return };
        let lent = cx.session.lend();
        self.shared.lock().lent = Some((cx.now, lent));
        let _back = Back { shared: &self.shared, place: cx.session };
        if let Poll::Ready(output) = body.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.output = Some(output);
            // Its guards go with it.
            self.body = None;
        }
    }
}

impl<Out> Machine for Flow<Out> {
    type Output = Out;

    fn operation(&self) -> &'static str {
        self.operation
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Out> {
        loop {
            let mut inner = self.shared.lock();
            if let Some(event) = inner.events.pop_front() {
                return Step::Event(event);
            }
            if inner.unlocking.is_some() {
                return Step::Idle(None);
            }
            if let Some(lock) = inner.returned.pop() {
                let id = cx.session.next_effect();
                (inner.label, inner.unlocking) = ("give a lock back", Some(id));
                return Step::Start(id, Effect::Host(HostOp::Unlock(lock)));
            }
            match mem::take(&mut inner.wait) {
                Wait::Nothing => {}
                Wait::Start { effect, fits, on_cancel, begun } => {
                    let id = cx.session.next_effect();
                    inner.wait = Wait::Outcome { id, fits, on_cancel };
                    inner.events.extend(begun);
                    return Step::Start(id, effect);
                }
                Wait::Tell { id, fits } => {
                    inner.wait = Wait::Outcome { id, fits, on_cancel: OnCancel::Tell };
                    return Step::Cancel(id);
                }
                wait @ Wait::Outcome { .. } => {
                    inner.wait = wait;
                    return Step::Idle(None);
                }
                Wait::GiveUp(id) => return Step::Cancel(id),
                Wait::Child(mut child) => match child.poll(cx) {
                    Step::Done(()) => {}
                    Step::Cancel(id) if child.owes_outcome() => {
                        inner.wait = Wait::Outcome { id, fits: Fits::Any, on_cancel: OnCancel::Finish };
                        return Step::Cancel(id);
                    }
                    other => {
                        inner.wait = Wait::Child(child);
                        return crate::machine::pass(other);
                    }
                },
                Wait::Until(wake) if wake.at <= cx.now.mono => {}
                Wait::Until(wake) => {
                    inner.wait = Wait::Until(wake);
                    return Step::Idle(Some(wake));
                }
            }
            drop(inner);
            match self.output.take() {
                Some(output) => return Step::Done(output),
                None if self.is_over() => return Step::Idle(None),
                None => self.resume(cx),
            }
            assert!(self.is_over() || self.shared.lock().has_something_to_do(), "a flow waits by its line alone");
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let mut inner = self.shared.lock();
        if inner.unlocking == Some(id) {
            // A lock that could not be given back goes with the process.
            return match outcome {
                Outcome::Host(HostResult::Unlocked) | Outcome::Failed(_) => {
                    inner.unlocking = None;
                    Ok(())
                }
                other => Err(other),
            };
        }
        let came = match (&mut inner.wait, outcome) {
            (Wait::Child(child), outcome) => return child.feed(cx, id, outcome),
            (Wait::Outcome { id: expected, fits, .. } | Wait::Tell { id: expected, fits }, outcome)
                if *expected == id && fits.admit(&outcome) =>
            {
                outcome
            }
            (_, outcome) => return Err(outcome),
        };
        // It comes before the outcome that is waited for.
        if let Outcome::Progress(_) = came {
            return Ok(());
        }
        inner.came = Some(came);
        inner.wait = Wait::Nothing;
        Ok(())
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        let mut inner = self.shared.lock();
        inner.is_cancelled = true;
        match &mut inner.wait {
            Wait::Child(child) => child.cancel(cx),
            Wait::Start { on_cancel: OnCancel::GiveUp | OnCancel::Tell, .. } | Wait::Until(_) => {
                inner.wait = Wait::Nothing;
            }
            Wait::Outcome { id, on_cancel: OnCancel::GiveUp, .. } => inner.wait = Wait::GiveUp(*id),
            Wait::Outcome { id, fits, on_cancel: OnCancel::Tell } => inner.wait = Wait::Tell { id: *id, fits: *fits },
            Wait::Start { on_cancel: OnCancel::Finish, .. }
            | Wait::Outcome { on_cancel: OnCancel::Finish, .. }
            | Wait::Tell { .. }
            | Wait::Nothing
            | Wait::GiveUp(_) => {}
        }
    }
}

impl<Out> Debug for Flow<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.shared.lock();
        let mut flow = f.debug_struct("Flow");
        flow.field("operation", &self.operation).field("at", &inner.label).field("has_turn", &inner.has_turn);
        match &inner.wait {
            Wait::Child(child) => flow.field("child", child.debug()),
            Wait::Outcome { id, .. } | Wait::Tell { id, .. } => flow.field("effect", id),
            Wait::Nothing | Wait::Start { .. } | Wait::GiveUp(_) | Wait::Until(_) => &mut flow,
        };
        flow.finish_non_exhaustive()
    }
}

impl Line {
    /// Looks at the session, or changes it.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let (now, session) = self.shared.lock().lent.take().expect("looks are not nested, and happen during a poll");
        let mut held = Held { shared: &self.shared, now, session: Some(session) };
        let session = held.session.as_mut().expect("it is given back on drop alone");
        look(&mut Cx { now, session })
    }

    /// Tells the application something, before the next wait.
    pub(crate) fn tell(&self, event: Event) {
        self.shared.lock().events.push_back(event);
    }

    /// What the flow does, as its errors name it.
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the caller is gone.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.shared.lock().is_cancelled
    }

    /// Ends the flow if the caller is gone.
    pub(crate) fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled(self.operation)) } else { Ok(()) }
    }

    /// Waits for an act of the host, unless the caller goes.
    pub(crate) async fn host(&self, label: &'static str, op: HostOp) -> Result<Result<HostResult, Fault>, Cancelled> {
        let fits = Fits::Host(op.fitting());
        Ok(host_result(self.start(label, Effect::Host(op), fits).await?))
    }

    /// Waits for an act of the host that takes long. If the caller goes, the act is told to end, and its outcome is waited for. `begun`
    /// is told once the act is under way.
    ///
    /// # Errors
    /// The caller went before the act was under way.
    pub(crate) async fn host_until_told(
        &self,
        label: &'static str,
        op: HostOp,
        begun: Event,
    ) -> Result<Result<HostResult, Fault>, Cancelled> {
        self.check()?;
        let (fits, on_cancel) = (Fits::Host(op.fitting()), OnCancel::Tell);
        self.wait(label, Wait::Start { effect: Effect::Host(op), fits, on_cancel, begun: Some(begun) });
        Ok(host_result(self.came(true).await?))
    }

    /// Waits for an act of the host, which is finished whether the caller is there or not.
    pub(crate) async fn host_to_the_end(&self, label: &'static str, op: HostOp) -> Result<HostResult, Fault> {
        let fits = Fits::Host(op.fitting());
        self.wait(label, Wait::Start { effect: Effect::Host(op), fits, on_cancel: OnCancel::Finish, begun: None });
        match self.came(false).await {
            Ok(came) => host_result(came),
            Err(Cancelled(_)) => unreachable!("what is bound is not given up"),
        }
    }

    /// Sends one request, unless the caller goes. Requests to the platform are sent by [`Call`](crate::call::Call)s.
    pub(crate) async fn http(
        &self,
        label: &'static str,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Result<Response<Bytes>, Fault>, Cancelled> {
        match self.start(label, Effect::Http(request, limits), Fits::Response).await? {
            Outcome::Response(answer) => Ok(Ok(answer)),
            outcome => Ok(Err(fault(outcome))),
        }
    }

    /// Reads a large answer with the session unlocked, unless the caller goes.
    pub(crate) async fn decode<T: Send + 'static>(
        &self,
        label: &'static str,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Result<T, Fault>, Cancelled> {
        match self.start(label, Effect::Decode(Decode::new(read)), Fits::Decoded(Decoded::is::<T>)).await? {
            Outcome::Decoded(decoded) => Ok(Ok(decoded.take().expect("its type was checked when it came"))),
            outcome => Ok(Err(fault(outcome))),
        }
    }

    /// Reads a slot of the store, unless the caller goes.
    pub(crate) async fn load(
        &self,
        label: &'static str,
        slot: Slot,
    ) -> Result<Result<Option<Stored>, Fault>, Cancelled> {
        Ok(self.host(label, HostOp::Load(slot)).await?.map(|result| match result {
            HostResult::Loaded(stored) => stored,
            _ => unreachable!("a load is answered by what was loaded"),
        }))
    }

    /// Drives a child machine to its end.
    pub(crate) async fn run<M>(&self, label: &'static str, machine: M, parting: Parting<M>) -> M::Output
    where
        M: Machine<Output: Send> + Debug + Send + 'static,
    {
        self.run_and_keep(label, machine, parting).await.1
    }

    /// The same, and gives the child back as it is at its end.
    pub(crate) async fn run_and_keep<M>(&self, label: &'static str, machine: M, parting: Parting<M>) -> (M, M::Output)
    where
        M: Machine<Output: Send> + Debug + Send + 'static,
    {
        let end = self.child(label, machine, parting, false);
        poll_fn(|_| lock(&end).take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Drives a child machine to its end. If the caller goes, the child is cancelled too; once it gives an effect up it is dropped, and the
    /// outcome of that effect is waited for.
    ///
    /// # Errors
    /// The outcome of the effect that was given up.
    pub(crate) async fn run_to_the_last_outcome<M>(&self, label: &'static str, machine: M) -> Result<M::Output, Outcome>
    where
        M: Machine<Output: Send> + Debug + Send + 'static,
    {
        let end = self.child(label, machine, Parting { cancel: M::cancel, is_bound: |_| true }, true);
        poll_fn(|_| match (lock(&end).take(), self.shared.lock().came.take()) {
            (Some((_, output)), _) => Poll::Ready(Ok(output)),
            (None, Some(came)) => Poll::Ready(Err(came)),
            (None, None) => Poll::Pending,
        })
        .await
    }

    /// Waits for a child machine. Returns where it and its output are put in the end.
    fn child<M>(&self, label: &'static str, mut machine: M, parting: Parting<M>, owes_outcome: bool) -> Slotted<M>
    where
        M: Machine<Output: Send> + Debug + Send + 'static,
    {
        if self.is_cancelled() {
            self.with(|cx| (parting.cancel)(&mut machine, cx));
        }
        let end = Slotted::<M>::default();
        let child = Running { machine: Some(machine), parting, owes_outcome, end: end.clone() };
        self.wait(label, Wait::Child(Box::new(child)));
        end
    }

    /// Waits until a moment, unless the caller goes.
    pub(crate) async fn pause(&self, label: &'static str, wake: Wake) -> Result<(), Cancelled> {
        self.check()?;
        self.wait(label, Wait::Until(wake));
        poll_fn(|_| if matches!(self.shared.lock().wait, Wait::Nothing) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        self.check()
    }

    /// Takes the turn to get a token, after whoever has it, unless the caller goes.
    pub(crate) async fn turn(&self, label: &'static str) -> Result<TurnGuard, Cancelled> {
        let mut turn = Turn::default();
        loop {
            self.check()?;
            match self.with(|cx| turn.take(cx.now.mono, cx.session)) {
                Ok(()) => {
                    self.shared.lock().has_turn = true;
                    return Ok(TurnGuard { _turn: turn, shared: self.shared.clone() });
                }
                Err(wake) => self.pause(label, wake).await?,
            }
        }
    }

    /// The guard of a lock that was taken.
    pub(crate) fn guard(&self, lock: LockId) -> LockGuard {
        LockGuard { lock, shared: self.shared.clone() }
    }

    fn wait(&self, label: &'static str, wait: Wait) {
        let mut inner = self.shared.lock();
        (inner.label, inner.wait) = (label, wait);
    }

    /// Starts an effect and waits for its outcome, unless the caller goes.
    async fn start(&self, label: &'static str, effect: Effect, fits: Fits) -> Result<Outcome, Cancelled> {
        self.check()?;
        self.wait(label, Wait::Start { effect, fits, on_cancel: OnCancel::GiveUp, begun: None });
        self.came(true).await
    }

    /// The outcome of the effect that is waited for. `yields`: it may have been given up.
    async fn came(&self, yields: bool) -> Result<Outcome, Cancelled> {
        poll_fn(|_| {
            let mut inner = self.shared.lock();
            match (inner.came.take(), &inner.wait) {
                (Some(came), _) => Poll::Ready(Ok(came)),
                (None, Wait::Nothing) if yields => Poll::Ready(Err(Cancelled(self.operation))),
                (None, _) => Poll::Pending,
            }
        })
        .await
    }
}

fn host_result(came: Outcome) -> Result<HostResult, Fault> {
    match came {
        Outcome::Host(result) => Ok(result),
        outcome => Err(fault(outcome)),
    }
}

/// The fault among outcomes of which every other one was taken.
fn fault(came: Outcome) -> Fault {
    match came {
        Outcome::Failed(fault) => fault,
        outcome => unreachable!("{outcome:?} does not fit its effect"),
    }
}

/// The turn to get a token: dropped, it is given back.
pub(crate) struct TurnGuard {
    _turn: Turn,
    shared: Shared,
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        self.shared.lock().has_turn = false;
    }
}

/// A lock that the host holds for this flow. Dropped, it is given back before the flow's next wait begins and before its end, and the flow
/// goes on once that is done; dropped with the flow, it goes with the flow's driver.
pub(crate) struct LockGuard {
    lock: LockId,
    shared: Shared,
}

impl LockGuard {
    /// Gives the lock back, and waits until that is done. After a mere drop the code runs on to its next wait first, and does not see
    /// that its caller went meanwhile.
    pub(crate) async fn give_back(self) {
        let shared = self.shared.clone();
        drop(self);
        poll_fn(|_| {
            let inner = shared.lock();
            if inner.returned.is_empty() && inner.unlocking.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.shared.lock().returned.push(self.lock);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session during a look: given back also if that panics.
struct Held<'a> {
    shared: &'a Shared,
    now: Now,
    session: Option<Session>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.lock().lent = self.session.take().map(|session| (self.now, session));
    }
}

/// Where the session belongs after a poll of the future, also if that panics.
struct Back<'a> {
    shared: &'a Shared,
    place: &'a mut Session,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if let Some((_, session)) = self.shared.lock().lent.take() {
            *self.place = session;
        }
    }
}

/// Makes a machine of a type that wraps a flow.
macro_rules! machine_of_flow {
    ($machine:ident $(<$generic:ident>)?, $output:ty) => {
        impl $(<$generic>)? $crate::machine::Machine for $machine $(<$generic>)? {
            type Output = $output;

            fn operation(&self) -> &'static str {
                self.0.operation()
            }

            fn poll(&mut self, cx: &mut $crate::machine::Cx<'_>) -> $crate::machine::Step<$output> {
                self.0.poll(cx)
            }

            fn feed(
                &mut self,
                cx: &mut $crate::machine::Cx<'_>,
                id: $crate::effect::EffectId,
                outcome: $crate::effect::Outcome,
            ) -> Result<(), $crate::effect::Outcome> {
                self.0.feed(cx, id, outcome)
            }

            fn cancel(&mut self, cx: &mut $crate::machine::Cx<'_>) {
                self.0.cancel(cx);
            }
        }
    };
}
pub(crate) use machine_of_flow;

#[cfg(test)]
mod tests;
