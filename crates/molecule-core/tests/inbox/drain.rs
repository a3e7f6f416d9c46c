//! A stop lets running handlers finish within a time, sends what they reply, and says with a last heartbeat that nothing
//! runs any more.

use crate::support::platform::{FEED, HEARTBEAT, NOTIFY};
use crate::support::*;
use molecule_core::effect::FaultKind;
use molecule_core::{Ended, Event, InboxOptions, OnPause};

/// A loop whose handler takes this long, while it works on one message and another one waits.
fn working(takes: Duration, inbox: InboxOptions) -> Received {
    let mut run = Received::with(inbox, Platform::current());
    run.handler(move |message| Reply::After(takes, replied(&format!("re {}", message.text()))));
    run.user("first");
    run.user("second");
    run.on(secs(5));
    assert_eq!(run.texts(), ["first"]);
    run
}

#[test]
fn a_running_handler_finishes_and_its_reply_is_sent() {
    let mut run = working(secs(20), InboxOptions::new());
    let beats = run.platform.count(HEARTBEAT);
    let pages = run.platform.seen.iter().filter(|seen| format!("GET {}", seen.path).starts_with(FEED)).count();
    let took = run.stopped_within();
    assert!(took >= secs(10) && took <= secs(20), "{took:?}");
    assert_eq!(run.notices(), ["re first"]);
    assert!(run.texts().is_empty(), "another message was begun");
    assert_eq!(run.platform.count(HEARTBEAT), beats + 2, "one that was due meanwhile, and the last one");
    let last = run.platform.last(HEARTBEAT);
    assert_eq!(last.body["active_tasks"], 0);
    let later = run.platform.seen.iter().filter(|seen| format!("GET {}", seen.path).starts_with(FEED)).count();
    assert_eq!(later, pages, "the feed was read after the stop");
    assert_eq!(run.agent.store.locked, None);

    let mut run = run.restarted();
    run.on(secs(60));
    assert_eq!(run.texts(), ["second"]);
    assert_eq!(run.notices(), ["re first", "you said: second"]);
}

/// Without heartbeats the platform takes the agent for dead after 90 s.
#[test]
fn a_long_drain_goes_on_with_heartbeats_that_say_how_many_handlers_run() {
    let mut run = working(secs(400), InboxOptions::new().drain(secs(600)));
    let before = run.platform.count(HEARTBEAT);
    let from = run.agent.now.mono;
    assert!(run.stopped_within() >= secs(390));
    let beats: Vec<_> = run.platform.seen.iter().filter(|seen| seen.is(HEARTBEAT)).skip(before).collect();
    let times: Vec<_> = std::iter::once(from).chain(beats.iter().map(|beat| beat.at)).collect();
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) <= secs(30)), "{times:?}");
    let (last, others) = beats.split_last().unwrap();
    assert!(others.iter().all(|beat| beat.body["active_tasks"] == 1));
    assert_eq!(last.body["active_tasks"], 0);
    assert_eq!(run.notices(), ["re first"]);
}

#[test]
fn heartbeats_that_fail_hold_back_no_drain() {
    for takes in [secs(0), secs(30)] {
        let mut run = working(secs(100), InboxOptions::new().drain(secs(600)));
        run.platform.weather =
            Box::new(move |seen| seen.is(HEARTBEAT).then(|| Reply::After(takes, fault(FaultKind::Interrupted))));
        let took = run.stopped_within();
        assert!(took <= secs(100), "{took:?}");
        assert_eq!(run.notices(), ["re first"]);
    }
}

#[test]
fn a_handler_that_takes_too_long_is_told_and_its_message_is_offered_again() {
    let mut run = Received::with(InboxOptions::new().drain(secs(7)), Platform::current());
    run.handler(|_| Reply::Never);
    run.user("slow");
    run.on(secs(5));
    let message = run.offers().remove(0).message.0;
    assert!(!message.is_cancelled());
    assert_eq!(run.stopped_within(), secs(7));
    assert!(message.is_cancelled());

    let mut run = run.restarted();
    run.on(secs(30));
    assert_eq!(
        run.offers().iter().map(|offer| (offer.text.as_str(), offer.attempt)).collect::<Vec<_>>(),
        [("slow", 1)]
    );
}

