//! The runtimes on which connections were opened. When one ends, its idle connections are of no use to another, and would keep their
//! files open.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

/// The runtimes that are watched, each by a task on it.
pub(crate) struct Runtimes {
    watched: Arc<Mutex<Vec<Id>>>,
    /// Ends the tasks when it is dropped.
    end: watch::Sender<()>,
}

impl Default for Runtimes {
    fn default() -> Self {
        Self { watched: Arc::default(), end: watch::Sender::new(()) }
    }
}

impl Runtimes {
    /// Has the function called when the current runtime ends, unless that runtime is watched already.
    pub(crate) fn watch(&self, ended: impl FnOnce(Id) + Send + 'static) {
        let runtime = Handle::current();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.contains(&runtime.id()) {
            return;
        }
        watched.push(runtime.id());
        drop(watched);
        let watch = Watch { watched: self.watched.clone(), runtime: runtime.id(), ended: Some(Box::new(ended)) };
        let mut end = self.end.subscribe();
        runtime.spawn(async move {
            let _watch = watch;
            while end.changed().await.is_ok() {}
        });
    }
}

/// Dropped with its task, which is dropped with its runtime.
struct Watch {
    watched: Arc<Mutex<Vec<Id>>>,
    runtime: Id,
    ended: Option<Box<dyn FnOnce(Id) + Send>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != self.runtime);
        if let Some(ended) = self.ended.take() {
            ended(self.runtime);
        }
    }
}
