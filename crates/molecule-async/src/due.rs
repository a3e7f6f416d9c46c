//! The one outcome that every effect owes its machine, also when its task is aborted.

use molecule_core::effect::{EffectId, Fault, FaultKind, Outcome, Sent};
use molecule_host::Host;
use tokio::sync::mpsc::UnboundedSender;

/// Owes the outcome of one effect until it is fed. Dropped without, because its task was aborted, it says so.
pub(crate) struct Due {
    id: EffectId,
    host: Host,
    sender: Option<UnboundedSender<(EffectId, Outcome)>>,
}

impl Due {
    pub(crate) fn new(id: EffectId, host: Host, sender: UnboundedSender<(EffectId, Outcome)>) -> Self {
        Self { id, host, sender: Some(sender) }
    }

    /// Hands over the outcome, or disposes of it where nobody takes it any more.
    pub(crate) fn feed(mut self, outcome: Outcome) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Outcome) {
        if let Some(sender) = self.sender.take()
            && let Err(unsent) = sender.send((self.id, outcome))
        {
            self.host.dispose(unsent.0.1);
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.send(Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled)));
    }
}
