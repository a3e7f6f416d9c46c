//! A store that fails on demand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use molecule_host::{Slot, Store, StoreError, Stored};

/// A store whose writes fail while a switch says so, as on a full disk.
#[derive(Clone)]
pub struct Brittle(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    full: AtomicBool,
    fills_after_prepare: AtomicBool,
}

impl Brittle {
    /// Wraps a store; writes succeed.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Inner { store, full: AtomicBool::new(false), fills_after_prepare: AtomicBool::new(false) }))
    }

    /// Makes every write fail from now on; [`Store::prepare`] reports it.
    pub fn fill(&self) {
        self.0.full.store(true, Ordering::Release);
    }

    /// Makes the next [`Store::prepare`] the last operation that succeeds: the disk fills up between it and the save.
    pub fn fill_after_prepare(&self) {
        self.0.fills_after_prepare.store(true, Ordering::Release);
    }

    /// Makes writes succeed again.
    pub fn clear(&self) {
        self.0.full.store(false, Ordering::Release);
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.0.full.load(Ordering::Acquire) {
            return Err(StoreError::new(io::ErrorKind::StorageFull, "the disk is full; free some room"));
        }
        Ok(())
    }
}

impl Store for Brittle {
    fn prepare(&self) -> Result<(), StoreError> {
        self.writable()?;
        if self.0.fills_after_prepare.swap(false, Ordering::AcqRel) {
            self.fill();
        }
        self.0.store.prepare()
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        self.0.store.load(slot)
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        self.writable()?;
        self.0.store.replace(slot, content)
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        self.writable()?;
        self.0.store.set_aside(slot)
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.0.store.lock()
    }
}
