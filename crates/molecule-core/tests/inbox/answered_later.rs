//! A reply that was put off is given by the application itself: the journal keeps nothing of it then.

use crate::support::*;
use molecule_core::effect::{Handled, Outcome};
use molecule_core::machines::{ReplyTo, Run};
use molecule_core::{ErrorKind, ReplyEnd, ReplyHandle, Result};

fn put_off() -> Outcome {
    Outcome::Handled(Handled::Later)
}

fn reply(run: &mut Received, row: &str) -> Result<ReplyEnd> {
    let handle: ReplyHandle = row.parse().unwrap();
    let Received { agent, platform, .. } = run;
    crate::support::run(agent, ReplyTo::new(handle, "at last").unwrap(), |seen| platform.serve(seen))
}

/// Asserts that another process knows nothing of the message, once the feed does not show it any more.
fn assert_forgotten(run: Received, case: &str) {
    let mut run = run.restarted();
    run.platform.feed = Default::default();
    let row = row_id(1);
    let error = reply(&mut run, &row).expect_err(case);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{case}: {error}");
}

#[test]
fn another_process_can_give_it_as_long_as_nobody_has() {
    let mut run = Received::usual();
    run.handler(|_| Reply::Now(put_off()));
    let row = run.user("when?");
    run.on(secs(10));
    let mut run = run.restarted();
    run.platform.feed = Default::default();
    assert_eq!(reply(&mut run, &row).unwrap(), ReplyEnd::Delivered);
}

#[test]
fn a_running_loop_forgets_it_once_it_is_given() {
    for is_given_first in [false, true] {
        let mut run = Received::usual();
        let takes = if is_given_first { secs(20) } else { secs(0) };
        run.handler(move |_| Reply::After(takes, put_off()));
        let row = run.user("when?");
        run.on(secs(10));
        assert_eq!(reply(&mut run, &row).unwrap(), ReplyEnd::Delivered);
        run.on(secs(60));
        assert_forgotten(run, if is_given_first { "before the handler returned" } else { "after it" });
    }
}

#[test]
fn beside_other_loops_and_without_one_it_is_forgotten_too() {
    for has_heartbeats in [true, false] {
        let mut run = Received::usual();
        run.handler(|_| Reply::Now(put_off()));
        let row = run.user("when?");
        run.on(secs(10));
        let mut run = run.restarted();
        run.driven = Driven::new(Run::new());
        if has_heartbeats {
            run.on(secs(10));
        }
        assert_eq!(reply(&mut run, &row).unwrap(), ReplyEnd::Delivered);
        if has_heartbeats {
            run.stopped_within();
        }
        assert_eq!(run.agent.store.locked, None);
        assert_forgotten(run, if has_heartbeats { "heartbeats" } else { "no loop" });
    }
}
