//! A loop after a rate limit: the heartbeat that the limit has delayed is sent before any other request.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::InboxOptions;
use molecule_core::effect::{FaultKind, Handled, Outcome};
use molecule_core::proto::Time;
use serde_json::json;
use support::platform::{A2A, ACK, FEED, HEARTBEAT, NOTIFY, PEER, STATE, STREAM, VIEW};
use support::*;

/// How long each refusal asks to wait: longer than the 30 s between two heartbeats, so that it delays one.
const HELD: u64 = 48;

/// The message of the user.
const USER: &str = "to the user";

const UPLOAD: &str = "POST /workspaces/:id/chat/uploads";

/// The platform takes most heartbeats, and refuses everything else. Each lane has something to ask for.
#[test]
fn no_lane_asks_before_the_heartbeat_that_a_limit_has_delayed() {
    let looks = ["feed", "acknowledgement", "stream", "state", "view", "message to a peer"];
    let asked = refused_for_hours(|text| Handled::Reply(Some(text.into())), limited);
    assert!(looks.iter().chain(&["notice"]).all(|look| asked.contains(look)), "{asked:?}");
}

#[test]
fn an_upload_waits_for_it_too() {
    let attached = |text: &str| {
        let reply = molecule_core::Reply::text(text);
        Handled::Reply(Some(if text == USER { reply.attach("/files/notes.txt") } else { reply }))
    };
    assert!(refused_for_hours(attached, limited).contains(&"upload"));
}

/// A notice that may have arrived is looked for in the feed.
#[test]
fn a_look_for_a_notice_waits_for_it_too() {
    let lost = |seen: &Seen| if seen.is(NOTIFY) { fault(FaultKind::Interrupted).into() } else { limited(seen) };
    assert!(refused_for_hours(|text| Handled::Reply(Some(text.into())), lost).contains(&"look for a notice"));
}

/// Heartbeats go on beside a drain.
#[test]
fn the_replies_of_a_drain_wait_for_it_too() {
    let mut run = Received::with(InboxOptions::new().drain(secs(600)), Platform::current());
    run.handler(|_| support::Reply::After(secs(20), Outcome::Handled(Handled::Reply(Some("done".into())))));
    run.on(secs(100));
    run.user(USER);
    run.on(secs(10));
    run.platform.weather = Box::new(|seen| seen.path.contains("/activity?").then(|| limited(seen)));
    run.on(secs(6));
    let until_then = run.platform.seen.len();
    run.stopped_within();
    let later: Vec<_> = run.platform.seen[until_then..].iter().map(ToString::to_string).collect();
    assert!(later[0].starts_with(HEARTBEAT) && later[1].starts_with(NOTIFY), "{later:?}");
}

/// What was refused with 401 while another lane got a 429 is not asked again, with another bearer or of the view, before
/// the heartbeat.
#[test]
fn what_follows_a_401_waits_for_it_too() {
    for (what, follows, has_newer) in [(STATE, STATE, true), (A2A, A2A, true), (A2A, VIEW, false)] {
        let mut run = Received::usual();
        run.on(secs(100));
        let from = run.agent.now.mono;
        run.platform.feed.peer(run.agent.now.unix, PEER, "to the peer");
        let mut refused_at = None;
        run.platform.weather = Box::new(move |seen| {
            let is_feed = seen.path.contains("/activity?");
            match refused_at {
                None if seen.is(what) => {
                    refused_at = Some(seen.at);
                    let whose = if what == A2A { "caller" } else { "workspace" };
                    let refusal = Answer::error(401, &format!("invalid {whose} auth token"));
                    Some(support::Reply::After(secs(8), refusal.outcome()))
                }
                Some(at) if is_feed && seen.at.since(at) < secs(8) => Some(limited(seen)),
                _ => None,
            }
        });
        // The heartbeat, which comes in between, is taken with either bearer.
        if has_newer {
            run.agent.store.token = Some(secret("newer"));
            run.platform.live.insert(secret("newer"));
        }
        run.on(secs(300));
        let after = |what: &str, at: Time| run.platform.times(what).into_iter().find(|time| *time > at).unwrap();
        let refused = after(what, from);
        let next = after(follows, refused);
        let beats = run.platform.times(HEARTBEAT);
        let is_first = beats.iter().any(|beat| *beat <= next && beat.since(refused) >= secs(HELD));
        assert!(
            is_first,
            "{follows} comes {:?} after the 401 of {what}, and before the heartbeat",
            next.since(refused)
        );
    }
}

