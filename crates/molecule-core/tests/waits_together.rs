//! Several waits of one agent share their polls, since the list of delegations shows all of them.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machine::Machine;
use molecule_core::machines::Wait;
use molecule_core::proto::Time;
use molecule_core::{DelegationView, ErrorKind, WaitFor};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::DELEGATIONS;
use support::*;

type Waiting = Driven<Wait<DelegationView>>;

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn row(number: usize, status: &str) -> Value {
    json!({
        "delegation_id": id(number), "status": status, "created_at": "2026-11-22T21:39:49.835053Z",
        "response_preview": format!("answer {number}"),
    })
}

fn waits(agent: &mut Agent, count: usize, apart: Duration) -> Vec<(Time, Waiting)> {
    let began = agent.now.mono;
    (0..count)
        .map(|number| (began + apart * number as u32, Driven::new(Wait::for_delegation(WaitFor::new(id(number))))))
        .collect()
}

/// Drives all waits concurrently, each from its start time, until all have ended. Returns the times of the requests.
fn drive(agent: &mut Agent, waits: &mut [(Time, Waiting)], mut server: impl FnMut(Time) -> Reply) -> Vec<Time> {
    let mut looks = Vec::new();
    let mut due: Vec<(Time, usize, molecule_core::effect::EffectId, molecule_core::effect::Outcome)> = Vec::new();
    loop {
        let now = agent.now.mono;
        let mut next: Option<Time> = None;
        for (number, (begins, wait)) in waits.iter_mut().enumerate() {
            if wait.done.is_some() {
                continue;
            }
            if *begins > now {
                next = Some(next.map_or(*begins, |next| next.min(*begins)));
                continue;
            }
            let rest = wait.settle(agent);
            let ids: Vec<_> = wait.in_flight.keys().copied().collect();
            for id in ids {
                if due.iter().any(|(_, _, other, _)| *other == id) {
                    continue;
                }
                let reply = performed(agent, &wait.in_flight[&id], |seen| {
                    assert!(seen.is(DELEGATIONS), "{seen}");
                    looks.push(now);
                    server(now)
                });
                match reply {
                    Reply::Now(outcome) => due.push((now, number, id, outcome)),
                    Reply::After(later, outcome) => due.push((now + later, number, id, outcome)),
                    Reply::Never => {}
                }
            }
            if let Rest::Idle(Some(wake)) = rest {
                next = Some(next.map_or(wake.at, |next| next.min(wake.at)));
            }
        }
        if waits.iter().all(|(_, wait)| wait.done.is_some()) {
            return looks;
        }
        let first = due.iter().map(|(at, ..)| *at).min();
        let next = first.into_iter().chain(next).min().expect("nothing to wait for");
        agent.advance_to(next.max(now));
        if let Some(at) = due.iter().position(|(at, ..)| *at <= agent.now.mono) {
            let (_, number, id, outcome) = due.remove(at);
            waits[number].1.feed(agent, id, outcome);
        }
    }
}

fn ends(waits: Vec<(Time, Waiting)>) -> Vec<DelegationView> {
    waits.into_iter().map(|(_, wait)| wait.done.unwrap().unwrap()).collect()
}

/// Each request is answered after 100 ms. One delegation ends each minute, in the order of their numbers.
fn list(began: Time, count: usize) -> impl FnMut(Time) -> Reply {
    move |now| {
        let over = now.since(began).as_secs() as usize / 60;
        let rows = (0..count).map(|number| row(number, if number < over { "completed" } else { "dispatched" }));
        Reply::After(Duration::from_millis(100), Answer::json(200, rows.collect()).outcome())
    }
}

#[test]
fn many_waits_cost_hardly_more_looks_than_one() {
    let looks_of = |count: usize| {
        let mut agent = caller();
        let began = agent.now.mono;
        let mut waits = waits(&mut agent, count, secs(0));
        let mut last = began;
        let looks = drive(&mut agent, &mut waits, |now| {
            last = now;
            // All delegations have ended after ten minutes.
            let status = if now.since(began) < secs(600) { "queued" } else { "completed" };
            Answer::json(200, (0..count).map(|number| row(number, status)).collect()).into()
        });
        for (number, view) in ends(waits).into_iter().enumerate() {
            assert_eq!((view.id.clone(), view.preview), (id(number), Some(format!("answer {number}"))));
        }
        looks.len()
    };
    let (alone, together) = (looks_of(1), looks_of(40));
    assert!(together <= alone + 5, "{together} looks of 40 waits, and {alone} of one");
}

