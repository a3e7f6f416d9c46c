//! A stop lets running handlers finish, sends their replies and a last heartbeat.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use molecule_e2e::core::proto::WorkspaceId;
use molecule_e2e::core::{Ended, Event, Reply};
use molecule_e2e::{Log, World, route, scenario};

fn active_tasks(world: &World, id: &WorkspaceId) -> i64 {
    world.platform(|platform, _| platform.workspace(id).unwrap().active_tasks)
}

scenario!(a_handler_that_runs_at_a_stop_finishes_and_its_reply_goes_out, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let (go, gate) = channel::<()>();
    let (gate, seen) = (Mutex::new(gate), Log::default());
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().into_owned());
            let _ = gate.lock().unwrap().recv();
            Ok(Some(Reply::text("done")))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "work")).unwrap();
    seen.wait_for("the message", |_| true);
    world.wait_until("a beat with the handler", |platform| {
        platform.workspace(&id).is_some_and(|workspace| workspace.active_tasks == 1)
    });
    agent.stopper().stop();
    // What comes now is left for the next start.
    world.platform(|platform, now| platform.send_user_message(now, &id, "more work")).unwrap();
    running.assert_running();
    drop(go);
    assert_eq!(running.ended().unwrap(), Ended::Stopped);
    assert_eq!(world.notices(&id), ["done"]);
    assert_eq!(active_tasks(&world, &id), 0);
    let last = world.requests(route::HEARTBEAT).pop().unwrap();
    let reply = world.requests(route::NOTIFY).pop().unwrap();
    assert!(last.number > reply.number, "the last beat comes when all is done");

    let again = Log::default();
    let next = world.agent(&id);
    let running = next.start_with({
        let again = again.clone();
        move |message| {
            again.push(message.text().into_owned());
            Ok(None)
        }
    });
    again.wait_for("the message that came at the end", |text| text == "more work");
    running.stop();
    assert_eq!((again.all().len(), seen.all()), (1, vec!["work".to_owned()]));
});

scenario!(
    a_handler_beyond_the_deadline_is_offered_its_message_again_and_the_attempt_does_not_count,
    [April, Current],
    |stage| {
        let world = stage.world();
        let (id, token) = world.workspace();
        let build = || {
            let setup = world.setup(&id).token(&token);
            setup.inbox(|inbox| inbox.drain(Duration::from_millis(100)).attempts(1)).build().unwrap()
        };
        let (go, gate) = channel::<()>();
        let (gate, seen) = (Mutex::new(gate), Log::default());
        let agent = build();
        let running = agent.start_with({
            let seen = seen.clone();
            move |message| {
                seen.push(message.attempt());
                let _ = gate.lock().unwrap().recv();
                Ok(Some(Reply::text("too late")))
            }
        });
        agent.events().wait_for("its first good beat", |event| *event == Event::Online);
        world.platform(|platform, now| platform.send_user_message(now, &id, "work")).unwrap();
        seen.wait_for("the message", |_| true);
        running.stop();
        drop(go);
        assert_eq!(active_tasks(&world, &id), 0, "nobody waits for it any more");

        let next = build();
        let running = next.start_with({
            let seen = seen.clone();
            move |message| {
                seen.push(message.attempt());
                Ok(Some(Reply::text("done")))
            }
        });
        next.events().wait_for("the reply", |event| matches!(event, Event::ReplyEnded { .. }));
        running.stop();
        assert_eq!(seen.all(), [1, 1]);
        assert_eq!(world.notices(&id), ["done"]);
        assert_eq!(next.events().count(|event| matches!(event, Event::DeadLetter { .. })), 0);
    }
);
