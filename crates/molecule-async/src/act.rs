//! Effects under way, which move while the machine that asked for them waits.

use std::future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use molecule_core::effect::{EffectId, Fault, FaultKind, HostOp, Outcome, Sent};
use molecule_core::unpack::Progress;
use molecule_host::{Cancel, Host};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// What a machine has under way. A call has one effect at a time, which needs no list.
#[derive(Default)]
pub(crate) struct Acts {
    one: Option<(EffectId, Act)>,
    others: Vec<(EffectId, Act)>,
}

impl Acts {
    pub(crate) fn push(&mut self, id: EffectId, act: Act) {
        match self.one {
            None => self.one = Some((id, act)),
            Some(_) => self.others.push((id, act)),
        }
    }

    pub(crate) fn cancel(&mut self, id: EffectId) {
        let all = self.one.iter_mut().chain(&mut self.others);
        all.filter(|(it, _)| *it == id).for_each(|(_, act)| act.cancel());
    }

    /// Whatever comes first. An effect whose final outcome it is is under way no more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(EffectId, Outcome)> {
        if let Some((id, act)) = &mut self.one
            && let Poll::Ready(outcome) = act.poll(cx)
        {
            let id = *id;
            if is_final(&outcome) {
                self.one = None;
            }
            return Poll::Ready((id, outcome));
        }
        for (at, (id, act)) in self.others.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = act.poll(cx) {
                let id = *id;
                if is_final(&outcome) {
                    self.others.swap_remove(at);
                }
                return Poll::Ready((id, outcome));
            }
        }
        Poll::Pending
    }
}

fn is_final(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Progress(_))
}

/// What performs an effect. Dropping it gives up a request; an act on the store goes on, and what comes of it is disposed of.
pub(crate) enum Act {
    Request(Pin<Box<dyn Future<Output = Result<Response<Bytes>, Fault>> + Send>>),
    /// A request that says how far it has come.
    Fetch(Pin<Box<dyn Future<Output = Outcome> + Send>>, UnboundedReceiver<Progress>),
    /// One that says nothing more: it is over, or was given up and is not until what it began on the disk is undone.
    Ending(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    Store(StoreAct),
    /// It was cancelled, which its machine is owed to hear.
    Cancelled,
}

impl Act {
    /// Sends a request.
    pub(crate) fn request(work: impl Future<Output = Result<Response<Bytes>, Fault>> + Send + 'static) -> Self {
        Self::Request(Box::pin(work))
    }

    /// Sends a request that says how far it has come.
    pub(crate) fn fetch<F>(work: impl FnOnce(UnboundedSender<Progress>) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (sender, progress) = unbounded_channel();
        Self::Fetch(Box::pin(work(sender)), progress)
    }

    /// Begins an act on the store, on a thread for blocking work.
    pub(crate) fn store(host: &Host, op: HostOp) -> Self {
        Self::Store(StoreAct::begin(host, |host, cancel| host.perform_until(op, cancel)))
    }

    /// Gives up a request; that nobody hears of its progress any more tells a fetch to end. An act on the store goes on, a long
    /// one to an early end; its outcome comes late.
    pub(crate) fn cancel(&mut self) {
        *self = match mem::replace(self, Self::Cancelled) {
            Self::Request(_) | Self::Cancelled => Self::Cancelled,
            Self::Fetch(work, _) | Self::Ending(work) => Self::Ending(work),
            Self::Store(act) => {
                act.cancel.cancel();
                Self::Store(act)
            }
        };
    }

    /// The outcome that every effect owes its machine, and what a fetch says before it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self {
            Self::Request(work) => {
                work.as_mut().poll(cx).map(|answer| answer.map_or_else(Outcome::Failed, Outcome::Response))
            }
            Self::Fetch(work, said) => {
                if let Poll::Ready(Some(progress)) = said.poll_recv(cx) {
                    return Poll::Ready(Outcome::Progress(progress));
                }
                let outcome = ready!(work.as_mut().poll(cx));
                // What was said while it ended is told before its end.
                match said.try_recv() {
                    Ok(progress) => {
                        *self = Self::Ending(Box::pin(future::ready(outcome)));
                        Poll::Ready(Outcome::Progress(progress))
                    }
                    Err(_) => Poll::Ready(outcome),
                }
            }
            Self::Ending(work) => work.as_mut().poll(cx),
            Self::Store(act) => Pin::new(act).poll(cx),
            Self::Cancelled => Poll::Ready(cancelled()),
        }
    }
}

fn cancelled() -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled))
}

/// An act on the store, on its thread.
pub(crate) struct StoreAct {
    outcome: oneshot::Receiver<Outcome>,
    host: Host,
    cancel: Cancel,
}

impl StoreAct {
    /// Begins it, on a thread for blocking work. What nobody takes any more is disposed of.
    pub(crate) fn begin(host: &Host, work: impl FnOnce(&Host, &Cancel) -> Outcome + Send + 'static) -> Self {
        let (due, outcome) = oneshot::channel();
        let (performer, cancel) = (host.clone(), Cancel::default());
        let flag = cancel.clone();
        spawn_blocking(move || {
            if let Err(unheard) = due.send(work(&performer, &flag)) {
                performer.dispose(unheard);
            }
        });
        Self { outcome, host: host.clone(), cancel }
    }
}

impl Future for StoreAct {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = Pin::new(&mut self.outcome).poll(cx);
        // Its thread panicked, or the runtime ends.
        outcome.map(|outcome| outcome.unwrap_or_else(|_| cancelled()))
    }
}

impl Drop for StoreAct {
    fn drop(&mut self) {
        // Nobody waits for a long one any more.
        self.cancel.cancel();
        self.outcome.close();
        if let Ok(outcome) = self.outcome.try_recv() {
            self.host.dispose(outcome);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::mpsc;

    use molecule_core::effect::HostResult;
    use molecule_host::Storage;
    use tokio::runtime::Builder;

    use super::*;

    fn host() -> Host {
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        Host::new(Storage::Memory.open(&id).unwrap())
    }

    async fn outcome(mut act: Act) -> Outcome {
        poll_fn(|cx| act.poll(cx)).await
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_was_cancelled() {
        let mut act = Act::request(pending());
        act.cancel();
        let cancelled = outcome(act).await;
        assert!(matches!(cancelled, Outcome::Failed(Fault { kind: FaultKind::Cancelled, sent: Sent::Maybe, .. })));
    }

    #[tokio::test]
    async fn an_act_on_the_store_that_is_cancelled_goes_on() {
        let mut act = Act::store(&host(), HostOp::Prepare);
        act.cancel();
        assert!(matches!(outcome(act).await, Outcome::Host(HostResult::Prepared)));
    }

    #[test]
    fn a_lock_that_nobody_takes_any_more_is_given_back() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let host = host();
        let free = || {
            let outcome = host.perform(HostOp::Lock);
            let free = matches!(outcome, Outcome::Host(HostResult::Locked(_)));
            host.dispose(outcome);
            free
        };
        // Dropped when the lock was taken already.
        runtime.block_on(async {
            let act = Act::store(&host, HostOp::Lock);
            spawn_blocking(|| {}).await.unwrap();
            assert!(!free());
            drop(act);
            assert!(free());
        });
        // Dropped while the act waits for its thread.
        runtime.block_on(async {
            let (go, gate) = mpsc::channel::<()>();
            let busy = spawn_blocking(move || gate.recv());
            drop(Act::store(&host, HostOp::Lock));
            drop(go);
            assert!(busy.await.unwrap().is_err());
            spawn_blocking(|| {}).await.unwrap();
            assert!(free());
        });
    }
}
