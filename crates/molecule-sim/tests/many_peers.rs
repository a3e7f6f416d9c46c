//! One process discovers 50,000 peers, and caches no more URLs than its capacity.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use molecule_core::Options;
use molecule_core::effect::{Effect, Outcome};
use molecule_core::machine::peer_cache::CAPACITY;
use molecule_core::machine::{Cx, Machine, Now, Session, Step};
use molecule_core::machines::DiscoverPeer;
use molecule_core::proto::{Time, UnixTime, WorkspaceId};

const PEERS: u32 = 50_000;

fn id(number: u32) -> WorkspaceId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

/// Drives one discovery, which the platform answers with this URL. Returns whether a request was sent at all.
fn discover(session: &mut Session, now: Now, number: u32, url: &str) -> bool {
    let mut asked = false;
    let mut machine = DiscoverPeer::of(id(number));
    loop {
        let mut cx = Cx { now, session };
        match machine.poll(&mut cx) {
            Step::Start(effect, Effect::Http(request, _)) => {
                asked = true;
                assert!(request.uri().path().ends_with(id(number).as_str()), "{}", request.uri());
                let body = format!(r#"{{"id":"{}","url":"{url}","name":"peer"}}"#, id(number));
                machine.feed(&mut cx, effect, Outcome::Response(Response::new(Bytes::from(body)))).unwrap();
            }
            Step::Done(found) => {
                assert_eq!(found.unwrap().unwrap().to_string(), url);
                return asked;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn fifty_thousand_peers_are_discovered_in_the_room_of_a_thousand() {
    let options = Options::new("https://platform.example.com", id(99_999).as_str()).token("x".repeat(43));
    let mut session = Session::new(options.build().unwrap(), 1);
    let mut now = Now { mono: Time::ZERO, unix: UnixTime::default() };
    // The longest allowed URL, because strangers choose how much memory a URL takes.
    let url = |number: u32| {
        let start = format!("https://peer.example.com/{number}/");
        format!("{start}{}", "x".repeat(2048 - start.len()))
    };
    for number in 0..PEERS {
        now.mono = now.mono + Duration::from_millis(1);
        assert!(discover(&mut session, now, number, &url(number)), "{number} was not known");
        let expected = CAPACITY.min(usize::try_from(number).unwrap() + 1);
        assert_eq!(session.peers().len(), expected, "after {number}");
    }
    let last = PEERS - 1;
    assert!(!discover(&mut session, now, last, &url(last)), "the last one is remembered");
    assert!(discover(&mut session, now, 0, &url(0)), "the first one made room");
    assert_eq!(session.peers().len(), CAPACITY);
}
