//! The agent's reported URL changes while the loop runs.

use molecule_e2e::core::Event;
use molecule_e2e::core::proto::DeliveryMode;
use molecule_e2e::platform::Dialect;
use molecule_e2e::scenario;

scenario!(the_loop_registers_the_new_one, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup(&id).reported_url("https://old.example/a2a").build().unwrap();
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let url = || world.platform(|platform, _| platform.workspace(&id).unwrap().url);
    let registered = |event: &Event| matches!(event, Event::Registered { .. });
    assert_eq!(url(), "https://old.example/a2a");

    agent.set_reported_url(Some("https://new.example/a2a".to_owned())).unwrap();
    agent.events().wait_for_count("Registered under the new URL", 2, registered);
    assert_eq!(url(), "https://new.example/a2a");

    agent.set_reported_url(None).unwrap();
    agent.events().wait_for_count("Registered without a URL", 3, registered);
    match stage.dialect {
        // April's server has no poll mode.
        Dialect::April => assert_eq!(url(), "http://localhost:9/no-inbound"),
        Dialect::Current => {
            assert_eq!(url(), "");
            assert_eq!(world.platform(|platform, _| platform.delivery_mode(&id)), Some(DeliveryMode::Poll));
        }
    }
    running.stop();
    assert_eq!(agent.events().count(registered), 3);
});