#[test]
fn waits_that_begin_one_after_the_other_come_to_look_together() {
    let mut agent = caller();
    let began = agent.now.mono;
    let count = 20;
    let mut waits = waits(&mut agent, count, secs(7));
    let looks = drive(&mut agent, &mut waits, list(began, count));
    let ends = ends(waits);
    assert_eq!(ends.len(), count);
    // A single wait would poll every 15 to 30 s: about 40 times on average.
    let minutes = looks.last().unwrap().since(began).as_secs() / 60;
    let late = looks.iter().filter(|at| at.since(began) > secs(300)).count() as u64;
    assert!(late <= (minutes - 5) * 5, "{late} looks in {} minutes", minutes - 5);
}

#[test]
fn no_end_is_seen_later_than_alone() {
    let mut agent = caller();
    let began = agent.now.mono;
    let count = 12;
    let mut waits = waits(&mut agent, count, secs(11));
    let looks = drive(&mut agent, &mut waits, list(began, count));
    for pair in looks.windows(2) {
        assert!(pair[1].since(pair[0]) <= secs(31), "{:?} between two looks", pair[1].since(pair[0]));
    }
}

/// A wait that polls, and others that wait for its answer.
fn looking(agent: &mut Agent, others: usize) -> (Waiting, Vec<Waiting>) {
    let mut first = Driven::new(Wait::for_delegation(id(0)));
    first.settle(agent);
    assert_eq!(first.in_flight.len(), 1);
    let others = (1..=others).map(|number| {
        let mut other = Driven::new(Wait::for_delegation(WaitFor::new(id(number)).at_most(secs(3))));
        other.settle(agent);
        assert!(other.in_flight.is_empty(), "a second look beside the first");
        other
    });
    let others = others.collect();
    (first, others)
}

#[test]
fn a_look_that_its_own_wait_gave_up_is_made_by_another() {
    let mut agent = caller();
    let (mut first, mut others) = looking(&mut agent, 5);
    first.machine.cancel(&mut agent.cx());
    let end = first.finish(&mut agent, &mut |seen: &Seen| panic!("{seen}"));
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Cancelled);
    agent.advance(Duration::from_millis(100));
    for other in &mut others {
        other.settle(&mut agent);
    }
    assert_eq!(others.iter().map(|other| other.in_flight.len()).sum::<usize>(), 1);
}

#[test]
fn a_look_whose_wait_was_dropped_holds_nobody_back_beyond_its_limit() {
    let mut agent = caller();
    let (first, mut others) = looking(&mut agent, 1);
    drop(first);
    // The wait's limit is 3 s, and a last poll takes at most 1 s.
    let began = agent.now.mono;
    let error = others[0].finish(&mut agent, &mut |seen: &Seen| panic!("{seen}")).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "wait for delegation"));
    assert!(agent.since(began) <= secs(4), "{:?}", agent.since(began));
    // A wait with a longer limit polls itself after the limit of a poll has passed.
    let mut patient = Driven::new(Wait::for_delegation(id(0)));
    let end = patient.finish(&mut agent, &mut |_: &Seen| Answer::json(200, json!([row(0, "completed")])).into());
    assert!(end.unwrap().is_over());
}

#[test]
fn a_refusal_is_everybodys_and_a_failure_that_passes_nobodys_end() {
    let mut agent = caller();
    let (mut first, mut others) = looking(&mut agent, 3);
    let id_of = *first.in_flight.keys().next().unwrap();
    first.feed(&mut agent, id_of, Answer::error(403, "not yours").outcome());
    first.settle(&mut agent);
    agent.advance(Duration::from_millis(60));
    for other in &mut others {
        other.settle(&mut agent);
        assert_eq!(other.done.take().unwrap().unwrap_err().kind(), ErrorKind::Refused);
    }

    let mut agent = caller();
    let (mut first, mut others) = looking(&mut agent, 3);
    let id_of = *first.in_flight.keys().next().unwrap();
    first.feed(&mut agent, id_of, Answer::error(503, "down").outcome());
    first.settle(&mut agent);
    agent.advance(Duration::from_millis(60));
    for other in &mut others {
        assert!(matches!(other.settle(&mut agent), Rest::Idle(Some(_))));
        assert!(other.in_flight.is_empty(), "each asks the server that is down");
    }
}

#[test]
fn a_look_of_a_single_delegation_asks_for_itself() {
    let mut agent = caller();
    let (_first, _) = looking(&mut agent, 1);
    let look = molecule_core::machines::DelegationOf::new(id(0));
    let view = run(&mut agent, look, |_| Answer::json(200, json!([row(0, "completed")])).into());
    assert!(view.unwrap().is_over());
}
