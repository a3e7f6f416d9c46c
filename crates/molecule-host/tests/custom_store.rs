//! Stores of an author: one that panics, and one that implements only the first version of the trait.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};

use molecule_core::effect::{Durability, FaultKind, HostOp, HostResult, Outcome};
use molecule_host::{Host, Slot, Store, StoreError, Stored};

/// A store that panics in every act, except in the lock if the release of the lock is to panic.
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
        HostOp::Append(Slot::Inbox, b"record".to_vec().into(), Durability::None),
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

/// A store with the required methods of the trait's first version, and the only slot of that version. A later method
/// without a default would not compile here.
#[derive(Default)]
struct Oldest {
    token: Mutex<Option<Vec<u8>>>,
}

impl Oldest {
    fn slot(&self, slot: Slot) -> Result<MutexGuard<'_, Option<Vec<u8>>>, StoreError> {
        match slot {
            Slot::Token => Ok(self.token.lock().unwrap()),
            newer => Err(StoreError::unsupported(format_args!("keep {:?}", newer.file_name()))),
        }
    }
}

impl Store for Oldest {
    fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        Ok(self.slot(slot)?.as_ref().map(|content| Stored::new(content.clone(), "the ring")))
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        *self.slot(slot)? = Some(content.to_vec());
        Ok(())
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        self.slot(slot)?.take();
        Ok("nowhere".to_owned())
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        Ok(Box::new(()))
    }
}

#[test]
fn a_store_of_the_first_version_works_and_says_what_it_does_not_know() {
    let host = Host::new(Arc::new(Oldest::default()));
    assert!(matches!(host.perform(HostOp::Prepare), Outcome::Host(HostResult::Prepared)));
    let replaced = host.perform(HostOp::Replace(Slot::Token, b"token".to_vec().into()));
    assert!(matches!(replaced, Outcome::Host(HostResult::Replaced)));
    let Outcome::Host(HostResult::Loaded(Some(stored))) = host.perform(HostOp::Load(Slot::Token)) else {
        panic!("not loaded")
    };
    assert_eq!(stored.bytes[..], *b"token");
    // The default of a later act loads and replaces, also where there is nothing yet.
    assert!(matches!(host.perform(HostOp::SetAside(Slot::Token)), Outcome::Host(HostResult::SetAside(_))));
    for (appended, content) in [("tok", "tok"), ("en", "token")] {
        let append = HostOp::Append(Slot::Token, appended.as_bytes().to_vec().into(), Durability::Sync);
        assert!(matches!(host.perform(append), Outcome::Host(HostResult::Appended)));
        let Outcome::Host(HostResult::Loaded(Some(stored))) = host.perform(HostOp::Load(Slot::Token)) else {
            panic!("not loaded")
        };
        assert_eq!(stored.bytes[..], *content.as_bytes());
    }
    let too_much = HostOp::Append(Slot::Token, vec![b'x'; 64 * 1024].into(), Durability::Sync);
    let Outcome::Failed(fault) = host.perform(too_much) else { panic!("appended more than can be loaded") };
    assert_eq!(fault.kind, FaultKind::Host(ErrorKind::FileTooLarge));
    let Outcome::Failed(fault) = host.perform(HostOp::Append(Slot::Inbox, b"r".to_vec().into(), Durability::None))
    else {
        panic!("appended")
    };
    assert_eq!(fault.kind, FaultKind::Host(ErrorKind::Unsupported));
    let Outcome::Failed(fault) = host.perform(HostOp::Load(Slot::InboundSecret)) else { panic!("loaded") };
    assert_eq!(fault.kind, FaultKind::Host(ErrorKind::Unsupported));
    let said = fault.source.unwrap().to_string();
    let sentence =
        "this store cannot keep \".platform_inbound_secret\"; use a newer version of it, or files (`Storage::Dir`)";
    assert_eq!(said, sentence);
}
