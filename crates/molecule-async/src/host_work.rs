//! Work of the host, on one of the runtime's threads for blocking work.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use molecule_core::effect::{Fault, FaultKind, Outcome, Sent};
use molecule_host::{Cancel, Host, Undelivered};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::in_flight::cancelled;

/// Work of the host on its thread, as a future of its outcome.
pub(crate) struct HostWork {
    outcome: oneshot::Receiver<Outcome>,
    host: Host,
    cancel: Cancel,
}

impl HostWork {
    /// Begins the work. An outcome that nobody takes any more is disposed of. If no thread can be started, the outcome is that fault.
    pub(crate) fn begin(host: &Host, work: impl FnOnce(&Host, &Cancel) -> Outcome + Send + 'static) -> Self {
        let (due, outcome) = oneshot::channel();
        let (performer, cancel) = (host.clone(), Cancel::default());
        let flag = cancel.clone();
        let begun = begin(move || {
            if let Err(unheard) = due.send(work(&performer, &flag)) {
                performer.dispose(unheard);
            }
        });
        let outcome = begun.map_or_else(failed, |()| outcome);
        Self { outcome, host: host.clone(), cancel }
    }

    /// Tells long work that nobody waits for it any more, so that it ends early.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// The outcome of work that has no thread.
fn failed(error: io::Error) -> oneshot::Receiver<Outcome> {
    let (due, outcome) = oneshot::channel();
    // The receiver is here.
    let _ = due.send(Outcome::Failed(Fault::with_source(Sent::No, FaultKind::Host(error.kind()), error)));
    outcome
}

impl Future for HostWork {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = Pin::new(&mut self.outcome).poll(cx);
        // The sender is gone when its thread panicked or the runtime ends.
        outcome.map(|outcome| outcome.unwrap_or_else(|_| cancelled()))
    }
}

impl Drop for HostWork {
    fn drop(&mut self) {
        // Long work ends early.
        self.cancel.cancel();
        self.outcome.close();
        if let Ok(outcome) = self.outcome.try_recv() {
            dispose(&self.host, outcome);
        }
    }
}

/// Disposes of an outcome that nobody takes. A stage may be thousands of files, so it is removed on a thread for blocking work.
pub(crate) fn dispose(host: &Host, outcome: Outcome) {
    let is_long = matches!(outcome, Outcome::Staged(..));
    // The clone of the host keeps the machine's locks until the stage is removed, which lies under one of them.
    let undelivered = Undelivered::new(host, outcome);
    if is_long && Handle::try_current().is_ok() {
        // If no thread takes it, it is dropped here.
        let _ = begin(move || drop(undelivered));
    }
}

/// Begins work on one of the runtime's threads for blocking work. tokio panics if it has none and the operating system starts none,
/// which is an error here.
pub(crate) fn begin(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let given_up = Arc::<AtomicBool>::default();
    let is_given_up = given_up.clone();
    let begun = catch_unwind(AssertUnwindSafe(|| {
        spawn_blocking(move || {
            if !is_given_up.load(Ordering::SeqCst) {
                work();
            }
        })
    }));
    begun.map(drop).map_err(|panic| {
        // The work stays in tokio's queue, where a thread that is started later finds the flag.
        given_up.store(true, Ordering::SeqCst);
        no_thread(&*panic)
    })
}

fn no_thread(panic: &(dyn Any + Send)) -> io::Error {
    let said = panic.downcast_ref::<String>().map_or("", String::as_str);
    io::Error::other(format!("no thread could be started ({said}); raise the limit of threads, or start fewer of them"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use molecule_core::effect::{HostOp, HostResult, Staged};
    use molecule_core::proto::UnixTime;
    use molecule_core::unpack::UnpackPolicy;
    use molecule_host::trace::Span;
    use molecule_host::{ChosenBy, Storage};
    use molecule_platform::PluginTree;
    use tokio::runtime::Builder;

    use super::*;
    use crate::in_flight::Performing;

    fn host() -> Host {
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        Host::new(Storage::Memory.open(&id).unwrap())
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
            let performing = Performing::host(&host, HostOp::Lock, Span::none());
            spawn_blocking(|| {}).await.unwrap();
            assert!(!free());
            drop(performing);
            assert!(free());
        });
        // Dropped while the act waits for its thread.
        runtime.block_on(async {
            let (go, gate) = mpsc::channel::<()>();
            let busy = spawn_blocking(move || gate.recv());
            drop(Performing::host(&host, HostOp::Lock, Span::none()));
            drop(go);
            assert!(busy.await.unwrap().is_err());
            spawn_blocking(|| {}).await.unwrap();
            assert!(free());
        });
    }

    #[test]
    fn an_act_that_gets_no_thread_is_a_failure() {
        // No address space holds such a stack.
        let runtime = Builder::new_current_thread().thread_stack_size(1 << 60).build().unwrap();
        let outcome = runtime.block_on(HostWork::begin(&host(), |host, _| host.perform(HostOp::Prepare)));
        let Outcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(fault.kind, FaultKind::Host(_)));
        let text = fault.source.unwrap().to_string();
        assert!(text.contains("no thread could be started"), "{text}");
    }

    #[test]
    fn a_stage_that_nobody_takes_is_removed_off_the_workers() {
        let plugins = std::env::temp_dir().join(format!("molecule-async-stage-{:016x}", molecule_host::seed()));
        let stages = || {
            let names = std::fs::read_dir(&plugins).unwrap().map(|entry| entry.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().starts_with(".staging")).count()
        };
        let host = host().with_plugins(plugins.clone(), ChosenBy::PluginsDir);
        let staged = || {
            let archive = PluginTree::new("mine").file("plugin.yaml", "name: mine\n").archive(UnixTime::from_secs(0));
            let mut unpacking = host.stage(&"mine".parse().unwrap(), &UnpackPolicy::default()).unwrap();
            unpacking.push(&archive.unwrap()).unwrap();
            let (stage, unpacked) = unpacking.finish().unwrap();
            Outcome::Staged(stage, Staged { head: http::Response::default(), unpacked })
        };
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (go, gate) = mpsc::channel::<()>();
            let busy = spawn_blocking(move || gate.recv());
            dispose(&host, staged());
            assert_eq!(stages(), 1, "this thread removed it");
            drop(go);
            assert!(busy.await.unwrap().is_err());
            spawn_blocking(|| {}).await.unwrap();
            assert_eq!(stages(), 0);
        });
        // Where no thread takes it, this one does.
        dispose(&host, staged());
        assert_eq!(stages(), 0);
        std::fs::remove_dir_all(&plugins).unwrap();
    }
}
