//! An outcome that is not yet delivered to its machine.

use molecule_core::effect::Outcome;

use crate::host::Host;

/// An outcome that is not yet delivered. If it is dropped, the host disposes of it, for example when it is in a channel
/// whose receiver is gone.
pub struct Undelivered {
    host: Host,
    outcome: Option<Outcome>,
}

impl Undelivered {
    /// Wraps the outcome of an effect that this host performed, or might have to undo.
    pub fn new(host: &Host, outcome: Outcome) -> Self {
        Self { host: host.clone(), outcome: Some(outcome) }
    }

    /// Returns the outcome, for delivery to its machine.
    pub fn take(mut self) -> Outcome {
        self.outcome.take().expect("it is taken once, by value")
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            self.host.dispose(outcome);
        }
    }
}
