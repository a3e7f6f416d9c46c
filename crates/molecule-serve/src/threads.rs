//! Work that may block, on one of the runtime's threads for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::{JoinHandle, spawn_blocking};

/// Begins the work; `None` if no thread can be started for it, upon which tokio panics.
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
    catch_unwind(AssertUnwindSafe(|| spawn_blocking(work))).ok()
}

/// Does the work; `None` if it has no thread, panics, or the runtime ends.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    begin(work)?.await.ok()
}
