//! The cache of peers' URLs: entries expire in time, and the cache stays within its capacity.

#![allow(clippy::unwrap_used)]

#[path = "support/persisted.rs"]
mod persisted;

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::PeerUrl;
use molecule_core::machine::Now;
use molecule_core::machine::peer_cache::{CAPACITY, Known, NEGATIVE_TTL, PeerCache, TTL};
use molecule_core::proto::{Peer, Time, UnixTime, WorkspaceId, WorkspaceStatus};
use persisted::persisted;
use proptest::collection::vec;
use proptest::prelude::*;

fn id(number: u32) -> WorkspaceId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn url(number: u32) -> PeerUrl {
    PeerUrl::read(&format!("https://peer.example/{number}")).unwrap()
}

fn at(millis: u64) -> Now {
    later(Now { mono: Time::ZERO, unix: UnixTime::from_secs(1_795_383_587) }, Duration::from_millis(millis))
}

/// Advances both clocks.
fn later(now: Now, by: Duration) -> Now {
    Now { mono: now.mono + by, unix: now.unix + by }
}

fn row(number: u32, url: &str) -> Peer {
    let mut row = Peer::new(id(number), format!("peer {number}"), WorkspaceStatus::Online);
    url.clone_into(&mut row.url);
    row
}

#[derive(Debug, Clone)]
enum Act {
    Insert {
        peer: u32,
        url: Option<u32>,
    },
    Learn {
        peer: u32,
        url: Option<u32>,
    },
    Refuse {
        peer: u32,
        url: u32,
    },
    Invalidate {
        peer: u32,
    },
    Advance {
        millis: u64,
    },
    /// Only one clock advances: the wall clock while the computer sleeps, or the monotonic clock after the wall clock
    /// was set back.
    Sleep {
        millis: u64,
        calendar: bool,
    },
}

/// Few peers and URLs, so that operations meet the same ones; times on both sides of each limit.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (peer, url) = (0u32..6, 0u32..3);
    let act = prop_oneof![
        (peer.clone(), proptest::option::of(url.clone())).prop_map(|(peer, url)| Act::Insert { peer, url }),
        (peer.clone(), proptest::option::of(url.clone())).prop_map(|(peer, url)| Act::Learn { peer, url }),
        (peer.clone(), url).prop_map(|(peer, url)| Act::Refuse { peer, url }),
        peer.prop_map(|peer| Act::Invalidate { peer }),
        prop_oneof![0u64..70_000, 295_000u64..305_000].prop_map(|millis| Act::Advance { millis }),
        (0u64..305_000, any::<bool>()).prop_map(|(millis, calendar)| Act::Sleep { millis, calendar }),
    ];
    vec(act, 0..60)
}

/// The reference model of one peer, as the documentation describes the cache.
#[derive(Debug, Clone)]
struct Expected {
    url: Option<u32>,
    learnt: Now,
    refused: Option<Now>,
}

/// The age by the clock that advanced more.
fn age(now: Now, at: Now) -> Duration {
    Duration::max(now.mono.since(at.mono), now.unix.since(at.unix))
}

#[derive(Default)]
struct Model(BTreeMap<u32, Expected>);

impl Model {
    fn said(&mut self, now: Now, peer: u32, url: Option<u32>) {
        let before = self.0.get(&peer).filter(|known| known.url == url).and_then(|known| known.refused);
        self.0.insert(peer, Expected { url, learnt: now, refused: before });
    }

    fn act(&mut self, now: Now, act: &Act) {
        match *act {
            Act::Insert { peer, url } => self.said(now, peer, url),
            Act::Learn { peer, url: Some(url) } => self.said(now, peer, Some(url)),
            Act::Learn { peer, url: None } => {
                self.0.remove(&peer).filter(|known| known.url.is_none()).map(|known| self.0.insert(peer, known));
            }
            Act::Refuse { peer, url } => {
                if let Some(known) = self.0.get_mut(&peer).filter(|known| known.url == Some(url)) {
                    known.refused = Some(now);
                }
            }
            Act::Invalidate { peer } => {
                self.0.remove(&peer);
            }
            Act::Advance { .. } | Act::Sleep { .. } => {}
        }
    }

    fn lookup(&self, now: Now, peer: u32) -> Option<Known> {
        let known = self.0.get(&peer)?;
        let age = age(now, known.learnt);
        match known.url {
            Some(number) => (age < TTL).then(|| Known::At(url(number))),
            None => (age < NEGATIVE_TTL).then_some(Known::Nowhere),
        }
    }

