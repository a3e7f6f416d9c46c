//! A handler that hangs holds back no heartbeat, no message of others and, beyond the deadline, no end of the loop.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use molecule_e2e::core::{Event, Reply};
use molecule_e2e::{Log, route, scenario};

scenario!(a_handler_that_hangs_holds_back_nobody, [April, Current], |stage| {
    let world = stage.world();
    let ((id, token), (other, _)) = (world.workspace(), world.workspace());
    let drain = Duration::from_millis(300);
    let agent = world.setup(&id).token(&token).inbox(|inbox| inbox.drain(drain)).build().unwrap();
    let (go, gate) = channel::<()>();
    let (gate, seen) = (Mutex::new(gate), Log::default());
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push((message.text().into_owned(), message.is_cancelled()));
            if message.text() == "hang" {
                // The sender is dropped after the loop's end.
                let _ = gate.lock().unwrap().recv();
                seen.push(("hung".to_owned(), message.is_cancelled()));
            }
            Ok(Some(Reply::text("hello yourself")))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "hang")).unwrap();
    seen.wait_for("the message", |(text, _)| text == "hang");
    // Beats say that one handler is at work.
    world.wait_for_more(route::HEARTBEAT, 3);
    let beat = world.requests(route::HEARTBEAT).pop().unwrap();
    assert!(String::from_utf8_lossy(&beat.body).contains("\"active_tasks\":1"), "{beat:?}");
    world.platform(|platform, now| platform.send_agent_message(now, &other, &id, "hello")).unwrap();
    seen.wait_for("another sender's message", |(text, _)| text == "hello");
    world.platform(|platform, now| platform.send_user_message(now, &id, "behind it")).unwrap();
    let took = running.stop();
    assert!(took >= drain, "the handler had less time: {took:?}");
    assert_eq!(seen.count(|(text, _)| text == "behind it"), 0, "it came before its turn");
    drop(go);
    assert!(seen.wait_for("the end", |(text, _)| text == "hung").1, "nobody told it");
});

scenario!(stop_now_waits_for_no_handler, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let (go, gate) = channel::<()>();
    let (gate, seen) = (Mutex::new(gate), Log::default());
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.attempt());
            let _ = gate.lock().unwrap().recv();
            Ok(None)
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "hang")).unwrap();
    seen.wait_for("the message", |_| true);
    assert!(running.stop_now() < Duration::from_secs(5));
    drop(go);
    // What was not handled is offered again.
    let restarted = world.agent(&id);
    let again = Log::default();
    let running = restarted.start_with({
        let again = again.clone();
        move |message| {
            again.push(message.text().into_owned());
            Ok(None)
        }
    });
    again.wait_for("the message", |text| text == "hang");
    running.stop();
});
