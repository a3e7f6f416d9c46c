//! While the workspace is paused nothing is fetched and nothing is begun; what runs finishes.

use crate::support::platform::{FEED, STATE};
use crate::support::*;
use molecule_core::{Ended, InboxOptions, OnPause};

#[test]
fn handlers_finish_and_the_next_messages_wait_for_the_resume() {
    let mut run = Received::of(Agent::options().on_pause(OnPause::Wait), InboxOptions::new(), Platform::current());
    run.handler(|message| Reply::After(secs(90), replied(&format!("re {}", message.text()))));
    run.on(secs(58));
    run.user("first");
    run.user("second");
    run.on(secs(8));
    assert_eq!(run.texts(), ["first"]);
    run.platform.status = "paused".to_owned();
    run.on(secs(70));
    let from = run.agent.now.mono;
    run.on(secs(300));
    assert_eq!(run.notices(), ["re first"]);
    assert!(run.texts().is_empty());
    let fetched = run.platform.seen.iter().filter(|seen| format!("GET {}", seen.path).starts_with(FEED));
    assert_eq!(fetched.filter(|seen| seen.at >= from).count(), 0);
    run.platform.status = "online".to_owned();
    run.on(secs(200));
    assert_eq!(run.texts(), ["second"]);
}

#[test]
fn a_loop_that_a_pause_ends_waits_for_its_handlers() {
    let mut run = Received::usual();
    run.handler(|_| Reply::After(secs(80), replied("done")));
    run.on(secs(55));
    run.user("hello");
    run.on(secs(7));
    assert_eq!(run.texts(), ["hello"]);
    run.platform.status = "paused".to_owned();
    let asked = run.platform.count(STATE);
    assert_eq!(run.end().unwrap(), Ended::Paused);
    assert!(run.platform.count(STATE) > asked);
    let took = run.agent.since(crate::support::agent::START);
    assert!(took <= secs(62 + 66 + 30), "{took:?}");
    let mut run = run.restarted();
    run.platform.status = "online".to_owned();
    run.on(secs(100));
    assert_eq!(run.notices().len(), 1);
}
