//! Any order of outcomes and crashes: every notice arrives once, in order, and no reply to a peer has two ids.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_proto::{ActivityRow, Time, UnixTime};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Answer, NOTIFY, PEER, World, notice_row};
use crate::effect::{EffectId, FaultKind};
use crate::inbox::outbox::{Outbox, OutgoingReply, Recipient, ReplyKey};
use crate::inbox::reply::Reply;

const OTHER: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";

/// Rows become visible within this time.
const LATEST: u64 = 30;

#[derive(Debug, Clone)]
enum Act {
    /// A handler replies: to the user, a peer, or another peer, with one of a few texts.
    Reply(u8, u8),
    /// The oldest request in flight gets an answer. A row of it becomes visible after these seconds.
    Answer(u8, u64),
    /// Time passes, in seconds.
    Pass(u64),
    /// The inbox reads the rows that are visible.
    Read,
    /// The process dies. Whatever is in flight arrives, or does not.
    Crash(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..4_u8, 0..3_u8).prop_map(|(to, text)| Act::Reply(to, text)),
        6 => (0..6_u8, 0..=LATEST).prop_map(|(how, late)| Act::Answer(how, late)),
        3 => (0..40_u64).prop_map(Act::Pass),
        1 => Just(Act::Read),
        1 => any::<bool>().prop_map(Act::Crash),
    ]
}

/// The platform, as far as replies reach it.
#[derive(Default)]
struct Platform {
    /// The rows of notices, with the time from which they are visible.
    rows: Vec<(Time, ActivityRow)>,
    /// The notices that arrived, in their order.
    notices: Vec<ReplyKey>,
    /// The ids of the messages that arrived from each reply.
    ids: BTreeMap<String, BTreeSet<String>>,
    /// The replies to each peer in the order of their first arrival.
    arrived: BTreeMap<String, Vec<String>>,
}

struct Case {
    world: World,
    platform: Platform,
    /// The replies in their order.
    to_user: Vec<ReplyKey>,
    to_peers: BTreeMap<String, Vec<OutgoingReply>>,
    number: u8,
}

impl Case {
    fn new() -> Self {
        Self {
            world: World::new(),
            platform: Platform::default(),
            to_user: Vec::new(),
            to_peers: BTreeMap::new(),
            number: 0,
        }
    }

    fn perform(&mut self, act: &Act) {
        match act {
            Act::Reply(to, text) => self.reply(*to, *text),
            Act::Answer(how, late) => {
                if let Some(id) = self.world.in_flight.keys().next().copied() {
                    self.answer(id, *how, *late);
                }
            }
            Act::Pass(seconds) => self.world.advance(Duration::from_secs(*seconds)),
            Act::Read => self.visible().iter().for_each(|row| assert!(self.world.echo(row))),
            Act::Crash(arrives) => self.crash(*arrives),
        }
        self.world.settle();
    }

    fn reply(&mut self, to: u8, text: u8) {
        self.number += 1;
        let reply = Reply::text(["ok", "done", "sure"][usize::from(text)]);
        let peer = [None, None, Some(PEER), Some(OTHER)][usize::from(to)];
        let outgoing = match peer {
            None => self.world.to_user(self.number, reply),
            Some(peer) => self.world.to_peer_named(peer, self.number, reply),
        };
        match peer {
            None => self.to_user.push(outgoing.key.clone()),
            Some(peer) => self.to_peers.entry(peer.to_owned()).or_default().push(outgoing.clone()),
        }
        self.world.push(outgoing);
    }

