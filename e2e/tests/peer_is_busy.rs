//! A peer closes its connections: the platform queues the message, a direct call cannot know whether it was handled,
//! and nothing is sent twice.

use molecule_e2e::core::{CallOutcome, ErrorKind, PeerCall, QueueOutcome, Route};
use molecule_e2e::platform::Dialect;
use molecule_e2e::{Manner, PeerServer, route, scenario};

scenario!(the_platform_queues_what_a_busy_peer_drops_and_delivers_it_with_the_next_beat, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Close);
    let (alpha, beta) = world.pair(&port.url());
    let call = PeerCall::new("hello").route(Route::Proxy);
    let outcome = alpha.call_peer(beta.workspace_id(), call).unwrap();
    let CallOutcome::Queued { queue_id: Some(item), depth } = outcome else { panic!("{outcome:?}") };
    assert_eq!(depth, Some(1));

    port.behave(Manner::Echo);
    beta.heartbeat().unwrap();
    port.heard().wait_for_count("the drained message", 2, |_| true);
    let heard = port.heard().all();
    assert_eq!(heard[0].message_id(), heard[1].message_id());
    match stage.dialect {
        Dialect::Current => {
            let QueueOutcome::Replied(reply) = alpha.wait_queue_item(&item).unwrap() else { panic!("no reply") };
            assert_eq!(reply.texts(), ["got hello"]);
            assert!(alpha.queue_item(&item).unwrap().response_body.is_some());
        }
        Dialect::April => {
            let looks = |world: &molecule_e2e::World| world.count(&format!("/a2a/queue/{item}"));
            for _ in 0..2 {
                assert_eq!(alpha.queue_item(&item).unwrap_err().kind(), ErrorKind::Unsupported);
                assert_eq!(alpha.wait_queue_item(&item).unwrap_err().kind(), ErrorKind::Unsupported);
            }
            assert_eq!(looks(&world), 1, "asked once");
        }
    }
});

scenario!(a_direct_call_that_is_dropped_is_sent_no_other_way, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Close);
    let (alpha, beta) = world.pair(&port.url());
    let error = alpha.call_peer(beta.workspace_id(), "hello").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Interrupted, false), "{error}");
    let heard = port.heard().all();
    assert_eq!((heard.len(), world.count(route::A2A)), (1, 0));
    assert_eq!(error.message_id(), Some(heard[0].message_id()));
});
