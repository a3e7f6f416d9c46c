//! A store of the author's own that panics: an error, not the end of whoever asked.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use molecule_core::effect::{FaultKind, HostOp, HostResult, Outcome};
use molecule_host::{Host, Slot, Store, StoreError, Stored};

/// Panics at every act, but for the lock if it is to panic when that is given back.
struct Broken {
    locks: bool,
}

struct Lock;

impl Drop for Lock {
    fn drop(&mut self) {
        panic!("s3cr3t");
    }
}

impl Store for Broken {
    fn prepare(&self) -> Result<(), StoreError> {
        panic!("s3cr3t")
    }

    fn load(&self, _: Slot) -> Result<Option<Stored>, StoreError> {
        panic!("s3cr3t")
    }

    fn replace(&self, _: Slot, _: &[u8]) -> Result<(), StoreError> {
        panic!("s3cr3t")
    }

    fn set_aside(&self, _: Slot) -> Result<String, StoreError> {
        panic!("s3cr3t")
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        if self.locks { Ok(Box::new(Lock)) } else { panic!("s3cr3t") }
    }
}

#[test]
fn a_panic_of_a_store_is_an_error() {
    let host = Host::new(Arc::new(Broken { locks: false }));
    let acts = [
        HostOp::Prepare,
        HostOp::Load(Slot::Token),
        HostOp::Replace(Slot::Token, b"token".to_vec().into()),
        HostOp::SetAside(Slot::Token),
        HostOp::Lock,
    ];
    for act in acts {
        let name = format!("{act:?}");
        let Outcome::Failed(fault) = host.perform(act) else { panic!("{name} succeeded") };
        assert!(matches!(fault.kind, FaultKind::Host(_)), "{name}: {fault:?}");
        let said = fault.source.unwrap().to_string();
        assert!(said.contains("store panicked") && said.contains("mended") && !said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn a_panic_of_a_lock_that_is_given_back_stays_there() {
    let host = Host::new(Arc::new(Broken { locks: true }));
    let Outcome::Host(HostResult::Locked(lock)) = host.perform(HostOp::Lock) else { panic!("no lock") };
    assert!(matches!(host.perform(HostOp::Unlock(lock)), Outcome::Host(HostResult::Unlocked)));
    let taken = host.perform(HostOp::Lock);
    host.dispose(taken);
}
