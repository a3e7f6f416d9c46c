//! Two agents discover each other and exchange messages, directly and through the platform.

use std::thread;

use molecule_e2e::core::{CallOutcome, PeerCall, Route};
use molecule_e2e::platform::Dialect;
use molecule_e2e::{Manner, PeerServer, route, scenario};

scenario!(the_peer_is_found_and_answers_a_direct_call_that_says_nothing_about_the_caller, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let id = beta.workspace_id();

    let named = |text: &str| alpha.peers_matching(text).unwrap().into_iter().map(|peer| peer.id).collect::<Vec<_>>();
    assert_eq!(named("BET"), std::slice::from_ref(&id));
    assert!(named("nobody").is_empty());
    assert!(alpha.peers().unwrap().iter().any(|peer| peer.id == id));
    assert!(alpha.check_access(&id).unwrap());
    assert_eq!(alpha.discover_peer(&id).unwrap().unwrap().to_string(), port.url());

    let outcome = alpha.call_peer(&id, "hello").unwrap();
    assert_eq!(outcome.to_string(), "replied: got hello");
    let [heard] = &port.heard().all()[..] else { panic!("heard {:?}", port.heard()) };
    let told: Vec<_> = heard.headers.keys().map(String::as_str).collect();
    assert_eq!(told, ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"]);
    assert_eq!(world.count(route::A2A), 0, "not through the platform");
});

scenario!(calls_at_once_share_one_discovery, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let id = beta.workspace_id();
    let discovery = format!("/registry/discover/{id}");
    let held_back = world.stall(&discovery);
    thread::scope(|scope| {
        let call = || alpha.call_peer(&id, "hello").unwrap().to_string();
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        world.wait_for_count(&discovery, 1);
        held_back.end();
        for call in calls {
            assert_eq!(call.join().unwrap(), "replied: got hello");
        }
    });
    assert_eq!((world.count(&discovery), port.heard().all().len(), world.count(route::A2A)), (1, 8, 0));
});

scenario!(through_the_platform_the_peer_hears_the_platform, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let call = PeerCall::new("hello").route(Route::Proxy);
    let outcome = alpha.call_peer(beta.workspace_id(), call).unwrap();
    assert_eq!(outcome.to_string(), "replied: got hello");
    assert_eq!(world.count(route::A2A), 1);
    let heard = port.heard().all().remove(0);
    let secret = beta.inbound_secret().map(|secret| format!("Bearer {}", secret.expose()));
    assert_eq!(secret.is_some(), stage.dialect == Dialect::Current);
    assert_eq!(heard.headers.get("authorization"), secret.as_ref());
});

scenario!(a_peer_that_wants_its_secret_is_called_through_the_platform, [Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    port.behave(Manner::EchoTo(beta.inbound_secret().unwrap().expose().to_owned()));

    let outcome = alpha.call_peer(beta.workspace_id(), "hello").unwrap();
    assert_eq!(outcome.to_string(), "replied: got hello");
    let heard = port.heard().all();
    assert_eq!((heard.len(), heard[0].message_id()), (2, heard[1].message_id()));
    assert!(!heard[0].headers.contains_key("authorization"));

    // The agent remembers the refusal.
    let outcome = alpha.call_peer(beta.workspace_id(), "again").unwrap();
    assert_eq!(outcome.to_string(), "replied: got again");
    assert_eq!((port.heard().all().len(), world.count(route::A2A)), (3, 2));
});

scenario!(a_poll_agent_finds_messages_in_its_feed_and_april_has_none, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    // Beta calls alpha, which polls.
    let outcome = beta.call_peer(alpha.workspace_id(), "hello").unwrap();
    match stage.dialect {
        Dialect::Current => assert_eq!(outcome, CallOutcome::AcceptedForPoll),
        // The URL under which it registered is a placeholder that nobody listens on.
        Dialect::April => assert_eq!(outcome, CallOutcome::Unreachable),
    }
    assert!(port.heard().is_empty());
});

scenario!(who_may_not_talk_is_denied, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let below = beta.workspace_id();
    let (nephew, _) = world.platform(|platform, now| platform.create_workspace_below(now, "nephew", &below)).unwrap();
    assert!(!alpha.check_access(&nephew).unwrap());
    assert_eq!(alpha.discover_peer(&nephew).unwrap(), None);
    let outcome = alpha.call_peer(&nephew, "hello").unwrap();
    assert!(matches!(outcome, CallOutcome::Denied { .. }), "{outcome:?}");
});
