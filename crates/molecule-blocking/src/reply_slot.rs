//! The slot for the outcome of an effect. No outcome is lost: one that nobody takes any more is disposed of.

use std::sync::mpsc::Sender;

use molecule_core::effect::{EffectId, Fault, FaultKind, Handle, Outcome, Sent};
use molecule_host::{Host, Undelivered};

use crate::driver::Input;
use crate::watch::Part;

/// The slot for the one outcome of an effect. If it is dropped empty, the outcome is a fault: the thread did not start, or panicked.
pub(crate) struct ReplySlot {
    sender: Option<Sender<Input>>,
    id: EffectId,
    host: Host,
    is_handler: bool,
}

impl ReplySlot {
    pub(crate) fn new(sender: &Sender<Input>, id: EffectId, host: &Host) -> Self {
        Self { sender: Some(sender.clone()), id, host: host.clone(), is_handler: false }
    }

    /// The slot of a handler, whose panic is caught: if it is dropped empty, the handler was not called.
    pub(crate) fn of_handler(mut self) -> Self {
        self.is_handler = true;
        self
    }

    pub(crate) fn feed(mut self, outcome: Outcome) {
        self.tell(outcome);
        self.sender = None;
    }

    /// Sends what comes before the final outcome.
    pub(crate) fn tell(&self, outcome: Outcome) {
        if let Some(sender) = &self.sender {
            // Where the receiver is gone, the outcome is dropped here, and disposed of.
            let _ = sender.send(Input::Outcome(self.id, Undelivered::new(&self.host, outcome)));
        }
    }

    /// Sends a piece of a stream; returns whether somebody is there to take it.
    pub(crate) fn tell_part(&self, part: Part) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.send(Input::Part(self.id, part)).is_ok())
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        self.tell(if self.is_handler {
            Handle::not_called(&"no thread could be started for it; raise the limit of threads, or start fewer of them")
        } else {
            let fault = Fault::with_source(Sent::Maybe, FaultKind::Interrupted, "no thread performed it to its end");
            Outcome::Failed(fault)
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use molecule_core::effect::{HostOp, HostResult};
    use molecule_host::Storage;

    use super::*;

    const ID: EffectId = EffectId(7);

    fn host() -> Host {
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        Host::new(Storage::Memory.open(&id).unwrap())
    }

    fn locks(host: &Host) -> bool {
        matches!(host.perform(HostOp::Lock), Outcome::Host(HostResult::Locked(_)))
    }

    #[test]
    fn an_effect_whose_thread_ends_without_an_outcome_is_a_fault() {
        let (sender, inputs) = channel::<Input>();
        drop(ReplySlot::new(&sender, ID, &host()));
        let Input::Outcome(ID, outcome) = inputs.try_recv().unwrap() else { panic!("no outcome") };
        assert!(matches!(outcome.take(), Outcome::Failed(Fault { kind: FaultKind::Interrupted, .. })));
    }

    #[test]
    fn a_handler_whose_thread_does_not_start_was_not_called() {
        let (sender, inputs) = channel::<Input>();
        drop(ReplySlot::new(&sender, ID, &host()).of_handler());
        let Input::Outcome(ID, outcome) = inputs.try_recv().unwrap() else { panic!("no outcome") };
        assert!(matches!(outcome.take(), Outcome::Failed(Fault { kind: FaultKind::Handler, sent: Sent::No, .. })));
    }

    #[test]
    fn an_effect_has_one_outcome() {
        let (sender, inputs) = channel::<Input>();
        ReplySlot::new(&sender, ID, &host()).feed(Outcome::Host(HostResult::Prepared));
        assert!(inputs.try_recv().is_ok());
        assert!(inputs.try_recv().is_err());
    }

    #[test]
    fn a_lock_that_comes_too_late_is_given_back() {
        let host = host();
        let (sender, inputs) = channel::<Input>();
        ReplySlot::new(&sender, ID, &host).feed(host.perform(HostOp::Lock));
        assert!(!locks(&host), "it is on its way");
        drop(inputs);
        let outcome = host.perform(HostOp::Lock);
        assert!(matches!(outcome, Outcome::Host(HostResult::Locked(_))), "the channel gave it back");
        ReplySlot::new(&sender, ID, &host).feed(outcome);
        assert!(locks(&host), "the sender gave it back");
    }
}
