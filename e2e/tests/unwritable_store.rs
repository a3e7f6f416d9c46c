//! A store that cannot be written: the old token survives, and the agent requests none that it could not store.

use std::fs;
use std::sync::Arc;

use molecule_e2e::core::proto::{Token, WorkspaceId};
use molecule_e2e::core::{ErrorKind, Event, Recovery};
use molecule_e2e::host::Storage;
use molecule_e2e::{Agent, Brittle, World, route, scenario};

use crate::assert_told;

/// An agent whose store is on a disk that can fill up.
fn on_a_disk(world: &World, id: &WorkspaceId) -> (Agent, Brittle) {
    let disk = Brittle::new(Storage::Dir(world.home().path().to_owned()).open(id).unwrap());
    let agent = world.setup(id).storage(Storage::Custom(Arc::new(disk.clone()))).build().unwrap();
    (agent, disk)
}

scenario!(no_token_is_asked_for_that_could_not_be_kept, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let (agent, disk) = on_a_disk(&world, &id);
    disk.fill();
    for error in [agent.register().unwrap_err(), agent.start().ended().unwrap_err()] {
        assert_told(&error, ErrorKind::Storage, "the disk is full", "free some room");
    }
    assert_eq!(world.count(route::REGISTER), 0);
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 0);
    disk.clear();
    agent.register().unwrap();
    assert!(world.home().token(&id).is_some());
});

scenario!(a_directory_that_is_a_file_is_named, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let directory = world.home().agent(&id);
    fs::write(&directory, "in the way").unwrap();
    let error = world.agent(&id).register().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
    assert_eq!(world.count(route::REGISTER), 0);
});

scenario!(a_minted_token_that_was_not_saved_works_until_the_end_and_is_saved_later, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let (agent, disk) = on_a_disk(&world, &id);
    disk.fill_after_prepare();
    let error = agent.register().unwrap_err();
    assert_told(&error, ErrorKind::TokenNotSaved, "the disk is full", "keep this process running");
    assert_eq!(world.home().token(&id), None);
    assert!(agent.pull_secrets().unwrap().is_empty(), "it is held in memory");

    disk.clear();
    agent.register().unwrap();
    let stored = Token::new(&world.home().token(&id).unwrap()).unwrap();
    assert!(world.platform(|platform, _| platform.is_live(&id, &stored)));
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 1);
});

scenario!(the_old_token_survives_a_save_that_fails, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let (agent, disk) = on_a_disk(&world, &id);
    agent.register().unwrap();
    let old = world.home().token(&id).unwrap();

    disk.fill_after_prepare();
    let error = agent.recover(Recovery::Own).unwrap_err();
    assert_told(&error, ErrorKind::TokenNotSaved, "the disk is full", "keep this process running");
    assert_eq!(world.home().token(&id).unwrap(), old);
    assert!(agent.pull_secrets().unwrap().is_empty(), "the new one is held in memory");
    assert_eq!(world.requests(route::SECRETS).len(), 1);
    assert_ne!(world.requests(route::SECRETS)[0].headers["authorization"], format!("Bearer {old}"));
});

scenario!(a_full_disk_does_not_take_an_agent_with_a_token_offline, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    world.agent(&id).register().unwrap();
    let token = world.home().token(&id);
    let (agent, disk) = on_a_disk(&world, &id);
    disk.fill();
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let warned = |event: &Event| matches!(event, Event::Warning(text) if text.contains("the disk is full"));
    assert!(agent.events().count(warned) > 0);
    running.stop();
    assert_eq!(world.home().token(&id), token);
});

scenario!(a_file_that_holds_no_token_is_named, [Current], |stage| {
    let world = stage.world();
    for (content, why) in [("", "empty"), ("ROTATE_TO_REVEAL_TOKEN", "placeholder")] {
        let id = world.open_workspace();
        world.home().put_token(&id, content);
        let error = world.agent(&id).register().unwrap_err();
        assert_told(&error, ErrorKind::Storage, why, "keep it, since it may be the only copy");
        let file = world.home().agent(&id).join(".auth_token");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        assert_eq!(world.home().token(&id).unwrap(), content, "it is left for its owner to look at");
    }
    assert_eq!(world.count(route::REGISTER), 0);
});
