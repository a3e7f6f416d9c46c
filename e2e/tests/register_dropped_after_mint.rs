//! The future of an async register is dropped, before or after the server has minted the token.

use molecule_e2e::core::proto::Token;
use molecule_e2e::core::{Event, TokenUse};
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{route, scenario};

/// A URL, because April's server accepts a first register only with one.
const PUSH_URL: &str = "https://agent.example/a2a";

scenario!(the_token_is_on_disk_all_the_same, [April, Current], async only, |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).reported_url(PUSH_URL).build().unwrap();
    let held = world.rule(route::REGISTER, Action::StallAnswer);
    agent.drop_register(|| world.wait_until("a token is minted", |platform| platform.live_tokens(&id) == 1));
    assert_eq!(world.home().token(&id), None, "the answer has not come yet");
    held.end();

    agent.events().wait_for("TokenChanged", |event| *event == Event::TokenChanged);
    let stored = Token::new(&world.home().token(&id).unwrap()).unwrap();
    assert!(world.platform(|platform, _| platform.is_live(&id, &stored)));
    assert!(world.agent(&id).pull_secrets().unwrap().is_empty());
    assert_eq!(world.count(route::REGISTER), 1);
});

scenario!(a_register_that_was_not_sent_yet_is_not_sent, [April, Current], async only, |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).reported_url(PUSH_URL).build().unwrap();
    let held = world.stall(id.as_str());
    agent.drop_register(|| world.wait_for_count(id.as_str(), 1));
    held.end();

    // The next register succeeds, because no token was minted.
    let next = world.setup(&id).reported_url(PUSH_URL).build().unwrap();
    assert_eq!(next.register().unwrap().token, TokenUse::Minted);
    assert_eq!(world.count(route::REGISTER), 1);
    assert!(agent.events().is_empty());
});
