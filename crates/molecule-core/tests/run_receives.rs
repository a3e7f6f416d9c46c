//! The loop receives a message: what depends on a record waits until it is saved.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::Ended;
use support::machines::receive_until_paused;
use support::platform::NOTIFY;
use support::*;

#[test]
fn an_attempt_and_a_reply_are_saved_before_anything_follows_from_them() {
    let Setup { mut agent, machine, mut platform, .. } = receive_until_paused();
    assert_eq!(run(&mut agent, machine, |seen| platform.serve(seen)).unwrap(), Ended::Paused);
    let trace = agent.take_trace();
    let lines: Vec<&str> = trace.lines().collect();
    let at = |what: &str| {
        let is_it = |line: &&str| line.starts_with("start ") && line.contains(what);
        lines.iter().position(is_it).unwrap_or_else(|| panic!("no {what}:\n{trace}"))
    };
    // The appends that began and that ended before a line.
    let appends = |before: usize| {
        let count = |start: &str, what: &str| {
            lines[..before].iter().filter(|line| line.starts_with(start) && line.contains(what)).count()
        };
        (count("start ", "Append(Inbox"), count("feed ", "Host(Appended)"))
    };
    let (begun, saved) = appends(at("Handle"));
    assert!(begun > 0 && saved == begun, "the attempt is not saved:\n{trace}");
    let (begun, saved_at_notice) = appends(at("/notify"));
    // The reply, and the mark of the notice.
    assert!(saved_at_notice >= saved + 2 && saved_at_notice == begun, "the reply is not saved:\n{trace}");
    let said: Vec<_> = platform.seen.iter().filter(|seen| seen.is(NOTIFY)).map(|seen| &seen.body["message"]).collect();
    assert_eq!(said, ["you said: hello"]);
}
