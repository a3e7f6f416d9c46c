//! The check whether the platform reaches the agent: what the platform says of each server that may listen at the registered URL.

use std::time::Duration;

use molecule_e2e::core::{ReachFailure, Reachability};
use molecule_e2e::platform::Dialect;
use molecule_e2e::{Manner, PeerServer, scenario};

fn failure(end: Reachability) -> ReachFailure {
    match end {
        Reachability::Unreachable { why } => why,
        other => panic!("{other:?}"),
    }
}

scenario!(a_server_that_gives_the_number_back_is_reached_with_the_platforms_secret, [April, Current], |stage| {
    let world = stage.world();
    let server = PeerServer::new(Manner::GiveBack);
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).reported_url(&server.url()).build().unwrap();
    agent.register().unwrap();
    let Reachability::Reachable { took } = agent.check_reachable().unwrap() else { panic!("not reached") };
    assert!(took < Duration::from_secs(10), "{took:?}");
    let heard = server.heard().all();
    assert_eq!(heard.len(), 1);
    match stage.dialect {
        Dialect::April => assert!(!heard[0].headers.contains_key("authorization")),
        Dialect::Current => {
            let secret = agent.inbound_secret().unwrap();
            assert_eq!(heard[0].headers["authorization"], format!("Bearer {}", secret.expose()));
        }
    }
    // The message is no message for the agent.
    assert_eq!(heard[0].body["params"]["message"]["parts"], serde_json::json!([]));
});

scenario!(what_else_listens_there_is_told_apart, [April, Current], |stage| {
    let world = stage.world();
    let server = PeerServer::new(Manner::GiveBack);
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).reported_url(&server.url()).build().unwrap();
    agent.register().unwrap();
    let check = |manner: Manner| {
        server.behave(manner);
        failure(agent.check_reachable().unwrap())
    };
    assert_eq!(check(Manner::Echo), ReachFailure::OtherAnswer);
    assert_eq!(check(Manner::Answer(200, "", "It works!")), ReachFailure::OtherAnswer);
    for status in [401, 404] {
        let why = check(Manner::Answer(status, "", "{}"));
        assert!(matches!(why, ReachFailure::ErrorAnswer { status: Some(told), .. } if told == status), "{why:?}");
    }
    assert_eq!(check(Manner::Close), ReachFailure::NoAnswer);
});

scenario!(where_nobody_listens_or_nobody_is_called_the_platform_says_so, [April, Current], |stage| {
    let world = stage.world();
    let url = PeerServer::new(Manner::Echo).url();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).reported_url(&url).build().unwrap();
    agent.register().unwrap();
    assert_eq!(failure(agent.check_reachable().unwrap()), ReachFailure::NoConnection);
    if stage.dialect == Dialect::Current {
        agent.set_reported_url(None).unwrap();
        agent.register().unwrap();
        assert_eq!(failure(agent.check_reachable().unwrap()), ReachFailure::PollMode);
    }
});
