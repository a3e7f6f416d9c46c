//! Events on their way to the application, outside the session's lock.

use std::sync::Arc;

use molecule_core::{Config, Event};

use crate::trace::{Span, Trace};

/// Whom an agent tells what happens.
pub type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// The application's callback, and `tracing` where that feature is on.
pub struct Listener {
    callback: Option<OnEvent>,
    trace: Trace,
}

impl Listener {
    /// The listener of the agent of this configuration.
    pub fn new(callback: Option<OnEvent>, config: &Config) -> Self {
        Self { callback, trace: Trace::new(config.workspace_id()) }
    }

    /// A call or a loop begins, below the span that its caller is in.
    pub fn span(&self, operation: &'static str) -> Span {
        self.trace.span(operation)
    }

    /// Tells an event: first `tracing`, then the callback.
    pub fn tell(&self, event: &Event) {
        self.trace.event(event);
        if let Some(callback) = &self.callback {
            callback(event);
        }
    }
}
