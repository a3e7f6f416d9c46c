//! A machine on its way as a future that may be dropped at any time.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use molecule_core::machine::Machine;
use molecule_core::{Error, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::driver::Drive;

/// A machine that a task can own.
pub(crate) trait Drivable: Machine<Output: Send> + Send + 'static {}

impl<M: Machine<Output: Send> + Send + 'static> Drivable for M {}

/// A machine on its way to its end. Dropped before, it is cancelled, and goes on in a task.
pub(crate) struct Driven<M: Drivable> {
    drive: Option<Drive<M>>,
    /// The runtime that it was first polled on: nothing happens before.
    runtime: Option<Handle>,
    /// True during a poll, and after one that panicked: there is nothing to finish then.
    is_polled: bool,
}

impl<M: Drivable> Driven<M> {
    pub(crate) fn new(drive: Drive<M>) -> Self {
        Self { drive: Some(drive), runtime: None, is_polled: false }
    }
}

impl<T, M: Drivable<Output = Result<T>>> Future for Driven<M> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        let Some(drive) = &mut this.drive else { return Poll::Pending };
        if this.runtime.is_none() {
            this.runtime = Some(runtime()?);
        }
        this.is_polled = true;
        let polled = Pin::new(drive).poll(cx);
        this.is_polled = false;
        let output = ready!(polled);
        this.drive = None;
        Poll::Ready(output)
    }
}

impl<M: Drivable> Drop for Driven<M> {
    fn drop(&mut self) {
        if let (Some(mut drive), Some(runtime), false) = (self.drive.take(), self.runtime.take(), self.is_polled) {
            drive.cancel();
            // Dropped at once where the runtime is gone.
            drop(runtime.spawn(drive));
        }
    }
}

/// A machine on its way in a task of its own, which is given up with this value.
pub(crate) struct Task<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Task<T> {
    /// # Errors
    /// `Config` without a runtime.
    pub(crate) fn of(driven: Driven<impl Drivable<Output = Result<T>>>) -> Result<Self> {
        Ok(Self(runtime()?.spawn(driven)))
    }
}

impl<T> Future for Task<T> {
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

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|_| {
        Error::config("no tokio runtime runs here", "await the call inside one, with its time and net drivers on")
    })
}
