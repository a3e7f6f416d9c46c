//! The number of active tasks follows the running handlers, unless the application reports its own.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use molecule_e2e::core::{Event, Report};
use molecule_e2e::{route, scenario};

scenario!(the_heartbeat_counts_the_running_handlers_unless_the_application_counts_itself, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let running = agent.start_with(move |_| {
        let _ = gate.lock().unwrap().recv();
        Ok(None)
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    let wait = |count: i64| {
        world.wait_until(&format!("{count} active tasks"), |platform| {
            platform.workspace(&id).is_some_and(|workspace| workspace.active_tasks == count)
        });
    };
    wait(0);
    for count in 1..=3 {
        let (peer, _) = world.workspace();
        world.platform(|platform, now| platform.send_agent_message(now, &peer, &id, "work")).unwrap();
        wait(count);
    }
    for count in [2, 1] {
        go.send(()).unwrap();
        wait(count);
    }
    agent.report(Report::new().active_tasks(7)).unwrap();
    wait(7);
    go.send(()).unwrap();
    // The application's number stays, whatever ends.
    world.wait_for_more(route::HEARTBEAT, 5);
    wait(7);
    agent.report(Report::new().active_tasks(0)).unwrap();
    wait(0);
    running.stop();
});