#[test]
fn a_second_stop_waits_for_nothing() {
    let mut run = working(secs(20), InboxOptions::new());
    run.agent.session.raise_stop(false);
    run.on(secs(3));
    let from = run.agent.now.mono;
    run.agent.session.raise_stop(true);
    assert_eq!(run.end().unwrap(), Ended::Stopped);
    assert_eq!(run.agent.since(from), secs(0));
    let mut run = run.restarted();
    run.on(secs(60));
    let offers = run.offers();
    assert_eq!((offers[0].text.as_str(), offers[1].text.as_str()), ("first", "second"));
}

/// The lock stays taken until a write is over, so an agent that starts right after the stop would be refused.
#[test]
fn a_stop_that_waits_for_nothing_else_waits_for_a_write_for_half_of_its_time() {
    let millis = std::time::Duration::from_millis;
    for (takes, ends_after) in [(millis(20), millis(20)), (secs(10), millis(50))] {
        let mut run = working(secs(20), InboxOptions::new());
        run.agent.store.append_takes = takes;
        run.agent.session.raise_stop(true);
        let from = run.agent.now.mono;
        assert_eq!(run.end().unwrap(), Ended::Stopped);
        assert_eq!(run.agent.since(from), ends_after, "{takes:?}");
    }
}

#[test]
fn a_reply_that_does_not_get_through_is_sent_by_the_next_process() {
    let mut run = working(secs(10), InboxOptions::new().drain(secs(15)));
    run.platform.weather = Box::new(|seen| seen.is(NOTIFY).then_some(Reply::Never));
    let took = run.stopped_within();
    assert_eq!(took, secs(15));
    assert_eq!(run.agent.lines("cancel").len(), 1, "the request goes on:\n{}", run.agent.take_trace());
    run.platform.seen.clear();
    let mut run = run.restarted();
    run.platform.weather = Box::new(|_| None);
    run.on(secs(120));
    assert_eq!(run.notices()[0], "re first");
    assert_eq!(run.texts(), ["second"]);
}

/// What was to begin has not begun, and the disk cannot say so: the loop must not wait for it.
#[test]
fn a_full_disk_does_not_hold_back_a_stop() {
    let mut run = Received::usual();
    run.on(secs(10));
    run.agent.store.fail("Append");
    run.user("hello");
    run.on(secs(30));
    assert!(run.texts().is_empty(), "an attempt that is not recorded");
    assert_eq!(run.stopped_within(), secs(0));
    run.agent.store.mend();
    let mut run = run.restarted();
    run.on(secs(30));
    assert_eq!(run.offers().iter().map(|offer| offer.attempt).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_the_disk_refused_is_tried_once_more_at_the_end() {
    let mut run = Received::usual();
    run.handler(|_| Reply::After(secs(8), replied("done")));
    run.user("hello");
    run.on(secs(6));
    run.agent.store.fail("Append");
    run.on(secs(60));
    run.agent.store.mend();
    run.stopped_within();
    let mut run = run.restarted();
    run.on(secs(60));
    assert!(run.texts().is_empty(), "it was handled, and the disk had room again");
    assert_eq!(run.notices(), ["done"]);
}

#[test]
fn a_paused_loop_sends_no_last_heartbeat() {
    let mut run = Received::of(Agent::options().on_pause(OnPause::Wait), InboxOptions::new(), Platform::current());
    run.on(secs(100));
    run.platform.status = "paused".to_owned();
    run.on(secs(100));
    assert!(run.events().contains(&Event::Paused));
    let beats = run.platform.count(HEARTBEAT);
    run.stopped_within();
    assert_eq!(run.platform.count(HEARTBEAT), beats, "a heartbeat would wake the workspace");
}

#[test]
fn a_stop_before_the_journal_is_open_ends_at_once() {
    let mut run = Received::usual();
    run.agent.store.fail("Replace");
    run.on(secs(30));
    assert_eq!(run.stopped_within(), secs(0));
}

#[test]
fn the_cursor_is_saved_at_the_end() {
    let mut run = Received::usual();
    for number in 0..30 {
        run.user(&number.to_string());
        run.on(secs(4));
    }
    run.stopped_within();
    let journal = String::from_utf8(run.agent.store.inbox.clone().unwrap()).unwrap();
    let cursor = journal.lines().rev().find(|line| line.contains("\"cursor\"")).unwrap();
    // The last row that is 35 s older than the newest one.
    assert!(cursor.contains(&row_id(21)), "{cursor}");
}
