//! Futures of machines that may be dropped at any time.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use molecule_core::machine::Machine;
use molecule_core::{Error, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::driver::Running;

/// A machine that a task can own.
pub(crate) trait Spawnable: Machine<Output: Send> + Send + 'static {}

impl<M: Machine<Output: Send> + Send + 'static> Spawnable for M {}

/// A machine that is driven to its end. If it is dropped before, the machine is cancelled and driven on in a task.
pub(crate) struct CancelOnDrop<M: Spawnable> {
    running: Option<Running<M>>,
    /// The runtime of its first poll; before that there is nothing to cancel.
    runtime: Option<Handle>,
    /// True during a poll, and so after one that panicked, when there is nothing to finish.
    is_polled: bool,
}

impl<M: Spawnable> CancelOnDrop<M> {
    pub(crate) fn new(running: Running<M>) -> Self {
        Self { running: Some(running), runtime: None, is_polled: false }
    }
}

impl<T, M: Spawnable<Output = Result<T>>> Future for CancelOnDrop<M> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        let Some(running) = &mut this.running else { return Poll::Pending };
        if this.runtime.is_none() {
            this.runtime = Some(runtime()?);
        }
        this.is_polled = true;
        let polled = Pin::new(running).poll(cx);
        this.is_polled = false;
        let output = ready!(polled);
        this.running = None;
        Poll::Ready(output)
    }
}

impl<M: Spawnable> Drop for CancelOnDrop<M> {
    fn drop(&mut self) {
        if let (Some(mut running), Some(runtime), false) = (self.running.take(), self.runtime.take(), self.is_polled) {
            running.cancel();
            // If the runtime is gone, it is dropped at once.
            drop(runtime.spawn(running));
        }
    }
}

/// A machine that a task of its own drives. The task is aborted when this is dropped.
pub(crate) struct AbortOnDrop<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> AbortOnDrop<T> {
    /// # Errors
    /// `Config` without a runtime.
    pub(crate) fn of(call: CancelOnDrop<impl Spawnable<Output = Result<T>>>) -> Result<Self> {
        Ok(Self(runtime()?.spawn(call)))
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Error::cancelled("the call")),
            },
        })
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|_| {
        Error::config("no tokio runtime runs here", "await the call inside one, with its time and net drivers on")
    })
}
