//! The rules of a fleet, one test each, on a store in memory that answers at once unless it is told otherwise.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use molecule_core::fleet::*;
use molecule_core::proto::{Now, Time, UnixTime, WorkspaceId};

const TTL: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Store {
    keys: BTreeMap<String, StoreEntry>,
    sequence: Revision,
    /// Every write that was stored, in order: its key and value.
    written: Vec<(String, String)>,
    /// The number of answers to writes that are lost.
    lose_answers: usize,
}

impl Store {
    fn perform(&mut self, op: StoreOp) -> StoreOutcome {
        match op {
            StoreOp::Get { key } => StoreOutcome::Entry(self.keys.get(&key).cloned()),
            StoreOp::List { prefix } => StoreOutcome::Entries(
                self.keys.values().filter(|entry| entry.key.starts_with(&prefix)).cloned().collect(),
            ),
            StoreOp::Watch { .. } => StoreOutcome::Failed,
            StoreOp::Put { key, value, expected } => StoreOutcome::Put(self.put(key, value, expected)),
        }
    }

    fn put(&mut self, key: String, value: Bytes, expected: Option<Revision>) -> Cas {
        if self.keys.get(&key).map(|entry| entry.revision) != expected {
            return Cas::Lost;
        }
        self.sequence += 1;
        self.written.push((key.clone(), String::from_utf8(value.to_vec()).unwrap()));
        self.keys.insert(key.clone(), StoreEntry { key, revision: self.sequence, value });
        if self.lose_answers > 0 {
            self.lose_answers -= 1;
            return Cas::Unknown;
        }
        Cas::Done(self.sequence)
    }

    fn writes(&self, prefix: &str) -> usize {
        self.written.iter().filter(|(key, _)| key.starts_with(prefix)).count()
    }
}

struct Member {
    fleet: Fleet,
    reaches_store: bool,
    events: Vec<(Duration, FleetEvent)>,
    is_done: bool,
}

/// The time since the start, on both clocks.
fn at(time: Duration) -> Now {
    Now { mono: Time::from_nanos(1) + time, unix: UnixTime::from_secs(1_795_383_587) + time }
}

fn part(number: u8) -> PartId {
    PartId::new(WorkspaceId::from_random([number; 16]), 0)
}

fn options(name: &str) -> FleetOptions {
    FleetOptions::new(name.parse().unwrap(), TTL)
}

impl Member {
    fn new(options: FleetOptions, workspaces: u8, seed: u64) -> Self {
        let mut fleet = Fleet::new(options, seed);
        fleet.set_workspaces((0..workspaces).map(|number| part(number).workspace));
        Self { fleet, reaches_store: true, events: Vec::new(), is_done: false }
    }

    fn poll(&mut self, now: Now, time: Duration, store: &mut Store) {
        while !self.is_done {
            match self.fleet.poll(now) {
                FleetStep::Store(id, op) => {
                    let outcome = match (self.reaches_store, op) {
                        (true, op) => store.perform(op),
                        (false, StoreOp::Put { .. }) => StoreOutcome::Put(Cas::Unknown),
                        (false, _) => StoreOutcome::Failed,
                    };
                    self.fleet.feed(now, id, outcome);
                }
                FleetStep::Event(event) => self.events.push((time, event)),
                FleetStep::Idle(wake) => {
                    assert!(wake.at > now.mono);
                    return;
                }
                FleetStep::Done(_) => self.is_done = true,
            }
        }
    }

    fn gained(&self) -> Vec<(Duration, PartId, u64, Option<String>)> {
        let gained = self.events.iter().filter_map(|(time, event)| match event {
            FleetEvent::Gained { part, epoch, journal } => Some((*time, part.clone(), *epoch, journal.clone())),
            _ => None,
        });
        gained.collect()
    }

    fn when(&self, is: impl Fn(&FleetEvent) -> bool) -> Option<Duration> {
        self.events.iter().find(|(_, event)| is(event)).map(|(time, _)| *time)
    }
}

/// Lets time pass in small steps.
fn run(members: &mut [&mut Member], store: &mut Store, from: Duration, to: Duration) {
    let mut time = from;
    while time <= to {
        members.iter_mut().for_each(|member| member.poll(at(time), time, store));
        time += TTL / 100;
    }
}

/// A member that runs two workspaces.
fn settled() -> (Member, Store) {
    let (mut member, mut store) = (Member::new(options("a"), 2, 1), Store::default());
    run(&mut [&mut member], &mut store, Duration::ZERO, 2 * TTL);
    assert_eq!(member.gained().len(), 2);
    (member, store)
}

