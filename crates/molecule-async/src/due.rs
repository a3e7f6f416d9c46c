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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_core::effect::{HostOp, HostResult};
    use molecule_host::Storage;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn host() -> Host {
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        Host::new(Storage::Memory.open(&id).unwrap())
    }

    #[test]
    fn an_effect_that_ends_without_an_outcome_was_cancelled() {
        let (sender, mut outcomes) = unbounded_channel();
        drop(Due::new(EffectId(7), host(), sender));
        let (id, outcome) = outcomes.try_recv().unwrap();
        assert_eq!(id, EffectId(7));
        assert!(matches!(outcome, Outcome::Failed(Fault { kind: FaultKind::Cancelled, sent: Sent::Maybe, .. })));
    }

    #[test]
    fn an_outcome_is_fed_once() {
        let (sender, mut outcomes) = unbounded_channel();
        Due::new(EffectId(7), host(), sender).feed(Outcome::Host(HostResult::Prepared));
        assert!(matches!(outcomes.try_recv(), Ok((EffectId(7), Outcome::Host(HostResult::Prepared)))));
        assert!(outcomes.try_recv().is_err());
    }

    #[test]
    fn a_lock_that_nobody_takes_any_more_is_given_back() {
        let host = host();
        let (sender, outcomes) = unbounded_channel();
        drop(outcomes);
        let locked = host.perform(HostOp::Lock);
        assert!(matches!(host.perform(HostOp::Lock), Outcome::Failed(Fault { kind: FaultKind::Locked, .. })));
        Due::new(EffectId(7), host.clone(), sender).feed(locked);
        assert!(matches!(host.perform(HostOp::Lock), Outcome::Host(HostResult::Locked(_))));
    }
}
