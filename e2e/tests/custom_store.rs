//! A store of the author's own: it gets the stack that a keyring's library needs, and its panic becomes an error.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use molecule_e2e::core::{ErrorKind, Event};
use molecule_e2e::host::{Slot, Storage, Store, StoreError, Stored};
use molecule_e2e::{route, scenario};

use crate::assert_told;

/// A store whose calls are as deep as a keyring's, and which panics on demand.
struct Keyring {
    store: Arc<dyn Store>,
    panics: Arc<AtomicBool>,
}

impl Keyring {
    fn act<T>(&self, act: impl FnOnce(&dyn Store) -> T) -> T {
        assert!(!self.panics.load(Ordering::Acquire), "the keyring is broken");
        black_box(deep(250));
        act(&*self.store)
    }
}

/// Uses more than 1 MiB of stack.
fn deep(levels: usize) -> usize {
    let frame = black_box([levels; 512]);
    if levels == 0 { frame[0] } else { deep(levels - 1) + frame[levels % 512] }
}

impl Store for Keyring {
    fn prepare(&self) -> Result<(), StoreError> {
        self.act(|store| store.prepare())
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        self.act(|store| store.load(slot))
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        self.act(|store| store.replace(slot, content))
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        self.act(|store| store.set_aside(slot))
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.act(|store| store.lock())
    }
}

scenario!(a_store_has_the_stack_of_a_keyring_and_its_panic_is_an_error, [Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let panics = Arc::new(AtomicBool::new(true));
    let store = Storage::Memory.open(&id).unwrap();
    let keyring = Keyring { store, panics: Arc::clone(&panics) };
    let agent = world.setup(&id).storage(Storage::Custom(Arc::new(keyring))).build().unwrap();
    for error in [agent.register().unwrap_err(), agent.start().ended().unwrap_err()] {
        assert_told(&error, ErrorKind::Storage, "the agent's store panicked", "has to be mended");
    }
    assert_eq!(world.count(route::REGISTER), 0);

    panics.store(false, Ordering::Release);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    running.stop();
});
