//! An agent that starts after its workspace was deleted.

use molecule_e2e::core::ErrorKind;
use molecule_e2e::{route, scenario};

scenario!(no_dead_token_overwrites_the_stored_one, [April, Current], |stage| {
    for purge in [false, true] {
        let world = stage.world();
        let (id, token) = world.workspace();
        world.home().put_token(&id, token.expose());
        world.platform(|platform, now| platform.delete(now, &id, purge)).unwrap();

        let agent = world.agent(&id);
        for error in [agent.register().unwrap_err(), agent.start().ended().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Removed, "purge: {purge}: {error}");
            assert!(error.to_string().contains("create a new one"), "{error}");
        }
        assert_eq!(world.count(route::REGISTER), 0, "purge: {purge}");
        assert_eq!(world.home().token(&id).unwrap(), token.expose(), "purge: {purge}");
        assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 0, "purge: {purge}");
    }
});

scenario!(without_a_token_a_purged_one_was_never_created, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    world.platform(|platform, now| platform.delete(now, &id, true)).unwrap();
    let error = world.agent(&id).register().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotCreated);
    assert!(error.to_string().contains(id.as_str()) && error.to_string().contains("create it"), "{error}");
    assert_eq!(world.count(route::REGISTER), 0);
    assert_eq!(world.home().token(&id), None);
});
