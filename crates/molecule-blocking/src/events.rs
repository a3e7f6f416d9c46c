//! Events on their way to the application, outside the session's lock.

use std::sync::Arc;

use molecule_core::Event;

/// Whom an agent tells what happens.
pub(crate) type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// The application's callback, and `tracing` where that feature is on.
#[derive(Clone, Default)]
pub(crate) struct Listener(pub(crate) Option<OnEvent>);

impl Listener {
    pub(crate) fn tell(&self, event: &Event) {
        #[cfg(feature = "tracing")]
        trace(event);
        if let Some(callback) = &self.0 {
            callback(event);
        }
    }
}

/// Says an event to `tracing`.
#[cfg(feature = "tracing")]
fn trace(event: &Event) {
    if event.is_warning() {
        tracing::warn!(target: "molecule", ?event);
    } else {
        tracing::info!(target: "molecule", ?event);
    }
}
