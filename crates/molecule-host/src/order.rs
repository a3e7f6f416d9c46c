//! The order of the writes that a loop leaves behind and the reads of the next one.
//!
//! A loop that ends at once does not wait for its last write: the disk may be slow, and its thread may not have started
//! yet. If that write took place after the next loop has read the slot, it would lack, or even replace, what that loop
//! has written. So the agent's lock stays taken until such writes are over, and what is read later waits for them.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use molecule_core::effect::{HostOp, Outcome};

use crate::cancel::Cancel;
use crate::host::Host;

/// The machines of one agent that are over while writes of theirs are not.
#[derive(Default)]
pub(crate) struct Leftovers {
    machines: Mutex<Machines>,
    written: Condvar,
}

#[derive(Default)]
struct Machines {
    /// How many machines have left writes so far.
    counted: u64,
    /// Those whose writes are not over, by their numbers.
    writing: BTreeSet<u64>,
}

impl Leftovers {
    /// Enters a machine that is over, and returns its number.
    pub(crate) fn enter(&self) -> u64 {
        let mut machines = self.machines();
        machines.counted += 1;
        let number = machines.counted;
        machines.writing.insert(number);
        number
    }

    /// Removes a machine whose writes are over.
    pub(crate) fn remove(&self, number: u64) {
        self.machines().writing.remove(&number);
        self.written.notify_all();
    }

    fn last(&self) -> Option<u64> {
        self.machines().writing.last().copied()
    }

    /// Waits until the writes of this machine and of those before it are over.
    fn wait(&self, last: u64) {
        let is_writing = |machines: &mut Machines| machines.writing.first().is_some_and(|first| *first <= last);
        drop(self.written.wait_while(self.machines(), is_writing).unwrap_or_else(PoisonError::into_inner));
    }

    fn machines(&self) -> MutexGuard<'_, Machines> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An act of the host that has begun, and may be performed on another thread. One that is dropped never takes place.
#[must_use = "an act that is dropped never takes place"]
pub struct HostAct {
    pub(crate) host: Host,
    pub(crate) op: HostOp,
    pub(crate) order: Order,
}

/// What comes before an act, and what after it.
pub(crate) enum Order {
    /// Nothing.
    Free,
    /// The writes that machines had left when the act began, up to this one.
    ///
    /// Writes that are left later do not matter to it, and it must not wait for them: where there is one thread for all
    /// acts, they may be behind it.
    After(Option<u64>),
    /// What reads the slot after the machine is over.
    Before(Write),
}

/// A write that has begun. It is over when this is dropped.
pub(crate) struct Write(pub(crate) Host);

impl Drop for Write {
    fn drop(&mut self) {
        self.0.written();
    }
}

impl HostAct {
    /// Performs the act, which waits for the disk and for a `setup.sh`, never for a lock. Once the flag is set, a
    /// `setup.sh` is ended. A failure is an outcome too.
    pub fn perform(self, cancel: &Cancel) -> Outcome {
        let Self { host, op, order } = self;
        match order {
            Order::Free | Order::After(None) => host.act(op, cancel),
            Order::After(Some(last)) => {
                host.leftovers().wait(last);
                host.act(op, cancel)
            }
            Order::Before(write) => {
                let outcome = host.act(op, cancel);
                // The outcome may be the one for which a machine waits before it gives the lock back.
                drop(write);
                outcome
            }
        }
    }
}

/// The order of an act that begins now.
pub(crate) fn of(host: &Host, op: &HostOp) -> Order {
    match op {
        HostOp::Replace(..) | HostOp::Append(..) | HostOp::SetAside(_) => Order::Before(host.writes()),
        HostOp::Prepare | HostOp::Load(_) | HostOp::Lock => Order::After(host.leftovers().last()),
        HostOp::ReadFile(..) | HostOp::Plugin(_) | HostOp::Unlock(_) => Order::Free,
    }
}
