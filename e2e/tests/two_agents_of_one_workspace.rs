//! A second agent of the same workspace on the same machine is refused, whichever loop it runs.

use molecule_e2e::core::{ErrorKind, Event, InboxOptions, Reply};
use molecule_e2e::{Life, live, scenario};

scenario!(the_second_is_refused_and_told_the_lock_file, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let first = world.agent(&id);
    let running = first.start();
    first.events().wait_for("Online", |event| *event == Event::Online);

    let second = world.agent(&id);
    let error = second.start().ended().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let lock = world.home().agent(&id).join(".lock");
    assert!(error.to_string().contains(lock.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("stop it first"), "{error}");
    running.assert_running();
    // Only a loop needs the lock.
    assert!(second.pull_secrets().unwrap().is_empty());

    // A second loop of the same agent is refused as well.
    assert_eq!(first.start().ended().unwrap_err().kind(), ErrorKind::Locked);

    running.stop();
    let next = second.start();
    second.events().wait_for("Online", |event| *event == Event::Online);
    next.stop();
});

scenario!(a_second_process_with_a_handler_is_refused_and_handles_nothing, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let second = world.setup(&id).token(&token).build().unwrap();
    second.register().unwrap();
    let first = Life::start(stage.facade, &world, &id, &token, "two_agents_of_one_workspace::child");
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    world.wait_until("an answer", |platform| platform.activity(&id).iter().any(|row| row.is_notice()));

    let intruder = |_| panic!("the second agent handles a message");
    for refused in [second.start_with(intruder), second.start()] {
        let error = refused.ended().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.to_string().contains("stop it first"), "{error}");
    }
    first.stop();
    let next = second.start_with(|_| Ok(None));
    second.events().wait_for("Online", |event| *event == Event::Online);
    next.stop();
    assert_eq!(world.notices(&id), ["an answer"]);
});

#[test]
#[ignore = "started by the scenarios of this file"]
fn child() {
    live(InboxOptions::new(), |_| Ok(Some(Reply::text("an answer"))));
}
