//! The platform's database is down for ten minutes, which is twenty polls of the state at the default intervals. Both
//! servers answer 401 to a valid token then.

use molecule_e2e::core::{ErrorKind, Event, Lane};
use molecule_e2e::{route, scenario};

const LOOKS: usize = 24;

scenario!(the_loop_goes_on_with_its_token, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let token = world.home().token(&id).unwrap();

    world.platform(|platform, _| platform.set_database_down(true));
    let failed = |event: &Event| matches!(event, Event::Degraded { lane: Lane::State, .. });
    agent.events().wait_for_count("failed looks at the state", LOOKS, failed);
    world.wait_for_more(route::HEARTBEAT, 3);
    let refused = world.requests(route::STATE).pop().unwrap();
    assert!(refused.status.is_none_or(|status| status == 401), "{:?}", refused.status);
    let error = agent.pull_secrets().map(drop).unwrap_err();
    crate::assert_told(
        &error,
        ErrorKind::Unavailable,
        "the open view, which needs none, answers 500",
        "try again later",
    );
    assert!(error.is_retryable(), "{error}");
    running.assert_running();
    assert!(agent.health().state_failures >= 20, "{:?}", agent.health());

    world.platform(|platform, _| platform.set_database_down(false));
    for lane in [Lane::State, Lane::Heartbeat] {
        let well = |event: &Event| matches!(event, Event::Recovered { lane: well, .. } if *well == lane);
        agent.events().wait_for("Recovered", well);
    }
    world.wait_for_more(route::STATE, 3);
    running.stop();
    assert_eq!(world.home().token(&id), Some(token));
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 1);
    assert_eq!(agent.events().count(|event| *event == Event::TokenChanged), 1, "the one of the first start");
});
