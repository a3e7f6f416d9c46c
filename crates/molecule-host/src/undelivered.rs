//! An outcome on its way to its machine.

use molecule_core::effect::Outcome;

use crate::host::Host;

/// An outcome that nobody has taken yet. It is disposed of when this is dropped, wherever that is: by a channel too, whose other end
/// is gone.
pub struct Undelivered {
    host: Host,
    outcome: Option<Outcome>,
}

impl Undelivered {
    /// An outcome of an effect that this host performed, or might have to undo.
    pub fn new(host: &Host, outcome: Outcome) -> Self {
        Self { host: host.clone(), outcome: Some(outcome) }
    }

    /// Takes the outcome to its machine.
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
