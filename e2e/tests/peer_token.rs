//! A peer that gave the agent a token for direct calls.

use molecule_e2e::core::CallOutcome;
use molecule_e2e::{Manner, PeerServer, route, scenario};

scenario!(the_peer_gets_its_token_and_the_platform_does_not, [April, Current], |stage| {
    let world = stage.world();
    let server = PeerServer::new(Manner::EchoTo("made-by-the-peer".to_owned()));
    let (alpha, beta) = world.pair(&server.url());
    let (id, token) = world.workspace();
    let peer = beta.workspace_id();
    let caller = world.setup(&id).token(&token).peer_token(peer.as_str(), "made-by-the-peer").build().unwrap();
    caller.register().unwrap();
    let relayed = world.count(route::A2A);
    let outcome = caller.call_peer(&peer, "hello").unwrap();
    assert_eq!(outcome.reply().unwrap().texts(), ["got hello"]);
    assert_eq!(world.count(route::A2A), relayed, "through the platform");
    // Whoever has no token, or another one, is called through the platform, whose secret this peer does not take either.
    let other = world.setup(&id).token(&token).peer_token(peer.as_str(), "another").build().unwrap();
    for caller in [&alpha, &other] {
        let relayed = world.count(route::A2A);
        let outcome = caller.call_peer(&peer, "hello").unwrap();
        assert!(matches!(outcome, CallOutcome::PeerError { status: Some(_), .. }), "{outcome:?}");
        assert_eq!(world.count(route::A2A), relayed + 1);
    }
    let tokens: Vec<_> =
        server.heard().all().into_iter().map(|heard| heard.headers.get("authorization").cloned()).collect();
    assert_eq!(tokens[0].as_deref(), Some("Bearer made-by-the-peer"));
    assert_eq!(tokens[1], None);
    assert_eq!(tokens[3].as_deref(), Some("Bearer another"));
});
