//! A new process of an agent finds the token that the last one stored.

use molecule_e2e::core::proto::WorkspaceStatus;
use molecule_e2e::core::{Event, TokenUse};
use molecule_e2e::{route, scenario};

scenario!(the_stored_token_is_used_and_none_is_minted, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    world.agent(&id).register().unwrap();
    let stored = world.home().token(&id).unwrap();

    let again = world.agent(&id);
    assert_eq!(again.register().unwrap().token, TokenUse::Held);
    assert_eq!(world.home().token(&id).as_deref(), Some(stored.as_str()));
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 1);
    let last = world.requests(route::REGISTER).pop().unwrap();
    assert_eq!(last.headers["authorization"], format!("Bearer {stored}"));
    assert_eq!(again.events().count(|event| *event == Event::TokenChanged), 0);
    assert_eq!(again.poll_state().unwrap().status, Some(WorkspaceStatus::Online));
});

scenario!(a_call_alone_reads_the_store_too, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    world.agent(&id).register().unwrap();
    let before = world.count(route::REGISTER);

    let again = world.agent(&id);
    assert!(again.pull_secrets().unwrap().is_empty());
    assert_eq!(world.count(route::REGISTER), before);
});