#[test]
fn rule_1_an_idle_member_writes_its_own_key_and_nothing_else() {
    let (mut member, mut store) = settled();
    let before = store.written.len();
    run(&mut [&mut member], &mut store, 2 * TTL, 12 * TTL);
    let renewals = store.writes("m.a") - 1;
    assert!((29..=36).contains(&renewals), "{renewals}");
    assert!(store.written[before..].iter().all(|(key, _)| key == "m.a"));
}

#[test]
fn rules_2_and_3_the_window_ends_with_eight_tenths_of_the_ttl_without_the_store_and_without_a_poll() {
    let (mut member, mut store) = settled();
    member.reaches_store = false;
    let last = 2 * TTL;
    assert!(member.fleet.may_send(at(last), &part(0)));
    assert!(!member.fleet.may_send(at(last + TTL * 4 / 5), &part(0)), "nobody has polled it");
    run(&mut [&mut member], &mut store, last, 4 * TTL);
    let lost = member.when(|event| matches!(event, FleetEvent::Lost { .. })).unwrap();
    assert!(lost <= last + TTL * 81 / 100, "{lost:?}");
    let why = FleetEvent::StoodDown { why: StandDown::LeaseLost };
    assert!(member.events.iter().any(|(_, event)| *event == why));
}

#[test]
fn rule_3_a_machine_that_slept_may_send_nothing_also_if_its_clock_was_set_back_before() {
    let (mut member, mut store) = settled();
    let (mono, unix) = (at(2 * TTL).mono, at(2 * TTL).unix);
    let slept = |hours: u64| Now { mono, unix: unix + Duration::from_secs(hours * 3600) };
    assert!(!member.fleet.may_send(slept(1), &part(0)));
    let back = Now { mono, unix: UnixTime::from_secs(unix.as_secs() - 7200) };
    member.poll(back, 2 * TTL, &mut store);
    assert!(member.fleet.may_send(back, &part(0)));
    assert!(!member.fleet.may_send(Now { mono, unix: back.unix + TTL }, &part(0)));
}

#[test]
fn rules_4_to_6_a_dead_member_is_fenced_after_eleven_tenths_of_the_ttl_and_before_its_claims_are_taken() {
    let (mut dead, mut store) = settled();
    let mut other = Member::new(options("b"), 2, 2);
    run(&mut [&mut dead, &mut other], &mut store, 2 * TTL, 5 * TTL);
    let before = store.written.len();
    run(&mut [&mut other], &mut store, 5 * TTL, 8 * TTL);
    let fenced = other.when(|event| matches!(event, FleetEvent::Fenced { .. })).unwrap();
    assert!(fenced >= 5 * TTL + TTL * 11 / 10 - TTL / 3 && fenced <= 5 * TTL + TTL * 12 / 10, "{fenced:?}");
    let order = |prefix: &str, word: &str| {
        store.written[before..].iter().position(|(key, value)| key.starts_with(prefix) && value.contains(word))
    };
    assert!(order("m.a", "\"fenced_by\":\"b\"").unwrap() < order("c.", "\"member\":\"b\"").unwrap());
    assert!(other.fleet.may_send(at(8 * TTL), &part(0)) && other.fleet.may_send(at(8 * TTL), &part(1)));
    // The fenced one wakes up, and learns of it without having sent anything.
    assert!(!dead.fleet.may_send(at(8 * TTL), &part(0)));
    run(&mut [&mut dead, &mut other], &mut store, 8 * TTL, 10 * TTL);
    assert!(dead.when(|event| *event == FleetEvent::StoodDown { why: StandDown::LeaseLost }).is_some());
}

#[test]
fn rule_7_epochs_grow_and_are_at_least_the_time() {
    let (mut dead, mut store) = settled();
    let mut other = Member::new(options("b"), 2, 2);
    run(&mut [&mut dead], &mut store, 2 * TTL, 3 * TTL);
    run(&mut [&mut other], &mut store, 3 * TTL, 6 * TTL);
    for (_, part, epoch, _) in other.gained() {
        let old = dead.gained().iter().find(|gained| gained.1 == part).unwrap().2;
        assert!(epoch > old && epoch >= 1_795_383_587_000, "{epoch}");
    }
    assert_eq!(other.gained().len(), 2);
    assert!(Standard.next_epoch(u64::MAX - 1, 3, UnixTime::from_secs(1)) == u64::MAX);
}

#[test]
fn rule_8_a_write_whose_answer_is_lost_is_found_by_a_read() {
    let (mut member, mut store) = (Member::new(options("a"), 2, 1), Store { lose_answers: 4, ..Store::default() });
    run(&mut [&mut member], &mut store, Duration::ZERO, 2 * TTL);
    assert_eq!(member.gained().len(), 2);
    assert_eq!((store.writes("cfg"), store.writes("c.")), (1, 2), "nothing is written twice");
}