/// A slow answer makes a limit longer that another lane has met meanwhile.
fn limited(seen: &Seen) -> support::Reply {
    let body = json!({"error": "rate limit exceeded", "retry_after": HELD});
    let refusal = Answer::json(429, body).header("retry-after", &HELD.to_string());
    if seen.is(STATE) { support::Reply::After(secs(20), refusal.outcome()) } else { refusal.into() }
}

/// Lets a platform refuse what is no heartbeat, after a while in which it takes everything. Returns the kinds of requests
/// that it refused.
fn refused_for_hours(answer: fn(&str) -> Handled, refusal: fn(&Seen) -> support::Reply) -> Vec<&'static str> {
    let mut run = Received::usual();
    // The replies come when the platform refuses already.
    run.handler(move |message| support::Reply::After(secs(15), Outcome::Handled(answer(&message.text()))));
    // The stream is tried again and again.
    run.platform.weather = Box::new(|seen| seen.is(STREAM).then(|| Answer::error(503, "busy").into()));
    run.platform.feed.add(run.agent.now.unix, json!({"method": "no message"}));
    run.on(secs(50));
    run.platform.feed.add(run.agent.now.unix, json!({"method": "no message"}));
    run.on(secs(40));
    // The cursor passes the row before them, and the next acknowledgement is due soon.
    run.user(USER);
    run.platform.feed.peer(run.agent.now.unix, PEER, "to the peer");
    run.on(secs(10));
    let begins = run.agent.now.mono;
    let mut beats = 0;
    run.platform.weather = Box::new(move |seen| {
        beats += u32::from(seen.is(HEARTBEAT));
        if is_taken(seen, beats) { None } else { Some(refusal(seen)) }
    });
    run.on(secs(3600));
    run.agent.session.set_reported_url(Some("https://agent.example.com/a2a".to_owned())).unwrap();
    run.on(secs(3600));
    check(&run.platform.seen, begins)
}

/// Every third heartbeat is refused too.
fn is_taken(seen: &Seen, beats: u32) -> bool {
    seen.is(HEARTBEAT) && !beats.is_multiple_of(3)
}

fn check(seen: &[Seen], begins: Time) -> Vec<&'static str> {
    let (mut asked, mut beats) = (Vec::new(), 0);
    let mut limited_at: Option<Time> = None;
    for seen in seen.iter().filter(|seen| seen.at > begins) {
        if seen.is(HEARTBEAT) {
            beats += 1;
            limited_at = (!is_taken(seen, beats)).then_some(seen.at);
            continue;
        }
        // Several may be in flight when the first of them is refused.
        assert!(limited_at.is_none_or(|at| at == seen.at), "{seen} comes before the heartbeat, after {limited_at:?}");
        // A notice whose answer is lost was not refused.
        if !seen.is(NOTIFY) {
            limited_at = Some(seen.at);
        }
        asked.push(kind(seen));
    }
    asked.sort_unstable();
    asked.dedup();
    asked
}

fn kind(seen: &Seen) -> &'static str {
    let kinds = [
        (A2A, "message to a peer"),
        (ACK, "acknowledgement"),
        (NOTIFY, "notice"),
        (STREAM, "stream"),
        (STATE, "state"),
        (VIEW, "view"),
        (UPLOAD, "upload"),
    ];
    let known = kinds.iter().find(|(what, _)| seen.is(what)).map(|(_, kind)| *kind);
    let is_look = seen.path.contains("source=canvas");
    known.unwrap_or_else(|| match format!("{} {}", seen.method, seen.path).starts_with(FEED) {
        true if is_look => "look for a notice",
        true => "feed",
        false => panic!("{seen}"),
    })
}
