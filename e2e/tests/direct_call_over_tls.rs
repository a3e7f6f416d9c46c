//! Direct calls over TLS: to a peer with a valid certificate, and to one without.

use molecule_conformance::{Certificate, trusted};
use molecule_e2e::core::{CallOutcome, PeerCall, Route};
use molecule_e2e::{Agent, Manner, PeerServer, World, route, scenario};

/// An agent that trusts the tests' certificate authority, and one that is called at this URL.
fn pair(world: &World, url: &str) -> (Agent, Agent) {
    let (_, beta) = world.pair(url);
    let (id, token) = world.workspace();
    let alpha = world.setup(&id).token(&token).extra_ca(trusted()).build().unwrap();
    alpha.register().unwrap();
    (alpha, beta)
}

scenario!(a_message_goes_over_tls_and_nothing_of_the_agent_with_it, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::secure(Manner::Echo, Certificate::Good);
    let (alpha, beta) = pair(&world, &port.url());
    for text in ["hello", "again"] {
        let outcome = alpha.call_peer(beta.workspace_id(), text).unwrap();
        assert_eq!(outcome.to_string(), format!("replied: got {text}"));
    }
    let heard = port.heard().all();
    assert_eq!((heard.len(), world.count(route::A2A)), (2, 0));
    for heard in heard {
        let names: Vec<&str> = heard.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"]);
    }
});

scenario!(a_peer_that_cannot_show_who_it_is_gets_nothing, [April, Current], |stage| {
    for certificate in [Certificate::OtherName, Certificate::Expired, Certificate::UnknownAuthority] {
        let world = stage.world();
        let port = PeerServer::secure(Manner::Echo, certificate);
        let (alpha, beta) = pair(&world, &port.url());
        let direct = PeerCall::new("hello").route(Route::Direct);
        assert_eq!(alpha.call_peer(beta.workspace_id(), direct).unwrap(), CallOutcome::Unreachable);
        // A message that was certainly not sent goes through the platform instead. The platform of these tests speaks
        // no TLS, so it cannot reach the peer either.
        assert_eq!(alpha.call_peer(beta.workspace_id(), "hello").unwrap(), CallOutcome::Unreachable);
        assert!(port.heard().is_empty(), "{certificate:?}");
        assert_eq!(world.count(route::A2A), 1, "{certificate:?}");
    }
});
