//! What the code of a flow is given: the way to the session and to the driver.

use std::fmt::Debug;
use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use molecule_proto::Wake;

use super::child::{Parting, Running, Slotted, lock};
use super::guard::{Held, LockGuard, TurnGuard};
use super::shared::{Fits, OnCancel, Shared, Wait};
use crate::effect::decode::{Decode, Decoded};
use crate::effect::{Effect, Fault, HostOp, HostResult, Limits, LockId, Outcome, Slot, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::machine::{Cx, Machine};
use crate::session::turn::Turn;

/// What the code of a flow is given.
#[derive(Clone)]
pub(crate) struct Line {
    pub(super) operation: &'static str,
    pub(super) shared: Shared,
}

/// The caller of a flow is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancelled(pub(super) &'static str);

impl From<Cancelled> for Error {
    fn from(Cancelled(operation): Cancelled) -> Self {
        Self::cancelled(operation)
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
        self.moment(label, Wait::Until(wake)).await
    }

    async fn moment(&self, label: &'static str, wait: Wait) -> Result<(), Cancelled> {
        self.check()?;
        self.wait(label, wait);
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
                // It may be free before the moment.
                Err(wake) => self.moment(label, Wait::NextPoll(wake)).await?,
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
