//! Effects in flight, which are polled while their machine waits.

use std::future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::effect::{Decode, EffectId, Fault, FaultKind, Handle, HostOp, Limits, Outcome, Sent};
use molecule_core::unpack::Progress;
use molecule_host::Host;
use molecule_host::trace::Span;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::handler::{AnyHandler, Handling};
use crate::host_work::{HostWork, begin};
use crate::http::Client;
use crate::watch::Watching;

/// The effects that a machine has in flight. A call has one at a time, which needs no list.
#[derive(Default)]
pub(crate) struct InFlight {
    one: Option<(EffectId, Performing)>,
    others: Vec<(EffectId, Performing)>,
}

impl InFlight {
    pub(crate) fn push(&mut self, id: EffectId, performing: Performing) {
        match (&self.one, &performing) {
            // A stream may always have a next piece, so it is polled last.
            (_, Performing::Watch(_)) | (Some(_), _) => self.others.push((id, performing)),
            (None, _) => self.one = Some((id, performing)),
        }
    }

    pub(crate) fn cancel(&mut self, id: EffectId) {
        let all = self.one.iter_mut().chain(&mut self.others);
        all.filter(|(it, _)| *it == id).for_each(|(_, performing)| performing.cancel());
    }

    /// Drops the handlers that are at work, each at its next `.await`.
    pub(crate) fn abort_handlers(&self) {
        for (_, performing) in self.one.iter().chain(&self.others) {
            if let Performing::Handle(handling) = performing {
                handling.abort();
            }
        }
    }

    /// Returns the outcome that comes first. The final outcome takes its effect off the list.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(EffectId, Outcome)> {
        if let Some((id, performing)) = &mut self.one
            && let Poll::Ready(outcome) = performing.poll(cx)
        {
            let id = *id;
            if outcome.is_final() {
                self.one = None;
            }
            return Poll::Ready((id, outcome));
        }
        for (at, (id, performing)) in self.others.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = performing.poll(cx) {
                let id = *id;
                let performing = self.others.remove(at);
                if !outcome.is_final() {
                    // The others have their turn first.
                    self.others.push(performing);
                }
                return Poll::Ready((id, outcome));
            }
        }
        Poll::Pending
    }
}

/// One effect in flight. If it is dropped, a request, a stream or a handler is given up; work of the host goes on, and its outcome is disposed of.
pub(crate) enum Performing {
    Request(Pin<Box<dyn Future<Output = Result<Response<Bytes>, Fault>> + Send>>),
    /// A fetch, and the progress that it tells.
    Fetch(Pin<Box<dyn Future<Output = Outcome> + Send>>, UnboundedReceiver<Progress>),
    /// A fetch that tells no more progress: it is over, or is undoing what it began on the disk.
    Ending(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    Watch(Watching),
    Handle(Handling),
    Host(HostWork),
    /// An answer that is read on a thread for blocking work.
    Decode(oneshot::Receiver<thread::Result<Outcome>>),
    /// A cancelled effect, whose outcome its machine is still owed.
    Cancelled,
}

impl Performing {
    /// Sends a request, in a span.
    pub(crate) fn request(
        work: impl Future<Output = Result<Response<Bytes>, Fault>> + Send + 'static,
        span: Span,
    ) -> Self {
        Self::Request(Box::pin(span.around(work)))
    }

    /// Sends a request that says how far it has come.
    pub(crate) fn fetch<F>(work: impl FnOnce(UnboundedSender<Progress>) -> F, span: Span) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (sender, progress) = unbounded_channel();
        Self::Fetch(Box::pin(span.around(work(sender))), progress)
    }

    /// Opens a stream, in a span.
    pub(crate) fn watch(client: Client, request: Request<Bytes>, limits: Limits, span: Span) -> Self {
        Self::Watch(Watching::begin(client, request, limits, span))
    }

    /// Has the handler work on a message, in a span.
    pub(crate) fn handle(handler: Option<&AnyHandler>, handle: Handle, span: Span) -> Self {
        match handler {
            Some(handler) => Self::Handle(handler.begin(handle, span)),
            None => Self::over(Handle::not_called(&"the loop runs without a handler")),
        }
    }

    fn over(outcome: Outcome) -> Self {
        Self::Ending(Box::pin(future::ready(outcome)))
    }

