//! The first start of an agent whose workspace was created with a URL: no token was minted yet.

use molecule_e2e::core::proto::{DeliveryMode, Token, WorkspaceStatus};
use molecule_e2e::core::{self, Event, TokenUse};
use molecule_e2e::platform::Dialect;
use molecule_e2e::{route, scenario};

scenario!(a_token_is_minted_stored_and_used, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    world.platform(|platform, now| platform.set_secret(now, &id, "OPENAI_API_KEY", "sk-scenario"));
    let agent = world.agent(&id);
    assert_eq!(agent.workspace_id(), id);

    let registration = agent.register().unwrap();
    assert_eq!(registration.token, TokenUse::Minted);
    assert!(!registration.paused);
    let stored = world.home().token(&id).expect("the token is on disk when register returns");
    let token = Token::new(&stored).unwrap();
    assert!(world.platform(|platform, _| platform.is_live(&id, &token)));
    assert!(agent.events().all().contains(&Event::TokenChanged));

    let secrets = agent.pull_secrets().unwrap();
    assert_eq!(secrets.get("OPENAI_API_KEY"), Some("sk-scenario"));
    agent.heartbeat().unwrap();
    assert_eq!(agent.poll_state().unwrap().status, Some(WorkspaceStatus::Online));

    let health = agent.health();
    assert!(health.registered && health.last_beat.is_some());
    for debug in [format!("{agent:?}"), format!("{secrets:?}"), format!("{:?}", agent.events().all())] {
        assert!(!debug.contains(&stored) && !debug.contains("sk-scenario"), "{debug}");
    }
});

scenario!(the_agent_polls_as_far_as_the_server_lets_it, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let registration = agent.register().unwrap();
    let unsupported = agent.events().count(|event| matches!(event, Event::PollUnsupported { .. }));
    let url = world.platform(|platform, _| platform.workspace(&id).unwrap().url);
    match stage.dialect {
        Dialect::April => {
            assert_eq!(registration.dialect, core::Dialect::April);
            assert_eq!((registration.delivery_mode, unsupported), (None, 1));
            assert_eq!(url, "http://localhost:9/no-inbound");
            assert_eq!(world.count(route::REGISTER), 2);
            assert!(agent.inbound_secret().is_none());
        }
        Dialect::Current => {
            assert_eq!(registration.dialect, core::Dialect::Current);
            assert_eq!((registration.delivery_mode, unsupported), (Some(DeliveryMode::Poll), 0));
            assert_eq!(url, "");
            assert_eq!(world.count(route::REGISTER), 1);
            let secret = world.platform(|platform, _| platform.inbound_secret(&id));
            assert_eq!(agent.inbound_secret(), secret);
            assert!(secret.is_some());
        }
    }
});

#[cfg(unix)]
scenario!(what_is_stored_is_private, [Current], |stage| {
    use std::os::unix::fs::PermissionsExt;
    let world = stage.world();
    let id = world.open_workspace();
    world.agent(&id).register().unwrap();
    let directory = world.home().agent(&id);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in [".auth_token", ".platform_inbound_secret"] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
});

scenario!(the_loop_registers_by_itself, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    assert!(world.home().token(&id).is_some());
    running.stop();
});
