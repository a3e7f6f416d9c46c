//! A token in the author's options, such as `MOLECULE_WORKSPACE_TOKEN`.

use std::sync::Arc;

use molecule_e2e::core::proto::Token;
use molecule_e2e::core::{ErrorKind, Event, TokenUse};
use molecule_e2e::host::Storage;
use molecule_e2e::{Brittle, route, scenario};

scenario!(a_given_token_is_stored_and_the_next_start_needs_none, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    assert_eq!(agent.register().unwrap().token, TokenUse::Held);
    assert!(agent.pull_secrets().unwrap().is_empty());
    agent.heartbeat().unwrap();
    assert_eq!(world.home().token(&id).as_deref(), Some(token.expose()));
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 1);

    let next = world.agent(&id);
    assert_eq!(next.register().unwrap().token, TokenUse::Held);
    assert!(next.pull_secrets().unwrap().is_empty());
});

scenario!(a_given_token_is_not_stored_where_an_option_forbids_it, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).store_given_token(false).build().unwrap();
    agent.register().unwrap();
    assert!(agent.pull_secrets().unwrap().is_empty());
    assert_eq!(world.home().token(&id), None);
});

scenario!(a_loop_with_a_given_token_runs_where_nothing_can_be_stored, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let disk = Brittle::new(Storage::Dir(world.home().path().to_owned()).open(&id).unwrap());
    disk.fill();
    let agent = world.setup(&id).token(&token).storage(Storage::Custom(Arc::new(disk.clone()))).build().unwrap();
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let warned = |event: &Event| matches!(event, Event::Warning(text) if text.contains("the disk is full"));
    assert!(agent.events().count(warned) > 0);
    // The loop tries to store the token once more when it ends.
    disk.clear();
    running.stop();
    assert_eq!(world.home().token(&id).as_deref(), Some(token.expose()));
});

scenario!(a_stale_given_token_yields_to_the_stored_one, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    world.home().put_token(&id, token.expose());
    let stale = Token::new("stale-token").unwrap();
    let agent = world.setup(&id).token(&stale).build().unwrap();

    assert_eq!(agent.register().unwrap().token, TokenUse::Held);
    let bearers: Vec<_> =
        world.requests(route::REGISTER).iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(bearers.first().unwrap(), "Bearer stale-token");
    assert_eq!(bearers.last().unwrap(), token.bearer());
    assert_eq!(agent.events().count(|event| *event == Event::TokenChanged), 1);
    assert_eq!(world.home().token(&id).unwrap(), token.expose());
});

scenario!(a_given_token_of_another_workspace_is_told, [April, Current], |stage| {
    let world = stage.world();
    let (id, _) = world.workspace();
    let (_, foreign) = world.workspace();
    let agent = world.setup(&id).token(&foreign).build().unwrap();
    let error = agent.register().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Revoked, "{error}");
    assert!(error.to_string().contains("MOLECULE_WORKSPACE_TOKEN"), "{error}");
    assert!(!error.to_string().contains(foreign.expose()), "{error}");
});
