//! A read-only root directory: an agent with a token in its options runs without a lock and without storing the token,
//! and warns about both.

use std::io::ErrorKind::ReadOnlyFilesystem;
use std::sync::Arc;

use molecule_e2e::core::{ErrorKind, Event};
use molecule_e2e::host::{Slot, Storage, Store, StoreError, Stored};
use molecule_e2e::{route, scenario};

use crate::assert_told;

/// An empty store that cannot be written.
struct ReadOnly;

fn refused<T>() -> Result<T, StoreError> {
    Err(StoreError::new(ReadOnlyFilesystem, "/agent cannot be created: read-only file system; choose another place"))
}

impl Store for ReadOnly {
    fn prepare(&self) -> Result<(), StoreError> {
        refused()
    }

    fn load(&self, _: Slot) -> Result<Option<Stored>, StoreError> {
        Ok(None)
    }

    fn replace(&self, _: Slot, _: &[u8]) -> Result<(), StoreError> {
        refused()
    }

    fn set_aside(&self, _: Slot) -> Result<String, StoreError> {
        refused()
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        refused()
    }
}

scenario!(a_loop_runs_on_a_root_that_can_only_be_read, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.platform(|platform, now| platform.create_workspace(now, "read-only"));
    let storage = || Storage::Custom(Arc::new(ReadOnly));
    let agent = world.setup(&id).storage(storage()).token(&token).build().unwrap();
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let without_lock = |event: &Event| matches!(event, Event::Warning(said) if said.contains("without its lock"));
    assert_eq!(agent.events().count(without_lock), 1);
    running.stop();

    // Without a token the agent cannot run, and it requests none that it could not store.
    let registers = world.count(route::REGISTER);
    let agent = world.setup(&id).storage(storage()).build().unwrap();
    let error = agent.start().ended().unwrap_err();
    assert_told(&error, ErrorKind::Storage, "read-only file system", "choose another place");
    assert_eq!(agent.events().count(without_lock), 0, "it ran");
    assert_eq!(world.count(route::REGISTER), registers);
});
