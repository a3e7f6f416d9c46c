//! A push agent whose workspace was removed is still called: the platform keeps its URL, unless a pause cleared it.

use std::time::Duration;

use molecule_e2e::core::{CallOutcome, PeerCall, Route};
use molecule_e2e::{Manner, PeerServer, scenario};

scenario!(one_that_was_never_paused_is_discovered_and_delivered_to, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let id = beta.workspace_id();
    world.platform(|platform, now| platform.delete(now, &id, false)).unwrap();
    assert!(alpha.peers().unwrap().iter().all(|peer| peer.id != id), "a removed one is listed");
    assert_eq!(alpha.discover_peer(&id).unwrap().unwrap().to_string(), port.url());
    for route in [Route::Direct, Route::Proxy] {
        let outcome = alpha.call_peer(&id, PeerCall::new("are you there?").route(route)).unwrap();
        assert_eq!(outcome.to_string(), "replied: got are you there?", "{route:?}");
    }
});

scenario!(one_that_was_paused_before_has_no_url, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let id = beta.workspace_id();
    world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
    world.platform(|platform, now| platform.delete(now, &id, false)).unwrap();
    let call = PeerCall::new("are you there?").timeout(Duration::from_secs(20));
    let outcome = alpha.call_peer(&id, call).unwrap();
    let CallOutcome::NoUrl { status: Some(status) } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(status.as_str(), "removed");
    assert!(port.heard().is_empty());
});
