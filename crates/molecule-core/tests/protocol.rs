//! The six rules of the machines' contract, each checked for every machine. The driver of these tests enforces more at
//! every step: at most 64 steps without input, no wake in the past, no request to another origin, no secret in what is
//! printed.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Debug;

use molecule_core::Result;
use molecule_core::effect::{Effect, EffectId, FaultKind, HostResult, LockId, Outcome};
use molecule_core::machine::{Machine, StopLevel};
use molecule_core::machines::Run;
use molecule_core::proto::Time;

use support::platform::{HEARTBEAT, NOTIFY, Seen};
use support::*;

/// The machine's steps, without the outcomes that were fed.
fn acts(agent: &Agent) -> Vec<String> {
    let is_act = |line: &&String| !line.starts_with("feed") && !line.starts_with("given back");
    agent.trace.iter().filter(is_act).cloned().collect()
}

/// Outcomes that no effect of this kind can have.
fn wrong_kinds(effect: &Effect) -> Vec<fn() -> Outcome> {
    let response: fn() -> Outcome = || Answer::error(401, "no").outcome();
    type Named = (&'static str, fn() -> Outcome);
    let all: [Named; 7] = [
        ("Prepare", || Outcome::Host(HostResult::Prepared)),
        ("Load", || Outcome::Host(HostResult::Loaded(None))),
        ("Replace", || Outcome::Host(HostResult::Replaced)),
        ("Append", || Outcome::Host(HostResult::Appended)),
        ("SetAside", || Outcome::Host(HostResult::SetAside("there".to_owned()))),
        ("Lock", || Outcome::Host(HostResult::Locked(LockId(99)))),
        ("Unlock", || Outcome::Host(HostResult::Unlocked)),
    ];
    match effect {
        Effect::Http(..) | Effect::Fetch(..) | Effect::Upload(..) | Effect::Watch(..) | Effect::Handle(_) => {
            all.into_iter().map(|(_, outcome)| outcome).collect()
        }
        Effect::Decode(_) => all.into_iter().map(|(_, outcome)| outcome).chain([response]).collect(),
        Effect::Host(op) => {
            let own = format!("{op:?}");
            let own = own.split('(').next().unwrap().to_owned();
            let others = all.into_iter().filter(|(name, _)| *name != own);
            others.map(|(_, outcome)| outcome).chain([response]).collect()
        }
    }
}

struct GivesBackWhatIsNotItsOwn;

impl Check for GivesBackWhatIsNotItsOwn {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug,
    {
        let Setup { mut agent, machine, mut platform, name } = make();
        run(&mut agent, machine, |seen| platform.serve(seen)).unwrap();
        let undisturbed = acts(&agent);

        let Setup { mut agent, machine, mut platform, .. } = make();
        let mut driven = Driven::new(machine);
        let until = agent.now.mono + secs(3600);
        let mut fed: Vec<EffectId> = Vec::new();
        while let next @ (Next::Outcome(..) | Next::Wake) =
            driven.next(&mut agent, until, &mut |seen| platform.serve(seen))
        {
            let strangers = [EffectId(0), EffectId(u64::MAX)].into_iter().chain(fed.iter().copied());
            let foreign = strangers.flat_map(|id| {
                let any: fn() -> Outcome = || Answer::error(401, "late").outcome();
                let gone: fn() -> Outcome = || fault(FaultKind::Interrupted);
                let lock: fn() -> Outcome = || Outcome::Host(HostResult::Locked(LockId(99)));
                [(id, any), (id, gone), (id, lock)]
            });
            let wrong = driven
                .in_flight
                .iter()
                .flat_map(|(id, effect)| wrong_kinds(effect).into_iter().map(|kind| (*id, kind)));
            for (id, outcome) in foreign.chain(wrong).collect::<Vec<_>>() {
                let back = driven.machine.feed(&mut agent.cx(), id, outcome());
                let back = back.expect_err(&format!("{name}: took {:?} for {id:?}", outcome()));
                assert!(same(&back, &outcome()), "{name}: given back changed: {back:?}");
            }
            if let Next::Outcome(id, outcome) = next {
                assert!(driven.feed(&mut agent, id, outcome).is_none(), "{name}: refused its own outcome");
                fed.push(id);
            }
        }
        assert!(driven.done.is_some(), "{name}");
        assert_eq!(acts(&agent), undisturbed, "{name}: strange outcomes changed what it does");
    }
}

#[test]
fn unknown_late_and_repeated_ids_and_outcomes_of_another_kind_are_given_back_unchanged() {
    each_machine(&GivesBackWhatIsNotItsOwn);
}

struct PollingAgainChangesNothing;

impl Check for PollingAgainChangesNothing {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug,
    {
        let Setup { mut agent, machine, mut platform, name } = make();
        let mut driven = Driven::new(machine);
        let until = agent.now.mono + secs(3600);
        loop {
            let rest = driven.settle(&mut agent);
            if rest == Rest::Done {
                break;
            }
            for _ in 0..3 {
                assert_eq!(driven.settle(&mut agent), rest, "{name}: time stood still and something happened");
            }
            match driven.next(&mut agent, until, &mut |seen| platform.serve(seen)) {
                Next::Outcome(id, outcome) => assert!(driven.feed(&mut agent, id, outcome).is_none()),
                Next::Wake => {}
                end => panic!("{name}: {end:?}"),
            }
        }
    }
}

#[test]
fn where_time_stands_still_nothing_happens() {
    each_machine(&PollingAgainChangesNothing);
}

struct SurvivesTheEndOfTime;

impl Check for SurvivesTheEndOfTime {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug,
    {
        for jump_at in 0..40 {
            let Setup { mut agent, machine, mut platform, name } = make();
            let mut driven = Driven::new(machine);
            let until = Time::from_nanos(u64::MAX);
            for input in 0..80 {
                if input == jump_at {
                    agent.advance_to(until);
                }
                match driven.next(&mut agent, until, &mut |seen| platform.serve(seen)) {
                    Next::Outcome(id, outcome) => {
                        driven.feed(&mut agent, id, outcome);
                    }
                    Next::Wake => {}
                    Next::Later => panic!("{name}: waits beyond the end of time"),
                    Next::Done => break,
                }
            }
            if driven.done.is_none() {
                driven.machine.cancel(&mut agent.cx());
                let end = driven.drive_until(&mut agent, until, &mut |seen| platform.serve(seen));
                assert!(matches!(end, Next::Done), "{name}: no end after a jump at input {jump_at}");
            }
        }
    }
}

#[test]
fn a_clock_that_jumps_to_the_end_of_time_is_survived() {
    each_machine(&SurvivesTheEndOfTime);
}

struct EndsWhenCancelled {
    /// Whether the machine is polled between the last outcome and the cancel.
    polled: bool,
}

impl Check for EndsWhenCancelled {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug,
    {
        for inputs in 0.. {
            let Setup { mut agent, machine, mut platform, name } = make();
            let mut driven = Driven::new(machine);
            let until = agent.now.mono + secs(3600);
            let mut pending = None;
            for _ in 0..inputs {
                match driven.next(&mut agent, until, &mut |seen| platform.serve(seen)) {
                    Next::Outcome(id, outcome) => {
                        driven.feed(&mut agent, id, outcome);
                    }
                    Next::Wake => {}
                    Next::Done => return,
                    Next::Later => panic!("{name}: no end"),
                }
            }
            if self.polled {
                // The started effect reaches the platform, and its outcome is pending.
                match driven.next(&mut agent, until, &mut |seen| platform.serve(seen)) {
                    Next::Outcome(id, outcome) => pending = Some((id, outcome)),
                    Next::Wake => {}
                    Next::Done => return,
                    Next::Later => panic!("{name}: no end"),
                }
            }
            let at = agent.now.mono;
            let requests = platform.seen.len();
            driven.machine.cancel(&mut agent.cx());
            if let Some((id, outcome)) = pending {
                let rest = driven.settle(&mut agent);
                let back = driven.feed(&mut agent, id, outcome);
                assert!(rest != Rest::Done || back.is_some(), "{name}: took an outcome after Done");
            }
            let mut fed = 0;
            while driven.done.is_none() {
                match driven.next(&mut agent, until, &mut |seen| platform.serve(seen)) {
                    Next::Outcome(id, outcome) => {
                        driven.feed(&mut agent, id, outcome);
                        fed += 1;
                        // One that drains also ends its reads, saves what it knows, and sends its replies and a last beat.
                        let most = if name == DRAINS { 12 } else { 6 };
                        assert!(fed <= most, "{name}: goes on after it was cancelled:\n{}", agent.take_trace());
                    }
                    Next::Done => {}
                    // In the first second of a process a notice waits until its row can be told from those before it.
                    Next::Wake if name == DRAINS && agent.now.mono <= at + secs(1) => {}
                    next => panic!("{name}: waits after it was cancelled: {next:?}"),
                }
            }
            let is_in_time = agent.now.mono == at || (name == DRAINS && agent.now.mono <= at + secs(1));
            assert!(is_in_time, "{name}: cancelled, it waited for something else than an outcome");
            let sent = &platform.seen[requests..];
            let is_of_drain = |seen: &Seen| name == DRAINS && (seen.is(HEARTBEAT) || seen.is(NOTIFY));
            assert!(
                sent.len() <= 2 && sent.iter().all(is_of_drain),
                "{name}: sent after it was cancelled:\n{}",
                agent.take_trace()
            );
            if platform.minted > 0 && !name.starts_with("call") {
                let minted = secret(&format!("minted{}", platform.minted));
                assert_eq!(agent.store.token, Some(minted), "{name}: a minted token was lost, input {inputs}");
            }
            assert_eq!(agent.store.locked, None, "{name}: the lock was kept");
        }
    }
}

#[test]
fn cancelled_at_any_point_it_ends_and_what_was_minted_is_saved() {
    each_machine(&EndsWhenCancelled { polled: true });
}

#[test]
fn cancelled_between_an_outcome_and_the_next_poll_it_ends_too() {
    each_machine(&EndsWhenCancelled { polled: false });
}

/// A lock that arrives after the loop has given up on it is given back, so that its driver can release it.
#[test]
fn a_lock_that_comes_too_late_is_given_back() {
    let mut agent = Agent::new();
    let mut driven = Driven::new(Run::new());
    driven.settle(&mut agent);
    let id = *driven.in_flight.keys().next().unwrap();
    driven.machine.cancel(&mut agent.cx());
    driven.settle(&mut agent);
    let late = driven.machine.feed(&mut agent.cx(), id, Outcome::Host(HostResult::Locked(LockId(1))));
    assert!(matches!(late, Err(Outcome::Host(HostResult::Locked(LockId(1))))));
    assert_eq!(agent.take_trace(), "start 1 Lock\ncancel 1\ndone Stopped");
    assert_eq!(agent.session.stop_level(), StopLevel::None);
}
