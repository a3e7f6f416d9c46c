//! An agent without room for a message: the platform queues it, and sends it again when the agent is idle.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use molecule_e2e::core::{CallOutcome, PeerCall, Reply, Route, ServerLimits};
use molecule_e2e::{Log, PATIENCE, route, scenario};

use crate::push_answered::options;

scenario!(a_message_for_which_there_is_no_room_is_queued_and_comes_again_under_its_id, [April, Current], |stage| {
    let world = stage.world();
    let [alpha, beta] =
        [world.workspace(), world.workspace()].map(|(id, token)| world.setup(&id).token(&token).build().unwrap());
    alpha.register().unwrap_or_else(|error| panic!("{error}"));
    let (go_on, held) = channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let handled = Log::default();
    let seen = handled.clone();
    let mut limits = ServerLimits::default();
    (limits.handlers, limits.queue) = (1, 0);
    let server = beta.serve(options(stage).limits(limits), move |message| {
        seen.push(message.text().into_owned());
        if message.text() == "first" {
            held.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        Ok(Some(Reply::text(format!("got {}", message.text()))))
    });
    let _server = server.unwrap();
    let call = |text: &str| alpha.call_peer(beta.workspace_id(), PeerCall::new(text).route(Route::Proxy)).unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| call("first"));
        handled.wait_for("that the first message is handled", |text| text == "first");
        let second = call("second");
        assert!(matches!(second, CallOutcome::Queued { .. }), "{second:?}");
        assert_eq!(handled.all(), ["first"]);
        go_on.send(()).unwrap();
        assert_eq!(first.join().unwrap().to_string(), "replied: got first");
    });
    // A heartbeat of an idle agent brings it again.
    let running = beta.start();
    handled.wait_for("that the second message is handled", |text| text == "second");
    world.wait_for_more(route::HEARTBEAT, 2);
    running.stop();
    assert_eq!(handled.all(), ["first", "second"]);
});