    fn is_refused(&self, now: Now, peer: u32) -> bool {
        self.0.get(&peer).and_then(|known| known.refused).is_some_and(|at| age(now, at) < TTL)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: persisted(), ..ProptestConfig::default() })]

    #[test]
    fn it_knows_what_was_last_said_and_for_no_longer_than_its_time(acts in acts()) {
        let (mut cache, mut model, mut now) = (PeerCache::default(), Model::default(), at(0));
        for act in acts {
            model.act(now, &act);
            match act {
                Act::Insert { peer, url: number } => cache.insert(now, &id(peer), number.map(url)),
                Act::Learn { peer, url: number } => {
                    let text = number.map(|number| url(number).to_string());
                    cache.learn(now, &[row(peer, text.as_deref().unwrap_or("remote://no-inbound"))]);
                }
                Act::Refuse { peer, url: number } => cache.refuse(now, &id(peer), &url(number)),
                Act::Invalidate { peer } => cache.invalidate(&id(peer)),
                Act::Advance { millis } => now = later(now, Duration::from_millis(millis)),
                Act::Sleep { millis, calendar: true } => now.unix = now.unix + Duration::from_millis(millis),
                Act::Sleep { millis, calendar: false } => now.mono = now.mono + Duration::from_millis(millis),
            }
            for peer in 0..6 {
                prop_assert_eq!(cache.lookup(now, &id(peer)), model.lookup(now, peer), "peer {}", peer);
                prop_assert_eq!(cache.is_refused(now, &id(peer)), model.is_refused(now, peer), "peer {}", peer);
            }
        }
    }

    #[test]
    fn it_never_grows_past_its_room_and_keeps_what_is_used(calls in vec((0u32..1500, any::<bool>()), 1..3000)) {
        let mut cache = PeerCache::default();
        let mut since_used = BTreeMap::new();
        for (number, (peer, is_lookup)) in calls.into_iter().enumerate() {
            let is_known = if is_lookup {
                cache.lookup(at(0), &id(peer)).is_some()
            } else {
                cache.insert(at(0), &id(peer), Some(url(peer)));
                true
            };
            prop_assert!(cache.len() <= CAPACITY);
            // A peer among the last `CAPACITY` used ones is still cached.
            let before = if is_known { since_used.insert(peer, number) } else { since_used.remove(&peer) };
            if is_lookup && before.is_some_and(|before| number - before <= CAPACITY) {
                prop_assert!(is_known, "peer {} made room too early", peer);
            }
        }
    }
}

#[test]
fn fifty_thousand_peers_take_the_room_of_a_thousand() {
    let mut cache = PeerCache::default();
    for number in 0..50_000 {
        cache.insert(at(u64::from(number)), &id(number), Some(url(number)));
    }
    assert_eq!(cache.len(), CAPACITY);
    assert_eq!(cache.lookup(at(50_000), &id(49_999)), Some(Known::At(url(49_999))));
    assert_eq!(cache.lookup(at(50_000), &id(1)), None);
}

#[test]
fn a_list_fills_free_room_and_pushes_out_nobody() {
    let mut cache = PeerCache::default();
    cache.insert(at(0), &id(7), Some(url(7)));
    let rows: Vec<Peer> = (0..50_000).map(|number| row(number, &format!("https://moved.example/{number}"))).collect();
    cache.learn(at(1), &rows);
    assert_eq!(cache.len(), CAPACITY);
    let moved = PeerUrl::read("https://moved.example/7").map(Known::At);
    assert_eq!(cache.lookup(at(1), &id(7)), moved, "what is known is brought up to date");
    let later = later(at(0), TTL * 2);
    let others: Vec<Peer> = (60_000..60_010).map(|number| row(number, &url(number).to_string())).collect();
    cache.learn(later, &others);
    assert_eq!(cache.lookup(later, &id(60_009)), Some(Known::At(url(60_009))), "stale ones made room");
    assert_eq!(cache.len(), 10);
}

#[test]
fn a_clock_that_jumps_back_makes_nothing_older() {
    let mut cache = PeerCache::default();
    cache.insert(at(1_000_000), &id(1), Some(url(1)));
    assert!(cache.lookup(at(0), &id(1)).is_some());
    assert!(cache.lookup(at(1_299_999), &id(1)).is_some());
    assert!(cache.lookup(at(1_300_000), &id(1)).is_none());
    assert!(cache.lookup(Now { mono: Time::from_nanos(u64::MAX), ..at(0) }, &id(1)).is_none());
}

/// A monotonic clock may stand still while the computer sleeps. The entries then age by the wall clock.
#[test]
fn what_was_known_before_a_sleep_is_not_known_after_it() {
    let mut cache = PeerCache::default();
    cache.insert(at(0), &id(1), Some(url(1)));
    cache.refuse(at(0), &id(1), &url(1));
    let asleep = |time: Duration| Now { unix: at(0).unix + time, ..at(0) };
    let before = asleep(TTL - Duration::from_millis(1));
    assert!(cache.lookup(before, &id(1)).is_some() && cache.is_refused(before, &id(1)));
    assert!(cache.lookup(asleep(TTL), &id(1)).is_none() && !cache.is_refused(asleep(TTL), &id(1)));
    // A wall clock that was set back hides no age.
    let set_back = Now { unix: UnixTime::from_secs(0), ..at(300_000) };
    assert!(cache.lookup(set_back, &id(1)).is_none());
}