    /// Begins an act of the host, on a thread for blocking work.
    pub(crate) fn host(host: &Host, op: HostOp, span: Span) -> Self {
        let act = host.begin(op);
        Self::Host(HostWork::begin(host, move |_, cancel| span.in_scope(|| act.perform(cancel))))
    }

    /// Begins to read a large answer, on a thread for blocking work.
    pub(crate) fn decode(decode: Decode) -> Self {
        let (due, outcome) = oneshot::channel();
        let read = move || drop(due.send(catch_unwind(AssertUnwindSafe(|| decode.perform()))));
        match begin(read) {
            Ok(()) => Self::Decode(outcome),
            Err(error) => {
                let unread = Fault::with_source(Sent::Maybe, FaultKind::Interrupted, error);
                Self::over(Outcome::Failed(unread))
            }
        }
    }

    /// Gives up a request or a stream. A handler goes on: its message says that it is cancelled. A fetch ends, since the receiver of its progress is dropped. Work of the host goes on, if it is long to an
    /// early end, and its outcome comes late.
    pub(crate) fn cancel(&mut self) {
        *self = match mem::replace(self, Self::Cancelled) {
            // The thread reads on, and its result is dropped.
            Self::Request(_) | Self::Watch(_) | Self::Decode(_) | Self::Cancelled => Self::Cancelled,
            Self::Fetch(work, _) | Self::Ending(work) => Self::Ending(work),
            Self::Handle(handling) => Self::Handle(handling),
            Self::Host(work) => {
                work.cancel();
                Self::Host(work)
            }
        };
    }

    /// Returns the progress of a fetch or the pieces of a stream, and the final outcome.
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
                // Progress that is still in the channel goes before the final outcome.
                match said.try_recv() {
                    Ok(progress) => {
                        *self = Self::over(outcome);
                        Poll::Ready(Outcome::Progress(progress))
                    }
                    Err(_) => Poll::Ready(outcome),
                }
            }
            Self::Ending(work) => work.as_mut().poll(cx),
            Self::Watch(watching) => watching.poll(cx),
            Self::Handle(handling) => handling.poll(cx),
            Self::Host(work) => Pin::new(work).poll(cx),
            Self::Decode(outcome) => Poll::Ready(match ready!(Pin::new(outcome).poll(cx)) {
                Ok(Ok(outcome)) => outcome,
                // An endpoint of the application's own panicked; the task that called it panics, as it would have by itself.
                Ok(Err(panic)) => resume_unwind(panic),
                // The runtime ends.
                Err(_) => cancelled(),
            }),
            Self::Cancelled => Poll::Ready(cancelled()),
        }
    }
}

/// The outcome of a cancelled effect.
pub(crate) fn cancelled() -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{pending, poll_fn};

    use molecule_core::effect::HostResult;
    use molecule_host::Storage;

    use super::*;

    fn host() -> Host {
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        Host::new(Storage::Memory.open(&id).unwrap())
    }

    async fn outcome(mut performing: Performing) -> Outcome {
        poll_fn(|cx| performing.poll(cx)).await
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_was_cancelled() {
        let mut performing = Performing::request(pending(), Span::none());
        performing.cancel();
        let cancelled = outcome(performing).await;
        assert!(matches!(cancelled, Outcome::Failed(Fault { kind: FaultKind::Cancelled, sent: Sent::Maybe, .. })));
    }

    #[tokio::test]
    async fn an_effect_that_always_has_more_to_tell_holds_back_no_other() {
        let (sender, progress) = unbounded_channel();
        (0..1000).for_each(|_| sender.send(Progress::default()).unwrap());
        let mut in_flight = InFlight::default();
        let (talkative, due) = (EffectId(2), EffectId(3));
        in_flight.push(EffectId(1), Performing::request(pending(), Span::none()));
        in_flight.push(talkative, Performing::Fetch(Box::pin(pending()), progress));
        in_flight.push(due, Performing::over(Outcome::Host(HostResult::Prepared)));
        let mut told = Vec::new();
        while told.last() != Some(&due) {
            told.push(poll_fn(|cx| in_flight.poll(cx)).await.0);
        }
        assert_eq!(told, [talkative, due]);
    }

    #[tokio::test]
    async fn an_act_on_the_store_that_is_cancelled_goes_on() {
        let mut performing = Performing::host(&host(), HostOp::Prepare, Span::none());
        performing.cancel();
        assert!(matches!(outcome(performing).await, Outcome::Host(HostResult::Prepared)));
    }
}