#[test]
fn rule_10_who_sees_that_the_store_went_back_stands_down_for_a_ttl_and_comes_back_under_a_new_epoch() {
    let (mut member, mut store) = settled();
    let (keys, sequence) = (store.keys.clone(), store.sequence);
    run(&mut [&mut member], &mut store, 2 * TTL, 3 * TTL);
    (store.keys, store.sequence) = (keys, sequence);
    member.fleet.interrupted();
    let first = member.gained()[0].2;
    run(&mut [&mut member], &mut store, 3 * TTL, 6 * TTL);
    let down = member.when(|event| *event == FleetEvent::StoodDown { why: StandDown::WentBack }).unwrap();
    let again = member.gained().into_iter().skip(2).collect::<Vec<_>>();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|(time, _, epoch, _)| *time >= down + TTL && *epoch > first), "{again:?}");
}

#[test]
fn rules_11_and_13_a_claim_is_handed_over_with_its_journal() {
    let (mut leaver, mut store) = settled();
    let mut other = Member::new(options("b"), 2, 2);
    run(&mut [&mut leaver, &mut other], &mut store, 2 * TTL, 4 * TTL);
    leaver.fleet.save_journal(&part(0), "cursor 7".to_owned());
    leaver.fleet.save_journal(&part(1), "cursor 7".to_owned());
    leaver.fleet.leave();
    run(&mut [&mut leaver, &mut other], &mut store, 4 * TTL, 4 * TTL + TTL / 2);
    let drains = leaver.events.iter().filter_map(|(_, event)| match event {
        FleetEvent::Drain { part } => Some(part.clone()),
        _ => None,
    });
    let drains: Vec<_> = drains.collect();
    assert!(!drains.is_empty() && !leaver.is_done, "it drains first");
    drains.iter().for_each(|part| leaver.fleet.drained(at(4 * TTL + TTL / 2), part));
    run(&mut [&mut leaver, &mut other], &mut store, 4 * TTL + TTL / 2, 5 * TTL + TTL / 2);
    assert!(leaver.is_done);
    let now = at(5 * TTL + TTL / 2);
    assert!(other.fleet.may_send(now, &part(0)) && other.fleet.may_send(now, &part(1)));
    assert!(other.gained().iter().any(|gained| gained.3.as_deref() == Some("cursor 7")));
    assert_eq!(other.when(|event| matches!(event, FleetEvent::Fenced { .. })), None, "nobody had to wait");
}

#[test]
fn rule_14_what_is_busy_does_not_move() {
    let (mut busy, mut store) = settled();
    busy.fleet.set_busy(&part(0), true);
    busy.fleet.set_busy(&part(1), true);
    let mut other = Member::new(options("b"), 2, 2);
    run(&mut [&mut busy, &mut other], &mut store, 2 * TTL, 5 * TTL);
    assert_eq!(busy.when(|event| matches!(event, FleetEvent::Drain { .. })), None);
}

#[test]
fn rule_15_a_workspace_acknowledges_as_far_as_the_part_that_is_furthest_behind() {
    assert_eq!(Standard.acknowledged(&[Some(7), Some(3), Some(9)]), Some(3));
    assert_eq!(Standard.acknowledged(&[Some(7), None]), None, "a part has no cursor yet");
}

#[test]
fn rule_16_a_member_without_a_store_beats_on_if_it_is_told_to_and_sends_nothing() {
    for (on_store_loss, beats) in [(OnStoreLoss::StandDown, false), (OnStoreLoss::KeepBeating, true)] {
        let mut member = Member::new(options("a").on_store_loss(on_store_loss), 1, 1);
        let mut store = Store::default();
        run(&mut [&mut member], &mut store, Duration::ZERO, 2 * TTL);
        member.reaches_store = false;
        run(&mut [&mut member], &mut store, 2 * TTL, 4 * TTL);
        let now = at(4 * TTL);
        assert_eq!((member.fleet.may_send(now, &part(0)), member.fleet.may_beat(now, &part(0))), (false, beats));
    }
}

#[test]
fn a_member_with_other_constants_does_not_take_part() {
    let (_, mut store) = settled();
    let mut other = Fleet::new(options("b").parts(3), 2);
    let error = loop {
        match other.poll(at(3 * TTL)) {
            FleetStep::Store(id, op) => other.feed(at(3 * TTL), id, store.perform(op)),
            FleetStep::Done(end) => break end.unwrap_err(),
            step => panic!("{step:?}"),
        }
    };
    assert!(error.to_string().contains("1 parts") && error.to_string().contains("same values"), "{error}");
}
