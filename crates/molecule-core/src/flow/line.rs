//! The handle through which the code of a flow reaches the session and the driver.

use std::fmt::Debug;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use molecule_proto::Wake;

use super::child::{Parting, Running, Slotted, lock};
use super::guard::{Held, LockGuard, TurnGuard};
use super::shared::{Fits, OnCancel, Shared, Start, Wait};
use crate::effect::decode::{Decode, Decoded};
use crate::effect::{Effect, Fault, HostOp, HostResult, Limits, LockId, Outcome, Slot, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::machine::{Cx, Machine};
use crate::session::turn::Turn;

/// The handle of a flow's code.
#[derive(Clone)]
pub(crate) struct Line {
    pub(super) operation: &'static str,
    pub(super) shared: Shared,
}

/// The flow was cancelled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancelled(pub(super) &'static str);

impl From<Cancelled> for Error {
    fn from(Cancelled(operation): Cancelled) -> Self {
        Self::cancelled(operation)
    }
}

impl Line {
    /// Reads or changes the session.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let (now, session) = self.shared.lock().lent.take().expect("looks are not nested, and happen during a poll");
        let mut held = Held { shared: &self.shared, now, session: Some(session) };
        let session = held.session.as_mut().expect("it is given back on drop alone");
        look(&mut Cx { now, session })
    }

    /// Reports an event to the application, before the next wait.
    pub(crate) fn tell(&self, event: Event) {
        self.shared.lock().events.push_back(event);
    }

    /// Returns the flow's operation, as its errors name it.
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns whether the flow was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.shared.lock().is_cancelled
    }

    /// Ends the flow if it was cancelled.
    pub(crate) fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled(self.operation)) } else { Ok(()) }
    }

    /// Waits for an operation of the host. A cancel ends the wait.
    pub(crate) async fn host(&self, label: &'static str, op: HostOp) -> Result<Result<HostResult, Fault>, Cancelled> {
        let fits = Fits::Host(op.fitting());
        Ok(host_result(self.start(label, Effect::Host(op), fits).await?))
    }

    /// Waits for a long operation of the host. A cancel tells the operation to end, and its outcome is still awaited.
    /// The event `begun` is reported once the operation has started.
    ///
    /// # Errors
    /// The flow was cancelled before the operation had started.
    pub(crate) async fn host_until_told(
        &self,
        label: &'static str,
        op: HostOp,
        begun: Event,
    ) -> Result<Result<HostResult, Fault>, Cancelled> {
        self.check()?;
        let (fits, on_cancel) = (Fits::Host(op.fitting()), OnCancel::Tell);
        self.wait(
            label,
            Wait::Start(Box::new(Start { effect: Effect::Host(op), fits, on_cancel, begun: Some(begun) })),
        );
        Ok(host_result(self.came(true).await?))
    }

    /// Waits for an operation of the host, which is finished even after a cancel.
    pub(crate) async fn host_to_the_end(&self, label: &'static str, op: HostOp) -> Result<HostResult, Fault> {
        let fits = Fits::Host(op.fitting());
        let (effect, on_cancel) = (Effect::Host(op), OnCancel::Finish);
        self.wait(label, Wait::Start(Box::new(Start { effect, fits, on_cancel, begun: None })));
        match self.came(false).await {
            Ok(came) => host_result(came),
            Err(Cancelled(_)) => unreachable!("what is bound is not given up"),
        }
    }

    /// Sends one request. A cancel ends the wait. Requests to the platform are sent by [`Call`](crate::call::Call)s
    /// instead.
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

    /// Decodes a large answer with the session unlocked. A cancel ends the wait.
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

    /// Loads a slot of the store. A cancel ends the wait.
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

    /// Drives a child machine to its end, and returns the child too.
    pub(crate) async fn run_and_keep<M>(&self, label: &'static str, machine: M, parting: Parting<M>) -> (M, M::Output)
    where
        M: Machine<Output: Send> + Debug + Send + 'static,
    {
        let end = self.child(label, machine, parting, false);
        poll_fn(|_| lock(&end).take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Drives a child machine to its end. A cancel is passed to the child. Once the child cancels an effect, it is
    /// dropped, and the outcome of that effect is awaited.
    ///
    /// # Errors
    /// The outcome of the effect that the child cancelled.
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

    /// Starts the wait for a child machine. Returns the slot into which the child and its output are put at its end.
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

    /// Waits until a given time. A cancel ends the wait.
    pub(crate) async fn pause(&self, label: &'static str, wake: Wake) -> Result<(), Cancelled> {
        self.moment(label, Wait::Until(wake)).await
    }

    /// Waits while the rate budget is left to the heartbeats: for a scarce window no longer than `patience`. A cancel
    /// ends the wait.
    pub(crate) async fn wait_for_budget(&self, patience: Duration) -> Result<(), Cancelled> {
        let patience = self.with(|cx| cx.now.mono + patience);
        while let Some(at) = self.with(|cx| cx.session.rate.hold_others(cx.now.mono, patience)) {
            self.pause("leave the rate budget to heartbeats", Wake { at, why: "read within the rate limit" }).await?;
        }
        Ok(())
    }

    async fn moment(&self, label: &'static str, wait: Wait) -> Result<(), Cancelled> {
        self.check()?;
        self.wait(label, wait);
        poll_fn(|_| if matches!(self.shared.lock().wait, Wait::Nothing) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        self.check()
    }

    /// Takes the turn to get a token, and waits while another call has it. A cancel ends the wait.
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

    /// Makes the guard of a lock that was taken.
    pub(crate) fn guard(&self, lock: LockId) -> LockGuard {
        LockGuard { lock, shared: self.shared.clone() }
    }

    fn wait(&self, label: &'static str, wait: Wait) {
        let mut inner = self.shared.lock();
        (inner.label, inner.wait) = (label, wait);
    }

    /// Starts an effect and waits for its outcome. A cancel ends the wait.
    async fn start(&self, label: &'static str, effect: Effect, fits: Fits) -> Result<Outcome, Cancelled> {
        self.check()?;
        self.wait(label, Wait::Start(Box::new(Start { effect, fits, on_cancel: OnCancel::GiveUp, begun: None })));
        self.came(true).await
    }

    /// Waits for the outcome of the started effect. `yields` says that a cancel may have ended the wait.
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

/// Returns the fault, which is the only outcome that can be left.
fn fault(came: Outcome) -> Fault {
    match came {
        Outcome::Failed(fault) => fault,
        outcome => unreachable!("{outcome:?} does not fit its effect"),
    }
}
