//! Events on their way to the application, outside the session's lock.

use std::sync::Arc;

use molecule_core::{Config, Event};
use molecule_host::trace::{Span, Trace};

/// Whom an agent tells what happens.
pub(crate) type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// The application's callback, and `tracing` where that feature is on.
pub(crate) struct Listener {
    callback: Option<OnEvent>,
    trace: Trace,
}

impl Listener {
    pub(crate) fn new(callback: Option<OnEvent>, config: &Config) -> Self {
        Self { callback, trace: Trace::new(config.workspace_id()) }
    }

    /// A call or a loop begins, below the span that its caller is in.
    pub(crate) fn span(&self, operation: &'static str) -> Span {
        self.trace.span(operation)
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.trace.event(event);
        if let Some(callback) = &self.callback {
            callback(event);
        }
    }
}
