//! Tasks that are delegated to a peer, and their outcomes.

use molecule_e2e::core::{Delegation, DelegationEnd, ErrorKind};
use molecule_e2e::{Manner, PeerServer, route, scenario};

scenario!(a_delegation_is_followed_to_its_answer, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let delegation = alpha.delegate(beta.workspace_id(), "index the docs").unwrap();
    let view = alpha.wait_delegation(&delegation).unwrap();
    assert_eq!(view.end(), Some(DelegationEnd::Answered("got index the docs".to_owned())));
    assert_eq!(view.target_id, Some(beta.workspace_id()));
    assert_eq!(alpha.delegations().unwrap(), [alpha.delegation(&delegation).unwrap()]);
    let heard = port.heard().all();
    assert_eq!((heard.len(), heard[0].message_id()), (1, delegation.as_str()));
});

scenario!(an_answer_that_is_lost_is_asked_for_again_and_the_task_is_done_once, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let lost = world.lose_answer(1, route::DELEGATE);
    let delegation = alpha.delegate(beta.workspace_id(), "index the docs").unwrap();
    assert_eq!(world.count(route::DELEGATE), 2, "it was sent again");
    lost.end();
    alpha.wait_delegation(&delegation).unwrap();
    assert_eq!(port.heard().all().len(), 1, "and done once");
});

scenario!(one_key_is_one_delegation_and_never_another_peers, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let (gamma, _) = world.workspace();
    let task = || Delegation::new("index the docs").idempotency_key("docs");
    let first = alpha.delegate(beta.workspace_id(), task()).unwrap();
    alpha.wait_delegation(&first).unwrap();
    assert_eq!(alpha.delegate(beta.workspace_id(), task()).unwrap(), first);
    let error = alpha.delegate(&gamma, task()).unwrap_err();
    super::assert_told(&error, ErrorKind::Refused, "an earlier delegation", "use a key for one delegation alone");
    let other = alpha.delegate(beta.workspace_id(), "index the docs").unwrap();
    assert_ne!(other, first);
});

scenario!(what_cannot_be_delivered_fails_later, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Answer(500, "", "{}"));
    let (alpha, beta) = world.pair(&port.url());
    let delegation = alpha.delegate(beta.workspace_id(), "index the docs").unwrap();
    let view = alpha.wait_delegation(&delegation).unwrap();
    assert_eq!(view.end(), Some(DelegationEnd::Failed("Internal Server Error".to_owned())));

    let stranger = "00000000-1111-4222-8333-444444444444";
    let delegation = alpha.delegate(stranger, "index the docs").unwrap();
    let Some(DelegationEnd::Failed(why)) = alpha.wait_delegation(&delegation).unwrap().end() else { panic!() };
    assert!(why.starts_with("access denied"), "{why}");
});

scenario!(a_poll_peer_accepts_and_its_answer_is_a_message_of_its_own, [Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let delegation = beta.delegate(alpha.workspace_id(), "index the docs").unwrap();
    assert_eq!(beta.wait_delegation(&delegation).unwrap().end(), Some(DelegationEnd::AcceptedForPoll));
});
