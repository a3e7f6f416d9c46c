//! A read-only root directory: an agent with a token in its options runs without a lock and without storing the token,
//! and warns about both.

use std::io::ErrorKind::ReadOnlyFilesystem;
use std::sync::Arc;

use molecule_e2e::core::{Ended, ErrorKind, Event, Lane};
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

    // A loop that receives messages goes on as well, and says what it needs for that.
    let agent = world.setup(&id).storage(storage()).token(&token).build().unwrap();
    let running = agent.start_with(|_| panic!("a message that could not be remembered"));
    let says_remedy = |event: &Event| match event {
        Event::Degraded { lane: Lane::Inbox, error, .. } => {
            let remedies =
                ["storage(Storage::Dir(…)) or MOLECULE_HOME", "storage(Storage::Memory)", "MOLECULE_HOME=:memory:"];
            remedies.iter().all(|remedy| error.contains(remedy)) && error.contains("read-only file system")
        }
        _ => false,
    };
    agent.events().wait_for("the remedy", says_remedy);
    agent.events().wait_for("Online", |event| *event == Event::Online);
    assert!(agent.health().inbox_failures >= 1);
    running.stop();

    // Without a token the agent cannot run, and it requests none that it could not store.
    let registers = world.count(route::REGISTER);
    let agent = world.setup(&id).storage(storage()).build().unwrap();
    let error = agent.start().ended().unwrap_err();
    assert_told(&error, ErrorKind::Storage, "read-only file system", "choose another place");
    assert_eq!(agent.events().count(without_lock), 0, "it ran");
    assert_eq!(world.count(route::REGISTER), registers);
});

// Not on April's server, where a register that is under way ends a pause, and with it this test's way to end a loop.
scenario!(an_inbox_in_memory_says_at_its_start_what_it_will_forget, [Current], |stage| {
    let world = stage.world_with(|config| config.provisioner = true);
    let (id, token) = world.workspace();
    let agent = world.setup(&id).storage(Storage::Memory).token(&token).build().unwrap();
    let is_told = |event: &Event| matches!(event, Event::Warning(said) if said.contains("each start of the agent"));
    for turn in 1..=2 {
        let running = agent.start_with(|_| Ok(None));
        agent.events().wait_for("the warning", is_told);
        agent.events().wait_for_count("Online", turn, |event| *event == Event::Online);
        world.wait_for_more(route::FEED, 2);
        // A stop is a latch of the agent, but a pause is none.
        world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
        assert_eq!(running.ended().unwrap(), Ended::Paused);
        world.platform(|platform, now| platform.resume(now, &id, false)).unwrap();
    }
    assert_eq!(agent.events().count(is_told), 1);
});
