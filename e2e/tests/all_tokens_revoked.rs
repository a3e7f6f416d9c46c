//! An owner revokes every token under a running agent.

use molecule_e2e::core::Event;
use molecule_e2e::core::proto::Token;
use molecule_e2e::{route, scenario};

scenario!(the_loop_registers_again_and_stores_what_is_minted, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let old = world.home().token(&id).unwrap();

    assert_eq!(world.platform(|platform, _| platform.revoke_tokens(&id)), 1);
    let minted = |event: &Event| matches!(event, Event::Registered { minted: true, .. });
    agent.events().wait_for_count("a second minted token", 2, minted);
    let new = world.home().token(&id).unwrap();
    assert_ne!(new, old);
    assert!(world.platform(|platform, _| platform.is_live(&id, &Token::new(&new).unwrap())));

    // The agent goes on with the new token.
    let bearer = format!("Bearer {new}");
    world.wait_for_requests("a good look with the new token", |requests| {
        let state = requests.iter().filter(|seen| seen.path.ends_with(route::STATE));
        state
            .into_iter()
            .any(|seen| seen.headers["authorization"] == bearer && seen.status == Some(http::StatusCode::OK))
    });
    running.stop();
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 1);
});