    fn answer(&mut self, id: EffectId, how: u8, late: u64) {
        let (request, body) = self.world.in_flight[&id].clone();
        let good = match request.as_str() {
            NOTIFY => json!({"status": "sent"}),
            _ if request.starts_with("GET") => {
                let mut rows = self.visible();
                rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
                json!(rows)
            }
            _ => json!({"status": "queued", "delivery_mode": "poll"}),
        };
        let answer = match how {
            0 | 1 => Answer::json(200, good),
            2 | 3 => Answer::fault(FaultKind::Interrupted),
            4 => Answer::unsent(FaultKind::Connect),
            _ => Answer::error(500, "it failed half-way"),
        };
        if matches!(how, 0..=2 | 5) {
            self.arrive(&request, &body, late);
        }
        self.world.answer_id(id, answer);
    }

    /// A request arrives. A notice in flight is the first one to the user.
    fn arrive(&mut self, request: &str, body: &Value, late: u64) {
        if request == NOTIFY {
            let line = &self.world.outbox.lines[&Recipient::People];
            let key = line[0].key.clone();
            let count = u8::try_from(self.platform.notices.len()).unwrap();
            let mut row = notice_row(body["message"].as_str().unwrap(), 0, [count; 16]);
            row.created_at = self.world.now.unix + Duration::from_millis(u64::from(count) + 1);
            self.platform.rows.push((self.world.now.mono + Duration::from_secs(late), row));
            self.platform.notices.push(key);
        } else if request.ends_with("/a2a") {
            let message = &body["params"]["message"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (id, answered) = (text(&message["messageId"]), text(&message["metadata"]["molecule.in_reply_to"]));
            self.platform.ids.entry(answered).or_default().insert(id.clone());
            let arrived = self.platform.arrived.entry(request.to_owned()).or_default();
            if !arrived.contains(&id) {
                arrived.push(id);
            }
        }
    }

    fn visible(&self) -> Vec<ActivityRow> {
        let now = self.world.now.mono;
        self.platform.rows.iter().filter(|(at, _)| *at <= now).map(|(_, row)| row.clone()).collect()
    }

    fn crash(&mut self, arrives: bool) {
        for (request, body) in self.world.in_flight.values().cloned().collect::<Vec<_>>() {
            if arrives {
                self.arrive(&request, &body, LATEST);
            }
        }
        let mut world = World::new();
        // The new process starts at once, and learns the server's time, in whole seconds, before it sends anything.
        self.world.advance(Duration::from_millis(1));
        (world.now, world.ended) = (self.world.now, std::mem::take(&mut self.world.ended));
        world.session.notices.begin(world.now.mono, || Some(UnixTime::from_secs(world.now.unix.as_secs())));
        world.outbox = Outbox::new(super::world::TRAIL);
        let left: Vec<_> = self.world.journal.values().cloned().collect();
        left.into_iter().for_each(|reply| world.push(reply));
        self.world = world;
    }

    /// Lets everything work until nothing is left.
    fn finish(&mut self) {
        for _ in 0..2_000 {
            self.world.settle();
            if self.world.is_empty() {
                return;
            }
            match self.world.in_flight.keys().next().copied() {
                Some(id) => self.answer(id, 0, 0),
                None => self.world.sleep(),
            }
        }
        panic!("it never ends");
    }

    fn check(&self) {
        assert_eq!(self.platform.notices, self.to_user, "each notice arrives once, in order");
        assert!(self.platform.ids.values().all(|ids| ids.len() == 1), "{:?}", self.platform.ids);
        for replies in self.to_peers.values() {
            let ids: Vec<_> = replies.iter().map(|reply| reply.id.clone()).collect();
            let arrived = self.platform.arrived.values().find(|arrived| arrived.contains(&ids[0])).unwrap();
            assert_eq!(*arrived, ids, "each reply arrives, in order");
        }
        assert_eq!(self.world.ended.len(), usize::from(self.number));
        assert!(self.world.ended.iter().all(|(_, end)| end.is_taken()), "{:?}", self.world.ended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_notice_arrives_once_and_no_reply_has_two_ids(acts in prop::collection::vec(act(), 1..80)) {
        let mut case = Case::new();
        acts.iter().for_each(|act| case.perform(act));
        case.finish();
        case.check();
    }
}
