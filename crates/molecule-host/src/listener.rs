//! The receivers of an agent's events, which are called outside the session's lock.

use std::sync::Arc;

use molecule_core::{Config, Event};

use crate::trace::{Span, Trace};

/// The application's callback for events.
pub type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// The application's callback, and `tracing` if that feature is on.
pub struct Listener {
    callback: Option<OnEvent>,
    trace: Trace,
}

impl Listener {
    /// Creates the listener of the agent with this configuration.
    pub fn new(callback: Option<OnEvent>, config: &Config) -> Self {
        Self { callback, trace: Trace::new(config.workspace_id()) }
    }

    /// Creates the span of a call or a loop, as a child of its caller's span.
    pub fn span(&self, operation: &'static str) -> Span {
        self.trace.span(operation)
    }

    /// Reports an event: first to `tracing`, then to the callback.
    pub fn tell(&self, event: &Event) {
        self.trace.event(event);
        if let Some(callback) = &self.callback {
            callback(event);
        }
    }
}
