//! A second agent of the same workspace on the same machine is refused.

use molecule_e2e::core::{ErrorKind, Event};
use molecule_e2e::scenario;

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
