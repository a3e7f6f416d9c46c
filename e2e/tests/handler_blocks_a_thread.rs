//! A handler that blocks its thread for long holds back no heartbeat.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use molecule_e2e::core::Event;
use molecule_e2e::{Log, route, scenario};

scenario!(a_handler_that_blocks_its_thread_holds_back_no_heartbeat, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let (go, gate) = channel::<()>();
    let (gate, seen) = (Mutex::new(gate), Log::default());
    let running = agent.start_with_careless({
        let seen = seen.clone();
        move |_| {
            seen.push(());
            // No `.await`: a worker of the runtime is blocked.
            let _ = gate.lock().unwrap().recv();
            Ok(Some("done".into()))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    seen.wait_for("the message", |()| true);
    world.wait_for_more(route::HEARTBEAT, 10);
    drop(go);
    agent.events().wait_for("the reply", |event| matches!(event, Event::ReplyEnded { .. }));
    running.stop();
});
